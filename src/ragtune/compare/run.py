"""`ragtune compare`, all of it: from files to a verdict.

questions ─▶ frozen test set ─▶ arms (trained where needed) ─▶ asked ─▶ update race
    ─▶ asked again without the cited words ─▶ values ─▶ results ─▶ report
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ragtune import config
from ragtune.compare import prepare, results, score, updates, voice
from ragtune.compare.arms import Arm, Trainer, choose, model_of
from ragtune.compare.causal import run_causal
from ragtune.compare.cost import read_prices
from ragtune.compare.journal import Journal, Reply
from ragtune.compare.judge import run_judge
from ragtune.compare.questions import (
    Question,
    TestSet,
    freeze,
    from_example,
    hold_out,
    read_questions,
    without_duplicates,
)
from ragtune.compare.runner import Contest, run_questions, systems
from ragtune.config import DATA_FOLDER, Settings
from ragtune.errors import ConfigError
from ragtune.ingest.sources import path_of
from ragtune.models import adapters
from ragtune.models.generate import load_generator
from ragtune.protocols import Generator
from ragtune.types import Example, OnProgress
from ragtune.workspace import Workspace

SHARES = {"questions": 0.7, "updates": 0.82}  # of a budget, at which each ends


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to compare.

    `examples` are the company's, for few-shot, training and style (and the test set where there is
    no question file). `budget` is in seconds. `voice` is a JSON file with the company's format
    rules: {"format": {"full": REGEX, "nothing": REGEX}}.
    """

    out: Path
    questions: tuple[Path, ...] = ()
    examples: tuple[Example, ...] = ()
    updates: Path | None = None
    arms: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    seeds: int = 3
    budget: float | None = None
    resume: bool = False
    prices: Path | None = None
    voice: Path | None = None
    causal: bool = True
    judge: str = ""  # a .gguf file or openai:MODEL@URL that says whether answers are right


def compare(
    workspace: Workspace,
    wanted: Wanted,
    trainer: Trainer | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """The results (see docs/compare.md); everything asked stands in `wanted.out` as it happens.

    `trainer` makes the adapters that are missing; without one those arms are left out. Raises
    ConfigError for what is wrong in files or options, and when no arm is left.
    """
    started = time.monotonic()
    prices = read_prices(wanted.prices)
    judge = _judge(workspace, wanted.judge)
    changes = updates.read_updates(wanted.updates) if wanted.updates else []
    style = voice.rules(wanted.voice)
    _check_out(workspace, wanted.out)
    workspace.refresh()
    test, training = _test_set(workspace, wanted)
    has_router = workspace.system.router is not None
    arms = choose(wanted.arms, wanted.models, prepare.modes(workspace), has_router)
    if not workspace.documents() and any(a.documents for a in arms):
        raise ConfigError("this workspace has no documents yet: ragtune add PATH…")
    journal = Journal(wanted.out, _header(workspace, wanted, test, training, arms), wanted.resume)
    try:
        end = started + wanted.budget if wanted.budget else float("inf")
        left_out: dict[str, str] = {}
        arms = prepare.with_adapters(
            arms, workspace, wanted.seeds, wanted.budget, training, trainer, journal, started,
            left_out,
        )  # fmt: skip
        if not arms:
            raise ConfigError(
                "no arm is left: " + "; ".join(f"{a}: {w}" for a, w in left_out.items())
            )
        contest = Contest(
            workspace.system, replace(workspace.settings, fresh="never"), arms, wanted.seeds,
            training, journal, on_progress=on_progress,
            generators=systems(arms, workspace.system, workspace.settings), failed=left_out,
        )  # fmt: skip
        whole = _ask_all(contest, workspace, wanted, test, changes, trainer, started, end)
        if not any(not r.changed and not r.error for r in journal.replies):
            raise ConfigError(
                "the budget is too short to ask anything: give it more, with --resume"
            )
        if judge is not None:
            whole["judge"] = run_judge(contest, judge, test.questions)
        style = voice.learned(style, contest, training)
        made = _results(contest, workspace, test, changes, style, wanted, prices, whole, started)
    finally:
        journal.close()
    _write(wanted.out / "results.json", json.dumps(made, ensure_ascii=False, indent=1))
    return made


def _judge(workspace: Workspace, model: str) -> Generator | None:
    """The generator that judges. Raises ConfigError for a name that is none."""
    if not model:
        return None
    _, changes = model_of(model, "--judge")
    return load_generator(config.change(workspace.settings, changes))


def _check_out(workspace: Workspace, out: Path) -> None:
    """Raises ConfigError where the report would become one of the documents."""
    whole = out.resolve()
    for source in workspace.store.sources():
        folder = Path(path_of(source.uri, str(workspace.root))).resolve()
        data = workspace.root / DATA_FOLDER
        if source.kind != "sql" and whole.is_relative_to(folder) and not whole.is_relative_to(data):
            raise ConfigError(
                f"{out} lies in {source.uri}, which is indexed, so the report would answer "
                "questions: choose another --out"
            )


def _ask_all(
    contest: Contest,
    workspace: Workspace,
    wanted: Wanted,
    test: TestSet,
    changes: Sequence[updates.Update],
    trainer: Trainer | None,
    started: float,
    end: float,
) -> dict[str, bool]:
    """Runs the phases, each with its share of the budget; whether each got to its end."""

    def until(phase: str | None) -> float:
        if wanted.budget is None or phase is None:
            return end
        now = time.monotonic()
        share = SHARES[phase] if changes or phase != "questions" else SHARES["updates"]
        return max(started + share * wanted.budget, now + 0.3 * max(0.0, end - now))

    whole = {}
    contest.deadline = until("questions")
    whole["questions"] = run_questions(contest, test.questions)
    contest.deadline = until("updates")
    if changes:
        with (
            tempfile.TemporaryDirectory(prefix="ragtune-compare-") as folder,
            updates.copied(workspace, Path(folder).resolve()) as (copy, indexing),
        ):
            if "indexing" not in contest.journal.facts:
                contest.journal.note("indexing", indexing)
            whole["updates"] = updates.run_updates(contest, copy, changes)
    contest.deadline = until(None)
    if wanted.causal:
        whole["causal"] = run_causal(contest, test.questions, _was_right(contest, test.questions))
    if changes and trainer is not None:
        updates.run_retraining(contest, trainer, changes, end - time.monotonic())
        _discard(workspace, contest)
    return whole


def _discard(workspace: Workspace, contest: Contest) -> None:
    """Takes the adapters of the update race out of the registry: they know invented facts."""
    root = workspace.root / DATA_FOLDER
    for name, fact in contest.journal.facts.items():
        if name.startswith("retraining ") and isinstance(fact, dict):
            made = str(fact.get("adapter", ""))
            if made in workspace.system.adapters:
                adapters.remove(root, made, force=True)


def _was_right(contest: Contest, questions: Sequence[Question]) -> dict[tuple[str, str], bool]:
    arms = {a.name: a for a in contest.arms}
    by_id = {q.id: q for q in questions}
    return {
        (r.arm, r.question): score.score(
            by_id[r.question], r, arms[r.arm], (), score.Style()
        )["right"] == 1.0
        for r in contest.journal.replies
        if not r.changed and not r.error and r.seed == 0 and r.question in by_id and r.arm in arms
    }  # fmt: skip


# ---------------------------------------------------------------- the test set


def _test_set(workspace: Workspace, wanted: Wanted) -> tuple[TestSet, list[Example]]:
    """The frozen questions and the examples that may be trained on."""
    training = list(wanted.examples)
    notes: tuple[str, ...] = ()
    if wanted.questions:
        questions = read_questions(wanted.questions)
    elif training:
        training, held, notes = hold_out(training)
        questions = [from_example(e, n) for n, e in enumerate(held, 1)]
    else:
        raise ConfigError("nothing to compare with: give a file of questions, or --examples")
    left_out: list[tuple[str, str]] = []
    if training:
        seen = [e.question for e in training]
        questions, left_out = without_duplicates(questions, seen, workspace.system.embedder)
    return freeze(questions, left_out, notes), training


def _header(
    workspace: Workspace,
    wanted: Wanted,
    test: TestSet,
    training: Sequence[Example],
    arms: Sequence[Arm],
) -> dict[str, Any]:
    """What must be the same for a journal to be gone on with."""
    ignored = {"threads", "workers", "parse_seconds", "parse_memory_mb", "fresh"}
    settings = {f.name: getattr(workspace.settings, f.name) for f in fields(Settings)}
    state = sorted((d.uri, d.sha256) for d in workspace.documents() if not d.error)
    updates_text = wanted.updates.read_bytes() if wanted.updates else b""
    return {
        "test_set": test.sha256,
        "documents": _sha(json.dumps(state)),
        "examples": prepare.digest(training),
        "updates": hashlib.sha256(updates_text).hexdigest() if wanted.updates else "",
        "arms": [a.name for a in arms],
        "seeds": wanted.seeds,
        "settings": {k: v for k, v in settings.items() if k not in ignored},
    }


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# ---------------------------------------------------------------- results


def _results(
    contest: Contest,
    workspace: Workspace,
    test: TestSet,
    changes: Sequence[updates.Update],
    style: score.Style,
    wanted: Wanted,
    prices: Any,
    whole: Mapping[str, bool],
    started: float,
) -> dict[str, Any]:
    arms = contest.running
    uris = [d.uri for d in workspace.documents() if not d.error]
    gold, notes = score.golds(test.questions, workspace.store, uris)
    common = _asked_of_all(contest.journal.replies, arms)
    questions = [q for q in test.questions if q.id in common]
    ids = {q.id for q in test.questions}
    replies = [r for r in contest.journal.replies
               if r.question not in ids or r.question in common]  # fmt: skip
    table = score.tabulate(
        arms, questions, changes, replies, contest.journal.facts, gold, style,
        workspace.system.embedder,
    )  # fmt: skip
    for arm in arms:
        if arm.needs and f"training {arm.name} 0" not in contest.journal.facts:
            notes.append(
                f"{arm.name} writes with {arm.adapters[0]!r}, which was there before: what it was "
                "trained on was not compared with these questions, and is not in its cost"
            )
    for phase, done in whole.items():
        if not done:
            notes.append(f"the budget ended before all {phase} were done: --resume goes on")
    notes = [*test.notes, *(f"left out: {id}: {why}" for id, why in test.left_out), *notes]
    return results.assemble(score.Run(
        arms, table, replies, contest.journal.facts, gold, prices, style,
        _settings(contest, workspace, test, started, wanted.judge), contest.failed, notes,
    ))  # fmt: skip


def _asked_of_all(replies: Sequence[Reply], arms: Sequence[Arm]) -> set[str]:
    """The questions that every arm was asked: in a run that was cut, only these count."""
    asked = [
        {r.question for r in replies if r.arm == a.name and r.seed == 0 and not r.changed}
        for a in arms
    ]
    return set.intersection(*asked) if asked else set()


def _settings(
    contest: Contest, workspace: Workspace, test: TestSet, started: float, judge: str
) -> dict[str, Any]:
    from importlib.metadata import version

    from ragtune.status import PACKAGES, readable

    settings = {f.name: getattr(workspace.settings, f.name) for f in fields(Settings)}
    return {
        "test_set_sha256": test.sha256,
        "questions": len(test.questions),
        "documents": len(readable(workspace.documents())),
        "seeds": contest.seeds,
        "models": {a.name: contest.generators.get(a.name, contest.system).generator.name
                   if a.writes else "none" for a in contest.running},
        "embedder": contest.system.embedder.name,
        "judge": judge,
        "settings": settings,
        "versions": {name: version(name) for name in PACKAGES} | {
            "python": platform.python_version()},
        "machine": machine(),
        "seconds": round(time.monotonic() - started, 1),
        "finished": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }  # fmt: skip


def machine() -> str:
    """The processor and its cores, as far as the system tells."""
    import os

    name = platform.processor() or platform.machine()
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text("utf-8"))
        name = found[1].strip() if found else name
    except OSError:
        pass
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"


def _write(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    made = path.with_name(path.name + ".new")
    try:
        made.write_text(text, "utf-8")
        made.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
