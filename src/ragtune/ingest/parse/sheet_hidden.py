"""Which rows, columns and cells of a sheet are not seen: hidden, of no size, white on white.

calamine gives values whatever the sheet shows, so this is looked up beside it: in the XML of XLSX
and ODS files. XLS and XLSB files say which sheets are hidden, and no more.
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ragtune.errors import DocumentError
from ragtune.ingest.parse.container import Archive, parse_xml
from ragtune.ingest.parse.hidden import TINY, WHITE, Colour, alike, hex_colour

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_ROW = re.compile(rb'<(?:\w+:)?row\b([^>]*\b(?:hidden="(?:1|true)"|ht="0(?:\.\d+)?")[^>]*)>')
_ANY_ROW = re.compile(rb"<(?:\w+:)?row\b")
_COLUMN = re.compile(
    rb'<(?:\w+:)?col\b([^>]*\b(?:hidden="(?:1|true)"|width="0(?:\.[01]\d*)?")[^>]*)>'
)
# As every writer spells a tag. Where one is spelt otherwise (', spaces, character references), the
# sheet is written anew before it is looked through.
_ODD = {
    name: re.compile(rb"<(?:\w+:)?" + name + rb'\b(?!(?:\s+[\w:.-]+="[^"&<>]*+")*+\s*/?>)')
    for name in (b"row", b"col", b"c")
}
_PLACE = re.compile(rb"([A-Z]{1,3})(\d{1,7})")
_ATTRIBUTE = re.compile(rb'(\w+)="([^"]*)"')
_RANGE = re.compile(r"([A-Z]{1,3})(\d+):([A-Z]{1,3})(\d+)")
_NOTHING = re.compile(r"[;\s]+")  # the number format that shows nothing
_INDEXED = {0: (0, 0, 0), 1: WHITE, 8: (0, 0, 0), 9: WHITE}
_MAX_COLUMN = 16_384


@dataclass(frozen=True, slots=True)
class Unseen:
    """What of a sheet is not seen; rows and columns from 0. Cells come with the reason."""

    rows: set[int] = field(default_factory=set)
    columns: set[int] = field(default_factory=set)
    cells: dict[tuple[int, int], str] = field(default_factory=dict)


def of_xlsx(archive: Archive, sheets: Mapping[str, tuple[str, bytes]]) -> dict[str, Unseen]:
    """By sheet name; `sheets` are the path and XML of each."""
    styles = _hiding_styles(archive)
    found = {}
    for name, (path, data) in sheets.items():
        unseen = Unseen()
        data = _plain(data, (b"row", b"col", b"c") if styles else (b"row", b"col"))
        starts: list[int] = []  # of all rows, where one does not say its number
        for match in _ROW.finditer(data):
            number = dict(_ATTRIBUTE.findall(match[1])).get(b"r", b"")
            if not number.isdigit() and not starts:
                starts = [row.start() for row in _ANY_ROW.finditer(data)]
            at = int(number) - 1 if number.isdigit() else bisect_left(starts, match.start())
            unseen.rows.add(at)
        for match in _COLUMN.finditer(data):
            column = dict(_ATTRIBUTE.findall(match[1]))
            low, high = column.get(b"min", b""), column.get(b"max", b"")
            first = int(low) if low.isdigit() else 1
            last = int(high) if high.isdigit() else _MAX_COLUMN
            unseen.columns.update(range(first - 1, min(last, _MAX_COLUMN)))
        heads = _table_heads(archive, path) if styles and b"<tablePart" in data else []
        for match in _cells_of(styles).finditer(data) if styles else ():
            cell = dict(_ATTRIBUTE.findall(match[1]))
            style, place = cell.get(b"s", b""), _PLACE.fullmatch(cell.get(b"r", b""))
            why = styles.get(int(style)) if style.isdigit() else None
            if place and why:
                r, c = int(place[2]) - 1, column_index(place[1].decode())
                if not any(r == at and first <= c <= last for at, first, last in heads):
                    unseen.cells[r, c] = why
        found[name] = unseen
    return found


def _plain(data: bytes, names: Iterable[bytes]) -> bytes:
    """The sheet, with its tags of these names spelt as the patterns here want them."""
    from lxml import etree

    if any(_ODD[name].search(data) for name in names):
        return bytes(etree.tostring(parse_xml(data), encoding="utf-8"))
    return data


def of_ods(archive: Archive) -> dict[str, Unseen]:
    """By sheet name."""
    found = {}
    for table in parse_xml(archive.read("content.xml"), "OpenDocument file").iter(_TABLE + "table"):
        unseen = found[table.get(_TABLE + "name", "")] = Unseen()
        for tag, repeated, hidden in (
            ("table-row", "number-rows-repeated", unseen.rows),
            ("table-column", "number-columns-repeated", unseen.columns),
        ):
            at = 0
            for element in table.iter(_TABLE + tag):
                times = element.get(_TABLE + repeated, "1")
                count = int(times) if times.isdigit() else 1
                if element.get(_TABLE + "visibility") in ("collapse", "filter"):
                    hidden.update(range(at, at + min(count, 1_100_000)))
                at += count
    return found


def column_index(letters: str) -> int:
    """'A' -> 0, 'AA' -> 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _cells_of(styles: Iterable[int]) -> re.Pattern[bytes]:
    """Finds the cells of these styles."""
    numbers = "|".join(map(str, styles)).encode()
    return re.compile(rb'<(?:\w+:)?c\b([^>]*\ss="(?:' + numbers + rb')"[^>]*)>')


def _hiding_styles(archive: Archive) -> dict[int, str]:
    """Cell styles whose text is not seen, with why."""
    data = archive.get("xl/styles.xml")
    if not data:
        return {}
    try:
        root = parse_xml(data)
    except DocumentError:
        return {}
    fonts = [_font(font) for font in root.findall(f"{_MAIN}fonts/{_MAIN}font")]
    fills = [_fill(fill) for fill in root.findall(f"{_MAIN}fills/{_MAIN}fill")]
    own = {f.get("numFmtId"): f.get("formatCode", "") for f in root.iter(_MAIN + "numFmt")}
    found = {}
    for index, style in enumerate(root.findall(f"{_MAIN}cellXfs/{_MAIN}xf")):
        colour, size = _at(fonts, style.get("fontId"), (None, 11.0))
        behind = _at(fills, style.get("fillId"), WHITE)
        if _NOTHING.fullmatch(own.get(style.get("numFmtId"), "")):
            found[index] = "text of a format that shows nothing"
        elif size < TINY:
            found[index] = "tiny text"
        elif colour is not None and behind is not None and alike(colour, behind):
            found[index] = "white text" if colour == WHITE else "text in its background's colour"
    return found


def _at(values: list[Any], index: str | None, default: Any) -> Any:
    return values[int(index)] if index and index.isdigit() and int(index) < len(values) else default


def _font(font: Any) -> tuple[Colour | None, float]:
    size = font.find(_MAIN + "sz")
    try:
        points = float(size.get("val", "11")) if size is not None else 11.0
    except ValueError:
        points = 11.0
    return _colour(font.find(_MAIN + "color")), points


def _fill(fill: Any) -> Colour | None:
    """The colour of a fill; white for none, None where it cannot be told."""
    pattern = fill.find(_MAIN + "patternFill")
    if pattern is None:
        return None
    if pattern.get("patternType", "none") == "none":
        return WHITE
    return (
        _colour(pattern.find(_MAIN + "fgColor")) if pattern.get("patternType") == "solid" else None
    )


def _colour(element: Any) -> Colour | None:
    """None where it cannot be told: automatic, or shades of a theme."""
    if element is None:
        return None
    if (rgb := element.get("rgb")) is not None:
        return hex_colour(rgb)
    if element.get("theme") == "0" and not element.get("tint", "0").strip("-+0."):
        return WHITE
    index = element.get("indexed", "")
    return _INDEXED.get(int(index)) if index.isdigit() else None


def _table_heads(archive: Archive, path: str) -> list[tuple[int, int, int]]:
    """Row, first and last column of the heads of tables, which the table's style shades."""
    folder, _, file = path.rpartition("/")
    links = archive.get(f"{folder}/_rels/{file}.rels")
    found = []
    for link in parse_xml(links) if links else ():
        if not link.get("Type", "").endswith("/table"):
            continue
        target = posixpath.normpath(posixpath.join("/" + folder, link.get("Target", "")))
        data = archive.get(target.lstrip("/"))
        match = _RANGE.fullmatch(parse_xml(data).get("ref", "")) if data else None
        if match:
            found.append((int(match[2]) - 1, column_index(match[1]), column_index(match[3])))
    return found
