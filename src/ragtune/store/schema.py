"""The SQLite file: how it is opened, its tables, and the numbered steps that made them.

A step in `MIGRATIONS` never changes once it has been released; a new version adds a step. The
number of the last step taken is SQLite's own `user_version`.
"""

from __future__ import annotations

import errno
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragtune.errors import WorkspaceError

FILE_NAME = "workspace.db"
MAPPED = 2**31 - 65536  # bytes of the file that are mapped: SQLite's own limit

MIGRATIONS: tuple[str, ...] = (
    # 1: AUTOINCREMENT, because an id that was shown to somebody must never come to mean another
    # passage. A document's text is whole and compressed in `contents`; each passage keeps its own
    # text too, so that a hit costs one row and `verify` can compare the two.
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        uri TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        type TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        modified REAL NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('indexed', 'quarantined')),
        error TEXT,
        size INTEGER NOT NULL DEFAULT 0,
        mtime_ns INTEGER NOT NULL DEFAULT 0,
        ctime_ns INTEGER NOT NULL DEFAULT 0,
        inode INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE contents (
        document INTEGER PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE,
        text BLOB NOT NULL,
        map BLOB NOT NULL
    );
    CREATE TABLE tags (
        document INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        tag TEXT NOT NULL,
        PRIMARY KEY (document, position)
    ) WITHOUT ROWID;
    CREATE INDEX tags_tag ON tags(tag);
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        document INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
        start INTEGER NOT NULL,
        "end" INTEGER NOT NULL,
        hash BLOB NOT NULL,
        heading TEXT NOT NULL,
        text TEXT NOT NULL
    );
    CREATE INDEX passages_document ON passages(document, start);
    CREATE INDEX passages_hash ON passages(hash);
    CREATE TABLE vectors (
        passage INTEGER PRIMARY KEY REFERENCES passages(id) ON DELETE CASCADE,
        vector BLOB NOT NULL
    );
    CREATE TABLE changes (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        document INTEGER NOT NULL,
        token INTEGER NOT NULL
    );
    CREATE TABLE sources (uri TEXT PRIMARY KEY, kind TEXT NOT NULL, added REAL NOT NULL)
        WITHOUT ROWID;
    CREATE TABLE exclusions (uri TEXT PRIMARY KEY) WITHOUT ROWID;
    """,
    # 2: what a source hides (a JSON list), and which version of the readers read it.
    """
    ALTER TABLE documents ADD COLUMN left_out TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE documents ADD COLUMN reader INTEGER NOT NULL DEFAULT 0;
    """,
)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode, usable from any one thread at a time.

    `read_only` opens a workspace in a folder that cannot be written: SQLite then either finds the
    files of its log there or, when there is no log, may take the file as unchanging. Raises
    sqlite3.Error.
    """
    if not read_only:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = FULL")  # acknowledged means: survives a power cut
        db.execute("PRAGMA journal_size_limit = 67108864")
    else:
        log = path.with_name(path.name + "-wal")
        still = not log.exists() or log.stat().st_size == 0
        name = f"{path.resolve().as_uri()}?mode=ro" + ("&immutable=1" if still else "")
        db = sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA cache_size = -16384")
    db.execute(f"PRAGMA mmap_size = {MAPPED}")  # scoring 200 full vectors: 0.4 ms, not 1.6
    db.execute("PRAGMA temp_store = MEMORY")
    return db


def migrate(db: sqlite3.Connection) -> None:
    """Brings the file to the newest schema, each step in a transaction.

    The caller holds the workspace's lock. Raises WorkspaceError for a file of a newer version.
    """
    version = schema_version(db)
    if version == 0:
        # Larger pages: a vector of 384 floats takes 1.5 KB, and two to a page waste a quarter.
        db.execute("PRAGMA page_size = 8192")
        db.execute("PRAGMA journal_mode = WAL")
    for number, step in enumerate(MIGRATIONS[version:], version + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in filter(str.strip, step.split(";")):
                db.execute(statement)
            if number == 1:  # the log is never empty: its last row is the state's name
                log_change(db, 0)
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise


def schema_version(db: sqlite3.Connection) -> int:
    """How many migrations the file has seen. Raises WorkspaceError for a newer program's file."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise WorkspaceError(
            f"this workspace was written by a newer ragtune (schema {version}, this one knows "
            f"{len(MIGRATIONS)}): update ragtune"
        )
    return version


Stamp = tuple[int, int]
"""A change's number and its random token. The token tells two histories apart that reached the
same number: another workspace's, or one that went on from a restored backup."""


def log_change(db: sqlite3.Connection, document: int) -> None:
    """Notes that a document's passages changed (0: the catalogue only, -1: all of them)."""
    token = secrets.randbits(62)
    db.execute("INSERT INTO changes (document, token) VALUES (?, ?)", (document, token))


def stamp(db: sqlite3.Connection) -> Stamp:
    """The last change that the connection's snapshot holds."""
    row = db.execute("SELECT number, token FROM changes ORDER BY number DESC LIMIT 1").fetchone()
    return int(row[0]), int(row[1])


def changed_since(db: sqlite3.Connection, then: Stamp) -> list[int] | None:
    """Documents that changed after `then`; None when only a rebuild can tell."""
    known = db.execute("SELECT token FROM changes WHERE number = ?", (then[0],)).fetchone()
    if known is None or known[0] != then[1]:
        return None
    rows = db.execute("SELECT DISTINCT document FROM changes WHERE number > ?", (then[0],))
    documents = [int(row[0]) for row in rows]
    return None if -1 in documents else [number for number in documents if number]


@contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """Turns errors of the disk and of SQLite into a WorkspaceError of one line."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        # Its shared memory, a file beside the log, is the first that finds no room.
        if "full" in text or getattr(error, "sqlite_errorname", "") == "SQLITE_IOERR_SHMSIZE":
            text = "the disk is full: make room and run the command again"
        elif "malformed" in text or "not a database" in text:
            text = (
                f"{FILE_NAME} is damaged ({text}): restore it from a backup, or delete the data "
                "folder and add the documents again"
            )
        raise WorkspaceError(f"{what}: {text}") from error
    except OSError as error:
        text = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = "the disk is full: make room and run the command again"
        raise WorkspaceError(f"{what}: {text}") from error
