"""Drafting: questions by rule, what is refused, and files that a killed run left behind."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune.errors import TuneError
from ragtune.tune import build, drafting
from ragtune.tune.drafting import Candidate, Draft
from ragtune.types import Block, BlockKind, Document, SourceMap


def candidate(text: str, kind: BlockKind = "paragraph", title: str = "House rules") -> Candidate:
    document = Document(1, "a.md", title, text, "0" * 64, SourceMap((Block(0, len(text), kind),)))
    return Candidate(document, 0, len(text), kind, 1.0)


@pytest.mark.parametrize(
    ("text", "kind", "question", "answer"),
    [
        ("Employees may carry over up to five days until 31 March.", "paragraph",
         "How many days may employees carry over until 31 March?", "up to five days"),
        ("A password has at least 14 characters.", "paragraph",
         "How many characters does a password have?", "at least 14 characters"),
        ("The Kondor 200 weighs 32 kg.", "paragraph",
         "How much does the Kondor 200 weigh?", "32 kg"),
        ("A replacement badge costs 10 EUR.", "paragraph",
         "How much does a replacement badge cost?", "10 EUR"),
        ("The offer is valid for 30 days.", "paragraph", "How long is the offer valid?",
         "for 30 days"),
        ("Every unit must be returned within two days.", "paragraph",
         "Within what time must every unit be returned?", "within two days"),
        ("code: K01 | meaning: Tank full", "row", "What is the meaning of K01?", "Tank full"),
        ("Department: Plant | Head: Dr. Cornelius Vahl", "row", "Who is the head of Plant?",
         "Dr. Cornelius Vahl"),
        ("Property: Air flow | Kondor 200: 420 m³/h", "row",
         "What is the air flow of the Kondor 200?", "420 m³/h"),
    ],
)  # fmt: skip
def test_rules_turn_a_sentence_round(
    text: str, kind: BlockKind, question: str, answer: str
) -> None:
    (draft,) = drafting.by_rule(candidate(text, kind))
    assert (draft.question, draft.answer) == (question, answer)
    assert build.fault(draft, candidate(text, kind), []) is None


@pytest.mark.parametrize(
    "text",
    [
        "Gifts to customers may cost up to 30 EUR per person and year.",
        "The waiver costs 8 per cent of the hire and limits liability to 150 EUR.",
        "No member may take 5 days.",
        "It costs 10 EUR.",
        "Data: Visitor lists | Kept for: 4 weeks",
        "Property: Fuel | Value: diesel",
    ],
)
def test_rules_are_silent_where_the_question_would_be_odd(text: str) -> None:
    kind: BlockKind = "row" if " | " in text else "paragraph"
    found = candidate(text, kind)
    assert not [d for d in drafting.by_rule(found) if "It" not in text]
    assert drafting.worth("It costs 10 EUR, see above for more.", "paragraph") == 0


@pytest.mark.parametrize(
    ("question", "answer", "why"),
    [
        ("How much may a hotel cost?", "145 EUR", "does not support"),
        ("How much may a hotel cost?", "", "empty"),
        ("How much may a hotel cost?", "a hotel", "gives the answer away"),
        ("May a hotel cost up to 115 EUR?", "115 EUR", "gives the answer away"),
        ("How much does the rocket launch weigh in May?", "115 EUR", "something else"),
        ("Who?", "115 EUR", "no real question"),
        ("How much may a hotel cost in 2031?", "115 EUR", "number that the evidence does not"),
        ("How much may a night in the hotel cost?", "in the country", "not of the kind"),
        ("How much may a hotel cost a night", "115 EUR", "no real question"),
    ],
)
def test_drafts_with_a_fault_are_refused(question: str, answer: str, why: str) -> None:
    found = candidate("A hotel may cost up to 115 EUR a night in the country.")
    reason = build.fault(Draft(question, answer, "rule"), found, [])
    assert reason is not None
    assert why in reason
    good = Draft("How much may a hotel cost a night in the country?", "up to 115 EUR", "test")
    assert build.fault(good, found, []) is None
    assert build.fault(good, found, ["how much may a hotel cost a night, in the country?"])


def test_the_target_stands_once_in_the_sentence() -> None:
    assert drafting.target("Invoices are due within 30 days.") == "within 30 days"
    assert drafting.target("Reports go to Ilka Wendisch at once.") == "Ilka Wendisch"
    assert drafting.target("Doors stay shut.") is None


@given(st.text(max_size=120), st.sampled_from(["paragraph", "item", "row"]))
def test_whatever_a_document_says_rules_quote_it(text: str, kind: BlockKind) -> None:
    drafting.worth(text, kind)
    flat = " ".join(text.split())
    if (target := drafting.target(text)) is not None:
        assert target in flat
    for draft in drafting.by_rule(candidate(text, kind)):
        assert draft.answer in flat
        assert draft.question.endswith("?")


def test_a_torn_file_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "drafts.jsonl"
    row = json.dumps({"question": "Q?", "answer": "A"})
    assert build._kept(file) == []
    file.write_text(f"{row}\n{row[:9]}")
    assert len(build._kept(file)) == 1
    assert file.read_text() == f"{row}\n"
    file.write_text(f"{row}\n{row}")  # edited by hand, without a last line end
    assert len(build._kept(file)) == 2
    assert file.read_text() == f"{row}\n{row}\n"
    file.write_text(f"name,age\n{row}\n")
    with pytest.raises(TuneError, match="line 1: no draft: take another file"):
        build._kept(file)
    assert file.read_text() == f"name,age\n{row}\n"
