"""OpenAI's /v1/responses over the same questions as /v1/chat/completions.

Nothing is kept between requests: a conversation is what `input` holds. `instructions` and tools
are accepted and change nothing, as system prompts are there. The text is sent as it is verified.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from ragtune.ask import Event
from ragtune.server import api, bodies, openai, sse
from ragtune.server.choices import OWN
from ragtune.server.context import Signed
from ragtune.server.problems import Problem, request_id
from ragtune.server.work import Queued
from ragtune.types import Answer, Token

router = APIRouter(prefix="/v1", tags=["openai"])


class Item(BaseModel):
    """A message of `input`, or an item of another type, which is left out."""

    model_config = ConfigDict(extra="ignore")

    type: Annotated[str, Field(max_length=40)] = "message"
    role: Annotated[str, Field(max_length=40)] = ""
    content: (
        Annotated[str, Field(max_length=100_000)]
        | Annotated[list[openai.Part], Field(max_length=100)]
        | None
    ) = None


class Create(BaseModel):
    """A request for a response."""

    model_config = ConfigDict(extra="ignore")

    model: bodies.Short = OWN
    input: Annotated[str, Field(max_length=100_000)] | Annotated[list[Item], Field(max_length=1000)]
    stream: bool | None = None
    background: bool | None = None
    previous_response_id: Annotated[str, Field(max_length=200)] | None = None
    conversation: Any = None


@router.post("/responses")
async def create(body: Create, call: Signed, request: Request) -> Response:
    """Answers the last message of the user, with citations as `annotations` of the text."""
    asked = _asked(body)
    link = openai.link_of(call, request)
    head: dict[str, Any] = {
        "id": f"resp_{secrets.token_hex(16)}", "object": "response",
        "created_at": int(time.time()), "model": asked.model, "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {},
        "parallel_tool_calls": False, "tool_choice": "none", "tools": [], "store": False,
        "previous_response_id": None, "temperature": None, "top_p": None,
    }  # fmt: skip
    item = f"msg_{secrets.token_hex(16)}"
    tokens = call.server.workspace.system.embedder.count_tokens(asked.question)
    events = api.answering(call, asked)
    if body.stream:
        chunks = _events(events, head, item, link, tokens)
        return await sse.response(chunks, call.server.options, request_id(request), openai=True)
    answer, written = await api.answered(events)
    return JSONResponse(_completed(head, item, answer, link, tokens, written))


def _asked(body: Create) -> bodies.Ask:
    """The question. Raises Problem 400 for what would need a state that is not kept."""
    if body.previous_response_id or body.conversation:
        raise Problem(400, "responses are not kept: send the conversation in input",
                      param="previous_response_id" if body.previous_response_id
                      else "conversation")  # fmt: skip
    if body.background:
        raise Problem(400, "a response is not made in the background", param="background")
    if isinstance(body.input, str):
        messages = [openai.ChatMessage(role="user", content=body.input)]
    else:
        messages = [
            openai.ChatMessage(role="user", content=item.content)
            for item in body.input
            if item.role == "user" and item.type == "message"
        ]
    return openai.question_of(messages, body.model, "input")


def _part(text: str, notes: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": notes, "logprobs": []}


def _message(item: str, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": item, "type": "message", "role": "assistant", "status": status,
            "content": content}  # fmt: skip


def _notes(answer: Answer, link: str) -> list[dict[str, Any]]:
    """The citations of a chat completion, flat, as this API has them."""
    return [
        {"type": "url_citation", **note["url_citation"], "ragtune": note["ragtune"]}
        for note in openai.cited(answer, link)
    ]


def _completed(
    head: dict[str, Any], item: str, answer: Answer, link: str, asked: int, written: int
) -> dict[str, Any]:
    usage = {
        "input_tokens": asked, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": asked + written,
    }  # fmt: skip
    part = _part(answer.text, _notes(answer, link))
    return {
        **head, "status": "completed", "output": [_message(item, "completed", [part])],
        "usage": usage, "ragtune": openai.ours(answer),
    }  # fmt: skip


async def _events(
    events: AsyncGenerator[Event | Queued], head: dict[str, Any], item: str, link: str, asked: int
) -> AsyncIterator[bytes]:
    number = -1

    def event(name: str, **more: Any) -> bytes:
        nonlocal number
        number += 1
        kind = f"response.{name}"
        return sse.event(kind, {"type": kind, "sequence_number": number, **more})

    started = {**head, "status": "in_progress", "output": [], "usage": None}
    at: dict[str, Any] = {"item_id": item, "output_index": 0, "content_index": 0}
    written, sent, began = 0, 0, False
    async with aclosing(events) as opened:
        async for one in opened:
            if not began:  # not before: what fails first is an HTTP error
                began = True
                yield event("created", response=started)
                yield event("in_progress", response=started)
                begun = _message(item, "in_progress", [])
                yield event("output_item.added", output_index=0, item=begun)
                yield event("content_part.added", **at, part=_part("", []))
            written += isinstance(one, Token)
            if isinstance(one, Token) and one.checked:
                sent += len(one.checked)
                yield event("output_text.delta", **at, delta=one.checked, logprobs=[])
            if isinstance(one, Answer):
                whole = _completed(head, item, one, link, asked, written)
                message = whole["output"][0]
                part = message["content"][0]
                if one.text[sent:]:
                    rest = one.text[sent:]
                    yield event("output_text.delta", **at, delta=rest, logprobs=[])
                for n, note in enumerate(part["annotations"]):
                    yield event(
                        "output_text.annotation.added", **at, annotation_index=n, annotation=note
                    )
                yield event("output_text.done", **at, text=one.text, logprobs=[])
                yield event("content_part.done", **at, part=part)
                yield event("output_item.done", output_index=0, item=message)
                yield event("completed", response=whole)
