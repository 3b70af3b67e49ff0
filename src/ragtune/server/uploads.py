"""Uploaded files: kept below `uploads/` in the workspace, which is one of its sources.

A name from outside is a path below that folder and nothing else. Each of its parts is checked, and
then opened or made relative to the folder above it, never following a link (CVE-2024-0549,
CVE-2025-3046): what the check saw is what is written. A file appears in one rename, whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat as modes
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ragtune import config
from ragtune.config import Settings
from ragtune.errors import DocumentError
from ragtune.ingest.scan import Rules
from ragtune.ingest.sources import below, path_of, uri_of
from ragtune.server.problems import Problem

FOLDER = "uploads"
_INCOMING = "incoming"  # in the data folder: what is still arriving
_PARTS, _NAME_BYTES, _PATH_BYTES = 16, 200, 1000
_FOLDERS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """An uploaded file in its place. `created` is false where these bytes were there already."""

    path: Path
    uri: str
    sha256: str
    size: int
    created: bool


class Arriving:
    """A file that is being received. Use it as a context manager: what is not placed is deleted."""

    def __init__(self, folder: Path, most: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / secrets.token_hex(12)
        self.size = 0
        self._most = most
        self._hash = hashlib.sha256()
        self._file: BinaryIO = self.path.open("xb")

    def __enter__(self) -> Arriving:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Takes more bytes. Raises Problem 413 or 507."""
        self.size += len(data)
        if self.size > self._most:
            raise Problem(413, f"a file has at most {self._most} bytes")
        self._hash.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise _full(error) from None

    def copy(self, source: BinaryIO) -> None:
        """Takes all bytes of `source`. Raises Problem 413 or 507."""
        while data := source.read(_CHUNK):
            self.write(data)

    def finish(self) -> str:
        """The hash of the bytes, which are on disk now."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _full(error) from None
        return self._hash.hexdigest()


class Uploads:
    """The upload folder of the workspace in `root`."""

    def __init__(self, root: Path, settings: Settings, most: int) -> None:
        self._root = root
        self._most = most
        self._rules = Rules.of(root, settings)

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._root / FOLDER

    def arriving(self) -> Arriving:
        """A new file that is being received."""
        return Arriving(self._root / config.DATA_FOLDER / _INCOMING, self._most)

    def place(self, name: str, arrived: Arriving) -> Stored:
        """Puts what arrived in its place, `name` below the upload folder.

        Raises Problem 400 for a name that is none, 409 for one where something else is.
        """
        parts = self.parts(name)
        digest = arrived.finish()
        path = self.folder.joinpath(*parts)
        uri = uri_of(str(path), str(self._root))
        with self._within(parts[:-1], make=True) as folder:
            there = _hash_of(folder, parts[-1])
            created = there != digest
            if created:
                try:
                    os.rename(arrived.path, parts[-1], dst_dir_fd=folder)
                    os.fsync(folder)
                except OSError as error:
                    raise _full(error) from None
        return Stored(path, uri, digest, arrived.size, created)

    def delete(self, uri: str) -> bool:
        """Deletes the uploaded file of this uri; False for what is no uploaded file."""
        if not below(uri, FOLDER) or uri == FOLDER:
            return False
        inside = os.path.relpath(path_of(uri, str(self._root)), self.folder)
        try:
            parts = self.parts(inside)
            with self._within(parts[:-1]) as folder:
                found = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
                if not modes.S_ISREG(found.st_mode):
                    return False
                os.unlink(parts[-1], dir_fd=folder)
        except (Problem, OSError):
            return False
        self._sweep(parts[:-1])
        return True

    def parts(self, name: str) -> list[str]:
        """The parts of a name. Raises Problem 400 for one that must not be written.

        Names that are never read (hidden ones, `exclude` of the settings) are refused too: they
        would lie there and answer nothing.
        """
        name = unicodedata.normalize("NFC", name.replace("\\", "/"))
        parts = name.split("/")
        try:
            size = len(name.encode("utf-8"))
        except UnicodeEncodeError:
            raise Problem(400, "the file's name is not valid text") from None
        if size > _PATH_BYTES or len(parts) > _PARTS:
            raise Problem(400, f"the file's path is longer than {_PATH_BYTES} bytes or too deep")
        for part in parts:
            if part in ("", ".", "..") or len(part.encode()) > _NAME_BYTES:
                raise Problem(400, "the file's path must be relative, of plain names")
            if not part.isprintable() or part != part.strip() or part.endswith("!"):
                raise Problem(400, "the file's name has characters that are not allowed")
        if not self._rules.visible(uri_of("/" + name, "/"), FOLDER):
            raise Problem(400, "a file of this name is never read: hidden, or excluded by settings")
        return parts

    @contextmanager
    def _within(self, parts: list[str], make: bool = False) -> Iterator[int]:
        """A file descriptor of the folder `parts` below the upload folder; no link is followed."""
        at = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in (FOLDER, *parts):
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=at)
                try:
                    below = os.open(part, _FOLDERS, dir_fd=at)
                except OSError as error:
                    if error.errno in (errno.ELOOP, errno.ENOTDIR):
                        raise Problem(409, "a file or link is where a folder should be") from None
                    raise
                os.close(at)
                at = below
            yield at
        except OSError as error:
            raise _full(error) from None
        finally:
            os.close(at)

    def _sweep(self, parts: list[str]) -> None:
        """Removes folders that are empty now, innermost first."""
        while parts:
            with contextlib.suppress(Problem, OSError):
                with self._within(parts[:-1]) as folder:
                    os.rmdir(parts[-1], dir_fd=folder)
                parts = parts[:-1]
                continue
            return


def _hash_of(folder: int, name: str) -> str | None:
    """The hash of a file; None without one. Raises Problem 409 for what is no file."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
                       dir_fd=folder)  # fmt: skip
    except FileNotFoundError:
        return None
    except OSError:
        raise Problem(409, "a link or something else is where the file should be") from None
    with os.fdopen(file, "rb") as stream:
        if not modes.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise Problem(409, "a folder or something else is where the file should be")
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _full(error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(507, "the disk is full")
    if error.errno in (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST):
        return Problem(409, "a folder is where the file should be")
    return DocumentError(f"the file cannot be kept: {(error.strerror or 'unknown').lower()}")
