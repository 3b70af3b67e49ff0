"""Markdown: the canonical text is the file itself; a line scanner finds its blocks.

What a rendered page does not show, comments above all, is blanked first: offsets stay true.

A scanner instead of a CommonMark library: blocks must keep exact offsets into the file, and the
cost must stay linear in its length whatever it holds.
"""

from __future__ import annotations

import re

from ragtune.ingest.parse.base import Parsed, stem
from ragtune.ingest.parse.hidden import LeftOut
from ragtune.ingest.parse.markdown_hidden import without_hidden
from ragtune.ingest.parse.text import strip_span
from ragtune.types import Block, BlockKind, SourceMap

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_ITEM = re.compile(r"([ \t]*)(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_RULE = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_DELIMITER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_TITLE = re.compile(r"^title:[ \t]*(.+)$", re.M)
_TAGS = re.compile(r"^tags:[ \t]*\[?([^\]\n]*)\]?[ \t]*((?:\n[ \t]*- .+)*)", re.M)
_LINK = re.compile(r"!?\[([^\]\[]*)\]\([^()\s]*(?:\s\"[^\"]*\")?\)")
_ANCHOR = re.compile(r"[ \t]*\{#[^}]*\}$")


def read_markdown(text: str, name: str) -> Parsed:
    """Headings, paragraphs, list items, table rows and code as blocks over the file's text."""
    left_out = LeftOut()
    text = without_hidden(text, left_out)
    scanner = _Scanner(text)
    scanner.run()
    title = scanner.title
    if not title:
        top = min((b.level for b in scanner.blocks if b.kind == "heading"), default=0)
        first = next((b for b in scanner.blocks if b.kind == "heading" and b.level == top), None)
        title = heading_text(text[first.start : first.end]) if first else ""
    blocks = SourceMap(tuple(scanner.blocks))
    notes = left_out.notes()
    return Parsed(name, title[:300] or stem(name), text, blocks, "md", scanner.tags, notes)


def heading_text(raw: str) -> str:
    """A Markdown heading as people read it: without marks and link targets."""
    line = raw.split("\n", 1)[0].strip()
    line = line.lstrip("#").strip().rstrip("#").rstrip()
    line = _ANCHOR.sub("", _LINK.sub(r"\1", line))
    return line.replace("**", "").replace("`", "").strip("*_ ") or line


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.blocks: list[Block] = []
        self.title = ""
        self.tags: tuple[str, ...] = ()
        self.lines: list[tuple[int, int]] = []
        position = 0
        for line in text.split("\n"):
            self.lines.append((position, position + len(line)))
            position += len(line) + 1
        self._open: tuple[int, int, BlockKind, int] | None = None
        self._indents: list[int] = []  # of the open list items, outermost first

    def run(self) -> None:
        index = self._front_matter()
        while index < len(self.lines):
            index = self._step(index)
        self._close()

    def _line(self, index: int) -> str:
        start, end = self.lines[index]
        return self.text[start:end]

    def _add(self, start: int, end: int, kind: BlockKind, level: int = 0) -> None:
        start, end = strip_span(self.text, start, end)
        if start < end:
            self.blocks.append(Block(start, end, kind, level))

    def _close(self) -> None:
        if self._open:
            self._add(*self._open)
            self._open = None

    def _front_matter(self) -> int:
        """Skips YAML front matter, which becomes a code block; its title and tags are used."""
        if self._line(0).rstrip() != "---":
            return 0
        for index in range(1, min(len(self.lines), 200)):
            if self._line(index).rstrip() in ("---", "..."):
                matter = self.text[self.lines[0][0] : self.lines[index][1]]
                if ":" not in matter:
                    return 0
                if found := _TITLE.search(matter):
                    self.title = found[1].strip().strip("\"'")
                if found := _TAGS.search(matter):
                    raw = found[1].split(",") + re.findall(r"- (.+)", found[2])
                    self.tags = tuple(t.strip().strip("\"'") for t in raw if t.strip())
                self._add(self.lines[0][0], self.lines[index][1], "code")
                return index + 1
        return 0

    def _step(self, index: int) -> int:
        start, end = self.lines[index]
        line = self.text[start:end]
        if not line.strip():
            self._close()
            return index + 1
        if fence := _FENCE.match(line):
            return self._fenced(index, fence[1])
        if found := _HEADING.match(line):
            self._close()
            self._indents = []
            self._add(start, end, "heading", len(found[1]))
            return index + 1
        if self._open and self._open[2] == "paragraph" and (found := _SETEXT.match(line)):
            begin = self._open[0]
            self._open = None
            self._add(begin, end, "heading", 1 if found[1][0] == "=" else 2)
            return index + 1
        if _RULE.match(line):
            self._close()
            return index + 1
        if "|" in line and index + 1 < len(self.lines) and not self._open:
            below = self._line(index + 1)
            if "-" in below and "|" in below and _DELIMITER.match(below):
                return self._table(index)
        if found := _ITEM.match(line):
            self._close()
            self._open = (start, end, "item", self._depth(len(found[1].expandtabs(4))))
            return index + 1
        indent = len(line) - len(line.lstrip())
        if not self._open and not self._indents and (indent >= 4 or line[0] == "\t"):
            return self._indented(index)
        if self._open:  # a further line of the paragraph or item
            self._open = (self._open[0], end, self._open[2], self._open[3])
        else:
            if indent < 2:
                self._indents = []
            self._open = (start, end, "paragraph", 0)
        return index + 1

    def _depth(self, indent: int) -> int:
        while self._indents and indent < self._indents[-1]:
            self._indents.pop()
        if not self._indents or indent > self._indents[-1] + 1:
            self._indents.append(indent)
        return len(self._indents) - 1

    def _fenced(self, index: int, mark: str) -> int:
        self._close()
        start = self.lines[index][0]
        closing = re.compile(rf" {{0,12}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*$")
        last = index + 1
        while last < len(self.lines) and not closing.match(self._line(last)):
            last += 1
        last = min(last, len(self.lines) - 1)
        self._add(start, self.lines[last][1], "code")
        return last + 1

    def _indented(self, index: int) -> int:
        start = self.lines[index][0]
        last = index
        while last + 1 < len(self.lines) and self._line(last + 1).startswith(("    ", "\t")):
            last += 1
        self._add(start, self.lines[last][1], "code")
        return last + 1

    def _table(self, index: int) -> int:
        self._add(*self.lines[index], "header")
        row = index + 2  # the delimiter row belongs to no block
        while row < len(self.lines) and self._line(row).strip() and "|" in self._line(row):
            self._add(*self.lines[row], "row")
            row += 1
        return row
