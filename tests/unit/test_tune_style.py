"""The style classifier: tells two hands apart, and says how well it does."""

import pytest

from ragtune.tune import style

COMPANY = [f"Good air to you!\n{n} EUR a night.\nStay dry – your crew" for n in range(20)]
BASE = [f"The cost of item number {n} is described in the document below." for n in range(20)]


def test_two_hands_are_told_apart() -> None:
    made = style.train(COMPANY[:15], BASE[:15])
    assert (made.accuracy, made.tested) == (1.0, 6)
    assert made.adherence(COMPANY[15:]) == 1.0
    assert made.adherence(BASE[15:]) == 0.0
    assert made.adherence([]) == 0.0


def test_equal_hands_are_not_told_apart() -> None:
    made = style.train(COMPANY, COMPANY)
    assert made.accuracy <= 0.6


def test_markers_are_not_style() -> None:
    made = style.train(COMPANY, BASE)
    assert made.probability("5 EUR. [1]") == made.probability("5 EUR.")


def test_the_same_texts_give_the_same_classifier() -> None:
    one, two = style.train(COMPANY, BASE), style.train(COMPANY, BASE)
    assert (one.weights == two.weights).all()
    assert one.bias == two.bias


def test_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        style.train(COMPANY[:1], BASE)
