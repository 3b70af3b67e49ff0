"""Written answers of the embedded model: the raw text, and what is left after the check.

    python -m benchmarks.written [--questions 150]     into benchmarks/results/written.*

The same questions as `benchmarks/answering.py` (SQuAD v2's reported half, whole corpus, fixed
seed) and the sample company's held-out ones, through `ask` itself with `answer = "write"`. Raw and
verified text are scored apart, so that the check does not hide the writer.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import answering_data as data
from benchmarks import machine
from benchmarks.answering import figure, plain, table
from benchmarks.retrieval_data import BENCH

from ragtune import words
from ragtune.ask import ask
from ragtune.config import Settings
from ragtune.models.generate import load_generator
from ragtune.protocols import System

RESULTS = Path(__file__).parent / "results"
SETTINGS = replace(Settings(), answer="write", max_tokens=96)


def f1(text: str, golds: Sequence[str]) -> float:
    """Token F1 against the best gold answer (SQuAD: articles and punctuation left out)."""
    articles = {"a", "an", "the"}
    got = Counter(t for t in words.tokens(text) if t not in articles)
    best = 0.0
    for gold in golds:
        want = Counter(t for t in words.tokens(gold) if t not in articles)
        same = (got & want).total()
        if same:
            precision, recall = same / got.total(), same / want.total()
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


def measure(rows: Sequence[tuple[str, Sequence[str]]], system: System) -> dict[str, Any]:
    """Figures over (question, gold answers)."""
    found: list[dict[str, float]] = []
    for question, golds in rows:
        answer = ask(question, system, SETTINGS)
        if answer.written is None:  # declined: nothing was written
            continue
        gold = [plain(g) for g in golds]
        kept = answer.model != "quote"
        found.append(
            {
                "raw: contains the gold answer": any(g in plain(answer.written) for g in gold),
                "raw: token F1": f1(answer.written, golds),
                "something written is supported": kept,
                "verified: contains the gold answer": any(g in plain(answer.text) for g in gold),
                "all that was written is supported": answer.status == "cited" and kept,
                "seconds to the first token": answer.timings["first_token"],
                "seconds in all": answer.timings["total"],
            }
        )
    kept_only = [r for r in found if r["something written is supported"]]
    result: dict[str, Any] = {name: figure(row[name] for row in found) for name in found[0]}
    if kept_only:
        name = "verified: contains the gold answer"
        result["where something was kept: contains the gold answer"] = figure(
            row[name] for row in kept_only
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Written answers, raw and verified.")
    parser.add_argument("--questions", type=int, default=150, help="questions of each set")
    count = parser.parse_args().questions
    if not (BENCH / "squad").exists():
        print(f"skipped: no public data in {BENCH} (set RAGTUNE_BENCH)")
        return
    about = machine.describe()
    generator = load_generator(SETTINGS)
    documents, questions = data.squad()
    _, reported = data.halves(documents)
    asked = [q for q in questions if q.answers and q.article in reported][:count]
    squad = replace(data.index("squad", documents, SETTINGS), generator=generator)
    company = replace(data.company(SETTINGS), generator=generator)
    held_out = [(r["question"], r["answers"]) for r in data.sample("heldout")][:count]
    results = {
        "squad": measure([(q.text, q.answers) for q in asked], squad),
        "sample company": measure(held_out, company),
    }
    lines = [
        "# Written answers",
        "",
        "`python -m benchmarks.written`: `ask --write` with the embedded SmolLM2-135M-Instruct.",
        "Questions that are declined write nothing and are left out. In brackets: 95% bootstrap",
        "interval and number of questions. Verified text falls back to the quotes where nothing",
        "that was written is supported.",
        "",
        machine.markdown(about),
        "",
    ]
    for name, values in results.items():
        lines += table(name, values)
    (RESULTS / "written.md").write_text("\n".join(lines) + "\n", "utf-8")
    (RESULTS / "written.json").write_text(
        json.dumps({"machine": about, **results}, indent=1) + "\n", "utf-8"
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
