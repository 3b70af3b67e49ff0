"""The generator for onnxruntime-genai: adapter merged, built, loaded, run.

    base GGUF + adapter ─▶ merged safetensors, fp32 ─▶ onnxruntime_genai.models.builder ─▶ folder

int8 is the default (8-bit weights in blocks of 32), fp32 the exact build. int4 is k-quant with the
vocabulary's matrix and the sensitive layers in int8: a divergence of 0.045 from the trainer and
113 MB where the builder's plain int4 had 0.149 and 86 MB (the shipped adapter, 75 tokens). The
builder runs in a process of its
own, which ends with this one and in which the result must load: an option set that writes a
file which brings the runtime down is an error message here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune.errors import GenerationError, TuneError
from ragtune.export import onnx_parts
from ragtune.export.onnx_parts import Precision
from ragtune.tune import base as bases
from ragtune.tune import convert, dense, merge
from ragtune.types import Generation, Message, OnProgress, Progress, Token

if TYPE_CHECKING:
    from ragtune.models.adapters import Listed

CONFIG = "genai_config.json"
MAX_LENGTH = 2048  # tokens: the runtime allocates keys and values for all of them at once
OPTIONS: Mapping[Precision, tuple[str, ...]] = {
    "int8": (),
    "fp32": (),
    "int4": ("algo_config=k_quant_mixed",),
}
_MEMORY = 4  # times the fp32 weights, measured at 3.2


def require() -> None:
    """Raises TuneError where the packages for this are not installed."""
    needed = ("torch", "transformers", "gguf", "onnxruntime_genai", "onnx_ir")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise TuneError(
            f"exporting the generator as ONNX needs {', '.join(missing)}: "
            "pip install 'ragtune[tune,export]'; embedder, reader and router need nothing more: "
            "--what embedder,reader,router"
        )


def write_generator(
    base_gguf: Path,
    model: Listed | None,
    folder: Path,
    precision: Precision,
    threads: int = 0,
    on_progress: OnProgress | None = None,
) -> None:
    """Writes the base, or `model` merged with it, to `folder` as onnxruntime-genai loads it.

    Raises TuneError where it cannot be built or what was built does not load.
    """
    from ragtune.models import adapters

    say = on_progress or (lambda _: None)
    need = dense.header(base_gguf).parameters * 4 * _MEMORY
    bases.require(need, "cpu", "building the ONNX generator", "a smaller base")
    base = convert.read_base(base_gguf)
    lora = convert.Lora(1.0, 1, {})
    if model is not None:
        lora = convert.read_adapter(model.folder / adapters.FILE, base)
    with tempfile.TemporaryDirectory(prefix=".merged-", dir=folder.parent) as temporary:
        merged = Path(temporary) / "merged"
        merged.mkdir()
        say(Progress("generator", 0, 2, "merge"))
        merge.write_safetensors(base, lora, merged, "F32")
        merge.write_tokenizer(base, merged)
        say(Progress("generator", 1, 2, f"build {precision}"))
        _build(merged, folder, precision, threads)
    say(Progress("generator", 2, 2))
    values = json.loads((folder / CONFIG).read_text("utf-8"))
    values["search"]["max_length"] = min(MAX_LENGTH, int(values["model"]["context_length"]))
    (folder / CONFIG).write_text(json.dumps(values, indent=4) + "\n", "utf-8")
    _about(folder, values, model, base.file.path.stem, precision)


def _build(merged: Path, folder: Path, precision: Precision, threads: int) -> None:
    """Runs `build_genai` in a child; whatever it says goes to a file that is read on failure."""
    log = merged.parent / "log"
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": str(threads or max(1, (os.cpu_count() or 1) // 2)),
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    command = [
        sys.executable, "-m", "ragtune.export.build_genai", str(merged), str(folder), precision,
        str(merged.parent / "cache"), *OPTIONS[precision],
    ]  # fmt: skip
    with log.open("wb") as output:
        # It ends when its standard input does: also when this process is killed.
        child = subprocess.Popen(  # noqa: S603 - the list above
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment
        )
        try:
            code = child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            if child.stdin is not None:
                child.stdin.close()
    if code != 0:
        raise TuneError(f"the {precision} ONNX generator {_why(log, code)}: it was not kept")


def _why(log: Path, code: int) -> str:
    """The last line that the builder said, or that it was killed."""
    lines = [" ".join(line.split()) for line in log.read_text("utf-8", "replace").splitlines()]
    said = next((line for line in reversed(lines) if "Error" in line or "rror:" in line), "")
    stage = "was built but does not load" if "built" in lines else "could not be built"
    killed = f"its process ended with signal {-code}" if code < 0 else f"exit code {code}"
    return f"{stage} ({said[:200] or killed})"


def _about(
    folder: Path, values: dict[str, Any], model: Listed | None, base: str, precision: Precision
) -> None:
    """model.json, for check.py and for those who run the graph without onnxruntime-genai."""
    decoder = values["model"]["decoder"]
    ends = values["model"]["eos_token_id"]
    passport = model.passport if model else None
    onnx_parts.about(folder, {
        "part": "generator",
        "model": f"{base} + {model.name}" if model else base,
        "mode": passport.mode if passport else "base",
        "licence": "that of the base; the adapter is yours",
        "precision": precision,
        "layers": decoder["num_hidden_layers"],
        "kv_heads": decoder["num_key_value_heads"],
        "head_size": decoder["head_size"],
        "end_tokens": ends if isinstance(ends, list) else [ends],
        "max_length": values["search"]["max_length"],
    })  # fmt: skip


class GenaiRuntime:
    """A folder in onnxruntime-genai, as an app on a device runs it. Raises GenerationError."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        import onnxruntime_genai as genai

        self.name = f"onnxruntime-genai {genai.__version__}"
        self._genai = genai
        try:
            config = genai.Config(str(folder))
            session = {"intra_op_num_threads": threads} if threads else {}
            overlay = {"model": {"decoder": {"session_options": session}}}
            config.overlay(json.dumps(overlay))
            self._model = genai.Model(config)
            self._tokenizer = genai.Tokenizer(self._model)
            values = json.loads((folder / CONFIG).read_text("utf-8"))
            self._context = int(values["model"]["context_length"])
        except Exception as error:  # the library raises RuntimeError and its own
            said = " ".join(str(error).split())[:200]
            raise GenerationError(f"{folder} does not load in {self.name}: {said}") from None
        self._ends = {int(token) for token in self._tokenizer.eos_token_ids}
        self._seen: tuple[int, ...] = ()
        self._generator: Any = None

    def prompt(self, messages: Sequence[Message]) -> Sequence[int]:
        """Tokens of the template in the folder, as this runtime renders and tokenizes it."""
        turns = json.dumps([asdict(message) for message in messages])
        text = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True)
        return [int(token) for token in self._tokenizer.encode(text)]

    def stream(self, messages: Sequence[Message], generation: Generation) -> Iterator[Token]:
        """Writes greedily."""
        ids = self.prompt(messages)
        with self._explained():
            generator = self._start(len(ids) + generation.max_tokens)
            generator.append_tokens(ids)
        pieces = self._tokenizer.create_stream()
        for _ in range(generation.max_tokens):
            generator.generate_next_token()
            token = int(generator.get_next_tokens()[0])
            if token in self._ends:
                return
            if text := pieces.decode(token):
                yield Token(text)
            if generator.is_done():
                return

    def top(self, ids: Sequence[int], count: int) -> Mapping[int, float]:
        """Next tokens after `ids`; what they share with the call before is not run again."""
        import numpy as np

        wanted = tuple(ids)
        if not self._seen or wanted[: len(self._seen)] != self._seen or wanted == self._seen:
            with self._explained():
                self._generator, self._seen = self._start(len(wanted) + 512), ()
        with self._explained():
            self._generator.append_tokens(list(wanted[len(self._seen) :]))
        self._seen = wanted
        logits = np.asarray(self._generator.get_logits())  # of the position after the last token
        shifted = logits.reshape(-1).astype(np.float64)
        shifted -= shifted.max()
        shifted -= np.log(np.exp(shifted).sum())
        best = np.argpartition(-shifted, count)[:count]
        return {int(token): float(shifted[token]) for token in best}

    def _start(self, length: int) -> Any:
        options = self._genai.GeneratorParams(self._model)
        options.set_search_options(do_sample=False, max_length=min(length, self._context))
        return self._genai.Generator(self._model, options)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Whatever the library raises, as for a prompt that is too long, becomes one line."""
        try:
            yield
        except RuntimeError as error:
            said = " ".join(str(error).split())[:200]
            raise GenerationError(f"{self.name}: {said}") from None
