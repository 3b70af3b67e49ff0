"""Which approach fits: whole comparisons on the sample company and on public data.

    python -m benchmarks.comparison --set sample|routed|squad|policyqa|handbook [--budget 30m]
    python -m benchmarks.comparison --tables    comparison.md again from what was run

It is `ragtune compare` itself, in a workspace made for it; a run that was stopped goes on where it
was. Of the results the figures are kept (benchmarks/results/comparison-SET.json), without the
questions and answers of data that is not ours; the whole report stays in the work folder.
`comparison-notes.md` is what a person read out of them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.answering_data import SAMPLE, WORK
from benchmarks.comparison_data import SETS, Made
from benchmarks.retrieval_data import BENCH

import ragtune
from ragtune.compare import report, wording
from ragtune.compare.run import Wanted, compare
from ragtune.compare.training import trainer_of
from ragtune.config import DATA_FOLDER
from ragtune.route.synthesise import synthesise
from ragtune.route.train import train
from ragtune.tune.examples import read_examples
from ragtune.types import Progress
from ragtune.workspace import Workspace

RESULTS = Path(__file__).parent / "results"
KEPT = ("arms", "about", "pairs", "kinds", "criteria", "verdict", "style", "left_out", "notes",
        "facts", "settings")  # fmt: skip
# Published: (where, what is measured, base, fine-tuned, RAG, both)
PUBLISHED = (
    ("Ovadia et al. 2312.05934, current events, Mistral-7B", "accuracy",
     ".481", ".504 (.588 with paraphrases)", ".875", "–"),
    ("Balaguer et al. 2401.08406, agriculture, GPT-4", "accuracy, %", "75", "81", "–", "86"),
    ("RAFT 2403.10131, HotpotQA, Llama2-7B", "accuracy, %", ".54", "6.38", ".03",
     "4.41; RAFT 35.28"),
    ("RAFT 2403.10131, HuggingFace API, Llama2-7B", "accuracy, %", ".22", "61.06", "26.43",
     "42.59; RAFT 74.00"),
)  # fmt: skip
MEASURES = ("decision", "right", "f1", "raw_right", "raw_f1", "hallucination", "wrong",
            "wrong_unanswerable", "wrongly_declined", "citation_precision", "citation_recall",
            "exact_quotes", "found", "causal", "from_memory", "new_fact", "old_stopped", "leak",
            "seconds_to_new", "style", "raw_style", "must", "total", "first")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--set", choices=(*OWN, *SETS))
    parser.add_argument("--budget", default="", help="as 30m")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tables", action="store_true")
    chosen = parser.parse_args()
    if chosen.set:
        if chosen.set not in OWN and not BENCH.is_dir():
            sys.exit(f"no public data at {BENCH}: set RAGTUNE_BENCH; skipped")
        run(chosen.set, chosen.budget, chosen.seeds)
    (RESULTS / "comparison.md").write_text(tables(), "utf-8")


def sample(folder: Path) -> Made:
    """The sample company with all that it ships: 115 questions, 22 updates, 375 examples."""
    shutil.copytree(SAMPLE / "company", folder / "company", dirs_exist_ok=True)
    asked = [(SAMPLE / f"{n}.jsonl").read_text("utf-8") for n in ("heldout", "unanswerable")]
    (folder / "questions.jsonl").write_text("".join(asked), "utf-8")
    return Made(
        folder / "company", folder / "questions.jsonl", SAMPLE / "train.jsonl",
        SAMPLE / "updates.jsonl",
    )  # fmt: skip


def routed(folder: Path) -> Made:
    """The sample company, a model writing: with a router in front and without.

    The router learns from what `ragtune route train --examples` does: documents, examples and its
    own everyday questions. What it is not sure of is sent away, not searched: what that saves
    and costs is asked here (out of the box it is searched, and nothing is lost or saved).
    """
    made = sample(folder)
    return replace(
        made, updates=None, names=("quote", "rag", "routed"), router=made.examples,
        writes=True,
    )  # fmt: skip


OWN = {"sample": sample, "routed": routed}


def route(workspace: Workspace, examples: Path) -> None:
    """Trains the workspace's router without labelled questions."""
    infos = [info for info in workspace.documents() if info.state == "indexed"]
    known = [found for info in infos if (found := workspace.store.get(info.uri)) is not None]
    made = train(synthesise(known, read_examples(examples).examples), workspace.root / DATA_FOLDER)
    ways = made.folder / "routes.toml"
    ways.write_text(ways.read_text().replace('unsure = "documents"', 'unsure = "decline"'))


def run(name: str, budget: str, seeds: int) -> None:
    """One comparison, from raw data to its figures."""
    from ragtune.cli_compare import seconds_of

    about = machine.describe("torch", "transformers", "peft")
    folder = WORK / "comparison" / name
    folder.mkdir(parents=True, exist_ok=True)
    made = {**OWN, **SETS}[name](folder)
    if not (folder / "ragtune.toml").exists():
        with ragtune.init(folder) as workspace:
            workspace.add([made.documents])
            if made.router:
                route(workspace, made.router)
        if made.writes:
            file = folder / "ragtune.toml"
            file.write_text(file.read_text().replace('# answer = "quote"', 'answer = "write"'))
    with ragtune.open(folder) as workspace:
        started, shown = time.monotonic(), 0.0

        def on_progress(step: Progress) -> None:
            nonlocal shown
            if time.monotonic() > shown + 10:
                shown = time.monotonic()
                print(f"{shown - started:6.0f} s  {step.what} {step.done}/{step.total} "
                      f"{step.detail}", flush=True)  # fmt: skip

        wanted = Wanted(
            out=folder / "out",
            questions=(made.questions,),
            examples=read_examples(made.examples).examples if made.examples else (),
            updates=made.updates,
            arms=made.names,
            models=made.models,
            seeds=seeds,
            budget=seconds_of(budget or None),
            resume=(folder / "out" / "journal.jsonl").exists(),
            voice=SAMPLE / "voice.json" if name in OWN else None,
        )
        results = compare(workspace, wanted, trainer_of(workspace, on_progress), on_progress)
        files = report.write(results, wanted.out)
    kept = {key: results[key] for key in KEPT}
    kept["machine"], kept["command"] = about, " ".join(["python -m benchmarks.comparison",
                                                        *sys.argv[1:]])  # fmt: skip
    (RESULTS / f"comparison-{name}.json").write_text(
        json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
    print(f"{wording.headline(results)}\n{wording.paragraph(results)}\n{files['report.html']}")


# ---------------------------------------------------------------- the tables


def tables() -> str:
    """comparison.md: every set that was run, published figures, and the notes."""
    parts = ["# Which approach fits", "",
             "`python -m benchmarks.comparison --set …`: `ragtune compare` on the sample company "
             "and on public data. 95% intervals in brackets; by source document.", ""]  # fmt: skip
    notes = RESULTS / "comparison-notes.md"
    if notes.is_file():
        parts += [notes.read_text("utf-8").strip(), ""]
    parts += ["## Published, for comparison", "",
              "| | measured | base | fine-tuned | RAG | both |", "|---|---|---|---|---|---|",
              *(f"| {' | '.join(row)} |" for row in PUBLISHED), ""]  # fmt: skip
    for name in (*OWN, *SETS):
        path = RESULTS / f"comparison-{name}.json"
        if path.is_file():
            parts += _set(name, json.loads(path.read_text("utf-8")))
    return "\n".join(parts)


def _set(name: str, kept: Mapping[str, Any]) -> list[str]:
    settings, arms = kept["settings"], kept["arms"]
    lines = [f"## {name}", "", f"`{kept['command']}`", "", machine.markdown(kept["machine"]), "",
             f"{settings['questions']} questions over {settings['documents']} documents, "
             f"{settings['seeds']} seed(s), {settings['seconds']:.0f} s in the last call.", "",
             f"**{_headline(kept)}**", "",
             "| | " + " | ".join(arms) + " |", "|---" * (len(arms) + 1) + "|"]  # fmt: skip
    for measure in MEASURES:
        cells = [_cell(arm[measure], measure) for arm in arms.values()]
        if any(c != "–" for c in cells):
            lines.append(f"| {measure} | " + " | ".join(cells) + " |")
    for criterion in ("month", "fixed", "correct"):
        cells = [f"{a['cost'][criterion]:.2f}" if a["cost"][criterion] is not None else "–"
                 for a in kept["about"].values()]  # fmt: skip
        lines.append(f"| cost: {criterion} | " + " | ".join(cells) + " |")
    lines += ["", "Of each kind, right decisions:", ""]
    for kind in kept["kinds"]:
        shares = ", ".join(f"{a} {v:.2f}" for a, v in kind["shares"].items())
        told = f"winner {kind['winner']}" if kind["winner"] else "no winner"
        lines.append(f"- {kind['kind']} (n = {kind['n']}): {shares}; {told}")
    lines += ["", *(f"- {note}" for note in kept["notes"]), ""]
    for arm, why in kept["left_out"].items():
        lines += [f"Left out: {arm} ({why}).", ""]
    return lines


def _headline(kept: Mapping[str, Any]) -> str:
    v = kept["verdict"]
    if v.get("winner"):
        return f"{v['winner']} fits best"
    more = f"; about {v['more']} more questions would tell" if v.get("more") else ""
    return f"Cannot tell yet: {v.get('leader')} leads{more}"


def _cell(seen: Mapping[str, Any], measure: str) -> str:
    if not seen["n"]:
        return str(seen.get("why", "–"))
    if measure in ("total", "first", "seconds_to_new"):
        return f"{seen['p50']:.2f} s (95%: {seen['p95']:.2f})"
    low, high = seen["low"], seen["high"]
    spread = f" [{low:.2f}, {high:.2f}]" if low is not None and high is not None else ""
    return f"{seen['value']:.2f}{spread}"


if __name__ == "__main__":
    main()
