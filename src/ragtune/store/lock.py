"""One writer at a time, among threads and among processes.

`flock` belongs to an open file, so it also keeps apart two stores in one process, and the kernel
releases it when its process ends, however it ends: there is no stale lock to clean up.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ragtune.errors import WorkspaceError

WAITING = "another process is writing: waiting"


class WriteLock:
    """The workspace's lock. Re-entrant within a thread."""

    def __init__(
        self,
        path: Path,
        on_wait: Callable[[str], None] | None = None,
        *,
        patience: float = 600.0,
    ) -> None:
        self._path = path
        self._on_wait = on_wait
        self._patience = patience
        self._threads = threading.RLock()
        self._depth = 0
        self._file = -1

    def acquire(self, *, wait: bool = True) -> bool:
        """Takes the lock; without `wait`, False at once when another holds it.

        After one second `on_wait` gets one line; after `patience` seconds it is a WorkspaceError.
        """
        begun = time.monotonic()
        told = False
        while True:
            if self._try():
                return True
            if not wait:
                return False
            waited = time.monotonic() - begun
            if waited > 1.0 and not told:
                told = True
                if self._on_wait is not None:
                    self._on_wait(WAITING)
            if waited > self._patience:
                raise WorkspaceError(
                    f"another process has been writing for {waited:.0f} s: try again later "
                    f"({self._path} is locked)"
                )
            time.sleep(0.002 if waited < 0.1 else 0.02)

    def _try(self) -> bool:
        if not self._threads.acquire(blocking=False):
            return False
        if self._depth == 0:
            try:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError:
                self._threads.release()
                raise
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(file)
                self._threads.release()
                if isinstance(error, BlockingIOError):
                    return False
                raise
            self._file = file
        self._depth += 1
        return True

    def release(self) -> None:
        """Gives back what one `acquire` took."""
        self._depth -= 1
        if self._depth == 0:
            # Closing alone would leave the lock with a child that was forked meanwhile.
            fcntl.flock(self._file, fcntl.LOCK_UN)
            os.close(self._file)
            self._file = -1
        self._threads.release()

    @property
    def mine(self) -> bool:
        """Whether this thread holds the lock."""
        if not self._threads.acquire(blocking=False):
            return False
        held = self._depth > 0
        self._threads.release()
        return held
