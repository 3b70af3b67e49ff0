"""When work runs: bounded lanes of threads for the synchronous core.

Searches have threads of their own and never wait behind a model that writes. Each lane lets a
number of requests in and a number wait, in the order they came; the next one is told at once to
come back later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from ragtune.ask import Event
from ragtune.server import problems
from ragtune.server.options import Limits
from ragtune.types import Evidence

T = TypeVar("T")
_SMOOTH = 0.2  # weight of the newest duration in the mean that Retry-After is made of


@dataclass(frozen=True, slots=True)
class Queued:
    """The answer waits for the model: `position` 1 is the next to be written."""

    position: int


class Lane:
    """Threads for one kind of work, and its queue."""

    def __init__(self, name: str, slots: int, waiting: int) -> None:
        self.name = name
        self.slots = slots
        self.waiting = waiting  # most that may wait
        self.entered = 0  # running and waiting now
        self._free = asyncio.Semaphore(slots)  # first come, first served
        self._threads = ThreadPoolExecutor(slots, f"ragtune-{name}")
        self._mean = 1.0

    @property
    def queue(self) -> int:
        """How many wait now."""
        return max(0, self.entered - self.slots)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a slot and holds it. Raises Problem 503 where too many wait."""
        if self.entered >= self.slots + self.waiting:
            raise problems.busy(self._mean * (self.queue + 1) / self.slots)
        self.entered += 1
        try:
            async with self._free:
                begun = time.perf_counter()
                try:
                    yield
                finally:
                    self._mean += _SMOOTH * (time.perf_counter() - begun - self._mean)
        finally:
            self.entered -= 1

    async def call(self, function: Callable[..., T], *given: object) -> T:
        """Runs `function` in a thread of this lane, whose turn it is.

        A request that goes away meanwhile leaves when the call has returned, not before: its
        thread must be free for the next in line.
        """
        future = asyncio.get_running_loop().run_in_executor(self._threads, function, *given)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    async def run(self, function: Callable[..., T], *given: object) -> T:
        """Waits for a turn, then `call`."""
        async with self.turn():
            return await self.call(function, *given)

    def close(self) -> None:
        """Lets the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Work:
    """The lanes of a server."""

    def __init__(self, limits: Limits) -> None:
        self.search = Lane("search", limits.search_threads, limits.search_waiting)
        self.generate = Lane("generate", limits.generations, limits.generation_waiting)
        self.other = Lane("other", 2, 64)  # documents, jobs: what reads and writes files
        self.index = Lane("index", 1, 256)  # what changes the index; one at a time anyway
        self.pictures = Lane("pictures", 1, 64)
        self.sign_in = Lane("sign-in", 1, 16)  # a password takes a tenth of a second and 64 MiB

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """All of them."""
        return (self.search, self.generate, self.other, self.index, self.pictures, self.sign_in)

    def close(self) -> None:
        """Lets all threads end."""
        for lane in self.lanes:
            lane.close()

    async def events(
        self, begin: Callable[[], Iterator[Event]], writes: bool, documents: bool
    ) -> AsyncGenerator[Event | Queued]:
        """The events of a question: Evidence from the search lane, the rest in the model's turn.

        What waits for the model says so, once, by a Queued. `writes` and `documents` are what the
        question was asked with: an answer that is quoted or declined never waits for the model.
        """
        async with self.search.turn():
            events = await self.search.call(begin)
            first = await self.search.call(next, events)
        model = writes and isinstance(first, Evidence) and (first.supported or not documents)
        lane = self.generate if model else self.search
        # A client that reads slowly must not hold the model: what it has not read waits here.
        made: asyncio.Queue[Event | Queued | None] = asyncio.Queue()
        made.put_nowait(first)
        if model and lane.entered >= lane.slots:
            made.put_nowait(Queued(lane.entered - lane.slots + 1))
        rest = asyncio.create_task(_rest(lane, events, made))
        rest.add_done_callback(_seen)
        try:
            while (event := await made.get()) is not None:
                yield event
            await rest  # raises what ended it
        finally:
            rest.cancel()


async def _rest(
    lane: Lane, events: Iterator[Event], made: asyncio.Queue[Event | Queued | None]
) -> None:
    """Puts the remaining events into `made`, and None at their end, also when it fails."""
    try:
        async with lane.turn():
            try:
                while (event := await lane.call(next, events, None)) is not None:
                    made.put_nowait(event)
            finally:  # stops a model that writes for someone who has gone
                await lane.call(_close, events)
    finally:
        made.put_nowait(None)


def _seen(rest: asyncio.Task[None]) -> None:
    """What failed after the client had gone is nobody's to hear."""
    if not rest.cancelled():
        rest.exception()


def _close(events: Iterator[Event]) -> None:
    close = getattr(events, "close", None)
    if close is not None:
        close()
