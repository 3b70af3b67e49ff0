"""The path of one question, all of it.

question ─▶ route ─▶ search ─▶ select evidence ─▶ quote ──────────────▶ Answer
                                     └─(answer = "write")─▶ write ─▶ verify ─▶ Answer
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ragtune import cite, evidence, retrieve
from ragtune.config import Settings
from ragtune.follow_up import readings
from ragtune.types import (
    Answer,
    Evidence,
    Filter,
    Generation,
    Route,
    System,
    Token,
)

DEFAULT_ROUTE = Route()
Event = Evidence | Token | Answer


def ask(
    question: str,
    system: System,
    settings: Settings,
    where: Filter | None = None,
    history: Sequence[str] = (),
) -> Answer:
    """The verified answer to `question`; see `ask_stream`."""
    for event in ask_stream(question, system, settings, where, history):
        if isinstance(event, Answer):
            return event
    raise AssertionError("ask_stream ends with an Answer")


def ask_stream(
    question: str,
    system: System,
    settings: Settings,
    where: Filter | None = None,
    history: Sequence[str] = (),
) -> Iterator[Event]:
    """Yields the Evidence at once, then Tokens while a model writes, and the Answer last.

    `history` holds the earlier questions of a conversation, oldest first; a follow-up question is
    searched together with what it refers to. Tokens are provisional: only the Answer is verified.
    """
    clock = _Clock()
    route = system.router.route(question) if system.router else DEFAULT_ROUTE
    if route.reply is not None:
        yield _answer(
            cite.Verified(route.reply, (), "uncited", ()), Evidence(), route, clock, "reply"
        )
        return

    for query in readings(question, history):
        hits = retrieve.search(query, system, settings, where)
        clock.lap("search")
        found = evidence.select(query, hits, system, settings)
        clock.lap("evidence")
        if found.supported:
            break
    yield found

    if not found.supported:
        declined = cite.Verified(cite.DECLINED, (), "declined", ())
        yield _answer(declined, found, route, clock, "quote")
        return
    quoted = cite.quote(found)
    if settings.answer == "quote":
        yield _answer(quoted, found, route, clock, "quote")
        return

    written: list[str] = []
    generation = Generation(settings.max_tokens, settings.temperature, settings.seed, route.adapter)
    messages = cite.prompt(query, found, settings.evidence_sentences)
    for token in system.generator.stream(messages, generation):
        if not written:
            clock.lap("first_token")
        written.append(token.text)
        yield token
    clock.lap("write")
    text = "".join(written)
    verified = cite.verify(text, found, settings.evidence_sentences)
    clock.lap("verify")
    if verified.text:
        answer = _answer(verified, found, route, clock, system.generator.name)
    else:  # nothing that was written is supported: the quotes are the answer
        answer = _answer(quoted, found, route, clock, "quote")
    yield replace(answer, written=text)


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.started = self.last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self.last = now - self.last, now

    def timings(self) -> dict[str, float]:
        return {**self.laps, "total": time.perf_counter() - self.started}


def _answer(
    verified: cite.Verified, found: Evidence, route: Route, clock: _Clock, model: str
) -> Answer:
    return Answer(
        text=verified.text,
        citations=verified.citations,
        hits=found.hits,
        status=verified.status,
        route=route,
        timings=clock.timings(),
        model=model,
        support=found.support,
    )
