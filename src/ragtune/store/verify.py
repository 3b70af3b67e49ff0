"""The proof that SQLite, the texts and both derived indexes say the same."""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragtune.store import lexical_files, schema, vectors
from ragtune.store.derived import LEXICAL, VECTORS, Views
from ragtune.store.text import text_hash

if TYPE_CHECKING:
    from ragtune.types import Vectors

MOST = 20  # problems of one kind are listed up to here, then counted


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` found: one line a problem, and how much was compared."""

    ok: bool
    problems: tuple[str, ...]
    counts: Mapping[str, int]


class _Problems:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._kinds: Counter[str] = Counter()

    def add(self, kind: str, what: str) -> None:
        self._kinds[kind] += 1
        if self._kinds[kind] <= MOST:
            self.lines.append(f"{what}: {kind}")

    def all(self) -> tuple[str, ...]:
        more = [f"{n - MOST} more: {kind}" for kind, n in self._kinds.items() if n > MOST]
        return tuple(self.lines + more)


def verify(
    folder: Path, reading: Callable[[], AbstractContextManager[sqlite3.Connection]], views: Views
) -> VerifyReport:
    """Reads everything and compares it.

    SQLite's own checks; each passage's span inside its document's text and saying what the passage
    says; the stored hash of what was embedded; a vector a passage and a passage a vector; the same
    passages, of the same documents, in both indexes; vectors equal in SQLite and in the vector
    file; every checksum of the derived files.
    """
    problems = _Problems()
    with reading() as db:
        for (line,) in db.execute("PRAGMA integrity_check"):
            if line != "ok":
                problems.add("SQLite's integrity check", str(line))
        for table, row, parent, _ in db.execute("PRAGMA foreign_key_check"):
            problems.add(f"row without its {parent}", f"{table} {row}")
        if not views.current(schema.stamp(db)):
            problems.add("behind SQLite", "the indexes")
        passages = _texts(db, problems)
        stored = _vectors(db, views.vectors, problems)
    _compare("vector", passages, {n: passages.get(n, 0) for n in stored}, problems)
    _compare("row in the vector file", passages, _rows(views.vectors, problems), problems)
    _compare("entry in the keyword index", passages, views.lexical.all_ids(), problems)
    try:
        lexical_files.check_files(folder / LEXICAL, {})
        vectors.load(folder / VECTORS)
    except (vectors.DamagedError, OSError) as error:
        problems.add("damaged", str(error))
    counts = {
        "documents": len(set(passages.values())),
        "passages": len(passages),
        "vectors": len(stored),
        "vector_rows": views.vectors.count,
        "keyword_entries": views.lexical.count,
    }
    found = problems.all()
    return VerifyReport(not found, found, counts)


def _texts(db: sqlite3.Connection, problems: _Problems) -> dict[int, int]:
    """Checks every passage against its document's text; passages with their documents."""
    passages: dict[int, int] = {}
    document, uri, text = -1, "", ""
    for number, of, start, end, heading, said, digest in db.execute(
        'SELECT id, document, start, "end", heading, text, hash FROM passages'
        " ORDER BY document, start"
    ):
        passages[number] = of
        if of != document:
            document = of
            row = db.execute(
                "SELECT d.uri, c.text FROM documents d LEFT JOIN contents c ON c.document = d.id"
                " WHERE d.id = ?",
                (of,),
            ).fetchone()
            uri = row[0] if row else f"document {of}"
            try:
                text = zlib.decompress(row[1]).decode() if row and row[1] is not None else ""
            except (zlib.error, ValueError):
                text = ""
                problems.add("its text cannot be read", uri)
        where = f"{uri}#{number}"
        if not 0 <= start < end <= len(text):
            problems.add("its span lies outside the text", where)
        elif text[start:end] != said:
            problems.add("its span no longer says what it said", where)
        if text_hash(heading, said) != digest:
            problems.add("its text is not what was embedded", where)
    return passages


def _vectors(db: sqlite3.Connection, view: vectors.VectorView, problems: _Problems) -> set[int]:
    """Checks every stored vector against its row in the file; the passages that have one."""
    import numpy as np

    rows = {int(view.ids[row]): row for row in np.flatnonzero(view.live).tolist()}
    found: set[int] = set()
    for numbers, raw in _portions(db, view.dimensions, problems, found):
        quantised, weights = vectors.quantise(raw)
        for n, number in enumerate(numbers):
            row = rows.get(number)
            if row is not None and not view.same(row, quantised[n], weights[n]):
                problems.add("its row in the vector file is another vector's", f"passage {number}")
    return found


def _portions(
    db: sqlite3.Connection, dimensions: int, problems: _Problems, found: set[int]
) -> Iterator[tuple[list[int], Vectors]]:
    import numpy as np

    cursor = db.execute("SELECT passage, vector FROM vectors ORDER BY passage")
    while portion := cursor.fetchmany(vectors.ROWS):
        found.update(number for number, _ in portion)
        for number, vector in portion:
            if len(vector) != dimensions * 4:
                problems.add("its vector has another length", f"passage {number}")
        whole = [(n, v) for n, v in portion if len(v) == dimensions * 4]
        raw = np.frombuffer(b"".join(v for _, v in whole), "<f4")
        yield [n for n, _ in whole], raw.reshape(len(whole), dimensions)


def _rows(view: vectors.VectorView, problems: _Problems) -> dict[int, int]:
    found: dict[int, int] = {}
    ids, documents = view.ids[view.live].tolist(), view.documents[view.live].tolist()
    for number, document in zip(ids, documents, strict=True):
        if number in found:
            problems.add("it is twice in the vector file", f"passage {number}")
        found[number] = document
    return found


def _compare(
    what: str, passages: Mapping[int, int], there: Mapping[int, int], problems: _Problems
) -> None:
    for number in sorted(passages.keys() - there.keys()):
        problems.add(f"no {what}", f"passage {number}")
    for number in sorted(there.keys() - passages.keys()):
        problems.add(f"orphan {what}", f"passage {number}")
    for number in passages.keys() & there.keys():
        if passages[number] != there[number]:
            problems.add(f"{what} of another document", f"passage {number}")
