"""Files are edited where and only where they should be, in the copy and nowhere else."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from ragtune import demo, workspace
from ragtune.compare import updates
from ragtune.compare.journal import Reply
from ragtune.compare.updates import Update, edited, find, read_updates, updated_examples
from ragtune.errors import ConfigError, DocumentError
from ragtune.tune.examples import read_examples
from ragtune.types import Example, Gold

docx = pytest.importorskip("docx")
calamine = pytest.importorskip("python_calamine")
SAMPLE = demo.SAMPLE.parent
UPDATES = read_updates(SAMPLE / "updates.jsonl")


@pytest.mark.parametrize("update", UPDATES, ids=lambda u: u.id)
def test_every_update_of_the_sample_changes_one_place(update: Update) -> None:
    path = demo.SAMPLE / update.file
    data = path.read_bytes()
    made = edited(data, path.name, update.old, update.new)
    assert texts(made, path.suffix).count(update.new) == 1 + texts(data, path.suffix).count(
        update.new
    )
    assert len(texts(made, path.suffix)) == len(texts(data, path.suffix)) + len(update.new) - len(
        update.old
    )
    assert edited(made, path.name, update.new, update.old)  # and back


def texts(data: bytes, suffix: str) -> str:
    if suffix == ".docx":
        found = docx.Document(io.BytesIO(data))
        return "\n".join(run.text for p in found.paragraphs for run in p.runs)
    if suffix == ".xlsx":
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        rows = [r for n in book.sheet_names for r in book.get_sheet_by_name(n).to_python()]
        return "\n".join(f"<{cell}>" for row in rows for cell in row)
    return data.decode("utf-8")


def test_what_is_not_there_exactly_once_is_refused() -> None:
    for data, old in ((b"one two", "three"), (b"one one", "one"), (b"%PDF-1.7 \xff\x81", "x")):
        with pytest.raises(DocumentError, match="exactly once"):
            edited(data, "a", old, "new")
    with pytest.raises(DocumentError, match="exactly once"):
        edited((demo.SAMPLE / "products/price-list-2026.xlsx").read_bytes(), "a", "EUR", "x")


def test_encodings_and_line_ends_stay() -> None:
    assert edited("Größe: 5 €\r\n".encode("cp1252"), "a", "5 €", "6 €") == (
        "Größe: 6 €\r\n".encode("cp1252")
    )
    assert edited("Größe: 5\n".encode("utf-16"), "a", "5", "6").decode("utf-16") == "Größe: 6\n"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"kind": "rename"}, "must be change, delete or add"),
        ({"file": "a", "question": "q", "old": "x", "new": "y"}, "new_answer"),
        ({"kind": "delete", "file": "a", "question": "q"}, "old_answer"),
        ({"kind": "delete", "file": "../a", "question": "q", "old_answer": "x"}, "inside"),
        ({"kind": "delete", "file": "/etc/x", "question": "q", "old_answer": "x"}, "inside"),
    ],
)
def test_wrong_updates_are_said(tmp_path: Path, row: object, said: str) -> None:
    path = tmp_path / "u.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(ConfigError, match=said):
        read_updates(path)


def test_a_link_in_the_copy_is_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "own.md").write_text("the users file")
    root = tmp_path / "copy"
    with workspace.init(root) as copy:
        (root / "docs").mkdir()
        (root / "docs" / "link.md").symlink_to(tmp_path / "own.md")
        (root / "docs" / "real.md").write_text("x")
        assert find(copy, "docs/real.md") == root / "docs" / "real.md"
        with pytest.raises(DocumentError, match="no such file"):
            find(copy, "docs/link.md")
        with pytest.raises(DocumentError, match="no such file"):
            find(copy, "ragtune.toml/../own.md")


def test_training_again_knows_the_new_facts() -> None:
    examples = [
        Example("old?", "It is 5 EUR.", evidence=(Gold("a.md", "5 EUR"),)),
        Example("other?", "It is 5 EUR.", evidence=(Gold("b.md", "5 EUR"),)),
        Example("gone?", "Yes.", evidence=(Gold("c.md", "yes"),)),
    ]
    made = updated_examples(examples, [
        Update("1", "change", "a.md", "How much?", "5 EUR", "6 EUR", "5 EUR", "6 EUR"),
        Update("2", "delete", "c.md", "Gone?", old_answer="Yes"),
    ])  # fmt: skip
    assert [e.answer for e in made] == ["It is 6 EUR.", "It is 5 EUR.", "6 EUR"]
    real = read_examples(SAMPLE / "train.jsonl").examples
    assert len(updated_examples(real, UPDATES)) == len(real) + len(UPDATES)


def test_the_race_is_judged_as_it_was_run() -> None:
    from ragtune.compare.arms import ARMS
    from ragtune.compare.race import race

    update = Update("u", "change", "a.md", "How much?", "costs 5 EUR", "costs 6 EUR",
                    "5 EUR", "6 EUR")  # fmt: skip
    facts = {"sync u after": 0.5, "sync u deleted": 0.1}

    def reply(step: str, text: str, **more: object) -> tuple[tuple[str, str], Reply]:
        return ("u", step), Reply("x", 0, "u", text=text, total=1.0, changed=step, **more)  # type: ignore[arg-type]

    fresh = dict([reply("before", "It costs 5 EUR [1]"), reply("after", "It costs 6 EUR [1]")])
    told = race(ARMS["quote"], update, fresh, facts)
    assert told["new_fact"] == told["old_stopped"] == 1.0
    assert told["seconds_to_new"] == 1.5
    assert 0.999 < told["fresh"] < 1
    both = dict([reply("before", "5 EUR"), reply("after", "It costs 5 EUR. No: 6 EUR")])
    assert race(ARMS["quote"], update, both, facts)["new_fact"] == 0.0
    closed = race(ARMS["base"], update, dict([reply("before", "5 EUR")]), facts)
    assert closed["new_fact"] == closed["old_stopped"] == closed["fresh"] == 0.0
    assert closed["leak"] == 1.0
    tuned = race(ARMS["tuned"], update, dict([reply("before", "5 EUR")]),
                 {**facts, "training tuned 0": {"seconds": 3600.0}})  # fmt: skip
    assert tuned["new_fact"] == 1.0
    assert tuned["seconds_to_new"] == 3601.0
    assert 0.49 < tuned["fresh"] < 0.5
    measured = race(ARMS["tuned"], update,
                    dict([reply("before", "5 EUR"), reply("retrained", "still 5 EUR")]),
                    {**facts, "retraining tuned": {"seconds": 60.0}})  # fmt: skip
    assert measured["new_fact"] == measured["fresh"] == 0.0
    assert updates.REMOVED > 0
