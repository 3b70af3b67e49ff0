"""From a question to the segments of documents that may answer it.

    question ─▶ embed ─▶ store: BM25 and cosine ─▶ fuse ─▶ (rerank) ─▶ join neighbours ─▶ hits

All figures behind the choices are in benchmarks/results/retrieval.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragtune.config import Settings
from ragtune.places import place
from ragtune.protocols import Reranker, System
from ragtune.store.text import embedded_text
from ragtune.types import Document, Filter, Found, Hit, Passage

DENSE = 0.5  # weight of the cosine beside BM25: equal parts, not fitted to any data
RERANKED = 50  # passages that a reranker reads
JOINED = 20  # ranks from which a neighbour is taken into a segment
BYTES_PER_TOKEN = 4  # of UTF-8, about: counting tokens would cost more than all the rest here

Scores = dict[int, tuple[float, tuple[str, ...]]]  # passage id: score, what found it


def search(
    question: str,
    system: System,
    settings: Settings,
    where: Filter | None = None,
    k: int | None = None,
) -> list[Hit]:
    """The `k` (default `settings.k`) best segments for `question`, best first.

    Only documents that pass `where` are looked at. A passage that changes while this runs is left
    out. The same index and question give the same hits in the same order.
    """
    vector = system.embedder.embed([question])[0]
    found = system.store.search(question, vector, settings.candidates, where)
    scores = fuse(found, settings.candidates)
    passages = system.store.passages(best(scores, max(JOINED, RERANKED, 5 * (k or settings.k))))
    if system.reranker is not None:
        passages, scores = rerank(question, passages, scores, system.reranker)
    documents = _Cache(system.store.get)
    segments = join(passages, scores, documents, settings.segment_tokens, k or settings.k)
    return [_hit(segment, documents) for segment in segments]


# ---------------------------------------------------------------- ranking


def fuse(found: Found, candidates: int) -> Scores:
    """One score from 0 to 1 a passage: the mean of its BM25 and its cosine, each scaled to 0…1.

    A convex combination of scores keeps how far ahead a passage is, which reciprocal rank fusion
    throws away (Bruch et al. 2022, "An Analysis of Fusion Functions for Hybrid Retrieval").
    Scaling maps the best candidate to 1 and to 0 what the list does not reach: its last score
    where it is full (`candidates` long); in a shorter BM25 list everything else scored 0.
    """
    lexical = _scaled(found.lexical, floor=None if len(found.lexical) >= candidates else 0.0)
    dense = _scaled(found.dense, floor=None)
    scores: Scores = {}
    for id in lexical.keys() | dense.keys():
        score = (1 - DENSE) * lexical.get(id, 0.0) + DENSE * dense.get(id, 0.0)
        names = (("bm25",) if id in lexical else ()) + (("dense",) if id in dense else ())
        scores[id] = (score, names)
    return scores


def _scaled(ranked: Sequence[tuple[int, float]], floor: float | None) -> dict[int, float]:
    if not ranked:
        return {}
    high = max(score for _, score in ranked)
    low = min(score for _, score in ranked) if floor is None else floor
    if high <= low:  # nothing tells them apart
        return {id: 1.0 for id, _ in ranked}
    return {id: (score - low) / (high - low) for id, score in ranked}


def best(scores: Scores, count: int) -> list[int]:
    """Ids by score, equal ones by id."""
    return sorted(scores, key=lambda id: (-scores[id][0], id))[:count]


def rerank(
    question: str, passages: Sequence[Passage], scores: Scores, reranker: Reranker
) -> tuple[list[Passage], Scores]:
    """The first RERANKED passages in the order that the cross-encoder gives them."""
    read = list(passages[:RERANKED])
    given = reranker.score(question, [embedded_text(p.heading, p.text) for p in read])
    judged: Scores = {
        p.id: (float(score), (*scores[p.id][1], "reranker"))
        for p, score in zip(read, given, strict=True)
    }
    read.sort(key=lambda p: (-judged[p.id][0], p.id))
    return read, judged


# ---------------------------------------------------------------- joining neighbours


@dataclass(slots=True)
class Segment:
    """A contiguous span of a document that holds one passage or more; `first` is the best."""

    first: Passage
    start: int
    end: int
    score: float
    from_: tuple[str, ...]
    headings: list[tuple[int, str]]  # start and heading of the passages inside


def join(
    passages: Iterable[Passage],
    scores: Scores,
    documents: Mapping[int, Document | None],
    limit: int,
    k: int,
) -> list[Segment]:
    """The k best segments: passages in order of rank, each taken into a segment near it if it fits.

    `passages` come best first; those after the first JOINED open segments but join none, since
    what is found so late adds words, not answers. Two passages of a document become one segment,
    with what lies between them, where that makes at most `limit` tokens (relevant segment
    extraction, as in D-Star-AI/dsRAG, in one pass). A segment keeps the place of its best passage:
    what joins it adds context, not rank. Passages that are not what the document says now are
    left out.
    """
    segments: list[Segment] = []
    of: dict[int, list[Segment]] = {}
    for rank, passage in enumerate(passages):
        if len(segments) >= k and (rank >= JOINED or not of.get(passage.document)):
            continue  # it can join nothing: its document need not be read
        document = documents[passage.document]
        if document is None or document.text[passage.start : passage.end] != passage.text:
            continue
        score, names = scores[passage.id]
        near = of.setdefault(passage.document, [])
        near.sort(key=lambda s: max(s.start - passage.end, passage.start - s.end))
        # nearest first, so that no segment grows over another one
        reach = limit if rank < JOINED else 0
        segment = next((s for s in near if _fits(s, passage, document.text, reach)), None)
        if segment is not None:
            segment.start = min(segment.start, passage.start)
            segment.end = max(segment.end, passage.end)
            segment.from_ = tuple(dict.fromkeys((*segment.from_, *names)))
            segment.headings.append((passage.start, passage.heading))
            continue
        if len(segments) >= k:
            continue
        new = Segment(
            passage, passage.start, passage.end, score, names, [(passage.start, passage.heading)]
        )
        segments.append(new)
        near.append(new)
    return segments


def _fits(segment: Segment, passage: Passage, text: str, limit: int) -> bool:
    start, end = min(segment.start, passage.start), max(segment.end, passage.end)
    if (start, end) == (segment.start, segment.end):
        return True
    if end - start > limit * BYTES_PER_TOKEN:  # no fewer bytes than characters
        return False
    return len(text[start:end].encode("utf-8", "replace")) <= limit * BYTES_PER_TOKEN


def _heading(segment: Segment) -> str:
    """The heading path of a segment's start, without what only holds for a part of it."""
    headings = [heading for _, heading in sorted(segment.headings)]
    if len(set(headings)) == 1:
        return headings[0]
    paths = [heading.partition("\n")[0].split(" > ") for heading in headings]
    common = paths[0]
    for path in paths[1:]:
        same = 0
        while same < min(len(common), len(path)) and common[same] == path[same]:
            same += 1
        common = common[:same]
    return " > ".join(common)


def _hit(segment: Segment, documents: Mapping[int, Document | None]) -> Hit:
    document = documents[segment.first.document]
    assert document is not None, "join keeps only what is there"
    start, end = segment.start, segment.end
    passage = segment.first
    if (start, end) != (passage.start, passage.end):
        text = document.text[start:end]
        passage = Passage(passage.id, passage.document, start, end, _heading(segment), text)
    where = place(document, start, end)
    return Hit(passage, document.uri, document.title, where, segment.score, segment.from_)


class _Cache(dict[int, Document | None]):
    """Documents of one question by id, each read once, when first asked for."""

    def __init__(self, read: Callable[[int], Document | None]) -> None:
        self._read = read

    def __missing__(self, id: int) -> Document | None:
        self[id] = self._read(id)
        return self[id]
