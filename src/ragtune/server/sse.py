"""Server-sent events: `event: NAME`, `data: JSON on one line`, a blank line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from starlette.responses import StreamingResponse

from ragtune.server import problems
from ragtune.server.options import Options

HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}


def event(name: str, data: Any, id: str = "") -> bytes:
    """One event; a client that comes back sends the last `id` that it has seen."""
    head = f"id: {id}\n" if id else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def data(value: Any) -> bytes:
    """One event without a name, as OpenAI's streams have them."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


async def response(
    chunks: AsyncIterator[bytes], options: Options, request_id: str, openai: bool = False
) -> StreamingResponse:
    """Streams `chunks`, once there is a first one: what fails before it is an HTTP error.

    What fails later is a last `error` event with the problem. Comments keep a silent connection
    open, and show when it has gone.
    """
    first = await anext(chunks, b"")
    whole = _alive(_with_error(chunks, request_id, openai), options.limits.keepalive_seconds)
    return StreamingResponse(_after(first, whole), headers=HEADERS, media_type="text/event-stream")


async def _after(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(rest) as opened:
        yield first
        async for chunk in opened:
            yield chunk


async def _alive(chunks: AsyncGenerator[bytes], seconds: float) -> AsyncGenerator[bytes]:
    coming: asyncio.Future[bytes] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(_next(chunks))
            done, _ = await asyncio.wait([coming], timeout=seconds)
            if not done:
                yield b": waiting\n\n"
                continue
            chunk, coming = coming.result(), None
            if not chunk:
                return
            yield chunk
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait([coming])
        await chunks.aclose()


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    return await anext(chunks, b"")


async def _with_error(
    chunks: AsyncIterator[bytes], request_id: str, openai: bool
) -> AsyncGenerator[bytes]:
    """`chunks`; what fails in the middle becomes a last `error` event with the problem."""
    async with aclosing(chunks) as opened:  # type: ignore[type-var]
        try:
            async for chunk in opened:
                yield chunk
        except Exception as error:
            problem = problems.of(error)
            if problem.status_code == 500:
                problems.log.error("a stream failed", exc_info=error, extra={"request": request_id})
            body = problems.body(problem, request_id, openai)
            yield data(body) if openai else event("error", body)
