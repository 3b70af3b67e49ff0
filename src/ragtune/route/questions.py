"""Labelled questions from a file: JSON Lines or CSV with a text and an intent on each row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragtune.errors import DocumentError, TuneError
from ragtune.ingest.parse.decode import decode
from ragtune.models.router import MAX_CHARACTERS, OUTSIDE

TEXT = ("text", "question", "utterance", "query")
INTENT = ("intent", "label", "category")
_MAX_BYTES = 200 << 20
_MAX_INTENT = 200


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its intent; "oos" means out of scope."""

    text: str
    intent: str

    @property
    def outside(self) -> bool:
        """Whether it is out of scope."""
        return self.intent == OUTSIDE


def read_questions(path: Path) -> list[Question]:
    """The rows of a file in their order. Raises TuneError with the line that is wrong."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise TuneError(f"{path} is larger than {_MAX_BYTES >> 20} MiB")
        text = decode(path.read_bytes())
    except OSError as error:
        raise TuneError(f"cannot read {path}: {error.strerror}") from None
    except DocumentError as error:
        raise TuneError(f"{path}: {error}") from None
    first = text.lstrip()[:1]
    if not first:
        raise TuneError(f"{path} is empty: a row needs a text and an intent")
    if first == "[":
        raise TuneError(f"{path}: write one JSON object on each line, not a list of them")
    rows = _jsonl(path, text) if first == "{" else _csv(path, text)
    questions = [_question(path, line, row) for line, row in rows]
    if not questions:
        raise TuneError(f"{path} holds no questions: a row needs a text and an intent")
    return questions


def _jsonl(path: Path, text: str) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TuneError(f"{path}, line {number}: not JSON: {str(error)[:100]}") from None
        if not isinstance(row, dict):
            raise TuneError(f"{path}, line {number}: must be a JSON object")
        yield number, row


_LONGEST = 100_000  # characters of a cell


def _csv(path: Path, text: str) -> Iterator[tuple[int, dict[str, object]]]:
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if not set(names) & set(TEXT) or not set(names) & set(INTENT):
            shown = ", ".join(names)[:80]
            raise TuneError(
                f"{path}: the first line must name the columns text and intent (or "
                f"question and label), not: {shown}"
            )
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if max(map(len, cells)) > _LONGEST:  # csv's own limit is one for the whole process
                raise TuneError(f"{path}, line {reader.line_num}: not CSV: a cell without an end")
            if len(cells) != len(names):
                raise TuneError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells where the first line has "
                    f"{len(names)}: put texts that hold a {delimiter!r} in quotation marks"
                )
            yield reader.line_num, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise TuneError(f"{path}, line {reader.line_num}: not CSV: {error}") from None


def _question(path: Path, line: int, row: dict[str, object]) -> Question:
    def cell(names: Sequence[str]) -> str:
        for name in names:
            value = row.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)  # labels are often numbers
            if isinstance(value, str) and value.strip():
                return value.encode("utf-8", "replace").decode("utf-8").strip()
        raise TuneError(f'{path}, line {line}: no "{names[0]}" in this row')

    text, intent = cell(TEXT)[:MAX_CHARACTERS], cell(INTENT)
    if len(intent) > _MAX_INTENT or not intent.isprintable():
        raise TuneError(
            f"{path}, line {line}: an intent is a short name on one line, not {intent[:40]!r}"
        )
    return Question(text, intent)
