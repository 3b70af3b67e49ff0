"""The store against a plain dictionary: any sequence of changes, reopenings and damage."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ragtune.store import EmbeddedStore, FileStat, embedded_text
from ragtune.store.fake import document, vector
from ragtune.types import Filter

URIS = st.sampled_from(["a/one.txt", "a/two.md", "b/three.txt", "b/[x]*.md", "ü.txt"])
WORDS = ["zorp", "quux", "blimp", "fnord", "gramp"]
PARAGRAPHS = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join), max_size=6
)
TAGS = st.lists(st.sampled_from(["red", "blue"]), unique=True, max_size=2)
DAMAGE = st.sampled_from(["cut", "zero", "delete", "flip"])


@dataclass
class Expected:
    paragraphs: list[str]
    heading: str
    type: str
    tags: list[str]
    modified: float


def damage(folder: Path, kind: str, seed: int) -> None:
    """Spoils one derived file, as a disk, a person or another program might."""
    chance = random.Random(seed)
    files = [folder / "vectors.bin", *sorted((folder / "lexical").glob("*"))]
    file = chance.choice([f for f in files if f.is_file()])
    size = file.stat().st_size
    if kind == "delete" or size == 0:
        file.unlink()
        return
    raw = bytearray(file.read_bytes())
    at = chance.randrange(size)
    if kind == "cut":
        raw = raw[:at]
    elif kind == "zero":
        raw[at:] = bytes(size - at)
    else:
        raw[at] ^= 1 << chance.randrange(8)
    file.unlink()  # a new file: the running process has mapped the old one
    file.write_bytes(raw)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = EmbeddedStore(self.folder)
        self.other = EmbeddedStore(self.folder)
        self.model: dict[str, Expected] = {}
        self.quarantined: set[str] = set()
        self.gone: set[int] = set()
        self.alive: set[int] = set()

    def teardown(self) -> None:
        self.store.close()
        self.other.close()
        shutil.rmtree(self.folder)

    @rule(
        uri=URIS,
        paragraphs=PARAGRAPHS,
        heading=st.sampled_from(["", "Head > Sub"]),
        tags=TAGS,
        modified=st.integers(0, 3),
    )
    def replace(
        self, uri: str, paragraphs: list[str], heading: str, tags: list[str], modified: int
    ) -> None:
        type = uri.rsplit(".", 1)[-1]
        before = self._by_place(uri)
        item = document(
            uri, paragraphs, heading=heading, type=type, tags=tags, modified=float(modified)
        )
        number = self.store.replace(*item)
        for place, passage in self._by_place(uri).items():
            assert passage == before.get(place, passage), "an unchanged passage keeps its id"
        assert self.store.get(uri) == item[0].__class__(
            number, uri, uri, item[0].text, item[0].sha256, item[0].map, type, modified, tuple(tags)
        )
        self.model[uri] = Expected(paragraphs, heading, type, tags, modified)
        self.quarantined.discard(uri)

    def _by_place(self, uri: str) -> dict[tuple[int, int, str, str], int]:
        return {(p.start, p.end, p.heading, p.text): p.id for p in self.store.passages_of(uri)}

    @rule(uris=st.lists(URIS, max_size=3))
    def delete(self, uris: list[str]) -> None:
        known = {u for u in uris if u in self.model or u in self.quarantined}
        assert self.store.delete(uris) == len(known)
        for uri in known:
            self.model.pop(uri, None)
            self.quarantined.discard(uri)

    @rule(old=URIS, new=URIS)
    def rename(self, old: str, new: str) -> None:
        known = old in self.model or old in self.quarantined
        before = self.store.passages_of(old)
        assert self.store.rename(old, new) == known
        if known and old != new:
            assert self.store.passages_of(new) == before
            self.model.pop(new, None)
            self.quarantined.discard(new)
            if old in self.model:
                self.model[new] = self.model.pop(old)
            else:
                self.quarantined.discard(old)
                self.quarantined.add(new)

    @rule(uri=URIS)
    def quarantine(self, uri: str) -> None:
        self.store.quarantine(uri, "cannot be read", "0" * 64, FileStat(1, 2, 3, 4))
        self.model.pop(uri, None)
        self.quarantined.add(uri)
        assert self.store.get(uri) is None

    @rule(items=st.dictionaries(URIS, PARAGRAPHS, max_size=5))
    def replace_many(self, items: dict[str, list[str]]) -> None:
        self.store.replace_many(
            (*document(uri, paragraphs), None) for uri, paragraphs in items.items()
        )
        for uri, paragraphs in items.items():
            self.model[uri] = Expected(paragraphs, "", "txt", [], 0.0)
            self.quarantined.discard(uri)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = EmbeddedStore(self.folder)

    @precondition(lambda self: (self.folder / "lexical").is_dir())
    @rule(kind=DAMAGE, seed=st.integers(0, 1000))
    def spoil(self, kind: str, seed: int) -> None:
        self.store.close()
        self.other.close()
        damage(self.folder, kind, seed)
        self.store = EmbeddedStore(self.folder)
        self.other = EmbeddedStore(self.folder)

    @rule(
        query=st.lists(st.sampled_from([*WORDS, "head"]), min_size=1, max_size=3).map(" ".join),
        k=st.sampled_from([1, 3, 50]),
        where=st.builds(
            Filter,
            path=st.sampled_from([(), ("a/*",), ("b/[[]x]*.md", "ü*"), ("*.txt",)]),
            type=st.sampled_from([(), ("md",), ("md", "txt")]),
            tag=st.sampled_from([(), ("red",), ("red", "blue")]),
            since=st.sampled_from([None, 1.0]),
            until=st.sampled_from([None, 2.0]),
        ),
    )
    def search(self, query: str, k: int, where: Filter) -> None:
        """Both of this process's stores against arithmetic over the dictionary."""
        passages = {
            p.id: (uri, p)
            for uri, expected in self.model.items()
            if passes(uri, expected, where)
            for p in self.store.passages_of(uri)
        }
        point = vector(query)
        cosines = {
            n: float(vector(embedded_text(p.heading, p.text)).astype(np.float64) @ point)
            for n, (_, p) in passages.items()
        }
        dense = sorted(cosines, key=lambda n: (-round(cosines[n], 7), n))[:k]
        words = set(query.split())
        having = {
            n
            for n, (_, p) in passages.items()
            if words & set(embedded_text(p.heading, p.text).lower().split())
        }
        for store in (self.store, self.other):
            found = store.search(query, point, k, where)
            assert [n for n, _ in found.dense] == dense
            assert np.allclose([s for _, s in found.dense], [cosines[n] for n in dense], atol=1e-6)
            every = store.search(query, None, 1000, where).lexical
            assert {n for n, _ in every} == having
            assert found.lexical == every[:k]
            assert list(every) == sorted(every, key=lambda hit: (-hit[1], hit[0]))

    @invariant()
    def same_documents(self) -> None:
        documents = self.store.documents()
        assert {d.uri for d in documents if d.state == "indexed"} == set(self.model)
        assert {d.uri for d in documents if d.state == "quarantined"} == self.quarantined
        alive = {p.id for uri in self.model for p in self.store.passages_of(uri)}
        assert not alive & self.gone, "an id came back"
        self.gone |= self.alive - alive
        self.alive = alive
        report = self.other.verify()
        assert report.ok, report.problems
        assert report.counts["passages"] == len(alive)


def passes(uri: str, expected: Expected, where: Filter) -> bool:
    paths = {
        "a/*": uri.startswith("a/"),
        "b/[[]x]*.md": uri == "b/[x]*.md",
        "ü*": uri.startswith("ü"),
        "*.txt": uri.endswith(".txt"),
    }
    return (
        (not where.path or any(paths[p] for p in where.path))
        and (not where.type or expected.type in where.type)
        and (not where.tag or bool(set(where.tag) & set(expected.tags)))
        and (where.since is None or expected.modified >= where.since)
        and (where.until is None or expected.modified <= where.until)
    )


StoreMachine.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestStore = StoreMachine.TestCase
