"""An open workspace: its connections, its lock, and how a change becomes visible.

A writer holds the workspace's lock, commits to SQLite, applies the change to both derived files,
and only then returns. A reader compares the numbers of the last change; what is behind after a
crash is replayed, what is damaged is built again (see derived.py).
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from ragtune.errors import WorkspaceError
from ragtune.store import schema
from ragtune.store.derived import Derived, Views
from ragtune.store.kept import Kept
from ragtune.store.lock import WriteLock
from ragtune.store.vectors import DamagedError
from ragtune.store.visible import Visible

log = logging.getLogger("ragtune")

LOCK = "write.lock"
BATCH_PASSAGES = 16_000  # a batch is committed and applied after so many passages
BATCH_SECONDS = 2.0  # or so long
PATIENCE = 5.0  # seconds that a search waits for a writer that is in the middle of a change
REBUILD_PATIENCE = 120.0  # seconds that it waits for another process to build an index anew
KEEP_CHANGES = 10_000  # rows of the change log, before it is pruned


class Session:
    """Connections, lock and derived files of one data folder. Safe among threads."""

    def __init__(self, folder: Path, on_wait: Callable[[str], None] | None = None) -> None:
        """Opens the store in `folder`, or makes it there. Raises WorkspaceError."""
        self.folder = folder
        self.read_only = False
        self._lock = WriteLock(folder / LOCK, on_wait)
        self._idle: list[sqlite3.Connection] = []
        self._write: sqlite3.Connection | None = None  # set while this store is writing
        self._pending = 0  # passages in the open transaction
        self._begun = 0.0
        self._before: schema.Stamp = (0, 0)  # where the open transaction began
        self._views: Views | None = None
        self._visible = Visible()
        self._documents = Kept()
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

    def __enter__(self) -> Self:
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
                self._before = schema.stamp(db)
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
        if schema.stamp(db) != self._before:  # else only the catalogue changed
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

    @staticmethod
    def _dimensions(db: sqlite3.Connection) -> int:
        row = db.execute("SELECT value FROM meta WHERE key = 'dimensions'").fetchone()
        return 0 if row is None else int(row[0])

    # ------------------------------------------------------------ views for searching

    def _newest(self) -> Views:
        """Views that are current, or the newest there are while a writer is in mid-change.

        That is enough: a writer returns only when its change is applied, so what a view lacks has
        not been acknowledged to anybody.
        """
        begun = time.monotonic()
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
            waited = time.monotonic() - begun
            repairable = self._repairable(now)
            if waited > PATIENCE or not repairable:
                try:
                    with self._files:
                        return self._derived.look(unfinished=True)
                except DamagedError as error:
                    if waited > REBUILD_PATIENCE or not repairable:
                        raise WorkspaceError(
                            f"{error}, and it cannot be built again in {self.folder} now"
                        ) from error
            time.sleep(0.002 if waited < 0.1 else 0.02)

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
