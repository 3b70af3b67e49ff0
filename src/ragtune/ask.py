"""The path of one question, all of it.

question ─▶ route ─▶ search ─▶ select evidence ─▶ quote ──────────────▶ Answer
              │                      └─(answer = "write")─▶ write ─▶ verify ─▶ Answer
              └─(no documents)─▶ write ─▶ Answer, uncited

The four approaches are two switches of the route: with documents or without, base or adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

from ragtune import cite, evidence, retrieve
from ragtune.clock import Clock
from ragtune.config import Settings
from ragtune.follow_up import CLEARLY, readings
from ragtune.protocols import System
from ragtune.support import NEAR
from ragtune.types import Adapter, Answer, Evidence, Filter, Generation, Message, Route, Token

Event = Evidence | Token | Answer


def ask(
    question: str,
    system: System,
    settings: Settings,
    where: Filter | None = None,
    history: Sequence[str] = (),
    route: Route | None = None,
) -> Answer:
    """The verified answer to `question`; see `ask_stream`."""
    for event in ask_stream(question, system, settings, where, history, route):
        if isinstance(event, Answer):
            return event
    raise AssertionError("ask_stream ends with an Answer")


def ask_stream(
    question: str,
    system: System,
    settings: Settings,
    where: Filter | None = None,
    history: Sequence[str] = (),
    route: Route | None = None,
) -> Iterator[Event]:
    """Yields the Evidence at once, then Tokens while a model writes, and the Answer last.

    `history` holds the earlier questions of a conversation, oldest first; a follow-up question is
    searched together with what it refers to. Tokens are provisional: only the Answer is verified.
    `route` overrides the router and the adapter in use.
    """
    clock = Clock()
    if route is None:
        route = system.router.route(question) if system.router else Route(adapter=system.adapter)
    if route.reply is not None:
        yield _answer(_uncited(route.reply), Evidence(), route, clock, "reply")
        return

    if not route.documents:
        yield Evidence()
        tuned = _adapter(system, route)
        form = tuned.fixed if tuned else ()
        writing = _write(cite.closed_book(question), system, settings, route, clock)
        text = yield from _telling(writing, lambda written: cite.told(written, form))
        told = _uncited(cite.unsourced(text, form))
        yield _answer(told, Evidence(), route, clock, _writer(system, route), text)
        return

    query, found = question, Evidence()
    for number, reading in enumerate(readings(question, history)):
        hits = retrieve.search(reading, system, settings, where)
        clock.lap("search")
        better = evidence.select(reading, hits, system, settings)
        clock.lap("evidence")
        if number == 0 or not found.supported or better.support > found.support + CLEARLY:
            query, found = reading, better
    yield found

    if not found.supported:
        declined = cite.Verified(cite.DECLINED, (), "declined", ())
        nearest = cite.quote(found).citations if found.support >= NEAR else ()
        yield replace(_answer(declined, found, route, clock, "quote"), nearest=nearest)
        return
    quoted = cite.quote(found)
    if settings.answer == "quote" or found.conflict:  # no model chooses between documents
        yield _answer(quoted, found, route, clock, "quote")
        return

    adapter = _adapter(system, route)
    count = (adapter.sentences if adapter else 0) or settings.evidence_sentences
    form = adapter.fixed if adapter else ()
    writing = _write(cite.prompt(query, found, count), system, settings, route, clock)
    text = yield from (writing if form else _telling(writing, _checker(found, count)))
    verified = cite.verify(text, found, count, form)
    clock.lap("verify")
    if verified.text:
        yield _answer(verified, found, route, clock, _writer(system, route), text)
    else:  # nothing that was written is supported: the quotes are the answer
        yield _answer(quoted, found, route, clock, "quote", text)


def _write(
    messages: Sequence[Message], system: System, settings: Settings, route: Route, clock: Clock
) -> Generator[Token, None, str]:
    """Streams what the model writes and returns the whole of it."""
    written: list[str] = []
    generation = Generation(settings.max_tokens, settings.temperature, settings.seed, route.adapter)
    for token in system.generator.stream(messages, generation):
        if not written:
            clock.lap("first_token")
        written.append(token.text)
        yield token
    clock.lap("write")
    return "".join(written)


def _telling(
    writing: Generator[Token, None, str], certain: Callable[[str], str]
) -> Generator[Token, None, str]:
    """`writing`, in which each token has what of the answer is certain since the one before."""
    written, said = "", 0
    while True:
        try:
            token = next(writing)
        except StopIteration as end:
            return str(end.value)
        written += token.text
        now = certain(written)
        yield replace(token, checked=now[said:])
        said = max(said, len(now))


def _checker(found: Evidence, count: int) -> Callable[[str], str]:
    """The verified text of what is decided; it is looked at again when more is."""
    at, text = 0, ""

    def certain(written: str) -> str:
        nonlocal at, text
        now = cite.settled(written, found, count)
        if now > at:
            at, text = now, cite.verify(written[:now], found, count).text
        return text

    return certain


def _adapter(system: System, route: Route) -> Adapter | None:
    """The tuned model that writes; None for the base (and for an endpoint's own)."""
    return system.adapters.get(route.adapter) if route.adapter else None


def _writer(system: System, route: Route) -> str:
    """What wrote the text: the base, or "base + adapter"."""
    return system.generator.name + (f" + {route.adapter}" if route.adapter else "")


def _uncited(text: str) -> cite.Verified:
    return cite.Verified(text, (), "uncited", ())


def _answer(
    verified: cite.Verified,
    found: Evidence,
    route: Route,
    clock: Clock,
    model: str,
    written: str | None = None,
) -> Answer:
    timings = clock.timings()
    text, citations, status = verified.text, verified.citations, verified.status
    conflict = found.conflict and status != "declined"
    return Answer(
        text, citations, found.hits, status, route, timings, model, found.support, written, conflict
    )
