"""Trains the reader: MiniLM's upper layers and the heads of `models/reader.py`.

    tasks (a question, labelled texts) ─▶ groups of pairs ─▶ batches by length ─▶ AdamW ─▶ delta

Three losses: whether each text answers (binary cross-entropy); which text of a question does, or
none (softmax over its texts and a constant zero, so that a score of zero is where declining
starts); and the first and last answering token of texts that do. The same function trains the
shipped reader (`benchmarks/reader.py`) and a company's own.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ragtune import words
from ragtune.models import reader as serving

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


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


@dataclass(frozen=True, slots=True)
class ReaderStep:
    """Where training is: losses are means since the last step reported."""

    step: int
    steps: int
    support: float
    choice: float
    span: float
    tokens_per_second: float


# ---------------------------------------------------------------- training


def train_reader(
    base: Mapping[str, Floats],
    tasks: Sequence[Task],
    tokenizer: Any,
    settings: ReaderSettings,
    on_step: Callable[[ReaderStep], None] | None = None,
    heads: Mapping[str, Floats] | None = None,
    stop: threading.Event | None = None,
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """The trained weights (named as in `base`) and heads.

    `base` are MiniLM's weights, or a reader's (`serving.apply`) to continue from, then with its
    `heads`. `stop` ends training early; what was learnt by then is returned. The same seed, data
    and machine give the same weights.
    """
    import time

    import torch

    torch.manual_seed(settings.seed)
    rng = random.Random(settings.seed)  # noqa: S311
    weights = {n: torch.tensor(v) for n, v in base.items() if not n.endswith("position_ids")}
    learnt = [n for n in weights if _layer(n) >= settings.frozen]
    own = _new_heads(torch) if heads is None else {n: torch.tensor(v) for n, v in heads.items()}
    for name in learnt:
        weights[name].requires_grad_()
    for value in own.values():
        value.requires_grad_()
    optimiser = torch.optim.AdamW(
        [
            {"params": [weights[n] for n in learnt], "lr": settings.rate},
            {"params": list(own.values()), "lr": 5 * settings.rate},
        ],
        betas=(0.9, 0.98),
        weight_decay=settings.decay,
    )
    rates = [group["lr"] for group in optimiser.param_groups]
    plan = batches(tasks, tokenizer, settings, rng)
    started, tokens, sums = time.perf_counter(), 0, [0.0, 0.0, 0.0, 0.0]
    for step, batch in enumerate(plan):
        if stop is not None and stop.is_set():
            break
        scale = min(1.0, (step + 1) / (settings.warmup * len(plan) + 1))
        scale *= max(0.02, 1 - step / len(plan))
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * scale
        flat = arrays(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = forward(weights, flat)
        losses = _losses(hidden.float(), own, flat)
        optimiser.zero_grad(set_to_none=True)
        (losses[0] + losses[1] + losses[2]).backward()
        torch.nn.utils.clip_grad_norm_(
            [p for g in optimiser.param_groups for p in g["params"]], 1.0
        )
        optimiser.step()
        tokens += int(flat["ids"].numel())
        sums = [
            a + b for a, b in zip(sums, [*(float(x.detach()) for x in losses), 1.0], strict=True)
        ]
        if on_step is not None and (step % 20 == 19 or step + 1 == len(plan)):
            rate = tokens / (time.perf_counter() - started)
            mean = [value / sums[3] for value in sums]
            on_step(ReaderStep(step + 1, len(plan), mean[0], mean[1], mean[2], rate))
            sums = [0.0, 0.0, 0.0, 0.0]
    final = {n: weights[n].detach().numpy() if n in weights else v for n, v in base.items()}
    return final, {n: v.detach().numpy() for n, v in own.items()}


def _layer(name: str) -> int:
    parts = name.split(".")
    return int(parts[2]) if parts[:2] == ["encoder", "layer"] else -1


def _new_heads(torch: Any) -> dict[str, Any]:
    size = 384
    return {
        "support.first": torch.zeros(size),
        "support.mean": torch.zeros(size),
        "support.bias": torch.zeros(1),
        "start": 0.02 * torch.randn(size),
        "end": 0.02 * torch.randn(size),
    }


def forward(weights: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
    """Hidden states of all tokens of a batch, shape (tokens, 384): no padding but in attention."""
    import torch
    from torch.nn.functional import embedding, gelu, layer_norm, linear

    def norm(x: Any, name: str) -> Any:
        return layer_norm(x, (384,), weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-12)

    def product(x: Any, name: str) -> Any:
        return linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    e = "embeddings"
    x = embedding(arrays["ids"], weights[f"{e}.word_embeddings.weight"])
    x = x + embedding(arrays["positions"], weights[f"{e}.position_embeddings.weight"])
    x = x + embedding(arrays["types"], weights[f"{e}.token_type_embeddings.weight"])
    x = norm(x, f"{e}.LayerNorm")
    for layer in range(6):
        at = f"encoder.layer.{layer}"
        flat = [product(x, f"{at}.attention.self.{part}") for part in ("query", "key", "value")]
        mixed = torch.cat([_attention(flat, chunk) for chunk in arrays["chunks"]])
        x = norm(
            product(mixed, f"{at}.attention.output.dense") + x, f"{at}.attention.output.LayerNorm"
        )
        wide = gelu(product(x, f"{at}.intermediate.dense"))
        x = norm(product(wide, f"{at}.output.dense") + x, f"{at}.output.LayerNorm")
    return x


def _attention(flat: Sequence[Any], chunk: Mapping[str, Any]) -> Any:
    """Attention within each pair of a chunk: padded for this only, then flat again.

    Written out: on a CPU the fused operator's backward takes several times as long.
    """
    import torch

    mask, at = chunk["mask"], (chunk["rows"], chunk["columns"])
    count, width = mask.shape
    padded = [
        x.new_zeros(count, width, 384).index_put(at, x[chunk["from"] : chunk["to"]]) for x in flat
    ]
    query, key, value = (x.view(count, width, 12, 32).transpose(1, 2) for x in padded)
    alike = (query * 32**-0.5) @ key.transpose(2, 3)
    alike = alike.masked_fill(~mask[:, None, None, :], -1e4)
    mixed = torch.softmax(alike, -1).to(value.dtype) @ value
    return mixed.transpose(1, 2).reshape(count, width, 384)[at]


def scores(hidden: Any, heads: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
    """The support logit of each pair of a batch, shape (pairs,)."""
    first = hidden[arrays["starts"]]
    sums = hidden.new_zeros(len(first), 384).index_add(0, arrays["rows"], hidden)
    mean = sums / arrays["lengths"][:, None]
    return first @ heads["support.first"] + mean @ heads["support.mean"] + heads["support.bias"]


def _losses(
    hidden: Any, heads: Mapping[str, Any], arrays: Mapping[str, Any]
) -> tuple[Any, Any, Any]:
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    support = scores(hidden, heads, arrays)
    labels = arrays["labels"]
    weight = torch.where(labels > 0, 1.5, 1.0)
    binary = binary_cross_entropy_with_logits(support, labels, weight=weight)

    # One row a question: its texts' scores and a zero for "none of them".
    table = support.new_full((arrays["groups"], arrays["widest"] + 1), -1e4)
    table[:, 0] = 0.0
    table = table.index_put((arrays["group"], arrays["member"]), support)
    right = table.new_zeros(table.shape).index_put((arrays["group"], arrays["member"]), labels)
    right[:, 0] = (right.sum(1) == 0).float()
    log = torch.log_softmax(table, 1)
    choice = -torch.logsumexp(log.masked_fill(right == 0, -1e4), 1).mean()

    span = support.new_zeros(())
    if len(arrays["marked"]):
        total = support.new_zeros(())
        for name, target in (("start", arrays["from"]), ("end", arrays["to"])):
            logits = hidden @ heads[name]
            logits = logits.masked_fill(~arrays["text"], -1e4)
            padded = logits.new_full(arrays["mask"].shape, -1e4)
            padded = padded.index_put((arrays["rows"], arrays["positions"]), logits)
            log = torch.log_softmax(padded[arrays["marked"]], 1)
            losses = -log.gather(1, target[:, None])[:, 0]
            total = total + (losses * arrays["worth"]).mean()
        span = total / 2
    return binary, choice, span


# ---------------------------------------------------------------- batches


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
