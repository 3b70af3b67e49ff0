"""The index of chosen documents for the page: whatever Python can work out before, worked out.

Texts with blocks, sentences and their places, BM25 postings as tantivy would make them, and int8
vectors of passages and of every sentence, so that a question costs one embedding. The page only
has the question's side to compute. Offsets are counted in UTF-16 units, as JavaScript does.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragtune import versions
from ragtune.errors import WorkspaceError
from ragtune.export.browser.names import names
from ragtune.ingest.plan import stored_sources
from ragtune.places import place
from ragtune.protocols import Embedder
from ragtune.sentences import sentences
from ragtune.types import Block, Document, Filter, OnProgress, Passage, Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragtune.store.embedded import EmbeddedStore

KINDS = ("paragraph", "heading", "item", "header", "row", "code")
BATCH = 256  # sentences embedded between two steps of the progress bar


@dataclass(frozen=True, slots=True)
class Index:
    """`content` becomes index.json, `vectors` vectors.bin; see js/store.js, which reads both."""

    content: dict[str, Any]
    vectors: bytes
    documents: int
    passages: int
    sentences: int


def build(
    store: EmbeddedStore,
    embedder: Embedder,
    where: Filter | None = None,
    on_progress: OnProgress | None = None,
) -> Index:
    """The index of the documents that pass `where`; nothing of any other is in it."""
    import numpy as np

    from ragtune.store.vectors import quantise

    chosen = [i.uri for i in store.documents(where) if i.state == "indexed" and i.passages]
    documents: list[Document] = []
    passages: list[tuple[int, Passage]] = []  # position in `documents`, and the passage
    for uri in chosen:
        document = store.get(uri)
        if document is not None:
            found = store.passages_of(uri)
            if any(document.text[p.start : p.end] != p.text for p in found):
                raise _changed(uri)
            passages += [(len(documents), p) for p in found]
            documents.append(document)
    passages.sort(key=lambda pair: pair[1].id)  # equal scores are ordered by id

    called = names((d.uri for d in documents), stored_sources(store))
    at = [_utf16(document.text) for document in documents]
    labels: dict[str, int] = {}
    stored: list[dict[str, Any]] = []
    texts: list[str] = []
    for number, document in enumerate(documents):
        units = _units(document)
        texts += [document.text[start:end] for start, end, _ in units]
        stored.append(_document(document, called[document.uri], units, at[number], labels))
    headings: dict[str, int] = {}
    terms, lengths, total = _postings([p for _, p in passages])
    of_passages = _stored(store, [p for _, p in passages], embedder.dimensions)
    of_units = _embed(texts, embedder, on_progress)
    rows, scales = quantise(np.concatenate([of_passages, of_units]))
    content = {
        "documents": stored,
        "labels": list(labels),
        "passages": {
            "spans": [n for d, p in passages for n in (d, at[d](p.start), at[d](p.end))],
            "headings": [headings.setdefault(p.heading, len(headings)) for _, p in passages],
        },
        "headings": list(headings),
        "terms": terms,
        "lengths": lengths,
        # The workspace's index counts its stamp as one more document, without words.
        "count": len(passages) + 1,
        "total": total,
        "dimensions": embedder.dimensions,
    }
    data = scales.astype("<f4").tobytes() + rows.tobytes()
    return Index(content, data, len(documents), len(passages), len(texts))


def _stored(
    store: EmbeddedStore, passages: Sequence[Passage], dimensions: int
) -> NDArray[np.float32]:
    """The passages' vectors as the store has them, a row each."""
    import numpy as np

    from ragtune.store.text import text_hash

    hashes = [text_hash(p.heading, p.text) for p in passages]
    known = store.vectors_for(hashes)
    if missing := [p for p, key in zip(passages, hashes, strict=True) if key not in known]:
        raise _changed(str(missing[0].document))
    rows = np.empty((len(passages), dimensions), np.float32)
    for number, key in enumerate(hashes):
        rows[number] = known[key]
    return rows


def _changed(uri: str) -> WorkspaceError:
    return WorkspaceError(f"document {uri} changed during the export: run it again")


def _document(
    document: Document,
    name: str,
    units: Sequence[tuple[int, int, int]],
    at: Callable[[int], int],
    labels: dict[str, int],
) -> dict[str, Any]:
    version = versions.version(document.title, document.uri, document.text[: versions.HEAD])
    return {
        "id": document.id,
        "uri": name,
        "title": document.title,
        "sha256": document.sha256,
        "type": document.type,
        "text": document.text.encode("utf-8", "replace").decode("utf-8"),
        "blocks": [n for b in document.map.blocks for n in (at(b.start), at(b.end), _kind(b))],
        "units": [n for s, e, block in units for n in (at(s), at(e), block)],
        "labels": [
            labels.setdefault(place(document, s, e).label, len(labels)) for s, e, _ in units
        ],
        "version": {
            "name": " ".join(sorted(version.name)),
            "from": version.valid_from.isoformat() if version.valid_from else None,
            "number": version.number,
        },
    }


def _kind(block: Block) -> int:
    return KINDS.index(block.kind) + 8 * block.level


def _units(document: Document) -> list[tuple[int, int, int]]:
    """Start, end and block (-1: none) of every sentence, as evidence and quoting see them."""
    blocks = document.map.blocks
    found: list[tuple[int, int, int]] = []
    at = 0
    for start, end in sentences(document.text, 0, len(document.text), blocks):
        while at < len(blocks) and blocks[at].end <= start:
            at += 1
        inside = at < len(blocks) and blocks[at].start <= start
        found.append((start, end, at if inside else -1))
    return found


def _utf16(text: str) -> Callable[[int], int]:
    """From an offset in code points to one in UTF-16 units."""
    wide = [n for n, c in enumerate(text) if c > "\uffff"] if not text.isascii() else []
    if not wide:
        return lambda offset: offset
    return lambda offset: offset + bisect.bisect_left(wide, offset)


def _postings(passages: Sequence[Passage]) -> tuple[dict[str, list[int]], list[int], int]:
    """For each term its passages and counts, flat, passages as steps; lengths; all words.

    Lengths are what tantivy keeps of them in one byte, so that scores are its own.
    """
    from ragtune.store.lexical import analyzer
    from ragtune.store.text import embedded_text

    analyse = analyzer().analyze
    terms: dict[str, list[int]] = {}
    last: dict[str, int] = {}
    lengths: list[int] = []
    total = 0
    for number, passage in enumerate(passages):
        text = embedded_text(passage.heading, passage.text)
        found = analyse(text.encode("utf-8", "replace").decode("utf-8"))
        total += len(found)
        lengths.append(kept_length(len(found)))
        for term, count in Counter(found).items():
            terms.setdefault(term, []).extend((number - last.get(term, 0), count))
            last[term] = number
    return terms, lengths, total


def kept_length(length: int) -> int:
    """A field's length as Lucene and tantivy keep it in a byte: exact to 40, then rounded down."""
    if length < 24:
        return length
    rest = length - 24
    shift = max(0, rest.bit_length() - 4)
    return 24 + ((rest >> shift) << shift)


def _embed(
    texts: Sequence[str], embedder: Embedder, on_progress: OnProgress | None
) -> NDArray[np.float32]:
    """One unit row a text; equal texts are embedded once."""
    import numpy as np

    different = list(dict.fromkeys(texts))
    rows: list[NDArray[np.float32]] = [np.empty((0, embedder.dimensions), np.float32)]
    for start in range(0, len(different), BATCH):
        rows.append(embedder.embed(different[start : start + BATCH]))
        if on_progress is not None:
            done = min(start + BATCH, len(different))
            on_progress(Progress("sentences", done, len(different)))
    number = {text: n for n, text in enumerate(different)}
    whole: NDArray[np.float32] = np.concatenate(rows)[[number[text] for text in texts]]
    return whole
