"""The store of one workspace: SQLite is the truth, two derived indexes make it searchable.

A writer holds the workspace's lock, commits to SQLite, applies the change to the keyword index
and the vector file, and only then returns. Whoever searches compares the numbers of the last
change; what is behind after a crash is replayed, what is damaged is built again (see derived.py).

Reads go over one connection a thread at a time; each search is one read transaction, and every
hit is checked against it, so a deleted passage is never shown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from ragtune.errors import WorkspaceError
from ragtune.store import rows, schema
from ragtune.store.catalogue import Catalogue, put_meta
from ragtune.store.derived import Views
from ragtune.store.rows import FileStat
from ragtune.types import Document, Filter, Found, Passage

if TYPE_CHECKING:
    from ragtune.store.verify import VerifyReport
    from ragtune.types import Vectors

Item = tuple[Document, Sequence[Passage], "Vectors", FileStat | None]


class EmbeddedStore(Catalogue):
    """The Store of a data folder; several processes and threads may have it open at once.

    `on_wait` gets one line when a write has to wait for another process. Use as a context
    manager, or call `close`.
    """

    def replace(
        self,
        document: Document,
        passages: Sequence[Passage],
        vectors: Vectors,
        stat: FileStat | None = None,
    ) -> int:
        """Puts or replaces the document of this uri with all its passages in one step; its id.

        `vectors` has shape (len(passages), dimensions). Unchanged passages keep their ids. Outside
        `writing`, every process sees the new state once it returns, and it survives a crash.
        """
        import numpy as np

        full = np.ascontiguousarray(vectors, np.float32)
        if full.ndim != 2 or len(full) != len(passages) or not np.isfinite(full).all():
            raise ValueError(f"{document.uri}: vectors must be finite, one a passage")
        for p in passages:
            if document.text[p.start : p.end] != p.text:
                raise ValueError(f"{document.uri}: passage {p.start}:{p.end} is not its text")
        with self._changing(len(passages)) as db:
            if len(full):
                self._check_dimensions(db, full.shape[1])
            stat = stat or FileStat(size=len(document.text.encode()))
            return rows.put(db, document, passages, full, stat)

    def replace_many(self, items: Iterable[Item]) -> list[int]:
        """`replace` for many, in batches; their ids. Returns once all are acknowledged."""
        with self.writing():
            return [self.replace(*item) for item in items]

    def delete(self, uris: Sequence[str]) -> int:
        """Removes documents with all that belongs to them; how many there were."""
        with self._changing() as db:
            return rows.delete(db, uris)

    # ------------------------------------------------------------ the embedder

    def embedder(self) -> tuple[str, int] | None:
        """Name and dimensions of the embedder whose vectors are stored; None before the first."""
        name = self.meta("embedder")
        return None if name is None else (name, int(self.meta("dimensions") or 0))

    def needs_reembedding(self, name: str, dimensions: int) -> bool:
        """Whether the stored vectors are another embedder's."""
        return self.embedder() not in (None, (name, dimensions))

    def set_embedder(self, name: str, dimensions: int) -> bool:
        """Notes which embedder makes the vectors; whether that deleted another's vectors.

        Texts and ids stay: `unembedded` lists what has to be replaced with new vectors.
        """
        if self.embedder() == (name, dimensions):
            return False
        with self._changing() as db:
            other = db.execute("DELETE FROM vectors").rowcount > 0
            put_meta(db, "embedder", name)
            put_meta(db, "dimensions", str(dimensions))
            schema.log_change(db, -1)
        return other

    def unembedded(self) -> list[str]:
        """The uris of documents with a passage that has no vector."""
        with self._reading() as db:
            found = db.execute(
                "SELECT DISTINCT d.uri FROM passages p JOIN documents d ON d.id = p.document"
                " WHERE NOT EXISTS (SELECT 1 FROM vectors v WHERE v.passage = p.id) ORDER BY d.uri"
            )
            return [row[0] for row in found]

    def _check_dimensions(self, db: sqlite3.Connection, dimensions: int) -> None:
        known = self._dimensions(db)
        if known == 0:
            put_meta(db, "dimensions", str(dimensions))
        elif known != dimensions:
            raise WorkspaceError(
                f"vectors of {dimensions} dimensions given, the workspace has {known}: "
                "it was made with another embedder; `ragtune sync` embeds it again"
            )

    # ------------------------------------------------------------ reading

    def get(self, document: str | int) -> Document | None:
        """The document of this uri or id, or None (also when it is quarantined)."""
        with self._reading() as db:
            column: Literal["id", "uri"] = "uri" if isinstance(document, str) else "id"
            if db is self._write:  # it sees what is not committed
                return rows.get(db, column, document)
            return self._documents.get(db, column, document)

    def passages(self, ids: Sequence[int]) -> Sequence[Passage]:
        """The passages of these ids in this order; ids that are gone are left out."""
        with self._reading() as db:
            return rows.passages(db, ids)

    def passages_of(self, uri: str) -> list[Passage]:
        """A document's passages in the order of their text."""
        with self._reading() as db:
            found = db.execute(
                'SELECT p.id, p.document, p.start, p."end", p.heading, p.text FROM passages p'
                ' JOIN documents d ON d.id = p.document WHERE d.uri = ? ORDER BY p.start, p."end"',
                (uri,),
            )
            return [Passage(*row) for row in found]

    def search(
        self, query: str, vector: Vectors | None, k: int, where: Filter | None = None
    ) -> Found:
        """The k best passages by BM25 and by exact cosine, from one snapshot.

        `vector` has shape (dimensions,). Any text is a query; one without words finds nothing.
        Raises WorkspaceError.
        """
        if self._write is not None and self._lock.mine:
            with schema.plain_errors("cannot write the workspace"):
                self._flush(self._write)
        with schema.plain_errors("cannot search the workspace"):
            for _ in range(10):
                with self._connection() as db:
                    db.execute("BEGIN")
                    now = schema.stamp(db)
                    views = self._views
                    if views is not None and views.current(now):
                        try:
                            return self._search(db, views, query, vector, k, where)
                        except OSError as error:  # the keyword index is broken inside
                            self._discard(error)
                self._views = self._newest()
            # Written faster than this process can read: the last view, checked hit by hit.
            with self._connection() as db:
                db.execute("BEGIN")
                return self._search(db, self._newest(), query, vector, k, where)

    def _search(
        self,
        db: sqlite3.Connection,
        views: Views,
        query: str,
        vector: Vectors | None,
        k: int,
        where: Filter | None,
    ) -> Found:
        import numpy as np

        documents = rows.select(db, where)
        allowed = None
        if where is not None and where.visible is not None:
            allowed = self._visible.of(db, schema.stamp(db), where.visible)
            documents = allowed.ids if documents is None else np.intersect1d(allowed.ids, documents)
        lexical = views.lexical.search(
            query,
            k,
            None if documents is None else documents.tolist(),
            lambda ids: rows.existing(db, ids),
            allowed,
        )
        dense: list[tuple[int, float]] = []
        if vector is not None and len(views.vectors.ids):
            if vector.shape != (views.vectors.dimensions,):
                raise WorkspaceError(
                    f"the question's vector has shape {vector.shape}, the workspace's have "
                    f"{views.vectors.dimensions}: it was made with another embedder; "
                    "`ragtune sync` embeds it again"
                )
            dense = views.vectors.search(vector, k, documents, lambda ids: rows.vectors(db, ids))
        return Found(tuple(lexical), tuple(dense))

    def verify(self) -> VerifyReport:
        """Proves that texts, vectors and both indexes agree; see `VerifyReport`."""
        from ragtune.store.verify import verify

        self._views = self._newest()
        return verify(self.folder, self._reading, self._views)
