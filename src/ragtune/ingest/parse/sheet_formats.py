"""Number formats of XLSX cells: 12.5 in a cell formatted '0.00 €' is read as '12.50 €'."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

from ragtune.errors import DocumentError
from ragtune.ingest.parse.container import Archive, parse_xml

_BUILT_IN = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    37: "#,##0",
    38: "#,##0",
    39: "#,##0.00",
    40: "#,##0.00",
}
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_REL = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CELL = re.compile(rb'<c\b[^>]*?\br="([A-Z]{1,3})(\d{1,7})"[^>]*?\bs="(\d+)"')
_LITERAL = re.compile(r'"([^"]*)"|\\(.)')
_MAX_SHEET = 256 << 20  # above this, nothing is looked up in a sheet
_MAX_FORMATTED = 64 << 20  # above this, bare values must do


def show_number(number: float, code: str | None) -> str:
    """A number by its Excel format code: decimals, percentages, currency; else the bare value."""
    if code:
        section = code.split(";")[0]
        literal = "".join(a or b for a, b in _LITERAL.findall(section))
        currency = re.search(r"\[\$([^\]-]*)", section)
        bare = _LITERAL.sub("", re.sub(r"\[[^\]]*\]", "", section))
        if re.search(r"[0#]", bare) and not re.search(r"[ymdhsEe/?]", bare):
            places = re.search(r"\.([0#]+)", bare)
            percent = "%" in bare
            digits = places[1].count("0") if places else 0
            value = Decimal(repr(number)) * (100 if percent else 1)
            rounded = value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
            if places and "#" in places[1]:  # optional decimals
                rounded = max(rounded, value, key=lambda v: len(str(v)))
            text = f"{rounded:,f}" if "," in bare.split(".")[0] else f"{rounded:f}"
            sign = (currency[1] if currency else literal).strip()
            sign = sign or next((c for c in bare if c in "€$£¥"), "")
            if percent:
                return text + "%"
            if sign:
                at_front = section.find(sign) < min(
                    (i for i in (section.find("0"), section.find("#")) if i >= 0), default=0
                )
                return (
                    f"{sign}{text}"
                    if at_front and len(sign) == 1
                    else (f"{sign} {text}" if at_front else f"{text} {sign}")
                )
            return text
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return repr(round(number, 10))


class Formats:
    """Format codes by sheet name and cell (row, column from 0)."""

    def __init__(self) -> None:
        self._codes: dict[int, str] = {}  # style index -> code
        self.sheets: dict[str, tuple[str, bytes]] = {}  # name -> path in the file, XML

    @classmethod
    def of(cls, archive: Archive) -> Formats:
        """The formats of a workbook; what is missing or damaged is left out."""
        made = cls()
        try:
            made._load(archive)
        except (DocumentError, AttributeError, ValueError):
            made._codes = {}
        return made

    def _load(self, archive: Archive) -> None:
        book, links = (archive.get(n) for n in ("xl/workbook.xml", "xl/_rels/workbook.xml.rels"))
        if not (book and links):
            return
        targets = {r.get("Id"): r.get("Target", "") for r in parse_xml(links)}
        for sheet in parse_xml(book).iter(_MAIN + "sheet"):
            target = targets.get(sheet.get(_REL), "").lstrip("/")
            path = target if target.startswith("xl/") else f"xl/{target}"
            if path in archive.names:
                self.sheets[sheet.get("name", "")] = (path, archive.read(path, _MAX_SHEET))
        styles = archive.get("xl/styles.xml")
        if not styles:
            return
        root = parse_xml(styles)
        own = {int(f.get("numFmtId")): f.get("formatCode", "") for f in root.iter(_MAIN + "numFmt")}
        formats = root.find(_MAIN + "cellXfs")
        for index, style in enumerate(formats if formats is not None else ()):
            number = int(style.get("numFmtId") or 0)
            if code := own.get(number) or _BUILT_IN.get(number):
                self._codes[index] = code

    def of_sheet(self, name: str) -> dict[tuple[int, int], str]:
        """Codes of the sheet's cells that have one."""
        codes: dict[tuple[int, int], str] = {}
        data = self.sheets.get(name, ("", b""))[1]
        if not self._codes or len(data) > _MAX_FORMATTED:
            return codes
        for letters, row, style in _CELL.findall(data):
            if code := self._codes.get(int(style)):
                column = 0
                for letter in letters:
                    column = column * 26 + letter - 64
                codes[int(row) - 1, column - 1] = code
        return codes
