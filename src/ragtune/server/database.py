"""`.ragtune/server.db`: users, keys, sessions, folder rules, what was used, and the audit log.

A file of its own beside the index: deleting the index deletes no user. Secrets are never in it:
of a password an argon2id hash, of a key and of a session's id a SHA-256. Those two are 256 random
bits, which no one guesses however fast the hash; a slow one would let whoever sends wrong keys
occupy the processor.

Several processes (the server, `ragtune users`) have it open at once, and each request asks it: a
key or a user that is disabled stops with the next request, in every process.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ragtune.errors import WorkspaceError

FILE_NAME = "server.db"

# A step never changes once it has been released; a new version adds one.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE users (
        name TEXT PRIMARY KEY,
        role TEXT NOT NULL CHECK (role IN ('reader', 'editor', 'admin')),
        groups TEXT NOT NULL,
        password TEXT,
        disabled INTEGER NOT NULL DEFAULT 0,
        subject TEXT UNIQUE,
        created REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        user TEXT NOT NULL REFERENCES users(name) ON DELETE CASCADE,
        hash BLOB NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('reader', 'editor', 'admin')),
        label TEXT NOT NULL,
        created REAL NOT NULL,
        ends REAL,
        disabled INTEGER NOT NULL DEFAULT 0,
        per_minute INTEGER,
        at_once INTEGER,
        questions_a_day INTEGER,
        tokens_a_day INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE sessions (
        hash BLOB PRIMARY KEY,
        user TEXT NOT NULL,
        created REAL NOT NULL,
        used REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX sessions_user ON sessions(user);
    CREATE TABLE rules (folder TEXT PRIMARY KEY, groups TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE used (
        who TEXT NOT NULL,
        day TEXT NOT NULL,
        questions INTEGER NOT NULL DEFAULT 0,
        tokens INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (who, day)
    ) WITHOUT ROWID;
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        who TEXT NOT NULL,
        action TEXT NOT NULL,
        status INTEGER NOT NULL,
        request TEXT NOT NULL,
        detail TEXT NOT NULL
    );
    CREATE TRIGGER audit_stays BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
    CREATE TRIGGER audit_is_true BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END
    """,
)


class Database:
    """The file, open. Safe among threads; every statement is its own transaction."""

    def __init__(self, folder: Path) -> None:
        """Opens the file in `folder`, or makes it. Raises WorkspaceError."""
        self.path = folder / FILE_NAME
        self._lock = threading.RLock()
        with self._plain_errors():
            folder.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            self._db = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=10
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._migrate()

    def _migrate(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise WorkspaceError(f"{self.path} was written by a newer ragtune: update ragtune")
        if version < len(MIGRATIONS):
            with self.transaction() as db:
                version = int(db.execute("PRAGMA user_version").fetchone()[0])
                for step in MIGRATIONS[version:]:
                    for statement in _statements(step):
                        db.execute(statement)
                db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows that a statement gives."""
        with self._lock, self._plain_errors():
            return self._db.execute(statement, values).fetchall()

    def row(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """The first row, or None."""
        with self._lock, self._plain_errors():
            return self._db.execute(statement, values).fetchone()

    def change(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Runs a statement; how many rows it changed."""
        with self._lock, self._plain_errors():
            return self._db.execute(statement, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Several statements, all or none."""
        with self._lock, self._plain_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def version(self) -> int:
        """Changes when another process has written; see SQLite's data_version."""
        return int(self.row("PRAGMA data_version")[0])

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise WorkspaceError(f"{self.path}: {error}") from error
        except OSError as error:
            raise WorkspaceError(f"cannot open {self.path}: {error.strerror}") from error


def _statements(step: str) -> Iterator[str]:
    """The statements of a migration; a trigger's body holds semicolons itself."""
    held = ""
    for part in step.split(";"):
        held += part + ";"
        if sqlite3.complete_statement(held):
            if held.strip(" \n;"):
                yield held
            held = ""
