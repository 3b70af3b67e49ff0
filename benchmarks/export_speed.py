"""Speed and memory of one exported model, in a process of its own: `python -m … KIND PATH CASES`.

Prints one JSON object. One thread. `peak_mb` is the most that the whole process held (Python and
the runtime included; `before_mb` is what it held before the model was loaded), so that a file that
is mapped into memory counts as far as it was touched. Times are the processor's (`process_time`),
medians: on a machine that others use, a wall clock measures the others.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROUNDS = 7
TOKENS = 64


def main(kind: str, path: str, cases: str) -> None:
    """Measures `path`; `cases` is a JSON file with texts, pairs, questions and a prompt."""
    given = json.loads(Path(cases).read_text("utf-8"))
    if kind in ("embedder", "reader", "router"):
        from ragtune.export import check

        before = _held()
        part: Any = check.PARTS[kind](Path(path), 1)
        runs: list[Callable[[], object]]
        if isinstance(part, check.Embedder):
            runs = [partial(part.embed, text) for text in given["texts"]]
        elif isinstance(part, check.Reader):
            runs = [partial(part.read, question, text) for question, text in given["pairs"]]
        else:
            runs = [partial(part.route, question) for question in given["questions"]]
        for run in runs[:5]:
            run()
        times = []
        for run in runs:
            began = time.process_time()
            run()
            times.append(time.process_time() - began)
        found = {"ms": 1000 * statistics.median(times), "texts": len(times)}
    elif kind == "llama":
        before, found = _llama(path.split("+"), given["ids"])
    else:
        before, found = _genai(path, given["ids"])
    print(json.dumps({**found, "peak_mb": _held(), "before_mb": before}))


def _llama(paths: list[str], ids: list[int]) -> tuple[float, dict[str, float]]:
    import xllamacpp  # noqa: F401 - counted before the model

    from ragtune.models import llama

    before = _held()
    server = llama.load(Path(paths[0]), [Path(p) for p in paths[1:]], 1024, 1)
    lora = llama.scales(len(paths) - 1, 0 if len(paths) > 1 else None)
    prompt, write = [], []

    def run(tokens: int) -> float:
        began = time.process_time()
        server.handle_completions({
            "prompt": ids, "max_tokens": tokens, "temperature": 0.0, "cache_prompt": False,
            "ignore_eos": True, "lora": lora,
        })  # fmt: skip
        return time.process_time() - began

    for _ in range(ROUNDS):
        first = run(1)
        prompt.append(len(ids) / first)
        write.append(TOKENS / (run(1 + TOKENS) - first))
    return before, {"prompt": statistics.median(prompt), "write": statistics.median(write)}


def _genai(path: str, ids: list[int]) -> tuple[float, dict[str, float]]:
    import onnxruntime_genai as genai

    before = _held()
    config = genai.Config(path)
    config.overlay('{"model": {"decoder": {"session_options": {"intra_op_num_threads": 1}}}}')
    model = genai.Model(config)
    prompt, write = [], []
    for _ in range(ROUNDS):
        params = genai.GeneratorParams(model)
        params.set_search_options(do_sample=False, max_length=len(ids) + TOKENS + 8)
        generator = genai.Generator(model, params)
        began = time.process_time()
        generator.append_tokens(ids)
        generator.generate_next_token()
        first = time.process_time()
        for _ in range(TOKENS):
            generator.generate_next_token()
        prompt.append(len(ids) / (first - began))
        write.append(TOKENS / (time.process_time() - first))
    return before, {"prompt": statistics.median(prompt), "write": statistics.median(write)}


def _held() -> float:
    """MB that this process held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main(*sys.argv[1:])
