"""The examples of a workspace, as people edit them on a page: `.ragtune/examples.jsonl`.

A row is what `ragtune tune` takes (`id`, `question`, `answer`, `evidence`, `kind`, …). An id is
made from question and answer, so that adding the same twice changes nothing. What readers propose
by correcting an answer is kept with `"reviewed": false` and trains nothing before an editor has
looked at it.

Feedback is kept beside it in `feedback.jsonl`, the last word of each person on each answer.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ragtune import config
from ragtune.errors import DocumentError, TuneError
from ragtune.types import Example

FILE, FEEDBACK = "examples.jsonl", "feedback.jsonl"
MOST = 20_000  # rows of a workspace

Row = dict[str, Any]


def identity(*texts: str) -> str:
    """An id that the same texts always get."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Rows:
    """A file of JSON Lines with ids, changed as a whole; safe among threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._threads = threading.Lock()
        self._read: tuple[tuple[int, int, int], list[Row]] | None = None

    def all(self) -> list[Row]:
        """The rows in their order; not to be changed. A line that is no row is passed over."""
        try:
            found = os.stat(self.path)
        except OSError:
            return []
        state = (found.st_mtime_ns, found.st_size, found.st_ino)
        kept = self._read
        if kept is not None and kept[0] == state:
            return kept[1]
        rows = []
        for line in self.path.read_text("utf-8", "replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("id"), str):
                rows.append(row)
        self._read = (state, rows)
        return rows

    def get(self, id: str) -> Row:
        """The row of this id. Raises DocumentError."""
        for row in self.all():
            if row["id"] == id:
                return row
        raise DocumentError("no such example")

    def add(self, rows: Sequence[Row]) -> list[str]:
        """Puts rows at the end, but for ids that are there; the new ids. Raises TuneError."""
        added: dict[str, Row] = {}

        def change(now: list[Row]) -> list[Row]:
            known = {row["id"] for row in now}
            added.update((row["id"], row) for row in rows if row["id"] not in known)
            if len(now) + len(added) > MOST:
                raise TuneError(f"more than {MOST:,} examples: train from a file with ragtune tune")
            return [*now, *added.values()]

        self._change(change)
        return list(added)

    def put(self, id: str, row: Row) -> Row:
        """Replaces the row of this id in its place. Raises DocumentError."""

        def change(now: list[Row]) -> list[Row]:
            if all(one["id"] != id for one in now):
                raise DocumentError("no such example")
            return [row if one["id"] == id else one for one in now]

        self._change(change)
        return row

    def set(self, row: Row) -> bool:
        """Replaces the row of its id, or puts it at the end, and True."""
        new = True

        def change(now: list[Row]) -> list[Row]:
            nonlocal new
            new = all(one["id"] != row["id"] for one in now)
            return [*now, row] if new else [row if one["id"] == row["id"] else one for one in now]

        self._change(change)
        return new

    def remove(self, id: str) -> None:
        """Takes a row out. Raises DocumentError."""

        def change(now: list[Row]) -> list[Row]:
            left = [row for row in now if row["id"] != id]
            if len(left) == len(now):
                raise DocumentError("no such example")
            return left

        self._change(change)

    def _change(self, change: Callable[[list[Row]], list[Row]]) -> None:
        with self._alone():
            rows = change(self.all())
            made = self.path.with_suffix(".new")
            with made.open("w", encoding="utf-8") as file:
                file.write(lines(rows))
                file.flush()
                os.fsync(file.fileno())
            made.replace(self.path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._threads:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.with_suffix(".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield


class Examples:
    """The examples and the feedback of the workspace in `root`."""

    def __init__(self, root: Path) -> None:
        folder = root / config.DATA_FOLDER
        self.rows = Rows(folder / FILE)
        self.feedback = Rows(folder / FEEDBACK)

    def trainable(self, none: bool = False) -> list[Row]:
        """The rows that may be trained on. Raises TuneError where there are none, unless `none`."""
        found = [row for row in self.rows.all() if row.get("reviewed") is not False]
        if not found and not none:
            raise TuneError(
                "there are no examples yet: add some, or import a file (a training needs about 10, "
                "and 100 are worth it; about 60 questions tell approaches apart)"
            )
        return found


def lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """As the text of a JSON Lines file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def row_of(example: Example) -> Row:
    """An example that was read from a file, as a row."""
    row: Row = {
        "id": identity(example.question, example.answer),
        "question": example.question,
        "answer": example.answer,
        "system": example.system,
        "history": [{"role": m.role, "content": m.content} for m in example.history],
        "evidence": [{"document": g.document, "quote": g.quote} for g in example.evidence],
        "kind": example.kind,
        "must_contain": list(example.must_contain),
    }
    return {k: v for k, v in row.items() if v}
