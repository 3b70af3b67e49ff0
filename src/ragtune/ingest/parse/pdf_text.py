"""Writes the stacks and tables of a PDF as text, one anchor with its box for each line."""

from __future__ import annotations

import itertools
import re

from ragtune.ingest.parse.base import Builder
from ragtune.ingest.parse.pdf_layout import Stack, Table
from ragtune.ingest.parse.pdf_lines import Fragment
from ragtune.ingest.parse.tables import guess_header, render_row, sane_header
from ragtune.types import Anchor, BlockKind

_ITEM = re.compile(
    r"(?:[•·▪◦‣■●○□➢✓\uf0b7\uf0a7]|[-–—*](?=\s)|\(?\d{1,3}[.)](?=\s)|"
    r"\(?[A-Za-z][.)](?=\s)|\((?:[ivx]{1,4}|\d{1,2})\)(?=\s))\s*"
)
_BULLET = re.compile(r"[•·▪◦‣■●○□➢✓\uf0b7\uf0a7–—*]\s*")
_LEADER = re.compile(r"(?:\.\s?){4,}\s*\d+$")  # a line of a table of contents
_SENTENCE_END = (".", "!", "?", ":", ";", "”", '"', ")")
_MAX_HEADING = 160


class PdfWriter:
    """Turns content into blocks. Holds back the last paragraph: it may go on over a page's end."""

    def __init__(self, out: Builder, body: float, bold_share: float, leading: float) -> None:
        self.out = out
        self._leading = leading
        self.body = body
        self.heading_sizes: list[float] = []
        self._bold_tells = bold_share < 0.3  # where most is bold, bold is no sign of a heading
        self._held: list[Fragment] = []
        self._held_kind: BlockKind = "paragraph"
        self._item_left: list[float] = []
        self._table: tuple[int, list[str]] | None = None  # columns and header of the table before

    # -- headings

    def is_large_heading(self, lines: list[Fragment]) -> bool:
        """Whether the lines are set larger than the body, as a heading is."""
        length = sum(len(f.text) for f in lines)
        return (
            len(lines) <= 4
            and 2 <= length <= _MAX_HEADING
            and all(f.size >= 1.12 * self.body for f in lines)
            and any(c.isalpha() for f in lines for c in f.text)
            and abs(lines[0].size - lines[-1].size) < 1
        )

    def _heading_level(self, lines: list[Fragment]) -> int:
        if self.is_large_heading(lines):
            size = round(lines[0].size * 2) / 2
            rank = self.heading_sizes.index(size) if size in self.heading_sizes else 0
            return min(6, rank + 1)
        text = " ".join(f.text for f in lines)
        if (
            self._bold_tells
            and len(lines) <= 2
            and 2 <= len(text) <= 110
            and all(f.bold and f.size >= 0.95 * self.body for f in lines)
            and text[-1] not in ".,;"
            and any(c.isalpha() for c in text)
        ):
            return min(6, len(self.heading_sizes) + 1)
        return 0

    # -- content

    def write(self, item: Stack | Table) -> None:
        """Adds a stack or a table."""
        if isinstance(item, Table):
            self._write_table(item)
            return
        for lines in self.paragraphs(item.lines):
            self._write_paragraph(lines)

    def paragraphs(self, lines: list[Fragment]) -> list[list[Fragment]]:
        """Cuts a stack where a new paragraph, item or heading starts."""
        groups: list[list[Fragment]] = [[lines[0]]]
        right = max(f.right for f in lines)
        for above, line in itertools.pairwise(lines):
            group = groups[-1]
            starts = (
                self._starts_item(group, line, right)
                or above.base - line.base > 1.17 * self._leading * above.size
                or abs(line.size - above.size) > 0.08 * above.size
                or (self._bold_tells and line.bold != above.bold and self._clear(group, line))
                or bool(_LEADER.search(above.text))
                or (
                    above.right < right - 0.25 * (right - above.left)
                    and above.text.endswith(_SENTENCE_END)
                )
                or (
                    line.left > group[-1].left + 0.8 * line.size
                    and len(group) > 1
                    and above.text.endswith(_SENTENCE_END)
                    and not _ITEM.match(group[0].text)
                )
            )
            if starts and not above.hyphen:
                groups.append([line])
            else:
                group.append(line)
        return groups

    @staticmethod
    def _starts_item(group: list[Fragment], line: Fragment, right: float) -> bool:
        """Whether `line` begins a list item: '80. Units' may also be a sentence's end wrapped."""
        if not _ITEM.match(line.text):
            return False
        above = group[-1]
        if _BULLET.match(line.text) and line.text[0] not in "-–—*":
            return True
        return (
            bool(_ITEM.match(group[0].text))
            or above.text.endswith(_SENTENCE_END)
            or above.right < right - 0.15 * (right - above.left)
        )

    def _clear(self, group: list[Fragment], line: Fragment) -> bool:
        """Whether a change of weight ends a heading (and is not a bold line inside a text)."""
        return (group[0].bold and len(group) <= 2) or (
            line.bold and group[-1].text.endswith(_SENTENCE_END)
        )

    def _write_paragraph(self, lines: list[Fragment]) -> None:
        level = self._heading_level(lines)
        item = not level and (
            bool(_ITEM.match(lines[0].text)) or bool(_LEADER.search(lines[-1].text))
        )
        if self._held and not level and not item and self._goes_on(lines):
            self._held += lines
            return
        self.flush()
        self._table = None
        if level:
            self._emit(lines, "heading", level)
            self._item_left = []
            return
        self._held = list(lines)
        self._held_kind = "item" if item else "paragraph"

    def _goes_on(self, lines: list[Fragment]) -> bool:
        """Whether `lines` continue the held paragraph over a column's or page's end."""
        last, first = self._held[-1], lines[0]
        jumped = first.page != last.page or first.base > last.base
        if last.hyphen:
            return True
        return (
            (jumped or last.base - first.base < 2.1 * last.size)
            and abs(first.size - last.size) < 0.5
            and first.bold == last.bold
            and not last.text.endswith((".", "!", "?", ":"))
            and first.text[0].islower()
        )

    def flush(self) -> None:
        """Writes what is held back."""
        if not self._held:
            return
        lines, self._held = self._held, []
        level = 0
        if self._held_kind == "item":
            left = lines[0].left
            self._item_left = [x for x in self._item_left if x < left - 4]
            level = min(5, len(self._item_left))
            self._item_left.append(left)
        else:
            self._item_left = []
        self._emit(lines, self._held_kind, level)

    def _emit(self, lines: list[Fragment], kind: BlockKind, level: int) -> None:
        text, spans = join(lines)
        if kind == "item" and (match := _BULLET.match(text)):
            shift = 2 - match.end()
            text = "- " + text[match.end() :]
            spans = [(max(0, s + shift) if s else 0, e + shift, f) for s, e, f in spans]
        self._add(text, spans, kind, level)

    def _add(
        self, text: str, spans: list[tuple[int, int, Fragment]], kind: BlockKind, level: int
    ) -> None:
        shown = text.strip()
        block = self.out.add_raw(shown, kind, level)
        if block is None:
            return
        shift = len(text) - len(text.lstrip())
        for start, end, line in spans:
            start, end = max(0, start - shift), min(len(shown), end - shift)
            if start < end:
                self.out.anchors.append(
                    Anchor(block.start + start, block.start + end, page=line.page, box=line.box)
                )

    def _write_table(self, table: Table) -> None:
        cells = [[join(cell) if cell else ("", []) for cell in row] for row in table.rows]
        rows = [[text for text, _ in row] for row in cells]
        self.flush()
        if len(rows) == 1 and self._table is None:
            self._write_row(cells[0], None, "paragraph")
            return
        header: list[str] | None = None
        bold = [all(f.bold for cell in row for f in cell) for row in table.rows]
        first = len(rows) > 1 and (
            (bold[0] and not bold[1] and any(len(t) > 1 for t in rows[0])) or guess_header(rows)
        )
        begin = 0
        if self._table and self._table[0] == len(rows[0]):
            header = self._table[1]  # the table goes on over a page's end
            if rows[0] == header:
                begin, first = 1, False
        if first:
            self._write_row(cells[0], None, "header")
            header = rows[0] if sane_header(rows[0]) else None
            begin = 1
        for row in cells[begin:]:
            self._write_row(row, header, "row")
        self._table = (len(rows[0]), header) if header else None

    def _write_row(
        self,
        cells: list[tuple[str, list[tuple[int, int, Fragment]]]],
        header: list[str] | None,
        kind: BlockKind,
    ) -> None:
        text = render_row([t for t, _ in cells], header)
        spans: list[tuple[int, int, Fragment]] = []
        at = 0
        for column, (cell, parts) in enumerate(cells):
            if not cell:
                continue
            prefix = len(header[column]) + 2 if header and header[column] and text != cell else 0
            at = text.find(cell, at + prefix)
            if at < 0:
                break
            spans += [(at + s, at + e, f) for s, e, f in parts]
            at += len(cell)
        self._add(text, spans, kind, 0)


def join(lines: list[Fragment]) -> tuple[str, list[tuple[int, int, Fragment]]]:
    """The lines as one text, and where each stands in it. Hyphens at line ends are resolved."""
    parts: list[str] = []
    spans: list[tuple[int, int, Fragment]] = []
    length = 0
    for index, line in enumerate(lines):
        if index:
            above = lines[index - 1]
            glue = " "
            if above.hyphen:
                glue = "" if line.text[:1].islower() and above.text[-1:].isalpha() else "-"
            elif above.text[-1:] in "-‐" and len(above.text) > 1 and above.text[-2].isalnum():
                glue = ""
            parts.append(glue)
            length += len(glue)
        parts.append(line.text)
        spans.append((length, length + len(line.text), line))
        length += len(line.text)
    return "".join(parts), spans
