"""DOCX straight from its XML: headings by outline level, numbering counted, tables, notes.

By hand with lxml instead of python-docx: it is several times faster, and text boxes, content
controls, tracked changes and automatic numbers are read, which python-docx leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Builder, Parsed, clean, one_line
from ragtune.ingest.parse.container import Archive, open_zip, parse_xml
from ragtune.ingest.parse.tables import add_table
from ragtune.ingest.parse.word_hidden import Unseen, hidden_row
from ragtune.ingest.parse.word_styles import Numbering, Styles, W, value

_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_TRANSPARENT = frozenset(
    W + n
    for n in (
        "ins",
        "moveTo",
        "hyperlink",
        "smartTag",
        "fldSimple",
        "sdtContent",
        "sdt",
        "customXml",
        "bdo",
        "dir",
        "r",
        "object",
        "ruby",
        "rubyBase",
    )
) | {_MC + "AlternateContent", _MC + "Choice"}
_NOTES = {W + "footnoteReference": "footnotes", W + "endnoteReference": "endnotes"}
_CORE = "{http://purl.org/dc/elements/1.1/}title"


def read_docx(data: bytes, name: str) -> Parsed:
    """Text of a Word file in document order."""
    with open_zip(data) as archive:
        return _Reader(archive).read(name)


def core_title(archive: Archive) -> str:
    """The title in an Office file's properties, or '' (also for what templates leave there)."""
    data = archive.get("docProps/core.xml")
    if not data:
        return ""
    try:
        found = parse_xml(data).find(_CORE)
    except DocumentError:
        return ""
    title = (found.text or "").strip() if found is not None else ""
    generic = ("powerpoint presentation", "word document", "document", "untitled", "title")
    return "" if title.casefold() in generic else title


class _Reader:
    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        mains = [n for n in archive.names if re.fullmatch(r"word/document\d*\.xml", n)]
        main = min(mains, key=len, default="word/document.xml")
        self.body = parse_xml(archive.read(main), "Word file")
        styles = self._part("word/styles.xml")
        self.styles = Styles(styles)
        self.numbering = Numbering(self._part("word/numbering.xml"), self.styles)
        self.unseen = Unseen(styles, self.styles, self.body, self._part("word/settings.xml"))
        self._noted: set[Any] = set()
        self.out = Builder()
        self._pending: list[str] = []  # notes of the paragraph being read
        self._boxes: list[Any] = []  # text boxes of the paragraph being read
        self._fake_headings = False
        self.notes: dict[str, dict[str, str]] = {}
        self.notes = {kind: self._notes(kind) for kind in ("footnotes", "endnotes")}

    def _part(self, name: str) -> Any | None:
        data = self.archive.get(name)
        if not data:
            return None
        try:
            return parse_xml(data)
        except DocumentError:
            return None  # damaged styles or numbers cost structure, not text

    def _notes(self, kind: str) -> dict[str, str]:
        root = self._part(f"word/{kind}.xml")
        notes = {}
        for note in root if root is not None else ():
            if note.get(W + "type") in (None, "normal"):
                paragraphs = (self._text(p) for p in note.iter(W + "p"))
                notes[note.get(W + "id", "")] = one_line(" ".join(paragraphs))
        return notes

    def read(self, name: str) -> Parsed:
        root = self.body.find(W + "body")
        if root is None:
            raise DocumentError("damaged Word file: it has no body")
        self._fake_headings = not any(self.styles.heading(p) for p in root.iter(W + "p"))
        self._blocks(root)
        return self.out.finish(name, "docx", core_title(self.archive))

    def _blocks(self, parent: Any) -> None:
        for element in _block_elements(parent):
            if element.tag == W + "p":
                self._paragraph(element)
            else:
                self._table(element)

    def _paragraph(self, p: Any) -> None:
        self._pending, self._boxes = [], []
        text = clean(self._text(p))
        notes, boxes = self._pending, self._boxes
        label, depth = self.numbering.label(p)
        if text:
            level = self.styles.heading(p)
            if not level and self._fake_headings and not label and _looks_like_heading(p, text):
                level = 2
            if level:
                text = f"{label} {one_line(text)}" if label and label != "-" else one_line(text)
                self.out.add_raw(text, "heading", level)
            elif label:
                self.out.add_raw(f"{label} {text}", "item", depth)
            elif self.styles.is_list(p):
                self.out.add_raw(f"- {text}", "item", depth)
            else:
                self.out.add_raw(text)
        for note in notes:
            self.out.add(note)
        for box in boxes:
            self._blocks(box)

    def _table(self, table: Any) -> None:
        rows: list[list[str]] = []
        above: list[str] = []
        marked = False
        for row in _rows(table):
            if hidden_row(row):
                self._left_out(row, "hidden table row")
                continue
            properties = row.find(W + "trPr")
            if not rows and properties is not None:
                marked = properties.find(W + "tblHeader") is not None
            cells: list[str] = []
            for cell in _cells(row):
                span = value(cell, "tcPr", "gridSpan")
                across = min(50, int(span)) if span and span.isdigit() else 1
                merge = cell.find(f"{W}tcPr/{W}vMerge")
                if merge is not None and merge.get(W + "val") in (None, "continue"):
                    text = above[len(cells)] if len(cells) < len(above) else ""
                else:
                    text = self._cell_text(cell)
                cells += [text] + [""] * (across - 1)
            rows.append(cells)
            above = cells
        filled = max((sum(map(bool, row)) for row in rows), default=0)
        if filled <= 1 or (len(rows) == 1 and max(map(len, rows[0])) > 200):
            for row in _rows(table):  # a frame around text, not a table
                for cell in () if hidden_row(row) else _cells(row):
                    self._blocks(cell)
            return
        add_table(self.out, rows, None, True if marked else self._bold_first(table, rows))

    def _bold_first(self, table: Any, rows: list[list[str]]) -> bool | None:
        """True when only the first row is set in bold; otherwise the content decides."""
        bold = [
            all(_is_bold(p) for p in row.iter(W + "p") if self._text(p).strip())
            for row, _ in zip(_rows(table), range(3), strict=False)
        ]
        return True if len(rows) > 1 and len(bold) > 1 and bold[0] and not bold[1] else None

    def _cell_text(self, cell: Any) -> str:
        parts = []
        for p in cell.iter(W + "p"):
            label, _ = self.numbering.label(p)
            text = one_line(self._text(p))
            if text:
                parts.append(f"{label} {text}" if label else text)
        return " ".join(parts)

    def _left_out(self, element: Any, why: str) -> None:
        """Notes, once, that what is written in `element` is not read."""
        says = any((t.text or "").strip() for t in element.iter(W + "t"))
        if says and element not in self._noted:
            self._noted.add(element)
            self.out.left_out.add(why)

    def _text(self, element: Any) -> str:
        """The visible text of a paragraph; collects the notes and text boxes in it."""
        parts: list[str] = []
        self._collect(element, parts)
        return "".join(parts)

    def _collect(self, element: Any, parts: list[str]) -> None:
        for child in element:
            tag = child.tag
            if tag == W + "t":
                parts.append(child.text or "")
            elif tag in (W + "tab", W + "ptab"):
                parts.append("\t")
            elif tag in (W + "br", W + "cr"):
                parts.append("\n")
            elif tag == W + "noBreakHyphen":
                parts.append("-")
            elif tag in _TRANSPARENT:
                if tag == W + "r" and (why := self.unseen.reason(child)):
                    self._left_out(child, why)
                    if why != "hidden text":  # a picture in it is seen
                        self._collect(child, [])
                    continue
                self._collect(child, parts)
            elif tag in (_MATH + "oMath", _MATH + "oMathPara"):
                parts.append(" " + "".join(t.text or "" for t in child.iter(_MATH + "t")) + " ")
            elif tag in _NOTES:
                if note := self.notes.get(_NOTES[tag], {}).get(child.get(W + "id", "")):
                    self._pending.append(note)
            elif tag in (W + "drawing", W + "pict"):
                self._boxes += child.iter(W + "txbxContent")


def _block_elements(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, through content controls and tracked insertions."""
    for child in parent:
        if child.tag in (W + "p", W + "tbl"):
            yield child
        elif child.tag in (W + "sdt", W + "sdtContent", W + "ins", W + "customXml", W + "moveTo"):
            yield from _block_elements(child)


def _rows(table: Any) -> Iterator[Any]:
    for child in table:
        if child.tag == W + "tr":
            yield child
        elif child.tag in (W + "sdt", W + "sdtContent", W + "ins", W + "customXml"):
            yield from _rows(child)


def _cells(row: Any) -> Iterator[Any]:
    for child in row:
        if child.tag == W + "tc":
            yield child
        elif child.tag in (W + "sdt", W + "sdtContent", W + "customXml"):
            yield from _cells(child)


def _is_bold(p: Any) -> bool:
    runs = [r for r in p.iter(W + "r") if any((t.text or "").strip() for t in r.iter(W + "t"))]
    for run in runs:
        bold = run.find(f"{W}rPr/{W}b")
        if bold is None or bold.get(W + "val") in ("0", "false"):
            return False
    return bool(runs)


def _looks_like_heading(p: Any, text: str) -> bool:
    """A short line all in bold, in a document that has no heading styles at all."""
    return (
        len(text) <= 80
        and "\n" not in text
        and text[-1] not in ".,;"
        and len(text.split()) <= 12
        and _is_bold(p)
    )
