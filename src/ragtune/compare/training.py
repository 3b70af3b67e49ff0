"""Adapters for arms that have none: the one place where a comparison trains.

It is `ragtune tune` itself, with its defaults and the seed, on exactly the given examples (some of
them are held out to stop in time). It runs in a process of its own, so that its seconds and its
memory are its own too and what it leaves behind does not weigh on the arms that are measured next.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ragtune.compare.arms import Mode, Trainer, Training
from ragtune.config import DATA_FOLDER, Settings
from ragtune.errors import TuneError
from ragtune.models import adapters
from ragtune.types import Example, OnProgress, Progress
from ragtune.workspace import Workspace


def trainer_of(workspace: Workspace, on_progress: OnProgress | None = None) -> Trainer | None:
    """What trains this workspace's adapters; None where the `tune` extra is not installed.

    One that is registered under the name, which holds the hash of its examples, is taken; a run
    that was interrupted is gone on with.
    """
    from ragtune.tune import extra

    if any(find_spec(name) is None for name in extra.NEEDED):
        return None

    def train(
        mode: Mode, seed: int, examples: Sequence[Example], name: str, minutes: float
    ) -> Training:
        root = workspace.root / DATA_FOLDER
        kept = name in set(adapters.Adapters(root)) and adapters.find(root, name)
        if kept and _had_time(kept, minutes):  # another comparison's, or a kill's
            return Training(name, _logged(kept.folder), 0.0, 0.0, len(examples))
        with tempfile.TemporaryDirectory(prefix="ragtune-compare-") as folder:
            file = Path(folder) / "examples.jsonl"
            rows = [json.dumps(_row(e), ensure_ascii=False) for e in examples]
            file.write_text("\n".join(rows) + "\n", "utf-8")
            settings = {f.name: getattr(workspace.settings, f.name) for f in fields(Settings)}
            made = _in_process(
                {
                    "root": str(workspace.root), "settings": settings, "file": str(file),
                    "name": name, "mode": mode, "seed": seed, "minutes": minutes,
                },
                on_progress,
            )  # fmt: skip
        return Training(examples=len(examples), **made)

    return train


def _in_process(request: Mapping[str, Any], on_progress: OnProgress | None) -> dict[str, Any]:
    """What the training process found. Raises TuneError for what it says, or when it dies."""
    # -P: never import from the folder that the user happens to be in
    command = [sys.executable, "-P", "-m", "ragtune.compare.train_process"]
    with subprocess.Popen(  # noqa: S603 - our own interpreter, no user input
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C reaches this process, which ends that one
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()  # it stays open: when it closes, that process ends
            for line in process.stdout:
                told = json.loads(line)
                if "error" in told:
                    raise TuneError(str(told["error"]))
                if "made" in told:
                    return dict(told["made"])
                if on_progress is not None:
                    on_progress(Progress(**told))
        finally:
            process.terminate()
    raise TuneError(
        "the training process ended without a result (too little memory?): its last checkpoint "
        "is kept, --resume goes on from there"
    )


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
