"""Splits, embeds and stores documents in batches, in the order in which they are given.

While a batch is embedded in a thread, the next one is read and split, and the one before stored.
A batch is whole or not there; what was stored is never done again, so an end at any moment costs
at most the two batches under way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from ragtune.config import Settings
from ragtune.ingest.split import split
from ragtune.protocols import Embedder
from ragtune.store import EmbeddedStore, FileStat, embedded_text, text_hash
from ragtune.types import Document, OnProgress, Passage, Progress

if TYPE_CHECKING:
    from ragtune.types import Vectors

# Texts to embed in a batch: few at first, so that there is soon something to find, then more, as
# each batch costs a commit. 256 are about 1.3 s of two cores.
_FIRST_TEXTS = 32
_MOST_TEXTS = 256
_PASSAGES = 1000  # in a batch with little to embed
_RESCUED = 20_000  # vectors kept of what was deleted or replaced: 30 MB
_SPECIAL_TOKENS = 2


@dataclass(frozen=True, slots=True)
class _Step:
    """One thing to store: a document with its passages, or something else to be done in order.

    `path` is the file it comes from: it is not stored when that is gone by then.
    """

    uri: str
    path: str | None
    action: Callable[[], object] | None = None
    document: Document | None = None
    passages: tuple[Passage, ...] = ()
    hashes: tuple[bytes, ...] = ()
    stat: FileStat | None = None
    finishes: bool = False  # the last step of a file


@dataclass(slots=True)
class _Batch:
    before: dict[bytes, Vectors]  # of the batch before; filled by the time this one is stored
    steps: list[_Step] = field(default_factory=list)
    texts: dict[bytes, str] = field(default_factory=dict)
    vectors: dict[bytes, Vectors] = field(default_factory=dict)
    passages: int = 0
    future: Future[Vectors] | None = None


class Indexer:
    """Takes documents in and stores them. A context manager: leaving it stores what is waiting.

    `allowed` is asked, inside the store's lock, whether a uri may still be stored.
    """

    def __init__(
        self,
        store: EmbeddedStore,
        embedder: Embedder,
        settings: Settings,
        allowed: Callable[[Sequence[str]], set[str]],
        on_progress: OnProgress | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._max_tokens = min(settings.passage_tokens, embedder.max_tokens - _SPECIAL_TOKENS)
        self._allowed = allowed
        self._on_progress = on_progress
        self.total = 0  # files to come, for the progress
        self._done = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._texts = _FIRST_TEXTS
        self._batch = _Batch({})
        self._flight: _Batch | None = None
        self._rescued: dict[bytes, Vectors] = {}
        self.embedded = 0
        self.reused = 0

    def __enter__(self) -> Indexer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self._thread.shutdown(wait=True, cancel_futures=True)

    # ------------------------------------------------------------ taking in

    def put(
        self, document: Document, stat: FileStat, path: str | None, *, finishes: bool = True
    ) -> None:
        """Puts or replaces a document; one without text is an entry without passages."""
        passages: tuple[Passage, ...] = ()
        if document.text:
            pieces = split(
                document.text,
                document.map,
                document.title,
                self._embedder.count_tokens,
                self._max_tokens,
            )
            passages = tuple(
                Passage(0, document.id, p.start, p.end, p.heading, document.text[p.start : p.end])
                for p in pieces
            )
        hashes = tuple(text_hash(p.heading, p.text) for p in passages)
        step = _Step(document.uri, path, None, document, passages, hashes, stat, finishes)
        self._wanted(step)
        self._add(step, len(passages))

    def do(
        self, uri: str, path: str | None, action: Callable[[], object], *, finishes: bool = True
    ) -> None:
        """Has `action` called, inside the store's lock, once all before it is stored."""
        self._add(_Step(uri, path, action, finishes=finishes), 1)

    def _add(self, step: _Step, passages: int) -> None:
        self._batch.steps.append(step)
        self._batch.passages += passages
        if len(self._batch.texts) >= self._texts or self._batch.passages >= _PASSAGES:
            self._launch()

    def _wanted(self, step: _Step) -> None:
        """Finds the vectors that there are, and notes which texts must be embedded."""
        batch = self._batch
        flight = self._flight
        unknown: list[bytes] = []
        for digest in dict.fromkeys(step.hashes):
            if digest in batch.vectors or digest in batch.texts:
                continue
            if flight is not None and (digest in flight.texts or digest in flight.vectors):
                continue
            if digest in self._rescued:
                batch.vectors[digest] = self._rescued[digest]
            else:
                unknown.append(digest)
        stored = self._store.vectors_for(unknown) if unknown else {}
        batch.vectors.update(stored)
        missing = set(unknown) - stored.keys()
        for passage, digest in zip(step.passages, step.hashes, strict=True):
            if digest in missing:
                batch.texts.setdefault(digest, embedded_text(passage.heading, passage.text))

    # ------------------------------------------------------------ embedding

    def flush(self) -> None:
        """Stores all that was taken in."""
        if self._batch.steps:
            self._launch()
        self._land()

    def _launch(self) -> None:
        """Sends the batch to be embedded; stores the one before it meanwhile."""
        batch, flight = self._batch, self._flight
        if batch.texts:
            batch.future = self._thread.submit(self._embedder.embed, list(batch.texts.values()))
        self._texts = min(_MOST_TEXTS, 2 * self._texts)
        self._batch = _Batch(batch.vectors)
        self._flight = batch
        if flight is not None:
            self._store_batch(flight)

    def _land(self) -> None:
        flight, self._flight = self._flight, None
        if flight is not None:
            self._store_batch(flight)

    # ------------------------------------------------------------ storing

    def _store_batch(self, batch: _Batch) -> None:
        if batch.future is not None:
            vectors = batch.future.result()
            batch.vectors.update(zip(batch.texts, vectors, strict=True))
            self.embedded += len(batch.texts)
        with self._store.writing():
            allowed = self._allowed([step.uri for step in batch.steps])
            for step in batch.steps:
                if step.uri in allowed:
                    self._store_step(step, batch)
        batch.before = {}  # or every batch would hold on to all before it
        for step in batch.steps:
            self._done += step.finishes
        if self._on_progress is not None and batch.steps:
            self._on_progress(Progress("documents", self._done, self.total, batch.steps[-1].uri))

    def _store_step(self, step: _Step, batch: _Batch) -> None:
        if step.path is not None and not os.path.lexists(step.path):
            self._store.delete([step.uri])  # deleted since it was read
            return
        if step.action is not None:
            step.action()
            return
        assert step.document is not None
        self.rescue([step.uri])
        self._store.replace(step.document, step.passages, self._rows(step, batch), step.stat)
        new = sum(digest in batch.texts for digest in step.hashes)
        self.reused += len(step.hashes) - new

    def _rows(self, step: _Step, batch: _Batch) -> Vectors:
        import numpy as np

        rows = np.empty((len(step.hashes), self._embedder.dimensions), np.float32)
        for row, digest in zip(rows, step.hashes, strict=True):
            row[:] = batch.vectors[digest] if digest in batch.vectors else batch.before[digest]
        return rows

    def rescue(self, uris: Iterable[str]) -> None:
        """Keeps the vectors of documents that are about to be deleted or replaced.

        Their texts may turn up again in another file.
        """
        for uri in uris:
            if len(self._rescued) >= _RESCUED:
                return
            hashes = [text_hash(p.heading, p.text) for p in self._store.passages_of(uri)]
            self._rescued.update(self._store.vectors_for(hashes))
