"""Small documents with invented vectors, for tests and benchmarks of stores: no model needed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragtune.store.text import embedded_text
from ragtune.types import Document, Passage, SourceMap

if TYPE_CHECKING:
    from ragtune.types import Vectors

DIMENSIONS = 32


def vector(text: str, dimensions: int = DIMENSIONS) -> Vectors:
    """A unit vector of shape (dimensions,) that depends on the text alone."""
    import numpy as np

    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    found = np.random.default_rng(seed).standard_normal(dimensions, dtype=np.float32)
    unit: Vectors = found / np.linalg.norm(found)
    return unit


def document(
    uri: str,
    paragraphs: Sequence[str],
    *,
    heading: str = "",
    type: str = "txt",
    tags: Sequence[str] = (),
    modified: float = 0.0,
    dimensions: int = DIMENSIONS,
) -> tuple[Document, list[Passage], Vectors]:
    """A document with a passage a paragraph, ready for `Store.replace`."""
    import numpy as np

    text = "\n\n".join(paragraphs)
    passages = []
    at = 0
    for paragraph in paragraphs:
        end = at + len(paragraph)
        passages.append(Passage(0, 0, at, end, heading, paragraph))
        at = end + 2
    rows = [vector(embedded_text(heading, p.text), dimensions) for p in passages]
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    found = Document(
        0, uri, uri, text, sha256, SourceMap(), type=type, modified=modified, tags=tuple(tags)
    )
    return found, passages, np.array(rows, np.float32).reshape(len(rows), dimensions)
