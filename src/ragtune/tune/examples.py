"""A company's examples: read from a file in any common shape, or stopped with a reason.

    file ─▶ rows (rows.py) ─▶ shape, columns, turns (shapes.py) ─▶ Examples ─▶ doubts: stop or not

What would train the wrong thing without anybody noticing (roles swapped, the context in place of
the answer) is a TuneError that names rows and says what to do. Naming columns explicitly says
that they are meant: then the same doubts become notes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ragtune.errors import TuneError
from ragtune.tune import shapes
from ragtune.tune.row_files import Row, Rows
from ragtune.tune.rows import read_rows
from ragtune.tune.shapes import RoleError, RowError, Shape
from ragtune.types import Example

FIXED = 0.2  # a sentence that stands in this share of the answers is part of the company's form


@dataclass(frozen=True, slots=True)
class Understood:
    """How a source was read.

    `columns` says which column became which field (`question`, `answer`, …). `rows` counts all
    rows, used or not; `unit` says what their numbers are: "line" of a text file, or "row". `sure`
    is from 0 to 1; `notes` say what a person should look at.
    """

    format: str
    shape: str
    columns: Mapping[str, str]
    ignored: tuple[str, ...]
    rows: int
    unit: str
    sure: float
    notes: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    split: str = ""


@dataclass(frozen=True, slots=True)
class ExampleSet:
    """Examples with how they were understood and which rows give none, with the reason.

    `unreviewed` are the rows that say `"reviewed": false`, as drafts of `examples build` do.
    """

    examples: tuple[Example, ...]
    understood: Understood
    left_out: tuple[tuple[int, str], ...] = ()
    unreviewed: tuple[int, ...] = ()


def read_examples(
    path: Path, columns: Mapping[str, str] | None = None, split: str = ""
) -> ExampleSet:
    """The examples of a file or dataset folder. Raises TuneError in one line.

    Formats: JSON Lines, JSON, CSV or TSV, Parquet, Arrow (each also with gzip where it is text), a
    Hugging Face dataset saved to disk, or a folder of data files by split. Shapes:
    question/answer, instruction/input/output, prompt/completion (texts or messages), messages,
    ShareGPT conversations, and common other names. `columns` (field: column) names what is meant,
    where names do not say it; `split` chooses one of a folder (default "train").

    A conversation gives one example: its last assistant turn is the answer, what was before is
    `system` and `history`. A row without question or answer is left out with its reason; roles
    that look swapped, unknown roles, and an answer column that looks like the context stop.
    """
    rows = read_rows(path, split)
    given = dict(columns or {})
    if not rows.rows:
        raise TuneError(f"{path}: no example{_reasons(rows.bad, rows.unit)}")
    shape = shapes.choose(rows, given, str(path))
    left_out = list(rows.bad)
    examples: list[Example] = []
    used: list[Row] = []
    unreviewed: list[int] = []
    unknown: dict[str, list[int]] = {}
    for row, number in zip(rows.rows, rows.numbers, strict=True):
        try:
            examples.append(shapes.example(row, number, shape))
        except RoleError as error:
            unknown.setdefault(error.role, []).append(number)
        except RowError as error:
            left_out.append((number, str(error)))
        else:
            used.append(row)
            if shapes.unreviewed(row, shape):
                unreviewed.append(number)
    if unknown:
        role, at = next(iter(unknown.items()))
        raise TuneError(
            f"{path}: unknown role {role!r} ({_rows(at, rows.unit)}): rename it to system, user "
            "or assistant"
        )
    notes: list[str] = []
    doubts = [_gpt_first(rows, shape)]
    if examples:
        doubts += [_swapped(examples, rows.unit), _context(examples, used, shape, rows.unit)]
    for doubt in filter(None, doubts):
        if "question" not in given or "answer" not in given:
            raise TuneError(f"{path}: {doubt}")
        notes.append(f"columns were named, so this does not stop: {doubt}")
    if not examples:
        raise TuneError(f"{path}: no example is left{_reasons(left_out, rows.unit)}")
    notes += _notes(examples, rows, shape)
    understood = Understood(
        rows.format, shape.name, shape.columns, shape.ignored, len(rows.rows) + len(rows.bad),
        rows.unit, shape.sure, tuple(notes), rows.splits, rows.split,
    )  # fmt: skip
    return ExampleSet(tuple(examples), understood, tuple(sorted(left_out)), tuple(unreviewed))


def _notes(examples: Sequence[Example], rows: Rows, shape: Shape) -> list[str]:
    notes = []
    if shape.sure < 0.8:
        pairs = ", ".join(f"{f} = {c!r}" for f, c in shape.columns.items())
        notes.append(f"the names leave doubt, read as {pairs}: say it with --column FIELD=COLUMN")
    earlier = sum(m.role == "assistant" for e in examples for m in e.history)
    if earlier:
        notes.append(
            f"{earlier:,} earlier assistant turns stand in the history as context; the last turn "
            "of each conversation is trained"
        )
    others = [s for s in rows.splits if s != rows.split]
    if others:
        notes.append(f"split {rows.split!r} was read; there are also {', '.join(others)}")
    return notes


def _rows(numbers: Sequence[int], unit: str, most: int = 5) -> str:
    """'lines 3, 7 and 12 more'."""
    shown = ", ".join(map(str, numbers[:most]))
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return f"{unit}{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _reasons(left_out: Sequence[tuple[int, str]], unit: str) -> str:
    shown = "; ".join(f"{unit} {number}: {why}" for number, why in left_out[:3])
    more = f"; and {len(left_out) - 3} more" if len(left_out) > 3 else ""
    return f" ({shown}{more})" if shown else ""


# ---------------------------------------------------------------- doubts that stop

_ASKS = re.compile(
    r"\s*(?:(?:who|what|when|where|why|how|which|whose|can|could|may|do|does|did|is|are|am|was|"
    r"were|will|would|should|has|have|wer|was|wann|wo|warum|wie|welche[rs]?|kann|darf)\b)",
    re.I,
)
_ABOUT_QUESTIONS = re.compile(r"\b(?:questions?|quiz|frage|ask|rephrase|rewrite|translate)\b", re.I)


def asks(text: str) -> bool:
    """Whether a text looks like a question: it ends with a question mark."""
    return text.rstrip("\"'”’)» \n").endswith(("?", "？"))


def _swapped(examples: Sequence[Example], unit: str) -> str | None:
    """Roles swapped: answers are questions while questions are not.

    Judged over the file, not by row, since an assistant may well ask back. Prompts that ask for
    questions ("Write a question about …") are left out of the judgement.
    """
    judged = [e for e in examples if not _ABOUT_QUESTIONS.search(e.question[:400])]
    if len(judged) < 2:
        return None
    odd = [e.row for e in judged if asks(e.answer) and not asks(e.question)]
    right = sum(
        (asks(e.question) or bool(_ASKS.match(e.question))) and not asks(e.answer) for e in judged
    )
    if len(odd) < 0.5 * len(judged) or right > 0.2 * len(judged):
        return None
    return (
        f"{len(odd):,} of {len(examples):,} answers are questions and their questions are not "
        f"({_rows(odd, unit)}): the roles look swapped; swap them, or if this is meant name both "
        "columns: --column question=… --column answer=…"
    )


def _gpt_first(rows: Rows, shape: Shape) -> str | None:
    """Roles swapped in conversations: they begin with the assistant and end with the user."""
    column = shape.columns.get("messages")
    if column is None:
        return None
    wrong: list[int] = []
    judged = 0
    for row, number in zip(rows.rows, rows.numbers, strict=True):
        ends = shapes.ends(row.get(column))
        judged += ends is not None
        if ends == ("assistant", "user"):
            wrong.append(number)
    if not wrong or len(wrong) < 0.2 * judged:
        return None
    return (
        f"{len(wrong):,} of {judged:,} conversations begin with the assistant and end with the "
        f"user ({_rows(wrong, rows.unit)}): the roles look swapped; swap them"
    )


def _context(
    examples: Sequence[Example], used: Sequence[Row], shape: Shape, unit: str
) -> str | None:
    """The answer column looks like the context that questions were asked about."""
    if "answer" not in shape.columns:
        return None
    column = shape.columns["answer"]
    what = f"the column {column!r} looks like the context, not the answer"
    advice = "name the right one: --column answer=COLUMN"
    same = [
        e.row for e in examples
        if len(e.answer) > 80 and any(e.answer == g.quote.strip() for g in e.evidence)
    ]  # fmt: skip
    if len(same) >= 2 and len(same) >= 0.3 * len(examples):
        return f"{what}: it equals the evidence ({_rows(same, unit)}); {advice}"
    for other in shape.ignored:
        texts = [v.strip() if isinstance(v := row.get(other), str) else "" for row in used]
        equal = [e.row for e, t in zip(examples, texts, strict=True) if e.answer == t]
        named = re.search(r"context|document|passage|source|article", other, re.I)
        if named and len(equal) >= 2 and len(equal) >= 0.3 * len(examples):
            return f"{what}: it equals {other!r} ({_rows(equal, unit)}); {advice}"
        held = [
            e.row for e, t in zip(examples, texts, strict=True)
            if len(t) > 2 and len(e.answer) > 300 and len(t) < 0.2 * len(e.answer)
            and t in e.answer
        ]  # fmt: skip
        if len(held) >= 2 and len(held) >= 0.6 * len(examples) and len(set(texts)) > len(texts) / 3:
            return (
                f"{what}: it is long and holds the texts of {other!r} ({_rows(held, unit)}); "
                f"--column answer={other}"
            )
    long = [e for e in examples if len(e.answer) > 300]
    times = Counter(e.answer for e in long)
    asked = {(e.question, e.answer) for e in long}
    shared = [e.row for e in long if times[e.answer] > 1 and len(asked) > len(times)]
    distinct = len({e.answer for e in long})
    if len(shared) >= 3 and len(shared) >= 0.5 * len(examples) and distinct > 1:
        return f"{what}: several questions share one long text ({_rows(shared, unit)}); {advice}"
    quoted = [
        e for e in examples
        if len(e.answer) > 600 and e.evidence
        and all(g.quote in e.answer and 5 * len(g.quote) < len(e.answer) for g in e.evidence)
    ]  # fmt: skip
    if len(quoted) >= 2 and len(quoted) >= 0.6 * len(examples):
        middle = median(len(e.answer) for e in quoted)
        return (
            f"{what}: it is long ({middle:.0f} characters) and holds the evidence word for word "
            f"({_rows([e.row for e in quoted], unit)}); {advice}"
        )
    return None


# ---------------------------------------------------------------- the company's form


def fixed_sentences(answers: Sequence[str], share: float = FIXED) -> tuple[str, ...]:
    """Sentences and lines that stand in at least `share` of the answers, most frequent first.

    They are the company's form (greeting, sign-off): they claim nothing about the documents. Each
    is counted once an answer, with blanks made one; fewer than 5 answers have no form.
    """
    from ragtune.sentences import sentences

    if len(answers) < 5:
        return ()
    counts: Counter[str] = Counter()
    for answer in answers:
        parts: set[str] = set()
        for line in answer.splitlines():
            flat = " ".join(line.split())
            if not flat:
                continue
            parts.add(flat)
            spans = sentences(flat, 0, len(flat), ())
            if len(spans) > 1:
                parts |= {flat[start:end] for start, end in spans}
        counts.update(part for part in parts if any(map(str.isalpha, part)))
    least = max(3, share * len(answers))
    found = [(part, n) for part, n in counts.items() if n >= least]
    return tuple(part for part, _ in sorted(found, key=lambda item: (-item[1], item[0])))
