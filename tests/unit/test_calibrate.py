"""The threshold is fitted where there are enough questions, and said to be missing otherwise."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune import calibrate
from ragtune.errors import ConfigError

SCORES = st.lists(st.floats(0, 1), min_size=calibrate.NEEDED, max_size=60)


def rows(yes: list[float], no: list[float]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    scores = {f"yes {i}": s for i, s in enumerate(yes)} | {f"no {i}": s for i, s in enumerate(no)}
    return [{"question": q, "answerable": q.startswith("yes")} for q in scores], scores


def test_separable_questions_are_separated() -> None:
    some, scores = rows([0.7, 0.8] * 15, [0.1, 0.3] * 15)
    result = calibrate.calibrate(some, scores.__getitem__)
    assert result.threshold == pytest.approx(0.5)
    assert (result.answerable, result.unanswerable) == (30, 30)
    best = next(p for p in result.points if p.threshold == result.threshold)
    assert (best.kept, best.declined, best.error, best.coverage) == (1, 1, 0, 0.5)


@given(SCORES, SCORES)
def test_at_least_nine_in_ten_answerable_are_kept(yes: list[float], no: list[float]) -> None:
    some, scores = rows(yes, no)
    result = calibrate.calibrate(some, scores.__getitem__)
    assert result.threshold is not None
    assert sum(s >= result.threshold for s in yes) >= calibrate.KEEP * len(yes)
    kept = [p.kept for p in result.points]
    declined = [p.declined for p in result.points]
    assert kept == sorted(kept, reverse=True)
    assert declined == sorted(declined)
    assert result.points[0].kept == 1


def test_too_few_says_how_many_more() -> None:
    some, scores = rows([0.9] * 12, [0.1] * 40)
    result = calibrate.calibrate(some, scores.__getitem__)
    assert result.threshold is None
    assert (result.missing_answerable, result.missing_unanswerable) == (8, 0)
    assert "8 more answerable questions are needed" in calibrate.lines(result)[-1]


def test_lines_mark_the_chosen_threshold() -> None:
    some, scores = rows([0.7, 0.8] * 15, [0.1, 0.3] * 15)
    result = calibrate.calibrate(some, scores.__getitem__)
    assert sum("<- chosen" in line for line in calibrate.lines(result)) == 1


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"answerable": False, "answer": "x"}, False),
        ({"answerable": True, "kind": "unanswerable"}, True),
        ({"kind": "near-miss"}, False),
        ({"kind": "fact", "answer": "5"}, True),
        ({"answers": []}, False),
        ({}, True),
    ],
)
def test_answerable(row: dict[str, Any], expected: bool) -> None:
    assert calibrate.answerable(row) is expected


def test_a_row_without_question_is_an_error() -> None:
    with pytest.raises(ConfigError, match="line 2"):
        calibrate.calibrate([{"question": "a?"}, {"answer": "b"}], lambda _: 0.5)
