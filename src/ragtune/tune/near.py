"""Near-duplicates among many short texts: MinHash over character shingles, then the true Jaccard.

Broder 1997, "On the resemblance and containment of documents": the share of equal minima of two
texts estimates the Jaccard similarity of their shingle sets. Banding (Leskovec, Rajaraman, Ullman,
"Mining of Massive Datasets", chapter 3) brings likely pairs into one bucket; each is then verified
exactly, so that nothing is reported that is not so. Time grows as n log n.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ragtune import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHINGLE = 4  # characters
BANDS, ROWS = 16, 4  # a pair of similarity .7 meets in a bucket with 99%, one of .3 with 12%
SIMILAR = 0.7  # Jaccard from which on two texts are near-duplicates
SLACK = 0.2  # 3.5 standard deviations of the estimate from BANDS * ROWS minima
WORDS = 0.65  # Jaccard of the content words: "the pump" and "the lamp" share most characters
COMPARED = 4  # texts of a bucket that each text is compared with
LONGEST = 2_000  # characters of a text that are looked at


def pairs(
    texts: Sequence[str], others: Sequence[str] | None = None, similar: float = SIMILAR
) -> list[tuple[int, int, float]]:
    """Near-duplicate pairs `(i, j, similarity)`, i < j; or, with `others`, i of texts, j of others.

    Of a large group of duplicates not all pairs are given, but each member stands in one. Texts
    whose numbers or codes differ ("K09", "K10") are no duplicates, however alike, nor those with
    other content words. Compared are words in lower case without punctuation.
    """
    both = [*texts, *(others or ())]
    plain = [" ".join(words.tokens(text[:LONGEST])) for text in both]
    split = len(texts) if others is not None else len(both)
    found: list[tuple[int, int, float]] = []
    codes: dict[int, frozenset[str]] = {}
    shingles: dict[int, frozenset[str]] = {}
    for i, j in _candidates(plain, split, similar):
        for k in (i, j):
            if k not in codes:
                codes[k], shingles[k] = _codes(plain[k]), _shingles(plain[k])
        a, b = shingles[i], shingles[j]
        share = len(a & b) / len(a | b)
        if share < similar or codes[i] != codes[j]:
            continue
        one, other = set(words.content(plain[i])), set(words.content(plain[j]))
        if len(one & other) >= WORDS * len(one | other):
            found.append((i, j - (split if others is not None else 0), share))
    return sorted(found)


def _codes(plain: str) -> frozenset[str]:
    return frozenset(re.findall(r"\S*\d\S*", plain))


def _shingles(plain: str) -> frozenset[str]:
    return frozenset(plain[i : i + SHINGLE] for i in range(max(1, len(plain) - SHINGLE + 1)))


def _candidates(plain: Sequence[str], split: int, similar: float) -> list[tuple[int, int]]:
    """Pairs that share a bucket and whose minima speak for `similar`; across `split`, if inside."""
    import numpy as np

    if not plain:
        return []
    minima = _minima(plain)
    across = split < len(plain)
    found: list[tuple[int, int]] = []
    for band in range(BANDS):
        keys = _mix(minima[:, band * ROWS : (band + 1) * ROWS])
        order = np.argsort(keys, kind="stable")
        ends = np.flatnonzero(np.diff(keys[order])) + 1
        starts = np.concatenate(([0], ends))
        sizes = np.diff(np.concatenate((starts, [len(order)])))
        for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
            bucket = order[start : start + size].tolist()  # ascending: the sort is stable
            if across:
                left = [i for i in bucket if i < split]
                right = bucket[len(left) :]
                found += [(i, j) for j in right for i in left[:COMPARED]]
                found += [(i, j) for i in left[COMPARED:] for j in right[:COMPARED]]
            else:
                for n, j in enumerate(bucket):
                    near = bucket[max(1, n - COMPARED + 1) : n]
                    found += [(bucket[0], j)] * (n > 0) + [(i, j) for i in near]
    if not found:
        return []
    likely: list[tuple[int, int]] = []
    both = np.array(found, np.int64)
    keys = np.unique(both[:, 0] * len(plain) + both[:, 1])
    for key in np.array_split(keys, len(keys) // 100_000 + 1):
        part = np.stack((key // len(plain), key % len(plain)), axis=1)
        estimate = (minima[part[:, 0]] == minima[part[:, 1]]).mean(axis=1)
        near_enough = part[estimate >= similar - SLACK].tolist()
        likely += [(i, j) for i, j in near_enough]
    return likely


def _minima(plain: Sequence[str]) -> NDArray[np.uint32]:
    """MinHash signatures, shape (texts, BANDS * ROWS), of all texts in a few array operations."""
    import numpy as np

    padded = [text.ljust(SHINGLE) for text in plain]
    lengths = np.fromiter(map(len, padded), np.int64, len(padded))
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "replace"), np.uint32)
    size = len(codes) - SHINGLE + 1
    hashes = np.zeros(max(0, size), np.uint64)
    for i in range(SHINGLE):
        hashes = (hashes ^ codes[i : i + size]) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    inside = np.ones(size, bool)  # a shingle must not reach into the next text
    for i in range(1, SHINGLE):
        at = starts[1:] - i
        inside[at] = False
    kept = np.concatenate(([0], np.cumsum(inside)))
    hashes = hashes[inside]
    at = kept[starts]
    random = np.random.default_rng(20260101)  # fixed: the same texts give the same pairs
    factors = random.integers(1, 1 << 63, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
    made = np.empty((len(plain), BANDS * ROWS), np.uint32)
    for n, factor in enumerate(factors):
        made[:, n] = np.minimum.reduceat(((hashes * factor) >> np.uint64(32)).astype(np.uint32), at)
    return made


def _mix(columns: Any) -> NDArray[np.uint64]:
    import numpy as np

    key = np.zeros(len(columns), np.uint64)
    for n in range(columns.shape[1]):
        key = (key ^ columns[:, n].astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
        key ^= key >> np.uint64(31)
    return key
