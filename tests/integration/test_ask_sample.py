"""The main job on the sample company, with the real embedder and the real language model."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from ragtune import ask, cite, demo, render, units, words
from ragtune.calibrate import read_jsonl
from ragtune.types import Answer, Citation, Evidence, Token
from ragtune.workspace import Workspace

pytestmark = pytest.mark.integration
SAMPLE = Path(str(files("ragtune"))) / "sample"


def check(workspace: Workspace, answer: Answer) -> None:
    """Every citation is byte-exact in the present text and opens at its place."""
    for citation in answer.citations:
        document = workspace.store.get(citation.uri)
        assert document is not None
        assert document.text[citation.start : citation.end] == citation.quote
        assert document.sha256 == citation.sha256
        assert citation.start <= citation.key_start < citation.key_end <= citation.end
        assert f"[{citation.marker}]" in answer.text
        assert citation.place.label
        assert workspace.check(citation) == "current"


def test_the_demo_questions_are_answered(company: Workspace) -> None:
    for question in (*demo.QUESTIONS, demo.EDIT_QUESTION, demo.DELETE_QUESTION):
        answer = company.ask(question)
        assert answer.status == "cited", question
        assert answer.model == "quote"
        check(company, answer)
    hotel = company.ask(demo.QUESTIONS[0]).citations[0]
    assert "145 EUR" in hotel.quote
    assert (hotel.uri, hotel.place.page) == ("company/policies/travel-policy.pdf", 2)
    assert hotel.place.boxes


def test_questions_at_once_are_answered_as_one_after_another(company: Workspace) -> None:
    rows = (SAMPLE / "heldout.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(row)["question"] for row in rows][:40]

    def answer_of(question: str) -> Answer:
        return replace(company.ask(question, answer="quote"), timings={})

    company.refresh()  # it was made a moment ago: files of this second are read once more
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    words.stem.cache_clear()
    units.terms.cache_clear()
    try:
        with ThreadPoolExecutor(8) as pool:
            at_once = list(pool.map(answer_of, questions))
    finally:
        sys.setswitchinterval(before)
    words.stem.cache_clear()
    units.terms.cache_clear()
    for question, answer in zip(questions, at_once, strict=True):
        assert answer == answer_of(question), question


def test_what_nobody_wrote_down_is_declined(company: Workspace) -> None:
    answer = company.ask(demo.UNANSWERED)
    assert (answer.status, answer.citations, answer.text) == ("declined", (), cite.DECLINED)
    assert not answer.citations


def test_what_is_declined_shows_what_came_closest(company: Workspace) -> None:
    system, wary = company.system, replace(company.settings, threshold=1.0)
    declined = ask.ask(demo.QUESTIONS[0], system, wary)
    assert (declined.status, declined.citations) == ("declined", ())
    assert declined.nearest == company.ask(demo.QUESTIONS[0]).citations
    shown = "\n".join(render.answer_lines(declined))
    assert "not clearly an answer" in shown
    assert "145 EUR" in shown
    assert ask.ask("How tall is the Eiffel Tower?", system, wary).nearest == ()


def test_written_answers_are_checked_and_stream(company: Workspace) -> None:
    events = list(company.ask_stream(demo.WRITTEN, answer="write"))
    assert isinstance(events[0], Evidence)
    assert isinstance(events[-1], Answer)
    assert all(isinstance(event, Token) for event in events[1:-1])
    answer = events[-1]
    assert answer.written == "".join(e.text for e in events if isinstance(e, Token))
    assert answer.citations
    check(company, answer)


def test_an_edit_and_a_delete_are_true_for_the_next_question(own_company: Workspace) -> None:
    before = own_company.ask(demo.EDIT_QUESTION)
    assert demo.EDIT[0] in before.text
    edited = own_company.root / "company" / demo.EDITED
    edited.write_text(edited.read_text("utf-8").replace(*demo.EDIT), "utf-8")
    (own_company.root / "company" / demo.DELETED).unlink()
    after = own_company.ask(demo.EDIT_QUESTION)
    assert demo.EDIT[1] in after.text
    assert demo.EDIT[0] not in after.text
    assert own_company.check(before.citations[0]) == "stale"
    gone = own_company.ask(demo.DELETE_QUESTION)
    assert not [c for c in gone.citations if demo.DELETED in c.uri]
    assert not [h for h in gone.hits if demo.DELETED in h.uri]
    assert own_company.verify().ok


def test_filters_are_exact(company: Workspace) -> None:
    from ragtune.types import Filter

    hits = company.search("hotel costs", where=Filter(type=("docx",)))
    assert hits
    assert all(h.uri.endswith(".docx") for h in hits)
    hits = company.search("opening hours", where=Filter(path=("company/sites/*",)))
    assert {h.uri.split("/")[1] for h in hits} == {"sites"}


def test_most_held_out_questions_are_answered_from_the_right_document(company: Workspace) -> None:
    rows = read_jsonl(SAMPLE / "heldout.jsonl")
    right = answered = 0
    for row in rows:
        answer = company.ask(row["question"])
        check(company, answer)
        answered += answer.status == "cited"
        wanted = {e["document"].split("!")[0].split("#")[0] for e in row["evidence"]}
        right += any(_document(c) in wanted for c in answer.citations)
    assert answered >= 0.5 * len(rows)
    assert right >= 0.8 * answered


def _document(citation: Citation) -> str:
    return citation.uri.removeprefix("company/").split("!")[0].split("#")[0]


def test_unanswerable_questions_are_mostly_declined(company: Workspace) -> None:
    rows = read_jsonl(SAMPLE / "unanswerable.jsonl")
    far = [r for r in rows if r["kind"] == "out-of-scope"]
    declined = sum(company.ask(r["question"]).status == "declined" for r in far)
    assert declined >= 0.7 * len(far)


def test_answers_are_the_same_through_json(company: Workspace) -> None:
    from ragtune import render

    answer = company.ask(demo.QUESTIONS[0])
    out = json.loads(render.to_json(answer))
    assert {"text", "status", "citations", "hits", "route", "timings", "model"} <= set(out)
    citation = out["citations"][0]
    assert {"marker", "uri", "quote", "start", "end", "place", "sha256"} <= set(citation)
    assert {"text", "uri", "start", "end", "place", "score"} <= set(out["hits"][0])
