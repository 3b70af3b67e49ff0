"""Cuts a document into passages that follow its structure.

A passage never reaches over a heading: it holds the headings that open a section and the
section's own blocks, as many as fit. So what is inside a passage depends on one section alone,
and an edit elsewhere leaves it, and its vector, as they are. The heading path in front of each
passage (contextual chunk headers, as in D-Star-AI/dsRAG) says what the passage itself leaves out.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ragtune.places import heading_path
from ragtune.sentences import sentences
from ragtune.store.text import as_read, embedded_text
from ragtune.types import Block, SourceMap

CountTokens = Callable[[str], int]

_PARAGRAPH = re.compile(r"\S(?:.*\S)?(?:[^\S\n]*\n[^\S\n]*\S(?:.*\S)?)*")
_LINE = re.compile(r"[^\n]+")
_SENTENCES, _LINES, _WORDS = range(3)  # what an over-long block is cut into, in this order
# A run of characters without spaces may count as one unknown token; it must not become a
# passage of a megabyte.
_CHARACTERS_PER_TOKEN = 24
_SHORT = 4  # characters a token; a block shorter than this many times the room mostly fits
_ELLIPSIS = "…"
_SEPARATOR = " > "

__all__ = ["Piece", "embedded_text", "split"]


@dataclass(frozen=True, slots=True)
class Piece:
    """The span of one passage and the heading path that goes in front of it."""

    start: int
    end: int
    heading: str


@dataclass(slots=True)
class _Atom:
    """The smallest span that is not cut again; `header` is the header row that it needs."""

    start: int
    end: int
    tokens: int
    header: str = ""
    header_tokens: int = 0


def split(
    text: str, map: SourceMap, title: str, count_tokens: CountTokens, max_tokens: int
) -> list[Piece]:
    """The passages of a document: sorted, disjoint, without white space at their ends.

    Together they cover every character of `map.blocks` that is not white space (of `text` where
    there are no blocks). `max_tokens` bounds heading and text of a passage together, as far as
    `count_tokens` adds up over white space, which WordPiece does exactly. Each block is counted
    once; only what is over-long is counted again, in parts.
    """
    blocks = map.blocks or tuple(_paragraphs(text))
    pieces: list[Piece] = []
    for headings, body in _sections(blocks):
        inside = heading_path(map, text, headings[-1].start) if headings else ()
        path = _path(title, inside)
        pieces += _Section(text, path, count_tokens, max_tokens).pieces(headings, body)
    return pieces


def _paragraphs(text: str) -> Iterator[Block]:
    """Spans between blank lines."""
    for match in _PARAGRAPH.finditer(text):
        yield Block(match.start(), match.end(), "paragraph")


def _sections(blocks: Iterable[Block]) -> Iterator[tuple[list[Block], list[Block]]]:
    """Each section's headings and its other blocks, in order.

    Headings directly below one another, each deeper than the one before, open one section: a
    chapter's heading without text of its own goes with its first section.
    """
    headings: list[Block] = []
    body: list[Block] = []
    for block in blocks:
        if block.kind != "heading":
            body.append(block)
            continue
        if body or (headings and block.level <= headings[-1].level):
            yield headings, body
            headings, body = [], []
        headings.append(block)
    if headings or body:
        yield headings, body


def _path(title: str, headings: Iterable[str]) -> list[str]:
    """Title and headings from the outside in; a name that repeats the one before is left out."""
    path: list[str] = []
    for name in (title, *headings):
        name = " ".join(name.split())
        if name and not (path and path[-1].casefold() == name.casefold()):
            path.append(name)
    return path


class _Section:
    """Cuts the blocks of one section and packs them. The heading path takes a third at most."""

    def __init__(self, text: str, path: Sequence[str], count: CountTokens, window: int) -> None:
        self.text = text
        self._count = count
        self.third = max(1, window // 3)
        self.heading = _fit_path(path, count, self.third)
        self.room = max(1, window - (count(self.heading) if self.heading else 0))

    def count(self, span: str) -> int:
        """Tokens of a span as it is embedded."""
        return self._count(as_read(span))

    def pieces(self, headings: Sequence[Block], body: Sequence[Block]) -> list[Piece]:
        """Greedy: a unit that fits joins the open passage, one that does not begins a new one."""
        done: list[list[_Atom]] = []
        used = 0
        for atom in self.atoms(headings, self.room):
            used = _add(done, atom, used, self.room)
        only_headings = bool(done)
        for unit in _units(self.text, body):
            # a heading is not left alone: the text below it is cut so that some of it fits
            beside = only_headings and 2 * used < self.room
            atoms = self.atoms(unit, self.room - used if beside else self.room)
            if not only_headings and used + sum(atom.tokens for atom in atoms) > self.room:
                used = self.room  # full: the unit begins a passage
            for atom in atoms:
                used = _add(done, atom, used, self.room)
            only_headings = only_headings and not atoms
        return [self.piece(atoms) for atoms in done]

    def piece(self, atoms: Sequence[_Atom]) -> Piece:
        parts = [part for part in (self.heading, atoms[0].header) if part]
        return Piece(atoms[0].start, atoms[-1].end, "\n".join(parts))

    def atoms(self, unit: Sequence[Block], room: int) -> list[_Atom]:
        """The blocks of a unit, cut where they are over-long; table rows with their header row."""
        header, header_tokens = "", 0
        atoms: list[_Atom] = []
        for position, block in enumerate(unit):
            if block.kind == "header":
                header, header_tokens = self.header(unit, position)
                atoms += self.cut(block, room)
                continue
            cut = self.cut(block, max(1, room - header_tokens))
            if header:
                for atom in cut:
                    atom.header, atom.header_tokens = header, header_tokens
            atoms += cut
        return atoms

    def header(self, unit: Sequence[Block], position: int) -> tuple[str, int]:
        """The header row that the rows after it need, with its tokens; empty if they name their
        columns themselves ("City: Berlin | Limit: 40").
        """
        header = self.text[unit[position].start : unit[position].end].strip()
        if position + 1 < len(unit):
            row = self.text[unit[position + 1].start : unit[position + 1].end].lstrip()
            names = (name.strip() for name in re.split(r"[|\t]", header))
            if any(name and row.startswith(f"{name}:") for name in names):
                return "", 0
        header = _fit_words(header, self._count, self.third)
        return header, self.count(header)

    def cut(self, block: Block, room: int) -> list[_Atom]:
        """A block as one atom where it fits, else its sentences (lines of code), lines, words."""
        return self.span(
            block.start, block.end, room, _LINES if block.kind == "code" else _SENTENCES
        )

    def span(self, start: int, end: int, room: int, by: int) -> list[_Atom]:
        """A span as one atom where it fits, else the atoms of its parts."""
        start, end = _strip(self.text, start, end)
        length = end - start
        if not length:
            return []
        if by == _SENTENCES and length > _SHORT * room:  # perhaps too long: only count the parts
            spans = sentences(self.text, start, end, ())
            atoms = [atom for low, high in spans for atom in self.span(low, high, room, _LINES)]
            tokens = sum(atom.tokens for atom in atoms)
            return atoms if tokens > room else [_Atom(start, end, tokens)]
        tokens = max(self.count(self.text[start:end]), length // _CHARACTERS_PER_TOKEN)
        if tokens <= room or length == 1:
            return [_Atom(start, end, tokens)]
        if by == _SENTENCES:
            spans = sentences(self.text, start, end, ())
        elif by == _LINES:
            spans = [match.span() for match in _LINE.finditer(self.text, start, end)]
        else:
            spans = _equal_parts(self.text, start, end, int(1.1 * tokens / room) + 2)
        return [atom for low, high in spans for atom in self.span(low, high, room, by + 1)]


def _add(packed: list[list[_Atom]], atom: _Atom, used: int, room: int) -> int:
    """Puts `atom` into the last passage, or a new one where it does not fit; the tokens used."""
    if not packed or used + atom.tokens > room:
        packed.append([])
        used = atom.header_tokens
    packed[-1].append(atom)
    return used + atom.tokens


def _units(text: str, body: Iterable[Block]) -> Iterator[list[Block]]:
    """Blocks that stay together where they fit: a list or table with what leads into it."""
    unit: list[Block] = []
    for block in body:
        if unit and not _belongs(text, unit[-1], block):
            yield unit
            unit = []
        unit.append(block)
    if unit:
        yield unit


def _belongs(text: str, before: Block, block: Block) -> bool:
    if block.kind == "item":
        return before.kind in ("item", "paragraph")
    if block.kind == "row":
        return before.kind in ("row", "header")
    return before.kind == "paragraph" and text[before.start : before.end].rstrip().endswith(":")


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    span = text[start:end]
    stripped = span.lstrip()
    start += len(span) - len(stripped)
    return start, start + len(stripped.rstrip())


def _equal_parts(text: str, start: int, end: int, parts: int) -> list[tuple[int, int]]:
    """About equal spans; where there is white space shortly before an end, it is there."""
    step = max(1, (end - start) // parts)
    cuts = [start]
    while cuts[-1] + step < end:
        at = cuts[-1] + step
        words = text[at - step // 2 : at].rstrip().rsplit(None, 1)
        cuts.append(at - step // 2 + len(words[0]) if len(words) > 1 else at)
    cuts.append(end)
    return list(pairwise(cuts))


def _fit_path(path: Sequence[str], count: CountTokens, limit: int) -> str:
    """The heading path within `limit` tokens: what is in the middle goes first, then the end."""
    whole = _SEPARATOR.join(path)
    for first in range(2, len(path)):
        if count(whole) <= limit:
            break
        whole = _SEPARATOR.join((path[0], _ELLIPSIS, *path[first:]))
    return _fit_words(whole, count, limit)


def _fit_words(text: str, count: CountTokens, limit: int) -> str:
    """The longest beginning of `text` with at most `limit` tokens, in whole words if it has any."""
    if count(text) <= limit:
        return text
    fits = bisect_left(range(1, len(text)), True, key=lambda n: count(text[:n]) > limit)
    words = text[:fits].rsplit(None, 1)
    return words[0] if words else ""
