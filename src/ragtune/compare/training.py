"""Adapters for arms that have none: the one place where a comparison trains."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path

from ragtune.compare.arms import Mode, Trainer, Training
from ragtune.config import DATA_FOLDER
from ragtune.errors import TuneError
from ragtune.models import adapters
from ragtune.types import Example, OnProgress
from ragtune.workspace import Workspace


def trainer_of(workspace: Workspace, on_progress: OnProgress | None = None) -> Trainer | None:
    """What trains this workspace's adapters; None where the `tune` extra is not installed.

    It is `ragtune tune` itself, with its defaults and the seed, on exactly the given examples
    (some of them are held out to stop in time). One that is registered under the name, which
    holds the hash of its examples, is taken; a run that was interrupted is gone on with.
    """
    from ragtune.tune import extra

    if any(find_spec(name) is None for name in extra.NEEDED):
        return None

    def train(
        mode: Mode, seed: int, examples: Sequence[Example], name: str, minutes: float
    ) -> Training:
        from ragtune.tune.run import Plan, resumable, tune
        from ragtune.tune.train import TuneSettings

        root = workspace.root / DATA_FOLDER
        kept = name in set(adapters.Adapters(root)) and adapters.find(root, name)
        if kept and _had_time(kept, minutes):  # another comparison's, or a kill's
            return Training(name, _logged(kept.folder), 0.0, 0.0, len(examples))
        with tempfile.TemporaryDirectory(prefix="ragtune-compare-") as folder:
            file = Path(folder) / "examples.jsonl"
            rows = [json.dumps(_row(e), ensure_ascii=False) for e in examples]
            file.write_text("\n".join(rows) + "\n", "utf-8")
            settings = replace(
                TuneSettings(), seed=seed, minutes=minutes, threads=workspace.settings.threads
            )
            plan = Plan(
                file, name, mode,
                settings=settings,
                samples=0, resume=name in resumable(workspace),
            )  # fmt: skip
            started, cpu = time.perf_counter(), time.process_time()
            try:
                made = tune(plan, workspace, on_progress)
            except TuneError:
                if not plan.resume:
                    raise
                made = tune(replace(plan, resume=False, restart=True), workspace, on_progress)
        return Training(
            made.name, time.perf_counter() - started, time.process_time() - cpu,
            made.peak_bytes / 2**20, len(examples),
        )  # fmt: skip

    return train


def _had_time(kept: adapters.Listed, minutes: float) -> bool:
    """Whether an adapter was trained for at least the minutes that there are now (0: no limit)."""
    had = float(kept.passport.settings.get("minutes") or 0.0) if kept.passport else 0.0
    return not had or 0 < minutes <= 1.5 * had


def _logged(folder: Path) -> float:
    """Seconds of training, from the last line of an adapter's log; 0 where that is gone."""
    try:
        last = (folder / "log.jsonl").read_text("utf-8").splitlines()[-1]
        return float(json.loads(last)["seconds"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return 0.0


def _row(example: Example) -> dict[str, object]:
    """An example as a row of a file that `read_examples` reads back."""
    row: dict[str, object] = {
        "id": example.id, "question": example.question, "answer": example.answer,
        "kind": example.kind, "evidence": [asdict(g) for g in example.evidence],
    }  # fmt: skip
    if example.system:
        row["system"] = example.system
    return row
