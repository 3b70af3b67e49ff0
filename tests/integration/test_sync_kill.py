"""kill -9 and Ctrl-C at random moments: nothing acknowledged is lost or comes back."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ragtune.config import Settings
from ragtune.ingest.sync import add, remove, sync
from ragtune.models.fakes import HashEmbedder
from ragtune.store import EmbeddedStore

KILLS = int(os.environ.get("RAGTUNE_KILLS", "30"))

# Prints a line once something is acknowledged: that must then be true for ever.
WORKER = """
import sys, threading, time
from pathlib import Path
from ragtune.config import Settings
from ragtune.ingest.sync import add, remove, sync
from ragtune.models.fakes import HashEmbedder
from ragtune.store import EmbeddedStore

class Slow(HashEmbedder):
    def embed(self, texts):
        time.sleep(0.0005 * len(texts))
        return super().embed(texts)

root = Path(sys.argv[1])
settings = Settings(workers=1)
store = EmbeddedStore(root / ".ragtune")
print("ready", flush=True)
done = lambda p: print("stored", p.done, flush=True)
for line in sys.stdin:
    command, *names = line.rstrip("\\n").split("\\t")
    if command == "add":
        report = add(names, store, Slow(), settings, root, done, cwd=str(root))
    elif command == "sync":
        report = sync(store, Slow(), settings, root, done)
    else:
        report = remove(names, store, settings, root, cwd=str(root))
    print("ok", command, *names, sep="\\t", flush=True)
"""


def start(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def texts(store: EmbeddedStore) -> dict[str, str]:
    found = {}
    for info in store.documents():
        document = store.get(info.uri)
        if info.state == "indexed" and document is not None and document.text:
            found[info.uri] = document.text
    return found


@pytest.mark.integration
def test_kill_at_random_moments(tmp_path: Path) -> None:
    root = tmp_path
    (root / "docs").mkdir()
    generator = random.Random(7)
    settings = Settings(workers=1)
    deleted_files: set[str] = set()
    for round in range(KILLS):
        # Some edits, some new files, some deletions.
        for _ in range(generator.randint(20, 80)):
            name = root / "docs" / f"{generator.randrange(150):03}.md"
            name.write_text(f"# Round {round}\n\n{generator.random()} words of it.")
            deleted_files.discard(f"docs/{name.name}")
        for path in generator.sample(sorted((root / "docs").iterdir()), k=5):
            path.unlink()
            deleted_files.add(f"docs/{path.name}")
        with EmbeddedStore(root / ".ragtune") as store:
            before = texts(store)
        process = start(root)
        assert process.stdin is not None
        assert process.stdout is not None
        victim = generator.choice(sorted(before)) if before else "docs/000.md"
        commands = ["add\tdocs\n", "sync\n"]
        if round % 3 == 1:  # what is taken out stays out, through a sync as well
            commands = [f"rm\t{victim}\n", "sync\n"]
        elif round % 3 == 2:
            commands = [f"rm\t{victim}\n", "add\tdocs\n", "sync\n"]
        process.stdin.write("".join(commands))
        process.stdin.close()
        process.stdin = None
        # Some lines in, so that all stages are met however fast the machine is.
        said = [process.stdout.readline().rstrip("\n") for _ in range(generator.randint(0, 4))]
        time.sleep(generator.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read().splitlines()
        process.communicate()
        acknowledged = {line.split("\t")[1] for line in said if line.startswith("ok\t")}
        with EmbeddedStore(root / ".ragtune") as store:
            verified = store.verify()
            assert verified.ok, (round, verified.problems)
            now, out = texts(store), store.excluded()
            if "rm" in acknowledged and round % 3 == 1:
                assert victim not in now, (round, victim)
            if {"add", "sync"} & acknowledged:
                assert not deleted_files & now.keys(), round
                for path in (root / "docs").iterdir():
                    uri = f"docs/{path.name}"
                    assert uri in out or now.get(uri) == path.read_text(), (round, uri)
            # What had been stored is what it was, or what the file says now, or rightly gone.
            for uri, text in before.items():
                path = root / uri
                right = {text, path.read_text() if path.exists() else None}
                assert now.get(uri) in right or uri == victim or not path.exists(), (round, uri)
            taken = generator.choice(sorted(now)) if now else ""
            if taken:
                remove([taken], store, settings, root, cwd=str(root))
            sync(store, HashEmbedder(), settings, root)
            after = texts(store)
            assert taken not in after, round
            files = {f"docs/{p.name}" for p in (root / "docs").iterdir()}
            if store.sources():  # the first add may have been killed before it began
                assert after.keys() == files - store.excluded(), round
                assert all(after[uri] == (root / uri).read_text() for uri in after)
            assert round % 5 or store.verify().ok


@pytest.mark.integration
def test_ctrl_c_during_add(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for number in range(1500):
        (tmp_path / "docs" / f"{number:04}.md").write_text(f"# T{number}\n\nText {number} here.")
    process = start(tmp_path)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("add\tdocs\n")
    process.stdin.flush()
    line = process.stdout.readline()
    assert line.startswith("stored")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors
    embedded: list[str] = []

    class Counting(HashEmbedder):
        def embed(self, texts):  # type: ignore[no-untyped-def]
            embedded.extend(texts)
            return super().embed(texts)

    with EmbeddedStore(tmp_path / ".ragtune") as store:
        assert store.verify().ok
        stored = len(texts(store))
        assert int(line.split()[1]) <= stored < 1500
        report = sync(store, Counting(), Settings(workers=1), tmp_path)
        assert len(embedded) == len(report.added) == 1500 - stored
        assert len(texts(store)) == 1500
        assert add(["docs"], store, Counting(), Settings(), tmp_path, cwd=str(tmp_path)).nothing
