"""Citations: quoted answers, prompts from evidence, and the check of what a model wrote.

A source is never chosen by the model and never substituted afterwards: a written sentence keeps
its place only if one evidence sentence (or two of one document) supports it, and that sentence is
its citation. The check is lexical on purpose: it can be read, it is the same every time, and it
errs towards dropping, because the verbatim quotes are there to fall back on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from ragtune import words
from ragtune.sentences import sentences
from ragtune.types import Citation, Document, Evidence, Message, Sentence, Status

DECLINED = "The documents do not answer this question."
OWN_COVERAGE = 0.4  # … without its title and headings, which claim nothing by themselves
COVERAGE = 0.7  # share of a written sentence's content words that its source must hold

_MARKER = re.compile(
    r"\s*[\[(](?:source|evidence|doc|document)?\s*\d+(?:\s*[,;]\s*\d+)*[\])]", re.I
)
_ENUMERATION = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+", re.M)
_CLAUSE = re.compile(r"[,;:–—()]|\b(?:but|however|although|while|whereas|aber|jedoch)\b", re.I)
_SYSTEM = (
    "You are a careful assistant. Answer the question in one full sentence. Use only the numbered "
    "facts, with their exact words and numbers."
)
_CLOSED = "You are a careful assistant. Answer the question."


@dataclass(frozen=True, slots=True)
class Verified:
    """A checked text: only supported sentences, each followed by its marker."""

    text: str
    citations: tuple[Citation, ...]
    status: Status
    dropped: tuple[str, ...]


def prompt(question: str, evidence: Evidence, count: int) -> list[Message]:
    """The messages for a writing model: the `count` best sentences, numbered, then the question.

    The system message never changes, so its evaluation is cached; evidence is data, and the model
    is told so only by position: whatever it writes is checked by `verify`.
    """
    lines = [
        f"[{n}] {_context(s)}: {_one_line(s.text)}"
        for n, s in enumerate(evidence.sentences[:count], 1)
    ]
    user = "Facts:\n" + "\n".join(lines) + f"\n\nQuestion: {_one_line(question)}"
    return [Message("system", _SYSTEM), Message("user", user)]


def closed_book(question: str) -> list[Message]:
    """The messages for a model that answers from what it knows, without documents."""
    return [Message("system", _CLOSED), Message("user", _one_line(question))]


def quote(evidence: Evidence) -> Verified:
    """The evidence's quotes as an answer: verbatim spans, each with its marker."""
    citations = tuple(
        _citation(n, q.span, q.key_start, q.key_end) for n, q in enumerate(evidence.quotes, 1)
    )
    text = "\n\n".join(f"{c.quote} [{c.marker}]" for c in citations)
    return Verified(text, citations, "cited", ())


def verify(written: str, evidence: Evidence, count: int) -> Verified:
    """Keeps the sentences of `written` that the `count` best evidence sentences support.

    Each kept sentence gets the marker of the evidence sentence that supports it. The status is
    "cited" when nothing was dropped, "partly_cited" otherwise, "uncited" when nothing is left.
    """
    sources = evidence.sentences[:count]
    order: list[Sentence] = []  # cited sources; position + 1 is the marker
    lines: list[str] = []
    dropped: list[str] = []
    for line in _plain(written, sources).splitlines():
        kept: list[str] = []
        for start, end in sentences(line, 0, len(line), ()):
            claim = line[start:end]
            if not words.tokens(claim):
                continue
            support = supporting(claim, sources)
            if not support:
                dropped.append(claim)
                continue
            for source in support:
                if source not in order:
                    order.append(source)
            kept.append(claim + "".join(f" [{order.index(s) + 1}]" for s in support))
        if kept:
            lines.append(" ".join(kept))
    citations = tuple(_citation(n, s, s.start, s.end) for n, s in enumerate(order, 1))
    status: Status = "uncited" if not lines else "partly_cited" if dropped else "cited"
    return Verified("\n".join(lines), citations, status, tuple(dropped))


def _plain(written: str, sources: Sequence[Sentence]) -> str:
    """`written` without what a model copies from the prompt's form: markers, numbers, headings."""
    text = _MARKER.sub("", written)
    for source in sources:
        text = text.replace(f"{_context(source)}: ", "")
    return _ENUMERATION.sub("", text)


def supporting(claim: str, sources: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """The source that supports `claim`, or two of one document that do together, or none.

    Among sources that pass, the one that covers most of the claim wins; ties go to the rank.
    """
    passing = [s for s in sources if supports(claim, s.text, _context(s))]
    if passing:
        return (max(passing, key=lambda s: coverage(claim, s.text)),)
    for i, first in enumerate(sources):
        for second in sources[i + 1 :]:
            if first.document != second.document:
                continue
            left, right = sorted((first, second), key=lambda s: s.start)
            if min(coverage(claim, left.text), coverage(claim, right.text)) >= 0.25 and supports(
                claim, f"{left.text} {right.text}", _context(left)
            ):
                return (left, right)
    return ()


def supports(claim: str, source: str, context: str = "") -> bool:
    """Whether `source` says what `claim` says, as far as words can tell.

    `context` (title and headings) may supply names and words, as for "It weighs 12 kg" under the
    heading "Falcon 200". Numbers with their units, names, limiting words and negation must agree.
    """
    both = f"{context}. {source}"
    if not words.content(re.sub(r"\d", "", claim)):
        return False  # a bare number or marker claims nothing that could be checked
    if coverage(claim, both) < COVERAGE or coverage(claim, source) < OWN_COVERAGE:
        return False
    if not set(words.names(claim)) <= {t.removesuffix("'s") for t in words.tokens(both)}:
        return False
    if not words.critical(claim) <= words.critical(source):
        return False
    if not words.rates(claim) <= words.rates(source) or _drops_limit(claim, source):
        return False
    if not _numbers_agree(claim, source, context):
        return False
    if any(words.negated(claim) != words.negated(c) for c in _clauses_used(claim, source)):
        return False
    return _same_order(claim, source)


def coverage(claim: str, source: str) -> float:
    """Share of the claim's distinct content words and numbers that stand in the source, 0 to 1."""
    wanted = set(words.content(claim)) | set(words.numbers(claim))
    if not wanted:
        return 0.0
    return len(wanted & (set(words.content(source)) | set(words.numbers(source)))) / len(wanted)


def state(citation: Citation, document: Document | None) -> Literal["current", "moved", "stale"]:
    """Whether a citation still holds: `document` is its uri's present version, None when gone.

    "moved": the source changed, but the quote still stands in it somewhere. "stale": it does not.
    """
    if document is None:
        return "stale"
    if document.sha256 == citation.sha256:
        here = document.text[citation.start : citation.end] == citation.quote
        return "current" if here else "stale"
    return "moved" if citation.quote in document.text else "stale"


def _numbers_agree(claim: str, source: str, context: str) -> bool:
    known = _with_neighbours(source)
    named = set(words.numbers(context))
    for number, unit, _ in _with_neighbours(claim):
        same = [near for n, _, near in known if n == number]
        if same:
            if (
                unit
                and unit not in set().union(*same)
                and any(u for n, u, _ in known if n == number)
            ):
                return False  # "20 percent" is not "20 days"
        elif number not in named or (unit and unit not in set(words.content(context))):
            return False
    return True


def _drops_limit(claim: str, source: str) -> bool:
    """Whether the claim repeats a number that its source limits ("at most"), without a limit."""
    tokens = words.tokens(source)
    used = set(words.numbers(claim))
    for i, token in enumerate(tokens):
        before = tokens[max(0, i - 3) : i]
        limited = words.LIMITS & set(before) or before[-2:] == ["up", "to"]
        if limited and used & set(words.numbers(token)):
            said = words.tokens(claim)
            return not (words.LIMITS & set(said) or "up" in said)
    return False


def _with_neighbours(text: str) -> list[tuple[str, str, set[str]]]:
    """Every number of the text with the word that follows it and the words near it, as stems.

    Near ends at the next number: in "the 200 weighs 12 kg" the kilograms belong to 12.
    """
    tokens = words.tokens(text)
    stems = [words.stem(t) for t in tokens]
    values = [words.numbers(t) for t in tokens]
    found = []
    for i, token in enumerate(tokens):
        after = list(takewhile(lambda j: not values[j], range(i + 1, min(i + 5, len(tokens)))))
        before = list(takewhile(lambda j: not values[j], range(i - 1, max(i - 4, -1), -1)))
        follows = stems[i + 1] if i + 1 < len(stems) else ""
        unit = follows if follows.isalpha() and follows not in words.STOP_WORDS else ""
        near = {token, *(stems[j] for j in (*before, *after))}
        found += [(number, unit, near) for number in values[i]]
    return found


def _clauses_used(claim: str, source: str) -> list[str]:
    """The clauses of the source that the claim draws on: the closest, and any that add to it."""
    clauses = [c for c in _CLAUSE.split(source) if c and c.strip()]
    best = max(clauses, key=lambda c: coverage(claim, c), default=source)
    if coverage(claim, best) < 0.6:
        return [source]
    rest = set(words.content(claim)) - set(words.content(best))
    return [best, *(c for c in clauses if c is not best and rest & set(words.content(c)))]


def _same_order(claim: str, source: str) -> bool:
    """Whether names and numbers that both texts hold come in the same order in both.

    "A supplies B" and "B supplies A" have the same words; a reordering that is harmless falls
    back to the quote, which costs nothing but style.
    """
    marks = words.names(claim) + words.numbers(claim) + words.names(source)
    position, in_claim = _first_positions(source), _first_positions(claim)
    shared = sorted(
        {m for m in marks if m in position and m in in_claim}, key=lambda m: in_claim[m]
    )
    return [position[m] for m in shared] == sorted(position[m] for m in shared)


def _first_positions(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for i, token in enumerate(words.tokens(text)):
        found.setdefault(token.removesuffix("'s"), i)
    return found


def _context(sentence: Sentence) -> str:
    return " > ".join(dict.fromkeys((sentence.title, *sentence.place.heading)))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _citation(marker: int, span: Sentence, key_start: int, key_end: int) -> Citation:
    return Citation(
        marker=marker,
        uri=span.uri,
        quote=span.text,
        start=span.start,
        end=span.end,
        place=span.place,
        sha256=span.sha256,
        title=span.title,
        key_start=key_start,
        key_end=key_end,
    )
