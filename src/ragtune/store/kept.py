"""Documents that were read, kept until the store changes.

A question reads the documents of its best passages again and again: taking texts apart from their
compressed form was a quarter of a search. What is kept belongs to one stamp of the store, which
each reader compares in its own snapshot, so nothing out of date is ever given out.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from typing import Literal

from ragtune.store import rows, schema
from ragtune.store.schema import Stamp
from ragtune.types import Document

CHARACTERS = 64_000_000  # of the texts kept, with COST for what else belongs to a document
COST = 100  # characters that a block or anchor of the source map counts for

Key = tuple[Literal["id", "uri"], str | int]


class Kept:
    """The documents of one stamp, those used last. Safe among threads."""

    def __init__(self, most: int = CHARACTERS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._stamp: Stamp = (0, 0)
        self._size = 0
        self._documents: OrderedDict[Key, Document] = OrderedDict()

    def get(self, db: sqlite3.Connection, column: Literal["id", "uri"], value: str | int) -> (
        Document | None
    ):  # fmt: skip
        """As `rows.get` in the snapshot of `db`."""
        now = schema.stamp(db)
        key: Key = (column, value)
        with self._lock:
            if self._stamp != now:
                # A reader of an older snapshot may come late: it empties this, which harms nothing.
                self._stamp, self._size = now, 0
                self._documents.clear()
            known = self._documents.get(key)
            if known is not None:
                self._documents.move_to_end(key)
                return known
        document = rows.get(db, column, value)
        if document is not None:
            with self._lock:
                if self._stamp == now and key not in self._documents:
                    self._documents[key] = document
                    self._size += _cost(document)
                    while self._size > self._most:
                        self._size -= _cost(self._documents.popitem(last=False)[1])
        return document


def _cost(document: Document) -> int:
    return len(document.text) + COST * (len(document.map.blocks) + len(document.map.anchors))
