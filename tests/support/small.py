"""A store and an embedder small enough to see through, for tests of evidence."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ragtune import words
from ragtune.ingest.parse.markdown import read_markdown
from ragtune.types import Document, Hit, Passage, Place


class BagOfWords:
    """Cosine of word stems: near enough to an embedder for tests."""

    name = "bag"
    dimensions = 512
    max_tokens = 256

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.full((len(texts), self.dimensions), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for term in words.content(text):
                row[sum(map(ord, term)) * 31 % self.dimensions] += 1
        normed: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return normed

    def count_tokens(self, text: str) -> int:
        return len(text.split())


class OneStore:
    """Documents by uri."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = {d.uri: d for d in documents}

    def get(self, uri: str) -> Document | None:
        return self.documents.get(uri)


def markdown(text: str, id: int = 1, uri: str = "a.md") -> Document:
    parsed = read_markdown(text, uri)
    return Document(id, uri, parsed.title, parsed.text, f"sha{id}", parsed.map)


def hit(document: Document, start: int = 0, end: int | None = None, score: float = 1.0) -> Hit:
    end = len(document.text) if end is None else end
    passage = Passage(1, document.id, start, end, document.title, document.text[start:end])
    return Hit(passage, document.uri, document.title, Place(""), score, ("bm25", "dense"))
