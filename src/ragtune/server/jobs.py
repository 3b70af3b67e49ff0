"""Long work (tuning, comparing) as processes of the command line, so that none takes the server.

.ragtune/jobs/ID/
  job.json     what was asked for, state, times; replaced as a whole
  out.txt      standard output: the result as one JSON object
  err.txt      standard error: progress
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ragtune import config

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True, slots=True)
class Job:
    """One run."""

    id: str
    kind: str
    owner: str
    state: State
    created: float
    arguments: tuple[str, ...]
    started: float | None = None
    ended: float | None = None
    error: str | None = None


class Jobs:
    """The jobs of a workspace."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / config.DATA_FOLDER / "jobs"

    def list(self) -> list[Job]:
        """All jobs, newest first."""
        found = []
        for path in self._folder.glob("*/job.json"):
            try:
                raw: dict[str, Any] = json.loads(path.read_text("utf-8"))
                found.append(Job(**{**raw, "arguments": tuple(raw["arguments"])}))
            except (OSError, ValueError, TypeError, KeyError):
                continue
        return sorted(found, key=lambda job: job.created, reverse=True)

    def as_json(self, job: Job) -> dict[str, Any]:
        """The job's JSON object."""
        return asdict(job)
