"""kill -9 at any moment loses nothing that was acknowledged, and brings nothing back."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ragtune.store import EmbeddedStore
from ragtune.store.fake import document, vector

pytestmark = pytest.mark.integration

# Changes documents at random until it is killed. Before each change it says what it is about to
# do, after it that it is done; each document's only word says which version it is.
WRITER = """
import json, random, sys
from pathlib import Path
from ragtune.store.embedded import EmbeddedStore
from ragtune.store.fake import document

folder, seed = Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)
say = lambda *what: print(json.dumps(what), flush=True)
say("ready")
with EmbeddedStore(folder) as store:
    for n in range(1000):
        kind = chance.choice(["put", "put", "put", "many", "delete", "rename"])
        uris = [f"doc{chance.randrange(8)}" for _ in range(3)]
        words = [f"v{seed}x{n}x{i}" for i in range(3)]
        many = list(zip(uris, words)) if kind == "many" else [(uris[0], words[0])]
        if kind in ("put", "many"):
            many = list(dict(many).items())
            say("begin", [[u, w] for u, w in many])
            store.replace_many(
                (*document(u, [f"{w} {i}" for i in range(chance.randrange(1, 6))]), None)
                for u, w in many
            )
        elif kind == "delete":
            say("begin", [[uris[0], None]])
            store.delete([uris[0]])
        else:
            new = f"doc{chance.randrange(8)}"
            say("begin", "rename", uris[0], new)
            store.rename(uris[0], new)
        say("done")
"""


def state(store: EmbeddedStore) -> dict[str, str]:
    """Every document's word, and a check that it is what a search finds."""
    found = {}
    for info in store.documents():
        document = store.get(info.uri)
        assert document is not None
        word = document.text.split()[0]
        found[info.uri] = word
        hits = store.search(word, vector(f"{word} 0"), 50)
        ids = [p.id for p in store.passages_of(info.uri)]
        assert sorted(n for n, _ in hits.lexical) == ids
        assert hits.dense[0][0] == ids[0]
        assert hits.dense[0][1] > 0.999
    return found


def after(step: list[object], before: dict[str, str]) -> dict[str, str]:
    """The state that a change leads to."""
    now = dict(before)
    if step[1] == "rename":
        old, new = str(step[2]), str(step[3])
        if old in now:
            now[new] = now.pop(old)
        return now
    assert isinstance(step[1], list)
    for uri, word in step[1]:
        if word is None:
            now.pop(uri, None)
        else:
            now[uri] = word
    return now


def test_a_hundred_kills(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    chance = random.Random(7)
    expected: dict[str, str] = {}
    changes = cut_short = 0
    ever: set[str] = set()
    for run in range(100):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(run)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == ["ready"]
        # So many changes, then somewhere in the next one: about as long as the last one took.
        lines, took = [], 0.03
        for _ in range(chance.choice([0, 0, 1, 2])):
            begun = time.monotonic()
            lines += [process.stdout.readline(), process.stdout.readline()]
            took = time.monotonic() - begun
        time.sleep(chance.uniform(0.0, 1.2 * took))
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.read().splitlines()
        process.wait()
        open_step = None
        for line in map(json.loads, lines):
            if line[0] == "begin":
                open_step = line
            else:
                assert open_step is not None
                ever |= set(expected.values())
                expected = after(open_step, expected)
                open_step = None
                changes += 1
        with EmbeddedStore(folder) as store:
            now = state(store)
            # The change that was under way may be there or not, but whole.
            allowed = [expected]
            if open_step is not None:
                cut_short += 1
                allowed.append(after(open_step, expected))
            assert now in allowed, f"run {run}"
            expected = now
            for word in sorted(ever - set(now.values())):
                assert not store.search(word, None, 10).lexical, "a deleted passage came back"
            report = store.verify()
            assert report.ok, report.problems
    print(f"{changes} changes acknowledged, {cut_short} cut short")
    assert changes > 50
    assert cut_short > 50


def test_a_batch_that_is_killed_keeps_what_was_finished(tmp_path: Path) -> None:
    """Ctrl-C inside `writing`: the documents put before it are whole and searchable."""
    with EmbeddedStore(tmp_path) as store:

        def interrupted() -> None:
            with store.writing():
                store.replace(*document("one", ["alpha"]))
                store.replace(*document("two", ["beta"]))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert [d.uri for d in store.documents()] == ["one", "two"]
        assert len(store.search("beta", None, 5).lexical) == 1
        assert store.verify().ok
