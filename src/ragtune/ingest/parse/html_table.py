"""Rows of an HTML table, and whether a table holds data or only arranges a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborNode

from ragtune.ingest.parse.base import one_line

_SKIP = frozenset(("script", "style", "template", "svg", "noscript"))
_BREAKING = frozenset("br p div li tr td th ul ol h1 h2 h3 h4 h5 h6".split())
_GROUPS = frozenset(("thead", "tbody", "tfoot"))
_HEADING = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_BULLET = re.compile(r"[•·▪◦‣■●○–—*-]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.)]")
_LONG = 600
_MAX_SPAN = 50


@dataclass(frozen=True, slots=True)
class HtmlTable:
    """A data table; `header` is True when the page marks the first row as such."""

    rows: list[list[str]]
    header: bool | None
    caption: str


def read_rows(table: LexborNode) -> HtmlTable | None:
    """The table's rows, or None when it only arranges other content on the page."""
    if table.attributes.get("role") in ("presentation", "none"):
        return None
    rows: list[list[str]] = []
    marked: list[bool] = []  # whether all cells of the row are <th>
    in_head: list[bool] = []
    caption = ""
    hanging: dict[int, tuple[int, str]] = {}  # column -> (rows left, text) of a rowspan
    for row, group in _rows(table):
        if row.tag == "caption":
            caption = cell_text(row)[0]
            continue
        cells: list[str] = []
        kinds = set()
        for cell in _children(row):
            if cell.tag not in ("td", "th"):
                continue
            text, nested = cell_text(cell)
            if nested or len(text) > _LONG:
                return None
            _fill(cells, hanging)
            if text:
                kinds.add(cell.tag)
            attributes = cell.attributes
            across, down = _span(attributes.get("colspan")), _span(attributes.get("rowspan"))
            for column in range(len(cells), len(cells) + across):
                if down > 1:
                    hanging[column] = (down - 1, text)
            cells += [text] + [""] * (across - 1)
        _fill(cells, hanging)
        rows.append(cells)
        marked.append(kinds == {"th"})
        in_head.append(group == "thead")
    rows = _join_signs(rows)
    if not _holds_data(rows):
        return None
    first = next((i for i, row in enumerate(rows) if any(row)), None)
    header = True if first is not None and (marked[first] or in_head[first]) else None
    return HtmlTable(rows, header, caption)


def _rows(table: LexborNode) -> Iterator[tuple[LexborNode, str]]:
    for child in _children(table):
        if child.tag in _GROUPS:
            for row in _children(child):
                if row.tag == "tr":
                    yield row, child.tag or ""
        elif child.tag in ("tr", "caption"):
            yield child, ""


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child = node.first_child
    while child is not None:
        yield child
        child = child.next


def _span(value: str | None) -> int:
    return min(_MAX_SPAN, max(1, int(value))) if value and value.isdigit() else 1


def _fill(cells: list[str], hanging: dict[int, tuple[int, str]]) -> None:
    """Repeats the text of cells that reach down from rows above."""
    while (column := len(cells)) in hanging:
        left, text = hanging.pop(column)
        if left > 1:
            hanging[column] = (left - 1, text)
        cells.append(text)


def cell_text(cell: LexborNode) -> tuple[str, bool]:
    """The cell's text on one line, and whether it holds a table or a heading."""
    from ragtune.ingest.parse.html import events

    parts: list[str] = []
    for node, tag, entering in events(cell, _SKIP):
        if tag == "-text":
            if entering:
                parts.append(node.text_content or "")
        elif tag in _BREAKING:
            parts.append(" ")
        elif tag == "table" or tag in _HEADING:
            return "", True
        if tag in _HEADING:
            return "", True
    return one_line("".join(parts)), False


def _join_signs(rows: list[list[str]]) -> list[list[str]]:
    """Financial tables keep '$', ')' and '%' in columns of their own: joins them to the number."""
    joined = []
    for row in rows:
        cells = list(row)
        for i, text in enumerate(cells):
            if text in ("$", "€", "£", "(") and i + 1 < len(cells):
                following = next((j for j in range(i + 1, len(cells)) if cells[j]), None)
                if following is not None and following <= i + 2:
                    cells[following] = text + cells[following]
                    cells[i] = ""
            elif text in (")", "%", ")%") and i:
                before = next((j for j in range(i - 1, -1, -1) if cells[j]), None)
                if before is not None and before >= i - 2:
                    cells[before] += text
                    cells[i] = ""
        joined.append(cells)
    return joined


def _holds_data(rows: list[list[str]]) -> bool:
    full = [[c for c in row if c] for row in rows]
    full = [row for row in full if row]
    if not full:
        return True  # an empty table: nothing to arrange either
    wide = [row for row in full if len(row) > 1]
    if len(wide) < 2 or len(wide) < 0.3 * len(full):
        return False
    # lists made of tables: a bullet or number and a text
    if all(len(row) == 2 and _BULLET.fullmatch(row[0]) for row in wide):
        return False
    cells = [c for row in full for c in row]
    return sum(map(len, cells)) / len(cells) < 200
