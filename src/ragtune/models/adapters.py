"""The registry of tuned adapters: one folder each, with a passport; which one is in use.

    .ragtune/adapters/
      active.json          {"adapter": "crew-2", "previous": ["crew-1", null]}
      crew-2/
        passport.json      what it was made from and how, its scores; written last
        adapter.gguf       what llama.cpp loads beside the base
        peft/              adapter_config.json, adapter_model.safetensors
        curve.png, log.jsonl, samples.json

A folder without a passport is a run that has not ended: nothing serves it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ragtune.errors import TuneError
from ragtune.types import Adapter

FOLDER = "adapters"  # in the workspace's data folder


@dataclass(frozen=True, slots=True)
class Passport:
    """Everything that says what an adapter is and lets one make it again.

    `curve` holds (step, training loss, held-out loss or None); `scores` figures with their names
    as shown; `split` numbers of examples; `parity` what the exported file was checked for.
    """

    name: str
    mode: Literal["answers", "grounded"]
    base: str
    base_sha256: str
    data_sha256: str
    template_sha256: str
    sha256: str  # of adapter.gguf
    created: str  # ISO 8601, UTC
    seed: int
    sentences: int = 1
    fixed: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    split: Mapping[str, int] = field(default_factory=dict)
    curve: tuple[tuple[int, float, float | None], ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    parity: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def write_passport(folder: Path, passport: Passport) -> None:
    """Puts the passport into `folder`, whole or not at all."""
    path = folder / "passport.json"
    made = folder / "passport.json.new"
    made.write_text(json.dumps(asdict(passport), indent=1, ensure_ascii=False) + "\n", "utf-8")
    made.replace(path)


def read_passport(folder: Path) -> Passport:
    """The passport in `folder`. Raises TuneError where there is none or it is damaged."""
    path = folder / "passport.json"
    try:
        values = json.loads(path.read_text("utf-8"))
        values["fixed"] = tuple(values.get("fixed", ()))
        values["notes"] = tuple(values.get("notes", ()))
        values["curve"] = tuple(tuple(point) for point in values.get("curve", ()))
        return Passport(**values)
    except OSError:
        raise TuneError(f"no trained model in {folder}: see `ragtune models`") from None
    except (ValueError, TypeError) as error:
        raise TuneError(f"{path} is damaged: {error}: `ragtune models rm` removes it") from None


def adapter(folder: Path) -> Adapter:
    """What serving needs of the adapter in `folder`."""
    passport = read_passport(folder)
    return Adapter(
        passport.name,
        str(folder / "adapter.gguf"),
        passport.mode,
        passport.base_sha256,
        passport.sentences,
        passport.fixed,
    )
