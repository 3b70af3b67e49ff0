"""Two documents that answer differently, with the real models: on the screen and as JSON."""

from pathlib import Path

import pytest

from ragtune_cli import run, run_json

pytestmark = pytest.mark.integration
QUESTION = "How many days of leave do new employees get?"


def test_two_documents_that_disagree_are_both_shown_and_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "handbook.md").write_text(
        "# Leave\n\nNew employees get 24 days of leave in their first year.\n"
    )
    (tmp_path / "offer.md").write_text(
        "# Offer\n\nIn the first year, leave for new employees is 30 days.\n"
    )
    run_json("init", cwd=tmp_path)
    run_json("add", "handbook.md", cwd=tmp_path)
    alone = run_json("ask", QUESTION, cwd=tmp_path)
    assert alone["status"] == "cited"
    assert not alone["conflict"]

    run_json("add", "offer.md", cwd=tmp_path)
    told = run_json("ask", QUESTION, cwd=tmp_path)
    assert told["conflict"]
    assert {citation["uri"] for citation in told["citations"]} == {"handbook.md", "offer.md"}
    written = run_json("ask", QUESTION, "--write", cwd=tmp_path)
    assert (written["model"], written["text"]) == ("quote", told["text"])  # no model chooses
    shown = run("ask", QUESTION, cwd=tmp_path).stdout
    assert "Two documents say different things here" in shown
