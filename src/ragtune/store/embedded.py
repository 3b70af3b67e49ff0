"""The store of one workspace: SQLite is the truth, two derived indexes make it searchable.

A writer holds the workspace's lock, commits to SQLite, applies the change to the keyword index
and the vector file, and only then returns. Whoever searches compares the numbers of the last
change; what is behind after a crash is replayed, what is damaged is built again (see derived.py).

Reads go over one connection a thread at a time; each search is one read transaction, and every
hit is checked against it, so a deleted passage is never shown.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ragtune.errors import WorkspaceError
from ragtune.store import rows, schema
from ragtune.store.catalogue import Catalogue, put_meta
from ragtune.store.derived import Derived, Views
from ragtune.store.lock import WriteLock
from ragtune.store.rows import FileStat
from ragtune.store.vectors import DamagedError
from ragtune.types import Document, Filter, Found, Passage

if TYPE_CHECKING:
    from ragtune.store.verify import VerifyReport
    from ragtune.types import Vectors

log = logging.getLogger("ragtune")

LOCK = "write.lock"
BATCH_PASSAGES = 4000  # a batch is committed and applied after so many passages
BATCH_SECONDS = 1.0  # or so long
PATIENCE = 5.0  # seconds that a search waits for a writer that is in the middle of a change
KEEP_CHANGES = 10_000  # rows of the change log, before it is pruned

Item = tuple[Document, Sequence[Passage], "Vectors", FileStat | None]


class EmbeddedStore(Catalogue):
    """The Store of a data folder; several processes and threads may have it open at once.

    `on_wait` gets one line when a write has to wait for another process. Use as a context
    manager, or call `close`.
    """

    def __init__(self, folder: Path, on_wait: Callable[[str], None] | None = None) -> None:
        """Opens the store in `folder`, or makes it there. Raises WorkspaceError."""
        self.folder = folder
        self.read_only = False
        self._lock = WriteLock(folder / LOCK, on_wait)
        self._idle: list[sqlite3.Connection] = []
        self._write: sqlite3.Connection | None = None  # set while this store is writing
        self._pending = 0  # passages in the open transaction
        self._begun = 0.0
        self._views: Views | None = None
        self._files = threading.Lock()  # guards _derived
        self._failed: tuple[schema.Stamp, float] = ((0, 0), 0.0)
        with schema.plain_errors(f"cannot open the workspace in {folder}"):
            self._open()
        self._derived = Derived(folder, read_only=self.read_only)

    def _open(self) -> None:
        path = self.folder / schema.FILE_NAME
        fresh = not path.exists()
        if fresh:
            self.folder.mkdir(parents=True, exist_ok=True)
        self.read_only = not os.access(self.folder, os.W_OK) or (
            not fresh and not os.access(path, os.W_OK)
        )
        db = schema.connect(path, read_only=self.read_only)
        if schema.schema_version(db) < len(schema.MIGRATIONS):
            if self.read_only:
                raise WorkspaceError(f"{self.folder} cannot be written, and must be to be upgraded")
            self._lock.acquire()
            try:
                schema.migrate(db)
            finally:
                self._lock.release()
        self._idle.append(db)

    def close(self) -> None:
        """Closes the files. A store that is dropped without it loses nothing."""
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> EmbeddedStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ connections

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            db = self._idle.pop()
        except IndexError:
            db = schema.connect(self.folder / schema.FILE_NAME, read_only=self.read_only)
        try:
            yield db
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
            self._idle.append(db)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one snapshot; within `writing` the one that sees its own changes."""
        with schema.plain_errors("cannot read the workspace"):
            if self._write is not None and self._lock.mine:
                yield self._write
                return
            with self._connection() as db:
                db.execute("BEGIN")
                yield db

    # ------------------------------------------------------------ writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the lock and groups writes: they are committed and applied in batches.

        What was put inside is acknowledged when the block ends. After an exception inside, also
        Ctrl-C, what was finished before it is kept.
        """
        if self._write is not None and self._lock.mine:
            yield
            return
        if self.read_only:
            raise WorkspaceError(f"{self.folder} cannot be written")
        with schema.plain_errors("cannot write the workspace"):
            self._lock.acquire()
        try:
            with self._connection() as db:
                self._write = db
                try:
                    yield
                finally:
                    with schema.plain_errors("cannot write the workspace"):
                        try:
                            self._flush(db)
                        finally:
                            self._write = None
                            with self._files:
                                self._derived.end_writing()
        finally:
            self._lock.release()

    @contextmanager
    def _changing(self, passages: int = 0) -> Iterator[sqlite3.Connection]:
        """One change, whole or not at all, as part of the current batch."""
        with self.writing(), schema.plain_errors("cannot write the workspace"):
            db = self._write
            assert db is not None
            if not db.in_transaction:
                db.execute("BEGIN IMMEDIATE")
                self._begun = time.monotonic()
            db.execute("SAVEPOINT change")
            try:
                yield db
            except BaseException:
                if db.in_transaction:  # SQLite may have rolled all back itself: a full disk
                    db.execute("ROLLBACK TO change")
                    db.execute("RELEASE change")
                raise
            db.execute("RELEASE change")
            self._pending += passages
            late = time.monotonic() - self._begun > BATCH_SECONDS
            if late or self._pending >= BATCH_PASSAGES:
                self._flush(db)

    def _flush(self, db: sqlite3.Connection) -> None:
        """Commits the batch and applies it to both indexes."""
        self._pending = 0
        if not db.in_transaction:
            return
        try:
            db.execute("COMMIT")
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self._apply(db)

    def _apply(self, db: sqlite3.Connection) -> Views:
        """Makes the derived files equal to SQLite; the lock is held."""
        now = schema.stamp(db)
        views = self._views
        if views is not None and views.current(now):
            return views
        with self._files:
            self._views = views = self._derived.catch_up(db, self._dimensions(db))
        if now[0] % 64 == 0:
            oldest = db.execute("SELECT min(number) FROM changes").fetchone()[0]
            if now[0] - oldest > KEEP_CHANGES:
                db.execute("DELETE FROM changes WHERE number < ?", (now[0],))
        return views

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

    @staticmethod
    def _dimensions(db: sqlite3.Connection) -> int:
        row = db.execute("SELECT value FROM meta WHERE key = 'dimensions'").fetchone()
        return 0 if row is None else int(row[0])

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

    def get(self, uri: str) -> Document | None:
        """The document of this uri, or None (also when it is quarantined)."""
        with self._reading() as db:
            return rows.get(db, "uri", uri)

    def document(self, id: int) -> Document | None:
        """The document of this id, or None."""
        with self._reading() as db:
            return rows.get(db, "id", id)

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
        documents = rows.select(db, where)
        lexical = views.lexical.search(
            query,
            k,
            None if documents is None else documents.tolist(),
            lambda ids: rows.existing(db, ids),
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

    def _newest(self) -> Views:
        """Views that are current, or the newest there are while a writer is in mid-change.

        That is enough: a writer returns only when its change is applied, so what a view lacks has
        not been acknowledged to anybody.
        """
        until = time.monotonic() + PATIENCE
        while True:
            with self._connection() as db:
                now = schema.stamp(db)
                problem: Exception | None = None
                try:
                    with self._files:
                        views = self._derived.look()
                    if views.current(now):
                        return views
                except DamagedError as error:
                    problem = error
                if self._repairable(now) and self._lock.acquire(wait=False):
                    try:
                        return self._repair(db, problem)
                    except (OSError, WorkspaceError) as error:
                        self._failed = (now, time.monotonic())
                        log.warning("the indexes cannot be brought up to date: %s", error)
                    finally:
                        self._lock.release()
            if time.monotonic() > until or not self._repairable(now):
                try:
                    with self._files:
                        return self._derived.look(unfinished=True)
                except DamagedError as error:
                    raise WorkspaceError(
                        f"{error}, and it cannot be built again in {self.folder} now"
                    ) from error
            time.sleep(0.002)

    def _discard(self, error: OSError) -> None:
        if self.read_only:
            raise error
        log.warning("%s: it is built again", error)
        self._lock.acquire()
        try:
            with self._files:
                self._derived.discard_lexical()
        finally:
            self._lock.release()

    def _repairable(self, now: schema.Stamp) -> bool:
        """Whether this process may try: not in vain again and again on a full disk."""
        failed, when = self._failed
        return not self.read_only and (failed != now or time.monotonic() - when > 30)

    def _repair(self, db: sqlite3.Connection, problem: Exception | None) -> Views:
        if problem is not None and not isinstance(problem.__cause__, FileNotFoundError):
            log.info("%s: looking into it", problem)
        with self._files:
            try:
                return self._derived.catch_up(db, self._dimensions(db))
            finally:
                self._derived.end_writing()

    def verify(self) -> VerifyReport:
        """Proves that texts, vectors and both indexes agree; see `VerifyReport`."""
        from ragtune.store.verify import verify

        self._views = self._newest()
        return verify(self.folder, self._reading, self._views)
