"""Reader processes: limits end one file only, and nothing is left behind."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragtune.config import Settings
from ragtune.errors import DocumentError
from ragtune.ingest.parse import Parsed
from ragtune.ingest.sandbox import Readers, Source

pytestmark = pytest.mark.integration

CSV = b"name,price\nKondor,12\n"

# A module named `ragtune.ingest.parse` that misbehaves on command, put before the real one.
UNRULY = """
import ctypes, os, signal, sys, time
import ragtune.ingest.parse as parse_module
from ragtune.ingest.parse import worker
real = parse_module.parse
def parse(data, name):
    if data == b"hang":
        while True: pass
    if data == b"sleep":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]); time.sleep(600)
    if data == b"crash": ctypes.string_at(0)
    if data == b"abort": os.abort()
    if data == b"eat": x = bytearray(1 << 40)
    if data == b"eat slowly":
        x = []
        while True: x.append(bytearray(1 << 22))
    if data == b"leave": os._exit(3)
    if data == b"print": print("x" * 100000); sys.stderr.write("y" * 100000)
    if data == b"nonsense": return real(b"name,price", "nonsense")
    return real(b"name,price", name)
parse_module.parse = parse
encode = worker.encode
worker.encode = lambda found: b"{]" if found[0].name == "nonsense" else encode(found)
worker.serve(int(sys.argv[1]), float(sys.argv[2]))
"""


@pytest.fixture
def readers() -> Iterator[Readers]:
    with Readers(Settings(workers=2, parse_seconds=20, parse_memory_mb=512)) as made:
        yield made


@pytest.fixture
def unruly(monkeypatch: pytest.MonkeyPatch) -> Iterator[Readers]:
    real = subprocess.Popen

    def popen(command: list[str], **options: object) -> object:
        changed = [command[0], "-c", UNRULY, *command[-2:]]
        return real(changed, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("ragtune.ingest.sandbox.subprocess.Popen", popen)
    monkeypatch.setattr("ragtune.ingest.sandbox._PARENT_GRACE", 1.0)
    with Readers(Settings(workers=2, parse_seconds=3, parse_memory_mb=300)) as made:
        yield made


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hang", "took more than 3 s to read"),
        (b"sleep", "took more than 3 s to read"),
        (b"crash", r"the reader crashed \(signal 11\)"),
        (b"abort", r"the reader crashed \(signal 6\), maybe for want of 300 MiB"),
        (b"eat", "needs more than 300 MiB to read"),
        (b"eat slowly", "needs more than 300 MiB to read"),
        (b"leave", r"the reader ended \(exit code 3\)"),
        (b"nonsense", "the reader returned nonsense"),
    ],
)
def test_a_bad_file_ends_only_itself(unruly: Readers, data: bytes, reason: str) -> None:
    sources = [Source("a.csv", CSV), Source("bad", data), Source("b.csv", CSV)]
    results = {source.name: result for source, result in unruly.map(sources)}
    bad = results.pop("bad")
    assert isinstance(bad, DocumentError)
    assert bad.args[0].count("\n") == 0
    assert re.fullmatch(reason, str(bad))
    assert [r for r in results.values() if not isinstance(r, list)] == []
    assert isinstance(unruly.read(CSV, "c.csv")[0], Parsed)


def test_what_parsers_print_does_no_harm(unruly: Readers) -> None:
    assert isinstance(unruly.read(b"print", "a.csv")[0], Parsed)


def test_an_idle_worker_that_died_is_replaced(readers: Readers) -> None:
    readers.read(CSV, "a.csv")
    for one in list(readers._all):
        one.process.kill()
        one.process.wait()
    assert isinstance(readers.read(CSV, "a.csv")[0], Parsed)


def test_zip_bomb(readers: Readers) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"\x00" * (200 << 20))
    with pytest.raises(DocumentError, match="zip bomb"):
        readers.read(buffer.getvalue(), "a.zip")


def test_order_paths_and_items(readers: Readers, tmp_path: Path) -> None:
    sources = []
    for i in range(40):
        path = tmp_path / (f"{i}.csv" if i % 3 else f"{i}.md")
        path.write_bytes(CSV if i % 3 else b"# Small")
        sources.append(Source(path.name, path, item=i))
    ordered = [s.item for s, r in readers.map(iter(sources), ordered=True) if isinstance(r, list)]
    assert ordered == list(range(40))
    assert sorted(s.item for s, _ in readers.map(sources)) == list(range(40))
    assert len(readers._all) <= 2


def test_sources_are_taken_only_as_needed(readers: Readers) -> None:
    taken = 0

    def endless() -> Iterator[Source]:
        nonlocal taken
        while True:
            taken += 1
            yield Source("a.csv", CSV)

    results = readers.map(endless())
    for _ in range(5):
        next(results)
    assert taken <= 8
    results.close()  # type: ignore[attr-defined]
    assert isinstance(readers.read(CSV, "a.csv")[0], Parsed)


def test_unreadable_paths(readers: Readers, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "large.csv").touch()
    os.truncate(tmp_path / "large.csv", 300 << 20)
    for name, reason in [("gone.csv", "cannot be read"), ("pipe.csv", "not a regular file"),
                         ("large.csv", "larger than 200 MiB")]:  # fmt: skip
        with pytest.raises(DocumentError, match=reason):
            readers.read(tmp_path / name, name)


def test_small_text_needs_no_worker(readers: Readers) -> None:
    readers.read(b"# Note\n\ntext", "a.md")
    assert not readers._all


def test_workers_end_with_the_pool() -> None:
    with Readers(Settings(workers=1)) as made:
        made.read(CSV, "a.csv")
        (one,) = made._all
    assert one.process.returncode is not None


SCRIPT = """
import sys
from ragtune.config import Settings
from ragtune.ingest.sandbox import Readers, Source
with Readers(Settings(workers=2)) as readers:
    def sources():
        while True:
            yield Source("a.csv", b"name,price\\nKondor,12\\n" * 2000)
    for n, _ in enumerate(readers.map(sources())):
        if n == 3:
            print(*[w.process.pid for w in readers._all], flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_parent_ends(how: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.send_signal(how)
    _, errors = parent.communicate(timeout=20)
    assert errors.count(b"Traceback") <= (how == signal.SIGINT)  # the parent's own, no child's
    deadline = time.monotonic() + 15
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
