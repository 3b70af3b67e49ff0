"""A place in a document, as a client shows it: the text around a span and where it stands."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from ragtune import places
from ragtune.render import jsonable
from ragtune.server.problems import Problem
from ragtune.types import Document

WINDOW = 4000  # characters of a span that are shown at most
AROUND = 2000  # characters before and after it


def window(document: Document, start: int, end: int, around: int) -> dict[str, Any]:
    """`document.text[start:end]` with `around` characters on both sides, and its place.

    `end` 0 means as much as is shown at once. Raises Problem 400 for a span that is none.
    """
    last = len(document.text)
    if start > last or (end and not start < end <= last):
        raise Problem(400, f"start and end must be in order, up to {last}")
    end = min(end or last, start + WINDOW)
    low, high = max(0, start - around), min(last, end + around)
    return {
        "uri": document.uri,
        "title": document.title,
        "type": document.type,
        "sha256": document.sha256,
        "length": last,
        "start": start,
        "end": end,
        "text_start": low,
        "text_end": high,
        "text": document.text[low:high],
        "place": jsonable(places.place(document, start, end)),
        "pages": max((a.page or 0 for a in document.map.anchors), default=0),
        "blocks": _blocks(document, low, high),
    }


def _blocks(document: Document, low: int, high: int) -> list[dict[str, Any]]:
    """The structure of `document.text[low:high]`; `at` is a row's cells or line, a mail's part."""
    anchors = document.map.anchors
    starts = [a.start for a in anchors]
    found = []
    for block in document.map.blocks:
        if block.end <= low or block.start >= high:
            continue
        n = bisect_right(starts, block.start) - 1
        anchor = anchors[n] if n >= 0 and block.start < anchors[n].end else None
        at = (anchor.cells or anchor.key or anchor.part) if anchor else None
        found.append({
            "start": block.start, "end": block.end, "kind": block.kind, "level": block.level,
            "at": at,
        })  # fmt: skip
    return found
