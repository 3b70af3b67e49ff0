"""OpenDocument text (ODT) and presentations (ODP), from content.xml."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Builder, Parsed, clean, one_line
from ragtune.ingest.parse.container import open_zip, parse_xml
from ragtune.ingest.parse.hidden import TINY, WHITE, Colour, alike, hex_colour
from ragtune.ingest.parse.tables import add_table

_NS = "{urn:oasis:names:tc:opendocument:xmlns:"
_FO = _NS + "xsl-fo-compatible:1.0}"
_POINTS = re.compile(r"\d+(?:\.\d+)?pt")
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
        styles = archive.get("styles.xml")
        named = parse_xml(styles, "OpenDocument file") if styles else None
        meta = archive.get("meta.xml")
        title = ""
        if meta and (found := next(parse_xml(meta).iter(_TITLE), None)) is not None:
            title = found.text or ""
    body = root.find(_OFFICE + "body")
    if body is None:
        raise DocumentError("damaged OpenDocument file: it has no body")
    reader = _Reader(root, named)
    for part in body:
        reader.blocks(part)
    return reader.out.finish(name, kind, title)


@dataclass(frozen=True, slots=True)
class _Look:
    """What a text inherits from its styles."""

    hidden: bool = False
    points: float = 12.0
    colour: Colour | None = None
    behind: Colour | None = WHITE

    @property
    def why(self) -> str:
        """Why text that looks so is not seen, "" when it is."""
        if self.hidden:
            return "hidden text"
        if self.points < TINY:
            return "tiny text"
        if self.colour is not None and self.behind is not None and alike(self.colour, self.behind):
            return "white text" if self.colour == WHITE else "text in the colour of its background"
        return ""


class _Looks:
    """Styles by name, as far as they hide text."""

    def __init__(self, roots: list[Any]) -> None:
        self._styles = {
            style.get(_STYLE + "name", ""): style
            for root in roots
            for style in root.iter(_STYLE + "style")
        }

    def of(self, element: Any, outer: _Look | None) -> _Look:
        """The look of the text in an element."""
        look = outer or _Look(behind=self._behind(element))
        name = element.get(_TEXT + "style-name")
        for style in reversed(self._chain(name)) if name else ():
            text = style.find(_STYLE + "text-properties")
            paragraph = style.find(_STYLE + "paragraph-properties")
            for properties in (paragraph, text):
                shade = properties.get(_FO + "background-color") if properties is not None else None
                if shade and shade != "transparent":
                    look = replace(look, behind=hex_colour(shade))
            if text is None:
                continue
            size, colour = text.get(_FO + "font-size", ""), text.get(_FO + "color")
            look = replace(
                look,
                hidden=text.get(_TEXT + "display", "none" if look.hidden else "") == "none",
                points=float(size[:-2]) if _POINTS.fullmatch(size) else look.points,
                colour=hex_colour(colour) if colour else look.colour,
            )
        return look

    def hides(self, element: Any) -> str:
        """Why an element that holds others is not seen, "" when it is."""
        if element.tag == _TEXT + "section" and element.get(_TEXT + "display") == "none":
            return "hidden section"
        if element.tag == _DRAW + "page":
            for style in self._chain(element.get(_DRAW + "style-name")):
                properties = style.find(_STYLE + "drawing-page-properties")
                if properties is not None and properties.get(_PRESENTATION + "visibility"):
                    hidden = properties.get(_PRESENTATION + "visibility") == "hidden"
                    return "hidden slide" if hidden else ""
        return ""

    def _chain(self, name: str | None) -> list[Any]:
        found: list[Any] = []
        while name in self._styles and self._styles[name] not in found:
            found.append(self._styles[name])
            name = found[-1].get(_STYLE + "parent-style-name")
        return found

    def _behind(self, element: Any) -> Colour | None:
        """The background of the table cell around; None inside a drawing: any picture may be."""
        for outer in element.iterancestors():
            if outer.tag == _TABLE + "table-cell":
                for style in self._chain(outer.get(_TABLE + "style-name")):
                    cell = style.find(_STYLE + "table-cell-properties")
                    shade = cell.get(_FO + "background-color") if cell is not None else None
                    if shade and shade != "transparent":
                        return hex_colour(shade)
            elif outer.tag in (_DRAW + "text-box", _DRAW + "page", _DRAW + "custom-shape"):
                return None
        return WHITE


class _Reader:
    def __init__(self, root: Any, named: Any | None = None) -> None:
        self.out = Builder()
        self._looks = _Looks([r for r in (named, root) if r is not None])
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
            if why := self._looks.hides(child):
                slide += tag == _DRAW + "page"
                if any(t.strip() for t in child.itertext()):
                    self.out.left_out.add(why)
                continue
            if tag == _TEXT + "h":
                level = child.get(_TEXT + "outline-level") or "1"
                level_number = min(6, int(level)) if level.isdigit() else 1
                self.out.add_raw(one_line(self._text(child)), "heading", level_number, self._anchor)
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
                self.out.add_raw(one_line(self._text(child)), "heading", 1, self._anchor)
            else:  # sections, frames, text boxes, indexes
                self.blocks(child)

    def _paragraph(self, p: Any) -> None:
        text = clean(self._text(p))
        if p.get(_TEXT + "style-name") in self._titles:
            self.out.add_raw(one_line(text), "heading", 1, self._anchor)
        else:
            self.out.add_raw(text, "paragraph", 0, self._anchor)
        for box in p.iter(_DRAW + "text-box"):
            self.blocks(box)
        for note in p.iter(_TEXT + "note-body"):
            self.out.add(self._text(note), "paragraph", 0, self._anchor)

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
                    text = clean(self._text(child))
                    if child.tag == _TEXT + "h":
                        self.out.add_raw(one_line(text), "heading", min(6, depth + 1), self._anchor)
                    elif text:
                        self.out.add_raw(mark + text, "item", min(5, depth), self._anchor)
                        mark = ""

    def _table(self, table: Any) -> None:
        rows: list[list[str]] = []
        marked = table.find(_TABLE + "table-header-rows") is not None
        for row in table.iter(_TABLE + "table-row"):
            if row.get(_TABLE + "visibility") in ("collapse", "filter"):
                self.out.left_out.add("hidden table row")
                continue
            cells: list[str] = []
            for cell in row:
                if cell.tag not in (_TABLE + "table-cell", _TABLE + "covered-table-cell"):
                    continue
                repeat = cell.get(_TABLE + "number-columns-repeated") or "1"
                times = min(_MAX_REPEAT, int(repeat)) if repeat.isdigit() else 1
                text = one_line(
                    " ".join(self._text(p) for p in cell.iter(_TEXT + "p", _TEXT + "h"))
                )
                cells += [text] * times
            rows.append(cells)
        anchor = self._anchor
        add_table(self.out, rows, (lambda _: anchor) if anchor else None, True if marked else None)

    def _text(self, element: Any, look: _Look | None = None) -> str:
        """The seen text of a paragraph without its notes, comments and text boxes."""
        look = self._looks.of(element, look)
        parts: list[str] = [self._shown(element.text, look)]
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
                    parts.append(self._text(child, look))
            elif tag in _SKIP or tag == _TEXT + "hidden-paragraph":
                pass
            elif tag == _TEXT + "hidden-text":
                self.out.left_out.add("hidden text")
            else:
                parts.append(self._text(child, look))
                if tag in (_TEXT + "p", _TEXT + "h"):
                    parts.append(" ")
            parts.append(self._shown(child.tail, look))
        return "".join(parts)

    def _shown(self, text: str | None, look: _Look) -> str:
        if text and text.strip() and look.why:
            self.out.left_out.add(look.why)
            return ""
        return text or ""
