"""What a sync did: collected while it runs, and as its caller gets it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ragtune.ingest.plan import Plan
from ragtune.types import Document


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did, or with `dry_run` would do. Lists hold uris.

    An archive or database counts as its members or rows, in a dry run as one. `skipped` counts
    files that `ragtune rm` took out.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()  # from, to
    deleted: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()  # uri, reason
    warnings: tuple[str, ...] = ()
    left_out: tuple[tuple[str, tuple[str, ...]], ...] = ()  # uri, what it hides
    unchanged: int = 0
    skipped: int = 0
    passages_embedded: int = 0
    passages_reused: int = 0
    seconds: float = 0.0

    @property
    def nothing(self) -> bool:
        """Whether the index was equal to its sources already."""
        return not (self.added or self.changed or self.moved or self.deleted or self.failed)


@dataclass(slots=True)
class Tally:
    """What happened so far; see `SyncReport`."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    left_out: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    unchanged: int = 0
    skipped: int = 0
    embedded: int = 0
    reused: int = 0

    def start(self, plan: Plan) -> None:
        """Takes over what the look alone has found out."""
        self.failed += plan.failed
        self.warnings += plan.warnings
        self.unchanged += plan.unchanged
        self.skipped += plan.skipped

    def hides(self, document: Document) -> None:
        """Takes note of what a document hides from its reader."""
        if document.left_out:
            self.left_out.append((document.uri, document.left_out))

    def report(self, begun: float) -> SyncReport:
        """The report of a run that began at `begun`, by `time.perf_counter`."""
        return SyncReport(
            added=tuple(self.added),
            changed=tuple(self.changed),
            moved=tuple(self.moved),
            deleted=tuple(self.deleted),
            failed=tuple(self.failed),
            warnings=tuple(self.warnings),
            left_out=tuple(self.left_out),
            unchanged=self.unchanged,
            skipped=self.skipped,
            passages_embedded=self.embedded,
            passages_reused=self.reused,
            seconds=time.perf_counter() - begun,
        )
