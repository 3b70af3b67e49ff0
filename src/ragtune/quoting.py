"""How much around a key sentence is quoted: the contiguous unit that it belongs to.

A fact is quoted as its sentence; an explanation, a list or a table as the steps, conditions or
rows that belong together, up to a number of words. Growth goes along neighbours, the nearest bond
first: the same list, table or paragraph, then paragraphs of the same section. It never passes a
heading and never leaves the document.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragtune.question import Form
from ragtune.sentences import sentences
from ragtune.types import BlockKind, Document

Span = tuple[int, int]
Scores = Mapping[tuple[int, int], float]  # (document id, start of a unit): its rank

# Bonds between neighbouring units; growth for a question needs at least the bond beside it.
LEAD_IN, SAME, NEXT, NONE = 3, 2, 1, 0
NEEDED: dict[Form, dict[str, int]] = {
    "fact": {"item": SAME, "row": SAME, "header": SAME, "code": SAME, "paragraph": LEAD_IN},
    "explain": {"item": NEXT, "row": SAME, "header": SAME, "code": NEXT, "paragraph": NEXT},
}
REACH = 4000  # characters looked at on each side
_POINTS_BACK = re.compile(
    r"(?:it|its|this|that|these|those|they|their|them|he|she|his|her|such|here|there|both|either"
    r"|otherwise|however|instead|also|then|therefore|if so|in (?:this|that|such) cases?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int
    block: int  # index into the blocks; -1 for text that no block covers
    kind: BlockKind


def grow(
    document: Document,
    key: Span,
    form: Form,
    limit: int,
    scores: Scores,
    taken: Sequence[Span] = (),
) -> Span:
    """The span to quote around the span `key`: at most `limit` words, free of all `taken`.

    A key that is longer than `limit` by itself is cut to its first `limit` words.
    """
    pieces = _pieces(document, key)
    at = next((i for i, p in enumerate(pieces) if p.start <= key[0] < p.end), None)
    if at is None or count_words(document.text[key[0] : key[1]]) >= limit:
        return _cut(document.text, key, limit)
    low = high = at
    text = document.text
    need = NEEDED[form].get(pieces[at].kind, NEXT)
    if text[key[0] : key[1]].endswith(":"):
        need = min(need, SAME)  # a lead-in alone says nothing
    if pieces[at].kind == "paragraph" and _POINTS_BACK.match(text, key[0]) and low > 0:
        # "It …" says nothing without the sentence before
        left = pieces[low - 1]
        if left.block == pieces[low].block and _free((left.start, key[1]), limit, text, taken):
            low -= 1
    if pieces[at].kind in ("item", "row", "header"):
        low = _to_top(pieces, at, limit, text, taken)
    while True:
        options = []
        if low > 0:
            options.append((_bond(pieces[low - 1], pieces[low], text), low - 1))
        if high + 1 < len(pieces):
            options.append((_bond(pieces[high], pieces[high + 1], text), high + 1))
        options = [
            (bond, i)
            for bond, i in options
            if bond >= need
            and _free(
                (min(pieces[low].start, pieces[i].start), max(pieces[high].end, pieces[i].end)),
                limit,
                text,
                taken,
            )
        ]
        if not options:
            return pieces[low].start, pieces[high].end
        # the nearest bond; then the side that says more about the question; then onwards
        _, chosen = max(
            options, key=lambda o: (o[0], scores.get((document.id, pieces[o[1]].start), 0.0), o[1])
        )
        low, high = min(low, chosen), max(high, chosen)


def count_words(text: str) -> int:
    """Words as people count them: between white space."""
    return len(text.split())


def _pieces(document: Document, key: Span) -> list[_Piece]:
    """The units around `key`, between the headings before and after it."""
    blocks = document.map.blocks
    text = document.text
    low, high = max(0, key[0] - REACH), min(len(text), key[1] + REACH)
    if blocks:
        first = max(0, bisect_right(blocks, low, key=lambda b: b.start) - 1)
        low = min(low, blocks[first].start) if blocks[first].end > low else low
        for block in blocks[first:]:
            if block.kind == "heading" and block.end <= key[0]:
                low = block.end
            if block.start >= key[1] and (block.kind == "heading" or block.start >= high):
                high = block.start
                break
    found: list[_Piece] = []
    at = max(0, bisect_right(blocks, low, key=lambda b: b.start) - 1)
    for start, end in sentences(text, low, high, blocks):
        while at < len(blocks) and blocks[at].end <= start:
            at += 1
        if not any(map(str.isalnum, text[start:end])):
            continue  # the rule below a table's header
        inside = at < len(blocks) and blocks[at].start <= start
        found.append(
            _Piece(start, end, at if inside else -1, blocks[at].kind if inside else "paragraph")
        )
    return found


def _bond(left: _Piece, right: _Piece, text: str) -> int:
    """How closely two neighbouring units belong together."""
    tabular = ("row", "header")
    if text[left.start : left.end].endswith(":") and right.kind not in tabular:
        return LEAD_IN
    if left.block == right.block and (
        left.block >= 0 or "\n\n" not in text[left.end : right.start]
    ):
        return SAME
    if left.kind == right.kind == "item":
        return SAME
    if left.kind in tabular and right.kind == "row":
        return SAME
    if left.kind in tabular or right.kind in tabular:
        return LEAD_IN if text[left.start : left.end].endswith(":") else NONE
    return NEXT


def _to_top(pieces: Sequence[_Piece], at: int, limit: int, text: str, taken: Sequence[Span]) -> int:
    """The first unit of the key's list or table, where all from there to the key fits; else `at`.

    A row is read with its header, a step with what introduces it.
    """
    top = at
    while top > 0 and _bond(pieces[top - 1], pieces[top], text) >= SAME:
        if pieces[top].kind == "paragraph":
            break  # the lead-in itself is enough, not the paragraph that it ends
        top -= 1
    fits = _free((pieces[top].start, pieces[at].end), limit, text, taken)
    return top if fits else at


def _free(span: Span, limit: int, text: str, taken: Sequence[Span]) -> bool:
    if any(span[0] < end and start < span[1] for start, end in taken):
        return False
    return count_words(text[span[0] : span[1]]) <= limit


def _cut(text: str, span: Span, limit: int) -> Span:
    """`span` ended after `limit` words."""
    for found, match in enumerate(re.finditer(r"\S+", text[span[0] : span[1]]), 1):
        if found == limit:
            return span[0], span[0] + match.end()
    return span
