"""Tables as text: rows that can be read without the rest of the table.

With a sane header every row says what its cells are ('Item: Filter | Price: 12.00'), so that a row
that is found alone still answers; without one, cells are separated by ' | '.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ragtune.ingest.parse.base import Builder, one_line

MAX_COLUMNS = 12
MAX_HEADER_CELL = 80
_NUMBER = re.compile(r"[-+(]?\s*[$€£¥]?\s*[\d.,'\s]*\d[\d.,'\s]*\s*[)%€$£]*")
_YEAR = re.compile(r"(19|20)\d\d")

Row = Sequence[str]
RowAnchor = Callable[[int], Mapping[str, Any] | None]


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, an amount or a percentage."""
    return len(cell) <= 40 and bool(_NUMBER.fullmatch(cell.strip()))


def sane_header(cells: Row) -> bool:
    """Whether `cells` can name the columns: distinct, short, textual, at most 12.

    The first cell may be empty (a corner); years count as textual.
    """
    if not 2 <= len(cells) <= MAX_COLUMNS or not all(cells[1:]):
        return False
    if len({c.casefold() for c in cells}) < len(cells):
        return False
    return all(
        len(c) <= MAX_HEADER_CELL and (not is_number(c) or bool(_YEAR.fullmatch(c)))
        for c in cells
        if c
    ) and not all(is_number(c) for c in cells if c)


def guess_header(rows: Sequence[Row]) -> bool:
    """Whether the first row of an unmarked table is its header."""
    if len(rows) < 2 or not sane_header(rows[0]):
        return False
    head, body = rows[0], rows[1:]
    if any(c.rstrip().endswith(":") for c in head) or any(len(c.split()) > 8 for c in head):
        return False
    if len(head) > 2:
        return True
    # Two columns may be 'name | value' pairs, where a wrong header garbles every row: only figures
    # below words are a sign, and in the second column only when they are nearly everywhere.
    if any(c.isdigit() for cell in head for c in cell) or any(len(c.split()) > 4 for c in head):
        return False
    numbers = sum(is_number(row[1]) for row in body)
    figures = [sum(any(c.isdigit() for c in row[i]) for row in body) for i in (0, 1)]
    return (
        numbers > 0.5 * len(body)
        or figures[0] >= 0.6 * len(body)
        or (figures[1] >= 0.8 * len(body) and len(body) >= 4)
    )


def add_table(
    out: Builder,
    rows: Sequence[Row],
    anchor: RowAnchor | None = None,
    header: bool | None = None,
    repeated: bool = False,
) -> None:
    """Adds a table; `anchor(i)` gives the source of row i.

    `header` says whether the source marks the first row as header; None lets the content decide.
    A header that is only `repeated` from above names the cells but is not written again. Empty rows
    and columns are left out.
    """
    cleaned = [[one_line(cell) for cell in row] for row in rows]
    width = max((len(row) for row in cleaned), default=0)
    cleaned = [row + [""] * (width - len(row)) for row in cleaned]
    used = [c for c in range(width) if any(row[c] for row in cleaned)]
    numbered = [(i, [row[c] for c in used]) for i, row in enumerate(cleaned) if any(row)]
    if not numbered:
        return
    table = [row for _, row in numbered]
    first = header if header is not None else guess_header(table)
    sane = first and sane_header(table[0]) and len(table) > 1

    def where(index: int) -> Mapping[str, Any] | None:
        return anchor(numbered[index][0]) if anchor else None

    if first and not repeated:
        out.add_raw(" | ".join(c for c in table[0] if c), "header", 0, where(0))
    for index in range(1 if first else 0, len(table)):
        out.add_raw(render_row(table[index], table[0] if sane else None), "row", 0, where(index))


def render_row(cells: Row, header: Row | None) -> str:
    """One line for a row; empty cells are left out."""
    if header is None:
        return " | ".join(c for c in cells if c)
    if cells[0] and not any(cells[1:]) and len(cells) > 2:
        return cells[0]  # a heading inside the table
    named = []
    for name, cell in zip(header, cells, strict=False):
        if cell:
            named.append(f"{name}: {cell}" if name else cell)
    return " | ".join(named)
