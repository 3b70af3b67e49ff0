"""The OpenAI-compatible API: /v1/models, /v1/chat/completions, /v1/embeddings.

The last message of the user is the question; the user's messages before it are the conversation
that follow-ups refer to. What a client sends beside that (system prompts, tools, penalties) is
accepted and changes nothing: the workspace decides how it answers.

Only verified text is sent, also when streaming, sentence by sentence as it is decided: what a model
writes and the documents do not support would be on a screen that nobody can call back.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from ragtune.ask import Event
from ragtune.render import jsonable
from ragtune.server import api, bodies, sse
from ragtune.server.choices import OWN, choices
from ragtune.server.context import Call, Signed
from ragtune.server.options import Limits
from ragtune.server.problems import Problem, request_id
from ragtune.server.work import Queued
from ragtune.types import Answer, Citation, Evidence, Token

router = APIRouter(prefix="/v1", tags=["openai"])

_FEW = 8  # texts that are embedded among the searches; more wait among the slower work


class _Tolerant(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Part(_Tolerant):
    """A part of a message."""

    type: Annotated[str, Field(max_length=40)]
    text: Annotated[str, Field(max_length=100_000)] = ""


class ChatMessage(_Tolerant):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: (
        Annotated[str, Field(max_length=100_000)]
        | Annotated[list[Part], Field(max_length=100)]
        | None
    ) = None

    def plain(self) -> str:
        """The text. Raises Problem 400 for a part that is none."""
        if self.content is None or isinstance(self.content, str):
            return (self.content or "").strip()
        for part in self.content:
            if part.type not in ("text", "input_text"):
                raise Problem(400, "only text is understood: leave images and sound away")
        return "\n".join(p.text for p in self.content).strip()


class StreamOptions(_Tolerant):
    """What a stream holds beside the text."""

    include_usage: bool = False


class Chat(_Tolerant):
    """A request for a chat completion."""

    model: bodies.Short = OWN
    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int = Field(default=1, ge=0, le=1000)


class Embeddings(_Tolerant):
    """A request for embeddings."""

    model: bodies.Short = ""
    input: (
        Annotated[str, Field(min_length=1, max_length=100_000)]
        | Annotated[
            list[Annotated[str, Field(min_length=1, max_length=100_000)]],
            Field(min_length=1, max_length=2048),
        ]
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(default=None, ge=1, le=100_000)


@router.get("/models")
async def models(call: Signed) -> Response:
    """The models, the workspace's own first, and the embedding model last."""
    found = await call.work.other.run(choices, call.server.workspace)
    names = [*found, call.server.workspace.system.embedder.name]
    return JSONResponse({"object": "list", "data": [_model(n) for n in names]})


@router.get("/models/{name:path}")
async def model(name: str, call: Signed) -> Response:
    """One model."""
    found = await call.work.other.run(choices, call.server.workspace)
    if name not in found and name != call.server.workspace.system.embedder.name:
        raise Problem(404, "no such model: GET /v1/models lists what there is")
    return JSONResponse(_model(name))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "ragtune"}


@router.post("/chat/completions")
async def chat(body: Chat, call: Signed, request: Request) -> Response:
    """Answers the last message of the user, with citations as `annotations`."""
    if body.n != 1:
        raise Problem(400, "n must be 1: a question has one verified answer", param="n")
    asked = question_of(body.messages, body.model, "messages")
    id, created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())
    head: dict[str, Any] = {"id": id, "created": created, "model": asked.model}
    link = link_of(call, request)
    events = api.answering(call, asked)
    if body.stream:
        usage = body.stream_options is not None and body.stream_options.include_usage
        counting = call.server.workspace.system.embedder.count_tokens
        chunks = _chunks(events, head, link, counting(asked.question) if usage else None)
        return await sse.response(chunks, call.server.options, request_id(request), openai=True)
    answer, written = await api.answered(events)
    message = {
        "role": "assistant", "content": answer.text, "refusal": None,
        "annotations": cited(answer, link),
    }  # fmt: skip
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    asked_tokens = call.server.workspace.system.embedder.count_tokens(asked.question)
    return JSONResponse({
        **head, "object": "chat.completion", "choices": [choice],
        "usage": _usage(asked_tokens, written), "ragtune": ours(answer),
    })  # fmt: skip


def link_of(call: Call, request: Request) -> str:
    """The server's address as the client reaches it."""
    link = str(request.base_url).rstrip("/")
    if call.server.options.secure:  # a proxy in front speaks TLS
        link = "https" + link.removeprefix("http")
    return link


def question_of(messages: Sequence[ChatMessage], model: str, param: str) -> bodies.Ask:
    """The question, with the user's questions before it. Raises Problem 400, about `param`."""
    texts = [m.plain() for m in messages if m.role == "user"]
    texts = [t for t in texts if t]
    if not texts:
        raise Problem(400, "there is no message of the user", param=param)
    limits = Limits()
    most = limits.question_characters
    if len(texts[-1]) > most:
        raise Problem(400, f"a question has at most {most} characters", param=param)
    history = [t[:most] for t in texts[:-1]][-limits.history :]
    return bodies.Ask(question=texts[-1], history=history, model=model)


async def _chunks(
    events: AsyncGenerator[Event | Queued], head: dict[str, Any], link: str, asked: int | None
) -> AsyncIterator[bytes]:
    written, sent = 0, 0

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        usage = {} if asked is None else {"usage": None}
        return sse.data(
            {**head, "object": "chat.completion.chunk", "choices": [choice], **usage, **more}
        )

    async with aclosing(events) as opened:
        began = False
        async for event in opened:
            if not began:
                began = True
                first: dict[str, Any] = {}
                if isinstance(event, Evidence):  # clients that know it show it at once
                    first = {"quotes": jsonable(event.quotes), "support": event.support}
                yield chunk({"role": "assistant", "content": ""}, ragtune=first)
            written += isinstance(event, Token)
            if isinstance(event, Token) and event.checked:
                sent += len(event.checked)
                yield chunk({"content": event.checked})
            if isinstance(event, Answer):
                if event.text[sent:]:
                    yield chunk({"content": event.text[sent:]})
                last = {"annotations": cited(event, link)}
                yield chunk(last, "stop", ragtune=ours(event))
    if asked is not None:
        usage = {"choices": [], "usage": _usage(asked, written)}
        yield sse.data({**head, "object": "chat.completion.chunk", **usage})
    yield b"data: [DONE]\n\n"


def _usage(asked: int, written: int) -> dict[str, int]:
    return {"prompt_tokens": asked, "completion_tokens": written, "total_tokens": asked + written}


def ours(answer: Answer) -> dict[str, Any]:
    """What OpenAI's shape has no place for."""
    return {
        "status": answer.status, "support": answer.support, "conflict": answer.conflict,
        "route": jsonable(answer.route),
        "model": answer.model, "timings": jsonable(answer.timings),
    }  # fmt: skip


def cited(answer: Answer, link: str) -> list[dict[str, Any]]:
    """A `url_citation` for each marker in the text, in its order; `url` opens the place."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": start,
                "end_index": end,
                "url": opening(citation, link),
                "title": citation.title or citation.uri,
            },
            "ragtune": jsonable(citation),
        }
        for citation, start, end in markers(answer.text, answer.citations, answer.model == "quote")
    ]


def markers(
    text: str, citations: Sequence[Citation], quoted: bool
) -> list[tuple[Citation, int, int]]:
    """Where each citation's "[n]" stands in the text.

    In a quoted answer it is the one behind the quote: a document may hold such marks itself.
    """
    found = []
    at = 0
    for citation in citations:
        mark = f"[{citation.marker}]"
        if quoted:
            whole = f"{citation.quote} {mark}"
            begins = text.find(whole, at)
            if begins >= 0:
                at = begins + len(whole)
                found.append((citation, at - len(mark), at))
            continue
        begins = text.find(mark)
        while begins >= 0:
            found.append((citation, begins, begins + len(mark)))
            begins = text.find(mark, begins + 1)
    return sorted(found, key=lambda f: f[1])


def opening(citation: Citation, link: str) -> str:
    """The address of the page that shows a citation's place."""
    query = {
        "uri": citation.uri, "start": citation.start, "end": citation.end,
        "sha256": citation.sha256,
    }  # fmt: skip
    return f"{link}/open?{urlencode(query)}"


@router.post("/embeddings")
async def embeddings(body: Embeddings, call: Signed) -> Response:
    """Unit vectors of texts, by the workspace's embedding model."""
    embedder = call.server.workspace.system.embedder
    if body.model not in ("", embedder.name, OWN):
        raise Problem(404, f"no such embedding model: it is {embedder.name}", param="model")
    if body.dimensions not in (None, embedder.dimensions):
        raise Problem(400, f"{embedder.name} has {embedder.dimensions} dimensions")
    texts = [body.input] if isinstance(body.input, str) else body.input

    def work() -> tuple[Any, int]:
        return embedder.embed(texts), sum(embedder.count_tokens(t) for t in texts)

    lane = call.work.search if len(texts) <= _FEW else call.work.other
    vectors, tokens = await lane.run(work)
    data = [
        {"object": "embedding", "index": i, "embedding": _encoded(row, body.encoding_format)}
        for i, row in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"object": "list", "data": data, "model": embedder.name, "usage": usage})


def _encoded(row: Any, form: str) -> Any:
    if form == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    return row.tolist()
