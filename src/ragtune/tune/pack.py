"""Examples side by side in one row of tokens, without padding.

What all examples of a pack have in common at their start (the same system message, mostly) is
there once. Positions of each example go on after it as they would alone, and attention
(`network.attend`) lets an example see that shared start and itself only, so every hidden state is
the one that the example alone would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragtune.tune.chat import Encoded


@dataclass(frozen=True, slots=True)
class Pack:
    """A row of tokens: `shared` tokens first, then each example's own at `spans`.

    `sources[i]` is the index in the row from which `targets[i]`, a trained token, is predicted.
    `tokens` counts the tokens of the examples one by one, shared ones each time.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    shared: int
    spans: tuple[tuple[int, int], ...]
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    tokens: int

    @property
    def longest(self) -> int:
        """Tokens of the longest example."""
        return self.shared + max(end - start for start, end in self.spans)


def make(examples: Sequence[Encoded]) -> Pack:
    """All of `examples` in one pack."""
    shared = _shared(examples)
    ids = list(examples[0].ids[:shared])
    positions = list(range(shared))
    spans, sources, targets = [], [], []
    for example in examples:
        start = len(ids)
        ids += example.ids[shared:]
        positions += range(shared, len(example.ids))
        spans.append((start, len(ids)))
        for index in range(shared, len(example.ids)):
            if (
                index and example.trained[index]
            ):  # predicted by the token before it, maybe a shared one
                sources.append(start + index - shared - 1 if index > shared else shared - 1)
                targets.append(example.ids[index])
    return Pack(
        tuple(ids),
        tuple(positions),
        shared,
        tuple(spans),
        tuple(sources),
        tuple(targets),
        sum(len(example.ids) for example in examples),
    )


def split(examples: Sequence[Encoded], most: int) -> list[Pack]:
    """`examples` in as few packs of about `most` tokens as their order allows.

    A single example may be longer than `most` and is then alone.
    """
    packs: list[Pack] = []
    waiting: list[Encoded] = []
    for example in examples:
        if waiting and _length([*waiting, example]) > most:
            packs.append(make(waiting))
            waiting = []
        waiting.append(example)
    if waiting:
        packs.append(make(waiting))
    return packs


def _length(examples: Sequence[Encoded]) -> int:
    shared = _shared(examples)
    return shared + sum(len(example.ids) - shared for example in examples)


def _shared(examples: Sequence[Encoded]) -> int:
    """Length of the common start without trained tokens; 0 for one example alone."""
    if len(examples) < 2:
        return 0
    first = examples[0]
    most = min(example.trained.index(True) for example in examples)
    for index in range(most):
        if any(example.ids[index] != first.ids[index] for example in examples):
            return index
    return most
