"""`ragtune examples` on the sample company with the real models."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragtune import demo
from ragtune.cli import cli
from ragtune.tune.build import BuildReport, build
from ragtune.tune.check import check
from ragtune.tune.examples import read_examples
from ragtune.types import Document
from ragtune.workspace import Workspace

pytestmark = pytest.mark.integration

SAMPLE = demo.SAMPLE.parent


def documents(workspace: Workspace) -> Sequence[Document]:
    found = (workspace.store.get(i.uri) for i in workspace.documents())
    return [document for document in found if document is not None]


def draft(workspace: Workspace, file: Path, count: int, model: bool = False) -> BuildReport:
    return build(
        documents(workspace), workspace.system, workspace.settings, file, count, None, model
    )


def test_drafts_are_grounded_and_a_second_run_goes_on(company: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "drafts.jsonl"
    first = draft(company, file, 8)
    assert first.kept == 8
    assert first.kinds["unanswerable"] == 1
    begun = file.read_text("utf-8")
    second = draft(company, file, 14)
    assert (second.already, second.kept) == (8, 6)
    assert file.read_text("utf-8").startswith(begun)
    found = read_examples(file)
    assert len(found.examples) == 14
    assert len(found.unreviewed) == 14
    assert len({e.question for e in found.examples}) == 14
    for example in found.examples:
        if example.kind == "unanswerable":
            continue
        (gold,) = example.evidence
        document = company.store.get(gold.document)
        assert document is not None
        assert gold.quote in document.text
        assert example.answer in " ".join(gold.quote.split())
    assert "unreviewed" in {f.name for f in check(found).findings}
    kept = file.read_text("utf-8").splitlines()
    file.write_text("\n".join(kept[1:]) + "\n", "utf-8")  # a person deletes a draft
    assert draft(company, file, 14).kept == 1
    assert kept[0] not in file.read_text("utf-8")  # … and it does not come back


def test_the_command_says_what_the_sample_holds() -> None:
    options = ["--heldout", str(SAMPLE / "heldout.jsonl"), "--show", "2", "--json"]
    result = CliRunner().invoke(cli, ["examples", "check", str(SAMPLE / "train.jsonl"), *options])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["ok"]
    assert said["understood"]["shape"] == "question/answer"
    assert (said["report"]["examples"], said["report"]["heldout"]) == (375, 83)
    assert {length["unit"] for length in said["report"]["lengths"]} == {"tokens"}
    rows = (SAMPLE / "train.jsonl").read_text("utf-8").splitlines()
    for view in said["preview"]:
        row = json.loads(rows[view["row"] - 1])
        trained = "".join(p["text"] for p in view["pieces"] if p["trained"])
        masked = "".join(p["text"] for p in view["pieces"] if not p["trained"])
        assert trained == row["answer"] + "<|im_end|>"
        assert row["question"] in masked


def test_the_view_without_colours() -> None:
    result = CliRunner().invoke(
        cli, ["examples", "check", str(SAMPLE / "heldout.jsonl"), "--show", "1"]
    )
    assert result.exit_code == 0, result.output
    assert "⟦Good air to you!↵" in result.output
    assert "<|im_end|>⟧" in result.output


def test_errors_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"question": "What?", "answer": ""}\n')
    for extra in ([], ["--column", "answer"], ["--column", "answer=x"], ["--split", "train"]):
        done = subprocess.run(
            [sys.executable, "-m", "ragtune.cli", "examples", "check", str(path), *extra],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in (1, 2)
        assert done.stderr.startswith("ragtune: ")
        assert done.stderr.count("\n") == 1
