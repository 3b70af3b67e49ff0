"""Spreadsheets (XLSX, XLSM, XLSB, XLS, ODS) through calamine, and CSV/TSV.

Values are written as a person sees them in the sheet: calamine gives the bare values, the number
formats of XLSX files are looked up beside it.
"""

from __future__ import annotations

import csv
import datetime
import io
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ragtune.errors import DocumentError
from ragtune.ingest.parse import sheet_hidden
from ragtune.ingest.parse.base import Builder, Parsed, one_line
from ragtune.ingest.parse.container import open_zip
from ragtune.ingest.parse.decode import decode
from ragtune.ingest.parse.grid import write_grid
from ragtune.ingest.parse.sheet_formats import Formats, show_number
from ragtune.ingest.parse.sheet_hidden import Unseen
from ragtune.ingest.parse.word import core_title

_GENERIC_NAME = re.compile(r"(?:sheet|tabelle|feuil|hoja|foglio|blad|table)\s*\d*", re.I)
_MAX_CELLS = 5_000_000
_SEPARATORS = (",", ";", "\t", "|")


def read_sheets(data: bytes, name: str, kind: str) -> Parsed:
    """Every sheet of a workbook under a heading with its name, without what it hides."""
    import python_calamine as calamine

    title = ""
    formats = Formats()
    unseen: dict[str, Unseen] = {}
    if kind == "xlsx":
        with open_zip(data) as archive:
            title = core_title(archive)
            formats = Formats.of(archive)
            unseen = sheet_hidden.of_xlsx(archive, formats.sheets)
    elif kind == "ods":
        with open_zip(data) as archive:
            unseen = sheet_hidden.of_ods(archive)
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    except calamine.PasswordError:
        raise DocumentError("encrypted: save it without a password") from None
    except calamine.CalamineError as error:
        raise DocumentError(f"damaged spreadsheet: {one_line(str(error))[:120]}") from None
    out = Builder()
    hidden = {
        s.name for s in book.sheets_metadata if s.visible != calamine.SheetVisibleEnum.Visible
    }
    for sheet_name in book.sheet_names:
        if sheet_name in hidden:
            out.left_out.add("hidden sheet")
            continue
        try:
            sheet = book.get_sheet_by_name(sheet_name)
        except calamine.CalamineError:
            continue  # a chart or macro sheet has no cells
        if sheet.start is None:
            continue
        if sheet.height * sheet.width > _MAX_CELLS:
            raise DocumentError(f"sheet {sheet_name} has more than {_MAX_CELLS:,} cells")
        several = len(book.sheet_names) > 1
        _write_sheet(out, sheet, sheet_name, several, formats, unseen.get(sheet_name, Unseen()))
    return out.finish(name, kind, title)


def _write_sheet(
    out: Builder, sheet: Any, name: str, several: bool, formats: Formats, unseen: Unseen
) -> None:
    top, left = sheet.start
    shown = formats.of_sheet(name)
    rows = [
        [show(cell, shown.get((top + r, left + c))) for c, cell in enumerate(row)]
        for r, row in enumerate(sheet.to_python(skip_empty_area=True))
    ]
    for (r0, c0), (r1, c1) in sheet.merged_cell_ranges or ():
        r0, r1, c0, c1 = r0 - top, r1 - top, c0 - left, c1 - left
        if 0 <= r0 < len(rows) and 0 <= c0 < len(rows[r0]) and c0 == c1:
            for r in range(r0 + 1, min(r1 + 1, len(rows))):  # a merged cell counts for each row
                rows[r][c0] = rows[r][c0] or rows[r0][c0]
    rows, at_rows, at_columns = _seen(out, rows, top, left, name, unseen)
    if not any(any(row) for row in rows):
        return
    if several or not _GENERIC_NAME.fullmatch(name.strip()):
        out.add(name, "heading", 1, {"sheet": name})

    def where(row: int, first: int, last: int) -> Mapping[str, Any]:
        begin = f"{column_name(at_columns[first])}{at_rows[row] + 1}"
        end = f"{column_name(at_columns[last])}{at_rows[row] + 1}"
        return {"sheet": name, "cells": begin if begin == end else f"{begin}:{end}"}

    write_grid(out, rows, where, lenient=False)


def _seen(
    out: Builder, rows: list[list[str]], top: int, left: int, name: str, unseen: Unseen
) -> tuple[list[list[str]], range | list[int], range | list[int]]:
    """The cells that are seen, and where their rows and columns stand in the sheet."""
    width = max(map(len, rows), default=0)
    at_rows, at_columns = range(top, top + len(rows)), range(left, left + width)
    for (r, c), why in unseen.cells.items():
        if r in at_rows and c - left in range(len(rows[r - top])) and rows[r - top][c - left]:
            rows[r - top][c - left] = ""
            out.left_out.add(f"{why} in sheet {one_line(name)[:40]}")
    if not unseen.rows and not unseen.columns:
        return rows, at_rows, at_columns
    kept_rows = [r for r in at_rows if r not in unseen.rows]
    kept_columns = [c for c in at_columns if c not in unseen.columns]
    for what, lost in (
        ("row", [rows[r - top] for r in at_rows if r in unseen.rows]),
        ("column", [[row[c - left] for row in rows if c - left < len(row)]
                    for c in at_columns if c in unseen.columns]),
    ):  # fmt: skip
        if count := sum(map(any, lost)):
            out.left_out.add(f"hidden {what} in sheet {one_line(name)[:40]}", count)
    kept = [
        [rows[r - top][c - left] for c in kept_columns if c - left < len(rows[r - top])]
        for r in kept_rows
    ]
    return kept, kept_rows, kept_columns


def column_name(index: int) -> str:
    """0 -> 'A', 26 -> 'AA'."""
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(65 + rest) + name
    return name


def show(cell: Any, code: str | None = None) -> str:
    """A cell's value as people write it; `code` is the Excel number format when known."""
    if cell is None or cell == "":
        return ""
    if isinstance(cell, str):
        return one_line(cell)
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int | float):
        return show_number(float(cell), code)
    if isinstance(cell, datetime.datetime):
        if cell.time() == datetime.time.min:
            return cell.date().isoformat()
        return cell.isoformat(" ", "minutes" if cell.second == 0 else "seconds")
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    if isinstance(cell, datetime.time):
        return cell.isoformat("minutes" if cell.second == 0 else "seconds")
    return str(cell)


def read_csv(data: bytes, name: str, kind: str) -> Parsed:
    """Rows of a CSV or TSV file; the anchor of a row is its line in the file."""
    text = decode(data)
    separator = _separator(text, kind)
    if text[:4].lower() == "sep=":
        separator = text[4:5]
        text = "\n" + text.partition("\n")[2]  # keeps the line numbers true
    rows: list[list[str]] = []
    lines: list[int] = []
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    line = 1
    try:
        for row in reader:
            rows.append([one_line(cell) for cell in row])
            lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DocumentError(f"malformed CSV near line {line}: {error}") from None
    out = Builder()
    write_grid(out, rows, lambda row, first, last: {"key": f"line {lines[row]}"}, lenient=True)
    return out.finish(name, kind)


def _separator(text: str, kind: str) -> str:
    """The separator that splits the first lines most evenly."""
    if kind == "tsv":
        return "\t"
    lines = [line for line in text[:20_000].split("\n")[:20] if line.strip()]
    best, score = ",", 0.0
    for separator in _SEPARATORS:
        counts = Counter(line.count(separator) for line in lines)
        counts.pop(0, None)
        if counts:
            number, times = counts.most_common(1)[0]
            if (value := times * min(number, 5)) > score:
                best, score = separator, value
    return best
