"""Several processes and threads on one workspace."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragtune.errors import WorkspaceError
from ragtune.store import EmbeddedStore
from ragtune.store.fake import document, vector
from ragtune.store.lock import WAITING, WriteLock

pytestmark = pytest.mark.integration

# Does what each line of its input says, and answers with a line.
OTHER = """
import json, sys
from pathlib import Path
from ragtune.store.embedded import EmbeddedStore
from ragtune.store.fake import document, vector

with EmbeddedStore(Path(sys.argv[1])) as store:
    for line in sys.stdin:
        what, *rest = json.loads(line)
        if what == "put":
            store.replace(*document(rest[0], rest[1]))
            answer = "done"
        elif what == "delete":
            answer = store.delete(rest)
        elif what == "search":
            found = store.search(rest[0], vector(rest[0]), 100)
            answer = [[n for n, _ in found.lexical], [n for n, _ in found.dense]]
        elif what == "fill":
            for n in range(rest[1]):
                store.replace(*document(f"{rest[0]}{n}", [f"{rest[0]} number{n}"]))
            answer = "done"
        print(json.dumps(answer), flush=True)
"""


class Other:
    """Another process with the workspace open."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, *what: object) -> None:
        import json

        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def receive(self) -> object:
        import json

        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def __call__(self, *what: object) -> object:
        self.send(*what)
        return self.receive()


@contextmanager
def another(folder: Path) -> Iterator[Other]:
    other = Other(folder)
    try:
        yield other
    finally:
        assert other.process.stdin is not None
        other.process.stdin.close()
        assert other.process.wait(30) == 0
        assert other.process.stdout is not None
        other.process.stdout.close()


def test_a_change_is_true_for_the_very_next_search_of_another_process(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store, another(tmp_path) as other:
        for n in range(12):
            store.replace(*document("doc", [f"zorp version{n}", f"quux version{n}"]))
            ids = [p.id for p in store.passages_of("doc")]
            found = other("search", f"version{n}")
            assert isinstance(found, list)
            assert [sorted(part) for part in found] == [ids, ids]
            before = other("search", f"version{n - 1}")
            assert isinstance(before, list)
            assert before[0] == []
            store.delete(["doc"])
            assert other("search", f"version{n}") == [[], []]
            # And the other way round.
            assert other("put", "doc", [f"fnord version{n}"]) == "done"
            assert len(store.search(f"version{n}", vector("x"), 5).dense) == 1
            assert other("delete", "doc") == 1
            assert store.search(f"version{n}", vector("x"), 5).dense == ()


def test_two_processes_writing_at_once_lose_nothing(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store, another(tmp_path) as one, another(tmp_path) as two:
        one.send("fill", "one", 25)
        two.send("fill", "two", 25)
        for n in range(10):
            store.replace(*document(f"mine{n}", [f"mine number{n}"]))
        assert one.receive() == two.receive() == "done"
        assert store.counts().documents == 60
        for name, count in (("one", 25), ("two", 25), ("mine", 10)):
            assert len(store.search(name, None, 100).lexical) == count
        report = store.verify()
        assert report.ok, report.problems


def test_threads_search_while_one_writes(tmp_path: Path) -> None:
    """Every search sees one state of `doc`: two passages of the same version, in both indexes."""
    errors: list[str] = []
    stop = threading.Event()

    with EmbeddedStore(tmp_path) as store:

        def search() -> None:
            while not stop.is_set():
                found = store.search("zorp", vector("zorp"), 10)
                lexical = {n for n, _ in found.lexical}
                if len(lexical) != 2 or lexical != {n for n, _ in found.dense}:
                    errors.append(f"{found}")

        store.replace(*document("doc", ["zorp version0", "zorp again0"]))
        threads = [threading.Thread(target=search) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for n in range(1, 25):
                store.replace(*document("doc", [f"zorp version{n}", f"zorp again{n}"]))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not errors, errors[:3]
        assert store.verify().ok


def test_waiting_is_told_once_and_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    EmbeddedStore(tmp_path).close()
    code = (
        "import sys, time; from pathlib import Path; from ragtune.store.lock import WriteLock; "
        "lock = WriteLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); "
        "time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "write.lock")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    told: list[str] = []
    threading.Timer(1.6, holder.kill).start()
    begun = time.monotonic()
    with EmbeddedStore(tmp_path, told.append) as store:
        store.replace(*document("doc", ["zorp"]))
        assert time.monotonic() - begun > 1.5
        assert told == [WAITING]
        assert len(store.search("zorp", None, 1).lexical) == 1
    holder.wait()
    holder.stdout.close()


def test_patience_ends(tmp_path: Path) -> None:
    lock, other = (WriteLock(tmp_path / "lock", patience=0.2) for _ in range(2))
    lock.acquire()
    assert not other.acquire(wait=False)
    with pytest.raises(WorkspaceError, match="another process has been writing"):
        other.acquire()
    lock.release()
    assert other.acquire(wait=False)
    other.release()
