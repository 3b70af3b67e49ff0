"""The intervals cover, false winners are rare, and the parts agree with known values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from ragtune.compare import statistics
from ragtune.compare.statistics import Draws, difference, holm, interval
from ragtune.compare.verdict import Standing, judge

Floats = NDArray[np.float64]
SIMULATIONS = 1_000
SAMPLES = 400  # resamples in a simulation; the tails need no more for an average over many


def world(
    random: np.random.Generator, documents: int, gap: float, arms: int = 2
) -> tuple[list[str], Floats]:
    """Right or wrong, shape (questions, arms): documents are harder or easier, also for one arm.

    The first arm is better by `gap`; nothing is clipped, so the gap is exact.
    """
    of = np.repeat(np.arange(documents), random.integers(1, 4, documents))
    base = random.uniform(0.3, 0.6, documents)[of]
    own = random.uniform(-0.15, 0.15, (documents, arms))[of]
    chance = base[:, None] + own
    chance[:, 0] += gap
    return [str(d) for d in of], (random.random(chance.shape) < chance).astype(float)


@pytest.mark.parametrize("gap", [0.0, 0.2])
def test_intervals_of_a_known_difference_cover_it(gap: float) -> None:
    random = np.random.default_rng(7)
    covered = found = 0
    for i in range(SIMULATIONS):
        documents = (20, 40, 60)[i % 3]
        clusters, values = world(random, documents, gap)
        drawn = Draws(clusters, SAMPLES, seed=i).means(values)
        mean = values.mean(axis=0)
        seen = difference(drawn[:, 0] - drawn[:, 1], mean[0] - mean[1], len(values), documents)
        covered += seen.low <= gap <= seen.high
        found += seen.p < 0.05
        assert seen.low <= seen.value <= seen.high
    assert 0.93 <= covered / SIMULATIONS <= 0.97
    if gap == 0.0:
        assert found / SIMULATIONS <= 0.065  # of a single test; five percent and its noise
    else:
        assert found / SIMULATIONS > 0.5


def standings(clusters: list[str], values: Floats, seed: int) -> list[Standing]:
    drawn = Draws(clusters, SAMPLES, seed=seed).means(values)
    return [
        Standing(f"arm{i}", {"accuracy": float(values[:, i].mean())}, {"accuracy": drawn[:, i]})
        for i in range(values.shape[1])
    ]


def test_a_winner_among_equals_is_rare() -> None:
    random = np.random.default_rng(11)
    winners = 0
    for i in range(1_000):
        documents = (20, 40, 60)[i % 3]
        clusters, values = world(random, documents, 0.0, arms=2 + i % 4)
        found = judge(standings(clusters, values, i), {"accuracy": 1}, len(values), documents)
        winners += found.winner is not None
    assert winners / 1_000 <= 0.05


def test_an_arm_that_is_better_by_design_wins() -> None:
    random = np.random.default_rng(5)
    wins = 0
    for i in range(60):
        clusters, values = world(random, 80, 0.35, arms=4)
        found = judge(standings(clusters, values, i), {"accuracy": 1}, len(values), 80)
        assert found.leader == "arm0"
        wins += found.winner == "arm0"
    assert wins >= 54


def test_a_handful_of_questions_names_no_winner() -> None:
    for n in range(1, 7):
        values = np.stack([np.ones(n), np.zeros(n), np.zeros(n)], axis=1)
        clusters = [str(i) for i in range(n)]
        found = judge(standings(clusters, values, 0), {"accuracy": 1}, n, n)
        assert found.leader == "arm0"
        assert found.winner is None, n
        assert found.more is None or found.more >= 1


def test_questions_of_one_document_count_as_one() -> None:
    values = np.stack([np.ones(50), np.zeros(50)], axis=1)
    found = judge(standings(["same"] * 50, values, 0), {"accuracy": 1}, 50, 1)
    assert found.winner is None


def test_student_t_is_that_of_scipy() -> None:
    for freedom in (1, 2, 3, 8, 29, 100, 999):
        for t in (-3.0, 0.0, 0.4, 1.96, 7.5):
            assert abs(statistics.t_cdf(t, freedom) - stats.t.cdf(t, freedom)) < 1e-10
        assert abs(statistics._t_quantile(0.975, freedom) - stats.t.ppf(0.975, freedom)) < 1e-6


def test_wilson_is_that_of_scipy() -> None:
    for k, n in ((0, 10), (3, 10), (10, 10), (57, 200)):
        low, high = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert np.allclose(statistics.wilson(k, n), (low, high), atol=1e-9)


def test_holm_of_a_known_family() -> None:
    # multcomp and p.adjust(method = "holm") in R give these
    given = [0.01, 0.04, 0.03, 0.005]
    assert np.allclose(holm(given), [0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert all(np.diff(np.array(adjusted)[order]) >= 0)
    assert min(adjusted) == min(1.0, len(p_values) * min(p_values))


def test_the_mean_of_the_draws_is_that_of_scipy() -> None:
    random = np.random.default_rng(3)
    values = random.normal(size=60)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=8_000, method="percentile", rng=1)
    mine = Draws([str(i) for i in range(60)], 8_000).means(values[:, None])[:, 0]
    assert abs(mine.std() - theirs.standard_error) < 0.01
    seen = interval(mine, float(values.mean()), 60, 60)
    low, high = theirs.confidence_interval
    assert seen.low < low + 0.02
    assert seen.high > high - 0.02


def test_draws_are_the_same_twice_and_leave_out_what_does_not_count() -> None:
    clusters = ["a", "a", "b", "c", "d", "e"]
    values = np.array([[1, np.nan], [0, 1], [1, 1], [0, np.nan], [1, 1], [1, 1]], float)
    one, two = Draws(clusters, 500).means(values), Draws(clusters, 500).means(values)
    assert np.array_equal(one, two, equal_nan=True)
    assert np.nanmin(one[:, 1]) == np.nanmax(one[:, 1]) == 1.0


def test_what_cannot_vary_has_no_false_certainty() -> None:
    drawn = Draws([str(i) for i in range(12)], 500).means(np.ones((12, 1)))[:, 0]
    seen = interval(drawn, 1.0, 12, 12)
    assert seen.high == 1.0
    assert 0.7 < seen.low < 0.8  # 12 of 12 is not certainty
    same = difference(np.zeros(500), 0.0, 12, 12)
    assert same.p == 1.0
    assert same.more is None
    assert same.low < 0 < same.high


def test_the_detectable_gap_is_the_one_of_the_books() -> None:
    # a paired difference with the spread 0.45: about 18 points with 50 questions, 12.5 with 100
    assert statistics.detectable_gap(50, 0.45) == pytest.approx(0.178, abs=0.002)
    assert statistics.detectable_gap(100, 0.45) == pytest.approx(0.126, abs=0.002)
