"""Adapters for arms that have none: the one place where a comparison trains."""

from __future__ import annotations

from ragtune.compare.arms import Trainer
from ragtune.types import OnProgress
from ragtune.workspace import Workspace


def trainer_of(workspace: Workspace, on_progress: OnProgress | None = None) -> Trainer | None:
    """What trains this workspace's adapters; None where the `tune` extra is not installed."""
    return None
