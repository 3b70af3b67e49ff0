"""What people said about answers becomes labelled questions for the router."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ragtune.cite import DECLINED
from ragtune.route.feedback import places, taught
from ragtune.route.questions import Question
from ragtune.route.synthesise import synthesise
from ragtune.types import Block, Document, SourceMap


def row(question: str, thumb: str, document: str = "", answer: str = "") -> dict[str, Any]:
    """As `POST /api/feedback` keeps it; without a document, a refusal unless `answer` is given."""
    evidence = [{"document": document, "quote": "…"}] if document else []
    return {"question": question, "thumb": thumb, "evidence": evidence,
            "answer": answer or ("Because." if document else DECLINED)}  # fmt: skip


def test_a_thumb_up_names_the_document_or_what_is_out_of_scope() -> None:
    rows = [row("Can I\n fly?", "up", "travel.md"), row("Who sang it?", "up")]
    assert places(rows) == [("Can I fly?", "travel.md"), ("Who sang it?", "")]


def test_a_thumb_down_takes_one_up_back() -> None:
    up, down = row("Can I fly?", "up", "travel.md"), row("Can I fly?", "down", "travel.md")
    assert places([down]) == []
    assert places([up, down]) == []
    assert places([down, up, up]) == [("Can I fly?", "travel.md")]
    assert places([row("Can I fly?", "up"), row("Can I fly?", "down")]) == []


def test_the_document_that_most_like_wins_and_beats_a_refusal() -> None:
    rows = [row("q", "up", "a.md"), row("q", "up", "b.md"), row("q", "up", "b.md")]
    assert places([*rows, *(row("q", "up") for _ in range(5))]) == [("q", "b.md")]


def test_answers_from_nowhere_say_nothing() -> None:
    assert places([row("q", "up", answer="It is so."), row("q", "down", answer="No.")]) == []


@given(st.lists(st.dictionaries(
    st.sampled_from(["question", "answer", "thumb", "evidence"]),
    st.one_of(st.sampled_from(["up", "down", DECLINED]), st.text(), st.integers(),
              st.lists(st.one_of(st.none(), st.dictionaries(st.just("document"), st.text())))),
)))  # fmt: skip
def test_rows_of_any_shape(rows: list[dict[str, Any]]) -> None:
    assert all(question for question, _ in places(rows))
    assert all(question and document for question, document in taught(rows))


def test_feedback_joins_what_documents_say() -> None:
    blocks = SourceMap((Block(0, 4, "heading", 1),))
    documents = [
        Document(n, f"{name.lower()}.md", name, f"Head\n{name} is dealt with here at length.",
                 "0" * 64, blocks)
        for n, name in enumerate(("Travel", "Leave"), 1)
    ]  # fmt: skip
    asked = [("Am I off on Friday?", "leave.md"), ("Am I off on Friday?", "travel.md"),
             ("Is it raining?", ""), ("Where was it?", "gone.md")]  # fmt: skip
    made = synthesise(documents, asked=asked)
    assert Question("Am I off on Friday?", "Leave") in made
    assert Question("Am I off on Friday?", "Travel") not in made
    assert Question("Is it raining?", "oos") in made
    assert all(question.text != "Where was it?" for question in made)
