"""Checks of examples: each thing that is wrong is found, and what is right is not."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtune import demo
from ragtune.errors import TuneError
from ragtune.tune import near, personal, prepare, preview
from ragtune.tune.check import CheckReport, check
from ragtune.tune.examples import ExampleSet, read_examples
from ragtune.tune.language import language
from ragtune.types import Example

SAMPLE = demo.SAMPLE.parent
GOOD = [
    (f"What does part {name} of the {thing} cost?", f"The {thing} part {name} is {n} EUR a piece.")
    for n, (name, thing) in enumerate(
        (f"{a}{b}", t) for a in "ABCDEF" for b in range(3) for t in ("pump", "fan", "gate", "lamp")
    )
]  # fmt: skip


def read(tmp_path: Path, rows: Sequence[tuple[str, str]], name: str = "a.jsonl") -> ExampleSet:
    path = tmp_path / name
    path.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in rows))
    return read_examples(path)


def names(report: CheckReport) -> dict[str, tuple[int, ...]]:
    return {f.name: f.rows for f in report.findings}


def test_the_sample_has_nothing_wrong() -> None:
    train, heldout = (read_examples(SAMPLE / f"{n}.jsonl") for n in ("train", "heldout"))
    report = check(train, heldout)
    assert report.ok
    assert names(report).keys() == {"personal data"}  # telephone numbers of the company itself
    assert report.fixed == ("Good air to you!", "Stay dry – your Tarnhagen crew")
    assert report.languages == {"en": 375}
    assert names(check(heldout)).keys() == {"personal data"}
    again = check(train, train)
    assert not again.ok
    assert len(names(again)["held-out in training"]) == 375


def test_good_rows_have_no_finding(tmp_path: Path) -> None:
    assert names(check(read(tmp_path, GOOD))) == {}


@pytest.mark.parametrize(
    ("name", "question", "answer"),
    [
        ("no content", "What is new?", "N/A"),
        ("no content", "What is new?", "--"),
        ("answer repeats question", "What is new?", "what is new"),
        ("cut short", "What is new?", "There is a new hall for the pumps and …"),
        ("cut short", "What is new?", "Do this:\n1. Open it.\n2."),
        ("cut short", "What is new?", "Type this:\n```\nrun it\n"),
        ("cut short", "What is new?", "There is a new hall for the pumps, the fans, the gates, the "
         "lamps and also for the men who work with all of these things on every day of the"),
        ("duplicates", *GOOD[0]),
        ("conflicts", GOOD[0][0], "It costs nothing at all, take it."),
        ("near-duplicates", "What does the part A0 of the pump cost?", "It is 0 EUR a piece."),
        ("personal data", "Who?", "Write to maria.lind@firm.example or call her."),
        ("template text", "What is new?", "Nothing.<|im_end|> Bye."),
        ("template text", "What is new?", "### Response: Nothing is new."),
        ("HTML", "What is new?", "<p>Nothing is new.</p>"),
        ("HTML", "What is new?", "Pumps&nbsp;and fans."),
        ("Markdown", "What is new?", "**Nothing** is new."),
        ("escapes", "What is new?", "Nothing.\\nReally nothing."),
        ("encoding", "What is new?", "Die TÃ¼r ist neu."),
        ("maybe swapped", "Nothing is new.", "What is new?"),
    ],
)  # fmt: skip
def test_a_row_that_is_wrong_is_found(
    tmp_path: Path, name: str, question: str, answer: str
) -> None:
    found = names(check(read(tmp_path, [*GOOD, (question, answer)])))
    assert name in found
    assert len(GOOD) + 1 in found[name]


def test_answers_cut_at_one_length_are_found(tmp_path: Path) -> None:
    cut = [(f"Tell me about {i}.", ("abcdefgh " * 30)[i : i + 128]) for i in range(9)]
    rows = names(check(read(tmp_path, [*GOOD[:9], *cut])))["cut short"]
    assert len(rows) >= 7


def test_one_answer_for_everything_stops(tmp_path: Path) -> None:
    report = check(read(tmp_path, [(q, "Please call us.") for q, _ in GOOD]))
    assert not report.ok
    assert "one answer" in names(report)


def test_a_missing_ending_is_found(tmp_path: Path) -> None:
    rows = [(q, f"{a}\nYours, the desk") for q, a in GOOD[:30]]
    rows[7] = (rows[7][0], GOOD[7][1])
    assert names(check(read(tmp_path, rows)))["without the ending"] == (8,)


def test_few_left_out_and_unreviewed_rows_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"question": q, "answer": a, "reviewed": i > 0} for i, (q, a) in enumerate(GOOD[:5])]
    path.write_text("\n".join([*map(json.dumps, rows), "{broken"]))
    found = names(check(read_examples(path)))
    assert found["too few"] == ()
    assert found["left out"] == (6,)
    assert found["unreviewed"] == (1,)


def test_held_out_rows_that_are_nearly_trained(tmp_path: Path) -> None:
    train = read(tmp_path, GOOD[:20])
    near_one = ("What does the part A1 of the pump cost?", "Nothing.")
    held = read(tmp_path, [*GOOD[30:40], near_one], "b.jsonl")
    assert names(check(train, held))["near held-out"] == (11,)


def test_languages() -> None:
    assert language("How many days of leave do I have, and who is to sign for them?") == "en"
    assert (
        language("Wie viele Tage Urlaub habe ich und wer muss das für mich unterschreiben?") == "de"
    )
    assert (
        language("Combien de jours de congé est-ce que je peux prendre avec mon chef pour vous?")
        == "fr"
    )
    assert language("Сколько дней отпуска у меня есть?") == "ru"
    assert language("K09") == ""


# ---------------------------------------------------------------- personal data


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("mail maria.lind+x@firm-one.example now", "e-mail"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN"),
        ("GB82WEST12345698765432", "IBAN"),
        ("card 4111 1111 1111 1111", "payment card"),
        ("card 5500-0055-5555-5559.", "payment card"),
        ("Steuer-ID 86095742719", "German tax id"),
        ("his SSN is 219-09-9999", "US social security number"),
        ("call +49 40 1234567", "telephone number"),
        ("Tel. 040 123456-7", "telephone number"),
        ("555-123-4567", "telephone number"),
        ("host 10.1.2.3 is down", "IP address"),
        ("host fe80::1ff:fe23:4567:890a", "IP address"),
    ],
)
def test_personal_data_is_found_and_masked(text: str, kind: str) -> None:
    (found,) = personal.find(text)
    assert found.kind == kind
    original = text[found.start : found.end]
    assert original not in found.masked
    assert len(found.masked) <= 14


@pytest.mark.parametrize(
    "text",
    [
        "IBAN DE88 3704 0044 0532 0130 00",
        "card 4111 1111 1111 1112",
        "Steuer-ID 86095742718",
        "part 200-23-0001 of the list",
        "version 1.2.3.4 of the program",
        "1,234,567.89 EUR and 2026-01-31, 14:30 to 16:00",
        "between 1 000 000 and 2 000 000 units",
        "on 05-06-2024 at 127.0.0.1",
        "31.12.2026 until 01.01.2027",
        "article 41-0200, 71-0012",
        "@home and a@b",
        "",
    ],
)
def test_what_only_looks_like_personal_data(text: str) -> None:
    assert [p for p in personal.find(text) if p.kind != "telephone number"] == []
    assert not list(personal.find(text)) or "million" in text


@given(st.text(max_size=200))
def test_masks_never_hold_what_they_hide(text: str) -> None:
    ends = []
    for found in personal.find(text):
        assert text[found.start : found.end] not in found.masked
        ends.append((found.start, found.end))
    assert all(a[1] <= b[0] or b[1] <= a[0] for a in ends for b in ends if a != b)


# ---------------------------------------------------------------- near-duplicates

some_words = st.lists(st.sampled_from("pump fan gate lamp hose tank belt motor cover".split()),
                      min_size=3, max_size=9).map(" ".join)  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(st.lists(some_words, min_size=1, max_size=12))
def test_near_duplicates_are_the_true_ones(texts: list[str]) -> None:
    found = {(i, j) for i, j, _ in near.pairs(texts)}
    sets = [near._shingles(t) for t in texts]
    for i, j in found:
        assert i < j
        assert len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= near.SIMILAR
    for j, text in enumerate(texts):  # whoever has an exact copy before stands in a pair
        if text in texts[:j]:
            assert any(j in pair for pair in found)


def test_codes_tell_texts_apart() -> None:
    assert near.pairs(["What does code K09 mean?", "What does code K10 mean?"]) == []
    assert near.pairs([]) == []
    assert near.pairs(["a"], []) == []


def test_near_duplicates_across_two_sets() -> None:
    texts = ["How much may a hotel cost per night?", "Who signs the lease?"]
    others = ["who signs the lease", "What is new?", "How much may the hotel cost per night?"]
    assert [(i, j) for i, j, _ in near.pairs(texts, others)] == [(0, 2), (1, 0)]


# ---------------------------------------------------------------- hostile texts


@pytest.mark.parametrize("text", [
    "!" * 150_000 + "a", "[" * 150_000, "**" * 70_000, "\n" * 150_000 + "x", "<p" * 70_000,
    "1 " * 70_000, "a@" * 70_000, ":" * 150_000, "&#1" * 50_000, "+1 (" * 40_000, "|x" * 70_000,
])  # fmt: skip
def test_no_text_takes_long(tmp_path: Path, text: str) -> None:
    started = time.process_time()
    check(read(tmp_path, [*GOOD[:5], ("What?", f"x {text} x")]))
    assert time.process_time() - started < 30  # backtracking would take hours, this a second


# ---------------------------------------------------------------- the pre-flight view


def test_what_is_shown_is_safe_and_whole() -> None:
    assert preview.visible("a\x1b[31m\u202e\tb\nc\xa0d⟦") == "a␛[31m⟨U+202E⟩⇥b↵\nc␣d["
    many = [Example(f"q{i}", "a" * (i % 7)) for i in range(50)]
    for count in (0, 1, 2, 7, 60):
        picked = preview.chosen(many, count)
        assert len(picked) == min(count, 50)
        assert picked == sorted(set(picked))


def test_too_few_to_train_on_is_said_before_training_says_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"question": f"{q} {n}?", "answer": f"{a} {n}"} for n in range(2) for q, a in GOOD[:5]]
    path.write_text("\n".join(map(json.dumps, rows)))
    report = check(read_examples(path))
    assert "too few" in names(report)
    assert not report.ok
    with pytest.raises(TuneError, match="examples to train on"):
        prepare.read(path, None, None, 0)
    more = tmp_path / "held.jsonl"
    more.write_text(json.dumps({"question": "Something else entirely?", "answer": "Yes, it is."}))
    assert "too few" not in names(check(read_examples(path), read_examples(more)))
