"""Around the training loop: what stops it before any work, what a run is known by, determinism."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ragtune.config import cores
from ragtune.errors import TuneError
from ragtune.tune import chat
from ragtune.tune.base import Base
from ragtune.tune.chat import Encoded
from ragtune.tune.steps import TuneSettings


def check(
    base: Base,
    train: Sequence[Encoded],
    heldout: Sequence[Encoded],
    settings: TuneSettings,
    general: Sequence[Encoded] = (),
) -> None:
    """The hard stops before any work. Raises TuneError."""
    if not train:
        raise TuneError("there is no example to train on")
    if min(settings.rank, settings.epochs, settings.batch) < 1 or settings.learning_rate <= 0:
        raise TuneError("rank, epochs, batch and learning_rate must be above zero")
    end = chat.end_of_turn(base.tokenizer)
    for number, example in enumerate([*train, *heldout, *general], start=1):
        if not any(example.trained[1:]):
            raise TuneError(f"example {number} has no trained token: its answer is empty")
        if not example.trained[-1] or example.ids[-1] != end:
            raise TuneError(
                f"example {number} does not end with a trained end-of-turn token: the tuned model "
                "would never stop"
            )


@contextlib.contextmanager
def torch_set(settings: TuneSettings) -> Iterator[None]:
    """Threads and determinism as asked for, and as they were before when it ends."""
    import torch

    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(settings.threads or cores())
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.manual_seed(settings.seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warn)


def identity(
    base: Base,
    train: Sequence[Encoded],
    heldout: Sequence[Encoded],
    general: Sequence[Encoded],
    settings: TuneSettings,
) -> str:
    """What must be the same for a run to be resumed."""
    what = hashlib.sha256(base.sha256.encode())
    what.update(repr(replace(settings, minutes=0.0, threads=0)).encode())
    for part in (train, heldout, general):
        what.update(repr([(example.ids, example.trained) for example in part]).encode())
    return what.hexdigest()


def synced(path: Path) -> None:
    """Waits until a file's content is on the disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
