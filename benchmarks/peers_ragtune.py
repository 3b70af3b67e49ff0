"""ragtune as a competitor in the speed benchmark, four ways (see peers_systems.System)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ragtune
from ragtune.config import Settings
from ragtune.protocols import Embedder
from ragtune.store import embedded_text
from ragtune.types import Block, Document, Evidence, Passage, SourceMap

if TYPE_CHECKING:
    from ragtune.store.embedded import Item
    from ragtune.types import Vectors

PER_DOCUMENT = 20  # passages
PORTION = 1000  # passages that are embedded before they are stored
K = 10


class Ragtune:
    """Passages through the store; questions as users ask them: BM25 and dense, fused, joined.

    Nobody else looks for changed files before a question, so this does not either; RagtuneFresh
    does, and so does `ragtune search` in the same workspaces.
    """

    fresh = "never"

    def load(self) -> None:
        """The int8 model."""
        from ragtune.models.embed import load_embedder

        self._embedder = load_embedder(Settings())
        self._embedder.embed(["warm"])

    def index(self, texts: Sequence[str], folder: Path) -> None:
        """Embedded in portions, stored by document; returns once all is committed."""
        with ragtune.init(folder) as workspace, workspace.store.writing():
            workspace.store.set_embedder(self._embedder.name, self._embedder.dimensions)
            for start in range(0, len(texts), PORTION):
                part = texts[start : start + PORTION]
                items = _items(part, self._embedder.embed(part), start)
                workspace.store.replace_many(items)

    def build(self, texts: Sequence[str], vectors: Any, folder: Path) -> None:
        """A real workspace over real files, except that its vectors are given."""
        from ragtune.ingest import sync

        write_files(texts, folder)
        known = _Known(self._embedder, texts, vectors)
        with ragtune.init(folder) as workspace:
            files = str(folder / "files")
            sync.add([files], workspace.store, known, workspace.settings, workspace.root)
            (folder / "ragtune.toml").write_text('[index]\nfresh = "always"\n', "utf-8")
            passages = sum(document.passages for document in workspace.documents())
        if known.unknown or passages != len(texts):
            raise RuntimeError(f"{passages} passages, {known.unknown} of them split differently")

    def open(self, folder: Path) -> None:
        """Opens the workspace."""
        self._files = folder / "files"
        self._workspace = ragtune.open(folder, {"fresh": self.fresh})
        self._system = self._workspace.system

    def search(self, question: str) -> Any:
        """Hits: neighbouring passages come joined, so they are not compared with exact ones."""
        return self._workspace.search(question, K)

    def ids(self, found: Any) -> list[int]:
        """None: see `search`."""
        return []

    def vector(self, question: str) -> Sequence[float]:
        """The query's vector."""
        vector: Sequence[float] = self._system.embedder.embed([question])[0].tolist()
        return vector

    def first_evidence(self, question: str) -> Evidence:
        """`ask` up to the first thing that a user sees."""
        for event in self._workspace.ask_stream(question):
            assert isinstance(event, Evidence)
            return event
        raise AssertionError("a question has evidence or is declined with some")


class RagtuneFresh(Ragtune):
    """The same store, and before each question a look at every file: is the index still true?"""

    fresh = "always"


class RagtuneDense(Ragtune):
    """The same store; questions by cosine alone, which is what the peers do."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def search(self, question: str) -> Any:
        """Passages with their texts."""
        vector = self._system.embedder.embed([question])[0]
        found = self._workspace.store.search("", vector, K)
        return self._workspace.store.passages([number for number, _ in found.dense])

    def ids(self, found: Any) -> list[int]:
        """By text: which file was read first is up to the reader processes."""
        if not self._numbers:
            files = sorted(self._files.glob("*.txt"))
            texts = (text for f in files for text in f.read_text("utf-8").split("\n\n"))
            self._numbers = {text.strip(): n for n, text in enumerate(texts)}
        return [self._numbers[passage.text] for passage in found]


class RagtuneFolder(Ragtune):
    """From files on disk, as `ragtune add FOLDER`: read, parsed, split, embedded, stored."""

    def index(self, texts: Sequence[str], folder: Path) -> None:
        """`ragtune add`; the files are there already."""
        with ragtune.init(folder) as workspace:
            workspace.add([folder / "files"])


class _Known:
    """An embedder that looks up what it is asked for: every system is given the same vectors."""

    def __init__(self, real: Embedder, texts: Sequence[str], vectors: Any) -> None:
        self.name, self.dimensions = real.name, real.dimensions
        self.max_tokens = real.max_tokens
        self.unknown = 0
        self._real = real
        self._places = {embedded_text("", text): n for n, text in enumerate(texts)}
        self._vectors = vectors

    def embed(self, texts: Sequence[str]) -> Vectors:
        places = [self._places.get(text.split("\n")[-1]) for text in texts]  # less the heading
        self.unknown += places.count(None)
        found: Vectors = self._vectors[[place or 0 for place in places]]
        return found

    def count_tokens(self, text: str) -> int:
        return self._real.count_tokens(text)


def write_files(texts: Sequence[str], folder: Path) -> None:
    """PER_DOCUMENT passages a file, each a paragraph, which splitting leaves as they are."""
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(texts), PER_DOCUMENT)):
        text = "\n\n".join(texts[start : start + PER_DOCUMENT]) + "\n"
        (files / f"{number:05}.txt").write_text(text, "utf-8")


def _items(texts: Sequence[str], vectors: Any, first: int) -> Iterator[Item]:
    for start in range(0, len(texts), PER_DOCUMENT):
        part = texts[start : start + PER_DOCUMENT]
        text = "\n\n".join(part)
        passages, blocks, at = [], [], 0
        for piece in part:
            passages.append(Passage(0, 0, at, at + len(piece), "", piece))
            blocks.append(Block(at, at + len(piece), "paragraph"))
            at += len(piece) + 2
        number = (first + start) // PER_DOCUMENT
        document = Document(
            id=0,
            uri=f"files/{number:05}.txt",
            title=f"{number:05}",
            text=text,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            map=SourceMap(tuple(blocks)),
        )
        yield document, passages, vectors[start : start + PER_DOCUMENT], None
