"""Corpora and questions of `benchmarks/answering.py`, indexed as a user's would be.

The public sets come from `retrieval_data.py`; this module adds questions without an answer, the
sample company, and stores that are kept under a temporary folder between runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.retrieval_data import BENCH, SEED, handbook, policyqa

import ragtune
from ragtune.config import Settings
from ragtune.ingest.split import embedded_text, split
from ragtune.models.embed import load_embedder
from ragtune.models.reader import load_reader
from ragtune.protocols import Embedder, System
from ragtune.store.embedded import EmbeddedStore
from ragtune.types import Block, Document, Passage, SourceMap

WORK = Path(os.environ.get("RAGTUNE_BENCH_WORK", "/tmp/ragtune-answering"))
SAMPLE = Path(ragtune.__file__).parent / "sample"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question on SQuAD: `answers` is empty where the articles do not answer it.

    `paragraph` is the span (document text) of the paragraph that it was written for.
    """

    text: str
    article: str
    answers: tuple[str, ...]
    paragraph: tuple[int, int]


def squad() -> tuple[list[Document], list[Asked]]:
    """All articles of SQuAD v2 dev, each with its title as heading, and all questions."""
    path = BENCH / "squad" / "dev-v2.0.reconstructed.json"
    documents, questions = [], []
    for entry in json.loads(path.read_text("utf-8"))["data"]:
        title, uri = entry["title"].replace("_", " "), f"{entry['title']}.md"
        text = f"# {title}\n\n"
        blocks = [Block(0, len(text) - 2, "heading", 1)]
        for paragraph in entry["paragraphs"]:
            span = (len(text), len(text) + len(paragraph["context"]))
            text += paragraph["context"] + "\n\n"
            blocks.append(Block(*span, "paragraph"))
            for row in paragraph["qas"]:
                answers = () if row["is_impossible"] else tuple(a["text"] for a in row["answers"])
                questions.append(Asked(row["question"], uri, answers, span))
        documents.append(Document(0, uri, title, text, digest(text), SourceMap(tuple(blocks))))
    random.Random(SEED).shuffle(questions)
    return documents, questions


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def halves(documents: Sequence[Document]) -> tuple[frozenset[str], frozenset[str]]:
    """Uris of the articles to fit on and to report on, by the order of their hashes."""
    uris = sorted((d.uri for d in documents), key=digest)
    return frozenset(uris[1::2]), frozenset(uris[0::2])


def sample(name: str) -> list[dict[str, Any]]:
    """Rows of the sample company's questions: heldout, train, unanswerable."""
    lines = (SAMPLE / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


# ---------------------------------------------------------------- stores


def index(name: str, documents: Sequence[Document], settings: Settings) -> System:
    """A store with `documents`; one that was made before of the same texts is used again."""
    embedder = load_embedder(settings)
    folder = WORK / name
    mark = digest("".join(d.sha256 or digest(d.text) for d in documents) + embedder.name + "1")
    stamp = folder / "made"
    if not stamp.exists() or stamp.read_text() != mark:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with EmbeddedStore(folder / "data") as store:
            store.set_embedder(embedder.name, embedder.dimensions)
            store.replace_many(
                (d, p, embedder.embed([embedded_text(x.heading, x.text) for x in p]), None)
                for d, p in _passages(documents, embedder, settings)
            )
        stamp.write_text(mark)
    reader = load_reader(settings)
    return System(EmbeddedStore(folder / "data"), embedder, _NoGenerator(), reader=reader)


def _passages(
    documents: Sequence[Document], embedder: Embedder, settings: Settings
) -> Iterator[tuple[Document, list[Passage]]]:
    for document in documents:
        pieces = split(
            document.text,
            document.map,
            document.title,
            embedder.count_tokens,
            settings.passage_tokens,
        )
        yield (
            document,
            [
                Passage(0, 0, p.start, p.end, p.heading, document.text[p.start : p.end])
                for p in pieces
            ],
        )


def company(settings: Settings) -> System:
    """The sample company, read from its files in a workspace of its own."""
    root = WORK / "company"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(SAMPLE / "company", root / "company")
    workspace = ragtune.init(root)
    workspace.add([root / "company"])
    system = workspace.system
    reader = load_reader(settings)
    return System(workspace.store, system.embedder, _NoGenerator(), reader=reader)


class _NoGenerator:
    """Quoted answers need none."""

    name = "none"

    def stream(self, messages: object, generation: object) -> Iterator[Any]:
        raise AssertionError("no generator in this benchmark")


__all__ = [
    "SEED",
    "Asked",
    "company",
    "halves",
    "handbook",
    "index",
    "policyqa",
    "sample",
    "squad",
]
