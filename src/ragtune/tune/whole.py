"""A file or a folder that appears whole or not at all, also when the process is killed.

It is made beside its place under a name that begins with a dot, and renamed at the end. What a
killed process left behind is deleted by the next one that writes to the same place: whoever makes
something holds a lock on it (`flock`, which the kernel takes back however a process ends).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ragtune.errors import TuneError


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A path beside `out` to write a file to; it becomes `out` at the end, and only then."""
    made = _beside(out)
    try:
        with _locked(made, os.O_RDWR | os.O_CREAT | os.O_EXCL):
            yield made
            with made.open("rb") as written:
                os.fsync(written.fileno())
            made.replace(out)
    except OSError as error:
        raise _cannot(out, error) from None
    finally:
        made.unlink(missing_ok=True)


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` to fill; it becomes `out` at the end, which must not exist before."""
    absent(out)
    made = _beside(out)
    try:
        made.mkdir()
        with _locked(made, os.O_RDONLY):
            yield made
            made.replace(out)
    except OSError as error:
        raise _cannot(out, error) from None
    finally:
        shutil.rmtree(made, ignore_errors=True)


def absent(out: Path) -> None:
    """Raises TuneError where a folder `out` could not be made: ask before long work."""
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise TuneError(f"{out} exists already: name another place, or remove it")


def _beside(out: Path) -> Path:
    """A new name in the folder of `out`, which is made if it is not there."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for left in out.parent.glob(f".{_escaped(out.name)}.{'[0-9a-f]' * 8}"):
            _sweep(left)
    except OSError as error:
        raise _cannot(out, error) from None
    return out.parent / f".{out.name}.{secrets.token_hex(4)}"


def _escaped(name: str) -> str:
    import glob

    return glob.escape(name)


def _sweep(left: Path) -> None:
    """Deletes what nobody is making any more."""
    with suppress(OSError), _locked(left, os.O_RDONLY):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink()


@contextmanager
def _locked(path: Path, flags: int) -> Iterator[None]:
    """Holds the lock on `path`; OSError where another process has it."""
    file = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)


def _cannot(out: Path, error: OSError) -> TuneError:
    return TuneError(f"cannot write {out}: {error.strerror or error}")
