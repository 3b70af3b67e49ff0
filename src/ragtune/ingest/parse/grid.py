"""A sheet of cells as text: finds its tables, their titles above and notes below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragtune.ingest.parse.base import Builder
from ragtune.ingest.parse.tables import add_table, guess_header, is_number, sane_header

Cells = Sequence[Sequence[str]]
Where = Callable[[int, int, int], Mapping[str, Any]]  # row, first and last column, from 0


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a sheet; both ends included."""

    top: int
    bottom: int
    left: int
    right: int


def write_grid(out: Builder, grid: Cells, where: Where, lenient: bool) -> None:
    """Adds all that `grid` holds; `lenient` takes any sane first row for a header (CSV)."""
    header: tuple[Region, list[str]] | None = None
    for region in regions(grid):
        header = _write(out, grid, region, where, lenient, header)


def regions(grid: Cells) -> list[Region]:
    """The parts of a sheet that empty rows and empty columns separate, in reading order."""
    width = max((len(row) for row in grid), default=0)
    found: list[Region] = []
    top = None
    for row in range(len(grid) + 1):
        empty = row == len(grid) or not any(grid[row])
        if empty and top is not None:
            found += _columns(grid, Region(top, row - 1, 0, width - 1))
            top = None
        elif not empty and top is None:
            top = row
    return found


def _columns(grid: Cells, region: Region) -> list[Region]:
    """Side-by-side tables: split at empty columns where both sides are tables of their own."""
    used = [
        any(c < len(grid[r]) and grid[r][c] for r in range(region.top, region.bottom + 1))
        for c in range(region.right + 1)
    ]
    spans: list[tuple[int, int]] = []
    for column, filled in enumerate(used):
        if filled:
            if spans and spans[-1][1] == column - 1:
                spans[-1] = (spans[-1][0], column)
            else:
                spans.append((column, column))
    tall = region.bottom > region.top
    if len(spans) > 1 and tall and all(right > left for left, right in spans):
        return [Region(region.top, region.bottom, left, right) for left, right in spans]
    return [Region(region.top, region.bottom, spans[0][0], spans[-1][1])] if spans else []


def _write(
    out: Builder,
    grid: Cells,
    region: Region,
    where: Where,
    lenient: bool,
    above: tuple[Region, list[str]] | None,
) -> tuple[Region, list[str]] | None:
    """Adds one region; returns the header that goes on below it, if any."""
    rows = [
        [grid[r][c] if c < len(grid[r]) else "" for c in range(region.left, region.right + 1)]
        for r in range(region.top, region.bottom + 1)
    ]
    first, last = 0, len(rows) - 1
    wide = region.right > region.left

    def anchor(index: int) -> Mapping[str, Any]:
        filled = [c for c, cell in enumerate(rows[index]) if cell]
        return where(region.top + index, region.left + filled[0], region.left + filled[-1])

    if not wide:  # one column: lines of text
        for index, row in enumerate(rows):
            out.add(row[0], "row" if len(rows) > 1 else "paragraph", 0, anchor(index))
        return above
    while first < last and _single(rows[first]):  # titles
        text = next(c for c in rows[first] if c)
        is_title = len(text) <= 80 and not is_number(text) and text[-1] not in ".,;"
        out.add(text, "heading" if is_title else "paragraph", 2 if is_title else 0, anchor(first))
        first += 1
    notes = last
    while notes > first and _single(rows[notes]) and len(next(c for c in rows[notes] if c)) > 30:
        notes -= 1
    table = rows[first : notes + 1]
    filled = [row for row in table if any(row)]
    used = [c for c in range(len(table[0])) if any(row[c] for row in filled)]
    narrow = [[row[c] for c in used] for row in filled]
    header = len(narrow) > 1 and sane_header(narrow[0]) if lenient else guess_header(narrow)
    carried = None
    if not header and above and above[0].left == region.left and above[0].right >= region.right:
        carried = above[1]  # an empty row inside the table above
    start = first
    if carried:
        add_table(out, [carried, *table], lambda i: anchor(start + i - 1), True, repeated=True)
    else:
        add_table(out, table, lambda i: anchor(start + i), header)
    for index in range(notes + 1, last + 1):
        out.add(next(c for c in rows[index] if c), "paragraph", 0, anchor(index))
    if header:
        return region, table[0]
    return above if carried else None


def _single(row: Sequence[str]) -> bool:
    return sum(map(bool, row)) == 1
