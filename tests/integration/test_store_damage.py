"""Derived files that are cut, zeroed, deleted, or another workspace's; folders that cannot be
written; disks that are full."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragtune.errors import WorkspaceError
from ragtune.store import EmbeddedStore
from ragtune.store.fake import document, vector
from ragtune.types import Found

pytestmark = pytest.mark.integration

WORDS = ["zorp", "quux", "blimp", "fnord", "gramp"]


def fill(folder: Path, seed: int = 0, count: int = 60) -> None:
    chance = random.Random(seed)
    with EmbeddedStore(folder) as store:
        store.replace_many(
            (*document(f"doc{n}", [" ".join(chance.choices(WORDS, k=5)) for _ in range(50)]), None)
            for n in range(count)
        )
        store.delete(["doc3"])


def ask(folder: Path) -> Found:
    with EmbeddedStore(folder) as store:
        return store.search("zorp fnord", vector("zorp"), 40)


def derived(folder: Path) -> list[Path]:
    """Every derived file that a search reads."""
    parts = sorted(p for p in (folder / "lexical").iterdir() if p.suffix != ".lock")
    return [folder / "vectors.bin", *(p for p in parts if p.stat().st_size)]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "data"
    fill(folder)
    return folder


@pytest.mark.parametrize("kind", ["cut", "zeroed", "deleted", "foreign"])
def test_each_derived_file(filled: Path, tmp_path: Path, kind: str) -> None:
    whole = ask(filled)
    assert len(whole.dense) == len(whole.lexical) == 40
    other = tmp_path / "other"
    if kind == "foreign":
        fill(other, seed=1)
    chance = random.Random(kind)
    for n, name in enumerate(p.relative_to(filled) for p in derived(filled)):
        folder = tmp_path / str(n)
        shutil.copytree(filled, folder)
        file = folder / name
        size = file.stat().st_size
        if kind == "cut":
            os.truncate(file, chance.randrange(size))
        elif kind == "zeroed":
            at = chance.randrange(size)
            raw = file.read_bytes()
            file.write_bytes(raw[:at] + bytes(size - at))
        elif kind == "deleted":
            file.unlink()
        else:
            theirs = [p for p in derived(other) if p.suffix == file.suffix]
            shutil.copyfile(chance.choice(theirs), file)
        found = ask(folder)
        assert found.dense == whole.dense, name
        # A rebuilt index has forgotten deleted passages, which count a little in BM25's weights.
        assert {i for i, _ in found.lexical} <= {i for i, _ in whole.lexical}
        assert len(found.lexical) == 40, name
        with EmbeddedStore(folder) as store:
            report = store.verify()
            assert report.ok, (name, report.problems)
        shutil.rmtree(folder)


def test_all_derived_files_of_another_workspace(filled: Path, tmp_path: Path) -> None:
    whole = ask(filled)
    fill(tmp_path / "other", seed=1)
    shutil.copytree(filled, tmp_path / "mine")
    for name in ("vectors.bin", "lexical"):
        mine = tmp_path / "mine" / name
        shutil.rmtree(mine) if mine.is_dir() else mine.unlink()
        shutil.move(tmp_path / "other" / name, mine)
    assert ask(tmp_path / "mine").dense == whole.dense
    with EmbeddedStore(tmp_path / "mine") as store:
        assert store.verify().ok


def test_derived_files_of_an_earlier_day(tmp_path: Path) -> None:
    """An old copy is replayed; one from a history that SQLite does not have is built again."""
    folder = tmp_path / "data"
    fill(folder, count=5)
    shutil.copytree(folder, tmp_path / "old")
    with EmbeddedStore(folder) as store:
        store.delete(["doc0"])
        store.replace(*document("new", ["sniglet"]))
    shutil.copytree(folder, tmp_path / "new")
    for name in ("vectors.bin", "lexical"):  # derived files old, SQLite new
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        source = tmp_path / "old" / name
        shutil.copytree(source, path) if source.is_dir() else shutil.copyfile(source, path)
    with EmbeddedStore(folder) as store:
        assert len(store.search("sniglet", None, 5).lexical) == 1
        assert store.verify().ok
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "new", folder)  # derived files new, SQLite old and gone on
    for path in folder.glob("workspace.db*"):
        path.unlink()
    for path in (tmp_path / "old").glob("workspace.db*"):
        shutil.copyfile(path, folder / path.name)
    with EmbeddedStore(folder) as store:
        store.delete(["doc1"])
        store.delete(["doc2"])
        assert not store.search("sniglet", None, 5).lexical
        assert store.verify().ok


FIELDS = ["id", "document", "number", "token", "passages", "format", "body"]


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_another_name(filled: Path, tmp_path: Path, name: str) -> None:
    """The keyword index's meta.json has no checksum: one flipped bit renames a field."""
    folder = tmp_path / "data"
    shutil.copytree(filled, folder)
    meta = folder / "lexical" / "meta.json"
    renamed = name[:-1] + chr(ord(name[-1]) ^ 1)
    meta.write_text(meta.read_text().replace(f'"name": "{name}"', f'"name": "{renamed}"'))
    assert f'"{renamed}"' in meta.read_text()
    found = ask(folder)
    assert len(found.lexical) == 40
    assert found.dense == ask(filled).dense
    with EmbeddedStore(folder) as store:
        assert store.verify().ok


def test_a_damaged_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "workspace.db").write_bytes(b"this is not a database, certainly" * 100)
    with pytest.raises(WorkspaceError, match="damaged"):
        EmbeddedStore(tmp_path)


def test_verify_sees_what_was_changed_behind_its_back(tmp_path: Path) -> None:
    fill(tmp_path, count=4)
    with EmbeddedStore(tmp_path) as store, store._connection() as db:
        db.execute("UPDATE passages SET text = 'other' WHERE id = 1")
        db.execute('UPDATE passages SET start = 5, "end" = 3 WHERE id = 2')
        db.execute("DELETE FROM vectors WHERE passage = 3")
        db.execute("UPDATE vectors SET vector = zeroblob(128) WHERE passage = 4")
        db.execute("UPDATE passages SET document = 2 WHERE id = 5")
        problems = "\n".join(store.verify().problems)
    for line in (
        "doc0#1: its span no longer says what it said",
        "doc0#1: its text is not what was embedded",
        "doc0#2: its span lies outside the text",
        "passage 3: no vector",
        "passage 3: no vector",
        "passage 4: its row in the vector file is another vector's",
        "passage 5: row in the vector file of another document",
    ):
        assert line in problems


# ---------------------------------------------------------------- no writing


AS_NOBODY = """
import os, sys, tempfile
from pathlib import Path
from ragtune.errors import WorkspaceError
from ragtune.store import EmbeddedStore
from ragtune.store.fake import document, vector
with tempfile.TemporaryDirectory() as scratch, EmbeddedStore(Path(scratch)) as store:
    store.replace(*document("a", ["b"]))  # loads all modules: nobody may not read root's
    store.search("b", vector("b"), 1)
    store.verify()
import shutil, atexit
os.setuid(65534)
store = EmbeddedStore(Path(sys.argv[1]))
found = store.search("zorp fnord", vector("zorp"), 40)
print(len(found.lexical), len(found.dense), store.verify().ok)
try:
    store.delete(["doc1"])
except WorkspaceError as error:
    print(error)
"""


def test_a_folder_that_cannot_be_written(filled: Path, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to become another user")
    folder = tmp_path / "data"
    shutil.copytree(filled, folder)
    for path in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        path.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(folder)], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["40 40 True", f"{folder} cannot be written"], done.stderr


# ---------------------------------------------------------------- full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    folder = small_disk / "data"
    chance = random.Random(0)
    stored: list[str] = []
    (small_disk / "room").write_bytes(bytes(4 << 20))
    with EmbeddedStore(folder) as store:
        store.replace(*document("first", ["sniglet one", "sniglet two"]))

        def fill_up() -> None:
            for n in range(1000):
                noise = [" ".join(f"{chance.random()}" for _ in range(60)) for _ in range(40)]
                store.replace(*document(f"doc{n}", noise))
                stored.append(f"doc{n}")

        with pytest.raises(WorkspaceError, match="full") as error:
            fill_up()
        assert "\n" not in str(error.value)
        assert stored
    # Full to the last byte: a new process still answers, and knows what was acknowledged.
    (small_disk / "ballast").write_bytes(b"")
    with (small_disk / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                pass
    with EmbeddedStore(folder) as store:
        assert len(store.search("sniglet", vector("sniglet one"), 5).lexical) == 2
        assert {"first", *stored} <= {d.uri for d in store.documents()}
        with pytest.raises(WorkspaceError, match="full"):
            store.replace(*document("more", ["y" * 200_000]))
        assert len(store.search("sniglet", vector("sniglet one"), 5).dense) == 5
    (small_disk / "room").unlink()
    with EmbeddedStore(folder) as store:
        store.delete([stored[0]])
        store.replace(*document("first", ["sniglet three"]))
        assert len(store.search("sniglet", None, 5).lexical) == 1
        report = store.verify()
        assert report.ok, report.problems
