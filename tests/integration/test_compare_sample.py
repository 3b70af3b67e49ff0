"""A comparison on the sample company: real documents, real embedder, real language model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragtune import demo, workspace
from ragtune.cli import cli
from ragtune.compare import report
from ragtune.compare.journal import FILE
from ragtune.compare.run import Wanted, compare
from ragtune.errors import ConfigError
from ragtune.tune.examples import read_examples
from ragtune.workspace import Workspace

pytestmark = pytest.mark.integration
SAMPLE = demo.SAMPLE.parent
SHORT = {"max_tokens": 16, "threads": 1}  # what is written matters less here than that it is


def some(folder: Path, questions: int, nobody: int, updates: int) -> tuple[Path, Path]:
    """Small files of questions and updates out of the sample's."""
    asked = (SAMPLE / "heldout.jsonl").read_text("utf-8").splitlines()[::16][:questions]
    asked += (SAMPLE / "unanswerable.jsonl").read_text("utf-8").splitlines()[-nobody:]
    (folder / "q.jsonl").write_text("\n".join(asked), "utf-8")
    changed = (SAMPLE / "updates.jsonl").read_text("utf-8").splitlines()
    (folder / "u.jsonl").write_text("\n".join(changed[:updates]), "utf-8")  # fmt: skip
    return folder / "q.jsonl", folder / "u.jsonl"


def scores(results: dict[str, object]) -> object:
    """What must be the same when it is run again: all but times and what they cost."""
    arms = json.loads(json.dumps(results["arms"]))
    for measures in arms.values():
        for name in ("first", "total", "seconds_to_new", "fresh"):
            measures.pop(name)
    return arms


def files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted((folder / "company").rglob("*")) if p.is_file()}


def test_arms_updates_and_sources_on_the_sample(company: Workspace, tmp_path: Path) -> None:
    questions, updates = some(tmp_path, 5, 2, 1)
    before = files(company.root)
    with workspace.open(company.root, SHORT) as opened:
        wanted = Wanted(out=tmp_path / "out", questions=(questions,), updates=updates,
                        arms=("base", "rag", "quote"), voice=SAMPLE / "voice.json")  # fmt: skip
        found = compare(opened, wanted)
        assert files(company.root) == before, "the user's files were touched"

        quote, base, rag = (found["arms"][n] for n in ("quote", "base", "rag"))
        assert quote["decision"]["n"] == base["decision"]["n"] == 7
        assert quote["exact_quotes"]["value"] == rag["exact_quotes"]["value"] == 1.0
        assert quote["right"]["value"] >= 0.4 > base["right"]["value"]
        assert quote["found"]["value"] >= 0.6
        assert base["citation_precision"]["why"] == "cannot attribute"
        assert quote["new_fact"]["value"] == quote["old_stopped"]["value"] == 1.0
        assert quote["leak"]["value"] == 0.0
        assert quote["added"]["value"] == 1.0
        assert base["new_fact"]["value"] == 0.0
        assert quote["causal"]["value"] == 1.0  # a quote of masked words would be no quote
        assert found["facts"]["indexing"]["documents"] >= 46
        assert found["verdict"]["leader"] in ("quote", "rag")
        raw = [q["arms"]["rag"] for q in found["questions"] if q["arms"]["rag"]["written"]]
        assert raw
        assert all("raw_right" in a["marks"] for a in raw)
        report.write(found, tmp_path / "out")
        assert "<svg" in (tmp_path / "out" / "report.html").read_text("utf-8")

        # what a kill has cut is asked again, and nothing else
        journal = tmp_path / "out" / FILE
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(lines[: len(lines) // 3]) + lines[-1][:9])
        again = compare(opened, replace(wanted, resume=True))
        assert scores(again) == scores(found)
        assert journal.read_bytes().startswith(b"".join(lines[: len(lines) // 3]))
        with pytest.raises(ConfigError, match="--resume"):
            compare(opened, wanted)


def test_a_budget_asks_all_arms_the_same(company: Workspace, tmp_path: Path) -> None:
    questions, _ = some(tmp_path, 6, 6, 1)
    with workspace.open(company.root, SHORT) as opened:
        wanted = Wanted(out=tmp_path / "out", questions=(questions,), arms=("few-shot", "quote"),
                        examples=read_examples(SAMPLE / "train.jsonl").examples, seeds=1,
                        voice=SAMPLE / "voice.json", budget=0.01, causal=False)  # fmt: skip
        with pytest.raises(ConfigError, match="budget"):
            compare(opened, wanted)
        found = compare(opened, replace(wanted, budget=3.0, resume=True))
        assert found["about"]["quote"]["asked"] == found["about"]["few-shot"]["asked"]
        assert found["about"]["quote"]["asked"] in (5, 10, 12)
        if found["about"]["quote"]["asked"] < 12:
            assert any("--resume" in note for note in found["notes"])


def test_arms_that_cannot_run_are_left_out_with_the_reason(
    company: Workspace, tmp_path: Path
) -> None:
    questions, _ = some(tmp_path, 2, 1, 1)
    with workspace.open(company.root, SHORT) as opened:
        wanted = Wanted(out=tmp_path / "out", questions=(questions,),
                        arms=("tuned", "few-shot", "quote"), seeds=1,
                        models=("openai:none@http://127.0.0.1:9/v1",), causal=False)  # fmt: skip
        found = compare(opened, wanted)
        assert {"few-shot", "tuned", "none", "none+docs"} >= set(found["left_out"])
        assert "examples" in found["left_out"]["few-shot"]
        assert list(found["arms"]) == ["quote", *(a for a in ("none", "none+docs")
                                                  if a not in found["left_out"])]  # fmt: skip


def test_the_report_may_not_become_a_document(company: Workspace, tmp_path: Path) -> None:
    questions, _ = some(tmp_path, 1, 1, 1)
    with pytest.raises(ConfigError, match="choose another --out"):
        compare(company, Wanted(out=company.root / "company" / "out", questions=(questions,)))


def test_the_command(company: Workspace, tmp_path: Path) -> None:
    questions, _ = some(tmp_path, 5, 2, 1)
    shutil.copytree(company.root, tmp_path / "w")
    args = ["compare", str(questions), "--arms", "quote", "--out", str(tmp_path / "out"),
            "--seeds", "1", "-w", str(tmp_path / "w")]  # fmt: skip
    done = CliRunner().invoke(cli, [*args, "--json"])
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert shown["verdict"]["winner"] is None
    assert Path(shown["files"]["report.html"]).is_file()
    again = CliRunner().invoke(cli, [*args, "--resume", "--budget", "10m"])
    assert again.exit_code == 0, again.output
    assert "Report: " in again.output
    assert "quote" in again.output
    for wrong, said in (
        (["--budget", "soon"], "20m"),
        (["--arms", "ragg"], "no arm"),
        (["--model", "nothing"], "not a tuned model"),
        (["--prices", str(tmp_path / "none.toml")], "cannot read"),
        (["--voice", str(questions)], "not a voice file"),
    ):
        done = CliRunner().invoke(cli, [*args, *wrong])
        assert isinstance(done.exception, ConfigError)
        assert said in str(done.exception)


def test_killed_at_any_moment_it_ends_with_the_same_scores(
    company: Workspace, tmp_path: Path
) -> None:
    """kill -9 in the middle, three times; nothing is lost, and nothing is counted twice."""
    questions, updates = some(tmp_path, 6, 2, 2)
    shutil.copytree(company.root, tmp_path / "w")
    command = [sys.executable, "-m", "ragtune.cli", "compare", str(questions), "--updates",
               str(updates), "--arms", "quote,base", "--seeds", "1", "--set", "max_tokens=8",
               "--voice", str(SAMPLE / "voice.json"), "--json",
               "-w", str(tmp_path / "w")]  # fmt: skip

    def run(out: str, lines: int | None, resume: bool) -> None:
        """Runs to the end, or kills once the journal has so many lines more."""
        journal = tmp_path / out / FILE
        before = journal.read_bytes().count(b"\n") if journal.exists() else 0
        whole = [*command, "--out", str(tmp_path / out), *(["--resume"] if resume else [])]
        with subprocess.Popen(whole, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and lines is not None:
                now = journal.read_bytes().count(b"\n") if journal.exists() else 0
                if now >= before + lines:
                    process.kill()
                    break
                time.sleep(0.005)
            process.wait(120)
        if lines is None:
            assert process.returncode == 0

    run("whole", None, False)
    for number, lines in enumerate((3, 8, 5)):
        run("killed", lines, number > 0)
    run("killed", None, True)
    whole, killed = (json.loads((tmp_path / out / "results.json").read_text("utf-8"))
                     for out in ("whole", "killed"))  # fmt: skip
    assert scores(killed) == scores(whole)
    rows = [json.loads(line) for line in (tmp_path / "killed" / FILE).read_text().splitlines()]
    asked = [(r["reply"]["arm"], r["reply"]["question"], r["reply"]["changed"])
             for r in rows if "reply" in r]  # fmt: skip
    assert len(asked) == len(set(asked))
