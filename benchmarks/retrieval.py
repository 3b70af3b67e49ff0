"""Does search find it? SciFact, SQuAD v2, PolicyQA, a company's handbook and the sample company.

    python -m benchmarks.retrieval            # all, about 15 minutes on 2 cores the first time
    python -m benchmarks.retrieval scifact squad

Writes results/retrieval.md and .json. Vectors are kept in `$RAGTUNE_BENCH_WORK` (default
/tmp/ragtune-bench), so that a second run takes seconds. Passages are what `ragtune add` makes and
searches go through the real store; `bm25` and `dense` are its two lists, `hybrid` their fusion
(passages), `search` what `ragtune search` returns (segments).
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import ir_measures
import numpy as np
from benchmarks import retrieval_data as data
from benchmarks.machine import describe, markdown
from benchmarks.retrieval_index import (
    SETTINGS,
    by_structure,
    embedder,
    indexed,
    whole,
    words_120,
    words_120_headed,
)
from ir_measures import R, Success, nDCG

from ragtune import retrieve
from ragtune.models.embed import load_embedder
from ragtune.protocols import System
from ragtune.store import EmbeddedStore
from ragtune.types import SourceMap

RESULTS = Path(__file__).parent / "results"
KS = (1, 3, 5, 10)
Row = dict[str, Any]


# ---------------------------------------------------------------- ways to search


@dataclass(frozen=True, slots=True)
class Found:
    """A passage or segment that was found."""

    uri: str
    start: int
    end: int
    text: str
    score: float


def runs(system: System, question: str, depth: int = 100) -> dict[str, list[Found]]:
    """Everything measured for one question, best first, by name."""
    store = cast(EmbeddedStore, system.store)
    vector = system.embedder.embed([question])[0]
    found = store.search(question, vector, SETTINGS.candidates)
    scores = retrieve.fuse(found, SETTINGS.candidates)
    lists = {
        "bm25": list(found.lexical),
        "dense": list(found.dense),
        "hybrid": [(id, scores[id][0]) for id in retrieve.best(scores, depth)],
    }
    passages = {p.id: p for p in store.passages(list(scores))}
    uris = _uris(store)
    made = {
        name: [
            Found(uris[p.document], p.start, p.end, p.text, score)
            for id, score in ranked
            if (p := passages[id])
        ]
        for name, ranked in lists.items()
    }
    hits = retrieve.search(question, system, SETTINGS, k=max(KS))
    made["search"] = [Found(h.uri, h.passage.start, h.passage.end, h.text, h.score) for h in hits]
    return made


@lru_cache(maxsize=4)
def _uris(store: EmbeddedStore) -> dict[int, str]:
    return {info.id: info.uri for info in store.documents()}


def success(questions: Sequence[list[bool]]) -> list[float]:
    """Success@1, 3, 5, 10 by ir-measures; each question's results in order: right or not."""
    qrels = [ir_measures.Qrel(str(n), "right", 1) for n in range(len(questions))]
    scored = []
    for n, judged in enumerate(questions):
        first = next((rank for rank, right in enumerate(judged) if right), None)
        scored += [
            ir_measures.ScoredDoc(str(n), "right" if rank == first else f"wrong {rank}", -rank)
            for rank in range(len(judged))
        ]
        if not judged:
            scored.append(ir_measures.ScoredDoc(str(n), "wrong", 0))
    found = ir_measures.calc_aggregate([Success @ k for k in KS], qrels, scored)
    return [round(found[Success @ k], 3) for k in KS]


def tokens(found: Sequence[Found]) -> int:
    return sum(embedder().count_tokens(f.text) for f in found)


def holds(found: Found, spans: Sequence[data.Span]) -> bool:
    return any(found.uri == s.uri and found.start <= s.start and s.end <= found.end for s in spans)


def touches(found: Found, span: data.Span) -> bool:
    return found.uri == span.uri and found.start < span.end and span.start < found.end


# ---------------------------------------------------------------- the sets


def scifact() -> list[Row]:
    """A document scores as its best unit. Published: BM25 .679, MiniLM .645, bge-small .713."""
    rows = []
    documents = data.scifact()
    joined = [data.document(d.uri, d.title, f"{d.title} {d.text}", SourceMap()) for d in documents]
    for name, docs, cut in (
        ("whole abstract, 256 tokens", joined, whole),
        ("passages", documents, by_structure),
    ):
        with indexed(docs, cut) as system:
            for part in ("train", "test"):
                queries, qrels = data.scifact_queries(part)
                found = {id: runs(system, text) for id, text in queries.items()}
                for way in ("bm25", "dense", "hybrid"):
                    run: dict[str, dict[str, float]] = {id: {} for id in found}
                    for id, made in found.items():
                        for f in made[way]:
                            run[id][f.uri] = max(f.score, run[id].get(f.uri, -1e9))
                    scores = ir_measures.calc_aggregate([nDCG @ 10, R @ 100], qrels, run)
                    rows.append(
                        {
                            "unit": name,
                            "part": part,
                            "way": way,
                            "nDCG@10": round(scores[nDCG @ 10], 4),
                            "R@100": round(scores[R @ 100], 4),
                        }
                    )
    return rows


def squad() -> list[Row]:
    """Success@1/3/5/10, 1,000 questions, one corpus; `answer`: a result holds it whole."""
    documents, questions = data.squad()
    with indexed(documents) as system:
        found = [runs(system, q.text) for q in questions]
    rows = _spans(found, questions)
    for row in rows:
        if row["way"] != "search":
            lists = [made[row["way"]] for made in found]
            row["paragraph"] = success(
                [
                    [q.paragraph is not None and touches(f, q.paragraph) for f in made]
                    for made, q in zip(lists, questions, strict=True)
                ]
            )
    return rows


def policyqa() -> list[Row]:
    """Success@1/3/5/10 of holding an annotated span whole; 917 questions, a corpus a site."""
    found, questions = [], []
    for document, some in data.policyqa():
        with indexed([document]) as system:
            found += [runs(system, q.text) for q in some]
            questions += some
    return _spans(found, questions)


def _spans(
    found: Sequence[dict[str, list[Found]]], questions: Sequence[data.Question]
) -> list[Row]:
    return [
        {
            "way": way,
            "answer": success(
                [
                    [holds(f, q.answers) for f in made[way]]
                    for made, q in zip(found, questions, strict=True)
                ]
            ),
            "tokens": [round(np.mean([tokens(made[way][:k]) for made in found])) for k in KS],
        }
        for way in ("bm25", "dense", "hybrid", "search")
    ]


def company() -> list[Row]:
    """Success@1/3/5/10: a result holds the evidence's quote; the sample company from its files."""
    import ragtune
    from ragtune import sample

    folder = Path(sample.__file__).parent
    rows = [
        json.loads(line)
        for name in ("heldout", "train")
        for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()
    ]
    found, quotes = [], []
    with tempfile.TemporaryDirectory() as root, ragtune.init(root) as workspace:
        workspace.add([str(folder / "company")])
        system = System(workspace.store, embedder(), cast(Any, None))
        for row in rows:
            made = runs(system, row["question"])
            for evidence in row.get("evidence", ()):
                found.append(made)
                quotes.append(_words(evidence["quote"]))
    return [
        {
            "way": way,
            "answer": success(
                [
                    [quote in _words(f.text) for f in made[way]]
                    for made, quote in zip(found, quotes, strict=True)
                ]
            ),
            "tokens": [round(np.mean([tokens(made[way][:k]) for made in found])) for k in KS],
        }
        for way in ("bm25", "dense", "hybrid", "search")
    ]


def _words(text: str) -> str:
    return " ".join(text.replace("**", "").split()).casefold()


def handbook() -> list[Row]:
    """Share of the facts of ten gold answers that results within a number of tokens hold."""
    documents, questions = data.handbook()
    rows = []
    for name, cut, ways in (
        ("120-word chunks", words_120, ("hybrid",)),
        ("120-word chunks with heading path", words_120_headed, ("hybrid",)),
        ("passages with heading path", by_structure, ("bm25", "dense", "hybrid")),
        ("passages, neighbours joined", by_structure, ("search",)),
    ):
        with indexed(documents, cut) as system:
            found = [runs(system, q.text) for q in questions]
        for way in ways:
            row: Row = {"unit": name, "way": way}
            for budget in (500, 1000, 1500):
                row[f"{budget} tokens"] = _facts(
                    [_within(made[way], budget) for made in found], questions
                )
            top = [made[way][:5] for made in found]
            row["top 5"] = _facts(top, questions)
            row["tokens of top 5"] = round(np.mean([tokens(t) for t in top]))
            rows.append(row)
    return rows


def _facts(found: Sequence[Sequence[Found]], questions: Sequence[data.Question]) -> float:
    shares = [
        data.held(q.facts, [f.text for f in made]) for made, q in zip(found, questions, strict=True)
    ]
    return round(float(np.mean(shares)), 3)


def _within(found: Sequence[Found], budget: int) -> list[Found]:
    """Results in order as far as they fit the budget together."""
    taken: list[Found] = []
    for f in found:
        if tokens([*taken, f]) > budget:
            break
        taken.append(f)
    return taken


def latency() -> list[Row]:
    """One search over the handbook, in ms, by stage; the model runs, nothing is kept."""
    documents, questions = data.handbook()
    stages: dict[str, list[float]] = {"embed": [], "store.search": [], "search, all of it": []}
    model = load_embedder(SETTINGS)
    model.embed(["warm"])
    with indexed(documents) as kept:
        system = System(kept.store, model, kept.generator)
        for question in [q.text for q in questions] * 5:
            clock = [time.perf_counter()]
            vector = model.embed([question])[0]
            clock.append(time.perf_counter())
            system.store.search(question, vector, SETTINGS.candidates)
            clock.append(time.perf_counter())
            retrieve.search(question, system, SETTINGS)
            clock.append(time.perf_counter())
            for stage, a, b in zip(stages, clock, clock[1:], strict=False):
                stages[stage].append((b - a) * 1e3)
    return [
        {"stage": stage, "p50 ms": round(float(np.median(v)), 2), "best ms": round(min(v), 2)}
        for stage, v in stages.items()
    ]


SETS: dict[str, Callable[[], list[Row]]] = {
    "scifact": scifact,
    "squad": squad,
    "policyqa": policyqa,
    "company": company,
    "handbook": handbook,
    "latency": latency,
}


def main(names: Sequence[str]) -> None:
    if not data.BENCH.is_dir():
        print(f"skipped: no benchmark data in {data.BENCH} (set RAGTUNE_BENCH)")
        return
    path = RESULTS / "retrieval.json"
    results = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for name in names or SETS:
        started = time.perf_counter()
        results[name] = SETS[name]()
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
        for row in results[name]:
            print("  ", row)
        results["machine"] = describe("ir-measures")
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    write(results)


def write(results: dict[str, Any]) -> None:
    """results/retrieval.md: the tables, between a head and notes kept by hand."""
    lines = ["# Retrieval", "", markdown(results["machine"]), ""]
    for name in SETS:
        if name not in results:
            continue
        columns = list(dict.fromkeys(key for row in results[name] for key in row))
        lines += [f"## {name}", "", (SETS[name].__doc__ or "").strip(), ""]
        lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        for row in results[name]:
            lines.append("| " + " | ".join(_cell(row.get(c, "")) for c in columns) + " |")
        lines.append("")
    notes = RESULTS / "retrieval-notes.md"
    if notes.exists():
        lines.append(notes.read_text("utf-8"))
    (RESULTS / "retrieval.md").write_text("\n".join(lines).rstrip() + "\n", "utf-8")


def _cell(value: Any) -> str:
    return " / ".join(map(str, value)) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main(sys.argv[1:])
