"""Before a question: what changed on disk is taken in, so that it is true for this answer.

still? (a server's word from the kernel) ─▶ a look at the files' stats ─▶ a sync, if they differ
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ragtune.config import Settings
from ragtune.ingest import plan, sync
from ragtune.ingest.report import SyncReport

if TYPE_CHECKING:
    from ragtune.ingest.still import Still
    from ragtune.store.embedded import EmbeddedStore

SLOW_LOOK = 0.5  # seconds; a look for changed files that takes longer …
LOOK_AGAIN = 20  # … is made again only after this many times its duration
WAIT = 0.5  # seconds that a question waits for another sync


class Freshness:
    """Looks for changes before questions, as often as the setting `fresh` says."""

    def __init__(self) -> None:
        self.still: Still | None = None  # a server's: spares the look before most questions
        self._busy = False  # another sync took longer than a question waits

    def refresh(
        self,
        store: EmbeddedStore,
        settings: Settings,
        root: Path,
        take_in: Callable[[], SyncReport],
    ) -> SyncReport | None:
        """What `take_in` did, or None where there was nothing to do or nobody looked.

        `take_in` is a sync that does not wait for another: this does, half a second at most.
        """
        still = self.still if settings.fresh == "auto" else None
        if settings.fresh == "never" or store.read_only:
            return None
        sources = plan.stored_sources(store) if still else []
        if still is not None and still.holds(sources):
            return None
        if settings.fresh == "auto" and time.time() < float(store.meta("look_at") or 0.0):
            return None
        ticket = still.before_look(sources) if still is not None else None
        started = time.perf_counter()
        changed = sync.changed(store, settings, root)
        seconds = time.perf_counter() - started
        if seconds > SLOW_LOOK:
            store.set_meta("look_at", str(time.time() + LOOK_AGAIN * seconds))
        report = self._waiting(take_in) if changed else None
        if still is not None and (report is None or (report.nothing and not report.warnings)):
            still.nothing_found(ticket)
        return report

    def _waiting(self, take_in: Callable[[], SyncReport]) -> SyncReport:
        """Where another sync runs on and on, only the first question waits."""
        until = time.monotonic() + (0.0 if self._busy else WAIT)
        while sync.RUNNING in (report := take_in()).warnings:
            self._busy = time.monotonic() > until
            if self._busy:
                return report
            time.sleep(0.01)
        self._busy = False
        return report
