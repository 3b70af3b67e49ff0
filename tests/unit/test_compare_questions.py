"""The test set: read or stopped with a reason, held out by document, free of what was trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune import demo
from ragtune.compare.questions import (
    Question,
    freeze,
    from_example,
    hold_out,
    near_duplicates,
    read_questions,
    source_of,
)
from ragtune.errors import ConfigError
from ragtune.tune.examples import read_examples
from ragtune.types import Example, Gold

SAMPLE = demo.SAMPLE.parent


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return path


def test_the_sample_is_read_with_what_nobody_wrote_down() -> None:
    questions = read_questions([SAMPLE / "heldout.jsonl", SAMPLE / "unanswerable.jsonl"])
    assert sum(q.answerable for q in questions) >= 60
    assert sum(not q.answerable for q in questions) >= 24
    assert all(q.answers for q in questions if q.answerable)
    assert all(q.source for q in questions)
    first = questions[0]
    assert first.evidence[0].document == first.source == "policies/travel-policy.pdf"


def test_csv_and_jsonl_say_the_same(tmp_path: Path) -> None:
    row = {"question": "How much?", "answers": ["5 EUR", "5"], "must_contain": ["EUR"],
           "kind": "fact", "evidence": [{"document": "a.md", "quote": "costs 5 EUR"}]}  # fmt: skip
    one = read_questions([write(tmp_path / "q.jsonl", row)])
    table = tmp_path / "q.csv"
    table.write_text(
        'question;answers;must_contain;document;quote;kind\n'
        '"How much?";"5 EUR|5";EUR;a.md;"costs 5 EUR";fact\n', "utf-8-sig"
    )  # fmt: skip
    two = read_questions([table])
    assert [vars_of(q) for q in one] == [vars_of(q) for q in two]


def vars_of(question: Question) -> dict[str, object]:
    return {name: getattr(question, name) for name in question.__slots__ if name != "id"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"answer": "x"}, 'no "question"'),
        ({"question": " "}, 'no "question"'),
        ({"question": "x"}, "to judge by"),
        ({"question": "x", "answers": {"a": 1}}, "list of texts"),
        ({"question": "x", "answer": 5}, '"answer" must be a text'),
        ({"question": "x", "answer": "y", "evidence": ["z"]}, '"evidence"'),
        (["no object"], "JSON object"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(tmp_path: Path, row: object, said: str) -> None:
    path = write(tmp_path / "q.jsonl", {"question": "ok", "answer": "yes"}, row)
    with pytest.raises(ConfigError, match=said) as caught:
        read_questions([path])
    assert "2" in str(caught.value)


def test_no_file_and_no_question_left_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_questions([tmp_path / "none.jsonl"])
    with pytest.raises(ConfigError, match="no question is left"):
        freeze([])
    twice = {"id": "a", "question": "ok", "answer": "yes"}
    with pytest.raises(ConfigError, match="not unique"):
        read_questions([write(tmp_path / "q.jsonl", twice, twice)])


def test_the_hash_changes_with_any_gold() -> None:
    one = Question("a", "What?", answers=("x",))
    assert freeze([one]).sha256 == freeze([one]).sha256
    others = [Question("a", "What?", answers=("y",)), Question("a", "What?", must=("x",))]
    assert len({freeze([q]).sha256 for q in [one, *others]}) == 3


def test_holding_out_keeps_documents_apart() -> None:
    examples = list(read_examples(SAMPLE / "train.jsonl").examples)
    train, test, notes = hold_out(examples, seed=3)
    trained = {g.document.partition("!/")[0].partition("#")[0] for e in train for g in e.evidence}
    asked = {source_of([g]) for e in test for g in e.evidence}
    assert not trained & asked
    assert 0.15 * len(examples) <= len(test) <= 0.45 * len(examples)
    assert len(train) + len(test) <= len(examples)
    assert any("held out" in note for note in notes)
    assert hold_out(examples, seed=3)[1] == test
    assert from_example(test[0], 1).answerable


@given(st.integers(0, 50), st.lists(st.sampled_from("abcdef"), min_size=1, max_size=30))
def test_nothing_is_on_both_sides(seed: int, documents: list[str]) -> None:
    examples = [
        Example(f"question {i}", "answer", evidence=(Gold(d, "x"), Gold(documents[i // 2], "y")))
        for i, d in enumerate(documents)
    ]
    train, test, _ = hold_out(examples, seed=seed)
    assert not {g.document for e in train for g in e.evidence} & {
        g.document for e in test for g in e.evidence
    }
    assert not {e.question for e in train} & {e.question for e in test}


def test_near_duplicates_are_found_and_numbers_matter() -> None:
    asked = [
        Question("same", "How much may a hotel cost per night abroad?", answers=("x",)),
        Question("number", "What does the Kondor 210 weigh?", answers=("x",)),
        Question("new", "Who repairs the forklift?", answers=("x",)),
    ]
    found = near_duplicates(
        asked, ["how much may a hotel cost per night abroad", "What does the Kondor 200 weigh?"]
    )
    assert set(found) == {"same"}
