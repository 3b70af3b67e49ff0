"""How much memory a training run takes, told before it starts, and how much it took."""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ragtune.tune.base import Base
from ragtune.tune.base import require as _require
from ragtune.tune.chat import Encoded

if TYPE_CHECKING:
    from ragtune.tune.steps import TuneSettings


def require(base: Base, examples: Sequence[Encoded], settings: TuneSettings) -> None:
    """Raises TuneError where training would need more memory than there is, and what would fit."""
    tokens = max(settings.pack_tokens, max((len(e.ids) for e in examples), default=0))
    need = training_bytes(base.model.config, settings.rank, tokens, base.dtype)
    _require(
        need,
        base.device,
        f"training with {tokens} tokens at once",
        "a smaller pack_tokens, shorter examples, a smaller rank or a smaller base",
    )


def training_bytes(config: Any, rank: int, tokens: int, dtype: str) -> int:
    """Bytes that training takes beyond the loaded base: adapter, optimizer, activations, logits.

    `tokens` are computed at once. An upper estimate for Llama-like blocks, checked against a
    measured run (benchmarks/results/training.md).
    """
    item = 2 if dtype == "bfloat16" else 4
    hidden, wide = config.hidden_size, config.intermediate_size
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or hidden // heads
    keys = getattr(config, "num_key_value_heads", None) or heads
    ins_outs = (  # (in, out) of the seven linear layers of a block
        (hidden, heads * size), (hidden, keys * size), (hidden, keys * size),
        (heads * size, hidden), (hidden, wide), (hidden, wide), (wide, hidden),
    )  # fmt: skip
    adapter = config.num_hidden_layers * rank * sum(i + o for i, o in ins_outs)
    # weights, gradient, two moments, and the copies that are being saved
    of_adapter = adapter * 4 * 6
    per_token = 10 * hidden + 5 * wide + 8 * heads * size
    activations = config.num_hidden_layers * tokens * per_token * item
    logits = tokens // 2 * config.vocab_size * (item + 4 + 4)
    return int(of_adapter + math.ceil(activations * 1.25) + logits)


def peak_bytes(device: str) -> int:
    """The most memory that this process had: of the GPU, or resident."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
