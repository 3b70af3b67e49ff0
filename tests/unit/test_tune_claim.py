"""Runs that have not ended: one process a name, listed with how to go on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragtune.cli import cli
from ragtune.errors import TuneError
from ragtune.tune import claim
from ragtune.tune.prepare import Prepared
from ragtune.tune.steps import TuneSettings
from ragtune.tune.train import CHECKPOINT

MADE = Prepared((), (), (), 0, "data", ())
HOLDS = """
import sys
from pathlib import Path
from ragtune.tune import claim
with claim.running(Path(sys.argv[1]), "crew"):
    print("held", flush=True)
    sys.stdin.read()
"""


def interrupted(root: Path, name: str = "crew", checkpoint: bool = True) -> Path:
    folder = root / "adapters" / (claim.RUN + name)
    settings = TuneSettings(epochs=5)
    claim.claim(folder, Path("my examples.jsonl"), "answers", MADE, settings, False, False)
    if checkpoint:
        (folder / CHECKPOINT).write_bytes(b"state")
    return folder


def test_one_process_tunes_a_name(tmp_path: Path) -> None:
    interrupted(tmp_path)
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(TuneError, match="'crew' is going on"), claim.running(tmp_path, "crew"):
        pass
    with claim.running(tmp_path, "other"):
        pass
    assert [run.running for run in claim.unfinished(tmp_path)] == [True]
    child.kill()
    child.communicate()
    with claim.running(tmp_path, "crew"):  # a killed process leaves no lock
        pass
    assert [run.running for run in claim.unfinished(tmp_path)] == [False]


def test_what_is_unfinished_is_listed_with_how_to_go_on(tmp_path: Path) -> None:
    root = tmp_path / ".ragtune"
    interrupted(root)
    interrupted(root, "early", checkpoint=False)
    (root / "adapters" / ".run-empty").mkdir()
    found = {run.name: run for run in claim.unfinished(root)}
    assert sorted(found) == ["crew", "early"]
    assert found["crew"].resume == (
        "ragtune tune 'my examples.jsonl' --name crew --mode answers --resume --epochs 5"
    )
    assert "--restart" in found["early"].resume
    (tmp_path / "ragtune.toml").touch()
    printed = CliRunner().invoke(cli, ["models", "-w", str(tmp_path)]).output
    assert "crew: not finished: ragtune tune 'my examples.jsonl'" in printed
    value = json.loads(CliRunner().invoke(cli, ["models", "--json", "-w", str(tmp_path)]).output)
    assert [run["name"] for run in value["unfinished"]] == ["crew", "early"]


def test_only_the_same_run_is_gone_on_with(tmp_path: Path) -> None:
    folder = interrupted(tmp_path)
    claim.claim(folder, Path("renamed.jsonl"), "answers", MADE, TuneSettings(epochs=5), True, False)
    with pytest.raises(TuneError, match="other examples or settings"):
        claim.claim(folder, Path("x"), "answers", MADE, TuneSettings(epochs=6), True, False)
    with pytest.raises(TuneError, match="--restart deletes"):
        claim.claim(folder, Path("x"), "answers", MADE, TuneSettings(epochs=5), False, False)
    claim.claim(folder, Path("x"), "answers", MADE, TuneSettings(epochs=5), False, True)
    assert not (folder / CHECKPOINT).exists()
