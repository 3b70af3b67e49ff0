from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragtune.config import Settings
from ragtune.ingest.sync import SyncReport, add
from ragtune.ingest.watch import watch
from ragtune.models.fakes import HashEmbedder
from ragtune.store import EmbeddedStore

pytestmark = pytest.mark.integration


class Watched:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = EmbeddedStore(root / ".ragtune")
        self.reports: list[SyncReport] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        with EmbeddedStore(self.root / ".ragtune") as store:
            watch(
                store,
                HashEmbedder(),
                Settings(workers=1),
                self.root,
                self.stop,
                self.reports.append,
            )

    def start(self) -> None:
        self.thread.start()
        self.until(lambda: bool(self.reports))

    def add(self, *paths: str) -> None:
        add(paths, self.store, HashEmbedder(), Settings(workers=1), self.root, cwd=str(self.root))

    def text(self, uri: str) -> str | None:
        document = self.store.get(uri)
        return document.text if document else None

    def until(self, true: Callable[[], bool], seconds: float = 2.0) -> float:
        began = time.monotonic()
        while not true():
            assert time.monotonic() - began < seconds, self.reports[-3:]
            time.sleep(0.01)
        return time.monotonic() - began


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    (tmp_path / "docs" / "a.md").write_text("first")
    found = Watched(tmp_path)
    yield found
    found.stop.set()
    found.thread.join(10)
    assert not found.thread.is_alive()
    assert found.store.verify().ok


def test_files_are_followed(watched: Watched) -> None:
    docs = watched.root / "docs"
    watched.add("docs")
    watched.start()
    (docs / "b.md").write_text("created")
    watched.until(lambda: watched.text("docs/b.md") == "created")
    (docs / "a.md").write_text("edited")
    watched.until(lambda: watched.text("docs/a.md") == "edited")
    os.rename(docs / "b.md", docs / "sub" / "c.md")
    watched.until(lambda: watched.text("docs/sub/c.md") == "created")
    watched.until(lambda: watched.text("docs/b.md") is None)
    os.rename(docs / "sub", docs / "moved")
    watched.until(lambda: watched.text("docs/moved/c.md") == "created")
    watched.until(lambda: watched.text("docs/sub/c.md") is None)
    temporary = docs / ".a.md.tmp"
    temporary.write_text("put in place")
    os.replace(temporary, docs / "a.md")
    watched.until(lambda: watched.text("docs/a.md") == "put in place")
    (docs / "bad.pdf").write_bytes(b"%PDF-1 no")
    watched.until(lambda: any(r.failed for r in watched.reports))
    (docs / "a.md").unlink()
    watched.until(lambda: watched.text("docs/a.md") is None)
    shutil.rmtree(docs / "moved")
    watched.until(lambda: watched.text("docs/moved/c.md") is None)


def test_a_source_that_goes_and_comes_back(watched: Watched) -> None:
    watched.add("docs")
    watched.start()
    shutil.rmtree(watched.root / "docs")
    watched.until(lambda: watched.text("docs/a.md") is None, 4)
    (watched.root / "docs").mkdir()
    (watched.root / "docs" / "n.md").write_text("back")
    watched.until(lambda: watched.text("docs/n.md") == "back", 4)
    (watched.root / "docs" / "n.md").write_text("and watched")
    watched.until(lambda: watched.text("docs/n.md") == "and watched")


def test_single_files_globs_and_what_is_added_meanwhile(watched: Watched) -> None:
    watched.add("docs/a.md")
    watched.start()
    (watched.root / "docs" / "a.md").write_text("edited")
    watched.until(lambda: watched.text("docs/a.md") == "edited")
    (watched.root / "docs" / "other.md").write_text("not added")
    (watched.root / "more").mkdir()
    (watched.root / "more" / "x.md").write_text("x")
    watched.add("more/*.md")
    time.sleep(1.5)
    (watched.root / "more" / "y.md").write_text("y")
    (watched.root / "more" / "y.txt").write_text("y")
    watched.until(lambda: watched.text("more/y.md") == "y")
    assert watched.text("docs/other.md") is None
    assert watched.text("more/y.txt") is None


def test_databases_are_polled(watched: Watched) -> None:
    db = sqlite3.connect(watched.root / "shop.db")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    db.execute("INSERT INTO t VALUES (1, 'one')")
    db.commit()
    watched.add("sqlite:///shop.db")
    watched.start()
    assert watched.text("sqlite:///shop.db#t/id=1") == "id: 1\nbody: one"
    db.execute("UPDATE t SET body = 'two'")
    db.commit()
    watched.until(lambda: watched.text("sqlite:///shop.db#t/id=1") == "id: 1\nbody: two", 4)
    db.execute("DELETE FROM t")
    db.commit()
    watched.until(lambda: watched.text("sqlite:///shop.db#t/id=1") is None, 4)
    db.close()


def test_a_whole_workspace_is_watched_without_watching_itself(watched: Watched) -> None:
    watched.add(".")
    watched.start()
    (watched.root / "new.md").write_text("new")
    watched.until(lambda: watched.text("new.md") == "new")
    time.sleep(0.5)
    count = len(watched.reports)
    time.sleep(1.0)
    assert len(watched.reports) == count
