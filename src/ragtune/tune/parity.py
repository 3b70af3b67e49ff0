"""The gate between training and serving: does what is served compute what was trained?

The same token ids go through the trainer's model and through the exported file in llama.cpp,
teacher-forced: at every position both see the same beginning and their next-token distributions
are compared. A wrong scale, rows in the wrong order, another base or a lost matrix shows at once,
and such an export is never registered.

What is expected to differ: the trainer computes with the base's dequantised weights, llama.cpp
with the same weights in their quantised form, but it rounds activations to 8 bits in every product
and keeps keys and values in f16. `benchmarks/export.py` measures it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune.errors import TuneError

if TYPE_CHECKING:
    from ragtune.tune.chat import Encoded

PROMPTS = 8  # sequences …
POSITIONS = 12  # … and positions in each, most of them at the start of the answer
TOP = 10  # tokens of the reference's distribution that are kept
_ASKED = 100  # tokens asked of llama.cpp: the reference's ten are practically always among them


@dataclass(frozen=True, slots=True)
class Position:
    """One next-token distribution: after `length` tokens, the best tokens with log-probability."""

    length: int
    top: tuple[tuple[int, float], ...]  # best first


@dataclass(frozen=True, slots=True)
class Reference:
    """What the trainer's model says: for each sequence of token ids, some positions."""

    sequences: tuple[tuple[tuple[int, ...], tuple[Position, ...]], ...]


@dataclass(frozen=True, slots=True)
class Parity:
    """How near an export is to the trainer's model.

    `agreement` is the share of positions with the same best token; where the reference's best
    tokens are within `TIE` of each other any of them agrees. `drift` is the mean of
    |Δ log-probability| of the reference's best token; `divergence` the mean Kullback-Leibler
    divergence (nats) from the reference over its top tokens and one bucket for all others.
    `effect` is that divergence of the base without the adapter: what was trained at all. `spread`
    is the root mean square of Δ log-probability over all of the reference's top tokens, each
    counted alike: an answer that was learned well is nearly certain whatever its scale, and a wrong
    scale shows in the tokens that were not chosen.
    """

    positions: int
    agreement: float
    drift: float
    divergence: float
    effect: float
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The tolerance: least agreement, most divergence (a floor, plus a share of the effect).

    And the most spread; only from the trainer's reference, which does not round itself.
    """

    agreement: float
    floor: float
    spread: float
    share: float = 0.05


TIE = 0.05  # nats: rounding alone decides between such tokens
# Rounding costs the same whatever was trained: measured on the 135M base 0.003 with activations in
# 8 bits, 0.004 with weights in q8_0 besides, below 0.0001 in f16; the floors are two to three times
# that. A mistake grows with what was trained: rows in the wrong order leave 25-30% of the effect, a
# scale wrong by a fifth 8%; the right adapter 2% and less. That is so for adapters that changed
# much. Of one whose answers are nearly certain, as the shipped one, these mistakes leave hardly
# more divergence than rounding does. They show in the spread: 0.19 (f16: 0.10), but 0.46 with rows
# in the wrong order and 0.53 with a scale wrong by a fifth. q4_0 and int4 round to 16 levels and
# lose small changes (1.7 and 1.3): their limits only catch gross mistakes, `ragtune export` prints
# what they cost. Figures: benchmarks/results/export.md.
LIMITS = {
    "adapter": Limits(0.90, 0.008, 0.35),
    "f16": Limits(0.95, 0.002, 0.25),
    "q8_0": Limits(0.90, 0.010, 0.35),
    "q4_0": Limits(0.50, 0.600, 3.0),
    "safetensors": Limits(0.95, 0.002, 0.25),
    # in onnxruntime-genai; int4 keeps the vocabulary's matrix and the sensitive layers in int8
    "onnx fp32": Limits(0.95, 0.002, 0.25),
    "onnx int8": Limits(0.90, 0.010, 0.35),
    "onnx int4": Limits(0.60, 0.300, 2.5),
}


def reference(model: Any, examples: Sequence[Encoded], prompts: int = PROMPTS) -> Reference:
    """The trainer's own answer: next-token distributions of `model` at positions of the answers.

    `model` is called as `model(input_ids=…).logits`, in evaluation mode. Of each of the first
    `prompts` examples the first positions of the answer are taken and its last one, where the
    end-of-turn token is due. Raises TuneError without examples.
    """
    import torch

    chosen = examples[:prompts]
    if not chosen:
        raise TuneError("nothing to compare the export on: keep some examples held out")
    was_training = model.training
    model.eval()
    sequences = []
    try:
        with torch.inference_mode():
            for example in chosen:
                lengths = _lengths(example)
                ids = torch.tensor([example.ids[: lengths[-1]]], device=_device(model))
                logits = model(input_ids=ids).logits[0, [n - 1 for n in lengths]].float()
                best = torch.log_softmax(logits, -1).topk(TOP)
                rows = zip(lengths, best.indices.tolist(), best.values.tolist(), strict=True)
                positions = [Position(n, tuple(zip(i, v, strict=True))) for n, i, v in rows]
                sequences.append((tuple(example.ids), tuple(positions)))
    finally:
        model.train(was_training)
    return Reference(tuple(sequences))


def reference_by(
    top: Callable[[Sequence[int], int], Mapping[int, float]], examples: Sequence[Encoded]
) -> Reference:
    """As `reference`, by a model that gives its likeliest next tokens after given ones."""
    sequences = []
    for example in examples:
        positions = []
        for length in _lengths(example):
            found = top(example.ids[:length], TOP)
            ranked = sorted(found.items(), key=lambda pair: -pair[1])
            positions.append(Position(length, tuple(ranked[:TOP])))
        sequences.append((example.ids, tuple(positions)))
    return Reference(tuple(sequences))


def _lengths(example: Encoded) -> list[int]:
    """How many tokens come before each position that is compared."""
    trained = [n for n, counts in enumerate(example.trained) if counts and n > 0]
    if not trained:
        raise TuneError("an example has no trained token: check the examples")
    return [*trained[:-1][: POSITIONS - 1], trained[-1]]


def _device(model: Any) -> Any:
    return next(model.parameters()).device


def write_reference(path: Path, made: Reference) -> None:
    """Keeps a reference beside an adapter, so that later exports are compared with it too."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(asdict(made)["sequences"], separators=(",", ":")), "utf-8")
    new.replace(path)


def read_reference(path: Path) -> Reference:
    """A reference that was kept. Raises TuneError where there is none or it is damaged."""
    try:
        sequences = []
        for ids, positions in json.loads(path.read_text("utf-8")):
            found = [
                Position(int(p["length"]), tuple((int(i), float(v)) for i, v in p["top"]))
                for p in positions
            ]
            whole = tuple(int(i) for i in ids)
            if not whole or not all(0 < p.length <= len(whole) and p.top for p in found):
                raise ValueError("positions outside the text")
            sequences.append((whole, tuple(found)))
        if not sequences:
            raise ValueError("it is empty")
        return Reference(tuple(sequences))
    except OSError:
        raise TuneError(f"{path} is missing: the export cannot be compared") from None
    except (ValueError, TypeError, KeyError) as error:
        raise TuneError(f"{path} is damaged: {error}") from None


def measure(
    made: Reference,
    model: Path,
    adapter: Path | None = None,
    effect: float | None = None,
    threads: int = 0,
) -> Parity:
    """Runs the reference's sequences through llama.cpp: `model`, with `adapter` where given.

    `effect` is needed without `adapter`: a merged model has no base to compare with. Raises
    GenerationError where the files do not load.
    """
    from ragtune.models.llama import Teacher

    longest = max(len(ids) for ids, _ in made.sequences)
    teacher = Teacher(model, adapter, longest + 8, half(threads))
    found = measure_by(made, teacher.top, effect or 0.0)
    if adapter is not None:
        base = measure_by(made, lambda ids, count: teacher.top(ids, count, adapt=False), 0.0)
        found = replace(found, effect=base.divergence)
    return found


def measure_by(
    made: Reference, top: Callable[[Sequence[int], int], Mapping[int, float]], effect: float
) -> Parity:
    """Runs the reference's sequences through `top`: the likeliest tokens after given ones."""
    found = [top(ids[: position.length], _ASKED) for ids, position in _each(made)]
    return compare(made, found, effect)


def half(threads: int) -> int:
    """Threads for one token at a time, which is little work: at most half of the cores.

    Where other programs run too, all cores were 30 times slower than half of them.
    """
    most = max(1, (os.cpu_count() or 1) // 2)
    return min(threads or most, most)


def measure_folder(made: Reference, folder: Path, effect: float) -> Parity:
    """Runs the reference's sequences through a Hugging Face folder in transformers, in fp32."""
    import torch

    from ragtune.tune import base

    model = base.load(folder, "cpu", "float32").model
    found = []
    with torch.inference_mode():
        for ids, positions in made.sequences:
            tokens = torch.tensor([ids[: max(p.length for p in positions)]])
            logits = model(input_ids=tokens).logits[0]
            for position in positions:
                best = torch.log_softmax(logits[position.length - 1], -1).topk(_ASKED)
                values = zip(best.indices.tolist(), best.values.tolist(), strict=True)
                found.append(dict(values))
    return compare(made, found, effect)


def compare(made: Reference, found: Sequence[Mapping[int, float]], effect: float) -> Parity:
    """Parity from the distributions `found` at the reference's positions, in its order.

    A token that is missing in `found` counts with the smallest log-probability in it.
    """
    agreeing, drift, divergence, squares, tokens = 0, 0.0, 0.0, 0.0, 0
    positions = [position for _, position in _each(made)]
    for position, other in zip(positions, found, strict=True):
        least = min(other.values())
        there = {token: other.get(token, least) for token, _ in position.top}
        best = max(other, key=lambda token: other[token])
        first, top = position.top[0]
        agreeing += best in {token for token, value in position.top if value >= top - TIE}
        drift += abs(there[first] - top)
        divergence += _divergence(position.top, there)
        squares += sum((there[token] - value) ** 2 for token, value in position.top)
        tokens += len(position.top)
    count = len(positions)
    spread = math.sqrt(squares / tokens)
    return Parity(count, agreeing / count, drift / count, divergence / count, effect, spread)


def _each(made: Reference) -> list[tuple[tuple[int, ...], Position]]:
    return [(ids, position) for ids, positions in made.sequences for position in positions]


def _divergence(top: Sequence[tuple[int, float]], other: Mapping[int, float]) -> float:
    """KL(reference ‖ other) with everything outside `top` as one bucket."""
    total = sum(math.exp(v) * (v - other[token]) for token, v in top)
    rest = max(1e-6, 1.0 - sum(math.exp(v) for _, v in top))
    rest_other = max(1e-6, 1.0 - sum(math.exp(other[token]) for token, _ in top))
    return max(0.0, total + rest * math.log(rest / rest_other))


def gate(found: Parity, kind: str, more: float = 0.0) -> None:
    """Raises TuneError where `found` is beyond the tolerance for an export of this kind.

    `more` nats of divergence are allowed besides: where the reference rounds, too.
    """
    limits = LIMITS[kind]
    most = limits.floor + limits.share * found.effect + more
    near = found.agreement >= limits.agreement and found.divergence <= most
    if not (near and (more > 0 or found.spread <= limits.spread)):
        raise TuneError(
            f"the exported {kind} does not compute what was trained: {found.agreement:.0%} of "
            f"{found.positions} next tokens agree (at least {limits.agreement:.0%}), divergence "
            f"{found.divergence:.4f} (at most {most:.4f}), spread {found.spread:.3f} (at most "
            f"{limits.spread:g}): it was not kept; is this the base that it was trained on?"
        )
