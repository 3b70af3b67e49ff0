"""What is computed with torch: the adapted layer, attention over a pack, the loss of a pack.

The one module of `tune` with torch at its top; others import it inside functions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

from ragtune.errors import TuneError
from ragtune.tune.pack import Pack

ATTENTION = "ragtune_pack"


class LoraLinear(torch.nn.Module):  # type: ignore[misc]  # torch is not followed
    """A frozen linear layer with its low-rank correction; `on` = False is the plain layer."""

    def __init__(
        self,
        base: torch.nn.Linear,
        rank: int,
        alpha: float,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.base = base
        self.scale = alpha / rank
        self.dropout = dropout
        self.on = True
        # Kaiming uniform with a = sqrt(5), PEFT's start: uniform in +-1/sqrt(in)
        a = torch.rand(rank, base.in_features, generator=generator)
        bound = base.in_features**-0.5
        device = base.weight.device
        self.A = torch.nn.Parameter(((2 * a - 1) * bound).to(device))
        self.B = torch.nn.Parameter(torch.zeros(base.out_features, rank, device=device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """W x + (alpha / rank) B A x, in the type of `x`."""
        y = self.base(x)
        if not self.on:
            return y
        if self.dropout and self.training:
            x = functional.dropout(x, self.dropout)
        low = functional.linear(x, self.A.to(x.dtype))
        return y + functional.linear(low, (self.B * self.scale).to(x.dtype))


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    pack: Pack | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention in which an example sees the shared prefix and itself, nothing else.

    Shapes as transformers' attention functions have them: (1, heads, tokens, size) in,
    (1, tokens, heads, size) out. Exactly what each example alone would get.
    """
    if pack is None or query.shape[0] != 1:
        raise TuneError("this attention function is for packs only")
    window = others.get("sliding_window")
    if others.get("softcap") or (window is not None and window < pack.longest):
        raise TuneError("this base uses attention that packing does not know: take another base")
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key = key.repeat_interleave(groups, dim=1)
        value = value.repeat_interleave(groups, dim=1)
    shared = pack.shared
    outputs = []
    if shared:
        outputs.append(
            functional.scaled_dot_product_attention(
                query[:, :, :shared],
                key[:, :, :shared],
                value[:, :, :shared],
                is_causal=True,
                scale=scaling,
            )
        )
    for start, end in pack.spans:
        keys, values, mask = key[:, :, start:end], value[:, :, start:end], None
        if shared:
            keys = torch.cat((key[:, :, :shared], keys), dim=2)
            values = torch.cat((value[:, :, :shared], values), dim=2)
            size = end - start
            mask = torch.ones(size, shared + size, dtype=torch.bool, device=query.device)
            mask = mask.tril(diagonal=shared)
        outputs.append(
            functional.scaled_dot_product_attention(
                query[:, :, start:end],
                keys,
                values,
                attn_mask=mask,
                is_causal=mask is None,
                scale=scaling,
            )
        )
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, attend)


@contextlib.contextmanager
def _attention(model: Any, name: str) -> Iterator[None]:
    before = model.config._attn_implementation
    model.config._attn_implementation = name
    try:
        yield
    finally:
        model.config._attn_implementation = before


def logits(model: Any, pack: Pack) -> torch.Tensor:
    """Logits from which the trained tokens of `pack` are predicted, (targets, vocabulary)."""
    device = next(model.parameters()).device
    with _attention(model, ATTENTION):
        out = model(
            input_ids=torch.tensor([pack.ids], device=device),
            position_ids=torch.tensor([pack.positions], device=device),
            use_cache=False,
            logits_to_keep=torch.tensor(pack.sources, device=device),
            pack=pack,
        )
    found: torch.Tensor = out.logits[0]
    return found


def loss_sum(model: Any, pack: Pack) -> torch.Tensor:
    """The summed cross-entropy of the trained tokens of `pack`, in nats, float32."""
    found = logits(model, pack)
    targets = torch.tensor(pack.targets, device=found.device)
    return functional.cross_entropy(found.float(), targets, reduction="sum")


def divergence(model: Any, pack: Pack) -> torch.Tensor:
    """KL(base || tuned) over the answers of `pack`, mean a token in nats, float32."""
    from ragtune.tune import lora

    with torch.no_grad(), lora.switched_off(model):
        before = functional.log_softmax(logits(model, pack).float(), dim=-1)
    after = functional.log_softmax(logits(model, pack).float(), dim=-1)
    return functional.kl_div(after, before, reduction="batchmean", log_target=True)


def greedy(
    model: Any, prompts: Sequence[Sequence[int]], most: int, end: int, pad: int
) -> list[list[int]]:
    """Greedy continuations of at most `most` tokens, without the end-of-turn token `end`."""
    device = next(model.parameters()).device
    longest = max(map(len, prompts))
    gaps = [longest - len(prompt) for prompt in prompts]
    rows = [[pad] * gap + list(prompt) for gap, prompt in zip(gaps, prompts, strict=True)]
    seen = [[0] * gap + [1] * (longest - gap) for gap in gaps]
    made = model.generate(
        torch.tensor(rows, device=device),
        attention_mask=torch.tensor(seen, device=device),
        max_new_tokens=most,
        do_sample=False,
        use_cache=True,
        eos_token_id=end,
        pad_token_id=pad,
    )
    replies = []
    for row in made[:, longest:].tolist():
        replies.append(row[: row.index(end)] if end in row else row)
    return replies
