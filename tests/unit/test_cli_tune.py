"""What `ragtune tune` hands over: every option under its own name."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ragtune import workspace
from ragtune.cli_tune import tune
from ragtune.errors import TuneError
from ragtune.tune import extra, run


@pytest.mark.parametrize("given", ["", "--resume", "--restart"])
def test_switches_reach_the_plan_under_their_own_names(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[run.Plan] = []

    def caught(plan: run.Plan, *_: Any) -> None:
        plans.append(plan)
        raise TuneError("enough")

    monkeypatch.setattr(extra, "require", lambda: None)
    monkeypatch.setattr(run, "tune", caught)
    workspace.init(tmp_path).close()
    examples = tmp_path / "examples.jsonl"
    examples.write_text('{"question": "a", "answer": "b"}\n', "utf-8")
    options = [str(examples), "--samples", "3", "--workspace", str(tmp_path)]
    CliRunner().invoke(tune, [*options, *([given] if given else [])])
    (plan,) = plans
    assert (plan.samples, plan.probes) == (3, True)
    assert plan.resume is (given == "--resume")
    assert plan.restart is (given == "--restart")
