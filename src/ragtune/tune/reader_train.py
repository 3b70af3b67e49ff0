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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragtune.tune.reader_batches import ReaderSettings, Task, arrays, batches

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ReaderStep:
    """Where training is: losses are means since the last step reported."""

    step: int
    steps: int
    support: float
    choice: float
    span: float
    tokens_per_second: float


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
