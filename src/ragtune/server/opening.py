"""A place in a document, as a client shows it: the text around a span and where it stands."""

from __future__ import annotations

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
    }
