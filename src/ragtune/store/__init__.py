"""Implementations of the Store Protocol."""

from ragtune.store.catalogue import Counts, Known, Source
from ragtune.store.embedded import EmbeddedStore
from ragtune.store.rows import FileStat
from ragtune.store.text import embedded_text, text_hash
from ragtune.store.verify import VerifyReport

__all__ = [
    "Counts",
    "EmbeddedStore",
    "FileStat",
    "Known",
    "Source",
    "VerifyReport",
    "embedded_text",
    "text_hash",
]
