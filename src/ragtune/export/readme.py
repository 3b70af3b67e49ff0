"""The README.md of an export: what it is, how it was measured, and how it is used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ragtune import prompting
from ragtune.export.answers import Questions
from ragtune.export.report import Part

if TYPE_CHECKING:
    from ragtune.models.adapters import Listed
    from ragtune.types import Message

_MB = 1_000_000
_WHAT = {
    "embedder": "text → vector; two texts are as near as the dot product of their vectors",
    "reader": "question and text → does the text answer, and with which words",
    "router": "question → intent, its probability, and where that goes",
    "generator": "prompt → text",
}


def onnx(
    folder: Path,
    parts: Sequence[str],
    reports: Sequence[Part],
    model: Listed | None,
    questions: Questions,
    sample: Sequence[Message],
) -> str:
    """Of a folder of ONNX parts. `sample` is a prompt of the workspace."""
    sections = [
        "# Models for a device",
        "Exported by ragtune for ONNX Runtime. Every part is a folder with the model, its "
        "tokenizer and `model.json`: names, types and shapes of inputs and outputs, limits, "
        "thresholds.",
        _table(reports),
        "## Check it here",
        "```\npip install onnxruntime tokenizers\npython check.py\n```\n\nNothing else is needed. "
        "`check.py` runs the cases in `checks.json` (some of your own questions and sentences) and "
        "compares; its classes are short, and what they do is what an app must do.",
        measured(reports, questions),
    ]
    small = [part for part in parts if part != "generator"]
    if small:
        wordpiece = all((folder / part / "vocab.txt").is_file() for part in small)
        sections += ["## In an app: " + ", ".join(small)]
        if wordpiece:
            sections += [_text("limits.md"), "### Kotlin", _kotlin(), "### Swift",
                         _text("swift.md")]  # fmt: skip
        else:
            sections += [
                "The tokenizer is not WordPiece: take a library that reads tokenizer.json (Swift: "
                "swift-transformers; Kotlin: DJL's HuggingFaceTokenizer). `check.py` shows the "
                "rest."
            ]
    if "generator" in parts:
        sections += ["## In an app: generator", _text("genai.md"), prompts(model, sample)]
    return "\n\n".join(sections) + "\n"


def gguf(file: str, report: Part, model: Listed, questions: Questions | None, adapter: bool,
         sample: Sequence[Message]) -> str:  # fmt: skip
    """Of a GGUF file: llama.cpp's command lines."""
    base = model.passport.base if model.passport else "the base"
    load = f"-m {base}.gguf --lora {file}" if adapter else f"-m {file}"
    ask = json.dumps({"messages": _turns(sample), "temperature": 0}, ensure_ascii=False)
    sections = [
        f"# {model.name} for llama.cpp",
        _table([report]),
        measured([report], questions),
        "## Use",
        f"```\nllama-server {load} --jinja --port 8080\n```\n\nserves it with the chat template "
        "that is in the file, which is the one that it was tuned with. A question, prompted as in "
        "training:",
        "```\ncurl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' "
        f"-d @- <<'END'\n{ask}\nEND\n```",
        f"Without a server: `llama-cli {load} --jinja --temp 0 -st -sys '{_system(model)}' "
        "-p 'Hello'`.",
        prompts(model, sample),
    ]
    if adapter:
        sections.insert(1, f"A LoRA adapter: it needs its base, `{base}.gguf`"
                        + (f" (SHA-256 `{model.passport.base_sha256}`)." if model.passport else ".")
                        )  # fmt: skip
    return "\n\n".join(sections) + "\n"


def ollama(report: Part, model: Listed, questions: Questions | None,
           sample: Sequence[Message]) -> str:  # fmt: skip
    """Of a folder for Ollama."""
    ask = json.dumps(
        {"model": model.name, "messages": _turns(sample), "stream": False}, ensure_ascii=False
    )
    sections = [
        f"# {model.name} for Ollama",
        _table([report]),
        measured([report], questions)
        + "\n\nmodel.gguf was run in llama.cpp, which Ollama is built on; Ollama itself was not "
        "run. The template in the Modelfile was compared with the base's own on sample "
        "conversations, text by text: other templates are why tuned models answer badly in Ollama.",
        "## Use",
        f"```\nollama create {model.name} -f Modelfile\nollama run {model.name} 'Hello'\n```",
        "A question, prompted as in training:",
        f"```\ncurl http://127.0.0.1:11434/api/chat -d @- <<'END'\n{ask}\nEND\n```",
        prompts(model, sample),
    ]
    return "\n\n".join(sections) + "\n"


def prompts(model: Listed | None, sample: Sequence[Message]) -> str:
    """The prompt that the model was tuned with: the messages, and one of them as it is rendered."""
    grounded = model is None or (model.passport is not None and model.passport.mode == "grounded")
    if grounded:
        form = (
            "Facts:\n[1] {title} > {heading}: {sentence}\n\nQuestion: {question}\n"
            "Key words: {the answering words of fact 1, where the reader marks some}"
        )
        count = model.passport.sentences if model and model.passport else 3
        told = (
            f"It was tuned to answer from evidence: {count} numbered fact"
            f"{'' if count == 1 else 's'}, each on one line, then the question. Without evidence "
            "do not ask it."
            if model
            else "The base was not tuned; ragtune asks it for answers from evidence like this:"
        )
    else:
        form, told = "{question, on one line}", "It was tuned to answer without documents."
    shown = "\n".join(f"{m.role}: {m.content}" for m in sample)
    return (
        f"## The prompt\n\n{told} What it writes may be wrong: in ragtune every sentence is "
        "checked against its source, an app must do that itself or say so.\n\n"
        f"```\nsystem: {_system(model)}\nuser: {form}\n```\n\nrendered with the chat template of "
        "the model"
        + (f". For example:\n\n```\n{_fenced(shown)}\n```" if shown else ".")
        + "\n\nText of users and documents goes on one line, and `<|` in it is broken up (`< |`), "
        "so that it cannot pose as another turn."
    )


def _system(model: Listed | None) -> str:
    closed = model is not None and model.passport is not None and model.passport.mode == "answers"
    return prompting.CLOSED if closed else prompting.SYSTEM


def _turns(sample: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in sample]


def _table(reports: Sequence[Part]) -> str:
    rows = [
        f"| {r.part} | {_WHAT[r.part]} | {r.precision} | {r.bytes / _MB:.1f} MB |" for r in reports
    ]
    return "\n".join(["| part | does | precision | size |", "|---|---|---|---|", *rows])


def measured(reports: Sequence[Part], questions: Questions | None) -> str:
    """The parity lines."""
    lines = [f"- {r.line} ({r.runtime})." for r in reports]
    asked = (
        f"Questions: {len(questions.texts)}, from {questions.source}. "
        if questions and questions.texts else ""
    )  # fmt: skip
    return (
        "## Compared with the workspace\n\n" + "\n".join(lines) + f"\n\n{asked}All figures and "
        "what was required of them are in `parity.json`."
    )


def _kotlin() -> str:
    return f"WordPiece.kt:\n\n```kotlin\n{_text('wordpiece.kt')}\n```\n\n{_text('kotlin.md')}"


def _text(name: str) -> str:
    return files("ragtune").joinpath("export/templates", name).read_text("utf-8").strip()


def _fenced(text: str) -> str:
    """Text of documents inside a fence: it cannot end the fence."""
    return text.replace("```", "'''")
