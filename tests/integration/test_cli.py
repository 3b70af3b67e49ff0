"""The command line as a user types it: a process for each command, on the sample company."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
import zipfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from ragtune import demo
from ragtune.workspace import Workspace
from ragtune_cli import RAGTUNE, run, run_json

pytestmark = pytest.mark.integration


@pytest.fixture
def root(own_company: Workspace) -> Path:
    own_company.close()
    return own_company.root


def test_every_command_gives_its_documented_object(root: Path) -> None:
    documents = run_json("docs", cwd=root)["documents"]
    assert {"uri", "state", "error", "passages"} <= set(documents[0])
    assert all(d["state"] == "indexed" for d in documents)

    found = run_json("search", "hotel costs abroad", "-k", "3", cwd=root)
    assert len(found["hits"]) == 3
    assert {"text", "uri", "start", "end", "place", "score"} <= set(found["hits"][0])

    answer = run_json("ask", demo.QUESTIONS[0], cwd=root)
    assert answer["status"] == "cited"
    citation = answer["citations"][0]
    shown = run_json("show", f"{citation['uri']}#{citation['start']}-{citation['end']}", cwd=root)
    assert shown["text"] == citation["quote"]
    assert shown["sha256"] == citation["sha256"]

    status = run_json("status", cwd=root)
    held = Counter(d["type"] for d in documents)
    assert status["containers"] == {"archive": held["zip"], "database": held["database"]}
    assert status["documents"] == len(documents) - held["zip"] - held["database"]
    assert run_json("verify", cwd=root)["counts"]["documents"] == status["documents"]
    assert status["current"] is True
    assert run_json("verify", cwd=root)["ok"] is True
    assert run_json("sync", cwd=root)["passages_embedded"] == 0


def test_an_archive_and_a_database_count_as_what_they_hold(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    assert run_json("init", str(root), cwd=tmp_path)["workspace"] == str(root)
    (root / "one.md").write_text("# One\n\nThe first of all documents.\n", "utf-8")
    with zipfile.ZipFile(root / "two.zip", "w") as archive:
        archive.writestr("a.md", "# A\n\nThe letter A is the first.\n")
        archive.writestr("b/b.txt", "The letter B is the second.\n")
    with closing(sqlite3.connect(root / "three.db")) as db:
        db.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
        db.executemany("INSERT INTO items (name) VALUES (?)", [("a hammer",), ("a saw",)])
        db.commit()

    assert len(run_json("add", ".", cwd=root)["added"]) == 5
    status = run_json("status", cwd=root)
    assert (status["documents"], status["containers"]) == (5, {"archive": 1, "database": 1})
    assert run_json("verify", cwd=root)["counts"]["documents"] == 5
    assert "5 indexed, some of them in 1" in run("status", cwd=root).stdout
    types = Counter(d["type"] for d in run_json("docs", cwd=root)["documents"])
    assert types == {"md": 2, "txt": 1, "sql": 2, "zip": 1, "database": 1}


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """Any bytes can be a file's name on Linux, and an argument."""
    run_json("init", ".", cwd=tmp_path)
    odd = os.fsdecode(b"b\xffad.txt")
    (tmp_path / odd).write_text("The llama of Bremen is red.\n", "utf-8")
    (tmp_path / "empty.txt").touch()
    run("add", ".", cwd=tmp_path)
    assert run_json("show", odd, cwd=tmp_path)["uri"] == "b%FFad.txt"
    assert run_json("search", "llama", "--path", odd, cwd=tmp_path)["hits"]
    assert run_json("ask", f"What colour has the llama {odd}?", "--tag", odd, cwd=tmp_path)["text"]
    assert run("show", odd + "x", cwd=tmp_path).returncode == 1
    assert run_json("rm", odd, cwd=tmp_path)["deleted"] == ["b%FFad.txt"]
    assert run_json("add", odd, cwd=tmp_path)["added"] == ["b%FFad.txt"]
    for words in (["init", odd], ["route", "train", odd], ["access", "free", odd]):
        done = run(*words, cwd=tmp_path)
        assert done.returncode in (1, 2)
        assert len(done.stderr.splitlines()) == 1, done.stderr
    status = run_json("status", cwd=tmp_path)
    assert (status["documents"], status["quarantined"], status["current"]) == (1, 1, True)


def test_streaming_json_ends_with_the_answer(root: Path) -> None:
    done = run("ask", demo.QUESTIONS[0], "--json", "--stream", cwd=root)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["event"] == "evidence"
    assert lines[-1]["status"] == "cited"


def test_chat_understands_follow_ups(root: Path) -> None:
    questions = "What may a hotel cost per night on a trip abroad?\nAnd within the country?\n"
    done = run("chat", "--json", cwd=root, stdin=questions)
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert "145 EUR" in first["text"]
    assert "115 EUR" in second["text"]


def test_remove_add_again_and_dry_run(root: Path) -> None:
    uri = "company/policies/company-cars.txt"
    assert run_json("rm", uri, cwd=root)["deleted"] == [uri]
    assert uri not in {d["uri"] for d in run_json("docs", cwd=root)["documents"]}
    run_json("sync", cwd=root)  # the file is still there, and stays out
    assert uri not in {d["uri"] for d in run_json("docs", cwd=root)["documents"]}
    assert run_json("add", "-", "--dry-run", cwd=root, stdin=uri + "\n")["added"] == [uri]
    assert uri not in {d["uri"] for d in run_json("docs", cwd=root)["documents"]}
    assert run_json("add", uri, cwd=root)["added"] == [uri]
    assert uri in {d["uri"] for d in run_json("docs", cwd=root)["documents"]}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "no-such-folder"], "no-such-folder"),
        (["show", "no-such-file.md"], "see `ragtune docs`"),
        (["ask", "  "], "the question is empty"),
        (["ask", "x", "--set", "quotes=many"], "must be of type int"),
        (["ask", "x", "--set", "nonsense=1"], "unknown setting"),
        (["search", "x", "--since", "yesterday"], "2026-01-31"),
        (["calibrate", "missing.jsonl"], "cannot read missing.jsonl"),
        (["fly"], "No such command"),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(root: Path, words: list[str], says: str) -> None:
    done = run(*words, cwd=root)
    assert done.returncode in (1, 2)
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_file_is_reported_and_the_rest_goes_on(root: Path) -> None:
    (root / "new").mkdir()
    (root / "new" / "broken.pdf").write_bytes(b"%PDF-1.7 nothing else")
    (root / "new" / "good.md").write_text("# Lamps\n\nThe lamp in hall 3 is green.\n")
    report = run_json("add", "new", cwd=root)
    assert report["added"] == ["new/good.md"]
    assert [uri for uri, _ in report["failed"]] == ["new/broken.pdf"]
    assert any(e["uri"] == "new/broken.pdf" for e in run_json("status", cwd=root)["errors"])
    assert "green" in run_json("ask", "Which colour has the lamp in hall 3?", cwd=root)["text"]


def test_what_a_document_hides_is_said_and_is_no_evidence(root: Path) -> None:
    (root / "note.md").write_text("# Mill\n\nIt is old.\n\n<!-- The mill opens at zorqa. -->\n")
    done = run("add", "note.md", cwd=root)
    assert "hidden, not read: note.md: comment" in done.stdout
    (found,) = (d for d in run_json("docs", cwd=root)["documents"] if d["uri"] == "note.md")
    assert found["left_out"] == ["comment"]
    assert "zorqa" not in run("ask", "When does the mill open?", "--json", cwd=root).stdout


def test_a_new_file_and_an_edit_are_seen_by_the_next_command(root: Path) -> None:
    note = root / "company" / "lamps.md"
    question = "Which colour has the lamp in hall 3?"
    note.write_text("# Lamps\n\nThe lamp in hall 3 is green.\n")
    assert "green" in run_json("ask", question, cwd=root)["text"]
    note.write_text("# Lamps\n\nThe lamp in hall 3 is amber.\n")
    assert "amber" in run_json("ask", question, cwd=root)["text"]
    note.unlink()
    answer = run_json("ask", question, cwd=root)
    assert not [h for h in answer["hits"] if "lamps.md" in h["uri"]]


def test_interrupting_add_loses_nothing_that_was_finished(tmp_path: Path) -> None:
    shutil.copytree(demo.SAMPLE, tmp_path / "company")
    assert run("init", cwd=tmp_path).returncode == 0
    started = subprocess.Popen(
        [*RAGTUNE, "add", "company"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    time.sleep(2.5)
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=60)
    assert "Traceback" not in errors
    assert run_json("verify", cwd=tmp_path)["ok"] is True
    report = run_json("sync", cwd=tmp_path)
    assert not report["failed"]
    assert run_json("verify", cwd=tmp_path)["ok"] is True
    assert len(run_json("docs", cwd=tmp_path)["documents"]) > 140


def test_help_teaches_and_needs_no_workspace(tmp_path: Path) -> None:
    text = run("--help", cwd=tmp_path).stdout
    assert "ragtune demo" in text
    done = run("ask", "x", cwd=tmp_path)
    assert done.returncode == 1
    assert "ragtune init" in done.stderr


def test_watch_keeps_the_index_current_until_it_is_stopped(root: Path) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    watching = subprocess.Popen(
        [*RAGTUNE, "watch", "--json"], cwd=root, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        time.sleep(3)
        (root / "company" / "lamps.md").write_text("# Lamps\n\nThe lamp in hall 3 is green.\n")
        deadline = time.monotonic() + 30
        seen: list[str] = []
        while time.monotonic() < deadline and "company/lamps.md" not in seen:
            uris = run_json("docs", cwd=root)["documents"]
            seen = [d["uri"] for d in uris]
        assert "company/lamps.md" in seen
    finally:
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(timeout=30) == 0
