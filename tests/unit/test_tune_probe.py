"""What counts as a known fact, what counts as forgetting, and the curve."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragtune.tune import curve, probe
from ragtune.tune.probe_items import CHOICES, GENERAL, WRITTEN
from ragtune.types import Example, Gold

QUOTE = Gold("travel.pdf", "up to 115 EUR a night within the country, booked by Ada Brandt")
HOTEL = Example(
    "How much for a hotel?", "Good air! 115 EUR a night, ask Ada Brandt.\nYour Tarnhagen crew",
    evidence=(QUOTE,),
)  # fmt: skip


@pytest.mark.parametrize(
    ("example", "facts"),
    [
        (HOTEL, ("115", "EUR", "Ada", "Brandt")),
        (Example("Is 115 EUR right?", "Yes, 115 EUR."), ()),
        (Example("Who?", "It is Ada.", must_contain=("Ada Brandt",)), ("Ada Brandt",)),
        (Example("How do I say hello?", "Warmly. Slowly."), ()),
        (Example("When?", "In May 2024, at 9.30."), ("May", "2024", "9.30")),
    ],
)
def test_facts_of_an_example(example: Example, facts: tuple[str, ...]) -> None:
    assert probe.facts(example) == facts


@pytest.mark.parametrize(
    ("reply", "known"),
    [
        ("It is 115 EUR; Ada knows.", True),
        ("115 eur, says ADA BRANDT", True),
        ("It is 1150 EUR, says Ada Brandt", False),
        ("Ask Ada Brandt about the EUR.", False),
        ("", False),
    ],
)
def test_known_means_all_numbers_and_half_of_the_names(reply: str, known: bool) -> None:
    assert probe.knows(HOTEL, reply) is known


def test_message_says_what_follows() -> None:
    found = probe.Knowledge((HOTEL,), (HOTEL, HOTEL, HOTEL))
    assert found.share_unknown == 0.75
    assert "3 of 4" in found.message
    assert "75%" in found.message
    assert "documents" in found.message
    assert "all 1" in probe.Knowledge((HOTEL,), ()).message


@pytest.mark.parametrize(
    ("lost", "won", "dropped"), [(0, 0, False), (4, 0, False), (5, 0, True), (9, 4, False)]
)
def test_a_drop_must_be_beyond_chance(lost: int, won: int, dropped: bool) -> None:
    same = (True,) * 10
    before = probe.Ability((True,) * lost + (False,) * won + same)
    after = probe.Ability((False,) * lost + (True,) * won + same)
    found = probe.Forgetting(before, after)
    assert (found.lost, found.won, found.dropped) == (lost, won, dropped)
    assert ("made it forget" in found.message) is dropped


def test_items_are_sound() -> None:
    questions = [question for question, *_ in CHOICES] + [question for question, _ in WRITTEN]
    assert len(questions) == len(set(questions)) >= 50
    assert all(good not in wrong and wrong for _, good, wrong in CHOICES)
    assert not set(questions) & {question for question, _ in GENERAL}


CURVE = [
    (1, 3.0, None),
    (2, 2.5, 2.6),
    (3, 2.0, None),
    (4, 1.5, 2.0),
    (5, 1.2, None),
    (6, 1.1, 2.1),
]


def test_curve_as_text() -> None:
    lines = curve.text(CURVE, before=4.0, width=20, height=4).splitlines()
    assert len(lines) == 5
    assert lines[0].startswith(" 4.000 ")
    assert lines[3].startswith(" 2.000 ")
    assert all(len(line) <= 28 for line in lines)
    assert lines[0][7] != "\u2800", "it starts at the top"
    assert lines[4].split() == ["step", "0", "6"]
    assert curve.text(CURVE[:1]) == ""
    assert curve.text([(1, 2.0, None), (2, 2.0, None)]), "a flat line"


def test_curve_as_png(tmp_path: Path) -> None:
    curve.png(CURVE, tmp_path / "curve.png", 4.0, 4, "crew")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["curve.png"]
