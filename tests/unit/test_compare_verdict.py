"""The verdict does not depend on order, moves with the weights as it says, and prices add up."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune.compare.cost import CRITERIA, Cost, Effort, break_even, cost, read_prices
from ragtune.compare.verdict import Standing, attribution, judge, normalised, speed
from ragtune.errors import ConfigError

VALUES = st.lists(
    st.lists(st.floats(0, 1).map(lambda v: round(v, 3)), min_size=6, max_size=6),
    min_size=2, max_size=5,
)  # fmt: skip
WEIGHTS = st.lists(st.integers(1, 50), min_size=6, max_size=6)


def standings(values: list[list[float]]) -> list[Standing]:
    made = []
    for i, row in enumerate(values):
        noise = np.random.default_rng(i).normal(0, 0.02, 300)
        made.append(Standing(f"arm{i}", dict(zip(CRITERIA, row, strict=True)),
                             {"accuracy": row[0] + noise}))  # fmt: skip
    return made


@given(VALUES, WEIGHTS, st.randoms())
def test_the_order_of_the_arms_changes_nothing(
    values: list[list[float]], weights: list[int], random_: random.Random
) -> None:
    arms = standings(values)
    given_ = dict(zip(CRITERIA, map(float, weights), strict=True))
    one = judge(arms, given_, 60, 40)
    mixed = arms[:]
    random_.shuffle(mixed)
    other = judge(mixed, given_, 60, 40)
    assert (one.winner, one.leader, one.decisive) == (other.winner, other.leader, other.decisive)
    assert one.totals == {name: pytest.approx(v) for name, v in other.totals.items()}
    assert one.winner in (None, one.leader)


@given(VALUES, WEIGHTS)
def test_weights_can_move_as_far_as_is_said_and_no_further(
    values: list[list[float]], weights: list[int]
) -> None:
    arms = standings(values)
    share = normalised(dict(zip(CRITERIA, map(float, weights), strict=True)))
    found = judge(arms, share, 60, 40)

    def lead(criterion: str, weight: float) -> float:
        """By how much the leader is ahead when one weight is moved."""
        moved = {c: weight if c == criterion else share[c] * (1 - weight) / (1 - share[criterion])
                 for c in CRITERIA}  # fmt: skip
        totals = {a.name: sum(moved[c] * a.values[c] for c in CRITERIA) for a in arms}
        return totals[found.leader] - max(v for n, v in totals.items() if n != found.leader)

    for s in found.stability:
        assert s.low <= s.weight <= s.high
        for inside in (s.low, (s.low + s.high) / 2, s.high):
            assert lead(s.criterion, inside) >= -1e-9
        if s.at_high is not None and s.high < 0.999:
            assert lead(s.criterion, min(1.0, s.high + 1e-3)) < 1e-9
        if s.at_low is not None and s.low > 0.001:
            assert lead(s.criterion, max(0.0, s.low - 1e-3)) < 1e-9


def test_the_decisive_criteria_are_those_that_part_the_two() -> None:
    arms = standings([[0.9, 0.9, 0.5, 0.5, 0.5, 0.5], [0.5, 0.8, 0.5, 0.5, 0.9, 0.5]])
    found = judge(arms, dict.fromkeys(CRITERIA, 1.0), 60, 40)
    assert [c for c, _ in found.decisive[:2]] == ["accuracy", "style"]
    assert found.decisive[0][1] == pytest.approx(0.4 / 6)


def test_criteria_mean_the_same_everywhere() -> None:
    assert speed(0) == 1
    assert speed(2) == 0.5
    assert attribution(0, 0) == 0
    assert attribution(1, 0.5) == pytest.approx(2 / 3)


PRICES = read_prices()


def test_a_tuned_arm_is_charged_its_training_and_its_labels() -> None:
    tuned = cost(Effort(training=3600, examples=100, retraining=3600, question=1.0), PRICES)
    core = PRICES.cpu_hour
    label = PRICES.labelling_hour * PRICES.minutes_per_example / 60
    assert tuned.fixed == pytest.approx(core + 100 * label)
    assert tuned.change == pytest.approx(core / PRICES.changes_per_training + label)
    assert tuned.question == pytest.approx(core / 3600)
    assert tuned.correct == math.inf
    month = tuned.fixed / PRICES.months + tuned.change * PRICES.changes_month
    assert tuned.month == pytest.approx(month + tuned.question * PRICES.questions_month)
    assert tuned.at(PRICES.questions_month, PRICES) == pytest.approx(tuned.month)


@given(*[st.floats(0, 100)] * 6)
def test_beyond_the_break_even_the_other_is_cheaper(
    a: float, b: float, c: float, d: float, e: float, f: float
) -> None:
    one, other = Cost(a, b, c, 0, 0, 0), Cost(d, e, f, 0, 0, 0)
    volume = break_even(one, other, PRICES)
    if volume is not None and 1e-6 < volume < 1e9:
        assert one.at(2 * volume, PRICES) <= other.at(2 * volume, PRICES) + 1e-6
        assert one.at(volume / 2, PRICES) >= other.at(volume / 2, PRICES) - 1e-6
        assert break_even(other, one, PRICES) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[compute]\ncpu_hours = 1", "unknown entry"),
        ("[volume]\nmonths = -1", "from 0 upwards"),
        ("[volume]\nmonths = 0", "above 0"),
        ("[people]\nwrong_answer = nan", "from 0 upwards"),
        ("compute = 5", "unknown entry"),
        ("[weights]\n" + "\n".join(f"{c} = 0" for c in CRITERIA), "at least one"),
        ("x = [", "cannot read"),
    ],
)
def test_wrong_prices_are_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_prices(path)
    path.write_text('currency = "CHF"\n[compute]\ncpu_hour = 2')
    assert read_prices(path).cpu_hour == 2
    assert read_prices(path).months == PRICES.months
