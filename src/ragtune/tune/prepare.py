"""From a file of examples to what is trained and what is held out, as conversations.

FILE ─▶ read ─▶ check ─▶ hold out ─▶ prompts as serving renders them ─▶ tokens with their mask
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ragtune import prompting
from ragtune.config import Settings
from ragtune.errors import TuneError
from ragtune.protocols import System
from ragtune.tune import chat, check, grounded
from ragtune.tune.chat import Encoded
from ragtune.tune.examples import ExampleSet, read_examples
from ragtune.tune.split import TRAINED, hold_out
from ragtune.types import Example, Message, OnProgress

Mode = Literal["answers", "grounded"]


@dataclass(frozen=True, slots=True)
class Row:
    """An example with the prompt that its answer is trained on, and how both are tokenized."""

    example: Example
    messages: tuple[Message, ...]
    answer: str
    encoded: Encoded


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run trains on. `notes` are lines for a person: what was left out and why."""

    train: tuple[Row, ...]
    heldout: tuple[Row, ...]
    fixed: tuple[str, ...]  # the company's form
    sentences: int  # facts in each prompt; 0 for closed book
    sha256: str  # of the rows as they are trained, the held-out ones included
    notes: tuple[str, ...]


def read(
    file: Path, heldout: Path | None, columns: Mapping[str, str] | None, seed: int
) -> tuple[ExampleSet, list[Example], list[Example], list[str]]:
    """Examples of `file`, checked, as (set, to train, held out, notes).

    Without a file of held-out examples some are held out by source document. Raises TuneError
    where the check finds what must stop a training.
    """
    found = read_examples(file, columns)
    other = read_examples(heldout, columns) if heldout else None
    report = check.check(found, other)
    stops = [f for f in report.findings if f.severity == "stop"]
    if stops:
        first = stops[0]
        more = f" (and {len(stops) - 1} more)" if len(stops) > 1 else ""
        raise TuneError(
            f"{file}: {first.message}: {first.advice}{more}; see `ragtune examples check {file}`"
        )
    notes = [f"{f.message}: {f.advice}" for f in report.findings if f.severity == "warning"]
    if other is not None:
        train, held = list(found.examples), list(other.examples)
    else:
        train, held = hold_out(found.examples, seed)
    if len(train) < TRAINED:
        raise TuneError(
            f"{file}: {len(train)} examples to train on after {len(held)} are held out: at least "
            f"{TRAINED} are needed, and from about 100 on the result is worth it"
        )
    return found, train, held, notes


def prepare(
    train: Sequence[Example],
    heldout: Sequence[Example],
    mode: Mode,
    tokenizer: Any,
    max_tokens: int,
    workspace: tuple[System, Settings] | None,
    on_progress: OnProgress | None = None,
) -> Prepared:
    """Renders every example's prompt as serving does, and tokenizes it.

    Mode "grounded" needs the workspace's system and settings: the evidence comes from its own
    search. Raises TuneError where nothing is left to train on.
    """
    fixed = grounded.fixed_lines(train)
    notes: list[str] = []
    parts: list[list[tuple[Example, tuple[Message, ...], str]]]
    if mode == "grounded":
        if workspace is None:
            raise TuneError("mode grounded needs a workspace with documents")
        system, settings = workspace
        made = [
            grounded.grounded_examples(part, system, settings, fixed=fixed, on_progress=on_progress)
            for part in (train, heldout)
        ]
        for name, one in zip(("training", "held-out"), made, strict=True):
            notes += [f"{n} {name} examples left out: {why}" for why, n in one.left_out.items()]
        parts = [[(r.example, r.messages, r.answer) for r in one.rows] for one in made]
    else:
        parts = [
            [(e, tuple(prompting.closed_book(e.question, e.history)), e.answer) for e in part]
            for part in (train, heldout)
        ]
    if len(parts[0]) < TRAINED:
        reasons = "; ".join(notes) or "none was left"
        raise TuneError(
            f"only {len(parts[0])} examples can be trained in mode {mode} ({reasons}): name "
            'evidence ("document" and "quote") that stands in the indexed documents, or use '
            "--mode answers"
        )
    rows: list[tuple[Row, ...]] = []
    for part in parts:
        encoded, note = chat.encode_all([(m, a) for _, m, a in part], tokenizer, max_tokens)
        notes += [note] if note else []
        rows.append(
            tuple(
                Row(example, messages, answer, tokens)
                for (example, messages, answer), tokens in zip(part, encoded, strict=True)
                if tokens is not None
            )
        )
    sentences = 1 if mode == "grounded" else 0
    return Prepared(rows[0], rows[1], fixed, sentences, _sha256(rows), tuple(notes))


def without(prepared: Prepared, unknown: Sequence[Example]) -> Prepared:
    """`prepared` without these training examples. Raises TuneError where too few are left."""
    kept = tuple(row for row in prepared.train if row.example not in unknown)
    if len(kept) < TRAINED:
        raise TuneError(
            f"only {len(kept)} examples are left without the facts that the base does not know: "
            "leave --facts skip away, or use --mode grounded, where the documents give the facts"
        )
    return replace(prepared, train=kept, sha256=_sha256([kept, prepared.heldout]))


def _sha256(parts: Sequence[Sequence[Row]]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        for row in part:
            turns = [asdict(m) for m in row.messages]
            whole.update(json.dumps([turns, row.answer], ensure_ascii=False).encode())
        whole.update(b"\n--\n")
    return whole.hexdigest()
