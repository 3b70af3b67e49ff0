"""Reading a file that may change, vanish or be swapped while it is read."""

from __future__ import annotations

import errno
import hashlib
import os
import stat as modes
import time
from dataclasses import dataclass, replace

from ragtune.errors import DocumentError
from ragtune.ingest.parse import VERSION
from ragtune.ingest.sources import Item, Stat, reason
from ragtune.ingest.sql import MAGIC
from ragtune.store import FileStat

# A file that was written so shortly before it is looked at may be written again within the same
# tick of its clock (2 s on FAT), with no trace in its stat.
RACY_NS = 2_000_000_000
DATABASE = "database:"  # what the sha256 of a database's own entry begins with
_HASHED = 64 << 20  # of a database only this much is hashed: its rows are compared anyway


class GoneError(Exception):
    """The file is not there any more."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file as read: its bytes (none for a database), their hash, and the stat they belong to."""

    data: bytes
    sha256: str
    stat: FileStat

    @property
    def is_database(self) -> bool:
        """Whether the file is a SQLite database, which is not read as bytes."""
        return self.sha256.startswith(DATABASE)


def file_stat(stat: Stat) -> FileStat:
    """What is stored of a file's stat. One that cannot be trusted later gets no ctime."""
    now = time.time_ns()
    racy = abs(now - stat.mtime_ns) < RACY_NS or abs(now - stat.ctime_ns) < RACY_NS
    return FileStat(stat.size, stat.mtime_ns, 0 if racy else stat.ctime_ns, stat.inode, VERSION)


def same_stat(now: Stat, known: FileStat) -> bool:
    """Whether a file is, by its stat, the one that was read, and by readers like these."""
    return (
        now.mtime_ns == known.mtime_ns
        and now.ctime_ns == known.ctime_ns
        and now.size == known.size
        and now.inode == known.inode
        and known.reader == VERSION
    )


def database_stat(path: str) -> Stat:
    """The stat of a SQLite file together with its write-ahead log. Raises OSError."""
    stat = Stat.of(os.stat(path))
    try:
        log = os.stat(path + "-wal")
    except OSError:
        return stat
    if log.st_size == 0:  # it comes and goes with each reader
        return stat
    return Stat(
        max(stat.mtime_ns, log.st_mtime_ns),
        max(stat.ctime_ns, log.st_ctime_ns),
        stat.size + log.st_size,
        stat.inode,
    )


def read_file(item: Item, max_mb: int) -> Content:
    """The file's bytes from one moment, or the hash of a database.

    What is being written meanwhile is read once more; if it still changes, its stat is one that
    the next look does not trust. Raises GoneError; DocumentError where it cannot be read; OSError
    where the file system does not answer.
    """
    try:
        # Not through a link that was put there after the scan; a pipe must not block.
        file = os.open(item.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise GoneError from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise GoneError from None
        if isinstance(error, PermissionError):
            raise DocumentError(reason(error)) from None
        raise
    with os.fdopen(file, "rb", buffering=0) as stream:
        for last in (False, True):
            found = os.fstat(file)
            if not modes.S_ISREG(found.st_mode):
                raise DocumentError("not a file")
            stream.seek(0)
            if stream.read(len(MAGIC)) == MAGIC:
                return _database(item, stream.fileno(), found.st_size)
            if found.st_size > max_mb << 20:
                size = found.st_size >> 20
                raise DocumentError(f"{size} MiB: larger than max_file_mb = {max_mb}")
            stream.seek(0)
            data = stream.readall() or b""
            after = os.fstat(file)
            stat = Stat.of(found)
            if Stat.of(after) == stat and len(data) == stat.size:
                return Content(data, hashlib.sha256(data).hexdigest(), file_stat(stat))
            if last:
                break
    moving = replace(file_stat(stat), ctime_ns=0)
    return Content(data, hashlib.sha256(data).hexdigest(), moving)


def _database(item: Item, file: int, size: int) -> Content:
    stat = file_stat(database_stat(item.path))
    digest = hashlib.sha256(str(size).encode())
    os.lseek(file, 0, os.SEEK_SET)
    left = _HASHED
    while left > 0 and (part := os.read(file, min(left, 1 << 20))):
        digest.update(part)
        left -= len(part)
    return Content(b"", DATABASE + digest.hexdigest(), stat)


def file_hash(item: Item, max_mb: int) -> str | None:
    """What `read_file` would give as the hash; None where it cannot be read."""
    try:
        return read_file(item, max_mb).sha256
    except (GoneError, DocumentError, OSError):
        return None
