"""How far each stage of ragtune is from what this machine's arithmetic or memory allows.

    python -m benchmarks.floors WORK            # WORK as prepared by `benchmarks.peers prepare`

A floor is work that cannot be avoided (multiplications of the model, bytes of the vectors, bytes
written) over the best rate that the same core showed on nothing but that work. One core, one
thread, unless said otherwise. Writes benchmarks/results/floors.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks import machine, peers, peers_corpus, peers_ragtune
from benchmarks.peers_process import Quiet, timed

import ragtune
from ragtune.config import Settings
from ragtune.models import minilm
from ragtune.models.embed import load_embedder
from ragtune.store import lexical, vectors

LAYERS, WIDE = 6, 1536
# Multiply-adds of one token in all layers' linear parts: q, k, v, output, and two of feed-forward.
PER_TOKEN = LAYERS * (4 * minilm.DIMENSIONS**2 + 2 * minilm.DIMENSIONS * WIDE)
SIZE = 100_000
INSERTED = 2000


@dataclass(frozen=True, slots=True)
class Stage:
    """One row: both in milliseconds. `floor` says in words what it is made of."""

    name: str
    measured_ms: float
    floor_ms: float
    floor: str

    @property
    def factor(self) -> float:
        """How many times slower than the floor."""
        return self.measured_ms / self.floor_ms


def best(call: Callable[[], Any], times: int = 5) -> float:
    """The fastest of several calls, seconds: for rates, where noise only slows."""
    return min(_each(call, times))


def median(call: Callable[[], Any], times: int = 5) -> float:
    """The median of several calls, seconds: for what users wait for."""
    return statistics.median(_each(call, times))


def _each(call: Callable[[], Any], times: int) -> list[float]:
    seconds = []
    for _ in range(times + 1):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


# ---------------------------------------------------------------- what the machine can do


def _one_core() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options


def int8_rate() -> float:
    """Multiply-adds a second of one core: u8 x s8 products of ONNX Runtime, a large square."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    side = 1024
    weight = np.random.default_rng(0).integers(-64, 64, (side, side), np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        "peak",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [side, side])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [side, side])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), _one_core(), providers=["CPUExecutionProvider"]
    )
    x = np.random.default_rng(1).integers(0, 255, (side, side), np.uint8)
    return side**3 / best(lambda: session.run(None, {"x": x}), 15)


def fp32_rate() -> float:
    """The same for fp32, which attention's own products are in."""
    import onnxruntime
    from onnx import TensorProto, helper

    side = 768
    shape = [side, side]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "peak",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "w")],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), _one_core(), providers=["CPUExecutionProvider"]
    )
    x = np.random.default_rng(1).random((side, side), np.float32)
    return side**3 / best(lambda: session.run(None, {"x": x, "w": x}), 15)


def read_rate(size: int) -> float:
    """Bytes a second that one core reads from a buffer of `size` bytes, over and over."""
    from numkong import cdist

    rows = np.ones((size // 4096, 4096), np.int8)
    query = np.ones((1, 4096), np.int8)
    out = np.empty((1, len(rows)), np.float32)
    words = rows.reshape(-1).view(np.int64)
    fastest = min(best(lambda: cdist(query, rows, metric="dot", out=out), 15), best(words.max, 15))
    return rows.nbytes / fastest


def write_rate(folder: Path, size: int = 64 << 20) -> float:
    """Bytes a second to a file in `folder`, on the disk when it counts."""
    block = os.urandom(1 << 20)

    def write() -> None:
        with tempfile.NamedTemporaryFile(dir=folder, buffering=0) as file:
            for _ in range(size // len(block)):
                file.write(block)
            os.fsync(file.fileno())

    return size / best(write, 3)


# ---------------------------------------------------------------- the stages


def model_floor(tokens: int, int8: float, fp32: float) -> float:
    """Seconds of one text of `tokens` (special ones included) at peak rates."""
    attention = LAYERS * 2 * tokens * tokens * minilm.DIMENSIONS
    return tokens * PER_TOKEN / int8 + attention / fp32


def embedding(work: Path, rates: dict[str, float]) -> list[Stage]:
    """Passages on one core, and one question."""
    embedder = load_embedder(Settings(threads=1))
    texts = peers_corpus.passages(64, work)
    sizes = [embedder.count_tokens(text) + 2 for text in texts]
    floor = sum(model_floor(n, rates["int8"], rates["fp32"]) for n in sizes) / len(texts)
    seconds = median(lambda: embedder.embed(texts), 3) / len(texts)
    (questions,), _ = peers_corpus.questions()
    lengths = [embedder.count_tokens(question) + 2 for question in questions]
    middle = int(statistics.median(lengths))
    question = questions[lengths.index(middle)]
    once = median(lambda: embedder.embed([question]), 50)
    return [
        Stage(
            f"embed a passage ({statistics.mean(sizes):.0f} tokens)",
            seconds * 1e3,
            floor * 1e3,
            "int8 and fp32 products of the model at this core's peak",
        ),
        Stage(
            f"embed a question ({middle} tokens)",
            once * 1e3,
            max(
                model_floor(middle, rates["int8"], rates["fp32"]),
                PER_TOKEN / rates["read_cache"],
            )
            * 1e3,
            "the same products, or reading each weight once from cache: the larger",
        ),
    ]


def searching(work: Path, rates: dict[str, float]) -> list[Stage]:
    """Scan, dense search with rescoring, and BM25 at SIZE passages."""
    folder = peers.store(work, "ragtune", SIZE)
    (questions,), _ = peers_corpus.questions()
    questions = questions[:100]
    with ragtune.open(folder) as workspace:
        store, embedder = workspace.store, workspace.system.embedder
        embedded = list(embedder.embed(questions))
        store.search("", embedded[0], 10)
        view = vectors.load(folder / ".ragtune" / "vectors.bin")
        row_bytes = sum(block.rows.nbytes for block in view.blocks)
        scan = _cycle(lambda v: _scan(view, v), embedded)
        dense = _cycle(lambda v: store.search("", v, 10), embedded)
        words = _cycle(lambda q: store.search(q, None, 100), questions)
        postings = _postings(folder / ".ragtune" / "lexical", questions)
        whole = _cycle(lambda q: workspace.search(q, 10), questions)
    floor = row_bytes / rates["read_memory"] * 1e3
    bm25 = statistics.median(postings) * 2 / rates["read_memory"] * 1e3
    text = f"{row_bytes / 1e6:.1f} MB of int8 rows at this core's reading rate"
    return [
        Stage(f"scan {SIZE:,} vectors", scan, floor, text),
        Stage("dense search, exact (scan, best 150 rescored)", dense, floor, text),
        Stage(
            f"BM25, {SIZE:,} passages, 100 best",
            words,
            bm25,
            f"{statistics.median(postings):,.0f} postings of the words, 2 bytes each, read once",
        ),
        Stage("search as used, all of it", whole, 0.0, ""),
    ]


def _cycle(call: Callable[[Any], Any], values: Sequence[Any]) -> float:
    """The median over different values, each given twice and timed the second time, ms."""
    seconds = []
    for value in values:
        call(value)
        started = time.perf_counter()
        call(value)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) * 1e3


def _scan(view: vectors.VectorView, vector: Any) -> None:
    """The same products as a search, without what comes before and after them."""
    from numkong import cdist

    query, _ = vectors.quantise(np.asarray(vector, np.float32)[None])
    for block in view.blocks:
        cdist(query, block.rows, metric="dot", out=np.empty((1, len(block.rows)), np.float32))


def _postings(folder: Path, questions: Sequence[str]) -> list[int]:
    import tantivy

    index = tantivy.Index.open(str(folder))
    searcher, analyzer = index.searcher(), lexical.analyzer()
    return [
        sum(searcher.doc_freq(lexical.BODY, term) for term in set(analyzer.analyze(question)))
        for question in questions
    ]


def storing(work: Path, rates: dict[str, float]) -> list[Stage]:
    """INSERTED passages with vectors given: text, vectors, both indexes, acknowledged."""
    texts = peers_corpus.passages(INSERTED, work)
    given = peers_corpus.vectors(INSERTED, work)
    sizes: list[int] = []
    seconds = []
    for _ in range(3):
        with tempfile.TemporaryDirectory(dir=work) as temporary:
            system = peers_ragtune.Ragtune()
            system.load()
            started = time.perf_counter()
            system.build(texts, given, Path(temporary))
            seconds.append(time.perf_counter() - started)
            sizes.append(peers.disk(Path(temporary)))
    size = statistics.median(sizes)
    return [
        Stage(
            f"store {INSERTED:,} passages (vectors given)",
            statistics.median(seconds) * 1e3,
            size / rates["write"] * 1e3,
            f"the {size / 1e6:.1f} MB that are left, written once and synced",
        )
    ]


def starting(work: Path) -> list[Stage]:
    """Processes from the shell."""
    python = Path(sys.executable)
    bare = median(lambda: subprocess.run([python, "-c", "pass"], check=True), 9) * 1e3
    heavy = "import numpy, onnxruntime, tokenizers, tantivy, sqlite3, click"
    imports = median(lambda: subprocess.run([python, "-c", heavy], check=True), 5) * 1e3
    program = str(python.with_name("ragtune"))
    folder = str(peers.store(work, "ragtune", SIZE))
    help_ms = median(lambda: timed([program, "--help"]), 9) * 1e3
    search = [program, "search", "--workspace", folder, "how many days of leave are there"]
    search_ms = median(lambda: timed(search), 5) * 1e3
    return [
        Stage("`ragtune --help`", help_ms, bare, "an empty Python process"),
        Stage(
            f"`ragtune search` at {SIZE:,}, cold process",
            search_ms,
            imports,
            "a Python process that imports the runtimes and does nothing",
        ),
    ]


# ---------------------------------------------------------------- report


def report(about: dict[str, Any], rates: dict[str, float], stages: Sequence[Stage]) -> str:
    """Markdown."""
    lines = ["# Floors: how far each stage is from what the machine allows", ""]
    lines += ["Made by `benchmarks/floors.py`.", "", machine.markdown(about), "", "One core:", ""]
    lines += [
        f"- {rates['int8'] / 1e9:.0f} G int8 and {rates['fp32'] / 1e9:.0f} G fp32 multiply-adds/s "
        "(ONNX Runtime, large squares)",
        f"- reads {rates['read_memory'] / 1e9:.1f} GB/s from {ROWS_MB} MB and "
        f"{rates['read_cache'] / 1e9:.1f} GB/s from 10 MB; writes and syncs "
        f"{rates['write'] / 1e6:.0f} MB/s",
        "",
        "| stage | ms | floor, ms | ÷ floor | the floor is |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for stage in stages:
        lines.append(
            f"| {stage.name} | {stage.measured_ms:.2f} | {stage.floor_ms:.2f} "
            f"| {stage.factor:.1f} | {stage.floor} |"
        )
    return "\n".join(lines) + "\n"


ROWS_MB = 38  # what SIZE rows take: a little more than a large cache


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description="Distance of each stage from its floor")
    parser.add_argument("work", type=Path)
    work = parser.parse_args().work.resolve()
    if not peers_corpus.bench().is_dir():
        sys.exit(f"skipped: no data sets in {peers_corpus.bench()} (set RAGTUNE_BENCH)")
    peers.prepare(work, ["ragtune"], [SIZE])
    about = machine.describe()
    quiet = Quiet(300)
    quiet.wait()
    rates = {
        "int8": int8_rate(),
        "fp32": fp32_rate(),
        "read_memory": read_rate(ROWS_MB << 20),
        "read_cache": read_rate(10 << 20),
        "write": write_rate(work),
    }
    stages = embedding(work, rates)
    *parts, whole = searching(work, rates)
    floor = stages[1].floor_ms + parts[0].floor_ms + parts[2].floor_ms
    whole = Stage(whole.name, whole.measured_ms, floor, "question, vectors and postings together")
    stages += [*parts, whole, *storing(work, rates), *starting(work)]
    text = report(about, rates, stages)
    results = Path(__file__).with_name("results")
    results.mkdir(exist_ok=True)
    content = {
        "machine": about,
        "rates": rates,
        "stages": [asdict(stage) | {"factor": stage.factor} for stage in stages],
    }
    (results / "floors.md").write_text(text, "utf-8")
    (results / "floors.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
