"""Stores over documents that are cut in different ways, with vectors kept between runs."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ragtune.config import Settings
from ragtune.ingest.split import Piece, embedded_text, split
from ragtune.models.embed import load_embedder
from ragtune.places import heading_path
from ragtune.protocols import System
from ragtune.store import EmbeddedStore
from ragtune.types import Document, Passage

if TYPE_CHECKING:
    from ragtune.types import Vectors

WORK = Path(os.environ.get("RAGTUNE_BENCH_WORK", "/tmp/ragtune-bench"))
SETTINGS = Settings()
Cut = Callable[[Document], list[Piece]]


class KeptEmbedder:
    """The default embedder with its vectors kept in a file, by the hash of the text."""

    def __init__(self) -> None:
        self._embedder = load_embedder(SETTINGS)
        self.name = self._embedder.name
        self.dimensions = self._embedder.dimensions
        self.max_tokens = self._embedder.max_tokens
        WORK.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(WORK / f"{self.name.replace('/', '-')}.db", isolation_level=None)
        self._db.execute("CREATE TABLE IF NOT EXISTS e (h BLOB PRIMARY KEY, v BLOB)")

    def count_tokens(self, text: str) -> int:
        return self._embedder.count_tokens(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.empty((len(texts), self.dimensions), np.float32)
        keys = [hashlib.sha1(t.encode("utf-8", "replace")).digest() for t in texts]
        new = []
        for n, key in enumerate(keys):
            row = self._db.execute("SELECT v FROM e WHERE h = ?", (key,)).fetchone()
            if row:
                rows[n] = np.frombuffer(row[0], np.float32)
            else:
                new.append(n)
        for n, vector in zip(new, self._embedder.embed([texts[n] for n in new]), strict=True):
            rows[n] = vector
            self._db.execute("INSERT OR IGNORE INTO e VALUES (?, ?)", (keys[n], rows[n].tobytes()))
        return rows


@lru_cache(maxsize=1)
def embedder() -> KeptEmbedder:
    return KeptEmbedder()


# ---------------------------------------------------------------- ways to cut a document


def by_structure(document: Document) -> list[Piece]:
    """As `ragtune add` does."""
    count = embedder().count_tokens
    return split(document.text, document.map, document.title, count, SETTINGS.passage_tokens)


def whole(document: Document) -> list[Piece]:
    return [Piece(0, len(document.text), "")]


def words_120(document: Document) -> list[Piece]:
    """Chunks of 120 words wherever they fall."""
    words = [match.span() for match in re.finditer(r"\S+", document.text)]
    groups = [words[at : at + 120] for at in range(0, len(words), 120)]
    return [Piece(group[0][0], group[-1][1], "") for group in groups]


def words_120_headed(document: Document) -> list[Piece]:
    """The same chunks with the heading path of their beginning."""

    def path(start: int) -> str:
        names = [document.title, *heading_path(document.map, document.text, start)]
        return " > ".join(dict.fromkeys(names))

    return [Piece(p.start, p.end, path(p.start)) for p in words_120(document)]


@contextmanager
def indexed(documents: Sequence[Document], cut: Cut = by_structure) -> Iterator[System]:
    """A store in a temporary folder with `documents`."""
    model = embedder()
    with tempfile.TemporaryDirectory() as folder, EmbeddedStore(Path(folder) / "data") as store:
        store.set_embedder(model.name, model.dimensions)

        def items() -> Iterator[tuple[Document, list[Passage], Vectors, None]]:
            for d in documents:
                passages = [
                    Passage(0, 0, p.start, p.end, p.heading, d.text[p.start : p.end])
                    for p in cut(d)
                ]
                texts = [embedded_text(p.heading, p.text) for p in passages]
                yield d, passages, model.embed(texts), None

        store.replace_many(items())
        yield System(store, model, cast(Any, None))
