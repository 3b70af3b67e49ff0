"""A last layer of its own for the router: MiniLM's sixth layer, trained on to tell intents apart.

    fifth layer's token vectors ─▶ layer ─▶ mean, unit length ─▶ 20 · cosine to a vector an intent

The five layers below stay as they are, so their vectors are computed once, and the frozen sixth
stays beside it (retrieval needs it). Softmax over scaled cosines as in NormFace (Wang et al.,
1704.06369); Adam with decoupled decay (Loshchilov and Hutter, 1711.05101), the rate rising for a
tenth of the steps and then falling in a line. Questions known to be out of scope have no vector of
their own, since they have little in common: one answer more, whose cosine is always _APART, is
theirs, and keeps them at a distance from every intent. Forward and backward are written out in
numpy: one layer needs no framework, and training stays possible where torch is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]
    Weights = dict[str, Floats]

HEADS = 12
MOST_TOKENS = 48  # of a question while training
_RATE, _DECAY, _BATCH, _SCALE = 6e-4, 0.01, 32, 20.0
_PROTOTYPES = 10.0  # times the rate, for the intents' vectors
_SEEN = 10_000  # questions looked at, repetitions included; each once to _MOST times
_MOST = 6
_STRANGE = 2  # questions out of scope beside a batch
_APART = 0.5
_EPSILON = 1e-12


def tune(
    layer: Mapping[str, Floats],
    hidden: Sequence[NDArray[Any]],
    intents: NDArray[np.int64],
    on_step: Callable[[int, int], None] | None = None,
    seed: int = 0,
) -> Weights:
    """The layer's weights after training on `hidden`, one (tokens, D) for each question.

    `layer` has the keys of `minilm` without the prefix; an intent of -1 is out of scope.
    Deterministic on one machine.
    """
    inside, strange = np.flatnonzero(intents >= 0), np.flatnonzero(intents < 0)
    size = len(inside)
    known = [hidden[int(n)] for n in inside]
    rng = np.random.default_rng(seed)
    weights = {key: np.array(value, np.float32) for key, value in layer.items()}
    weights["prototypes"] = _means(weights, known, intents[inside])
    steps = -(-min(max(_SEEN, size), _MOST * size) // _BATCH)
    beside = min(_STRANGE * steps, _MOST * len(strange))  # in all, spread over the steps
    adam = _Adam(weights)
    todo: list[NDArray[np.int64]] = []
    for done in range(steps):
        todo = todo or _batches([len(h) for h in known], rng)
        rows = inside[todo.pop()]
        if beside:
            more = (done + 1) * beside // steps - done * beside // steps
            rows = np.concatenate([rows, rng.choice(strange, more)])
        batch = [hidden[n][:MOST_TOKENS] for n in rows]
        _, slopes = loss(weights, batch, intents[rows], beside > 0)
        share = min((done + 1) / (0.1 * steps), (steps - done) / (0.9 * steps))
        adam.step(weights, slopes, _RATE * share)
        if on_step is not None and done % 8 == 0:
            on_step(done, steps)
    del weights["prototypes"]
    return weights


def loss(
    weights: Mapping[str, Floats],
    hidden: Sequence[NDArray[Any]],
    intents: NDArray[np.int64],
    apart: bool = False,
) -> tuple[float, Weights]:
    """Mean cross-entropy of a batch and its slope for each weight.

    With `apart`, out of scope is one answer more, the last, and an intent of -1 means it.
    """
    x, mask = _padded(hidden)
    out, kept = _forward(weights, x, mask)
    counts = mask.sum(1, keepdims=True)
    mean = (out * mask[..., None]).sum(1) / counts
    unit, length = _unit(mean)
    prototypes, sizes = _unit(weights["prototypes"])
    cosines = unit @ prototypes.T
    if apart:
        always = np.full((len(unit), 1), _APART, cosines.dtype)
        cosines = np.concatenate([cosines, always], axis=1)
    shifted = _SCALE * (cosines - cosines.max(1, keepdims=True))
    p = np.exp(shifted)
    p /= p.sum(1, keepdims=True)
    rows = np.arange(len(intents))
    value = -float(np.log(np.maximum(p[rows, intents], 1e-30)).mean())
    p[rows, intents] -= 1
    error = p[:, : len(prototypes)] * np.float32(_SCALE / len(intents))
    d_prototypes = error.T @ unit
    d_unit = error @ prototypes
    d_prototypes = d_prototypes - prototypes * (d_prototypes * prototypes).sum(1, keepdims=True)
    d_mean = (d_unit - unit * (d_unit * unit).sum(1, keepdims=True)) / length
    slopes = _backward(weights, kept, (d_mean / counts)[:, None] * mask[..., None])
    slopes["prototypes"] = d_prototypes / sizes
    return value, slopes


def embed(weights: Mapping[str, Floats], hidden: Sequence[NDArray[Any]]) -> Floats:
    """Unit rows (n, D): the mean of the layer's token vectors."""
    rows: list[tuple[int, Floats]] = []
    order = sorted(range(len(hidden)), key=lambda n: len(hidden[n]))
    for start in range(0, len(order), _BATCH):
        part = order[start : start + _BATCH]
        x, mask = _padded([hidden[n] for n in part])
        out, _ = _forward(weights, x, mask)
        mean = (out * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        rows += zip(part, _unit(mean)[0], strict=True)
    return np.stack([row for _, row in sorted(rows, key=lambda pair: pair[0])])


# ---------------------------------------------------------------- the layer


def _forward(weights: Mapping[str, Floats], x: Floats, mask: Floats) -> tuple[Floats, Any]:
    """The layer's output (B, L, D) and what its slope needs. Names as in `minilm`."""
    heads = [_split(_linear(weights, f"attention.self.{part}", x)) for part in _QKV]
    query, key, value = heads
    scale = np.float32(query.shape[-1] ** -0.5)
    scores = query @ key.swapaxes(2, 3) * scale + ((mask - 1) * np.float32(1e4))[:, None, None]
    scores -= scores.max(-1, keepdims=True)
    seen = np.exp(scores)
    seen /= seen.sum(-1, keepdims=True)
    context = _joined(seen @ value)
    attended = _linear(weights, "attention.output.dense", context) + x
    middle, first = _norm(weights, "attention.output.LayerNorm", attended)
    wide = _linear(weights, "intermediate.dense", middle)
    normal = _normal(wide)
    bent = wide * normal
    out, second = _norm(
        weights, "output.LayerNorm", _linear(weights, "output.dense", bent) + middle
    )
    return out, (x, heads, seen, context, first, middle, wide, normal, bent, second)


def _backward(weights: Mapping[str, Floats], kept: Any, d_out: Floats) -> Weights:
    x, (query, key, value), seen, context, first, middle, wide, normal, bent, second = kept
    slopes: Weights = {}
    d_sum = _norm_slope(weights, slopes, "output.LayerNorm", second, d_out)
    d_bent = _linear_slope(weights, slopes, "output.dense", bent, d_sum)
    density = np.exp(-0.5 * wide * wide) * np.float32(0.3989422804)
    d_wide = d_bent * (normal + wide * density)
    d_middle = _linear_slope(weights, slopes, "intermediate.dense", middle, d_wide) + d_sum
    d_attended = _norm_slope(weights, slopes, "attention.output.LayerNorm", first, d_middle)
    d_context = _split(
        _linear_slope(weights, slopes, "attention.output.dense", context, d_attended)
    )
    d_seen = d_context @ value.swapaxes(2, 3)
    d_scores = seen * (d_seen - (d_seen * seen).sum(-1, keepdims=True))
    d_scores *= np.float32(query.shape[-1] ** -0.5)
    parts = (d_scores @ key, d_scores.swapaxes(2, 3) @ query, seen.swapaxes(2, 3) @ d_context)
    for name, slope in zip(_QKV, parts, strict=True):
        _linear_slope(weights, slopes, f"attention.self.{name}", x, _joined(slope), below=False)
    return slopes


_QKV = ("query", "key", "value")


def _linear(weights: Mapping[str, Floats], name: str, x: Floats) -> Floats:
    flat = x.reshape(-1, x.shape[-1]) @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return flat.reshape(*x.shape[:-1], -1)


def _linear_slope(
    weights: Mapping[str, Floats],
    slopes: Weights,
    name: str,
    x: Floats,
    slope: Floats,
    below: bool = True,
) -> Floats:
    flat = slope.reshape(-1, slope.shape[-1])
    slopes[f"{name}.weight"] = flat.T @ x.reshape(-1, x.shape[-1])
    slopes[f"{name}.bias"] = flat.sum(0)
    return (flat @ weights[f"{name}.weight"]).reshape(x.shape) if below else slope


def _norm(weights: Mapping[str, Floats], name: str, x: Floats) -> tuple[Floats, Any]:
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred * centred).mean(-1, keepdims=True) + _EPSILON)
    plain = centred / deviation
    return plain * weights[f"{name}.weight"] + weights[f"{name}.bias"], (plain, deviation)


def _norm_slope(
    weights: Mapping[str, Floats], slopes: Weights, name: str, kept: Any, slope: Floats
) -> Floats:
    plain, deviation = kept
    slopes[f"{name}.weight"] = (slope * plain).sum((0, 1))
    slopes[f"{name}.bias"] = slope.sum((0, 1))
    inner = slope * weights[f"{name}.weight"]
    below: Floats = (
        inner - inner.mean(-1, keepdims=True) - plain * (inner * plain).mean(-1, keepdims=True)
    ) / deviation
    return below


def _split(x: Floats) -> Floats:
    """(B, L, D) as (B, heads, L, D / heads)."""
    return x.reshape(*x.shape[:2], HEADS, -1).swapaxes(1, 2)


def _joined(x: Floats) -> Floats:
    return np.ascontiguousarray(x.swapaxes(1, 2)).reshape(x.shape[0], x.shape[2], -1)


def _normal(x: Floats) -> Floats:
    """The normal distribution function, for GELU; Abramowitz and Stegun 7.1.26, error 1e-7."""
    size = np.abs(x) * np.float32(0.7071067812)
    t = 1 / (1 + np.float32(0.3275911) * size)
    tail = np.float32(1.061405429) * t
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail += np.float32(factor)
        tail *= t
    tail *= np.exp(-size * size) * np.float32(0.5)
    below: Floats = np.where(x < 0, tail, 1 - tail)
    return below


# ---------------------------------------------------------------- the rest


def _unit(x: Floats) -> tuple[Floats, Floats]:
    length = np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)
    return x / length, length


def _padded(hidden: Sequence[NDArray[Any]]) -> tuple[Floats, Floats]:
    longest = max(len(h) for h in hidden)
    x = np.zeros((len(hidden), longest, hidden[0].shape[1]), np.float32)
    mask = np.zeros((len(hidden), longest), np.float32)
    for row, h in enumerate(hidden):
        x[row, : len(h)], mask[row, : len(h)] = h, 1
    return x, mask


def _means(
    weights: Mapping[str, Floats], hidden: Sequence[NDArray[Any]], intents: NDArray[np.int64]
) -> Floats:
    embedded = embed(weights, hidden)
    sums = np.zeros((int(intents.max()) + 1, embedded.shape[1]), np.float32)
    np.add.at(sums, intents, embedded)
    return _unit(sums)[0]


def _batches(lengths: Sequence[int], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Every row once, in random batches of rows that are about equally long."""
    sizes = np.array(lengths)
    order = rng.permutation(len(sizes))
    batches = []
    for start in range(0, len(order), 8 * _BATCH):
        part = order[start : start + 8 * _BATCH]
        part = part[np.argsort(sizes[part], kind="stable")]
        batches += [part[n : n + _BATCH] for n in range(0, len(part), _BATCH)]
    return [batches[n] for n in rng.permutation(len(batches))]


class _Adam:
    """Adam with decoupled decay; the intents' vectors move faster than the layer."""

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        self._first = {key: np.zeros_like(value) for key, value in weights.items()}
        self._second = {key: np.zeros_like(value) for key, value in weights.items()}
        self._steps = 0

    def step(self, weights: Weights, slopes: Mapping[str, Floats], rate: float) -> None:
        self._steps += 1
        one, two = 1 - 0.9**self._steps, 1 - 0.999**self._steps
        for key, slope in slopes.items():
            first, second = self._first[key], self._second[key]
            first += np.float32(0.1) * (slope - first)
            second += np.float32(0.001) * (slope * slope - second)
            own = rate * (_PROTOTYPES if key == "prototypes" else 1)
            weights[key] *= np.float32(1 - own * _DECAY)
            move = first / (np.sqrt(second) + np.float32(1e-8 * two**0.5))
            weights[key] -= np.float32(own * two**0.5 / one) * move
