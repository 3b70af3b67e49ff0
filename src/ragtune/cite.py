"""Citations: quoted answers, and the check of what a model wrote.

A source is never chosen by the model and never substituted afterwards: a written sentence keeps
its place only if one evidence sentence (or two of one document) supports it, and that sentence is
its citation (`claims.supports`). What a company's form adds is no claim: its fixed sentences
(greeting, sign-off) pass, and a line that names documents names those that are really cited. Where
a claim fails inside such a form, the verbatim quote takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal

from ragtune import words
from ragtune.claims import agrees, coverage, polarity, supports
from ragtune.claims import holds as holds
from ragtune.prompting import ENUMERATION, STEP, context, facts, one_line, phrase, units
from ragtune.prompting import closed_book as closed_book
from ragtune.prompting import prompt as prompt
from ragtune.sentences import sentences
from ragtune.types import Citation, Document, Evidence, Sentence, Status

DECLINED = "The documents do not answer this question."

_MARKER = re.compile(
    r"\s*[\[(](?:source|evidence|doc|document)?\s*\d+(?:\s*[,;]\s*\d+)*[\])]", re.I
)
# "On the shelf: [1] and [2]", "Source: policies/travel.pdf": a form's words, then names only.
_LONGEST_FORM = 60  # characters before the ":" of such a line
_NAMING = re.compile(rf"(?P<form>[^\n:]{{1,{_LONGEST_FORM}}}:)\s*(?P<names>\S.*)")
# What may keep sentences together, or name documents; and ends of lines that are no "\n".
_HOLDING = re.compile(r"[\"'“”„‚‘’«»()\[\]{}:\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_JOINED = re.compile(r"\s+(?:and|&|und|et|y)\s+|\s*[,;]\s+", re.I)
_FILE = re.compile(
    r"\S+\.(?:pdf|docx?|xls[xm]?|csv|tsv|pptx?|od[tsp]|rtf|epub|eml|msg|mbox|html?|xml|json[l]?"
    r"|ya?ml|md|rst|txt|zip|db|sqlite3?)(?:[!#]\S*)?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Verified:
    """A checked text: only supported sentences, each followed by its marker, in their form.

    `dropped` are the claims that failed; `quoted` is how many spans stand in their place, verbatim
    but for white space.
    """

    text: str
    citations: tuple[Citation, ...]
    status: Status
    dropped: tuple[str, ...]
    quoted: int = 0


def quote(evidence: Evidence) -> Verified:
    """The evidence's quotes as an answer: verbatim spans, each with its marker."""
    citations = tuple(
        _citation(n, q.span, q.key_start, q.key_end) for n, q in enumerate(evidence.quotes, 1)
    )
    text = "\n\n".join(f"{c.quote} [{c.marker}]" for c in citations)
    return Verified(text, citations, "cited", ())


@dataclass(slots=True)
class _Line:
    """A line of what was written: a part of the company's form, or claims with their sources."""

    form: str = ""  # a fixed sentence; or the words before the names of documents
    names: str = ""  # what joins the names: not empty for a line of names
    step: bool = False
    claims: list[tuple[str, tuple[Sentence, ...]]] = field(default_factory=list)
    failed: bool = False


def verify(written: str, evidence: Evidence, count: int, fixed: Sequence[str] = ()) -> Verified:
    """Keeps the sentences of `written` that the `count` facts of its prompt support.

    Each kept sentence gets the marker of the sentence that supports it. `fixed` are the lines of a
    company's form that claim nothing, as `tune.grounded.fixed_lines` finds them: those before the
    answer, "", those after it, "", and those that some answers have; the first two kinds stand in
    every answer, once. A line that names documents names those that are cited. The status is
    "cited" when nothing was dropped, "partly_cited" otherwise, "uncited" when nothing is left.

    In a company's form (`fixed` is not empty) an answer is never cut short: where the claims that
    are left do not say what the reader has marked, the first fact stands in the place of the first
    that failed, or before them; a list of steps stays whole, or is the source's own.
    """
    shown = facts(evidence, count)
    sources = [unit for fact in shown for unit in units(fact)]
    before, after = _around(fixed)
    lines: list[_Line] = []
    dropped: list[str] = []
    for raw in written.splitlines():
        line = _read(raw, sources, fixed)
        lines.append(line)
        if line.form:
            continue
        text = _plain(raw, sources)
        line.step = bool(fixed) and bool(STEP.match(raw))
        for start, end in sentences(text, 0, len(text), ()):
            claim = text[start:end]
            if not words.tokens(claim):
                continue
            if claim in fixed:  # on one line with others
                line.claims += [] if claim in before or claim in after else [(claim, ())]
                continue
            kept, support = _checked(claim, sources)
            if support:
                line.claims.append((kept, support))
            if not support or kept != claim:
                dropped.append(claim)
                line.failed = line.failed or not support
    quoted = 0
    if fixed and shown and not _answered(lines, shown):
        lines, quoted = _with_quote(lines, shown[0])
    text, citations = _written(_in_form(lines, fixed))
    status: Status = "uncited" if not citations else "partly_cited" if dropped else "cited"
    return Verified(text if citations else "", citations, status, tuple(dropped), quoted)


def settled(written: str, evidence: Evidence, count: int) -> int:
    """How many characters of what is still being written `verify` has decided for good.

    Those are the lines that have ended, up to one that names the documents that are cited (more
    may follow); and in a long last line, up to a quotation mark, bracket or colon, which may hold
    a sentence together or turn out to name documents, the sentences that others follow. Not
    for a company's form, in which the whole answer may change when its end is known.
    """
    sources = [unit for fact in facts(evidence, count) for unit in units(fact)]
    at = 0
    for line in written.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        if _read(line, sources, ()).names:
            return at
        at += len(line)
    last = _HOLDING.split(written[at:], maxsplit=1)[0]
    if not _is_long(last):
        return at
    # what follows must be longer than any heading that is still to be cut out
    hold = max((len(context(s)) for s in sources), default=0) + 24
    starts = [start for start, _ in sentences(last, 0, len(last), ()) if start <= len(last) - hold]
    return at + max(starts, default=0)


def told(written: str, fixed: Sequence[str] = ()) -> str:
    """What of `unsourced` is certain while the text is still being written."""
    *lines, last = written.split("\n")
    if ":" not in last.lstrip()[: _LONGEST_FORM + 1] and _is_long(last):
        lines.append(last)
    return unsourced("\n".join(lines), fixed)


def _is_long(line: str) -> bool:
    """Whether an unfinished line is one, and too long to name documents without a ":" so far."""
    return len(line.strip()) > _LONGEST_FORM + 1 and len(line.splitlines()) == 1


def unsourced(written: str, fixed: Sequence[str] = ()) -> str:
    """What a model wrote without documents, less the lines that name some as its source."""
    return "\n".join(line for line in written.splitlines() if not _read(line, (), fixed).names)


def _read(raw: str, sources: Sequence[Sentence], fixed: Sequence[str]) -> _Line:
    """The line as a part of the company's form, or an empty one for claims."""
    line = raw.strip()
    said = words.tokens(line)
    for form in fixed:
        if said and said == words.tokens(form):
            return _Line(form=form)
    match = _NAMING.fullmatch(line)
    if match:
        names = match["names"].rstrip(".")
        known = {s.uri for s in sources} | {s.title for s in sources}
        parts = [p for p in _JOINED.split(names) if p]
        form = f"{match['form']} "
        if match["form"] in fixed or all(_names(p, known) for p in parts):
            joined = _JOINED.search(names)
            return _Line(form=form, names=joined.group() if joined else " and ")
    return _Line()


def _names(part: str, known: AbstractSet[str]) -> bool:
    """Whether `part` of a line is a marker, or the name of a document."""
    return part in known or bool(_MARKER.fullmatch(part) or _FILE.fullmatch(part))


def _plain(raw: str, sources: Sequence[Sentence]) -> str:
    """`raw` without what a model copies from the prompt's form: markers, numbers, headings."""
    text = _MARKER.sub("", raw)
    for source in sources:
        text = text.replace(f"{context(source)}: ", "")
    return ENUMERATION.sub("", text)


def _checked(claim: str, sources: Sequence[Sentence]) -> tuple[str, tuple[Sentence, ...]]:
    """What supports the claim; a "Yes" or "No" that its source does not bear out is cut off."""
    answer, rest = polarity(claim)
    support = supporting(rest, sources)
    if not answer or not support:
        return claim, support
    if agrees(answer, rest, " ".join(s.text for s in support)):
        return claim, support
    return rest[:1].upper() + rest[1:], support


def supporting(claim: str, sources: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """The source that supports `claim`, or two of one document that do together, or none.

    Among sources that pass, the one that covers most of the claim wins; ties go to the rank.
    """
    passing = [s for s in sources if supports(claim, s.text, context(s), phrase(s))]
    if passing:
        return (max(passing, key=lambda s: coverage(claim, s.text)),)
    for i, first in enumerate(sources):
        for second in sources[i + 1 :]:
            if first.document != second.document:
                continue
            left, right = sorted((first, second), key=lambda s: s.start)
            if min(coverage(claim, left.text), coverage(claim, right.text)) >= 0.25 and supports(
                claim, f"{left.text} {right.text}", context(left)
            ):
                return (left, right)
    return ()


def _answered(lines: Sequence[_Line], shown: Sequence[Sentence]) -> bool:
    """Whether the claims that are left answer: they say the marked words, where there are any.

    Where reader and writer mean different words, neither is trusted: the quote holds both.
    """
    kept = [claim for line in lines for claim, support in line.claims if support]
    if not kept or any(line.step and line.failed for line in lines):
        return False
    marked = phrase(shown[0])
    return not marked or any(holds(claim, marked) for claim in kept)


def _with_quote(lines: Sequence[_Line], fact: Sentence) -> tuple[list[_Line], int]:
    """`lines` with the fact, verbatim, where the first claim failed; steps are all replaced."""
    parts = units(fact)
    steps = [u for u in parts if STEP.match(u.text)]
    opening = [u for u in parts if u not in steps] if steps else [fact]
    made = [_quotation(opening)] if opening else []
    made += [_quotation([step], step=True) for step in steps]
    replaced = [i for i, line in enumerate(lines) if line.failed or (line.step and steps)]
    at = (
        replaced[0]
        if replaced
        else next((i for i, line in enumerate(lines) if line.names), min(1, len(lines)))
    )
    before = list(lines[:at])
    after = [
        line for line in lines[at:] if line.form or (line.claims and not (line.step and steps))
    ]
    cited = {u.start for u in parts}
    for line in (*before, *after):  # nothing is said twice
        line.claims = [(c, s) for c, s in line.claims if not s or s[0].start not in cited]
    return [*before, *made, *after], len(made)


def _around(fixed: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The lines that always stand before and after an answer."""
    if "" not in fixed:
        return (), ()
    at = fixed.index("")
    end = fixed.index("", at + 1) if "" in fixed[at + 1 :] else len(fixed)
    return fixed[:at], fixed[at + 1 : end]


def _in_form(lines: Sequence[_Line], fixed: Sequence[str]) -> list[_Line]:
    """`lines` with what always stands before and after an answer, each once and in its order."""
    before, after = _around(fixed)
    named = next((line for line in lines if line.names), _Line(names=" and "))

    def made(form: str) -> _Line:
        naming = form.endswith(":")
        return _Line(form=f"{form} " if naming else form, names=named.names if naming else "")

    body = [line for line in lines if line.form.strip() not in {*before, *after} or not line.form]
    return [*map(made, before), *body, *map(made, after)]


def _quotation(spans: Sequence[Sentence], step: bool = False) -> _Line:
    return _Line(step=step, claims=[(ENUMERATION.sub("", one_line(s.text)), (s,)) for s in spans])


def _written(lines: Sequence[_Line]) -> tuple[str, tuple[Citation, ...]]:
    """The text with its markers, and the citations in the order of their markers."""
    order: list[Sentence] = []  # cited sources; position + 1 is the marker
    for line in lines:
        for _, support in line.claims:
            order += [source for source in support if source not in order]
    uris = list(dict.fromkeys(source.uri for source in order))
    texts: list[str] = []
    step = 0
    for line in lines:
        if line.names:
            texts += [line.form + line.names.join(uris)] if uris else []
        elif line.form:
            texts.append(line.form)
        elif line.claims:
            step = step + 1 if line.step else 0
            said = " ".join(
                claim + "".join(f" [{order.index(s) + 1}]" for s in support)
                for claim, support in line.claims
            )
            texts.append(f"{step}. {said}" if line.step else said)
    return "\n".join(texts), tuple(_citation(n, s, s.start, s.end) for n, s in enumerate(order, 1))


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
        phrase_start=span.phrase_start,
        phrase_end=span.phrase_end,
    )
