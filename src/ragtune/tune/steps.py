"""How an adapter is trained, where training stands, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ragtune.tune.base import Device, Dtype

PEFT = "peft"  # the adapter's folder inside a run's


@dataclass(frozen=True, slots=True)
class TuneSettings:
    """How an adapter is trained. Steps are optimizer steps, one a batch.

    `batch` counts examples; `pack_tokens` bounds the tokens computed at once (memory, not result).
    `eval_every` 0 means twice an epoch; `patience` is after how many evaluations without a better
    held-out loss training stops (0: never). `kl` weighs the divergence from the base on general
    prompts (against forgetting). `minutes` bounds the run (0: no limit): the steps, and with them
    the schedule of the learning rate, are cut to what fits. `threads` 0 is one a core.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    learning_rate: float = 3e-4
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = 0.05  # share of the steps
    weight_decay: float = 0.0
    clip: float = 1.0  # largest norm of the gradient
    epochs: int = 2
    batch: int = 4
    pack_tokens: int = 1536
    max_tokens: int = 1024
    eval_every: int = 0
    patience: int = 4
    kl: float = 0.0
    minutes: float = 0.0
    seed: int = 0
    threads: int = 0
    device: Device = "auto"
    dtype: Dtype = "auto"


@dataclass(frozen=True, slots=True)
class Step:
    """Where training stands after a step. Losses are nats a trained token."""

    step: int
    total: int
    epoch: float
    loss: float
    heldout: float | None  # of the last evaluation
    best: float | None
    learning_rate: float
    tokens_per_second: float
    seconds_left: float | None  # None before it can be told


@dataclass(frozen=True, slots=True)
class Trained:
    """A run that has ended. `curve` holds (step, training loss, held-out loss or None).

    `heldout_before` is the base's held-out loss, `heldout` that of the adapter in `folder`/peft;
    both None without held-out examples. `notes` are lines for a person.
    """

    folder: Path
    stopped: Literal["finished", "early", "interrupted", "minutes"]
    steps: int
    best_step: int
    loss: float
    heldout_before: float | None
    heldout: float | None
    curve: tuple[tuple[int, float, float | None], ...]
    tokens_per_second: float
    seconds: float
    peak_bytes: int
    notes: tuple[str, ...] = ()

    @property
    def peft(self) -> Path:
        """The adapter folder in PEFT's format."""
        return self.folder / PEFT


def detail(step: Step) -> str:
    """The figures of a step in one line."""
    parts = [f"loss {step.loss:.3f}"]
    if step.heldout is not None:
        parts.append(f"held out {step.heldout:.3f}")
    parts.append(f"{step.tokens_per_second:.0f} tokens/s")
    if step.seconds_left is not None:
        minutes, seconds = divmod(round(step.seconds_left), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    return ", ".join(parts)
