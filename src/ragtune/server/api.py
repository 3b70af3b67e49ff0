"""The API under /api: search, ask, documents, citations. Shapes as in docs/json.md."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from ragtune.ask import Event
from ragtune.render import jsonable
from ragtune.server import bodies, opening, sse, tracing
from ragtune.server.choices import choices, choose
from ragtune.server.context import Call, Signed
from ragtune.server.problems import Problem, request_id
from ragtune.server.work import Queued
from ragtune.status import containers, readable
from ragtune.types import Answer, DocumentInfo, Evidence, Filter, Token

router = APIRouter(prefix="/api")


class Json(JSONResponse):
    """JSON by orjson: hits hold much text, and search is what is asked most."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return orjson.dumps(content)


@router.post("/search", tags=["questions"])
async def search(body: bodies.Search, call: Signed) -> Response:
    """The best passages for a query."""
    where = body.where.filter() if body.where else None
    hits = await call.work.search.run(call.view.search, body.query, body.k, where)
    return Json({"query": body.query, "hits": jsonable(hits)})


@router.post("/ask", tags=["questions"])
async def ask(body: bodies.Ask, call: Signed, request: Request) -> Response:
    """Answers a question, as server-sent events or as one object.

    Events: `evidence`, `queued` (where it waits for the model), `token` (provisional), `answer`;
    or `error`.
    """
    events = answering(call, body)
    if body.stream:
        return await sse.response(_as_sse(events), call.server.options, request_id(request))
    answer, _ = await answered(events)
    return Json(jsonable(answer))


async def answered(events: AsyncGenerator[Event | Queued]) -> tuple[Answer, int]:
    """The answer that the events end with, and how many tokens a model wrote for it."""
    written = 0
    async with aclosing(events) as opened:
        async for event in opened:
            written += isinstance(event, Token)
            if isinstance(event, Answer):
                return event, written
    raise AssertionError("events end with an Answer")


async def answering(call: Call, body: bodies.Ask) -> AsyncGenerator[Event | Queued]:
    """The events of a question that `call` asks."""
    choice = choose(call.server.workspace, body.model)
    if body.answer is not None:
        if not choice.documents and body.answer == "quote":
            raise Problem(400, f"{choice.name} uses no documents: there is nothing to quote")
        choice = replace(choice, answer=body.answer)
    call.server.access.quotas.question(call.principal)
    call.notes["model"] = choice.name
    if call.server.options.audit_questions:
        call.notes["question"] = body.question
    view = call.view
    where: Filter | None = body.where.filter() if body.where else None
    writes = view.writes(choice.answer, choice.model, choice.documents)
    events = call.work.events(
        lambda: view.ask_stream(
            body.question, where, body.history, choice.answer, choice.model, choice.documents
        ),
        writes,
        choice.documents,
    )
    written = 0
    try:
        with tracing.question(choice.name) as traced:
            async with aclosing(events) as opened:
                async for event in opened:
                    written += isinstance(event, Token)
                    if isinstance(event, Answer):
                        call.server.metrics.answered(event)
                        traced.answered(event, written)
                        call.notes["answer"] = event.status
                        call.notes["cited"] = sorted({c.uri for c in event.citations})
                    yield event
    finally:
        call.server.access.quotas.written(call.principal, written)


async def _as_sse(events: AsyncGenerator[Event | Queued]) -> AsyncIterator[bytes]:
    async with aclosing(events) as opened:
        async for event in opened:
            yield sse.event(_NAMES[type(event)], jsonable(event))


_NAMES = {Evidence: "evidence", Queued: "queued", Token: "token", Answer: "answer"}


# ---------------------------------------------------------------- documents


@router.get("/documents", tags=["documents"])
async def documents(
    call: Signed,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str, Query(max_length=2000, description="`next` of the page before")] = "",
    errors: Annotated[bool, Query(description="only what could not be read")] = False,
) -> Response:
    """The documents in the order of their uris, a page at a time."""
    infos = await call.work.other.run(call.view.documents)
    if errors:
        infos = [i for i in infos if i.error]
    return JSONResponse(page_of(infos, after, limit))


def page_of(infos: Sequence[DocumentInfo], after: str, limit: int) -> dict[str, Any]:
    """The first `limit` of the documents (sorted by uri) behind the uri `after`."""
    left = [i for i in infos if i.uri > after] if after else infos
    page = left[:limit]
    more = page[-1].uri if len(left) > limit else None
    return {"documents": jsonable(page), "total": len(infos), "next": more}


@router.get("/document", tags=["documents"])
async def document(
    call: Signed,
    uri: Annotated[str, Query(min_length=1, max_length=2000)],
    start: Annotated[int, Query(ge=0)] = 0,
    end: Annotated[int, Query(ge=0, description="0: as much as is shown at once")] = 0,
    around: Annotated[
        int, Query(ge=0, le=opening.AROUND, description="characters before and after")
    ] = 0,
) -> Response:
    """A document's text around a span, and where the span stands in its source."""
    call.notes["document"] = uri
    found = await call.work.other.run(call.view.document, uri)
    return JSONResponse(opening.window(found, start, end, around))


@router.get("/models", tags=["models"])
async def models(call: Signed) -> Response:
    """What `model` may be in a question."""
    found = await call.work.other.run(choices, call.server.workspace)
    return JSONResponse({"models": [{"name": c.name, "says": c.says} for c in found.values()]})


@router.get("/status", tags=["documents"])
async def status(call: Signed) -> Response:
    """How many documents there are and in which state, and what waits."""
    infos = await call.work.other.run(call.view.documents)
    work = call.work
    return JSONResponse({
        "principal": {"name": call.principal.name, "role": call.principal.role},
        "documents": len(readable(infos)),
        "containers": containers(infos),
        "quarantined": sum(i.error is not None for i in infos),
        "passages": sum(i.passages for i in infos),
        "watching": call.server.options.watch,
        "waiting": {lane.name: lane.queue for lane in (work.search, work.generate)},
    })  # fmt: skip
