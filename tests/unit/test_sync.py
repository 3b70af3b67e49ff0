from __future__ import annotations

import os
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ragtune.config import Settings
from ragtune.ingest import files, sql
from ragtune.ingest import sync as sync_module
from ragtune.ingest.sync import SyncReport, add, changed, remove, sync
from ragtune.models.fakes import HashEmbedder
from ragtune.store import EmbeddedStore
from ragtune.types import Progress

if TYPE_CHECKING:
    from ragtune.types import Vectors


class CountingEmbedder(HashEmbedder):
    def __init__(self, name: str = "hash-64") -> None:
        super().__init__(name)
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return super().embed(texts)


class Workspace:
    """A folder with a store; files are dated back so that their stats are trusted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = EmbeddedStore(root / ".ragtune")
        self.embedder = CountingEmbedder()
        self.settings = Settings(workers=1)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def add(self, *paths: str, **options: Any) -> SyncReport:
        return add(
            paths,
            self.store,
            self.embedder,
            self.settings,
            self.root,
            cwd=str(self.root),
            **options,
        )

    def sync(self, **options: Any) -> SyncReport:
        return sync(self.store, self.embedder, self.settings, self.root, **options)

    def rm(self, *targets: str, **options: Any) -> SyncReport:
        return remove(targets, self.store, self.settings, self.root, cwd=str(self.root), **options)

    def changed(self) -> bool:
        return changed(self.store, self.settings, self.root)

    def uris(self) -> list[str]:
        return [d.uri for d in self.store.documents() if d.state == "indexed" and d.passages]

    def text(self, uri: str) -> str:
        document = self.store.get(uri)
        assert document is not None, uri
        return document.text


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    # Files of this moment would all be hashed again; one test is about that.
    monkeypatch.setattr(files, "RACY_NS", 0)
    (tmp_path / "ws").mkdir()
    workspace = Workspace(tmp_path / "ws")
    yield workspace
    assert workspace.store.verify().ok, workspace.store.verify().problems
    workspace.store.close()


def test_add_sync_and_nothing_to_do(ws: Workspace) -> None:
    ws.write("docs/a.md", "# Travel\n\nMeals are paid up to 40 euros.")
    ws.write("docs/b.txt", "The office opens at nine.")
    report = ws.add("docs")
    assert report.added == ("docs/a.md", "docs/b.txt")
    assert report.passages_embedded == 2
    assert ws.store.get("docs/a.md").title == "Travel"  # type: ignore[union-attr]
    assert not ws.changed()
    ws.embedder.texts.clear()
    for again in (ws.add("docs"), ws.sync()):
        assert again.nothing
        assert again.unchanged == 2
    assert ws.embedder.texts == []
    ws.write("docs/b.txt", "The office opens at ten.")
    ws.write("docs/c.txt", "New.")
    os.remove(ws.root / "docs/a.md")
    assert ws.changed()
    report = ws.sync()
    assert (report.added, report.changed, report.deleted) == (
        ("docs/c.txt",),
        ("docs/b.txt",),
        ("docs/a.md",),
    )
    assert ws.text("docs/b.txt") == "The office opens at ten."
    assert ws.store.get("docs/a.md") is None
    assert not ws.changed()


def test_only_passages_that_changed_are_embedded(ws: Workspace) -> None:
    parts = [f"# Part {n}\n\n{f'Sentence number {n}. ' * 30}" for n in range(10)]
    ws.write("long.md", "\n\n".join(parts))
    ws.add("long.md")
    before = {p.text: p.id for p in ws.store.passages_of("long.md")}
    ws.embedder.texts.clear()
    parts[4] = "# Part 4\n\nShort now."
    ws.write("long.md", "\n\n".join(parts))
    report = ws.sync()
    assert report.changed == ("long.md",)
    assert len(ws.embedder.texts) == report.passages_embedded == 1
    assert report.passages_reused == len(ws.store.passages_of("long.md")) - 1
    after = {p.text: p.id for p in ws.store.passages_of("long.md")}
    assert len([t for t in after if before.get(t) == after[t]]) >= 4


def test_a_moved_file_keeps_its_id_and_vectors(ws: Workspace) -> None:
    ws.write("docs/a/plan.md", "# Plan\n\nWe plan.")
    ws.write("docs/untitled.txt", "No heading here at all")
    ws.add("docs")
    ids = {d.uri: d.id for d in ws.store.documents()}
    ws.embedder.texts.clear()
    os.rename(ws.root / "docs/a", ws.root / "docs/b")
    assert ws.changed()
    report = ws.sync()
    assert report.moved == (("docs/a/plan.md", "docs/b/plan.md"),)
    assert not report.added
    assert not report.deleted
    assert ws.store.info("docs/b/plan.md").id == ids["docs/a/plan.md"]  # type: ignore[union-attr]
    assert ws.embedder.texts == []
    # Where the title came from the name, the passages say so: they change, the id does not.
    os.rename(ws.root / "docs/untitled.txt", ws.root / "docs/price_list.txt")
    report = ws.sync()
    assert report.moved == (("docs/untitled.txt", "docs/price_list.txt"),)
    assert report.changed == ()
    moved = ws.store.info("docs/price_list.txt")
    assert moved is not None
    assert (moved.id, moved.title) == (ids["docs/untitled.txt"], "price list")
    assert len(ws.embedder.texts) == 1


def test_a_file_moved_over_another_takes_its_place(ws: Workspace) -> None:
    ws.write("a.md", "# One\n\nfirst text")
    ws.write("b.md", "# Two\n\nsecond text")
    ws.add(".")
    first = ws.store.info("a.md").id  # type: ignore[union-attr]
    ws.embedder.texts.clear()
    os.replace(ws.root / "a.md", ws.root / "b.md")
    report = ws.sync()
    assert report.moved == (("a.md", "b.md"),)
    assert ws.text("b.md").endswith("first text")
    assert ws.store.info("b.md").id == first  # type: ignore[union-attr]
    assert ws.embedder.texts == []


def test_a_moved_and_edited_file_embeds_what_is_new(ws: Workspace) -> None:
    ws.write("a.md", "# Same\n\n" + "kept words " * 40 + "\n\n# Other\n\nold")
    ws.add(".")
    ws.embedder.texts.clear()
    os.remove(ws.root / "a.md")
    ws.write("z.md", "# Same\n\n" + "kept words " * 40 + "\n\n# Other\n\nnew")
    report = ws.sync()
    assert report.deleted == ("a.md",)
    assert report.added == ("z.md",)
    assert len(ws.embedder.texts) == 1


def test_unreadable_files_are_quarantined_until_they_change(ws: Workspace) -> None:
    ws.write("good.md", "good")
    ws.write("bad.pdf", b"%PDF-1.4 nonsense")
    ws.write("empty.txt", b"")
    report = ws.add(".")
    assert [uri for uri, _ in report.failed] == ["bad.pdf", "empty.txt"]
    assert not ws.changed()
    assert ws.sync().failed == ()
    assert len(ws.add(".").failed) == 2  # named again: tried again
    info = ws.store.info("bad.pdf")
    assert info is not None
    assert info.state == "quarantined"
    assert info.error
    ws.write("good.md", b"\x00\x00")
    report = ws.sync()
    assert [uri for uri, _ in report.failed] == ["good.md"]
    assert ws.store.get("good.md") is None
    assert ws.store.passages_of("good.md") == []
    ws.write("good.md", "good again")
    assert ws.sync().changed == ("good.md",)
    os.remove(ws.root / "bad.pdf")
    assert ws.sync().deleted == ("bad.pdf",)


def test_what_was_removed_stays_out_until_it_is_added(ws: Workspace) -> None:
    for name in ("docs/a.md", "docs/sub/b.md", "docs/sub/c.md", "one.md"):
        ws.write(name, f"text of {name}")
    ws.add("docs", "one.md")
    assert ws.rm("docs/a.md", "docs/sub", dry_run=True).deleted == (
        "docs/a.md",
        "docs/sub/b.md",
        "docs/sub/c.md",
    )
    ws.rm("docs/a.md", "docs/sub")
    assert ws.uris() == ["one.md"]
    ws.write("docs/a.md", "edited")
    report = ws.sync()
    assert report.nothing
    assert report.skipped == 3
    assert not ws.changed()
    ws.add("docs/sub/b.md")
    assert ws.uris() == ["docs/sub/b.md", "one.md"]
    assert ws.sync().nothing
    ws.add("docs")
    assert ws.uris() == ["docs/a.md", "docs/sub/b.md", "docs/sub/c.md", "one.md"]
    ws.rm("one.md")
    assert ws.sync().nothing
    assert ws.rm("nothing.md").failed == (("nothing.md", "no such document"),)
    assert ws.rm("docs/*.md").deleted == ("docs/a.md", "docs/sub/b.md", "docs/sub/c.md")
    assert ws.sync().nothing
    ws.rm("docs")
    assert ws.store.sources() == [] or all(s.uri != "docs" for s in ws.store.sources())


def test_a_source_that_may_be_unmounted_keeps_its_documents(ws: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "drive" / "docs"
    outside.mkdir(parents=True)
    (outside / "a.md").write_text("on the drive")
    ws.add(str(outside))
    (uri,) = ws.uris()
    os.rename(tmp_path / "drive", tmp_path / "away")
    report = ws.sync()
    assert report.failed[0][0] == str(outside)
    assert "kept" in report.failed[0][1]
    assert ws.uris() == [uri]
    assert not ws.changed()
    os.rename(tmp_path / "away", tmp_path / "drive")
    assert ws.sync().nothing
    os.rename(tmp_path / "drive", tmp_path / "away")
    assert ws.sync(missing_ok=True).deleted == (uri,)
    os.rename(tmp_path / "away", tmp_path / "drive")
    assert ws.sync().added == (uri,)
    os.remove(outside / "a.md")
    outside.rmdir()  # the folder above is there: deleted for certain
    report = ws.sync()
    assert report.deleted == (uri,)
    assert "no longer there" in report.warnings[0]


def test_a_folder_that_cannot_be_read_keeps_its_documents(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.write("d/x/a.md", "a")
    ws.write("d/b.md", "b")
    ws.add("d")
    real: Callable[..., Any] = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("/x"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    os.remove(ws.root / "d/b.md")
    report = ws.sync()
    assert report.failed == (("d/x", "permission denied"),)
    assert report.deleted == ("d/b.md",)
    assert ws.uris() == ["d/x/a.md"]


def zip_of(path: Path, members: dict[str, str | bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)


def test_members_of_archives_come_go_and_move(ws: Workspace) -> None:
    zip_of(
        ws.root / "a.zip",
        {"x.md": "# X\n\nexes", "d/y.md": "# Y\n\nwhys", "bad.pdf": b"%PDF-1" + b"x" * 2000},
    )
    report = ws.add(".")
    assert report.added == ("a.zip!/x.md", "a.zip!/d/y.md")
    assert [uri for uri, _ in report.failed] == ["a.zip!/bad.pdf"]
    assert ws.sync().nothing
    ids = {d.uri: d.id for d in ws.store.documents()}
    ws.embedder.texts.clear()
    os.rename(ws.root / "a.zip", ws.root / "b.zip")
    report = ws.sync()
    assert report.moved == (("a.zip", "b.zip"),)
    assert ws.uris() == ["b.zip!/d/y.md", "b.zip!/x.md"]
    assert ws.store.info("b.zip!/x.md").id == ids["a.zip!/x.md"]  # type: ignore[union-attr]
    zip_of(
        ws.root / "b.zip", {"renamed.md": "# X\n\nexes", "d/y.md": "# Y\n\nwhy not", "n.md": "new"}
    )
    report = ws.sync()
    assert report.moved == (("b.zip!/x.md", "b.zip!/renamed.md"),)
    assert report.changed == ("b.zip!/d/y.md",)
    assert report.added == ("b.zip!/n.md",)
    assert report.deleted == ("b.zip!/bad.pdf",)
    assert len(ws.embedder.texts) == 2
    ws.rm("b.zip!/n.md")
    assert ws.sync().nothing
    zip_of(ws.root / "b.zip", {"n.md": "newer", "d/y.md": "# Y\n\nwhy not"})
    ws.sync()
    assert ws.uris() == ["b.zip!/d/y.md"]
    ws.write("b.zip", "now a text")
    ws.sync()
    assert ws.uris() == ["b.zip"]
    os.remove(ws.root / "b.zip")
    ws.sync()
    assert ws.store.documents() == []


def test_a_database_in_a_folder(ws: Workspace) -> None:
    with sqlite3.connect(ws.root / "shop.db") as db:
        db.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT)")
        db.executemany("INSERT INTO products VALUES (?, ?)", [(1, "Tent"), (2, "Lamp")])
    report = ws.add(".")
    assert report.added == ("shop.db#products/id=1", "shop.db#products/id=2")
    assert ws.sync().nothing
    ws.embedder.texts.clear()
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("UPDATE products SET name = 'Stove' WHERE id = 2")
    db.execute("DELETE FROM products WHERE id = 1")
    db.execute("INSERT INTO products VALUES (3, 'Rope')")
    db.commit()
    assert ws.changed()
    report = ws.sync()
    assert report.changed == ("shop.db#products/id=2",)
    assert report.added == ("shop.db#products/id=3",)
    assert report.deleted == ("shop.db#products/id=1",)
    assert len(ws.embedder.texts) == 2
    ids = {d.uri: d.id for d in ws.store.documents()}
    db.close()
    ws.sync()
    assert not ws.changed()
    ws.embedder.texts.clear()
    os.rename(ws.root / "shop.db", ws.root / "store.db")
    report = ws.sync()
    assert report.moved == (("shop.db", "store.db"),)
    assert ws.uris() == ["store.db#products/id=2", "store.db#products/id=3"]
    assert ws.store.info("store.db#products/id=3").id == ids["shop.db#products/id=3"]  # type: ignore[union-attr]
    assert ws.embedder.texts == []
    ws.write("store.db", sql.MAGIC + b"rubbish")
    report = ws.sync()
    assert report.failed[0][0] == "store.db"
    assert ws.uris() == []


def test_a_database_added_by_url(ws: Workspace) -> None:
    with sqlite3.connect(ws.root / "shop.db") as db:
        db.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, secret TEXT)")
        rows = [(1, "Tent", "x"), (2, "Lamp", "y")]
        db.executemany("INSERT INTO products VALUES (?, ?, ?)", rows)
        db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)")
        db.execute("INSERT INTO notes VALUES (1, 'a note')")
    db.close()
    url = "sqlite:///shop.db?query=SELECT id, name FROM products"
    ws.add(".")
    report = ws.add(url)
    assert report.added == (
        "sqlite:///shop.db#products/id=1",
        "sqlite:///shop.db#products/id=2",
    )
    report = ws.sync()  # its file is not read a second time
    assert set(ws.uris()) == {"sqlite:///shop.db#products/id=1", "sqlite:///shop.db#products/id=2"}
    assert ws.add("sqlite:///shop.db").failed[0][1].startswith("its rows would mix")
    assert ws.add("sqlite:///shop.db?table=notes").added == ("sqlite:///shop.db#notes/id=1",)
    with sqlite3.connect(ws.root / "shop.db") as db:
        db.execute("DELETE FROM products WHERE id = 2")
    db.close()
    assert ws.changed()
    assert ws.sync().deleted == ("sqlite:///shop.db#products/id=2",)
    ws.rm("sqlite:///shop.db#products/id=1")
    assert ws.uris() == ["sqlite:///shop.db#notes/id=1"]
    assert not ws.changed()
    assert len(ws.rm(url).deleted) == 0
    assert len(ws.rm("sqlite:///shop.db?table=notes").deleted) == 1
    assert {s.uri for s in ws.store.sources()} == {"."}
    assert (
        ws.sync().added
        == (
            "shop.db#notes/id=1",
            "shop.db#products/id=1",
            "shop.db#products/id=2",
        )[:2]
    )


def test_databases_that_do_not_answer_keep_their_rows(ws: Workspace) -> None:
    report = ws.add("postgresql+nodriver://u:pw@h/d?table=t", "postgresql://u:${NO_PW}@g/d?table=t")
    assert len(report.failed) == 2
    assert "pw" not in str([s.uri for s in ws.store.sources()]) or "***" in str(ws.store.sources())
    assert any("password is not stored" in w for w in report.warnings)


def test_edits_within_one_tick_of_the_clock_are_seen(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "RACY_NS", 2_000_000_000)
    path = ws.write("a.md", "aaaa")
    ws.add("a.md")
    stat = os.stat(path)
    with path.open("r+") as stream:
        stream.write("bbbb")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    # as if ctime had not moved either
    known = ws.store.known()["a.md"].stat
    assert known.ctime_ns == 0
    assert ws.changed()
    ws.sync()
    assert ws.text("a.md") == "bbbb"
    monkeypatch.setattr(time, "time_ns", lambda: stat.st_mtime_ns + 10_000_000_000)
    assert ws.sync().unchanged == 1
    assert not ws.changed()


def test_files_that_vanish_or_change_while_they_are_read(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.write("a.md", "first")
    ws.write("b.md", "second")
    real = os.fstat
    calls: list[int] = []

    def fstat(file: int) -> os.stat_result:
        calls.append(file)
        if len(calls) == 1:
            ws.write("a.md", "changed meanwhile")
            os.remove(ws.root / "b.md")
        return real(file)

    monkeypatch.setattr(os, "fstat", fstat)
    report = ws.add(".")
    monkeypatch.undo()
    assert report.added == ("a.md",)
    assert ws.text("a.md") == "changed meanwhile"
    assert ws.uris() == ["a.md"]


def test_a_file_that_goes_before_it_is_stored_is_not_stored(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.write("a.md", "stays")
    ws.write("b.md", "goes")
    ws.write("c.md", "is taken out")
    real = ws.embedder.embed

    def embed(texts: Sequence[str]) -> Vectors:
        if (ws.root / "b.md").exists():
            os.remove(ws.root / "b.md")
            with EmbeddedStore(ws.root / ".ragtune") as other:
                remove(["c.md"], other, ws.settings, ws.root, cwd=str(ws.root))
                other.exclude(["c.md"])
        return real(texts)

    monkeypatch.setattr(ws.embedder, "embed", embed)
    ws.add(".")
    assert ws.uris() == ["a.md"]
    assert ws.sync().nothing


def test_dry_runs_say_and_do_not(ws: Workspace) -> None:
    ws.write("a.md", "a")
    report = ws.add(".", dry_run=True)
    assert report.added == ("a.md",)
    assert ws.store.documents() == []
    assert ws.store.sources() == []
    ws.add(".")
    ws.write("a.md", "b")
    ws.write("b.md", "new")
    report = ws.sync(dry_run=True)
    assert (report.changed, report.added) == (("a.md",), ("b.md",))
    assert ws.text("a.md") == "a"


def test_only_some_paths(ws: Workspace) -> None:
    for name in ("d/a.md", "d/b.md", "d/e/c.md"):
        ws.write(name, name)
    ws.add("d")
    for name in ("d/a.md", "d/b.md", "d/e/c.md", "d/e/n.md"):
        ws.write(name, name + " edited")
    os.remove(ws.root / "d/b.md")
    assert ws.sync(only=[ws.root / "d/a.md"]).changed == ("d/a.md",)
    assert ws.sync(only=[ws.root / "d/b.md"]).deleted == ("d/b.md",)
    report = ws.sync(only=[ws.root / "d/e"])
    assert (report.added, report.changed) == (("d/e/n.md",), ("d/e/c.md",))
    assert ws.sync(only=[ws.root / "d/.git/x", ws.root / "elsewhere"]).nothing
    assert ws.sync().nothing


def test_another_embedder_or_passage_size_makes_all_again(ws: Workspace) -> None:
    ws.write("a.md", "# A\n\n" + "some words here. " * 60)
    ws.add("a.md")
    before = ws.store.info("a.md")
    ws.embedder = CountingEmbedder("other")
    report = ws.sync()
    assert report.passages_embedded == len(ws.embedder.texts) > 0
    assert ws.store.embedder() == ("other", 64)
    assert ws.sync().passages_embedded == 0
    ws.settings = Settings(workers=1, passage_tokens=50)
    ws.sync()
    after = ws.store.info("a.md")
    assert before is not None
    assert after is not None
    assert after.id == before.id
    assert after.passages > before.passages
    ws.embedder.texts.clear()
    ws.sync()
    assert ws.embedder.texts == []


def test_newer_readers_read_all_files_once_more(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.write("a.md", "# Bread\n\nIt is baked at night.")
    ws.write("broken.pdf", b"%PDF-1.4 nothing")
    zip_of(ws.root / "z.zip", {"b.md": "Milk stands in the cold room."})
    ws.add(".")
    before = {i.uri: i.id for i in ws.store.documents()}
    embedded = len(ws.embedder.texts)
    monkeypatch.setattr(files, "VERSION", 99)
    monkeypatch.setattr(sync_module, "VERSION", 99)
    assert changed(ws.store, ws.settings, ws.root)
    assert set(ws.sync(dry_run=True).changed) == {"a.md", "broken.pdf", "z.zip"}
    (ws.root / "a.md").rename(ws.root / "moved.md")  # a move alone reads nothing
    assert ws.sync().moved == (("a.md", "moved.md"),)
    ws.sync()
    assert ws.sync().nothing
    assert not changed(ws.store, ws.settings, ws.root)
    assert {i.id for i in ws.store.documents()} == set(before.values())
    assert len(ws.embedder.texts) == embedded


def test_progress_tells_what_is_stored(ws: Workspace) -> None:
    for n in range(5):
        ws.write(f"{n}.md", f"text {n}")
    seen: list[Progress] = []
    ws.add(".", on_progress=seen.append)
    assert seen[-1].done == seen[-1].total == 5


def test_paths_that_do_not_exist(ws: Workspace) -> None:
    ws.write("a.md", "a")
    report = ws.add("nothere", "a.md", "sqlite:///no.db")
    assert report.failed == (
        ("nothere", "no such file or folder"),
        ("sqlite:///no.db", "no.db: no such file"),
    )
    assert ws.uris() == ["a.md"]


def test_odd_names_are_indexed(ws: Workspace) -> None:
    name = os.fsdecode(b"caf\xe9\nx.md")
    ws.write(name, "odd")
    ws.add(".")
    assert ws.uris() == ["caf%E9%0Ax.md"]
    assert ws.sync().nothing
    ws.rm(name)
    assert ws.uris() == []


def test_ctrl_c_keeps_what_was_stored(ws: Workspace) -> None:
    for n in range(400):
        ws.write(f"{n:03}.md", f"# T{n}\n\ntext number {n}")

    def interrupt(progress: Progress) -> None:
        if progress.done >= 128:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ws.add(".", on_progress=interrupt)
    stored = len(ws.uris())
    assert 128 <= stored < 400
    ws.embedder.texts.clear()
    report = ws.sync()
    assert len(report.added) == len(ws.embedder.texts) == 400 - stored
    assert len(ws.uris()) == 400
