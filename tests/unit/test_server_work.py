"""Lanes: order, limits, and what happens to work whose client has gone."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from ragtune.ask import Event
from ragtune.server.options import Limits
from ragtune.server.problems import Problem
from ragtune.server.work import Lane, Queued, Work
from ragtune.types import Answer, Evidence, Route, Token

ANSWER = Answer("said", (), (), "cited", Route(), {}, "model")


def test_a_full_lane_refuses_at_once_and_says_when_to_come_back() -> None:
    async def main() -> None:
        lane = Lane("test", slots=1, waiting=1)
        go = threading.Event()
        running = [asyncio.create_task(lane.run(go.wait)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(Problem) as refused:
            await lane.run(go.wait)
        assert refused.value.status_code == 503
        assert int((refused.value.headers or {})["Retry-After"]) >= 1
        go.set()
        assert await asyncio.gather(*running) == [True, True]
        assert lane.entered == 0
        lane.close()

    asyncio.run(main())


class Question:
    """An answer that is written when `go` is set, and notes when it was closed."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.closed = threading.Event()

    def __call__(self) -> Iterator[Event]:
        try:
            yield Evidence(supported=True)
            self.go.wait(10)
            for _ in range(100):
                yield Token("word ")
            yield ANSWER
        finally:
            self.closed.set()


def test_writing_waits_in_order_and_searching_does_not_wait() -> None:
    async def main() -> None:
        work = Work(Limits())
        questions = [Question(), Question()]
        streams = [work.events(q, writes=True, documents=True) for q in questions]
        for stream in streams:
            assert isinstance(await anext(stream), Evidence)
        assert await anext(streams[1]) == Queued(1)
        assert await asyncio.wait_for(work.search.run(lambda: 5), 1) == 5
        declined = work.events(lambda: iter((Evidence(), ANSWER)), writes=True, documents=True)
        assert [type(e) async for e in declined] == [Evidence, Answer]
        for question in questions:
            question.go.set()
        for stream in streams:
            rest = [e async for e in stream]
            assert len(rest) == 101
            assert rest[-1] is ANSWER
        assert work.generate.entered == work.search.entered == 0
        work.close()

    asyncio.run(main())


def test_a_client_that_goes_frees_the_model() -> None:
    async def main() -> None:
        work = Work(Limits())
        gone, next_one = Question(), Question()
        stream = work.events(gone, writes=True, documents=True)
        await anext(stream)
        await asyncio.sleep(0.05)
        await stream.aclose()
        gone.go.set()
        next_one.go.set()
        events = [e async for e in work.events(next_one, writes=True, documents=True)]
        assert events[-1] is ANSWER
        assert gone.closed.wait(1)
        assert work.generate.entered == 0
        work.close()

    asyncio.run(main())


def test_a_client_that_reads_slowly_does_not_hold_the_model() -> None:
    async def main() -> None:
        work = Work(Limits())
        slow, quick = Question(), Question()
        slow.go.set()
        quick.go.set()
        unread = work.events(slow, writes=True, documents=True)
        await anext(unread)
        events = [e async for e in work.events(quick, writes=True, documents=True)]
        assert events[-1] is ANSWER
        assert [e async for e in unread][-1] is ANSWER
        work.close()

    asyncio.run(main())


def test_what_fails_in_the_middle_is_raised_and_frees_the_lane() -> None:
    def fails() -> Iterator[Event]:
        yield Evidence(supported=True)
        raise Problem(502, "the model failed")

    async def main() -> None:
        work = Work(Limits())
        with pytest.raises(Problem, match="failed"):
            [e async for e in work.events(fails, writes=True, documents=True)]
        assert work.generate.entered == 0
        work.close()

    asyncio.run(main())
