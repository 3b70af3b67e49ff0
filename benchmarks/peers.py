"""Speed side by side: ragtune, LlamaIndex, Haystack, txtai and Chroma, one machine, one run.

    pip install torch==2.13.0
    pip install -r benchmarks/requirements-peers.txt -e .
    python -m benchmarks.peers prepare WORK     # corpora and stores, not timed
    python -m benchmarks.peers measure WORK     # under 15 minutes on 2 cores
    python -m benchmarks.peers report WORK      # benchmarks/results/speed.md and .json

Everybody embeds with the same MiniLM weights, works on the same passages, and runs in a process of
its own, one at a time, in turns (A B C A B C …): a shared machine is slow for all of them or for
none. Medians of the rounds are reported. `--only NAME,…` restricts the systems, to try things out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import machine, peers_corpus, peers_report
from benchmarks.peers_process import WORKER, Quiet, Worker, timed

PEERS = ("llamaindex", "haystack", "txtai", "txtai-hybrid", "chroma")
OURS = ("ragtune-dense", "ragtune", "ragtune-fresh")
FOLDER = "ragtune-add"  # ragtune, from files: `ragtune add FOLDER`
SIZES = (10_000, 100_000)
ROUNDS = 3
INDEXED = 600  # passages a round and system; each round takes others
SLOW = 60.0  # seconds to open: no cold start is measured
PATIENCE = 12.0  # seconds of questions a round: a system that needs longer answers fewer
PACKAGES = (
    "torch",
    "sentence-transformers",
    "transformers",
    "llama-index-core",
    "llama-index-embeddings-huggingface",
    "haystack-ai",
    "sentence-transformers-haystack",
    "txtai",
    "faiss-cpu",
    "chromadb",
)


def say(text: str) -> None:
    """Progress, with the time."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


# ---------------------------------------------------------------- the stores that are queried


def store(work: Path, name: str, size: int) -> Path:
    """Where a system's data of `size` passages lie; all ways to ask ragtune share one."""
    return work / "stores" / f"{'ragtune' if name in OURS else name}-{size}"


def prepare(work: Path, names: Sequence[str], sizes: Sequence[int]) -> None:
    """Corpora, vectors and stores; what is there already is kept."""
    for size in sizes:
        peers_corpus.vectors(size, work)
        for name in names:
            folder = store(work, name, size)
            done = folder.with_suffix(".json")
            if done.exists() or name == FOLDER:
                continue
            say(f"build {name} {size}")
            worker = Worker(name, "build", work, folder, "--size", str(size))
            result = {**worker.reply(), "disk_mb": disk(folder) / 1e6}
            worker.close()
            done.write_text(json.dumps(result), "utf-8")


def disk(folder: Path) -> int:
    """Bytes of the files in a store, without source files."""
    files = folder / "files"
    return sum(
        p.stat().st_size for p in folder.rglob("*") if p.is_file() and files not in p.parents
    )


# ---------------------------------------------------------------- measuring


def measure_index(
    work: Path, names: Sequence[str], count: int, quiet: Quiet
) -> dict[str, list[Any]]:
    """Every round other passages; each run in a fresh process and an empty folder."""
    runs: dict[str, list[Any]] = {name: [] for name in names}
    for number in range(ROUNDS):
        for name in names:
            folder = work / "index" / name
            quiet.wait()
            more = ["--size", str(count), "--first", str(number * count)]
            worker = Worker(name, "index", work, folder, *more)
            result = worker.reply()
            worker.close()
            result |= {"passages": count, "disk_mb": disk(folder) / 1e6}
            result["peak_mb"] = max(result["peak_mb"], worker.tree_mb)
            runs[name].append(result)
            say(f"index {name}: {count / result['seconds']:.1f} passages/s")
            shutil.rmtree(folder)
    return runs


def measure_queries(
    work: Path, names: Sequence[str], size: int, quiet: Quiet, task: str = "query"
) -> dict[str, Any]:
    """All systems open at once, asked in turns; one works while the others wait."""
    questions, warming = peers_corpus.questions(ROUNDS)
    workers: dict[str, Worker] = {}
    results: dict[str, Any] = {}
    for name in names:
        workers[name] = Worker(name, task, work, store(work, name, size))
        results[name] = {**workers[name].reply(), "rounds": []}
        workers[name].order(questions=warming, seconds=PATIENCE / 2)
    for number in range(ROUNDS):
        for name in names:
            quiet.wait()
            last = number == ROUNDS - 1 and task == "query"
            reply = workers[name].order(questions=questions[number], seconds=PATIENCE, check=last)
            results[name]["rounds"].append(reply.pop("times"))
            results[name] |= reply
            median = statistics.median(results[name]["rounds"][-1])
            say(f"{task} {name} {size}: {median * 1e3:.1f} ms")
    for name in names:
        workers[name].close()
        results[name]["disk_mb"] = disk(store(work, name, size)) / 1e6
    if task == "query":
        recall(work, size, results)
    return results


def recall(work: Path, size: int, results: dict[str, Any]) -> None:
    """Of each result, the share that is in the exact top ten of that system's own query vector.

    Equals of the tenth count as right. Also its agreement with the fp32 model's exact top ten,
    where a peer ran (all peers' query vectors are that model's).
    """
    import numpy as np

    matrix = peers_corpus.vectors(size, work)

    def exact(rows: Any) -> Any:
        scores = np.asarray(rows, np.float32) @ matrix.T
        return scores, np.partition(scores, -10, axis=1)[:, -10]

    peers = [r["vectors"] for n, r in results.items() if n in PEERS and r.get("vectors")]
    reference = exact(max(peers, key=len)) if peers else None
    for result in results.values():
        vectors, ids = result.pop("vectors", []), result.pop("ids", [])
        if not vectors or not any(ids):
            continue
        scores, tenth = exact(vectors)
        right = [
            sum(scores[n, i] >= tenth[n] - 1e-5 for i in found) / 10 for n, found in enumerate(ids)
        ]
        result["recall"] = float(np.mean(right))
        if reference is not None:
            both = min(len(ids), len(reference[0]))
            agreed = [
                sum(reference[0][n, i] >= reference[1][n] - 1e-5 for i in ids[n]) / 10
                for n in range(both)
            ]
            result["agrees_fp32"] = float(np.mean(agreed))


def measure_cold(
    work: Path, names: Sequence[str], size: int, quiet: Quiet
) -> dict[str, list[float]]:
    """A new process each time, from start to end: open, one question. Page cache warm."""
    (questions,), _ = peers_corpus.questions()
    commands: dict[str, list[str]] = {}  # without the question, which comes last
    for name in names:
        folder = store(work, name, size)
        if name == "ragtune":
            ragtune = [str(Path(sys.executable).with_name("ragtune")), "search", "--workspace"]
            commands[name] = [*ragtune, str(folder)]
        elif name not in OURS:
            work_and_folder = [str(work), str(folder), "--question"]
            commands[name] = [*WORKER, name, "cold", *work_and_folder]
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number, question in enumerate(questions[:9]):
        for name, command in commands.items():
            if name == "ragtune" or (number < ROUNDS and sum(times[name]) < 40):
                quiet.wait()
                times[name].append(timed([*command, question]))
    for name, seconds in times.items():
        say(f"cold {name} {size}: {statistics.median(seconds):.2f} s")
    return times


def measure_help(quiet: Quiet) -> list[float]:
    """`ragtune --help`, whole process."""
    quiet.wait()
    command = [str(Path(sys.executable).with_name("ragtune")), "--help"]
    return [timed(command) for _ in range(15)]


def measure(
    work: Path, names: Sequence[str], sizes: Sequence[int], count: int, quiet: Quiet, parts: str
) -> dict[str, Any]:
    """The parts that are named; of the others, what was measured before is kept."""
    path = work / "measured.json"
    result: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    result["machine"] = machine.describe(*PACKAGES)
    for name, size, work_of in _parts(work, names, sizes, count, quiet, result):
        if name not in parts.split(","):
            continue
        started, waited, shares = time.perf_counter(), quiet.waited, len(quiet.shares)
        about = {"date": result["machine"]["date"], "commit": result["machine"]["commit"]}
        found = work_of()
        if size:  # systems that were left out this time keep what they had
            result.setdefault(name, {}).setdefault(str(size), {}).update(found)
        else:
            result[name] = found
        waited = quiet.waited - waited
        about |= {"seconds": time.perf_counter() - started - waited, "waited": waited}
        about["busy_before"] = statistics.median(quiet.shares[shares:] or [0.0])
        result.setdefault("parts", {})[f"{name} {size or ''}".strip()] = about
        path.write_text(json.dumps(result), "utf-8")  # it can be interrupted
    return result


def _parts(
    work: Path,
    names: Sequence[str],
    sizes: Sequence[int],
    count: int,
    quiet: Quiet,
    result: dict[str, Any],
) -> Iterator[tuple[str, int, Callable[[], Any]]]:
    indexing = [n for n in names if n not in ("ragtune-dense", "ragtune-fresh")]
    yield "index", 0, lambda: measure_index(work, indexing, count, quiet)
    for size in sizes:
        here = [n for n in names if store(work, n, size).exists()]
        ours = [n for n in here if n in ("ragtune", "ragtune-fresh")]
        yield "query", size, partial(measure_queries, work, here, size, quiet)
        yield "ask", size, partial(measure_queries, work, ours, size, quiet, "ask")
    size = max(sizes)
    opened = result.get("query", {}).get(str(size), {})
    quick = [n for n in here if n in OURS or opened.get(n, {}).get("open", 0) < SLOW]
    yield "cold", size, partial(measure_cold, work, quick, size, quiet)
    yield "help", 0, partial(measure_help, quiet)


def main() -> None:
    """Runs one of the three steps."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("step", choices=["prepare", "measure", "report"])
    parser.add_argument("work", type=Path, help="a folder for corpora, stores and raw figures")
    parser.add_argument("--only", default=",".join((*OURS, FOLDER, *PEERS)))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--index", type=int, default=INDEXED)
    parser.add_argument("--parts", default="index,query,ask,cold,help")
    parser.add_argument(
        "--patience", type=float, default=1800, help="seconds to wait in all for a quiet machine"
    )
    given = parser.parse_args()
    if not peers_corpus.bench().is_dir():
        sys.exit(f"skipped: no data sets in {peers_corpus.bench()} (set RAGTUNE_BENCH)")
    work, names = given.work.resolve(), given.only.split(",")
    sizes = [int(size) for size in given.sizes.split(",")]
    (work / "stores").mkdir(parents=True, exist_ok=True)
    if given.step == "prepare":
        prepare(work, names, sizes)
    elif given.step == "measure":
        measure(work, names, sizes, given.index, Quiet(given.patience), given.parts)
    if given.step != "prepare":
        result = json.loads((work / "measured.json").read_text("utf-8"))
        print(peers_report.write(result, given.step == "report"))


if __name__ == "__main__":
    main()
