"""Reads files in worker processes with memory and time limits: a bad file ends only itself.

A process of one's own costs about as much to start as a small PDF to read, so workers are reused;
one that is killed or crashes is replaced. Small plain-text files are read in this process, so that
an edit to a note is visible within milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

from ragtune.config import Settings, cores
from ragtune.errors import DocumentError
from ragtune.ingest.parse import Failed, Parsed, quick_text, worker
from ragtune.ingest.parse.base import extension, one_line

Result = list[Parsed | Failed] | DocumentError

QUICK_BYTES = 64 * 1024
_QUICK_NAMES = frozenset(("md", "txt", "markdown"))
_FILES_A_WORKER = 300  # then it is replaced: parsers leak
_PARENT_GRACE = 3.0  # seconds after which the parent kills a worker that has not ended itself


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read: its bytes or where it is, and the name that breaks ties between formats.

    `item` is the caller's own and comes back untouched.
    """

    name: str
    data: bytes | Path
    item: Any = field(default=None, compare=False)


class _Worker:
    """One reader process and what it is reading."""

    def __init__(self, memory_mb: int, seconds: float) -> None:
        self.seconds = seconds
        self.memory_mb = memory_mb
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter, no user input
            # -P: never import from the folder that the user happens to be in
            [
                sys.executable,
                "-P",
                "-m",
                "ragtune.ingest.parse.worker",
                str(memory_mb),
                str(seconds),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the parent only, which ends its workers
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.source: Source | None = None
        self.deadline = 0.0
        self.read = 0

    @property
    def replies(self) -> BinaryIO:
        return cast(BinaryIO, self.process.stdout)

    def start(self, source: Source) -> None:
        """Hands a file over. Raises BrokenPipeError when the process is gone."""
        self.source = source
        self.deadline = time.monotonic() + self.seconds + _PARENT_GRACE
        self.read += 1
        requests = cast(BinaryIO, self.process.stdin)
        worker.send(requests, source.name.encode("utf-8", "replace"))
        if isinstance(source.data, bytes):
            worker.send(requests, b"d" + source.data)
        else:
            worker.send(requests, b"p" + os.fsencode(source.data))

    def finish(self) -> Result:
        """The result, or why there is none."""
        self.source = None
        data = worker.receive(self.replies)
        if data is None:
            return DocumentError(self._end_reason())
        try:
            return worker.decode(data)
        except worker.ExhaustedError as error:
            self.kill()
            return DocumentError(str(error))
        except DocumentError as error:
            return error
        except (ValueError, TypeError, KeyError, IndexError):
            self.kill()
            return DocumentError("the reader returned nonsense")

    def overdue(self) -> Result:
        """Ends a worker that is over its time."""
        self.source = None
        self.kill()
        return DocumentError(self._too_long())

    def _too_long(self) -> str:
        return f"took more than {self.seconds:g} s to read"

    def _end_reason(self) -> str:
        self.kill(wait_first=1.0)
        code = self.process.returncode
        if code == -signal.SIGALRM:
            return self._too_long()
        if code in (-signal.SIGABRT, -signal.SIGKILL, -signal.SIGTRAP):
            # how native code ends when its memory is used up
            return f"the reader crashed (signal {-code}), maybe for want of {self.memory_mb} MiB"
        if code is not None and code < 0:
            return f"the reader crashed (signal {-code})"
        return f"the reader ended (exit code {code})"

    def kill(self, wait_first: float = 0.0) -> None:
        """Ends the process at once and closes its pipes."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if wait_first:
                self.process.wait(wait_first)
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()


class Readers:
    """A pool of reader processes; a context manager. Not for several threads at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._size = settings.workers or min(4, cores())
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    def __enter__(self) -> Readers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all workers at once."""
        for one in list(self._all):
            self._end(one)

    def read(self, data: bytes | Path, name: str) -> list[Parsed | Failed]:
        """Reads one file. Raises DocumentError."""
        for _, result in self.map([Source(name, data)]):
            if isinstance(result, DocumentError):
                raise result
            return result
        raise AssertionError("map yields one result a source")

    def map(
        self, sources: Iterable[Source], ordered: bool = False
    ) -> Iterator[tuple[Source, Result]]:
        """Reads files side by side and yields each with its result as it is ready.

        Only one finished result is in memory at a time; further ones wait inside their workers
        (`ordered`: at most one more for each worker).
        """
        waiting = iter(sources)
        busy: list[_Worker] = []
        order: deque[Source] = deque()
        done: dict[int, Result] = {}  # by identity of the source, for `ordered`
        try:
            while True:
                ready: list[tuple[Source, Result]] = []
                while len(busy) < self._size and len(order) < 2 * self._size:
                    source = next(waiting, None)
                    if source is None:
                        break
                    if ordered:
                        order.append(source)
                    result = self._at_once(source)
                    if result is not None:
                        ready.append((source, result))
                        break
                    busy.append(self._start(source))
                if not ready:
                    if not busy:
                        return
                    ready.append(self._wait(busy))
                if not ordered:
                    yield ready[0]
                    continue
                done[id(ready[0][0])] = ready[0][1]
                while order and id(order[0]) in done:
                    source = order.popleft()
                    yield source, done.pop(id(source))
        finally:
            for one in busy:  # the caller has stopped early: what they read is of no use
                self._end(one)

    def _at_once(self, source: Source) -> Result | None:
        """A result that needs no worker: too large, unreadable, or a small plain text."""
        try:
            size = self._size_of(source.data)
            limit = self._settings.max_file_mb
            if size > limit << 20:
                return DocumentError(f"larger than {limit} MiB (max_file_mb)")
            if size <= QUICK_BYTES and extension(source.name) in _QUICK_NAMES:
                data = source.data
                parsed = quick_text(
                    data if isinstance(data, bytes) else data.read_bytes(), source.name
                )
                return [parsed] if parsed else None
        except DocumentError as error:
            return error
        except OSError as error:
            return DocumentError(f"cannot be read: {one_line(error.strerror or str(error))}")
        return None

    @staticmethod
    def _size_of(data: bytes | Path) -> int:
        if isinstance(data, bytes):
            return len(data)
        found = os.stat(data)
        if not stat.S_ISREG(found.st_mode):  # a pipe would block, a device never ends
            raise DocumentError("not a regular file")
        return found.st_size

    def _start(self, source: Source) -> _Worker:
        for _ in range(self._size + 3):
            one = self._idle.pop() if self._idle else self._new()
            if one.process.poll() is not None:  # it died while idle
                self._end(one)
                continue
            try:
                one.start(source)
                return one
            except (BrokenPipeError, ValueError):
                self._end(one)
        raise DocumentError("reader processes cannot be started")

    def _new(self) -> _Worker:
        one = _Worker(self._settings.parse_memory_mb, self._settings.parse_seconds)
        self._all.add(one)
        return one

    def _wait(self, busy: list[_Worker]) -> tuple[Source, Result]:
        """The next result of the busy workers; takes its worker off the list."""
        while True:
            soonest = min(one.deadline for one in busy)
            poll = select.poll()  # not select(): it fails above 1,024 open files
            for one in busy:
                poll.register(one.replies, select.POLLIN | select.POLLHUP)
            events = poll.poll(max(0.0, soonest - time.monotonic()) * 1000)
            numbers = {number for number, _ in events}
            for one in busy:
                ready = one.replies.fileno() in numbers
                if not ready and time.monotonic() < one.deadline:
                    continue
                source = cast(Source, one.source)
                # one that is overdue and has an answer was only waiting for us to take it
                result = one.finish() if ready else one.overdue()
                busy.remove(one)
                if one.process.returncode is not None or one.read >= _FILES_A_WORKER:
                    self._end(one)
                else:
                    self._idle.append(one)
                return source, result

    def _end(self, one: _Worker) -> None:
        one.kill()
        self._all.discard(one)
        if one in self._idle:
            self._idle.remove(one)
