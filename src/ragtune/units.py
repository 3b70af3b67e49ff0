"""The units that evidence is ranked by: sentences, list items and table rows of the hits.

What a unit is read with and what stands right before it belong to it, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ragtune import words
from ragtune.protocols import Reading, System
from ragtune.sentences import sentences
from ragtune.types import BlockKind, Document, Hit

SHORT = 80  # characters; a shorter unit is read together with the end of the one before
ECHO = 4  # words; a shorter question stands in many texts
LOOKED = 40  # the best units, in which the question is looked for

_LINE_END = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")


@dataclass(slots=True)
class Unit:
    """A sentence, list item, table row or heading of a hit, as the ranking sees it."""

    hit: int
    document: Document
    start: int
    end: int
    kind: BlockKind
    terms: Counter[str]  # stems of content words
    context: frozenset[str]  # stems of the heading path
    before: Mapping[str, int] = field(default_factory=dict)  # terms of the unit before
    previous: int = -1  # where the unit before starts, in the same hit; -1: none
    cosine: float = 0.0
    lexical: float = 0.0  # BM25 / the largest BM25 of all units
    score: float = 0.0
    reading: Reading | None = None
    echo: bool = False  # holds the question itself or stands right beside it, word for word

    @property
    def text(self) -> str:
        """The unit, exactly as in the document."""
        return self.document.text[self.start : self.end]

    @property
    def asks(self) -> bool:
        """Whether the unit is itself a question, as a FAQ's headings are."""
        return self.text.endswith(("?", "？"))


def units_of(hits: Sequence[Hit], system: System) -> tuple[list[Hit], list[Unit]]:
    """The hits that still hold, and their units in reading order, hit by hit."""
    documents: dict[str, Document | None] = {}
    kept: list[Hit] = []
    units: list[Unit] = []
    seen: set[tuple[int, int]] = set()
    for hit in hits:
        if hit.uri not in documents:
            documents[hit.uri] = system.store.get(hit.uri)
        document = documents[hit.uri]
        start, end = hit.passage.start, hit.passage.end
        if document is None or document.text[start:end] != hit.passage.text:
            continue
        context = frozenset(words.content(hit.passage.heading or hit.title))
        before: Mapping[str, int] = {}
        previous = -1
        blocks = document.map.blocks
        at = 0
        for low, high in sentences(document.text, start, end, blocks):
            while at < len(blocks) and blocks[at].end <= low:
                at += 1
            kind: BlockKind = "paragraph"
            if at < len(blocks) and blocks[at].start <= low:
                kind = blocks[at].kind
            held = terms(document.text[low:high])
            if (document.id, low) not in seen and any(map(str.isalnum, document.text[low:high])):
                seen.add((document.id, low))
                units.append(
                    Unit(len(kept), document, low, high, kind, held, context, before, previous)
                )
            before, previous = held, low
        kept.append(hit)
    return kept, units


@lru_cache(maxsize=20_000)
def terms(text: str) -> Counter[str]:
    """How often each stem of a content word stands in `text`."""
    return Counter(words.content(text))


def reading_text(unit: Unit, hit: Hit) -> str:
    """What a reader gets of a unit: its headings on the first line, itself on the last.

    A short unit ("By train: 2nd class") says little alone: the end of the one before comes in
    between. The unit keeps its length, so offsets into the last line are offsets into the unit.
    """
    lines = [(hit.passage.heading or hit.title).replace("\n", " ")]
    if unit.previous >= 0 and unit.end - unit.start < SHORT:
        before = unit.document.text[unit.previous : unit.start].split()
        lines.append(" ".join(before)[-SHORT:])
    return "\n".join([*lines, _LINE_END.sub(" ", unit.text)])


def mark_echoes(question: str, answers: Sequence[Unit]) -> None:
    """Sets `echo` of those that hold the question, or stand right beside it, word for word.

    A FAQ's answer stands like that, and so does a text that was planted to be found (Zou et al.
    2024, "PoisonedRAG", 2402.07867).
    """
    asking = words.tokens(question)
    if len(asking) < ECHO:
        return
    said = f" {' '.join(asking)} "
    folded = question.casefold()
    rare = max((token for token in asking if token in folded), key=len, default="")
    reach = len(question) + SHORT
    for unit in answers[:LOOKED]:
        near = unit.document.text[max(0, unit.start - 2 * reach) : unit.end + reach]
        if rare in near.casefold():  # most units end here
            unit.echo = said in f" {' '.join(words.tokens(near))} "
