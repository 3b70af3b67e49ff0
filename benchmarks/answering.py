"""Quoted answers: what they hold, what they cite, what is declined, and how fast.

    python -m benchmarks.answering          every table, into benchmarks/results/answering.*
    python -m benchmarks.answering --fit    fits src/ragtune/data/support.json, and stops

RAGTUNE_READER=off measures (or fits) without the reader; its results stand beside, as
answering-off.json, and `benchmarks/reader.py --report` compares the two.

All through `retrieve.search` and `evidence.select`, the functions that `ask` calls. The reader is
trained and the support score fitted on articles and sites of which nothing is reported here
(`reader_data.py`). Intervals are 95%, percentile bootstrap over questions, 2,000 samples.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks import answering_data as data
from benchmarks import machine, reader_data
from benchmarks.answering_fit import fit
from benchmarks.retrieval_data import BENCH, held
from numpy.typing import NDArray

from ragtune import evidence, retrieve, support, units, words
from ragtune.config import Settings
from ragtune.protocols import System
from ragtune.types import Document, Evidence, Filter

RESULTS = Path(__file__).parent / "results"
SETTINGS = Settings(reader=os.environ.get("RAGTUNE_READER", "on"))  # off: as without one
QUOTED, NEAR_MISS, OUT = 1500, 1200, 800  # questions of each kind, at most
FITTED = [400, 400, 200]
POLICY = 40  # questions a site
WORDS = 120

Figure = dict[str, float]


def answer(question: str, system: System, where: Filter | None = None) -> Evidence:
    """What `ask` does up to the quotes."""
    hits = retrieve.search(question, system, SETTINGS, where)
    return evidence.select(question, hits, system, SETTINGS)


def figure(values: Iterable[float]) -> Figure:
    """Mean with its bootstrap interval."""
    x: NDArray[np.float64] = np.array(list(values), dtype=np.float64)
    rng = np.random.default_rng(data.SEED)
    means = [x[rng.integers(0, len(x), len(x))].mean() for _ in range(2000)]
    low, high = np.quantile(means, [0.025, 0.975])
    return {"value": float(x.mean()), "low": float(low), "high": float(high), "n": len(x)}


def plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def exact(found: Evidence, system: System) -> bool:
    """Whether every quote and sentence is what the stored document says at its span."""
    spans = [*found.sentences, *(q.span for q in found.quotes)]
    texts = {s.uri: system.store.get(s.uri) for s in spans}
    return all((d := texts[s.uri]) is not None and d.text[s.start : s.end] == s.text for s in spans)


# ---------------------------------------------------------------- SQuAD


def squad_quotes(questions: Sequence[data.Asked], system: System) -> dict[str, Any]:
    """The whole corpus: where the gold answer is, for questions of the reported half."""
    rows: list[dict[str, float]] = []
    for q in questions:
        found = answer(q.text, system)
        quotes = [plain(x.span.text) for x in found.quotes]
        sentences = [plain(s.text) for s in found.sentences]
        gold = [plain(a) for a in q.answers]
        inside = [
            s.uri == q.article and q.paragraph[0] <= s.start < q.paragraph[1]
            for s in found.sentences
        ]
        cited = [
            x.span.uri == q.article and q.paragraph[0] <= x.key_start < q.paragraph[1]
            for x in found.quotes
        ]
        counts = [len(x.split()) for x in quotes]
        phrase = marked(found)
        rows.append(
            {
                "phrase in the first quote, F1": max(token_f1(phrase, a) for a in q.answers),
                "phrase is the gold answer": max(token_f1(phrase, a) == 1 for a in q.answers),
                "first quote contains the gold answer": _has(quotes[:1], gold),
                "two quotes contain it": _has(quotes, gold),
                "gold paragraph cited by the first quote": any(cited[:1]),
                "gold paragraph cited by one of two": any(cited),
                "best sentence contains it": _has(sentences[:1], gold),
                "two best sentences contain it": _has(sentences[:2], gold),
                "three best sentences contain it": _has(sentences[:3], gold),
                "gold paragraph of the best sentence": any(inside[:1]),
                "quotes byte-exact": exact(found, system),
                "words in the first quote": sum(counts[:1]),
                "words in all quotes": sum(counts),
                "quotes": len(counts),
            }
        )
    return {name: figure(row[name] for row in rows) for name in rows[0]}


def marked(found: Evidence) -> str:
    """The words that are marked in the first quote."""
    for quote in found.quotes[:1]:
        span = quote.span
        return span.text[span.phrase_start - span.start : span.phrase_end - span.start]
    return ""


def token_f1(text: str, gold: str) -> float:
    """SQuAD's F1: shared words of both, without articles and punctuation (1606.05250)."""
    left, right = (
        Counter(w for w in re.findall(r"\w+", x.casefold()) if w not in {"a", "an", "the"})
        for x in (text, gold)
    )
    shared = (left & right).total()
    return 2 * shared / (left.total() + right.total()) if shared else 0.0


def _has(texts: Sequence[str], gold: Sequence[str]) -> bool:
    return any(g in text for text in texts for g in gold)


Case = tuple[str, Filter | None]


def supports(questions: Iterable[Case], system: System) -> list[dict[str, float]]:
    """Features of each question, with `support`; read where `select` computes them."""
    kept: list[dict[str, float]] = []
    original = support.features

    def keep(*arguments: Any) -> dict[str, float]:
        kept.append(original(*arguments))
        return kept[-1]

    support.features = keep  # type: ignore[assignment]
    try:
        for question, where in questions:
            before = len(kept)
            score = answer(question, system, where).support
            if len(kept) == before:  # nothing was found at all
                kept.append(dict.fromkeys(support.NAMES, 0.0))
            kept[-1]["support"] = score
    finally:
        support.features = original
    return kept


def kinds(
    questions: Sequence[data.Asked], half: frozenset[str], uris: Sequence[str], most: Sequence[int]
) -> dict[str, list[Case]]:
    """Questions of a half: answerable, near-miss (on topic, not stated), out of the corpus.

    The latter are other answerable questions, each with its own article left out of the corpus.
    """
    inside = [q for q in questions if q.article in half]
    yes = [q for q in inside if q.answers]
    no: list[Case] = [(q.text, None) for q in inside if not q.answers]
    away = {uri: Filter(path=tuple(u for u in uris if u != uri)) for uri in uris}
    return {
        "answerable": [(q.text, None) for q in yes[: most[0]]],
        "near-miss": no[: most[1]],
        "out of corpus": [(q.text, away[q.article]) for q in yes[most[0] :][: most[2]]],
    }


def squad_declined(sets: dict[str, list[Case]], system: System) -> dict[str, Any]:
    """At the shipped threshold, and at those that keep 90% and 80% of these questions."""
    scores = {
        name: np.array([row["support"] for row in supports(some, system)])
        for name, some in sets.items()
    }
    out: dict[str, Any] = {}
    cuts = {"shipped threshold": support.threshold(system.reader is not None)}
    cuts |= {
        f"{100 - lost}% kept here": float(np.quantile(scores["answerable"], lost / 100))
        for lost in (10, 20)
    }
    for label, cut in cuts.items():
        out[label] = {
            "threshold": cut,
            "answerable kept": figure(scores["answerable"] >= cut),
            "near-miss declined": figure(scores["near-miss"] < cut),
            "out of corpus declined": figure(scores["out of corpus"] < cut),
        }
    yes = scores["answerable"]
    out["AUROC"] = {n: auroc(yes, scores[n]) for n in ("near-miss", "out of corpus")}
    return out


def auroc(yes: NDArray[np.float64], no: NDArray[np.float64]) -> float:
    above = (yes[:, None] > no[None, :]).mean() + 0.5 * (yes[:, None] == no[None, :]).mean()
    return float(above)


# ---------------------------------------------------------------- unlike SQuAD


def policies() -> dict[str, Any]:
    """One store a site: share of the gold span's content words in at most 120 quoted words.

    Only the half of the sites that the reader never saw.
    """
    rows: list[dict[str, float]] = []
    for document, questions in data.policyqa(POLICY):
        if document.title not in reader_data.policy_parts()["report"]:
            continue
        system = data.index(f"policy-{document.title}", [document], SETTINGS)
        windows = _windows(document)
        vectors = system.embedder.embed(windows)
        for q in questions:
            gold = max((document.text[a.start : a.end] for a in q.answers), key=len)
            if not words.content(gold):
                continue
            found = answer(q.text, system)
            fixed = windows[int(np.argmax(vectors @ system.embedder.embed([q.text])[0]))]
            quoted = " ".join(x.span.text for x in found.quotes).split()
            rows.append(
                {
                    "best sentence": _share(gold, found.sentences[0].text),
                    "fixed 120-word passage": _share(gold, fixed),
                    "ours": _share(gold, " ".join(quoted[:WORDS])),
                    "ours, first quote only": _share(gold, found.quotes[0].span.text),
                    "words, ours": min(WORDS, len(quoted)),
                    "words, best sentence": len(found.sentences[0].text.split()),
                }
            )
    return {name: figure(row[name] for row in rows) for name in rows[0]}


def _windows(document: Document) -> list[str]:
    parts = document.text.split()
    return [" ".join(parts[i : i + WORDS]) for i in range(0, len(parts), WORDS)]


def _share(gold: str, text: str) -> float:
    wanted = set(words.content(gold))
    return len(wanted & set(words.content(text))) / len(wanted)


def sample_company() -> dict[str, Any]:
    """The held-out and the unanswerable questions of the sample company."""
    system = data.company(SETTINGS)
    rows: list[dict[str, Any]] = []
    for row in data.sample("heldout"):
        found = answer(row["question"], system)
        quotes = [plain(q.span.text) for q in found.quotes]
        gold = [plain(e["quote"]) for e in row["evidence"]]
        documents = [e["document"] for e in row["evidence"]]
        must = [plain(m) for m in row["must_contain"]]
        rows.append(
            {
                "kind": row["kind"],
                "must_contain in the first quote": all(m in quotes[0] for m in must),
                "must_contain in the quotes": all(any(m in q for q in quotes) for m in must),
                "an evidence passage in the first quote": any(g in quotes[0] for g in gold),
                "an evidence passage in the quotes": any(g in q for g in gold for q in quotes),
                "evidence passage in the hits": any(
                    g in plain(h.text) for g in gold for h in found.hits
                ),
                "an evidence document cited": any(
                    q.span.uri.endswith(d) for q in found.quotes for d in documents
                ),
                "answered (support reaches the threshold)": found.supported,
                "words quoted": sum(len(q.split()) for q in quotes),
            }
        )
    names = [name for name in rows[0] if name != "kind"]
    result: dict[str, Any] = {"all": {n: figure(r[n] for r in rows) for n in names}}
    for kind in sorted({r["kind"] for r in rows}):
        result[kind] = {n: figure(r[n] for r in rows if r["kind"] == kind) for n in names}
    declined: dict[str, list[bool]] = {}
    for row in data.sample("unanswerable"):
        supported = answer(row["question"], system).supported
        declined.setdefault(row["kind"], []).append(not supported)
    result["declined"] = {kind: figure(values) for kind, values in declined.items()}
    return result


def handbook() -> dict[str, Any]:
    """Ten questions on 883 pages: the share of the facts that the gold answers need."""
    documents, questions = data.handbook()
    system = data.index("handbook", documents, SETTINGS)
    rows = []
    for q in questions:
        found = answer(q.text, system)
        rows.append(
            {
                "question": q.text,
                "facts in two quotes": held(q.facts, [x.span.text for x in found.quotes]),
                "facts in the best sentence": held(q.facts, [found.sentences[0].text]),
                "facts in the first hit": held(q.facts, [found.hits[0].text]),
                "facts in ten hits": held(q.facts, [h.text for h in found.hits]),
                "answered": float(found.supported),
                "words": sum(len(x.span.text.split()) for x in found.quotes),
            }
        )
    names = [name for name in rows[0] if name != "question"]
    return {n: figure(float(str(row[n])) for row in rows) for n in names}


def latency(questions: Sequence[str], system: System) -> dict[str, float]:
    """Milliseconds to the first evidence in a warm process, no sentence embedded before."""
    answer("Is everything loaded?", system)
    search: list[float] = []
    total: list[float] = []
    busy: list[float] = []
    for text in questions:
        evidence._recent.clear()
        start, used = time.perf_counter(), time.process_time()
        hits = retrieve.search(text, system, SETTINGS)
        search.append(time.perf_counter() - start)
        evidence.select(text, hits, system, SETTINGS)
        total.append(time.perf_counter() - start)
        busy.append(time.process_time() - used)
    return {
        "search p50": 1e3 * float(np.median(search)),
        "first evidence p50": 1e3 * float(np.median(total)),
        "first evidence p90": 1e3 * float(np.quantile(total, 0.9)),
        "first evidence, processor time p50": 1e3 * float(np.median(busy)),
        "one sentence embedded p50": 1e3 * _one_sentence(system),
        "one pair read p50": 1e3 * _one_pair(questions, system),
        "load average while measured": os.getloadavg()[0],
        "first evidence best": 1e3 * float(np.min(total)),
    }


def _one_pair(questions: Sequence[str], system: System) -> float:
    """Processor seconds to read a question with a sentence that was found for it."""
    if system.reader is None:
        return 0.0
    times = []
    for text in questions[:40]:
        hits, _, answers = evidence.ranked(text, retrieve.search(text, system, SETTINGS), system)
        for unit in answers[: evidence.READ]:
            pair = [units.reading_text(unit, hits[unit.hit])]
            start = time.process_time()
            system.reader.read(text, pair)
            times.append(time.process_time() - start)
    return float(np.median(times))


def _one_sentence(system: System) -> float:
    """Seconds to embed a sentence of 20 words: how fast this machine is now."""
    times = []
    for n in range(30):
        start = time.perf_counter()
        system.embedder.embed([f"Number {n} of the sentences says that " + "the pump runs " * 4])
        times.append(time.perf_counter() - start)
    return float(np.median(times))


# ---------------------------------------------------------------- the run


def fit_support(questions: Sequence[data.Asked], uris: Sequence[str], system: System) -> None:
    """Fits on what neither the reader was trained on nor anything is reported on."""
    articles = reader_data.squad_parts()["fit"]
    sets = kinds(questions, articles, uris, FITTED)
    rows = {name: supports(some, system) for name, some in sets.items()}
    own = data.company(SETTINGS)
    asked, foreign = reader_data.company_questions("fit"), reader_data.strangers("fit")
    rows["answerable, company"] = supports([(q, None) for q in asked], own)
    rows["foreign"] = supports([(q, None) for q in foreign], own)
    rows["answerable, policies"] = []
    for document, some in data.policyqa(POLICY):
        if document.title in reader_data.policy_parts()["fit"]:
            site = data.index(f"policy-{document.title}", [document], SETTINGS)
            rows["answerable, policies"] += supports([(q.text, None) for q in some], site)
            rows["foreign"] += supports([(q, None) for q in foreign[:40]], site)
    fit(rows, "read" if system.reader is not None else "model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--fit", action="store_true", help="fit data/support.json and stop")
    parser.add_argument("--quick", action="store_true", help="a tenth of the questions, no files")
    parser.add_argument("--share", type=int, default=1, help="ask only one in this many questions")
    arguments = parser.parse_args()
    if not (BENCH / "squad").exists():
        print(f"skipped: no public data in {BENCH} (set RAGTUNE_BENCH)")
        return
    scale = 10 if arguments.quick else arguments.share
    documents, questions = data.squad()
    _fitted, reported = data.halves(documents)
    uris = [d.uri for d in documents]
    system = data.index("squad", documents, SETTINGS)
    if arguments.fit:
        fit_support(questions, uris, system)
        return
    asked = [q for q in questions if q.article in reported and q.answers][: QUOTED // scale]
    limits = [QUOTED // scale, NEAR_MISS // scale, OUT // scale]
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "squad quotes": lambda: squad_quotes(asked, system),
        "squad declined": lambda: squad_declined(kinds(questions, reported, uris, limits), system),
        "policyqa": policies,
        "sample company": sample_company,
        "handbook": handbook,
        "latency (ms)": lambda: latency([q.text for q in asked[: 100 // scale]], system),
    }
    result: dict[str, Any] = {"machine": machine.describe("onnxruntime", "sentencex", "tantivy")}
    for name, step in steps.items():
        result[name] = step()
        print("\n".join(table(name, result[name])), flush=True)
    if not arguments.quick:
        RESULTS.mkdir(exist_ok=True)
        name = "answering" if SETTINGS.reader == "on" else "answering-off"
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        if SETTINGS.reader == "off":
            return
        text = [_HEADER, machine.markdown(result["machine"])]
        text += ["\n".join(table(name, result[name])) for name in steps]
        (RESULTS / "answering.md").write_text("\n\n".join([*text, _WRITTEN]) + "\n", "utf-8")


_HEADER = """# Answering

`python -m benchmarks.answering`. The quoted mode, through `retrieve.search` and `evidence.select`
with default settings. All figures on SQuAD are of the half of v2's articles, those on policyqa of
the half of the sites, that neither the reader was trained nor the support score fitted on. In
brackets: 95% bootstrap interval over questions, and their number. Without the reader: reader.md."""
_WRITTEN = """## written mode

Measured by `benchmarks/written.py`."""


def table(name: str, values: dict[str, Any], depth: int = 2) -> list[str]:
    """A section for a result: rows of figures, then a section for each group."""
    lines = [f"{'#' * depth} {name}", ""]
    flat = {k: v for k, v in values.items() if not isinstance(v, dict) or "low" in v}
    if flat:
        lines += ["| | |", "|---|---|", *(f"| {k} | {_cell(v)} |" for k, v in flat.items()), ""]
    for key, value in values.items():
        if key not in flat:
            lines += table(key, value, depth + 1)
    return lines


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        places = 3 if value["high"] <= 1 else 1
        low, high = (f"{value[k]:.{places}f}" for k in ("low", "high"))
        return f"{value['value']:.{places}f} ({low}–{high}; {value['n']})"
    return f"{value:.3f}" if isinstance(value, float) and value <= 1 else f"{value:.1f}"


if __name__ == "__main__":
    main()
