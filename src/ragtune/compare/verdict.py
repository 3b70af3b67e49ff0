"""Which arm fits: a weighted sum of six criteria, with its doubt, or "cannot tell yet".

Each criterion is a number from 0 to 1 that means the same whatever other arms take part, except
cost, which is the cheapest arm's month over this arm's. The sum is taken in every bootstrap
resample, so its differences carry the doubt of the questions and of the updates. A winner has
beaten every other arm (Holm-adjusted p below 0.05); otherwise there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragtune.compare import statistics
from ragtune.compare.cost import CRITERIA
from ragtune.compare.statistics import LEVEL, Difference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST = 20  # questions below which no winner is named, however far one is ahead
SAME = 0.02  # a difference of the weighted sum that nobody would notice
BEARABLE = 2.0  # seconds at which an answer's speed counts half


@dataclass(frozen=True, slots=True)
class Standing:
    """One arm's criteria: the value of each from 0 to 1, and their resampled values."""

    name: str
    values: Mapping[str, float]
    draws: Mapping[str, Floats]  # criterion: shape (samples,); what is not resampled is left out


@dataclass(frozen=True, slots=True)
class Rival:
    """The leader against another arm, on the weighted sum."""

    name: str
    difference: Difference


@dataclass(frozen=True, slots=True)
class Stability:
    """How far one weight can move (all others in proportion) before another arm leads.

    `low` and `high` are shares of all weights; `at_low` and `at_high` name who leads beyond, None
    where nobody does.
    """

    criterion: str
    weight: float
    low: float
    high: float
    at_low: str | None
    at_high: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`winner` is None where the questions cannot tell; `leader` has the largest sum either way.

    `decisive` are the three criteria that part the leader most from the runner-up, by weighted
    difference. `more` is how many further questions would tell, None where no number would.
    """

    winner: str | None
    leader: str
    runner_up: str | None
    totals: Mapping[str, float]
    rivals: tuple[Rival, ...]
    decisive: tuple[tuple[str, float], ...]
    stability: tuple[Stability, ...]
    more: int | None
    same: tuple[str, ...]  # arms that cannot be told from the leader, and need not be


def speed(seconds: float) -> float:
    """The criterion of speed: 1 at once, 0.5 at BEARABLE seconds."""
    return 1 / (1 + max(0.0, seconds) / BEARABLE)


def attribution(precision: float, recall: float) -> float:
    """The criterion of attribution: the harmonic mean of citation precision and recall."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def normalised(weights: Mapping[str, float]) -> dict[str, float]:
    """The weights of all criteria as shares of their sum."""
    total = sum(weights.get(c, 0.0) for c in CRITERIA)
    return {c: weights.get(c, 0.0) / total for c in CRITERIA}


def judge(
    standings: Sequence[Standing],
    weights: Mapping[str, float],
    n: int,
    clusters: int,
    update_clusters: int = 0,
) -> Verdict:
    """The verdict over these arms for `n` questions about `clusters` documents.

    `update_clusters` is the number of files that the updates changed.
    """
    share = normalised(weights)
    totals = {s.name: sum(share[c] * s.values.get(c, 0.0) for c in CRITERIA) for s in standings}
    by_name = {s.name: s for s in standings}
    order = sorted(totals, key=lambda name: (-totals[name], name))
    leader = order[0]
    rivals = _rivals(by_name, order, totals, share, (n, clusters, update_clusters))
    unsure = [r for r in rivals if r.difference.p_holm >= LEVEL]
    runner_up = order[1] if len(order) > 1 else None
    more: int | None = 0
    if unsure:
        needs = [r.difference.more for r in unsure]
        more = None if any(m is None for m in needs) else max(m for m in needs if m is not None)
        more = max(more, 1) if more is not None else None
    if rivals and n < LEAST:
        more = max(more or 0, LEAST - n)
    decisive = _decisive(by_name[leader], by_name[runner_up], share) if runner_up else ()
    same = tuple(
        r.name for r in unsure if max(abs(r.difference.low), abs(r.difference.high)) <= SAME
    )
    return Verdict(
        winner=leader if rivals and not unsure and n >= LEAST else None,
        leader=leader,
        runner_up=runner_up,
        totals=totals,
        rivals=tuple(rivals),
        decisive=decisive,
        stability=tuple(_stability(c, standings, leader, share) for c in CRITERIA),
        more=more,
        same=same,
    )


def _rivals(
    by_name: Mapping[str, Standing],
    order: Sequence[str],
    totals: Mapping[str, float],
    share: Mapping[str, float],
    sizes: tuple[int, int, int],
) -> list[Rival]:
    from dataclasses import replace

    leader = order[0]
    n, clusters, update_clusters = sizes
    found = []
    for other in order[1:]:
        sure = _clusters(by_name[leader], by_name[other], share, clusters, update_clusters)
        draws = _total(by_name[leader], share) - _total(by_name[other], share)
        value = totals[leader] - totals[other]
        found.append(Rival(other, statistics.difference(draws, value, n, sure, len(order) - 1)))
    adjusted = statistics.holm([r.difference.p for r in found])
    return [Rival(r.name, replace(r.difference, p_holm=p))
            for r, p in zip(found, adjusted, strict=True)]  # fmt: skip


def _clusters(
    one: Standing, other: Standing, share: Mapping[str, float], questions: int, files: int
) -> int:
    """How many clusters a difference of sums rests on: its variance comes from the questions'
    documents and from the updates' files, and counts as their degrees of freedom do in a sum
    (Satterthwaite 1946). It is never surer than the questions' documents alone could make it.
    """
    import numpy as np

    def variance(criteria: Sequence[str]) -> float:
        mine = {c: share[c] for c in criteria}
        return float(np.var(_total(one, mine) - _total(other, mine)))

    updates = variance(["freshness"]) if files > 1 else 0.0
    if not updates:
        return questions
    rest = variance([c for c in CRITERIA if c != "freshness"])
    freedom = (rest + updates) ** 2 / (
        rest**2 / max(1, questions - 1) + updates**2 / max(1, files - 1)
    )
    return min(questions, max(2, 1 + math.floor(freedom)))


def _total(standing: Standing, share: Mapping[str, float]) -> Floats:
    import numpy as np

    size = max((len(d) for d in standing.draws.values()), default=1)
    total = np.zeros(size)
    for criterion in CRITERIA:
        drawn = standing.draws.get(criterion)
        total = total + share.get(criterion, 0.0) * (
            standing.values.get(criterion, 0.0) if drawn is None else drawn
        )
    return total


def _decisive(
    leader: Standing, other: Standing, share: Mapping[str, float]
) -> tuple[tuple[str, float], ...]:
    gaps = [
        (c, share[c] * (leader.values.get(c, 0.0) - other.values.get(c, 0.0))) for c in CRITERIA
    ]
    gaps.sort(key=lambda gap: (-abs(gap[1]), gap[0]))
    return tuple(gaps[:3])


def _stability(
    criterion: str, standings: Sequence[Standing], leader: str, share: Mapping[str, float]
) -> Stability:
    """Where another arm overtakes as this weight moves: the sums are linear in it."""
    now = share[criterion]
    first = next(s for s in standings if s.name == leader)
    low, high, at_low, at_high = 0.0, 1.0, None, None
    for other in standings:
        if other.name == leader:
            continue
        own = first.values.get(criterion, 0.0) - other.values.get(criterion, 0.0)
        rest = sum(
            share[c] * (first.values.get(c, 0.0) - other.values.get(c, 0.0))
            for c in CRITERIA if c != criterion
        )  # fmt: skip
        rest = rest / (1 - now) if now < 1 else 0.0
        # lead(w) = w * own + (1 - w) * rest
        if math.isclose(own, rest, abs_tol=1e-12):
            continue
        crossing = rest / (rest - own)
        if own > rest and low < crossing <= now:
            low, at_low = crossing, other.name
        elif own < rest and now <= crossing < high:
            high, at_high = crossing, other.name
    return Stability(criterion, now, low, high, at_low, at_high)
