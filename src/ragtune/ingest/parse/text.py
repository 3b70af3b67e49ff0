"""Plain text: the canonical text is the file itself; paragraphs become blocks."""

from __future__ import annotations

import re

from ragtune.ingest.parse.base import Parsed, stem
from ragtune.types import Block, SourceMap

_ITEM = re.compile(r"(?:[-*+•‣◦–]|\(?\d{1,3}[.)]|\(?[a-z][.)])[ \t]+\S")
_UNDERLINE = re.compile(r"(=|-|~|\*)\1{2,}$")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,4})\.?[ \t]+[A-ZÄÖÜÀ-Þ]\S*")
_MAX_HEADING = 80


def read_text(text: str, name: str) -> Parsed:
    """Blocks are paragraphs, list items and what looks like headings; offsets are the file's."""
    blocks = tuple(text_blocks(text))
    heading = next((text[b.start : b.end] for b in blocks if b.kind == "heading"), "")
    return Parsed(name, heading or stem(name), text, SourceMap(blocks), "txt")


def text_blocks(text: str) -> list[Block]:
    """Blocks of plain text."""
    blocks: list[Block] = []
    group: list[tuple[int, int]] = []  # stripped spans of the lines of one paragraph
    position = 0
    for line in text.split("\n"):
        start, end = strip_span(text, position, position + len(line))
        position += len(line) + 1
        if start == end:
            _paragraph(text, group, blocks)
            group = []
        else:
            group.append((start, end))
    _paragraph(text, group, blocks)
    return blocks


def strip_span(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends."""
    piece = text[start:end]
    lead = len(piece) - len(piece.lstrip())
    return (start + lead, start + len(piece.rstrip())) if lead < len(piece) else (start, start)


def _paragraph(text: str, lines: list[tuple[int, int]], blocks: list[Block]) -> None:
    if not lines:
        return
    level = _heading_level(text, lines)
    if level:
        blocks.append(Block(lines[0][0], lines[-1][1], "heading", level))
        return
    first_item = next((i for i, (s, e) in enumerate(lines) if _ITEM.match(text, s, e)), len(lines))
    if first_item:
        blocks.append(Block(lines[0][0], lines[first_item - 1][1], "paragraph"))
    start, end, depth = -1, -1, 0
    base = None
    for s, e in lines[first_item:]:
        if _ITEM.match(text, s, e):
            if start >= 0:
                blocks.append(Block(start, end, "item", depth))
            indent = s - (text.rfind("\n", 0, s) + 1)
            base = indent if base is None else min(base, indent)
            start, depth = s, min(5, (indent - base) // 2)
        end = e
    if start >= 0:
        blocks.append(Block(start, end, "item", depth))


def _heading_level(text: str, lines: list[tuple[int, int]]) -> int:
    """1 to 6 when the lines of one paragraph are a heading, else 0: careful, few are certain."""
    start, end = lines[0]
    line = text[start:end]
    if len(line) > _MAX_HEADING or not any(c.isalpha() for c in line):
        return 0
    if len(lines) == 2:
        under = text[lines[1][0] : lines[1][1]]
        if _UNDERLINE.fullmatch(under) and len(under) >= len(line) * 0.5:
            return 1 if under[0] == "=" else 2
        return 0
    if len(lines) > 1 or line[-1] in ".,;:!?":
        return 0
    if line.startswith("#") and re.match(r"#{1,6} \S", line):
        return len(line) - len(line.lstrip("#"))
    words = line.split()
    if (match := _NUMBERED.match(line)) and len(words) <= 10:
        return min(6, match[1].count(".") + 1)
    letters = [c for c in line if c.isalpha()]
    if len(letters) >= 4 and len(words) <= 10 and all(c.isupper() for c in letters):
        return 2
    return 0
