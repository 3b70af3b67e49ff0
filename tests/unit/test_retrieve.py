"""Fusion, joining and the whole search over a small store with an invented embedder."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune import retrieve
from ragtune.config import Settings
from ragtune.ingest.split import embedded_text, split
from ragtune.protocols import System
from ragtune.store import EmbeddedStore
from ragtune.types import Block, Document, Filter, Found, Passage, SourceMap

if TYPE_CHECKING:
    from ragtune.types import Vectors


class Words:
    """An embedder whose vectors count words, so that cosine means shared words."""

    name = "words"
    dimensions = 512
    max_tokens = 256

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.full((len(texts), self.dimensions), 1e-3, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % self.dimensions] += 1
        unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def count_tokens(self, text: str) -> int:
        return len(text.split())


class Last:
    """A reranker that likes what stands last in the alphabet."""

    def score(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        return [float(ord(text.rpartition("\n")[2][0])) for text in texts]


PARAGRAPHS = (
    ("Leave policy", ["Everyone has thirty days of leave.", "Leave is asked for in the portal."]),
    ("Travel policy", ["Trains are booked in second class.", "Hotels cost at most 120 euros."]),
    ("Garden", ["Apple trees are cut in winter.", "Zinnias flower until the frost comes."]),
)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    embedder = Words()
    with EmbeddedStore(tmp_path / "data") as store:
        store.set_embedder(embedder.name, embedder.dimensions)
        for title, paragraphs in PARAGRAPHS:
            add(store, title, paragraphs)
        yield System(store, embedder, cast(Any, None))


def add(store: EmbeddedStore, title: str, paragraphs: Sequence[str]) -> None:
    embedder = Words()
    text = "\n\n".join(paragraphs)
    document = Document(0, f"{title}.txt", title, text, "0", SourceMap(), modified=1.0)
    passages = [
        Passage(0, 0, p.start, p.end, p.heading, text[p.start : p.end])
        for p in split(text, document.map, title, embedder.count_tokens, 9)
    ]
    vectors = embedder.embed([embedded_text(p.heading, p.text) for p in passages])
    store.replace(document, passages, vectors)


# ---------------------------------------------------------------- fuse


def test_a_passage_that_both_find_is_first() -> None:
    found = Found(((1, 9.0), (2, 8.0), (3, 1.0)), ((4, 0.9), (2, 0.8), (5, 0.1)))
    scores = retrieve.fuse(found, 3)
    assert retrieve.best(scores, 9)[0] == 2
    assert scores[2][1] == ("bm25", "dense")
    assert scores[1][1] == ("bm25",)


def test_the_only_keyword_match_counts_in_full() -> None:
    scores = retrieve.fuse(Found(((7, 3.0),), ((1, 0.5), (7, 0.4), (2, 0.1))), 100)
    assert retrieve.best(scores, 1) == [7]


def test_equal_scores_are_ordered_by_id() -> None:
    scores = retrieve.fuse(Found((), ((3, 0.5), (1, 0.5), (2, 0.5))), 100)
    assert retrieve.best(scores, 9) == [1, 2, 3]


ranked = st.dictionaries(st.integers(1, 50), st.floats(0, 30), max_size=20).map(
    lambda d: tuple(sorted(d.items(), key=lambda x: (-x[1], x[0])))
)


@given(ranked, ranked, st.integers(1, 30))
def test_scores_lie_between_0_and_1_and_keep_each_order(
    lexical: tuple[tuple[int, float], ...], dense: tuple[tuple[int, float], ...], k: int
) -> None:
    scores = retrieve.fuse(Found(lexical, dense), k)
    assert set(scores) == {id for id, _ in lexical} | {id for id, _ in dense}
    assert all(-1e-9 <= score <= 1 + 1e-9 for score, _ in scores.values())
    alone = retrieve.fuse(Found(lexical, ()), k)
    for (a, _), (b, _) in pairwise(lexical):
        assert alone[a][0] >= alone[b][0]


# ---------------------------------------------------------------- join


def parts(text: str, size: int, document: int = 1) -> list[Passage]:
    return [
        Passage(n + 1, document, at, at + size, "Title > Part", text[at : at + size])
        for n, at in enumerate(range(0, len(text) - size + 1, size))
    ]


@given(st.permutations(range(12)), st.integers(1, 12), st.integers(1, 60), st.integers(1, 6))
def test_segments_are_disjoint_within_limit_and_hold_what_was_taken(
    order: list[int], count: int, limit: int, k: int
) -> None:
    text = "abcdefghij" * 12
    document = Document(1, "u", "Title", text, "0", SourceMap())
    passages = [parts(text, 10)[n] for n in order[:count]]
    scores: retrieve.Scores = {p.id: (1 - n / 100, ("dense",)) for n, p in enumerate(passages)}
    segments = retrieve.join(passages, scores, {1: document}, limit, k)
    assert len(segments) <= k
    assert [s.score for s in segments] == sorted((s.score for s in segments), reverse=True)
    assert segments[0].first is passages[0]
    spans = sorted((s.start, s.end) for s in segments)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    for start, end in spans:
        assert end - start <= max(10, limit * retrieve.BYTES_PER_TOKEN)
    if k >= count:
        for p in passages:
            assert any(s <= p.start and p.end <= e for s, e in spans)


def test_neighbours_become_one_segment_with_what_lies_between_them() -> None:
    text = "one. two. three. four. "
    document = Document(1, "u", "T", text, "0", SourceMap())
    first = Passage(1, 1, 0, 4, "T > A", "one.")
    third = Passage(3, 1, 10, 16, "T > B", "three.")
    scores: retrieve.Scores = {1: (0.9, ("bm25",)), 3: (0.5, ("dense",))}
    (segment,) = retrieve.join([first, third], scores, {1: document}, 100, 5)
    hit = retrieve._hit(segment, {1: document})
    assert hit.text == "one. two. three."
    assert hit.from_ == ("bm25", "dense")
    assert (hit.score, hit.passage.heading) == (0.9, "T")


def test_a_passage_of_an_earlier_version_is_left_out() -> None:
    document = Document(1, "u", "T", "new text", "0", SourceMap())
    old = Passage(1, 1, 0, 8, "T", "old text")
    assert retrieve.join([old], {1: (1.0, ())}, {1: document}, 100, 5) == []
    assert retrieve.join([old], {1: (1.0, ())}, {1: None}, 100, 5) == []


# ---------------------------------------------------------------- search


def test_search_finds_the_passage_exactly_and_says_where(system: System) -> None:
    hits = retrieve.search("hotels cost", system, Settings(segment_tokens=16), k=3)
    assert "Hotels cost at most 120 euros." in hits[0].text
    assert hits[0].title == "Travel policy"
    for hit in hits:
        document = cast(EmbeddedStore, system.store).get(hit.uri)
        assert document is not None
        assert document.text[hit.passage.start : hit.passage.end] == hit.text
        assert hit.place.label
        assert set(hit.from_) <= {"bm25", "dense"}


def test_a_title_in_the_question_finds_its_document(system: System) -> None:
    hits = retrieve.search("travel policy", system, Settings(), k=1)
    assert hits[0].uri == "Travel policy.txt"


def test_search_is_the_same_every_time_and_bounded_by_k(system: System) -> None:
    runs = [retrieve.search("leave in winter", system, Settings(), k=2) for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]
    assert len(runs[0]) == 2


def test_search_keeps_to_the_filter(system: System) -> None:
    hits = retrieve.search("leave", system, Settings(), Filter(path=("Garden*",)))
    assert {hit.uri for hit in hits} == {"Garden.txt"}


def test_a_reranker_decides_the_order(system: System) -> None:
    reranked = System(system.store, system.embedder, system.generator, reranker=Last())
    hits = retrieve.search("leave", reranked, Settings(segment_tokens=16), k=3)
    assert hits[0].text.startswith("Zinnias") or "Zinnias" in hits[0].text
    assert "reranker" in hits[0].from_


def test_an_empty_store_gives_nothing(tmp_path: Path) -> None:
    embedder = Words()
    with EmbeddedStore(tmp_path / "empty") as store:
        store.set_embedder(embedder.name, embedder.dimensions)
        system = System(store, embedder, cast(Any, None))
        assert retrieve.search("anything", system, Settings()) == []
        assert retrieve.search("", system, Settings()) == []


def test_fusing_and_joining_take_little_time() -> None:
    text = "word " * 40_000
    blocks = tuple(Block(at, at + 500, "paragraph") for at in range(0, len(text), 500))
    document = Document(1, "u", "T", text, "0", SourceMap(blocks))
    passages = parts(text, 500)[:200]
    found = Found(
        tuple((p.id, 1 / p.id) for p in passages[:100]),
        tuple((p.id, 1 / p.id) for p in reversed(passages[50:150])),
    )
    by_id = {p.id: p for p in passages}
    best = []
    for _ in range(20):
        started = time.perf_counter()
        scores = retrieve.fuse(found, 100)
        taken = [by_id[id] for id in retrieve.best(scores, 50)]
        segments = retrieve.join(taken, scores, {1: document}, 300, 10)
        hits = [retrieve._hit(segment, {1: document}) for segment in segments]
        best.append(time.perf_counter() - started)
    assert len(hits) == 10
    print(f"fuse, join and place: {min(best) * 1e3:.2f} ms")
    assert min(best) < 0.005  # 1 ms where the machine is quiet
