"""What an export says about itself: parity.json for programs, a line for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ragtune.export import served
from ragtune.export.answers import Questions, Same
from ragtune.export.served import Compared
from ragtune.tune import parity

FILE = "parity.json"
_PACKAGES = ("ragtune", "onnxruntime", "onnxruntime-genai", "xllamacpp", "tokenizers")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an export against the workspace, as it passed.

    `figures` are what was measured, `required` the least or most that is allowed (by the same
    names); `differing` some questions with the workspace's answer and the export's.
    """

    part: str
    precision: str
    runtime: str
    bytes: int
    line: str
    figures: Mapping[str, float]
    required: Mapping[str, float]
    differing: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that was written: where, how large (bytes), and what was measured.

    `parity` is that of tokens against the trainer, where there is one, for a single generator.
    """

    path: str
    format: str
    type: str
    bytes: int
    parity: parity.Parity | None = None
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()
    questions: Questions | None = field(default=None)


def generator(kind: str, name: str, size: int, found: Compared) -> Part:
    """The report of a generator."""
    figures: dict[str, float] = {}
    limits = parity.LIMITS[kind]
    required: dict[str, float] = {}
    said = []
    for against, one, more in (
        ("trainer", found.trained, 0.0),
        ("workspace", found.served, served.BOTH_ROUND),
    ):
        if one is None:
            continue
        figures |= {f"{key}_{against}": float(value) for key, value in asdict(one).items()}
        most = limits.floor + limits.share * one.effect + more
        required |= {f"agreement_{against}": limits.agreement, f"divergence_{against}": most}
        if not more:
            required[f"spread_{against}"] = limits.spread
        said.append(
            f"{one.agreement:.1%} of {one.positions} next tokens as the {against}'s "
            f"(divergence {one.divergence:.4f}"
            + (f" of {one.effect:.3f} that tuning made)" if one.effect else ")")
        )
    if found.tokenized is not None:
        figures["prompts_tokenized_as_trained"] = found.tokenized / max(1, found.prompts)
    said += same_line(found.same, figures)
    if found.same is not None:
        required["same_answers"] = found.least_same(kind)
    differing = found.same.differing if found.same else ()
    line = f"{name}: " + "; ".join(said)
    return Part("generator", kind.removeprefix("onnx "), found.runtime, size, line, figures,
                required, differing)  # fmt: skip


def same_line(same: Same | None, figures: dict[str, float]) -> list[str]:
    """Puts same answers into `figures`; what a person is told about them."""
    if same is None:
        return ["no answers compared: the workspace has no documents and no held-out examples"]
    figures |= {"questions": float(same.asked), "same_answers": same.share}
    return [f"{same.same} of {same.asked} questions get the workspace's very answer"]


def write(
    path: Path, format: str, parts: Sequence[Part], questions: Questions | None,
    notes: Sequence[str] = (),
) -> None:  # fmt: skip
    """Writes parity.json to `path`."""
    whole: dict[str, Any] = {
        "format": format,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "questions": {
            "asked": len(questions.texts) if questions else 0,
            "from": questions.source if questions else "none",
        },
        "parts": [asdict(part) for part in parts],
        "notes": list(notes),
    }
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")


def versions() -> dict[str, str]:
    """Of the packages that an export was made and measured with, as far as they are here."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
