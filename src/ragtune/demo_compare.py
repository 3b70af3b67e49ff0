"""The end of `ragtune demo`: a small comparison on the sample company, measured here and now."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from ragtune import config
from ragtune.cli_compare import shown
from ragtune.compare import report
from ragtune.compare.run import Wanted, compare
from ragtune.compare.training import trainer_of
from ragtune.tune.examples import read_examples
from ragtune.types import OnProgress
from ragtune.workspace import Workspace

SAMPLE = Path(__file__).parent / "sample"
FOLDER = "demo-comparison"  # in RAGTUNE_HOME: the demo's workspace may be gone afterwards
EVERY, NOBODY, UPDATES = 4, 6, 5  # every fourth question, six that nobody answers, five updates
BUDGET = 8.5 * 60  # seconds: the whole demo stays below ten minutes


def run(
    workspace: Workspace,
    changed: tuple[str, ...],
    bar: Callable[[], AbstractContextManager[OnProgress | None]],
    say: Callable[[str], None],
    budget: float = BUDGET,
) -> Path:
    """Compares on some of the sample's held-out questions; the report's path.

    Questions about files in `changed`, which the demo has edited or deleted, are left out. Where
    PyTorch is not installed, `tuned` is left out and the shipped adapter stands for `hybrid`.
    """
    out = config.home() / FOLDER
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="ragtune-demo-") as folder:
        questions, updates = Path(folder) / "questions.jsonl", Path(folder) / "updates.jsonl"
        rows = _rows("heldout", changed)[::EVERY] + _rows("unanswerable", changed)[:NOBODY]
        questions.write_text("\n".join(rows), "utf-8")
        updates.write_text("\n".join(_rows("updates", changed)[:UPDATES]), "utf-8")
        wanted = Wanted(
            out=out,
            questions=(questions,),
            examples=read_examples(SAMPLE / "train.jsonl").examples,
            updates=updates,
            seeds=1,
            budget=budget,
            voice=SAMPLE / "voice.json",
        )
        with bar() as on_progress:
            found = compare(workspace, wanted, trainer_of(workspace, on_progress), on_progress)
    path = report.write(found, out)["report.html"]
    say("\n".join(shown(found, path)))
    return path


def _rows(name: str, changed: tuple[str, ...]) -> list[str]:
    """Lines of a sample file that are about none of the changed files."""
    lines = (SAMPLE / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [line for line in lines if not any(_about(json.loads(line), f) for f in changed)]


def _about(row: dict[str, object], file: str) -> bool:
    evidence = row.get("evidence")
    golds = evidence if isinstance(evidence, list) else []
    return row.get("file") == file or any(g["document"] == file for g in golds)
