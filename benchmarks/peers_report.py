"""What peers.py measured, as benchmarks/results/speed.md and speed.json."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine

RESULTS = Path(__file__).with_name("results")
LABELS = {
    "ragtune-dense": "**ragtune**, dense only (like for like)",
    "ragtune": "**ragtune**, BM25 + dense, fused, joined",
    "ragtune-fresh": "**ragtune**, the same after a look at every file",
    "ragtune-add": "**ragtune**, from files (`ragtune add`)",
    "llamaindex": "LlamaIndex VectorStoreIndex",
    "haystack": "Haystack InMemoryDocumentStore",
    "txtai": "txtai (Faiss)",
    "txtai-hybrid": "txtai, hybrid (Faiss + BM25)",
    "chroma": "Chroma (HNSW)",
}
NOTES = """\
- Everybody: the same MiniLM weights, both cores allowed, default settings. Peers embed with
  sentence-transformers and torch fp32 (LlamaIndex in batches of 10, the others of 32), txtai with
  its own loop over transformers; ragtune with its int8 ONNX graph, each text alone. What int8 costs
  in accuracy is in retrieval.md; "agrees" below shows it for these questions.
- Indexing: real passages of 120 to 176 tokens, split already (except "from files", where ragtune
  reads text files, splits, and looks after changes); from texts to files on disk; models loaded
  before the clock starts. Every round takes other passages.
- Queries: stores filled with the same vectors through each one's own API; the time includes
  embedding the question; ten results with their texts; real questions, all different; all systems
  open at once, asked in turns. A slow system is asked fewer a round.
  From 15,253 passages on, corpora are filled with recombined halves of real ones.
- ragtune's stores are real workspaces of text files, 20 passages each (500 and 5,000 files). "A
  look at every file" is what ragtune does before a question so that an edit counts at once, while
  a look takes under 0.5 s; nobody else does it.
- Recall: share of the results that are in the exact fp32 top ten of the system's own query vector.
  Agrees: the same for the query vector of the fp32 model. LlamaIndex and Haystack compare with
  every vector in Python or NumPy, so they are exact; txtai (IVF above 5,000 rows) and Chroma (HNSW)
  are approximate.
- Peak memory: the highest resident sum of the process and its children, torch or ONNX Runtime
  included, mapped files too (ragtune's vector file is: those pages can be taken back).
- Cold: a new process from start to end with a warm page cache: imports, model, open, one question.
  For ragtune it is the `ragtune search` command; for the others the shortest script. Not measured
  where opening alone takes over a minute."""


def write(result: dict[str, Any], keep: bool) -> str:
    """The report as Markdown; with `keep` also written to the results folder."""
    facts = summary(result)
    text = markdown(result, facts)
    if keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "speed.md").write_text(text, "utf-8")
        content = {"machine": result["machine"], **facts}
        (RESULTS / "speed.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return text


# ---------------------------------------------------------------- figures


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """Medians over rounds, and the targets."""
    facts: dict[str, Any] = {"index": {}, "query": {}, "ask": {}}
    for name, runs in result["index"].items():
        rates = [run["passages"] / run["seconds"] for run in runs]
        facts["index"][name] = {
            "passages_per_second": statistics.median(rates),
            "least": min(rates),
            "most": max(rates),
            "passages_a_round": runs[0]["passages"],
            "peak_mb": statistics.median(run["peak_mb"] for run in runs),
            "disk_mb": statistics.median(run["disk_mb"] for run in runs),
            "load_seconds": statistics.median(run["load"] for run in runs),
        }
    for task in ("query", "ask"):
        for size, systems in result[task].items():
            facts[task][size] = {name: _times(one) for name, one in systems.items()}
    facts["cold_seconds"] = {
        size: {name: statistics.median(times) for name, times in systems.items()}
        for size, systems in result["cold"].items()
    }
    facts["help_seconds"] = statistics.median(result["help"])
    facts["parts"] = result["parts"]
    facts["targets"] = list(_targets(facts))
    return facts


def _times(one: dict[str, Any]) -> dict[str, Any]:
    """p50 and p95: the medians of the rounds'."""
    rounds = one["rounds"]
    kept = ("recall", "agrees_fp32", "peak_mb", "anonymous_mb", "disk_mb", "open")
    return {
        "p50_ms": 1e3 * statistics.median(statistics.median(times) for times in rounds),
        "p95_ms": 1e3 * statistics.median(_p95(times) for times in rounds),
        "questions_a_round": min(map(len, rounds)),
        **{key: one[key] for key in kept if key in one},
    }


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.95))]


def _peers(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith("ragtune")]


def _targets(facts: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Each target with what was measured: the issue's figures."""

    def target(name: str, wanted: str, value: float, good: bool) -> dict[str, Any]:
        return {"target": name, "wanted": wanted, "measured": round(value, 3), "reached": good}

    index = facts["index"]
    peers = _peers(index)
    if peers and "ragtune" in index:
        best = max(index[name]["passages_per_second"] for name in peers)
        for name in ("ragtune", "ragtune-add"):
            if name in index:
                value = index[name]["passages_per_second"] / best
                yield target(f"indexing, {name} / fastest peer", "≥ 2", value, value >= 2)
        least = min(index[name]["peak_mb"] for name in peers)
        for name in ("ragtune", "ragtune-add"):
            if name in index:
                value = index[name]["peak_mb"] / least
                yield target(f"peak memory, indexing, {name} / least", "< 1", value, value < 1)
    for size, systems in facts["query"].items():
        peers = _peers(systems)
        wanted = 0.5 if int(size) <= 10_000 else 0.7
        if not peers:
            continue
        best = min(systems[name]["p50_ms"] for name in peers)
        for name in ("ragtune-dense", "ragtune", "ragtune-fresh"):
            if name in systems:
                value = systems[name]["p50_ms"] / best
                label = f"query p50 at {int(size):,}, {name} / fastest peer"
                yield target(label, f"≤ {wanted}", value, value <= wanted)
        if "recall" in systems.get("ragtune-dense", {}):
            value = systems["ragtune-dense"]["recall"]
            yield target(f"recall@10 at {int(size):,}", "1", value, value == 1)
        least = min(systems[name]["peak_mb"] for name in peers)
        if "ragtune" in systems:
            value = systems["ragtune"]["peak_mb"] / least
            yield target(f"peak memory, queries at {int(size):,} / least", "< 1", value, value < 1)
    for size, systems in facts["cold_seconds"].items():
        if "ragtune" in systems:
            value = systems["ragtune"]
            label = f"cold `ragtune search` at {int(size):,}, s"
            yield target(label, "≤ 0.7", value, value <= 0.7)
    value = facts["help_seconds"]
    yield target("`ragtune --help`, s", "≤ 0.15", value, value <= 0.15)
    for size, systems in facts["ask"].items():
        for name, one in systems.items():
            value = one["p50_ms"]
            label = f"first evidence of `ask` at {int(size):,}, {name}, warm, p50, ms"
            yield target(label, "≤ 50", value, value <= 50)


# ---------------------------------------------------------------- Markdown


def markdown(result: dict[str, Any], facts: dict[str, Any]) -> str:
    """All tables."""
    lines = [
        "# Speed, side by side",
        "",
        "Made by `benchmarks/peers.py`; see `benchmarks/README.md`. The machine is shared: trust"
        " the ratios.",
        "",
        machine.markdown(result["machine"]),
        "- Parts, with the share of the machine that other programs used right before (median): "
        + "; ".join(
            f"{name}: {one['date'][-9:-4]}, {one['commit']}, "
            + (
                "duration not kept, "
                if one["seconds"] is None
                else f"{one['seconds'] / 60:.1f} min, "
            )
            + ("not measured" if one["busy_before"] is None else f"{one['busy_before']:.0%}")
            for name, one in facts["parts"].items()
        ),
        "",
        "## Targets",
        "",
        *_table(
            ("", "wanted", "measured", ""),
            (
                (t["target"], t["wanted"], f"{t['measured']:.3g}", "✓" if t["reached"] else "✗")
                for t in facts["targets"]
            ),
        ),
        "",
        "## Indexing",
        "",
        *_index_table(facts["index"]),
    ]
    for size, systems in facts["query"].items():
        lines += ["", f"## Questions at {int(size):,} passages", "", *_query_table(systems)]
    lines += ["", "## First evidence of `ask`, warm", "", *_ask_table(facts["ask"])]
    lines += ["", "## From the shell", "", *_shell_table(facts)]
    lines += ["", "## How", "", NOTES]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    right = ["---" if not n else "---:" for n in range(len(head))]
    return [f"| {' | '.join(row)} |" for row in (head, right, *rows)]


def _index_table(index: dict[str, Any]) -> list[str]:
    best = max((index[n]["passages_per_second"] for n in _peers(index)), default=float("nan"))
    head = ("", "passages/s", "lowest–highest round", "÷ fastest peer", "peak MB", "load s")
    return _table(
        head,
        (
            (
                LABELS[name],
                f"{one['passages_per_second']:.1f}",
                f"{one['least']:.1f}–{one['most']:.1f}",
                f"{one['passages_per_second'] / best:.2f}",
                f"{one['peak_mb']:.0f}",
                f"{one['load_seconds']:.1f}",
            )
            for name, one in index.items()
        ),
    )


def _query_table(systems: dict[str, Any]) -> list[str]:
    best = min((systems[n]["p50_ms"] for n in _peers(systems)), default=float("nan"))
    head = ("", "p50 ms", "p95 ms", "÷ fastest peer", "recall@10", "agrees fp32", "peak MB",
            "of it anonymous", "open s", "disk MB", "questions")  # fmt: skip
    return _table(
        head,
        (
            (
                LABELS[name],
                f"{one['p50_ms']:.2f}",
                f"{one['p95_ms']:.2f}",
                f"{one['p50_ms'] / best:.2f}",
                f"{one['recall']:.4f}" if "recall" in one else "",
                f"{one['agrees_fp32']:.3f}" if "agrees_fp32" in one else "",
                f"{one['peak_mb']:.0f}",
                f"{one['anonymous_mb']:.0f}",
                f"{one['open']:.2f}",
                f"{one['disk_mb']:.0f}",
                str(one["questions_a_round"]),
            )
            for name, one in systems.items()
        ),
    )


def _ask_table(ask: dict[str, Any]) -> list[str]:
    return _table(
        ("", "passages", "p50 ms", "p95 ms", "peak MB"),
        (
            (
                LABELS[name].replace(", BM25 + dense, fused, joined", ""),
                f"{int(size):,}",
                f"{one['p50_ms']:.1f}",
                f"{one['p95_ms']:.1f}",
                f"{one['peak_mb']:.0f}",
            )
            for size, systems in ask.items()
            for name, one in systems.items()
        ),
    )


def _shell_table(facts: dict[str, Any]) -> list[str]:
    rows = [("`ragtune --help`", "", f"{facts['help_seconds']:.3f}")]
    for size, systems in facts["cold_seconds"].items():
        for name, seconds in systems.items():
            label = "`ragtune search`" if name == "ragtune" else LABELS[name]
            rows.append((f"{label}, cold", f"{int(size):,}", f"{seconds:.2f}"))
    return _table(("", "passages", "s"), rows)
