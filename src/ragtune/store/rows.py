"""Documents, passages and vectors in SQLite: plain functions over a connection.

Whoever calls the writing ones is inside a transaction. All values are bound parameters.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ragtune.store.schema import log_change
from ragtune.store.text import text_hash
from ragtune.types import Anchor, Block, Document, Filter, Passage, SourceMap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragtune.types import Vectors

CHUNK = 500  # parameters of one statement


@dataclass(frozen=True, slots=True)
class FileStat:
    """What the file system says of a source: as long as it is the same, so is the content.

    `reader` is the version of the readers that read it (0: before there was one).
    """

    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    reader: int = 0


# ---------------------------------------------------------------- source maps

_ANCHOR = ("page", "box", "slide", "sheet", "cells", "part", "table", "key")


def pack_map(map: SourceMap) -> bytes:
    """Compressed JSON: blocks [start, end, kind, level], anchors [start, end, {set fields}]."""
    blocks = [[b.start, b.end, b.kind, b.level] for b in map.blocks]
    anchors = [
        [a.start, a.end, {n: v for n in _ANCHOR if (v := getattr(a, n)) is not None}]
        for a in map.anchors
    ]
    raw = json.dumps([blocks, anchors], ensure_ascii=False, separators=(",", ":"))
    return zlib.compress(raw.encode(), 1)


def unpack_map(raw: bytes) -> SourceMap:
    """The inverse of `pack_map`."""
    blocks, anchors = json.loads(zlib.decompress(raw))
    for _, _, fields in anchors:
        if "box" in fields:
            fields["box"] = tuple(fields["box"])
    return SourceMap(
        tuple(Block(*block) for block in blocks),
        tuple(Anchor(start, end, **fields) for start, end, fields in anchors),
    )


# ---------------------------------------------------------------- writing


def put(
    db: sqlite3.Connection,
    document: Document,
    passages: Sequence[Passage],
    vectors: Vectors,
    stat: FileStat,
) -> int:
    """Puts or replaces a document; its id. Unchanged passages keep theirs."""
    row = db.execute("SELECT id FROM documents WHERE uri = ?", (document.uri,)).fetchone()
    values = (
        document.title,
        document.type,
        document.sha256,
        document.modified,
        stat.size,
        stat.mtime_ns,
        stat.ctime_ns,
        stat.inode,
        stat.reader,
        json.dumps(document.left_out, ensure_ascii=False),
    )
    if row is None:
        cursor = db.execute(
            "INSERT INTO documents (title, type, sha256, modified, size, mtime_ns, ctime_ns, inode,"
            " reader, left_out, state, uri) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'indexed', ?)",
            (*values, document.uri),
        )
        number = int(cursor.lastrowid or 0)
    else:
        number = int(row[0])
        db.execute(
            "UPDATE documents SET title = ?, type = ?, sha256 = ?, modified = ?, size = ?,"
            " mtime_ns = ?, ctime_ns = ?, inode = ?, reader = ?, left_out = ?, state = 'indexed',"
            " error = NULL WHERE id = ?",
            (*values, number),
        )
        db.execute("DELETE FROM tags WHERE document = ?", (number,))
    db.execute(
        "INSERT INTO contents (document, text, map) VALUES (?, ?, ?) ON CONFLICT (document)"
        " DO UPDATE SET text = excluded.text, map = excluded.map",
        (number, zlib.compress(document.text.encode(), 1), pack_map(document.map)),
    )
    db.executemany(
        "INSERT INTO tags (document, position, tag) VALUES (?, ?, ?)",
        ((number, n, tag) for n, tag in enumerate(document.tags)),
    )
    _put_passages(db, number, passages, vectors, fresh=row is None)
    log_change(db, number)
    return number


def _put_passages(
    db: sqlite3.Connection,
    document: int,
    passages: Sequence[Passage],
    vectors: Vectors,
    *,
    fresh: bool,
) -> None:
    # A list a key: the same heading and span can, in principle, come twice.
    old: dict[tuple[int, int, str, str], list[int]] = {}
    if not fresh:
        rows = db.execute(
            'SELECT id, start, "end", heading, text FROM passages WHERE document = ?'
            " ORDER BY id DESC",
            (document,),
        )
        for number, *key in rows:
            old.setdefault((key[0], key[1], key[2], key[3]), []).append(number)
    kept: list[tuple[int, bytes]] = []
    new: list[tuple[Passage, bytes]] = []
    for passage, vector in zip(passages, vectors, strict=True):
        same = old.get((passage.start, passage.end, passage.heading, passage.text))
        if same:
            kept.append((same.pop(), vector.tobytes()))
        else:
            new.append((passage, vector.tobytes()))
    db.executemany(
        "DELETE FROM passages WHERE id = ?", ((n,) for numbers in old.values() for n in numbers)
    )
    db.executemany(
        "INSERT INTO vectors (passage, vector) VALUES (?, ?) ON CONFLICT (passage)"
        " DO UPDATE SET vector = excluded.vector WHERE vector <> excluded.vector",
        kept,
    )
    # Ids are given here, after the largest ever used, so that both tables fill in one go each.
    last = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'passages'").fetchone()
    first = (int(last[0]) if last else 0) + 1
    db.executemany(
        'INSERT INTO passages (id, document, start, "end", hash, heading, text)'
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (n, document, p.start, p.end, text_hash(p.heading, p.text), p.heading, p.text)
            for n, (p, _) in enumerate(new, first)
        ),
    )
    db.executemany(
        "INSERT INTO vectors (passage, vector) VALUES (?, ?)",
        ((n, vector) for n, (_, vector) in enumerate(new, first)),
    )


def quarantine(
    db: sqlite3.Connection, uri: str, reason: str, sha256: str, stat: FileStat, type: str
) -> None:
    """Notes that a source cannot be read; what was indexed of it before is taken out."""
    row = db.execute("SELECT id, state FROM documents WHERE uri = ?", (uri,)).fetchone()
    db.execute(
        "INSERT INTO documents (uri, title, type, sha256, modified, state, error, size, mtime_ns,"
        " ctime_ns, inode, reader) VALUES (?, ?, ?, ?, ?, 'quarantined', ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (uri) DO UPDATE SET sha256 = excluded.sha256, state = 'quarantined',"
        " modified = excluded.modified, type = excluded.type, error = excluded.error,"
        " size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,"
        " inode = excluded.inode, reader = excluded.reader, left_out = '[]'",
        (
            uri,
            uri.rsplit("/", 1)[-1],
            type,
            sha256,
            stat.mtime_ns / 1e9,
            reason,
            stat.size,
            stat.mtime_ns,
            stat.ctime_ns,
            stat.inode,
            stat.reader,
        ),
    )
    if row is not None and row[1] == "indexed":
        db.execute("DELETE FROM contents WHERE document = ?", (row[0],))
        db.execute("DELETE FROM passages WHERE document = ?", (row[0],))
        db.execute("DELETE FROM tags WHERE document = ?", (row[0],))
        log_change(db, row[0])


def delete(db: sqlite3.Connection, uris: Iterable[str]) -> int:
    """Removes documents; how many there were."""
    count = 0
    for uri in dict.fromkeys(uris):
        row = db.execute("DELETE FROM documents WHERE uri = ? RETURNING id", (uri,)).fetchone()
        if row is not None:
            log_change(db, row[0])
            count += 1
    return count


# ---------------------------------------------------------------- reading


def get(db: sqlite3.Connection, where: str, value: str | int) -> Document | None:
    """The indexed document whose `where` ("uri" or "id") is `value`."""
    column = {"uri": "d.uri", "id": "d.id"}[where]
    row = db.execute(
        "SELECT d.id, d.uri, d.title, c.text, d.sha256, c.map, d.type, d.modified,"  # noqa: S608
        f" d.left_out FROM documents d JOIN contents c ON c.document = d.id WHERE {column} = ?",
        (value,),
    ).fetchone()
    if row is None:
        return None
    tags = db.execute("SELECT tag FROM tags WHERE document = ? ORDER BY position", (row[0],))
    return Document(
        row[0],
        row[1],
        row[2],
        zlib.decompress(row[3]).decode(),
        row[4],
        unpack_map(row[5]),
        row[6],
        row[7],
        tuple(tag for (tag,) in tags),
        tuple(json.loads(row[8])),
    )


def chunks(values: Sequence[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """The values in portions, each with the text of its placeholders, "(?, ?, …)"."""
    for at in range(0, len(values), CHUNK):
        part = values[at : at + CHUNK]
        yield "(" + ", ".join("?" * len(part)) + ")", part


def passages(db: sqlite3.Connection, ids: Sequence[int]) -> list[Passage]:
    """Those of the passages that exist, in the order of `ids`."""
    found: dict[int, Passage] = {}
    for marks, part in chunks(ids):
        rows = db.execute(
            'SELECT id, document, start, "end", heading, text FROM passages'  # noqa: S608
            f" WHERE id IN {marks}",
            part,
        )
        found.update((row[0], Passage(*row)) for row in rows)
    return [found[number] for number in ids if number in found]


def existing(db: sqlite3.Connection, ids: Sequence[int]) -> set[int]:
    """Those of the passage ids that exist."""
    found: set[int] = set()
    for marks, part in chunks(ids):
        rows = db.execute(f"SELECT id FROM passages WHERE id IN {marks}", part)  # noqa: S608
        found.update(row[0] for row in rows)
    return found


def vectors(db: sqlite3.Connection, ids: Sequence[int]) -> tuple[list[int], Vectors]:
    """The full vectors of those of the passages that exist: their ids, and rows for them."""
    import numpy as np

    known: list[int] = []
    raw: list[bytes] = []
    for marks, part in chunks(ids):
        for number, vector in db.execute(
            f"SELECT passage, vector FROM vectors WHERE passage IN {marks}",  # noqa: S608
            part,
        ):
            known.append(number)
            raw.append(vector)
    rows = np.frombuffer(b"".join(raw), "<f4")
    return known, rows.reshape(len(known), -1) if known else rows.reshape(0, 0)


def select(db: sqlite3.Connection, where: Filter | None) -> NDArray[np.int64] | None:
    """Ids of the indexed documents that pass the filter; None for no restriction.

    `Filter.visible` is not looked at here: see `store/visible.py`.
    """
    if where is None or replace(where, visible=None) == Filter():
        return None
    import numpy as np

    condition, values = restriction(where)
    rows = db.execute(
        f"SELECT d.id FROM documents d WHERE d.state = 'indexed' AND {condition}",  # noqa: S608
        values,
    )
    return np.fromiter((row[0] for row in rows), np.int64)


def restriction(where: Filter) -> tuple[str, list[Any]]:
    """The filter as SQL over `documents d`; the text is made of constants, values are bound."""
    parts: list[str] = ["1"]
    values: list[Any] = []
    if where.path:
        # "policies/*" also means a folder of that name further up: uris may be absolute.
        patterns = [*where.path, *(f"*/{p}" for p in where.path if not p.startswith(("/", "*")))]
        parts.append("(" + " OR ".join(["d.uri GLOB ?"] * len(patterns)) + ")")
        values += patterns
    if where.type:
        parts.append("d.type IN (" + ", ".join("?" * len(where.type)) + ")")
        values += where.type
    if where.tag:
        marks = ", ".join("?" * len(where.tag))
        parts.append(f"d.id IN (SELECT document FROM tags WHERE tag IN ({marks}))")  # noqa: S608
        values += where.tag
    if where.since is not None:
        parts.append("d.modified >= ?")
        values.append(where.since)
    if where.until is not None:
        parts.append("d.modified <= ?")
        values.append(where.until)
    return " AND ".join(parts), values
