"""Run as a process: onnxruntime-genai's model builder, and then whether its result loads.

python -m ragtune.export.build_genai MERGED OUT PRECISION CACHE [OPTION=VALUE …]
"""

from __future__ import annotations

import os
import runpy
import sys
import threading


def main(merged: str, out: str, precision: str, cache: str, *options: str) -> None:
    """Builds for the CPU and loads it; says "built" in between."""
    _end_with_parent()
    command = ["-i", merged, "-o", out, "-p", precision, "-e", "cpu", "-c", cache]
    sys.argv = ["builder", *command, *(["--extra_options", *options] if options else [])]
    runpy.run_module("onnxruntime_genai.models.builder", run_name="__main__")
    print("\nbuilt", flush=True)
    import onnxruntime_genai as genai

    model = genai.Model(out)
    params = genai.GeneratorParams(model)
    params.set_search_options(do_sample=False, max_length=8)
    generator = genai.Generator(model, params)
    generator.append_tokens([1])
    generator.generate_next_token()


def _end_with_parent() -> None:
    """Ends this process when its standard input does, which happens when the parent has gone."""

    def wait() -> None:
        while os.read(0, 1 << 12):  # not sys.stdin: its lock would be held when this ends
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
