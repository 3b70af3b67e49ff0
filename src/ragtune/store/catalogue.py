"""What the store knows about its documents besides their text: lists, sources, exclusions, stats.

The lower half of `EmbeddedStore`, apart from it only so that either can be read at one go.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragtune.store import rows, schema
from ragtune.store.rows import FileStat
from ragtune.store.session import Session
from ragtune.types import DocumentInfo, Filter

if TYPE_CHECKING:
    from ragtune.types import Vectors


@dataclass(frozen=True, slots=True)
class Source:
    """A root that was added: `kind` is "folder", "file" or "sql"."""

    uri: str
    kind: str
    added: float


@dataclass(frozen=True, slots=True)
class Counts:
    """How much the store holds. `size` is the bytes of the sources."""

    documents: int
    quarantined: int
    passages: int
    vectors: int
    size: int


@dataclass(frozen=True, slots=True)
class Known:
    """What the store remembers of a source, to tell whether it changed."""

    stat: FileStat
    sha256: str
    state: str


class Catalogue(Session):
    """The methods that need a connection and nothing else."""

    # ------------------------------------------------------------ documents

    def documents(self, where: Filter | None = None) -> list[DocumentInfo]:
        """Every source that passes the filter, quarantined ones too, sorted by uri."""
        where = where or Filter()
        found = self._infos(*rows.restriction(where))
        return [i for i in found if where.visible.sees(i.uri)] if where.visible else found

    def info(self, uri: str) -> DocumentInfo | None:
        """One source's line, or None."""
        found = self._infos("d.uri = ?", [uri])
        return found[0] if found else None

    def _infos(self, condition: str, values: Sequence[object]) -> list[DocumentInfo]:
        with self._reading() as db:
            tags: dict[int, list[str]] = {}
            for document, tag in db.execute(
                "SELECT t.document, t.tag FROM tags t JOIN documents d ON d.id = t.document"  # noqa: S608
                f" WHERE {condition} ORDER BY t.document, t.position",
                values,
            ):
                tags.setdefault(document, []).append(tag)
            found = db.execute(
                "SELECT d.id, d.uri, d.state, d.error,"  # noqa: S608
                " (SELECT count(*) FROM passages p WHERE p.document = d.id),"
                f" d.title, d.type, d.size, d.modified, d.sha256, d.left_out FROM documents d"
                f" WHERE {condition} ORDER BY d.uri",
                values,
            ).fetchall()
        return [
            DocumentInfo(*(*row[:-1], tuple(tags.get(row[0], ())), tuple(json.loads(row[-1]))))
            for row in found
        ]

    def uris(self, documents: Iterable[int]) -> dict[int, str]:
        """The uris of documents by id; those that are gone are left out."""
        found: dict[int, str] = {}
        with self._reading() as db:
            for marks, part in rows.chunks(list(documents)):
                found.update(
                    db.execute(f"SELECT id, uri FROM documents WHERE id IN {marks}", part)  # noqa: S608
                )
        return found

    def counts(self) -> Counts:
        """How many documents, passages and vectors there are."""
        with self._reading() as db:
            row = db.execute(
                "SELECT (SELECT count(*) FROM documents WHERE state = 'indexed'),"
                " (SELECT count(*) FROM documents WHERE state = 'quarantined'),"
                " (SELECT count(*) FROM passages), (SELECT count(*) FROM vectors),"
                " (SELECT coalesce(sum(size), 0) FROM documents)"
            ).fetchone()
        return Counts(*row)

    # ------------------------------------------------------------ telling what changed

    def known(self) -> dict[str, Known]:
        """Every source's stat, hash and state by uri, in one query."""
        with self._reading() as db:
            found = db.execute(
                "SELECT uri, size, mtime_ns, ctime_ns, inode, reader, sha256, state FROM documents"
            ).fetchall()
        return {row[0]: Known(FileStat(*row[1:6]), row[6], row[7]) for row in found}

    def touch(self, stats: Mapping[str, FileStat]) -> None:
        """Notes new stats of sources whose content is the same; `modified` follows.

        `FileStat.reader` is not taken over: nothing was read.
        """
        with self._changing() as db:
            newer = False
            for uri, s in stats.items():
                modified = s.mtime_ns / 1e9
                row = db.execute("SELECT modified FROM documents WHERE uri = ?", (uri,)).fetchone()
                newer = newer or (row is not None and row[0] != modified)
                db.execute(
                    "UPDATE documents SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?,"
                    " modified = ? WHERE uri = ?",
                    (s.size, s.mtime_ns, s.ctime_ns, s.inode, modified, uri),
                )
            if newer:
                schema.log_change(db, 0)  # it is part of documents that are kept: see kept.py

    def rename(self, old: str, new: str, title: str | None = None) -> bool:
        """A source moved: its document gets a new uri and keeps all else; False if it is unknown.

        A document that had the new uri is replaced by it, as the file was.
        """
        with self._changing() as db:
            row = db.execute("SELECT id FROM documents WHERE uri = ?", (old,)).fetchone()
            if row is None:
                return False
            if old != new:
                rows.delete(db, [new])
            db.execute(
                "UPDATE documents SET uri = ?, title = coalesce(?, title) WHERE id = ?",
                (new, title, row[0]),
            )
            schema.log_change(db, 0)  # who may see it may be others now: see visible.py
        return True

    def quarantine(
        self, uri: str, reason: str, sha256: str, stat: FileStat, type: str = ""
    ) -> None:
        """Notes that a source cannot be read, and why; takes out what was indexed of it."""
        with self._changing() as db:
            rows.quarantine(db, uri, reason, sha256, stat, type)

    # ------------------------------------------------------------ roots and exclusions

    def sources(self) -> list[Source]:
        """The roots that were added, in the order of their adding."""
        with self._reading() as db:
            found = db.execute("SELECT uri, kind, added FROM sources ORDER BY added, uri")
            return [Source(*row) for row in found]

    def add_source(self, uri: str, kind: str) -> None:
        """Notes a root; one that is known stays as it is."""
        with self._changing() as db:
            db.execute(
                "INSERT INTO sources (uri, kind, added) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (uri, kind, time.time()),
            )

    def remove_source(self, uri: str) -> bool:
        """Forgets a root; whether it was there. Its documents stay."""
        with self._changing() as db:
            return db.execute("DELETE FROM sources WHERE uri = ?", (uri,)).rowcount > 0

    def exclude(self, uris: Iterable[str]) -> None:
        """Notes sources that stay out, though they lie under a root."""
        with self._changing() as db:
            db.executemany(
                "INSERT INTO exclusions (uri) VALUES (?) ON CONFLICT DO NOTHING",
                ((uri,) for uri in uris),
            )

    def include(self, uris: Iterable[str]) -> None:
        """Takes exclusions back."""
        with self._changing() as db:
            db.executemany("DELETE FROM exclusions WHERE uri = ?", ((uri,) for uri in uris))

    def excluded(self) -> set[str]:
        """The sources that stay out."""
        with self._reading() as db:
            return {row[0] for row in db.execute("SELECT uri FROM exclusions")}

    # ------------------------------------------------------------ vectors and settings

    def vectors_for(self, hashes: Iterable[bytes]) -> dict[bytes, Vectors]:
        """Vectors that are stored already, by `text_hash` of what was embedded.

        Each has shape (dimensions,). Only of the present embedder: another's are deleted with it.
        """
        import numpy as np

        found: dict[bytes, Vectors] = {}
        with self._reading() as db:
            for marks, part in rows.chunks(list(dict.fromkeys(hashes))):
                for digest, vector in db.execute(
                    "SELECT p.hash, v.vector FROM passages p JOIN vectors v ON v.passage = p.id"  # noqa: S608
                    f" WHERE p.hash IN {marks}",
                    part,
                ):
                    found[digest] = np.frombuffer(vector, "<f4")
        return found

    def meta(self, key: str) -> str | None:
        """A value that was set, or None."""
        with self._reading() as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str | None) -> None:
        """Sets a value, or removes it."""
        with self._changing() as db:
            put_meta(db, key, value)


def put_meta(db: sqlite3.Connection, key: str, value: str | None) -> None:
    """Sets a value, or removes it, in the caller's transaction."""
    if value is None:
        db.execute("DELETE FROM meta WHERE key = ?", (key,))
    else:
        db.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key)"
            " DO UPDATE SET value = excluded.value",
            (key, value),
        )
