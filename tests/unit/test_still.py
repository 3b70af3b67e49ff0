"""The kernel's word that nothing was touched is as exact as a look at every file."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragtune import workspace
from ragtune.config import Settings
from ragtune.ingest.plan import stored_sources
from ragtune.ingest.sources import Source
from ragtune.ingest.still import Still, _kind

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

FOLDER = [Source("path", "docs")]


@pytest.fixture
def still(tmp_path: Path) -> Still:
    docs = tmp_path / "docs"
    (docs / "deep" / "deeper").mkdir(parents=True)
    (docs / "a.md").write_text("a")
    (docs / "deep" / "b.md").write_text("b")
    return looked(Still(tmp_path, Settings()), FOLDER)


def looked(still: Still, sources: list[Source]) -> Still:
    still.nothing_found(still.before_look(sources))
    assert still.holds(sources)
    return still


@pytest.mark.parametrize(
    "change",
    [
        lambda d: (d / "a.md").write_text("other"),
        lambda d: (d / "new.md").write_text("new"),
        lambda d: (d / "a.md").unlink(),
        lambda d: (d / "a.md").rename(d / "c.md"),
        lambda d: (d / "deep" / "b.md").rename(d / "a.md"),
        lambda d: (d / "deep" / "deeper" / "c.md").write_text("c"),
        lambda d: (d / "made").mkdir(),
        lambda d: shutil.rmtree(d / "deep"),
        lambda d: (d / "deep").rename(d / "elsewhere"),
        lambda d: os.utime(d / "a.md", (1, 1)),
        lambda d: (d / "a.md").chmod(0o400),
        lambda d: d.rename(d.with_name("gone")),
    ],
)
def test_every_change_is_told_at_once(
    still: Still, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    change(tmp_path / "docs")
    assert not still.holds(FOLDER)


def test_what_happens_during_a_look_is_not_taken_for_seen(still: Still, tmp_path: Path) -> None:
    (tmp_path / "docs" / "a.md").write_text("1")
    ticket = still.before_look(FOLDER)
    (tmp_path / "docs" / "a.md").write_text("2")
    still.nothing_found(ticket)
    assert not still.holds(FOLDER)
    looked(still, FOLDER)


def test_a_folder_made_later_is_watched(still: Still, tmp_path: Path) -> None:
    (tmp_path / "docs" / "made").mkdir()
    looked(still, FOLDER)
    (tmp_path / "docs" / "made" / "x.md").write_text("x")
    assert not still.holds(FOLDER)


def test_reading_files_is_no_change(still: Still, tmp_path: Path) -> None:
    for path in (tmp_path / "docs").rglob("*.md"):
        path.read_text()
    assert still.holds(FOLDER)


def test_other_sources_need_another_look(still: Still) -> None:
    assert not still.holds([*FOLDER, Source("path", "more")])


def test_a_single_file_is_watched_through_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "one.md"
    file.write_text("one")
    sources = [Source("path", "one.md")]
    still = looked(Still(tmp_path, Settings()), sources)
    new = tmp_path / "other"
    new.write_text("two")
    looked(still, sources)
    new.replace(file)  # as editors do
    assert not still.holds(sources)


@pytest.mark.parametrize("what", ["link", "missing"])
def test_what_cannot_be_watched_is_never_still(tmp_path: Path, what: str) -> None:
    (tmp_path / "docs").mkdir()
    if what == "link":
        (tmp_path / "docs" / "link.md").symlink_to("/etc/hostname")
    else:
        (tmp_path / "docs").rmdir()
    still = Still(tmp_path, Settings())
    still.nothing_found(still.before_look(FOLDER))
    assert not still.holds(FOLDER)


def test_the_innermost_mount_tells_the_kind_of_a_folder() -> None:
    mounts = {"/": "ext4", "/srv": "nfs4", "/srv/local": "xfs"}
    kinds = [_kind(p, mounts) for p in ("/home", "/srv", "/srv/data", "/srv/local/a", "/srvx")]
    assert kinds == ["ext4", "nfs4", "nfs4", "xfs", "ext4"]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["write", "delete", "move", "folder", "rmtree", "nothing"]),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["", "x", "y", "x/y"]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OPERATIONS)
def test_it_never_says_still_where_the_files_differ(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, str, str]]
) -> None:
    root = tmp_path_factory.mktemp("still")
    docs = root / "docs"
    docs.mkdir()
    still = looked(Still(root, Settings()), FOLDER)
    before = _listing(docs)
    for number, (what, name, folder) in enumerate(operations):
        _do(docs, what, name, docs / folder, number)
        now = _listing(docs)
        if still.holds(FOLDER):
            assert now == before
        else:
            looked(still, FOLDER)
            before = now
    still.close()


def _do(docs: Path, what: str, name: str, folder: Path, number: int) -> None:
    path = folder / f"{name}.md"
    if what == "write" and folder.is_dir():
        path.write_text(str(number))
    elif what == "delete":
        path.unlink(missing_ok=True)
    elif what == "move" and path.exists():
        path.rename(docs / "moved.md")
    elif what == "folder":
        folder.mkdir(parents=True, exist_ok=True)
    elif what == "rmtree" and folder != docs:
        shutil.rmtree(folder, ignore_errors=True)


def _listing(docs: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in docs.rglob("*"):
        stat = path.stat()
        found[str(path)] = (stat.st_mtime_ns if path.is_file() else 0, stat.st_size, stat.st_ino)
    return found


def test_a_question_sees_each_edit_where_the_kernel_is_asked(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# Leave\n\nThere are 20 days of leave.\n")
    with workspace.init(tmp_path) as opened:
        opened.add([docs])
        opened.freshness.still = kernel = Still(tmp_path, opened.settings)
        opened.refresh()
        assert kernel.holds(stored_sources(opened.store))
        for days in range(21, 25):
            (docs / "a.md").write_text(f"# Leave\n\nThere are {days} days of leave.\n")
            assert f"{days} days" in opened.search("days of leave")[0].passage.text
        (docs / "new").mkdir()
        (docs / "new" / "b.md").write_text("# Parking\n\nParking costs 7 euros.\n")
        assert any("7 euros" in hit.passage.text for hit in opened.search("parking"))
        shutil.rmtree(docs / "new")
        assert not any("7 euros" in hit.passage.text for hit in opened.search("parking"))
        kernel.close()
