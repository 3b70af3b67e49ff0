"""What the reader is trained on: labelled texts of questions, and the batches made of them.

tasks ─▶ each epoch its own choice of texts that do not answer ─▶ groups ─▶ batches by length
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ragtune import words
from ragtune.models import reader as serving


@dataclass(frozen=True, slots=True)
class Pair:
    """One text for a question (`units.reading_text`), labelled.

    `label` is 1 where it answers, 0 where it does not, -1 where that is not known. `low` and
    `high` are the answering words, offsets into the last line; 0, 0: not known.
    """

    text: str
    label: int
    low: int = 0
    high: int = 0
    rank: int = -1  # place in the retrieval's order; -1: not found by it
    score: float = 0.0  # the retrieval's, of the same question

    @property
    def line(self) -> str:
        """The unit itself, without its headings."""
        return self.text.rpartition("\n")[2]


@dataclass(frozen=True, slots=True)
class Task:
    """A question with its labelled texts; none labelled 1: the texts do not answer it."""

    question: str
    kind: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """How a reader is trained."""

    rate: float = 1.5e-4  # AdamW's, at its largest; heads get five times as much
    epochs: float = 2.0
    warmup: float = 0.06  # share of the steps
    batch_tokens: int = 4096
    frozen: int = 2  # lowest layers that stay as they are, with the embeddings
    negatives: int = 2  # texts a question that do not answer it
    off_topic: float = 0.4  # questions that also get a sentence from somewhere else
    colloquial: float = 0.3  # questions that are asked otherwise, see `said_otherwise`
    decay: float = 0.01
    repeat: Mapping[str, int] | None = None  # how often a kind of task comes in an epoch
    spans: Mapping[str, float] | None = None  # weight of a kind's span loss, 1 unless given
    seed: int = 0


_CHUNK = 12  # pairs of like length that attention takes together


@dataclass(frozen=True, slots=True)
class _Item:
    pair: serving.Encoded
    label: int
    low: int  # first and last token of the phrase; -1: not known
    high: int
    worth: float


def batches(
    tasks: Sequence[Task], tokenizer: Any, settings: ReaderSettings, rng: random.Random
) -> list[list[list[_Item]]]:
    """All batches of a training, epoch by epoch, each with its own choice of negatives."""
    plan: list[list[list[_Item]]] = []
    repeated = [task for task in tasks for _ in range((settings.repeat or {}).get(task.kind, 1))]
    left = settings.epochs
    while left > 0:
        some = list(repeated)
        rng.shuffle(some)
        some = some[: max(1, int(len(some) * min(1.0, left)))]
        groups = [_group(task, some, tokenizer, settings, rng) for task in some]
        plan += _filled([group for group in groups if group], settings.batch_tokens, rng)
        left -= 1
    return plan


def _filled(groups: list[list[_Item]], most: int, rng: random.Random) -> list[list[list[_Item]]]:
    """Groups (one a question) in batches of at most `most` tokens, in random order."""
    made: list[list[list[_Item]]] = []
    size = most + 1
    for group in groups:
        tokens = sum(len(item.pair.ids) for item in group)
        if size + tokens > most:
            made.append([])
            size = 0
        made[-1].append(group)
        size += tokens
    rng.shuffle(made)
    return made


def _group(
    task: Task,
    others: Sequence[Task],
    tokenizer: Any,
    settings: ReaderSettings,
    rng: random.Random,
) -> list[_Item]:
    """A question's pairs for one epoch: a text that answers, and some that do not."""
    yes = [p for p in task.pairs if p.label == 1]
    no = [p for p in task.pairs if p.label == 0]
    chosen = rng.sample(yes, min(len(yes), 2 if len(yes) > 2 else 1))
    # The first that were found are what the reader has to tell apart.
    weights = [1 / (2 + max(p.rank, 0)) for p in no]
    while no and len(chosen) < settings.negatives + bool(yes):
        index = rng.choices(range(len(no)), weights)[0]
        chosen.append(no.pop(index))
        weights.pop(index)
    if others and rng.random() < settings.off_topic:
        other = rng.choice(others)
        if other.pairs and other.question != task.question:
            chosen.append(replace(rng.choice(other.pairs), label=0))
    question = task.question
    if rng.random() < settings.colloquial:
        question = said_otherwise(question, rng)
    worth = (settings.spans or {}).get(task.kind, 1.0)
    return [_item(question, pair, tokenizer, worth) for pair in chosen]


def _item(question: str, pair: Pair, tokenizer: Any, worth: float) -> _Item:
    encoded = serving.encode(tokenizer, question, pair.text)
    low = high = -1
    if pair.label == 1 and pair.high > pair.low and worth:
        inside = [
            n
            for n, (start, end) in enumerate(encoded.spans)
            if start < pair.high and end > pair.low
        ]
        if inside:
            low, high = encoded.first + inside[0], encoded.first + inside[-1]
    return _Item(encoded, pair.label, low, high, worth)


_OPENINGS = (
    "hi, ",
    "quick question: ",
    "does anyone know ",
    "I'd like to know ",
    "please tell me ",
)


def said_otherwise(question: str, rng: random.Random) -> str:
    """The question as people type it: no question mark, an opening, or only its words of content.

    The model reads no capitals, so case needs no change.
    """
    bare = question.strip().rstrip("?？. ")
    way = rng.random()
    if way < 0.5:
        return bare
    if way < 0.75:
        return rng.choice(_OPENINGS) + question
    kept = [w for w in bare.split() if w.casefold().strip(",.'\"") not in words.STOP_WORDS]
    return " ".join(kept) if len(kept) > 1 else bare


def arrays(batch: Sequence[Sequence[_Item]]) -> dict[str, Any]:
    """A batch as flat tensors, pairs by length: `rows` says which pair a token belongs to."""
    import torch

    placed = [(item, g, m) for g, group in enumerate(batch) for m, item in enumerate(group, 1)]
    placed.sort(key=lambda entry: len(entry[0].pair.ids))
    items = [item for item, _, _ in placed]
    lengths = [len(item.pair.ids) for item in items]
    starts = [sum(lengths[:n]) for n in range(len(items) + 1)]
    width = max(lengths)
    marked = [n for n, item in enumerate(items) if item.low >= 0]

    def flat(values: Iterator[Any]) -> Any:
        return torch.tensor([value for some in values for value in some])

    chunks = []
    for low in range(0, len(items), _CHUNK):
        some = lengths[low : low + _CHUNK]
        chunks.append(
            {
                "from": starts[low],
                "to": starts[low + len(some)],
                "rows": flat([n] * length for n, length in enumerate(some)),
                "columns": flat(range(length) for length in some),
                "mask": torch.arange(some[-1])[None, :] < torch.tensor(some)[:, None],
            }
        )

    return {
        "ids": flat(item.pair.ids for item in items),
        "types": flat(item.pair.types for item in items),
        "positions": flat(range(n) for n in lengths),
        "rows": flat([n] * length for n, length in enumerate(lengths)),
        "text": flat(
            [item.pair.first <= n < item.pair.first + len(item.pair.spans) for n in range(length)]
            for item, length in zip(items, lengths, strict=True)
        ),
        "mask": torch.arange(width)[None, :] < torch.tensor(lengths)[:, None],
        "lengths": torch.tensor(lengths, dtype=torch.float32),
        "starts": torch.tensor(starts[:-1]),
        "chunks": chunks,
        "labels": torch.tensor([float(item.label == 1) for item in items]),
        "groups": len(batch),
        "widest": max(len(group) for group in batch),
        "group": torch.tensor([g for _, g, _ in placed]),
        "member": torch.tensor([m for _, _, m in placed]),
        "marked": torch.tensor(marked, dtype=torch.long),
        "from": torch.tensor([items[n].low for n in marked], dtype=torch.long),
        "to": torch.tensor([items[n].high for n in marked], dtype=torch.long),
        "worth": torch.tensor([items[n].worth for n in marked]),
    }
