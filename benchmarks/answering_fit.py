"""Fits the shipped support score (`src/ragtune/data/support.json`).

Logistic regression with a small ridge and coefficients held at zero or above (a better feature
never lowers the score), by projected gradient descent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ragtune
from ragtune.support import NAMES, READ

RIDGE = 1e-3
KEPT = 0.9
PATH = Path(ragtune.__file__).parent / "data" / "support.json"
_ABOUT = (
    "`python -m benchmarks.answering --fit`, on articles, sites and questions that the reader was "
    "not trained on (benchmarks/reader_data.py)"
)

Array = NDArray[np.float64]


# Answerable questions weigh as much as all others together; within each side as much as said
# here. The company's and the policies' are few, but asked as people ask.
SHARES = {
    "answerable": 0.5,
    "answerable, company": 0.25,
    "answerable, policies": 0.25,
    "near-miss": 0.5,
    "out of corpus": 0.35,
    "foreign": 0.15,
}


def fit(rows: Mapping[str, Sequence[Mapping[str, float]]], key: str) -> None:
    """Writes the coefficients and the threshold for features of questions of each kind.

    `key` is "model" (no reader) or "read". The threshold keeps KEPT of "answerable".
    """
    names = NAMES + (READ if key == "read" else ())
    x = np.array([[row[name] for name in names] for some in rows.values() for row in some])
    kind = np.array([name for name, some in rows.items() for _ in some])
    target = np.array([float(name.startswith("answerable")) for name in kind])
    weight = np.zeros(len(kind))
    for name in rows:
        weight[kind == name] = SHARES[name] / (kind == name).sum()
    for side in (0.0, 1.0):
        weight[target == side] /= 2 * weight[target == side].sum()
    model = logistic(x, target, weight)
    score = _sigmoid(x @ model[1:] + model[0])
    threshold = float(np.quantile(score[kind == "answerable"], 1 - KEPT))
    stored = json.loads(PATH.read_text("utf-8"))
    stored[f"fit of {key}"] = {
        "about": _ABOUT,
        "questions": {name: len(some) for name, some in rows.items()},
        "declined": {
            name: round(float((score[kind == name] < threshold).mean()), 3) for name in rows
        },
    }
    stored[key] = {
        "intercept": round(float(model[0]), 4),
        **{name: round(float(b), 4) for name, b in zip(names, model[1:], strict=True)},
        "threshold": round(threshold, 4),
    }
    PATH.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
    print(json.dumps(stored, indent=1))


def logistic(x: Array, target: Array, weight: Array, steps: int = 20_000) -> Array:
    """Intercept and non-negative coefficients; `weight` sums to 1."""
    model = np.zeros(x.shape[1] + 1)
    full = np.hstack([np.ones((len(x), 1)), x])
    # the largest curvature of the logistic loss is a quarter of that of the squares
    rate = 1 / (0.25 * np.linalg.eigvalsh(full.T @ (full * weight[:, None]))[-1] + RIDGE)
    for _ in range(steps):
        slope = full.T @ (weight * (_sigmoid(full @ model) - target))
        slope[1:] += RIDGE * model[1:]
        model -= rate * slope
        model[1:] = np.maximum(model[1:], 0.0)
    return model


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))
