"""How sure a difference is: intervals, tests and how many more questions it would take.

Questions about one document succeed and fail together, so documents are what is drawn, not
questions (Miller 2024, "Adding Error Bars to Evals", arXiv 2411.00640). All arms share the draws,
which makes every difference a paired one. The plain percentile bootstrap is too narrow for few
clusters; its tails are widened to what a t interval would have (Hesterberg 2015, "What Teachers
Should Know About the Bootstrap", section 3.4: the expanded percentile interval).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SAMPLES = 10_000
LEVEL = 0.05
POWER = 0.8
_NORMAL = NormalDist()
_CHUNK = 4_000_000  # weights held at once


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95% interval; `n` values from `clusters` documents."""

    value: float
    low: float
    high: float
    n: int
    clusters: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Two arms on the same questions: a minus b.

    `p` is two-sided; `p_holm` is set by whoever knows the family. `detectable` is the smallest
    difference that this many questions show with 80% power, `more` how many further questions of
    this kind the seen difference would take (None: it is zero, no number is enough; 0: none).
    """

    value: float
    low: float
    high: float
    p: float
    p_holm: float
    detectable: float
    more: int | None
    n: int
    clusters: int


class Draws:
    """Resamples of the clusters, shared by every mean that is taken from them.

    `clusters` names the source document of each question. The draws depend on the seed and the
    clusters' order of first appearance only.
    """

    def __init__(self, clusters: Sequence[str], samples: int = SAMPLES, seed: int = 0) -> None:
        import numpy as np

        names = list(dict.fromkeys(clusters))
        index = {name: i for i, name in enumerate(names)}
        self.of = np.array([index[c] for c in clusters], dtype=np.intp)
        self.count = len(names)
        self.samples = samples
        self._seed = seed

    def means(self, values: Floats) -> Floats:
        """Means of each column in each resample, shape (samples, columns).

        `values` has shape (questions, columns); NaN is a question that does not count for that
        column. A resample in which nothing counts gives NaN.
        """
        import numpy as np

        counted = ~np.isnan(values)
        sums = np.zeros((self.count, values.shape[1]))
        counts = np.zeros_like(sums)
        np.add.at(sums, self.of, np.where(counted, values, 0.0))
        np.add.at(counts, self.of, counted)
        out = np.empty((self.samples, values.shape[1]))
        random = np.random.default_rng(self._seed)
        step = max(1, _CHUNK // max(1, self.count))
        for start in range(0, self.samples, step):
            stop = min(start + step, self.samples)
            weights = random.multinomial(
                self.count, np.full(self.count, 1.0 / self.count), size=stop - start
            ).astype(float)
            with np.errstate(invalid="ignore", divide="ignore"):
                out[start:stop] = (weights @ sums) / (weights @ counts)
        return out


def interval(draws: Floats, value: float, n: int, clusters: int, level: float = LEVEL) -> Interval:
    """The expanded percentile interval of a statistic from its resampled values, shape (samples,).

    Where every resample gives the same (all right, all wrong) the bootstrap knows no doubt; for a
    share of 0 or 1 the interval is then that of Wilson (1927) over the clusters.
    """
    import numpy as np

    kept = draws[~np.isnan(draws)]
    if not len(kept) or clusters < 2:
        return Interval(value, -math.inf, math.inf, n, clusters)
    if float(kept.max() - kept.min()) < 1e-12 and value in (0.0, 1.0):
        return Interval(value, *wilson(round(value * clusters), clusters, level), n, clusters)
    tail = _expanded_tail(level, clusters)
    low, high = np.quantile(kept, [tail, 1 - tail])
    return Interval(value, min(float(low), value), max(float(high), value), n, clusters)


def wilson(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The score interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    z = _NORMAL.inv_cdf(1 - level / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def difference(draws: Floats, value: float, n: int, clusters: int, tests: int = 1) -> Difference:
    """What the resampled differences, shape (samples,), say about a difference `value`.

    p inverts the expanded percentile interval, and is never below what a sign test on that many
    documents could reach (2 / 2^clusters): five questions cannot name a winner. `tests` is how
    many comparisons share the level (Bonferroni) in `detectable` and `more`.
    """
    import numpy as np

    kept = draws[~np.isnan(draws)]
    if len(kept) < 2 or clusters < 2:
        return Difference(value, -math.inf, math.inf, 1.0, 1.0, math.inf, None, n, clusters)
    seen = interval(kept, value, n, clusters)
    error = float(np.std(kept)) * math.sqrt(clusters / (clusters - 1))
    same = float(kept.max() - kept.min()) < 1e-12
    if same:  # no doubt in the sample: at most what is not excluded by so many documents
        unseen = wilson(0, clusters)[1]
        seen = Interval(value, max(-1.0, value - unseen), min(1.0, value + unseen), n, clusters)
        p = 1.0 if abs(value) < 1e-12 else 0.0
        error = unseen / _t_quantile(1 - LEVEL / 2, clusters - 1)
    else:
        below = float(np.mean(kept < 0) + 0.5 * np.mean(kept == 0))
        tail = min(max(min(below, 1 - below), 0.5 / len(kept)), 0.5)
        t = -_NORMAL.inv_cdf(tail) * math.sqrt((clusters - 1) / clusters)
        if min(below, 1 - below) < 0.5 / len(kept):  # beyond what so many resamples can show
            t = max(t, abs(value) / error)
        p = 2 * (1 - t_cdf(t, clusters - 1))
    p = min(1.0, max(p, 2.0 ** (1 - clusters)))
    need = _NORMAL.inv_cdf(1 - LEVEL / (2 * tests)) + _NORMAL.inv_cdf(POWER)
    detectable = need * error
    more: int | None = None
    if abs(value) > 1e-12:
        wanted = n * (detectable / abs(value)) ** 2
        more = max(0, math.ceil(wanted - n)) if wanted < 1e6 else None
    return Difference(value, seen.low, seen.high, p, p, detectable, more, n, clusters)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm 1979): the chance of any false finding stays below the level."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def detectable_gap(n: int, spread: float, tests: int = 1) -> float:
    """The smallest mean paired difference that `n` independent questions show with 80% power.

    `spread` is the standard deviation of one question's difference.
    """
    if n <= 0:
        return math.inf
    need = _NORMAL.inv_cdf(1 - LEVEL / (2 * tests)) + _NORMAL.inv_cdf(POWER)
    return need * spread / math.sqrt(n)


# ---------------------------------------------------------------- Student's t, without scipy


@lru_cache(maxsize=256)
def _expanded_tail(level: float, clusters: int) -> float:
    t = _t_quantile(1 - level / 2, clusters - 1)
    return _NORMAL.cdf(-math.sqrt(clusters / (clusters - 1)) * t)


def t_cdf(t: float, freedom: int) -> float:
    """The distribution function of Student's t with `freedom` degrees of freedom."""
    if t < 0:
        return 1 - t_cdf(-t, freedom)
    # Abramowitz and Stegun 26.7.3 and 26.7.4: finite sums for whole degrees of freedom
    angle = math.atan2(t, math.sqrt(freedom))
    cos2 = freedom / (freedom + t * t)
    if freedom % 2:
        inner, term = 0.0, math.cos(angle)
        for k in range(1, (freedom - 1) // 2 + 1):
            inner += term
            term *= cos2 * (2 * k) / (2 * k + 1)
        inside = 2 / math.pi * (angle + math.sin(angle) * inner)
    else:
        inner, term = 0.0, 1.0
        for k in range(1, freedom // 2 + 1):
            inner += term
            term *= cos2 * (2 * k - 1) / (2 * k)
        inside = math.sin(angle) * inner
    return min(1.0, 0.5 + inside / 2)


@lru_cache(maxsize=256)
def _t_quantile(share: float, freedom: int) -> float:
    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, freedom) < share else (low, middle)
    return (low + high) / 2
