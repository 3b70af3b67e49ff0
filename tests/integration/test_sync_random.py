"""After any edits and one sync the index is what a fresh build would be, at the least work."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ragtune.config import Settings
from ragtune.ingest.sync import add, changed, sync
from ragtune.models.fakes import HashEmbedder
from ragtune.store import EmbeddedStore, text_hash

if TYPE_CHECKING:
    from ragtune.types import Vectors

WORDS = "meal travel price tent lamp order refund holiday office badge laptop invoice".split()


class CountingEmbedder(HashEmbedder):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return super().embed(texts)


class Walk:
    """Random changes of a folder; names come from a small set, so that they meet."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.random = random.Random(seed)

    def sentence(self) -> str:
        return " ".join(self.random.choices(WORDS, k=self.random.randint(3, 12))) + "."

    def text(self) -> str:
        sections = []
        for n in range(self.random.randint(1, 4)):
            heading = f"# {self.random.choice(WORDS)}\n\n" if self.random.random() < 0.7 else ""
            sections.append(heading + " ".join(self.sentence() for _ in range(n + 1)))
        return "\n\n".join(sections)

    def name(self) -> Path:
        folder = self.random.choice(["", "a", "a/b", "c", "d!"])
        stem = self.random.choice(["one", "two-2", "three", "ünï", "x y"])
        return self.root / folder / (stem + self.random.choice([".md", ".txt"]))

    def files(self) -> list[Path]:
        return sorted(p for p in self.root.rglob("*") if p.is_file() and ".r" not in str(p))

    def step(self) -> str:
        actions: list[Any] = [self.write, self.write, self.edit, self.edit, self.delete, self.move]
        actions += [self.copy, self.move_folder, self.archive, self.database, self.spoil, self.swap]
        action = self.random.choice(actions)
        action()
        return str(action.__name__)

    def write(self) -> None:
        path = self.name()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text())

    def some(self) -> Path:
        files = [p for p in self.files() if p.suffix in (".md", ".txt")]
        if not files:
            self.write()
            return self.files()[0]
        return self.random.choice(files)

    def edit(self) -> None:
        path = self.some()
        parts = path.read_bytes().decode("utf-8", "replace").split("\n\n")
        parts[self.random.randrange(len(parts))] = self.sentence()
        path.write_text("\n\n".join(parts))

    def delete(self) -> None:
        self.random.choice(self.files() or [self.some()]).unlink()

    def move(self) -> None:
        old, new = self.some(), self.name()
        new.parent.mkdir(parents=True, exist_ok=True)
        os.replace(old, new)

    def copy(self) -> None:
        old, new = self.some(), self.name()
        new.parent.mkdir(parents=True, exist_ok=True)
        if old != new:
            shutil.copyfile(old, new)

    def swap(self) -> None:
        one, two = self.some(), self.some()
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)

    def move_folder(self) -> None:
        folders = sorted(p for p in self.root.iterdir() if p.is_dir() and p.name[0] != ".")
        if folders:
            to = self.root / self.random.choice(["a", "c", "moved"])
            if not to.exists():
                os.rename(self.random.choice(folders), to)

    def spoil(self) -> None:
        self.some().write_bytes(self.random.choice([b"", b"\x7fELF" + b"x" * 50, b"%PDF-1 no"]))

    def archive(self) -> None:
        with zipfile.ZipFile(self.root / self.random.choice(["p.zip", "q.zip"]), "w") as archive:
            for name in self.random.sample(["m.md", "f/n.txt", "o.md", "bad.md"], k=3):
                text = self.text() if name != "bad.md" else ""
                archive.writestr(name, text, zipfile.ZIP_DEFLATED)

    def database(self) -> None:
        with sqlite3.connect(self.root / "rows.db") as db:
            db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, body TEXT)")
            for _ in range(3):
                row = (self.random.randint(1, 6), self.sentence())
                db.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", row)
            db.execute("DELETE FROM t WHERE id = ?", (self.random.randint(1, 6),))
        db.close()


def contents(store: EmbeddedStore) -> dict[str, object]:
    found: dict[str, object] = {}
    for info in store.documents():
        document = store.get(info.uri)
        spans = [(p.start, p.end, p.heading, p.text) for p in store.passages_of(info.uri)]
        body = (document.title, document.text, document.map) if document else info.error
        found[info.uri] = (info.state, info.sha256, info.type, body, spans)
    return found


def hashes(store: EmbeddedStore) -> set[bytes]:
    return {
        text_hash(p.heading, p.text) for d in store.documents() for p in store.passages_of(d.uri)
    }


@pytest.mark.integration
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_random_walk_always_ends_in_what_a_fresh_build_gives(tmp_path: Path, seed: int) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    walk = Walk(root, seed)
    settings = Settings(workers=1, passage_tokens=40)
    embedder = CountingEmbedder()
    with EmbeddedStore(root / ".ragtune") as store:
        walk.write()
        add(["."], store, embedder, settings, root, cwd=str(root))
        for number in range(20):
            done = [walk.step() for _ in range(walk.random.choice([1, 1, 2, 5]))]
            before = hashes(store)
            embedder.texts.clear()
            expected_work = changed(store, settings, root)
            report = sync(store, embedder, settings, root)
            assert expected_work or report.nothing, done
            with EmbeddedStore(tmp_path / f"fresh{number}") as fresh:
                add(["."], fresh, HashEmbedder(), settings, root, cwd=str(root))
                assert contents(store) == contents(fresh), (number, done, report)
                new = hashes(fresh) - before
            assert len(embedder.texts) == len(new) == report.passages_embedded, (number, done)
            shutil.rmtree(tmp_path / f"fresh{number}")
        verified = store.verify()
        assert verified.ok, verified.problems
