"""ZIP files: every readable member is a document of its own, one ZIP inside another is opened."""

from __future__ import annotations

import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Failed, Parsed, one_line
from ragtune.ingest.parse.container import MAX_TOTAL, open_zip

_JUNK = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")
_MAX_NAME = 500


def read_zip(data: bytes, depth: int = 0) -> list[Parsed | Failed]:
    """Members in the archive's order. Raises DocumentError when none can be read."""
    results: list[Parsed | Failed] = []
    seen: set[str] = set()
    budget = MAX_TOTAL
    with open_zip(data) as archive:
        for info in archive.infos:
            name = safe_name(info.filename)
            if any(name.startswith(j) or name.endswith(j) for j in _JUNK) or not name:
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                continue
            if name in seen:
                results.append(Failed(name, "a second member of the same name in the ZIP file"))
                continue
            seen.add(name)
            budget -= info.file_size
            if budget < 0:
                raise DocumentError(f"unpacks to more than {MAX_TOTAL >> 20} MiB: unpack it")
            try:
                results += _member(archive.read(info.filename), name, depth)
            except DocumentError as error:
                results.append(Failed(name, one_line(str(error))))
    if not results:
        raise DocumentError("empty: a ZIP file without files")
    if not any(isinstance(r, Parsed) for r in results):
        first = next(r for r in results if isinstance(r, Failed))
        raise DocumentError(
            f"none of the {len(results)} files in it can be read: {first.name}: {first.reason}"
        )
    return results


def member(data: bytes, name: str) -> bytes:
    """The bytes of one member, by the name that `read_zip` gives it. Raises DocumentError."""
    outer, _, inner = name.partition("!/")
    with open_zip(data) as archive:
        for info in archive.infos:
            if safe_name(info.filename) == outer:
                found = archive.read(info.filename)
                return member(found, inner) if inner else found
    raise DocumentError("the file is not in the archive any more")


def _member(data: bytes, name: str, depth: int) -> Iterator[Parsed | Failed]:
    from ragtune.ingest.parse import parse
    from ragtune.ingest.parse.detect import binary_type

    if binary_type(data) != "zip":
        yield from parse(data, name)
        return
    if depth:
        raise DocumentError("ZIP files nested too deeply: unpack it")
    for inner in read_zip(data, depth + 1):
        yield replace(inner, name=f"{name}!/{inner.name}")


def safe_name(name: str) -> str:
    """A member's path as part of a uri: relative, without '..', control characters or drives."""
    name = unicodedata.normalize("NFC", name.replace("\\", "/"))
    name = "".join(c for c in name if c.isprintable())
    if len(name) > 1 and name[1] == ":" and name[0].isalpha():
        name = name[2:]
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "/".join(parts).replace("!/", "!_/")[:_MAX_NAME]
