"""OpenDocument text (ODT) and presentations (ODP), from content.xml."""

from __future__ import annotations

from typing import Any

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Builder, Parsed, clean, one_line
from ragtune.ingest.parse.container import open_zip, parse_xml
from ragtune.ingest.parse.tables import add_table

_NS = "{urn:oasis:names:tc:opendocument:xmlns:"
_OFFICE, _TEXT, _TABLE = _NS + "office:1.0}", _NS + "text:1.0}", _NS + "table:1.0}"
_DRAW, _STYLE, _PRESENTATION = (
    _NS + "drawing:1.0}",
    _NS + "style:1.0}",
    _NS + "presentation:1.0}",
)
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_SKIP = frozenset(
    (
        _TEXT + "tracked-changes",
        _TEXT + "sequence-decls",
        _OFFICE + "forms",
        _OFFICE + "annotation",
        _TEXT + "table-of-content-source",
        _OFFICE + "scripts",
    )
)
_MAX_REPEAT = 100


def read_odf(data: bytes, name: str, kind: str) -> Parsed:
    """Text of an OpenDocument file. Raises DocumentError: damaged or encrypted."""
    with open_zip(data) as archive:
        manifest = archive.get("META-INF/manifest.xml") or b""
        if b"encryption-data" in manifest:
            raise DocumentError("encrypted: save it without a password")
        root = parse_xml(archive.read("content.xml"), "OpenDocument file")
        meta = archive.get("meta.xml")
        title = ""
        if meta and (found := next(parse_xml(meta).iter(_TITLE), None)) is not None:
            title = found.text or ""
    body = root.find(_OFFICE + "body")
    if body is None:
        raise DocumentError("damaged OpenDocument file: it has no body")
    reader = _Reader(root)
    for part in body:
        reader.blocks(part)
    return reader.out.finish(name, kind, title)


class _Reader:
    def __init__(self, root: Any) -> None:
        self.out = Builder()
        self._anchor: dict[str, int] | None = None
        self._numbered = {  # list styles whose first level counts
            style.get(_STYLE + "name")
            for style in root.iter(_TEXT + "list-style")
            if style.find(_TEXT + "list-level-style-number") is not None
        }
        self._titles = {  # automatic styles made from the Title style
            style.get(_STYLE + "name")
            for style in root.iter(_STYLE + "style")
            if style.get(_STYLE + "parent-style-name") == "Title"
        } | {"Title"}

    def blocks(self, parent: Any) -> None:
        """Adds what stands in `parent`, in order."""
        slide = 0
        for child in parent:
            tag = child.tag
            if tag in _SKIP or not isinstance(tag, str):
                continue
            if tag == _TEXT + "h":
                level = child.get(_TEXT + "outline-level") or "1"
                level_number = min(6, int(level)) if level.isdigit() else 1
                self.out.add_raw(one_line(_text(child)), "heading", level_number, self._anchor)
            elif tag == _TEXT + "p":
                self._paragraph(child)
            elif tag == _TEXT + "list":
                self._list(child, 0, child.get(_TEXT + "style-name"))
            elif tag == _TABLE + "table":
                self._table(child)
            elif tag == _DRAW + "page":
                slide += 1
                self._anchor = {"slide": slide}
                self.blocks(child)
            elif tag == _DRAW + "frame" and child.get(_PRESENTATION + "class") == "title":
                self.out.add_raw(one_line(_text(child)), "heading", 1, self._anchor)
            else:  # sections, frames, text boxes, indexes
                self.blocks(child)

    def _paragraph(self, p: Any) -> None:
        text = clean(_text(p))
        if p.get(_TEXT + "style-name") in self._titles:
            self.out.add_raw(one_line(text), "heading", 1, self._anchor)
        else:
            self.out.add_raw(text, "paragraph", 0, self._anchor)
        for box in p.iter(_DRAW + "text-box"):
            self.blocks(box)
        for note in p.iter(_TEXT + "note-body"):
            self.out.add(_text(note), "paragraph", 0, self._anchor)

    def _list(self, element: Any, depth: int, style: str | None) -> None:
        number = 0
        for item in element:
            if item.tag not in (_TEXT + "list-item", _TEXT + "list-header"):
                continue
            number += 1
            mark = f"{number}. " if style in self._numbered else "- "
            for child in item:
                if child.tag == _TEXT + "list":
                    self._list(child, depth + 1, child.get(_TEXT + "style-name") or style)
                elif child.tag in (_TEXT + "p", _TEXT + "h"):
                    text = clean(_text(child))
                    if child.tag == _TEXT + "h":
                        self.out.add_raw(one_line(text), "heading", min(6, depth + 1), self._anchor)
                    elif text:
                        self.out.add_raw(mark + text, "item", min(5, depth), self._anchor)
                        mark = ""

    def _table(self, table: Any) -> None:
        rows: list[list[str]] = []
        marked = table.find(_TABLE + "table-header-rows") is not None
        for row in table.iter(_TABLE + "table-row"):
            cells: list[str] = []
            for cell in row:
                if cell.tag not in (_TABLE + "table-cell", _TABLE + "covered-table-cell"):
                    continue
                repeat = cell.get(_TABLE + "number-columns-repeated") or "1"
                times = min(_MAX_REPEAT, int(repeat)) if repeat.isdigit() else 1
                text = one_line(" ".join(_text(p) for p in cell.iter(_TEXT + "p", _TEXT + "h")))
                cells += [text] * times
            rows.append(cells)
        anchor = self._anchor
        add_table(self.out, rows, (lambda _: anchor) if anchor else None, True if marked else None)


def _text(element: Any) -> str:
    """The text of a paragraph without its notes, comments and text boxes."""
    parts: list[str] = [element.text or ""]
    for child in element:
        tag = child.tag
        if tag == _TEXT + "s":
            parts.append(" ")
        elif tag == _TEXT + "tab":
            parts.append("\t")
        elif tag == _TEXT + "line-break":
            parts.append("\n")
        elif tag in (_TEXT + "note", _OFFICE + "annotation", _DRAW + "text-box"):
            if element.tag == _DRAW + "frame":
                parts.append(_text(child))
        elif tag in _SKIP:
            pass
        else:
            parts.append(_text(child))
            if tag in (_TEXT + "p", _TEXT + "h"):
                parts.append(" ")
        parts.append(child.tail or "")
    return "".join(parts)
