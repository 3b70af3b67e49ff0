"""From lines of a page to what was written: columns, table rows and paragraphs.

A `Stack` is a run of lines under each other: a paragraph, or a cell of a table. Stacks beside each
other at the same height are a table row when they are low, columns of the page when they are tall.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ragtune.ingest.parse.pdf_lines import GAP, Fragment

_MARK_ONLY = re.compile(
    r"(?:[•·▪◦‣■●○–—*-]|\(?(?:\d{1,2}(?:\.\d{1,2}){0,4}|[A-Za-z]|[ivx]{1,4})[.)]?)$"
)
_MAX_CELL_LINES = 10
_MARGIN = 0.09  # of the page's height: where running headers and footers stand


@dataclass(slots=True)
class Stack:
    """Lines under each other, and their extent."""

    lines: list[Fragment]
    left: float = 0.0
    right: float = 0.0

    def __post_init__(self) -> None:
        self.left = min(f.left for f in self.lines)
        self.right = max(f.right for f in self.lines)

    def add(self, line: Fragment) -> None:
        """Puts a line under the others."""
        self.lines.append(line)
        self.left, self.right = min(self.left, line.left), max(self.right, line.right)

    @property
    def top(self) -> float:
        """Upper edge."""
        return max(f.top for f in self.lines)

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return min(f.bottom for f in self.lines)


@dataclass(slots=True)
class Table:
    """Rows of cells in columns; a cell is a list of lines."""

    rows: list[list[list[Fragment]]]
    page: int = 0


@dataclass(slots=True)
class Page:
    """A page's lines as read."""

    number: int
    height: float
    lines: list[list[Fragment]] = field(default_factory=list)


def typical_leading(pages: Sequence[Page]) -> float:
    """The usual distance of baselines, in font sizes (1.2 in most print, 2 when double-spaced)."""
    ratios: list[float] = []
    for page in pages[:60]:
        for above, below in zip(page.lines, page.lines[1:], strict=False):
            a, b = above[0], below[0]
            step = a.base - b.base
            if abs(a.size - b.size) < 0.5 and b.left < a.right and 0.9 < step / a.size < 2.6:
                ratios.append(step / a.size)
    # not the median: in a document full of short items and headings most distances are wider
    return sorted(ratios)[len(ratios) * 3 // 10] if len(ratios) >= 5 else 1.2


def drop_running(pages: Sequence[Page]) -> None:
    """Takes headers, footers and page numbers that repeat on most pages out of `pages`."""
    counts: dict[tuple[str, int], set[int]] = {}
    where: list[tuple[Page, int, tuple[str, int]]] = []
    for page in pages:
        for index, line in enumerate(page.lines):
            middle = (line[0].top + line[0].bottom) / 2
            low, high = middle < _MARGIN * page.height, middle > (1 - _MARGIN) * page.height
            if not (low or high):
                continue
            text = re.sub(r"\d+|\b[ivxlc]+\b", "#", " ".join(f.text for f in line))
            key = (text, round(line[0].base / 3))
            counts.setdefault(key, set()).add(page.number)
            where.append((page, index, key))
    enough = max(2, min(5, round(0.4 * len(pages))))
    dropped: dict[int, set[int]] = {}
    for page, index, key in where:
        bare = re.fullmatch(
            r"(?:page|seite|p\.|[-–—|(])?\s*#\s*(?:(?:of|von|/)\s*#)?\s*[-–—|)]?", key[0], re.I
        )
        if len(counts[key]) >= enough or (bare and len(pages) > 1):
            dropped.setdefault(page.number, set()).add(index)
    for page in pages:
        if gone := dropped.get(page.number):
            page.lines = [line for i, line in enumerate(page.lines) if i not in gone]


def _join_lines(lines: Iterable[list[Fragment]]) -> list[list[Fragment]]:
    """Puts together what stands on one baseline but was written in several pieces."""
    joined: list[list[Fragment]] = []
    for line in lines:
        line = list(line)
        if joined and _same_line(joined[-1][-1], line[0]):
            last, first = joined[-1][-1], line[0]
            gap = first.left - last.right
            if gap < GAP * max(last.size, first.size) or (
                _MARK_ONLY.match(last.text) and gap < 5 * first.size and len(joined[-1]) == 1
            ):
                joined[-1][-1] = _merge(last, first, gap)
                line = line[1:]
            joined[-1] += line
        else:
            joined.append(line)
    return joined


def _same_line(a: Fragment, b: Fragment) -> bool:
    overlap = min(a.top, b.top) - max(a.bottom, b.bottom)
    low = min(a.top - a.bottom, b.top - b.bottom)
    return overlap > 0.5 * low and b.left >= a.right - 0.3 * a.size and not a.hyphen


def _merge(a: Fragment, b: Fragment, gap: float) -> Fragment:
    space = " " if gap > 0.12 * max(a.size, b.size) and not a.text.endswith(" ") else ""
    main = a if len(a.text) >= len(b.text) else b
    return Fragment(
        a.text + space + b.text,
        a.page,
        min(a.left, b.left),
        min(a.bottom, b.bottom),
        max(a.right, b.right),
        max(a.top, b.top),
        main.base,
        main.size,
        main.bold if _MARK_ONLY.match(a.text) else a.bold and b.bold,
        b.hyphen,
    )


def arrange(page: Page, leading: float) -> list[Stack | Table]:
    """The page's content in reading order."""
    rows = _rows(_join_lines(page.lines), max(1.45, 1.15 * leading))
    content: list[Stack | Table] = []
    run: list[list[Stack]] = []
    for row in [*rows, []]:
        if len(row) > 1 and min(len(s.lines) for s in row) <= _MAX_CELL_LINES:
            run.append(row)
            continue
        if run:
            content += _table(run, page.number)
            run = []
        content += row
    return content


def _rows(lines: list[list[Fragment]], step: float) -> list[list[Stack]]:
    """Stacks that stand beside each other, from top to bottom in content order."""
    rows: list[list[Stack]] = []
    for line in lines:
        if len(line) > 1:
            if rows and len(rows[-1]) > 1 and _wraps(rows[-1], line, step):
                for fragment in line:
                    _over(rows[-1], fragment).add(fragment)
            elif rows and _beside(rows[-1], line[0]):
                rows[-1] += [Stack([fragment]) for fragment in line]
            elif (
                rows
                and len(rows[-1]) > 1
                and line[0].left > rows[-1][-2].right
                and line[1].left > rows[-1][-1].right
                and _follows(rows[-1][-1], line[0], step)
            ):  # the last line of a cell, with further cells set on its baseline
                rows[-1][-1].add(line[0])
                rows[-1] += [Stack([fragment]) for fragment in line[1:]]
            else:
                rows.append([Stack([fragment]) for fragment in line])
            continue
        fragment = line[0]
        if not rows:
            rows.append([Stack([fragment])])
            continue
        row = rows[-1]
        last = row[-1]
        if len(row) == 1 and _follows(last, fragment, step):
            last.add(fragment)
        elif len(row) > 1 and _follows(last, fragment, step) and fragment.left > row[-2].right:
            last.add(fragment)  # a further line of the last cell
        elif len(row) > 1 and _wraps(row, line, step):
            _over(row, fragment).add(fragment)
        elif _beside(row, fragment):
            row.append(Stack([fragment]))
        else:
            rows.append([Stack([fragment])])
    return rows


def _follows(stack: Stack, fragment: Fragment, step: float) -> bool:
    last = stack.lines[-1]
    down = last.base - fragment.base
    return (
        0.3 * last.size < down <= step * max(last.size, fragment.size)
        and fragment.left < stack.right
        and fragment.right > stack.left
    )


def _wraps(row: list[Stack], line: list[Fragment], step: float) -> bool:
    """Whether `line` goes on in cells of `row`, none of them the first: rows start there."""
    first = line[0]
    if first.left < row[1].left - first.size:
        return False
    low = min(s.lines[-1].base for s in row)
    if not 0 < low - first.base <= min(1.4, step) * first.size:
        return False
    return all(any(abs(f.left - s.left) < 0.6 * f.size for s in row[1:]) for f in line)


def _over(row: list[Stack], fragment: Fragment) -> Stack:
    return min(row, key=lambda s: abs(s.left - fragment.left))


def _beside(row: list[Stack], fragment: Fragment) -> bool:
    """Whether `fragment` starts a further cell of `row`: right of it, at its height."""
    if fragment.left < row[-1].right - 0.3 * fragment.size:
        return False
    top, bottom = max(s.top for s in row), min(s.bottom for s in row)
    if any(len(s.lines) > _MAX_CELL_LINES for s in row):
        return False
    height = fragment.top - fragment.bottom
    if min(top, fragment.top) - max(bottom, fragment.bottom) > 0.5 * height:
        return True
    # a cell set to the bottom of its row begins above the cells before it
    return 0 < fragment.bottom - top < 6 * fragment.size


def _table(rows: list[list[Stack]], page: int) -> list[Stack | Table]:
    """A table of rows beside each other, or the columns of a page that was written across."""
    if len(rows) == 1:
        return [Table([[stack.lines for stack in rows[0]]], page)]
    columns = _columns(rows)
    placed: list[list[list[Fragment]]] = []
    for row in rows:
        cells: list[list[Fragment]] = [[] for _ in columns]
        for stack in row:
            best = max(
                range(len(columns)),
                key=lambda i: min(columns[i][1], stack.right) - max(columns[i][0], stack.left),
            )
            cells[best] += stack.lines
        placed.append(cells)
    if len(columns) == 2 and _is_prose(placed):
        return [Stack([f for row in placed for f in row[side]]) for side in (0, 1)]
    return [Table(placed, page)]


def _columns(rows: list[list[Stack]]) -> list[tuple[float, float]]:
    """Horizontal extents of the columns: of the fullest rows, grown where they overlap."""
    most = max(len(row) for row in rows)
    columns = [(s.left, s.right) for s in next(row for row in rows if len(row) == most)]
    for row in rows:
        if len(row) == most:
            grown = [
                (min(c[0], s.left), max(c[1], s.right)) for c, s in zip(columns, row, strict=True)
            ]
            if all(a[1] <= b[0] for a, b in itertools.pairwise(grown)):
                columns = grown
    return columns


def _is_prose(rows: list[list[list[Fragment]]]) -> bool:
    full = [row for row in rows if row[0] and row[1]]
    if len(full) < 6:
        return False
    words = [len(f.text.split()) for row in full for cell in row for f in cell]
    if sum(words) / len(words) < 4:
        return False
    for side in (0, 1):
        widths = [row[side][0].right - row[side][0].left for row in full]
        if sum(w > 0.75 * max(widths) for w in widths) < 0.5 * len(widths):
            return False
    return True
