"""How documents are called in a page: never by a path of the machine that exported it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ragtune.ingest.sources import Source, below


def names(uris: Iterable[str], sources: Sequence[Source]) -> dict[str, str]:
    """The page's name for each of `uris`, all different.

    What lies in the workspace keeps its uri. A document from elsewhere is named from the folder or
    file that was added ("handbook/travel.pdf"), a row from its database ("shop.db#items/id=3"),
    with a number where two of them are called the same.
    """
    found: dict[str, str] = {}
    outside: dict[str, list[str]] = {}  # by what was added
    for uri in uris:
        if top := _top(uri, sources):
            outside.setdefault(top, []).append(uri)
        else:
            found[uri] = uri
    taken = {part for uri in found for part in (uri, uri.split("/", 1)[0])}
    for top in sorted(outside):
        name = short = top.rstrip("/").rsplit("/", 1)[-1]
        number = 1
        while short in taken or any(short + uri[len(top) :] in taken for uri in outside[top]):
            number += 1
            short = f"{name} ({number})"
        found |= {uri: short + uri[len(top) :] for uri in outside[top]}
        taken |= {short, *(found[uri] for uri in outside[top])}
    return found


def _top(uri: str, sources: Sequence[Source]) -> str:
    """What was added that an outside document belongs to; "" for a document in the workspace."""
    if not uri.startswith("/"):
        base = uri.split("#", 1)[0]
        scheme, there, rest = base.partition("://")
        inside = not there or (scheme == "sqlite" and not rest.startswith("//"))
        return "" if inside else base
    tops = [s.top for s in sources if s.top.startswith("/") and s.top != "/" and below(uri, s.top)]
    return max(tops, key=len, default="") or uri.split("!/", 1)[0].split("#", 1)[0]
