"""`ragtune export`: models that leave, each compared with the workspace before it is kept."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragtune.console import common, open_workspace, out, progress
from ragtune.errors import ConfigError

if TYPE_CHECKING:  # `ragtune --help` must not wait for the library
    from ragtune.export.report import Exported
    from ragtune.models.adapters import Listed
    from ragtune.types import OnProgress
    from ragtune.workspace import Workspace

TYPES = ("q8_0", "q4_0", "f16", "adapter")
PRECISIONS = ("int8", "fp32", "int4")
LOST = 0.2  # share of what tuning did, or of the answers, that may be lost without a word
EPILOG = """\b
Examples:
  ragtune export onnx phone                       embedder, reader, router, the model in use
  ragtune export onnx phone --what embedder       one part
  ragtune export gguf crew crew.gguf              for llama.cpp
  ragtune export ollama crew out                  for Ollama"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def export() -> None:
    """Write models for phones, browsers and other servers; compared before they are kept."""


def _questions(command: Any) -> Any:
    return click.option(
        "--questions",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Examples whose questions are asked of both; default: those held out in tuning, or "
        "what the documents give.",
    )(command)


def _type(default: str, help: str, choices: tuple[str, ...] = TYPES) -> Callable[[Any], Any]:
    return click.option(
        "--type", "kind", type=click.Choice(choices), default=default, show_default=True, help=help
    )


@export.command()
@click.argument("names", metavar="[MODEL] OUT", nargs=-1, required=True)
@click.option(
    "--what",
    metavar="PART,…",
    default="",
    help="embedder, reader, router, generator; default: all that this workspace has, the "
    "generator if it was tuned.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="int8",
    show_default=True,
    help="fp32 is exact and large; int4 (of the generator) is small and loses some.",
)
@_questions
@common
def onnx(
    names: tuple[str, ...], what: str, precision: Any, file: Path | None,
    workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Embedder, reader, router and tuned model for ONNX Runtime, on phones and anywhere.

    Each part comes with its tokenizer, a description and a README with Swift and Kotlin; check.py
    runs it with onnxruntime alone. MODEL is the tuned model; default: the one in use.
    """
    from ragtune import render
    from ragtune.export.folder import Plan, export_onnx

    if len(names) > 2:
        raise ConfigError(f"export onnx takes [MODEL] OUT, not {len(names)} names")
    with open_workspace(workspace) as opened, _stoppable(), progress(as_json) as on_progress:
        parts = tuple(dict.fromkeys(p.strip() for p in what.split(",") if p.strip()))
        model = _onnx_model(opened, names[0] if len(names) == 2 else None, parts)
        made = export_onnx(
            opened, Plan(Path(names[-1]), model, parts, precision, file), on_progress
        )
    lines = _lines(made)
    lines += [click.style(render.safe(note), fg="yellow") for note in made.notes]
    lines.append(f"Next: python {made.path}/check.py   and {made.path}/README.md")
    out(as_json, made, lines)


def _onnx_model(opened: Workspace, name: str | None, parts: tuple[str, ...]) -> Listed | None:
    """The tuned model that is named or in use; None where the generator is not asked for."""
    from ragtune.models import adapters

    if name is None:
        name = opened.adapter if not parts or "generator" in parts else None
    elif name == adapters.BASE:
        if parts and "generator" not in parts:
            raise ConfigError("--what leaves out the generator, but a model is named")
        return None
    return adapters.find(_data(opened), name) if name else None


@export.command()
@click.argument("name", metavar="MODEL")
@click.argument("target", metavar="[OUT]", required=False, type=click.Path(path_type=Path))
@_type("q8_0", "'adapter': unmerged, for llama-server beside the base.")
@_questions
@common
def gguf(
    name: str, target: Path | None, kind: Any, file: Path | None, workspace: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """A tuned model as one file for llama.cpp; README.md and parity.json beside it."""
    _tuned("gguf", name, target or Path(f"{name}-{kind}.gguf"), kind, file, workspace, as_json)


@export.command()
@click.argument("name", metavar="MODEL")
@click.argument("target", metavar="[OUT]", required=False, type=click.Path(path_type=Path))
@_type("q8_0", "How the merged weights are stored.", TYPES[:3])
@_questions
@common
def ollama(
    name: str, target: Path | None, kind: Any, file: Path | None, workspace: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """A tuned model as a folder for `ollama create`, prompted as it was trained."""
    _tuned("ollama", name, target or Path(f"{name}-ollama"), kind, file, workspace, as_json)


@export.command()
@click.argument("name", metavar="MODEL")
@click.argument("target", metavar="[OUT]", required=False, type=click.Path(path_type=Path))
@common
def safetensors(name: str, target: Path | None, workspace: str | None, as_json: bool) -> None:
    """A tuned model, merged, as a Hugging Face folder (f16)."""
    place = target or Path(f"{name}-safetensors")
    _tuned("safetensors", name, place, "f16", None, workspace, as_json)


@export.command()
@click.argument("name", metavar="MODEL")
@click.argument("target", metavar="[OUT]", required=False, type=click.Path(path_type=Path))
@common
def peft(name: str, target: Path | None, workspace: str | None, as_json: bool) -> None:
    """A tuned model's adapter for vLLM, transformers and further training."""
    _tuned("peft", name, target or Path(f"{name}-peft"), "f16", None, workspace, as_json)


def _tuned(
    format: Any, name: str, target: Path, kind: Any, file: Path | None, workspace: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    from ragtune.export import formats
    from ragtune.models import adapters, generate
    from ragtune.tune import extra

    with open_workspace(workspace) as opened, _stoppable(), progress(as_json) as on_progress:
        settings = opened.settings
        if settings.generator != "embedded":
            raise ConfigError('export needs the base\'s GGUF file: set generator = "embedded"')
        one = adapters.find(_data(opened), name)
        extra.require()
        base = generate.base_file(settings, on_progress)
        recorded = _recorder(opened, one, base, file, on_progress)
        made = formats.export(
            one, base, format, target, kind, recorded, on_progress, settings.threads
        )
    lines = _lines(made)
    if _lost(made):
        lines.append(
            click.style(f"{made.type} loses part of what was trained: prefer q8_0", fg="yellow")
        )
    if format == "ollama":
        lines.append(f"Next: cd {target} && ollama create {name} -f Modelfile")
    out(as_json, made, lines)


def _recorder(
    opened: Workspace, one: Listed, base: Path, file: Path | None, on_progress: OnProgress | None
) -> Callable[[], Any]:
    """Asks the workspace when the file is written, and not before what costs less has passed."""

    def record() -> Any:
        from ragtune.export import answers, served

        opened.refresh()
        questions = answers.own_questions(opened, one, file, answers.QUESTIONS, on_progress)
        return served.record(opened, one, base, questions, on_progress)

    return record


def _lost(made: Exported) -> bool:
    """Whether a person should be told that this is not quite what was trained."""
    kept = min((part.figures.get("same_answers", 1.0) for part in made.parts), default=1.0)
    far = made.parity is not None and made.parity.divergence > LOST * made.parity.effect + 0.02
    return made.type == "q4_0" and (far or kept < 1.0 - LOST)  # others passed the gate as near


def _lines(made: Exported) -> list[str]:
    from ragtune import render

    lines = [f"{made.path}  {render.size(made.bytes)}"]
    return lines + [f"  {render.safe(part.line)}" for part in made.parts]


def _data(opened: Workspace) -> Path:
    from ragtune import config

    return opened.root / config.DATA_FOLDER


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends an export as Ctrl-C does: what is half written is taken away."""

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
