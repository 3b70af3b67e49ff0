"""Spreadsheets: what is not shown is not read, and is said; what is shown is read."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest
from openpyxl.styles import Color, Font, PatternFill
from openpyxl.worksheet.table import Table, TableStyleInfo

from hidden import WORD, one, saved


def workbook() -> Any:
    """Prices with a helper column C and a row 4."""
    book = openpyxl.Workbook()
    book.active.title = "Prices"
    for row in (("Article", "Price", "Key", "Unit"), ("Kondor", 12, "k1", "piece"),
                ("Merle", 9, "k2", "box"), ("Fink", 7, "k3", "box")):  # fmt: skip
        book.active.append(row)
    return book


def x_row(book: Any) -> None:
    book.active["A3"] = WORD
    book.active.row_dimensions[3].hidden = True


def x_flat_row(book: Any) -> None:
    book.active["A3"] = WORD
    book.active.row_dimensions[3].height = 0.5


def x_column(book: Any) -> None:
    book.active["C2"] = WORD
    book.active.column_dimensions["C"].hidden = True


def x_narrow_column(book: Any) -> None:
    book.active["C2"] = WORD
    book.active.column_dimensions["C"].width = 0.1


def x_sheet(book: Any) -> None:
    book.create_sheet(f"{WORD} lookups").append([WORD])
    book.worksheets[1].sheet_state = "hidden"


def x_very_hidden(book: Any) -> None:
    x_sheet(book)
    book.worksheets[1].sheet_state = "veryHidden"


def x_white(book: Any) -> None:
    book.active["F9"] = WORD
    book.active["F9"].font = Font(color="FFFFFFFF")


def x_theme_white(book: Any) -> None:
    book.active["F9"] = WORD
    book.active["F9"].font = Font(color=Color(theme=0))


def x_on_its_own_colour(book: Any) -> None:
    book.active["F9"] = WORD
    book.active["F9"].font = Font(color="FF203060")
    book.active["F9"].fill = PatternFill("solid", fgColor="FF203060")


def x_tiny(book: Any) -> None:
    book.active["F9"] = WORD
    book.active["F9"].font = Font(size=1)


def x_no_format(book: Any) -> None:
    book.active["F9"] = WORD
    book.active["F9"].number_format = ";;;"


HIDDEN_IN_SHEETS: dict[Callable[[Any], None], str] = {
    x_row: "hidden row in sheet Prices", x_flat_row: "hidden row in sheet Prices",
    x_column: "hidden column in sheet Prices", x_narrow_column: "hidden column in sheet Prices",
    x_sheet: "hidden sheet", x_very_hidden: "hidden sheet",
    x_white: "white text in sheet Prices", x_theme_white: "white text in sheet Prices",
    x_on_its_own_colour: "text in its background's colour in sheet Prices",
    x_tiny: "tiny text in sheet Prices",
    x_no_format: "text of a format that shows nothing in sheet Prices",
}  # fmt: skip


@pytest.mark.parametrize("hide", HIDDEN_IN_SHEETS, ids=lambda f: f.__name__)
def test_cells_that_are_not_seen(hide: Callable[[Any], None]) -> None:
    book = workbook()
    hide(book)
    found = one(saved(book), "a.xlsx")
    assert WORD not in found.text
    assert "Article: Kondor | Price: 12" in found.text
    assert "Article: Fink | Price: 7" in found.text  # in one table with what is above it
    assert found.left_out == (HIDDEN_IN_SHEETS[hide],)


def test_places_in_a_sheet_with_hidden_rows_and_columns_are_true() -> None:
    book = workbook()
    x_row(book)
    x_column(book)
    found = one(saved(book), "a.xlsx")
    shown = {found.text[a.start : a.end]: a.cells for a in found.map.anchors}
    assert shown["Article: Fink | Price: 7 | Unit: box"] == "A4:D4"
    assert shown["Article: Kondor | Price: 12 | Unit: piece"] == "A2:D2"


def x_seen_dark(book: Any) -> None:
    for cell in book.active[1]:
        cell.font = Font(color="FFFFFFFF", bold=True)
        cell.fill = PatternFill("solid", fgColor="FF203060")


def x_seen_table(book: Any) -> None:
    for cell in book.active[1]:
        cell.font = Font(color="FFFFFFFF", bold=True)
    table = Table(displayName="T", ref="A1:D4")
    table.tableStyleInfo = TableStyleInfo(name="TableStyleMedium9", showRowStripes=True)
    book.active.add_table(table)


def x_seen_grey(book: Any) -> None:
    for cell in book.active[1]:
        cell.font = Font(color="FFAAAAAA", size=6)


def x_empty_hidden(book: Any) -> None:
    book.active.row_dimensions[30].hidden = True
    book.active.column_dimensions["K"].hidden = True


@pytest.mark.parametrize("write", [x_seen_dark, x_seen_table, x_seen_grey, x_empty_hidden])
def test_cells_that_are_seen(write: Callable[[Any], None]) -> None:
    book = workbook()
    write(book)
    found = one(saved(book), "a.xlsx")
    assert "Article: Kondor | Price: 12 | Key: k1 | Unit: piece" in found.text
    assert found.left_out == ()


def test_ods_rows_columns_and_sheets_that_are_hidden() -> None:
    ns = "urn:oasis:names:tc:opendocument:xmlns:"

    def row(*cells: str, extra: str = "") -> str:
        made = "".join(
            f'<table:table-cell office:value-type="string"><text:p>{c}</text:p></table:table-cell>'
            for c in cells
        )
        return f"<table:table-row {extra}>{made}</table:table-row>"

    content = (
        f'<office:document-content xmlns:office="{ns}office:1.0" xmlns:text="{ns}text:1.0" '
        f'xmlns:table="{ns}table:1.0" xmlns:style="{ns}style:1.0"><office:automatic-styles>'
        '<style:style style:name="h" style:family="table">'
        '<style:table-properties table:display="false"/></style:style>'
        "</office:automatic-styles><office:body><office:spreadsheet>"
        '<table:table table:name="Prices"><table:table-column/>'
        '<table:table-column table:visibility="collapse"/><table:table-column/>'
        + row("Article", WORD, "Price") + row("Kondor", WORD, "12")
        + row("Merle", "x", WORD, extra='table:visibility="filter"') + row("Fink", "y", "7")
        + f'</table:table><table:table table:name="Old" table:style-name="h">{row(WORD)}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )  # fmt: skip
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", content)
    found = one(out.getvalue(), "a.ods")
    assert WORD not in found.text
    assert "Article: Fink | Price: 7" in found.text
    assert set(found.left_out) == {
        "hidden sheet", "hidden row in sheet Prices", "hidden column in sheet Prices",
    }  # fmt: skip


@pytest.mark.parametrize(
    "spelt", ["hidden='1'", 'hidden = "1"', 'hidden="&#49;"', 'hidden="1" note="a>b"']
)
def test_xml_may_be_spelt_otherwise(spelt: str) -> None:
    book = workbook()
    x_row(book)
    x_column(book)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(book))) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'hidden="1"', spelt.encode()))
    found = one(made.getvalue(), "prices.xlsx")
    assert WORD not in found.text
    assert "Kondor" in found.text
    assert len(found.left_out) == 2
