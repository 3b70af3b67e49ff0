"""The router's head: what is learned from labelled questions, in numpy alone.

    features ─▶ multinomial logistic regression ─▶ log p ──────┐
    embedding ─▶ cosine to the nearest example of each intent ─┴─▶ logits, score

Two views of one text are added, since they err on different questions: a linear boundary, and the
nearest known example. How much each counts (`Mix.linear`, `Mix.near`) is fitted to held-out folds
by likelihood, which also makes the softmax of the logits calibrated (temperature scaling, Guo et
al., 1706.04599, with two temperatures in place of one).

A question is known when its score is high: log p of the best intent, plus how much nearer it is to
that intent's examples than they are to each other. The last term makes tight and loose intents
comparable. (Energy, entropy, margin, Mahalanobis distance, plain and relative, class means, the
k-th neighbour, and all of them in a logistic regression were tried in its place: none caught more
of intents left out in every split.) The threshold keeps a stated share of what was right on
held-out folds. No out-of-scope question is needed. Those there are get a class of the regression to
themselves, the last, which takes from every intent's p; out of scope is still what scores low, so
that others than they are caught too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Labels = NDArray[np.int64]

SCORE_NEAR = 6.0  # weight of nearness in the score; 4 to 8 measured alike
KEEP = 0.99  # share of the rightly classified held-out questions that the threshold keeps
KEEP_TAUGHT = 0.9925  # the same where questions out of scope were learned: less is left to it
_STRENGTH = 15.0  # inverse of the L2 penalty, times the number of questions
_RANK = 512  # principal directions that the regression sees
_ITERATIONS = 60
_FOLDS = 5
_HELD = 400  # questions held out that are enough, where each fold needs a training of its own
OUTSIDE = -1  # the intent of a question known to be out of scope
_FEWEST = 20  # held-out questions below which the shipped mix is used as it is


@dataclass(frozen=True, slots=True)
class Mix:
    """How the two views are added: `linear` · log p + `near` · cosine."""

    linear: float = 1.0
    near: float = 9.0


@dataclass(frozen=True, slots=True)
class Head:
    """Everything learned. Shapes: F features, K intents, n examples, D dimensions.

    C is K, or K + 1 where questions out of scope were learned, as the last class.
    `typical` is the mean cosine of an intent's examples to their nearest fellow; `threshold` is in
    units of the score. `held_out` are figures on the folds: "accuracy", "kept",
    "calibration_error", "left_out_caught" (the share of questions sent to the safe way when their
    intent is unknown) and, where there are questions out of scope, "outside_caught" of them.
    """

    weights: Floats  # (F, C)
    bias: Floats  # (C,)
    mix: Mix
    examples: Floats  # (n, D), unit rows
    intents: Labels  # (n,)
    typical: Floats  # (K,)
    threshold: float
    held_out: dict[str, float]


@dataclass(frozen=True, slots=True)
class View:
    """What an encoder makes of all questions: features (n, F), unit embeddings (n, D)."""

    features: Floats
    embeddings: Floats


def fit(
    view: Callable[[Labels], View],
    intents: Labels,
    always: NDArray[np.bool_],
    fold_count: int = _FOLDS,
    on_fold: Callable[[int, int], None] | None = None,
) -> Head:
    """Learns a head from questions of these intents, 0 to K - 1 or OUTSIDE.

    `view` gives all questions as an encoder sees them that has learned from these rows only, those
    out of scope among them.
    `always` marks rows that are never held out (the intents' names). `fold_count` of five folds are
    held out in turn.
    """
    count = int(intents.max()) + 1
    fold_of = folds(intents, always, _FOLDS)
    parts: list[_Held] = []
    for fold in range(fold_count):
        if on_fold is not None:
            on_fold(fold, fold_count + 1)
        test, train = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        test = test[np.isin(intents[test], intents[train])]
        if (intents[test] != OUTSIDE).any():
            learned = _learn(view(train), train, intents, count)
            parts.append(_Held(*learned.views(test), intents[test]))
    if on_fold is not None:
        on_fold(fold_count, fold_count + 1)
    every = np.arange(len(intents))
    learned = _learn(view(every), every, intents, count)
    held, outside = _join(parts)
    mix = fit_mix(held.linear, held.near, held.intents) if held is not None else Mix()
    threshold, figures = _judge(held, mix, learned.typical, outside)
    return Head(
        learned.weights, learned.bias, mix, learned.examples, learned.known, learned.typical,
        threshold, figures,
    )  # fmt: skip


def folds_needed(size: int) -> int:
    """How many of the five folds hold enough questions to set a threshold by."""
    return min(_FOLDS, -(-_HELD * _FOLDS // max(size, 1)))


@dataclass(frozen=True, slots=True)
class _Learned:
    view: View
    weights: Floats
    bias: Floats
    examples: Floats
    known: Labels
    typical: Floats

    def views(self, rows: Labels) -> tuple[Floats, Floats]:
        count = len(self.typical)
        linear = log_chances(self.view.features[rows], self.weights, self.bias, count)
        return linear, nearest(self.view.embeddings[rows], self.examples, self.known, count)


def _learn(view: View, rows: Labels, intents: Labels, count: int) -> _Learned:
    """The regression and the examples of `rows`; those out of scope are its last class."""
    inside = rows[intents[rows] != OUTSIDE]
    middle, directions = principal(view.features[inside], _RANK)
    seen = np.asarray((view.features[rows] - middle) @ directions, np.float32)
    classes = np.where(intents[rows] == OUTSIDE, count, intents[rows])
    weights, bias = logistic_regression(seen, classes, count + (len(inside) < len(rows)))
    whole = (directions @ weights).astype(np.float32)
    shift = (bias - middle @ whole).astype(np.float32)
    examples, known = view.embeddings[inside], intents[inside]
    return _Learned(view, whole, shift, examples, known, tightness(examples, known, count))


def with_examples(head: Head, kept: Sequence[int]) -> Head:
    """`head` with only these of its examples."""
    return replace(head, examples=head.examples[kept], intents=head.intents[kept])


def log_chances(features: Floats, weights: Floats, bias: Floats, count: int) -> Floats:
    """The regression's log p of the `count` intents, (n, K); out of scope has what is left of 1."""
    return log_softmax(np.asarray(features @ weights + bias, np.float32))[:, :count]


def logits(linear: Floats, near: Floats, mix: Mix) -> Floats:
    """Calibrated logits, shape (n, K), from log probabilities and cosines of that shape."""
    mixed: Floats = np.float32(mix.linear) * linear + np.float32(mix.near) * near
    return mixed


def scores(linear: Floats, near: Floats, mix: Mix, typical: Floats) -> Floats:
    """How well each question is known, shape (n,); see the module."""
    best = logits(linear, near, mix).argmax(1)
    nearness = near[np.arange(len(near)), best] - typical[best]
    known: Floats = linear.max(1) + np.float32(SCORE_NEAR) * nearness
    return known


# ---------------------------------------------------------------- parts


def principal(features: Floats, rank: int) -> tuple[Floats, Floats]:
    """Mean (F,) and the leading principal directions (F, at most rank)."""
    middle = features.mean(0)
    centred = features - middle
    covariance = (centred.T @ centred).astype(np.float64) / len(features)
    sizes, vectors = np.linalg.eigh(covariance)
    kept = min(rank, int((sizes > 1e-8 * max(sizes[-1], 1e-12)).sum()), len(sizes))
    vectors = vectors[:, ::-1][:, : max(kept, 1)]
    return middle, vectors.astype(np.float32)


def logistic_regression(x: Floats, intents: Labels, count: int) -> tuple[Floats, Floats]:
    """Weights (D, K) and bias (K,) of multinomial logistic regression with an L2 penalty.

    L-BFGS with ten pairs (Nocedal and Wright, Numerical Optimization, algorithm 7.4) and Armijo
    backtracking; the objective is convex, so nothing depends on a seed.
    """
    size, width = x.shape
    target = np.zeros((size, count), np.float32)
    target[np.arange(size), intents] = 1
    penalty = np.float32(1 / (_STRENGTH * size))

    def value(flat: Floats) -> tuple[float, Floats]:
        weights, bias = flat[: width * count].reshape(width, count), flat[width * count :]
        log_p = log_softmax(x @ weights + bias)
        loss = -float((target * log_p).sum()) / size
        loss += 0.5 * float(penalty) * float((weights.astype(np.float64) ** 2).sum())
        error = (np.exp(log_p) - target) / np.float32(size)
        slope = np.concatenate([(x.T @ error + penalty * weights).ravel(), error.sum(0)])
        return loss, slope

    flat = np.zeros(width * count + count, np.float32)
    loss, slope = value(flat)
    pairs: list[tuple[Floats, Floats, float]] = []
    for _ in range(_ITERATIONS):
        step = _direction(slope, pairs)
        length, expected = 1.0, float(slope @ step)
        while True:
            moved = flat - np.float32(length) * step
            new_loss, new_slope = value(moved)
            if new_loss <= loss - 1e-4 * length * expected or length < 1e-6:
                break
            length /= 2
        change, turn = moved - flat, new_slope - slope
        bend = float(change @ turn)
        if bend > 1e-12:
            pairs = [*pairs[-9:], (change, turn, bend)]
        finished = loss - new_loss < 1e-6 * max(loss, 1e-3)
        flat, loss, slope = moved, new_loss, new_slope
        if finished:
            break
    return flat[: width * count].reshape(width, count), flat[width * count :]


def _direction(slope: Floats, pairs: Sequence[tuple[Floats, Floats, float]]) -> Floats:
    step = slope.copy()
    amounts = []
    for change, turn, bend in reversed(pairs):
        amount = float(change @ step) / bend
        amounts.append(amount)
        step -= np.float32(amount) * turn
    if pairs:
        _, turn, bend = pairs[-1]
        step *= np.float32(bend / float(turn @ turn))
    else:
        step /= np.float32(max(float(np.linalg.norm(slope)), 1e-12))
    for (change, turn, bend), amount in zip(pairs, reversed(amounts), strict=True):
        step += np.float32(amount - float(turn @ step) / bend) * change
    return step


def nearest(
    embeddings: Floats, examples: Floats, intents: Labels, count: int, block: int = 512
) -> Floats:
    """Cosine to the nearest example of each intent, shape (n, K); -1 for an intent without any."""
    order = np.argsort(intents, kind="stable")
    present, starts = np.unique(intents[order], return_index=True)
    sorted_examples = examples[order].T
    found = np.full((len(embeddings), count), -1, np.float32)
    for start in range(0, len(embeddings), block):
        cosines = embeddings[start : start + block] @ sorted_examples
        found[start : start + block, present] = np.maximum.reduceat(cosines, starts, axis=1)
    return found


def tightness(embeddings: Floats, intents: Labels, count: int) -> Floats:
    """Mean cosine of each intent's examples to their nearest fellow, (K,); drawn to the mean."""
    fellow = np.full(len(intents), np.nan, np.float32)
    for intent in range(count):
        members = np.flatnonzero(intents == intent)
        if len(members) > 1:
            cosines = embeddings[members] @ embeddings[members].T
            np.fill_diagonal(cosines, -1)
            fellow[members] = cosines.max(1)
    overall = float(np.nanmean(fellow)) if np.isfinite(fellow).any() else 0.7
    sums = np.zeros(count)
    np.add.at(sums, intents, np.nan_to_num(fellow, nan=overall))
    sizes = np.bincount(intents, minlength=count)
    drawn: Floats = ((sums + 10 * overall) / (sizes + 10)).astype(np.float32)
    return drawn


def folds(intents: Labels, always: NDArray[np.bool_], count: int) -> Labels:
    """A fold of 0 to count - 1 for each row, every intent spread evenly; -1 where `always`."""
    rng = np.random.default_rng(0)
    fold = np.full(len(intents), -1, np.int64)
    for intent in np.unique(intents):
        members = rng.permutation(np.flatnonzero((intents == intent) & ~always))
        fold[members] = (np.arange(len(members)) + rng.integers(count)) % count
    return fold


def fit_mix(linear: Floats, near: Floats, intents: Labels) -> Mix:
    """The mix of largest likelihood on held-out questions, by Newton's method (it is convex)."""
    if len(intents) < _FEWEST:
        return Mix()
    rows = np.arange(len(intents))
    views = np.stack([linear, near], axis=2).astype(np.float64)  # (n, K, 2)
    views -= views.max(axis=1, keepdims=True)
    mix = np.array([Mix().linear, Mix().near])
    start = mix.copy()
    for _ in range(25):
        p = np.exp(log_softmax((views @ mix).astype(np.float32))).astype(np.float64)
        expected = np.einsum("nk,nkv->nv", p, views)
        slope = (expected - views[rows, intents]).sum(0) + (mix - start) * 0.1
        square = np.einsum("nk,nkv,nkw->vw", p, views, views)
        curve = square - np.einsum("nv,nw->vw", expected, expected) + 0.1 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        mix = np.maximum(mix - np.clip(step, -3, 3), [0.05, 0.0])
        if float(np.abs(step).max()) < 1e-4:
            break
    return Mix(float(mix[0]), float(mix[1]))


def calibration_error(confidence: Floats, right: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error: |confidence - accuracy| in equal-width bins, weighted by size."""
    if not len(confidence):
        return 0.0
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for number in np.unique(bin_of):
        inside = bin_of == number
        gap = float(confidence[inside].mean()) - float(right[inside].mean())
        error += abs(gap) * float(inside.mean())
    return error


def _mass(linear: Floats) -> Floats:
    """The log of the sum of p, (n, 1)."""
    most = linear.max(1, keepdims=True)
    total: Floats = most + np.log(np.exp(linear - most).sum(1, keepdims=True))
    return total


def log_softmax(values: Floats) -> Floats:
    """Row by row."""
    shifted = values - values.max(1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result


# ---------------------------------------------------------------- held-out folds


@dataclass(frozen=True, slots=True)
class _Held:
    linear: Floats
    near: Floats
    intents: Labels


def _join(parts: Sequence[_Held]) -> tuple[_Held | None, _Held | None]:
    """All that was held out, in scope and out of scope; None for nothing."""
    if not parts:
        return None, None
    linear = np.concatenate([part.linear for part in parts])
    near = np.concatenate([part.near for part in parts])
    intents = np.concatenate([part.intents for part in parts])
    out = intents == OUTSIDE
    inside = _Held(linear[~out], near[~out], intents[~out])
    return inside, _Held(linear[out], near[out], intents[out]) if out.any() else None


def _judge(
    held: _Held | None, mix: Mix, typical: Floats, outside: _Held | None
) -> tuple[float, dict[str, float]]:
    """The threshold, and figures on held-out questions."""
    if held is None or len(held.intents) < _FEWEST:
        return -3.0, {}
    mixed = logits(held.linear, held.near, mix)
    right = mixed.argmax(1) == held.intents
    known = scores(held.linear, held.near, mix, typical)
    good = np.sort(known[right]) if right.any() else np.sort(known)
    threshold = float(np.quantile(good, 1 - (KEEP if outside is None else KEEP_TAUGHT)))
    # Its own intent taken away, a question is out of scope: near misses, the hardest kind.
    rows = np.arange(len(held.intents))
    linear, near = held.linear.copy(), held.near.copy()
    linear[rows, held.intents], near[rows, held.intents] = -1e4, -1
    if linear.shape[1] > 1:
        left = linear + _mass(held.linear) - _mass(linear)  # as much in scope as before
        caught = float((scores(left, near, mix, typical) < threshold).mean())
    else:
        caught = 0.0
    figures = {
        "accuracy": float(right.mean()),
        "kept": float((known[right] >= threshold).mean()) if right.any() else 0.0,
        "calibration_error": calibration_error(np.exp(log_softmax(mixed)).max(1), right),
        "left_out_caught": caught,
    }
    if outside is not None:
        strange = scores(outside.linear, outside.near, mix, typical)
        figures["outside_caught"] = float((strange < threshold).mean())
    return threshold, figures
