"""The data that flows through ragtune: frozen dataclasses, no I/O (the parts: `protocols.py`).

Offsets are Python string indices (code points) into a document's canonical text; `start` is
included, `end` is not. Scores are larger for better. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ragtune.visibility import Visibility

if TYPE_CHECKING:  # numpy costs 80 ms to import; types must stay free
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

BlockKind = Literal["heading", "paragraph", "item", "header", "row", "code"]
Status = Literal["cited", "partly_cited", "uncited", "declined"]
State = Literal["indexed", "quarantined"]


# ---------------------------------------------------------------- documents


@dataclass(frozen=True, slots=True)
class Block:
    """A structural unit of the canonical text: what splitting may not tear apart.

    `level` is 1 to 6 for a heading, the nesting depth (0 = outermost) for a list item. A `header`
    is the header row of the table whose `row` blocks follow it.
    """

    start: int
    end: int
    kind: BlockKind
    level: int = 0


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where `text[start:end]` stands in the source; only the fields that the format has are set."""

    start: int
    end: int
    page: int | None = None  # PDF, 1-based
    box: tuple[float, float, float, float] | None = None  # PDF points: left, bottom, right, top
    slide: int | None = None  # 1-based
    sheet: str | None = None
    cells: str | None = None  # "A4:F4"
    part: str | None = None  # e-mail part or attachment, EPUB chapter
    table: str | None = None  # database
    key: str | None = None  # database: "id=3"


@dataclass(frozen=True, slots=True)
class SourceMap:
    """Structure and source positions of a document; both sorted by `start`, blocks disjoint."""

    blocks: tuple[Block, ...] = ()
    anchors: tuple[Anchor, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """One source as ragtune reads it.

    `uri` is the path relative to the workspace (absolute when outside it), with `!/inner` for a
    member of a ZIP file, or a database URL with `#table/key`. `sha256` is the hash of the source's
    bytes (of the text for a database row). `id` is 0 until the store has given one; it stays the
    same through edits and moves. `left_out` says what the source hides from its reader, which is
    no part of `text`: "white text on page 2".
    """

    id: int
    uri: str
    title: str
    text: str
    sha256: str
    map: SourceMap
    type: str = "txt"  # pdf, docx, md, … as found by content
    modified: float = 0.0  # POSIX seconds, of the source
    tags: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A span of a document that is indexed as one unit: `document.text[start:end] == text`.

    `heading` is the heading path ("Travel policy > Meals"), with the table's header row where the
    span starts inside a table; it goes into both indexes in front of the text. `id` is 0 until
    stored. Identity is document and span, never the text.
    """

    id: int
    document: int
    start: int
    end: int
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a span can be found in its source. `label` is for people: 'page 3, "Meals"'."""

    label: str
    heading: tuple[str, ...] = ()
    line: int | None = None  # text formats, 1-based
    page: int | None = None
    boxes: tuple[tuple[int, float, float, float, float], ...] = ()  # page, left, bottom, right, top
    slide: int | None = None
    sheet: str | None = None
    cells: str | None = None
    part: str | None = None
    table: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """One line of `ragtune docs`: a source's state without its text."""

    id: int
    uri: str
    state: State
    error: str | None
    passages: int
    title: str
    type: str
    size: int  # bytes of the source
    modified: float
    sha256: str
    tags: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()  # hidden text that was not read: see Document


# ---------------------------------------------------------------- finding and answering


@dataclass(frozen=True, slots=True)
class Filter:
    """Exact restrictions on documents; an empty field does not restrict.

    `path` holds glob patterns over the uri, `type` formats, `tag` tags (each list: any of them);
    `since` and `until` bound `Document.modified`, POSIX seconds, both included. `visible` keeps to
    what someone may see; it is set by whoever knows who asks, never from a request.
    """

    path: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    visible: Visibility | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Passage ids with scores from one snapshot of the store, best first."""

    lexical: tuple[tuple[int, float], ...]  # BM25
    dense: tuple[tuple[int, float], ...]  # cosine


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage, or neighbouring passages joined into one segment, that was found."""

    passage: Passage
    uri: str
    title: str
    place: Place
    score: float
    from_: tuple[str, ...] = ()  # "bm25", "dense", "reranker"

    @property
    def text(self) -> str:
        """The segment's text, exactly as in the document."""
        return self.passage.text


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence (or list item, or table row) of a hit, ranked as evidence."""

    document: int
    uri: str
    title: str
    sha256: str
    start: int
    end: int
    text: str
    score: float
    place: Place
    phrase_start: int = 0  # the answering words inside it, document offsets; 0, 0: none marked
    phrase_end: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """The ranked sentences for a question and whether they support an answer.

    `support` is calibrated to grow with the chance that the documents answer the question;
    `supported` says whether it reaches the workspace's threshold. `quotes` are the spans that a
    quoted answer shows: each the contiguous unit around its key sentence. `conflict` says that the
    first two quotes are from documents that answer differently.
    """

    sentences: tuple[Sentence, ...] = ()
    quotes: tuple[Quote, ...] = ()
    support: float = 0.0
    supported: bool = False
    hits: tuple[Hit, ...] = ()
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """A contiguous span that is shown verbatim, with the key sentence inside it."""

    span: Sentence  # start, end and text of the whole quoted span, with the phrase inside it
    key_start: int
    key_end: int


@dataclass(frozen=True, slots=True)
class Citation:
    """A claim's source: `document.text[start:end] == quote` in the version with this `sha256`."""

    marker: int  # the n of "[n]" in the answer's text
    uri: str
    quote: str
    start: int
    end: int
    place: Place
    sha256: str
    title: str = ""
    key_start: int = 0  # the key sentence inside the quote, document offsets
    key_end: int = 0
    phrase_start: int = 0  # the answering words inside the quote; 0, 0: none marked
    phrase_end: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """Which way a question goes; the default is: documents, no adapter."""

    name: str = "documents"
    documents: bool = True
    adapter: str | None = None
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of written text as it streams; provisional until the Answer.

    `checked` is what of the Answer's text is certain by now and was not before: the pieces of all
    tokens together are its beginning.
    """

    text: str
    checked: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The verified result for a question.

    `timings` are seconds by stage ("search", "evidence", "first_token", "write", "verify",
    "total"); `model` names what wrote the text ("quote" when nothing did). `written` is the raw
    text of the model before verification. `conflict`: two documents answer differently.
    `nearest` is what a declined question would have been answered with: no answer, but to be read.
    """

    text: str
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]
    status: Status
    route: Route
    timings: Mapping[str, float]
    model: str
    support: float = 0.0
    written: str | None = None
    conflict: bool = False
    nearest: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Generation:
    """How a generator decodes. Temperature 0 is greedy. `adapter` names a tuned adapter."""

    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    adapter: str | None = None


# ---------------------------------------------------------------- tuning


@dataclass(frozen=True, slots=True)
class Gold:
    """Where a known answer stands: a verbatim quote of a document, named by its uri."""

    document: str
    quote: str


@dataclass(frozen=True, slots=True)
class Example:
    """A question with the answer that the company wants, for training or held out.

    `system` and `history` are what stood before the question in a conversation. `kind` is "fact",
    "procedure", "style", "unanswerable" or what the file says; `row` its position in the file,
    1-based, for messages.
    """

    question: str
    answer: str
    id: str = ""
    row: int = 0
    system: str = ""
    history: tuple[Message, ...] = ()
    evidence: tuple[Gold, ...] = ()
    kind: str = ""
    must_contain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Adapter:
    """A tuned adapter as serving needs it.

    `mode` is "answers" (trained without documents) or "grounded". `sentences` is how many evidence
    sentences its prompts held in training. `fixed` are the sentences of the company's form that
    claim nothing (greeting, sign-off), which verification lets pass.
    """

    name: str
    path: str  # GGUF file
    mode: Literal["answers", "grounded"]
    base_sha256: str
    sentences: int = 1
    fixed: tuple[str, ...] = ()


# ---------------------------------------------------------------- long work


OnProgress = Callable[["Progress"], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of long work, for a progress bar: `done` of `total` (0: unknown) units of `what`."""

    what: str
    done: int
    total: int
    detail: str = ""
