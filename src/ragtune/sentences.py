"""Sentences as exact spans of a document's text.

What the structure already separates (headings, list items, table rows, code) is a unit of its
own; running text is cut by Wikimedia's `sentencex` (rules and abbreviations of many languages,
about 2 µs a sentence) with a few joins for what its English rules tear apart. Spans are code
point offsets; together they hold every character that is not white space, once.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from ragtune.types import Block

LONGEST = 600  # characters; text without full stops (a licence, a log) is cut at this length
_WHOLE = frozenset({"heading", "item", "header", "row", "code"})
# "am 5. | Mai", "le 1. | …": an ordinal that the English rules take for the end of a sentence.
_ORDINAL = re.compile(
    r"\b(?:am|vom|zum|bis|ab|der|den|dem|des|seit|le|il)\s+\d{1,2}\.\s*$", re.IGNORECASE
)
_ABBREVIATED = re.compile(
    r"\b(?:approx|ca|cf|incl|excl|ext|max|min|resp|tel|dept|sect|par|art|bzw|z\.B|d\.h|inkl)\.\s*$",
    re.IGNORECASE,
)
_CLOSED = ("?", "!", "。", "！", "？", ":", ";")


def sentences(text: str, start: int, end: int, blocks: Sequence[Block]) -> list[tuple[int, int]]:
    """The spans of the sentences of `text[start:end]`: sorted, disjoint, without outer white space.

    `blocks` is the document's `map.blocks` (sorted, disjoint); an empty sequence treats the span
    as running text. A unit that crosses `start` or `end` is cut there.
    """
    spans: list[tuple[int, int]] = []
    position = start
    first = max(0, bisect_right(blocks, start, key=lambda block: block.start) - 1)
    for block in blocks[first:]:
        if block.start >= end:
            break
        if block.end <= position:
            continue
        low, high = max(block.start, position), min(block.end, end)
        spans += _running(text, position, low)  # what no block covers
        if block.kind in _WHOLE:
            spans += _capped(text, low, high)
        else:
            spans += _running(text, low, high)
        position = high
    spans += _running(text, position, end)
    return spans


def _running(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Sentences of running text; a blank line always ends one."""
    if start >= end or text[start:end].isspace():
        return []
    # imported here: 5 ms that commands which read no text need not pay
    from sentencex import segment  # type: ignore[import-untyped]

    spans: list[tuple[int, int]] = []
    low = high = start
    for piece in segment("en", text[start:end]):
        if high > low and _ends(text[low:high], piece):
            spans += _capped(text, low, high)
            low = high
        high += len(piece)
    return [*spans, *_capped(text, low, high)]


def _ends(before: str, after: str) -> bool:
    """Whether a sentence really ends between two pieces that the rules separate."""
    head = after.lstrip()
    if not head or "\n\n" in before[-3:] + after[: len(after) - len(head)]:
        return True
    tail = before.rstrip()
    if tail.endswith(_CLOSED):
        return True
    last = before[-16:]  # an unanchored search of the whole sentence would be 10 times slower
    return not (head[0].islower() or _ABBREVIATED.search(last) or _ORDINAL.search(last))


def _capped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """`start, end` without outer white space, in parts of at most LONGEST characters."""
    while start < end:
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if start >= end:
            return
        cut = end
        if end - start > LONGEST:
            window = text[start : start + LONGEST]
            cut = start + LONGEST
            for mark in ("\n", "; ", ", ", " "):
                at = window.rfind(mark, LONGEST // 3)
                if at > 0:
                    cut = start + at + len(mark)
                    break
        stop = cut
        while text[stop - 1].isspace():
            stop -= 1
        yield start, stop
        start = cut
