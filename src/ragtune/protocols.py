"""The parts that can be replaced, as Protocols, and the System that one question runs on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ragtune.types import (
    Adapter,
    Document,
    Filter,
    Found,
    Generation,
    Message,
    Passage,
    Route,
    Token,
)

if TYPE_CHECKING:
    from ragtune.types import Vectors


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    name: str  # identifies the vectors: changes whenever they would
    dimensions: int
    max_tokens: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Rows of unit length, shape (len(texts), dimensions), in the order of `texts`."""
        ...

    def count_tokens(self, text: str) -> int:
        """How many tokens of its window `text` takes, without special tokens."""
        ...


class Reranker(Protocol):
    """Scores how well each text answers a query (a cross-encoder)."""

    def score(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """One score a text, larger is better."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader finds in one text for a question.

    `score` grows with the chance that the text answers the question. `start` and `end` are the
    answering words, offsets into the text's last line; 0, 0 when there are none.
    """

    score: float
    start: int = 0
    end: int = 0


class Reader(Protocol):
    """Reads question and text together: does the text answer, and with which words.

    Lines of a text before its last are its headings, read along.
    """

    name: str

    def read(self, question: str, texts: Sequence[str]) -> Sequence[Reading]:
        """One reading a text."""
        ...


class Generator(Protocol):
    """Writes text; loads its model at the first call."""

    name: str

    def stream(self, messages: Sequence[Message], generation: Generation) -> Iterator[Token]:
        """The reply to `messages`, piece by piece. Raises GenerationError."""
        ...


class Router(Protocol):
    """Decides which way a question goes."""

    def route(self, question: str) -> Route:
        """The route for `question`."""
        ...


class Store(Protocol):
    """Documents with their passages and vectors; every call sees one consistent snapshot."""

    def replace(self, document: Document, passages: Sequence[Passage], vectors: Vectors) -> int:
        """Puts or replaces the document of this uri with all its passages in one step; its id.

        Passages whose span, heading and text are unchanged keep their ids. When it returns, every
        process sees the new state, and it survives a crash.
        """
        ...

    def delete(self, uris: Sequence[str]) -> int:
        """Removes documents with all that belongs to them; how many there were."""
        ...

    def get(self, document: str | int) -> Document | None:
        """The document of this uri or id, or None (also when it is quarantined)."""
        ...

    def passages(self, ids: Sequence[int]) -> Sequence[Passage]:
        """The passages of these ids in this order; ids that are gone are left out."""
        ...

    def search(
        self, query: str, vector: Vectors | None, k: int, where: Filter | None = None
    ) -> Found:
        """The k best passages by BM25 and by exact cosine. `vector` has shape (dimensions,)."""
        ...


@dataclass(frozen=True, slots=True)
class System:
    """Everything that one question needs, built once by `workspace.open`."""

    store: Store
    embedder: Embedder
    generator: Generator
    reranker: Reranker | None = None
    router: Router | None = None
    calibration: Mapping[str, float] = field(default_factory=dict)
    reader: Reader | None = None
    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    adapter: str | None = None  # the one in use: writes unless a call names another
