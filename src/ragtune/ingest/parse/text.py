"""Plain text: the canonical text is the file itself; its structure is guessed with care."""

from __future__ import annotations

import re

from ragtune.ingest.parse.base import Parsed, stem
from ragtune.types import Block, SourceMap

_BULLET = re.compile(r"[-*+•‣◦–][ \t]+\S")
_NUMBER = re.compile(r"(?:\(?\d{1,3}[.)]|\(?[a-z][.)])[ \t]+\S")
_UNDERLINE = re.compile(r"(=|-|~|\*)\1{2,}$")
_CHAPTER = re.compile(
    r"(?:(\d{1,2}(?:\.\d{1,2}){0,4})\.?|(?:section|article|chapter|part|annex|appendix|artikel|"
    r"abschnitt|kapitel|anlage|§)\s*\d{1,3}[a-z]?\b[.:]?)[ \t]+\S",
    re.I,
)
_COLUMNS = re.compile(r"\S[ \t]{3,}\S|\S\t+\S")
_MAX_HEADING = 80
_SENTENCE_END = (".", ":", ";", "!", "?")

Span = tuple[int, int]


def read_text(text: str, name: str) -> Parsed:
    """Blocks are paragraphs, items, aligned rows and what looks like a heading; offsets are the
    file's own."""
    blocks = tuple(text_blocks(text))
    heading = next((text[b.start : b.end] for b in blocks if b.kind == "heading"), "")
    return Parsed(name, heading.split("\n")[0] or stem(name), text, SourceMap(blocks), "txt")


def text_blocks(text: str) -> list[Block]:
    """Blocks of plain text."""
    blocks: list[Block] = []
    group: list[Span] = []  # stripped spans of the lines of one paragraph
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


def strip_span(text: str, start: int, end: int) -> Span:
    """The span without white space at its ends."""
    piece = text[start:end]
    lead = len(piece) - len(piece.lstrip())
    return (start + lead, start + len(piece.rstrip())) if lead < len(piece) else (start, start)


def _paragraph(text: str, lines: list[Span], blocks: list[Block]) -> None:
    """Adds the blocks of lines that no blank line separates."""
    if not lines:
        return
    level, used = _heading(text, lines)
    if level:
        blocks.append(Block(lines[0][0], lines[used - 1][1], "heading", level))
        lines = lines[used:]
        if not lines:
            return
    if _is_aligned(text, lines):
        _rows(text, lines, blocks)
        return
    first_item = next((i for i in range(len(lines)) if _is_item(text, lines, i)), len(lines))
    if first_item:
        blocks.append(Block(lines[0][0], lines[first_item - 1][1], "paragraph"))
    if first_item < len(lines):
        _items(text, lines[first_item:], blocks)


def _is_item(text: str, lines: list[Span], index: int) -> bool:
    """Whether a line starts a list item; '80. Units' may be the end of a wrapped sentence."""
    start, end = lines[index]
    if _BULLET.match(text, start, end):
        return True
    if not _NUMBER.match(text, start, end):
        return False
    if index == 0:
        return True
    above = text[lines[index - 1][0] : lines[index - 1][1]]
    return above.endswith(_SENTENCE_END) or any(
        _NUMBER.match(text, s, e) or _BULLET.match(text, s, e)
        for s, e in lines[max(0, index - 4) : index]
    )


def _items(text: str, lines: list[Span], blocks: list[Block]) -> None:
    start, end, depth = -1, -1, 0
    base = _indent(text, lines[0][0])
    for index, (s, e) in enumerate(lines):
        if _is_item(text, lines, index):
            if start >= 0:
                blocks.append(Block(start, end, "item", depth))
            start, depth = s, max(0, min(5, (_indent(text, s) - base) // 2))
        end = e
    blocks.append(Block(start, end, "item", depth))


def _indent(text: str, start: int) -> int:
    return start - (text.rfind("\n", 0, start) + 1)


def _is_aligned(text: str, lines: list[Span]) -> bool:
    """Whether most lines are cells set apart by spaces or tabs."""
    if len(lines) < 2:
        return False
    return sum(bool(_COLUMNS.search(text, s, e)) for s, e in lines) >= 0.6 * len(lines)


def _rows(text: str, lines: list[Span], blocks: list[Block]) -> None:
    """Each aligned line is a row; a line that is indented deeper goes on in the row above."""
    base = min(_indent(text, s) for s, _ in lines)
    rows: list[list[int]] = []
    for start, end in lines:
        if rows and _indent(text, start) > base + 3 and not _COLUMNS.search(text, start, end):
            rows[-1][1] = end
        else:
            rows.append([start, end])
    blocks += [Block(start, end, "row") for start, end in rows]


def _heading(text: str, lines: list[Span]) -> tuple[int, int]:
    """(level, how many lines) when the lines begin with a heading, else (0, 0): few are certain."""
    start, end = lines[0]
    line = text[start:end]
    words = line.split()
    if len(line) > _MAX_HEADING or not any(c.isalpha() for c in line):
        return 0, 0
    if len(lines) > 1:
        under = text[lines[1][0] : lines[1][1]]
        if _UNDERLINE.fullmatch(under) and len(under) >= len(line) * 0.5:
            return (1 if under[0] == "=" else 2), 2
    if line[-1] in ".,;:!?" or len(words) > 12:
        return 0, 0
    if (marks := re.match(r"(#{1,6}) \S", line)) is not None:
        return len(marks[1]), 1
    if _COLUMNS.search(line):
        return 0, 0
    letters = [c for c in line if c.isalpha()]
    if len(letters) >= 4 and all(c.isupper() for c in letters):
        return 1 if start == 0 else 2, 1
    if len(lines) == 1:
        match = _CHAPTER.match(line)
        if match and (words[1:2] and not words[1][0].islower()):
            return _depth(match), 1
        # the first line of a file that stands alone is its title
        return (1, 1) if not text[:start].strip() and len(text) > 3 * len(line) else (0, 0)
    rest = [text[s:e] for s, e in lines[1:]]
    if all(_indent(text, s) >= _indent(text, start) + 2 for s, _ in lines[1:]) and not (
        _BULLET.match(line) or _NUMBER.match(line)
    ):
        return 3, 1  # a line above an indented list or table
    match = _CHAPTER.match(line)
    if match and len(line) < 0.75 * max(map(len, rest)) and not _goes_on(match, rest):
        return _depth(match), 1
    return 0, 0


def _goes_on(match: re.Match[str], rest: list[str]) -> bool:
    """Whether '1. …' is the first item of a list: a line below begins with the next number."""
    if not match[1] or "." in match[1]:
        return False
    following = re.compile(rf"\(?{int(match[1]) + 1}[.)]\s")
    return any(map(following.match, rest))


def _depth(match: re.Match[str]) -> int:
    return min(6, match[1].count(".") + 2) if match[1] else 2
