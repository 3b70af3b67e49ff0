"""Style adherence: does a text sound like the company, or like the base model?

A logistic regression on hashed character n-grams (as fastText's and language identification's
features are; n = 1 to 5) is trained on the company's answers against the base model's answers to
the same questions. The style adherence of a model is the share of its answers to unseen questions
that the classifier calls the company's; its own accuracy on unseen answers of both is reported
beside it, since without it the share says nothing. Character n-grams see greeting, sign-off,
layout, punctuation and favourite words alike, in any language.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

BUCKETS = 1 << 13  # hashed features
LENGTHS = range(1, 6)  # characters in an n-gram
STEPS, RATE, DECAY = 300, 2.0, 1e-4  # gradient descent: far beyond convergence for such data

_MARKER = re.compile(r"\s*\[\d+\]")


@dataclass(frozen=True, slots=True)
class Style:
    """A trained classifier; `accuracy` is on answers that it was not trained on (`tested`)."""

    weights: Floats  # (BUCKETS,)
    bias: float
    accuracy: float
    tested: int

    def probability(self, text: str) -> float:
        """The chance that `text` is the company's, 0 to 1."""
        import numpy as np

        z = float(_features([text])[0] @ self.weights + self.bias)
        return float(1 / (1 + np.exp(-z)))

    def adherence(self, texts: Sequence[str]) -> float:
        """The share of `texts` that are called the company's, 0 to 1; 0 for no text."""
        return sum(self.probability(text) > 0.5 for text in texts) / max(1, len(texts))


def train(company: Sequence[str], base: Sequence[str]) -> Style:
    """A classifier of the company's answers against the base model's; needs two of each.

    A fifth of both is held back for `accuracy` first; then all are trained on.
    """
    import numpy as np

    if min(len(company), len(base)) < 2:
        raise ValueError("style needs at least two answers of the company and of the base")
    texts = [*company, *base]
    labels = np.array([1.0] * len(company) + [0.0] * len(base), np.float32)
    features = _features(texts)
    turn = np.concatenate([np.arange(len(company)), np.arange(len(base))])
    test = turn % 5 == 1
    weights, bias = _fit(features[~test], labels[~test])
    right = (features[test] @ weights + bias > 0) == (labels[test] > 0.5)
    weights, bias = _fit(features, labels)
    return Style(weights, bias, float(right.mean()), int(test.sum()))


def _fit(features: Floats, labels: Floats) -> tuple[Floats, float]:
    """Weights and bias by gradient descent; both classes weigh the same."""
    import numpy as np

    weights, bias = np.zeros(features.shape[1], np.float32), 0.0
    share = np.where(labels > 0.5, 0.5 / labels.sum(), 0.5 / (1 - labels).sum())
    for _ in range(STEPS):
        error = share * (1 / (1 + np.exp(-(features @ weights + bias))) - labels)
        weights -= RATE * (features.T @ error + DECAY * weights)
        bias -= RATE * float(error.sum())
    return weights, bias


def _features(texts: Sequence[str]) -> Floats:
    """Hashed n-grams, one row of unit length a text: shape (len(texts), BUCKETS).

    Citation markers are taken out: code puts them in, not the model.
    """
    import numpy as np

    rows = np.zeros((len(texts), BUCKETS), np.float32)
    for row, text in zip(rows, texts, strict=True):
        plain = f"\x02{_MARKER.sub('', text).strip()}\x03"
        for n in LENGTHS:
            for i in range(len(plain) - n + 1):
                row[zlib.crc32(plain[i : i + n].encode()) % BUCKETS] += 1.0
        np.log1p(row, out=row)
        row /= np.linalg.norm(row) or 1.0
    return rows
