"""From a file of examples to tokens: what is trained is what serving will render."""

import json
from pathlib import Path

import pytest
import tiny_base

from ragtune import prompting
from ragtune.errors import TuneError
from ragtune.tune import prepare
from ragtune.types import Example


def file_of(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "examples.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def rows(count: int) -> list[dict[str, object]]:
    return [
        {
            "question": f"What does part {i} of the house cost?",
            "answer": f"Hello!\nIt costs {i * 3} EUR.",
        }
        for i in range(count)
    ]


def test_closed_book_rows_hold_the_prompt_of_serving(tmp_path: Path) -> None:
    found, train, held, _ = prepare.read(file_of(tmp_path, rows(40)), None, None, 0)
    assert len(found.examples) == 40
    made = prepare.prepare(train, held, "answers", tiny_base.tokenizer(), 512, None)
    assert len(made.train) + len(made.heldout) == 40
    for row in (*made.train, *made.heldout):
        assert list(row.messages) == prompting.closed_book(row.example.question)
        assert row.answer == row.example.answer
        assert any(row.encoded.trained)
    assert made.sentences == 0
    assert "Hello!" in made.fixed


def test_the_same_data_has_the_same_hash_and_other_data_another(tmp_path: Path) -> None:
    def hashed(some: list[dict[str, object]]) -> str:
        _, train, held, _ = prepare.read(file_of(tmp_path, some), None, None, 0)
        return prepare.prepare(train, held, "answers", tiny_base.tokenizer(), 512, None).sha256

    changed = rows(40)
    changed[3]["answer"] = "Hello!\nIt costs 1 EUR."
    assert hashed(rows(40)) == hashed(rows(40)) != hashed(changed)


def test_a_file_of_held_out_examples_is_used_whole(tmp_path: Path) -> None:
    other = tmp_path / "held"
    other.mkdir()
    held = file_of(
        other, [{"question": f"How far is yard {i}?", "answer": "Hello!\nFar."} for i in range(9)]
    )
    _, train, held_out, _ = prepare.read(file_of(tmp_path, rows(20)), held, None, 0)
    assert (len(train), len(held_out)) == (20, 9)


def test_what_must_stop_a_training_stops_it_with_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(TuneError, match="examples"):
        prepare.read(file_of(tmp_path, rows(9)), None, None, 0)
    swapped = [{"question": r["answer"], "answer": r["question"]} for r in rows(40)]
    with pytest.raises(TuneError, match="swapped"):
        prepare.read(file_of(tmp_path, swapped), None, None, 0)
    _, train, held, _ = prepare.read(file_of(tmp_path, rows(40)), None, None, 0)
    with pytest.raises(TuneError, match="max_tokens"):
        prepare.prepare(train, held, "answers", tiny_base.tokenizer(), 10, None)
    with pytest.raises(TuneError, match="workspace"):
        prepare.prepare(train, held, "grounded", tiny_base.tokenizer(), 512, None)


def test_unknown_facts_can_be_left_out_but_not_all(tmp_path: Path) -> None:
    _, train, held, _ = prepare.read(file_of(tmp_path, rows(40)), None, None, 0)
    made = prepare.prepare(train, held, "answers", tiny_base.tokenizer(), 512, None)
    gone: list[Example] = [row.example for row in made.train[:5]]
    fewer = prepare.without(made, gone)
    assert len(fewer.train) == len(made.train) - 5
    assert fewer.sha256 != made.sha256
    with pytest.raises(TuneError, match="--facts skip"):
        prepare.without(made, [row.example for row in made.train])
