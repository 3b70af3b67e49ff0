"""One competitor in a process of its own; started by peers.py, which reads JSON lines from it.

index   embeds and stores passages, timed
build   stores passages with vectors that are given
query   opens what was built, then answers {"questions": […], "seconds": …} lines until closed
ask     the same for ragtune's first evidence
cold    opens, answers one question, ends: timed from outside
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import peers_corpus, peers_ragtune, peers_systems


def memory() -> dict[str, float]:
    """This process, MB: the peak of what was resident (file pages included), anonymous now."""
    fields = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text("utf-8").splitlines()
    )
    return {
        "peak_mb": int(fields["VmHWM"].split()[0]) / 1000,
        "anonymous_mb": int(fields["RssAnon"].split()[0]) / 1000,
    }


def index(system: peers_systems.System, texts: list[str], folder: Path) -> dict[str, Any]:
    """Seconds from texts to a store on disk."""
    if isinstance(system, peers_ragtune.RagtuneFolder):
        peers_ragtune.write_files(texts, folder)
    started = time.perf_counter()
    system.load()
    loaded = time.perf_counter()
    system.index(texts, folder)
    return {"load": loaded - started, "seconds": time.perf_counter() - loaded, **memory()}


def build(system: peers_systems.System, size: int, work: Path, folder: Path) -> dict[str, Any]:
    """Seconds to store given vectors."""
    texts, vectors = peers_corpus.passages(size, work), peers_corpus.vectors(size, work)
    system.load()
    started = time.perf_counter()
    system.build(texts, vectors, folder)
    return {"seconds": time.perf_counter() - started}


def answer(
    call: Callable[[str], Any], system: peers_systems.System, order: dict[str, Any]
) -> dict[str, Any]:
    """Times of each question; stops before the next one once `seconds` are over."""
    times: list[float] = []
    found: list[Any] = []
    end = time.perf_counter() + order["seconds"]
    for question in order["questions"]:
        started = time.perf_counter()
        found.append(call(question))
        times.append(time.perf_counter() - started)
        if time.perf_counter() > end:
            break
    peak = memory()  # before the checks below
    reply: dict[str, Any] = {"times": times, **peak}
    if order.get("check"):
        reply["ids"] = [system.ids(one) for one in found]
        reply["vectors"] = [list(map(float, system.vector(q))) for q in order["questions"]]
        reply["vectors"] = reply["vectors"][: len(found)]
    return reply


def main() -> None:
    """Runs one task."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("task", choices=["index", "build", "query", "ask", "cold"])
    parser.add_argument("work", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--question", default="")
    given = parser.parse_args()

    # Some libraries print to standard output: what goes there is theirs, replies go to a copy.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def reply(value: dict[str, Any]) -> None:
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    system = peers_systems.make(given.name, given.work)
    if given.task in ("index", "build"):
        shutil.rmtree(given.folder, ignore_errors=True)
        given.folder.mkdir(parents=True)
    if given.task == "index":
        last = given.first + given.size
        texts = peers_corpus.passages(last, given.work)[given.first :]
        reply(index(system, texts, given.folder))
    elif given.task == "build":
        reply(build(system, given.size, given.work, given.folder))
    elif given.task == "cold":
        system.load()
        system.open(given.folder)
        system.search(given.question)
    else:
        started = time.perf_counter()
        system.load()
        loaded = time.perf_counter()
        system.open(given.folder)
        opened = time.perf_counter()
        reply({"load": loaded - started, "open": opened - loaded})
        call: Callable[[str], Any] = system.search
        if given.task == "ask":
            assert isinstance(system, peers_ragtune.Ragtune)
            call = system.first_evidence
        for line in sys.stdin:
            reply(answer(call, system, json.loads(line)))


if __name__ == "__main__":
    main()
