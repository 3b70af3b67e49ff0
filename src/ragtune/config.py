"""The only reader of `ragtune.toml` and of the environment.

One dataclass, `Settings`, is the whole list: it makes the commented file that `ragtune init`
writes, the check of what a user wrote, and the table in `docs/settings.md`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ragtune.errors import ConfigError, WorkspaceError

FILE_NAME = "ragtune.toml"
DATA_FOLDER = ".ragtune"


def _setting(default: Any, section: str, help: str) -> Any:
    return field(default=default, metadata={"section": section, "help": help})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, with its default. Keys in `ragtune.toml` are `[section] name`."""

    # -- index
    embedder: str = _setting(
        "all-minilm-l6-v2",
        "index",
        "Embedding model: all-minilm-l6-v2, or the path of a folder with model.onnx and "
        "tokenizer.json. Changing it re-embeds everything at the next sync.",
    )
    passage_tokens: int = _setting(
        180, "index", "Largest passage, in the embedder's tokens, with its heading path."
    )
    exclude: tuple[str, ...] = _setting(
        (), "index", 'Glob patterns of paths that are never read, as "*.bak" or "drafts/*".'
    )
    follow_links: bool = _setting(
        False, "index", "Follow symbolic links that lead out of an added folder."
    )
    max_file_mb: int = _setting(200, "index", "Larger files are reported, not read (MiB).")
    parse_seconds: int = _setting(120, "index", "A file that takes longer to read is quarantined.")
    parse_memory_mb: int = _setting(
        2048, "index", "A file that needs more memory to read is quarantined (MiB)."
    )
    workers: int = _setting(0, "index", "Reader processes; 0 means one per core, at most 4.")
    fresh: Literal["auto", "always", "never"] = _setting(
        "auto",
        "index",
        "Look for changed files before each question: always, never, or auto (as always, but a "
        "look that takes more than 0.5 s is made again only after 20 times as long; `ragtune "
        "watch` keeps such folders current).",
    )
    # -- search
    k: int = _setting(10, "search", "How many hits `ragtune search` shows.")
    candidates: int = _setting(100, "search", "Passages taken from each index before fusion.")
    segment_tokens: int = _setting(
        300, "search", "Neighbouring hits are joined into one segment up to this many tokens."
    )
    reranker: str = _setting(
        "", "search", "Path of a cross-encoder folder (model.onnx, tokenizer.json); empty: none."
    )
    reader: str = _setting(
        "on",
        "search",
        "Reads the best sentences together with the question: which answers, with which words, or "
        "none. on (the workspace's own where tuned, else the shipped one), off, or the path of a "
        "folder with delta.safetensors.",
    )
    # -- answer
    answer: Literal["quote", "write"] = _setting(
        "quote",
        "answer",
        "quote: the evidence verbatim. write: a model writes from the evidence and every sentence "
        "is checked against it.",
    )
    quotes: int = _setting(2, "answer", "At most this many quotes in an answer.")
    quote_words: int = _setting(120, "answer", "Longest quote, in words.")
    evidence_sentences: int = _setting(
        3, "answer", "How many evidence sentences a writing model gets."
    )
    threshold: float = _setting(
        -1.0,
        "answer",
        "Decline below this support score, from 0 (never) to 1; -1 takes the calibrated value.",
    )
    # -- generator
    generator: Literal["embedded", "openai"] = _setting(
        "embedded",
        "generator",
        "embedded: llama.cpp in this process. openai: any OpenAI-compatible endpoint.",
    )
    model: str = _setting(
        "smollm2-135m-instruct",
        "generator",
        "For embedded: smollm2-135m-instruct or the path of a GGUF file. For openai: the "
        "endpoint's model name.",
    )
    base_url: str = _setting(
        "http://127.0.0.1:11434/v1", "generator", "For openai: the endpoint (here: Ollama's)."
    )
    api_key_env: str = _setting(
        "OPENAI_API_KEY",
        "generator",
        "For openai: the environment variable that holds the key. Keys are never stored.",
    )
    context_tokens: int = _setting(4096, "generator", "Context window of the embedded model.")
    max_tokens: int = _setting(256, "generator", "Longest written answer, in tokens.")
    temperature: float = _setting(0.0, "generator", "0 decodes greedily.")
    seed: int = _setting(0, "generator", "Seed for temperatures above 0.")
    threads: int = _setting(0, "generator", "Threads for models; 0 means one per core.")


_HINTS = get_type_hints(Settings)


def cores() -> int:
    """Cores that this process may use: a container can have fewer than the machine."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def home() -> Path:
    """The user's cache of model weights: `RAGTUNE_HOME`, by default `~/.cache/ragtune`."""
    return Path(os.environ.get("RAGTUNE_HOME") or Path.home() / ".cache" / "ragtune")


def offline() -> bool:
    """Whether `RAGTUNE_OFFLINE=1` forbids obtaining weights."""
    return os.environ.get("RAGTUNE_OFFLINE", "") not in ("", "0")


def no_colour() -> bool:
    """Whether `NO_COLOR` (no-color.org) asks for output without colours."""
    return bool(os.environ.get("NO_COLOR"))


def progress_as_json() -> bool:
    """Whether `RAGTUNE_PROGRESS=json` asks for progress as JSON Lines on standard error."""
    return os.environ.get("RAGTUNE_PROGRESS") == "json"


def secret(variable: str) -> str | None:
    """The value of an environment variable that holds a key."""
    return os.environ.get(variable) or None


def find_workspace(start: Path) -> Path:
    """The nearest folder from `start` upwards with a `ragtune.toml`. Raises WorkspaceError."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder
    raise WorkspaceError(
        f"no workspace in {start} or above it: run `ragtune init` there, or use --workspace DIR"
    )


def load(folder: Path) -> Settings:
    """Settings of the workspace in `folder`; what the file leaves out has its default."""
    path = folder / FILE_NAME
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise WorkspaceError(f"no {FILE_NAME} in {folder}: run `ragtune init {folder}`") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    by_section: dict[str, set[str]] = {}
    for item in fields(Settings):
        by_section.setdefault(item.metadata["section"], set()).add(item.name)
    values: dict[str, Any] = {}
    for section, entries in table.items():
        if section not in by_section or not isinstance(entries, dict):
            raise ConfigError(
                f"{path}: unknown section or key {section!r}; sections are "
                + ", ".join(f"[{name}]" for name in by_section)
            )
        for name, value in entries.items():
            if name not in by_section[section]:
                raise ConfigError(
                    f"{path}: unknown key {name!r} in [{section}]; keys are "
                    + ", ".join(sorted(by_section[section]))
                )
            values[name] = value
    return change(Settings(), values, f"{path}: ")


def change(settings: Settings, values: Mapping[str, Any], where: str = "") -> Settings:
    """`settings` with `values` checked and put in. Raises ConfigError."""
    checked = {name: _check(name, value, where) for name, value in values.items()}
    return replace(settings, **checked)


def _check(name: str, value: Any, where: str) -> Any:
    if name not in _HINTS:
        raise ConfigError(f"{where}unknown setting {name!r}")
    hint = _HINTS[name]
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            allowed = ", ".join(map(str, get_args(hint)))
            raise ConfigError(f"{where}{name} = {value!r}: must be one of {allowed}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise ConfigError(f"{where}{name} = {value!r}: must be a list of texts")
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ConfigError(f"{where}{name} = {value!r}: must be of type {hint.__name__}")
    low, high = _RANGES.get(name, (None, None))
    if (low is not None and value < low) or (high is not None and value > high):
        raise ConfigError(f"{where}{name} = {value!r}: must be between {low} and {high}")
    return value


_RANGES: dict[str, tuple[float, float]] = {
    "passage_tokens": (16, 8192),
    "max_file_mb": (1, 1 << 20),
    "parse_seconds": (1, 86_400),
    "parse_memory_mb": (256, 1 << 20),
    "workers": (0, 64),
    "k": (1, 1000),
    "candidates": (1, 10_000),
    "segment_tokens": (16, 100_000),
    "quotes": (1, 20),
    "quote_words": (5, 5000),
    "evidence_sentences": (1, 50),
    "threshold": (-1.0, 1.0),
    "context_tokens": (512, 1 << 20),
    "max_tokens": (1, 1 << 16),
    "temperature": (0.0, 5.0),
    "seed": (0, 2**31 - 1),
    "threads": (0, 512),
}


def template() -> str:
    """The text of a new `ragtune.toml`: every setting, commented out at its default."""
    lines = [
        "# ragtune workspace. Every setting is listed with its default;",
        "# take away the '#' in front of a key to change it.",
    ]
    section = ""
    for item in fields(Settings):
        if item.metadata["section"] != section:
            section = item.metadata["section"]
            lines += ["", f"[{section}]"]
        lines += [f"# {text}" for text in _wrap(item.metadata["help"])]
        lines += [f"# {item.name} = {_toml(item.default)}", ""]
    return "\n".join(lines).rstrip() + "\n"


def _wrap(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 96)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def settings_table() -> str:
    """All settings as the Markdown tables of `docs/settings.md`."""
    lines: list[str] = []
    section = ""
    for item in fields(Settings):
        if item.metadata["section"] != section:
            section = item.metadata["section"]
            lines += [
                "",
                f"## [{section}]",
                "",
                "| key | default | what it does |",
                "|---|---|---|",
            ]
        lines.append(f"| `{item.name}` | `{_toml(item.default)}` | {item.metadata['help']} |")
    return "\n".join(lines).strip() + "\n"


if __name__ == "__main__":  # python -m ragtune.config > docs/settings.md
    import sys

    sys.stdout.write("# Settings of ragtune.toml\n\n" + settings_table())
