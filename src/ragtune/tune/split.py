"""What is held out of training: whole source documents, so that no fact stands on both sides."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ragtune import words
from ragtune.types import Example

SHARE = 0.1  # of the examples
LEAST, MOST = 8, 100  # examples: fewer say nothing, more are not needed to stop in time
TRAINED = 8  # examples to train on: fewer teach nothing that could be measured


def hold_out(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """Splits into (train, held out), keeping together what shares a document or a question.

    About a tenth is held out, between 8 and 100 examples, never more than a third. Examples whose
    evidence names one of the same documents, or that ask the same words, are on one side. The same
    seed and examples give the same split; the order of the file is kept on both sides.
    """
    groups = _groups(examples)
    wanted = min(max(LEAST, round(SHARE * len(examples))), MOST, len(examples) // 3)
    order = sorted(groups.values(), key=lambda rows: rows[0])
    random.Random(seed).shuffle(order)  # noqa: S311 - a split, not a secret
    taken: set[int] = set()
    for rows in order:
        if len(taken) < wanted and len(taken) + len(rows) <= 2 * wanted:
            taken.update(rows)
    if not taken:  # everything hangs together: hold out single examples rather than none
        taken = set(random.Random(seed).sample(range(len(examples)), wanted))  # noqa: S311
    return (
        [e for i, e in enumerate(examples) if i not in taken],
        [e for i, e in enumerate(examples) if i in taken],
    )


def _groups(examples: Sequence[Example]) -> dict[int, list[int]]:
    """Positions by group: connected through documents or equal questions (union-find)."""
    parent = list(range(len(examples)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, example in enumerate(examples):
        question = " ".join(sorted(set(words.content(example.question)))) or example.question
        keys = ["q:" + question, *("d:" + gold.document for gold in example.evidence)]
        for key in keys:
            parent[root(i)] = root(first.setdefault(key, i))
    groups: dict[int, list[int]] = {}
    for i in range(len(examples)):
        groups.setdefault(root(i), []).append(i)
    return groups
