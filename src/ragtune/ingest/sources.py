"""What a user can add (a path, a glob, a database URL), and how files are named in the index.

A uri is the path relative to the workspace with "/", absolute when outside it. Bytes that are not
UTF-8, control characters and what would be ambiguous are written as %XX, reversibly.
"""

from __future__ import annotations

import os
import re
import stat as modes
from dataclasses import dataclass
from itertools import takewhile
from typing import IO, Literal, NamedTuple

from ragtune.config import DATA_FOLDER
from ragtune.errors import DocumentError

Kind = Literal["path", "glob", "sql"]

MAGIC = re.compile(r"[*?[]")
# What must be escaped: bytes that are not UTF-8 (surrogates to Python), control characters, a "%"
# that would read as an escape, and a folder's last "!" ("!/" leads to the member of an archive).
_ESCAPE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]|%(?=[0-9a-fA-F]{2})|!\Z")
_ESCAPED = re.compile(r"(?:%[0-9a-fA-F]{2})+")


class Stat(NamedTuple):
    """What tells a file from its edited self without reading it."""

    mtime_ns: int
    ctime_ns: int
    size: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> Stat:
        """The fields of `found` that matter."""
        return cls(found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


class Item(NamedTuple):
    """A file of a source. `path` has no symbolic link at its end: open it with O_NOFOLLOW."""

    uri: str
    path: str
    stat: Stat


class Trouble(NamedTuple):
    """What could not be looked at. Nothing is known about `uri` and what lies below it."""

    uri: str
    reason: str


class Missing(NamedTuple):
    """A whole source that is not there. `gone` is true where it was deleted for certain.

    It is not certain where a drive may have been unmounted: the folder above is missing as well,
    or lies on another device than the source did.
    """

    uri: str
    reason: str
    gone: bool


@dataclass(frozen=True, slots=True)
class Source:
    """One thing that was added. `device` is the st_dev of its file system when it was."""

    kind: Kind
    spec: str  # path: its uri ("." for the workspace); glob: the pattern; sql: the URL
    device: int | None = None

    @property
    def top(self) -> str:
        """The uri of the path, or of the folder that a glob begins in."""
        return fixed_part(self.spec) if self.kind == "glob" else self.spec


# ---------------------------------------------------------------- names


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(match[0]))


def encode_name(name: str) -> str:
    """The uri form of one path component."""
    return name if name.isascii() and name.isalnum() else _ESCAPE.sub(_escape, name)


def typed(name: str) -> str:
    """A name from the command line as uris have it, where it holds bytes that are no UTF-8."""
    return re.sub("[\ud800-\udfff]", _escape, name)


def uri_of(path: str, root: str) -> str:
    """The uri of an absolute path in the workspace at `root`; "." for `root` itself."""
    if path == root:
        return "."
    inside = path.startswith(root if root.endswith("/") else root + "/")
    shown = path[len(root) :].lstrip("/") if inside else path
    return "/".join(map(encode_name, shown.split("/")))


def path_of(uri: str, root: str) -> str:
    """The file system path that a uri (of a file, not of a member) stands for."""
    plain = _ESCAPED.sub(lambda m: os.fsdecode(bytes.fromhex(m[0].replace("%", ""))), uri)
    return os.path.join(root, plain) if plain != "." else root


def fixed_part(pattern: str) -> str:
    """The folder a glob begins in: its components before the first with magic, "." for none."""
    return "/".join(takewhile(lambda part: not MAGIC.search(part), pattern.split("/"))) or "."


def readable_title(uri: str) -> str:
    """A title from a file's name, for what has none: "travel-policy.md" is "travel policy"."""
    name = uri.rsplit("/", 1)[-1]
    stem = name[: name.rfind(".")] if name.rfind(".") > 0 else name
    return " ".join(re.sub(r"[-_]+|\s+", " ", stem).split()) or name


def below(uri: str, top: str) -> bool:
    """Whether `uri` is `top`, lies below it, or is a member or row of it."""
    if top == ".":
        return not uri.startswith("/") and "://" not in uri
    return uri.startswith(top) and (
        len(uri) == len(top) or uri[len(top)] in "/#" or uri.startswith("!/", len(top))
    )


# ---------------------------------------------------------------- what the user names


def named(text: str, root: str, cwd: str | None = None) -> Source:
    """The source that `text` (path, glob or database URL) names. Raises DocumentError."""
    if re.match(r"[A-Za-z][\w+.-]*://", text):
        from ragtune.ingest import sql

        return Source("sql", sql.stored_spec(text, root, cwd or os.getcwd()))
    if not text or "\0" in text:
        raise DocumentError(f"{text!r}: not a path")
    path = absolute(text, cwd)
    if below(uri_of(path, root), DATA_FOLDER):
        raise DocumentError(f"{uri_of(path, root)}: that is ragtune's own data")
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        if not MAGIC.search(text):
            raise DocumentError(f"{uri_of(path, root)}: no such file or folder") from None
        return Source("glob", uri_of(path, root), None)
    except OSError as error:
        raise DocumentError(f"{uri_of(path, root)}: {reason(error)}") from None
    if not (modes.S_ISREG(found.st_mode) or modes.S_ISDIR(found.st_mode)):
        raise DocumentError(f"{uri_of(path, root)}: neither a file nor a folder")
    return Source("path", uri_of(path, root), found.st_dev)


def absolute(path: str | os.PathLike[str], cwd: str | None = None) -> str:
    """The absolute path. Links on the way are resolved, as in the workspace's own; not the last."""
    whole = os.path.abspath(os.path.join(cwd or os.getcwd(), os.path.expanduser(path)))
    return os.path.join(os.path.realpath(os.path.dirname(whole)), os.path.basename(whole))


def read_list(stream: IO[bytes]) -> list[str]:
    """The names in a list (`ragtune add -`): one a line, or with NULs as `find -print0` does."""
    data = stream.read()
    names = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(name) for name in names if name.strip()]


def reason(error: OSError) -> str:
    """An operating system error in a few words."""
    return (error.strerror or type(error).__name__).lower()
