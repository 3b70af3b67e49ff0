"""Seconds by stage of one question."""

from __future__ import annotations

import time


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.started = self.last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Ends the stage `name`, which began where the one before it ended."""
        now = time.perf_counter()
        self.laps[name], self.last = now - self.last, now

    def timings(self) -> dict[str, float]:
        """The stages so far, and "total"."""
        return {**self.laps, "total": time.perf_counter() - self.started}
