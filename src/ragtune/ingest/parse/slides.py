"""PPTX straight from its XML: each slide's title, text, tables and notes in order.

Slides and shapes that are hidden, text beside the slide and tiny text are not read: who looks at
the show, or at a print of it, does not see them. Speaker notes are.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Builder, Parsed, clean, one_line
from ragtune.ingest.parse.container import Archive, open_zip, parse_xml
from ragtune.ingest.parse.hidden import TINY
from ragtune.ingest.parse.tables import add_table
from ragtune.ingest.parse.word import core_title

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_TITLES = ("title", "ctrTitle")
_NOT_CONTENT = ("sldNum", "dt", "ftr", "hdr")


def read_pptx(data: bytes, name: str) -> Parsed:
    """Text of the slides in the order of the show."""
    with open_zip(data) as archive:
        out = Builder()
        size = _size(archive)
        for number, path in enumerate(_slides(archive), 1):
            try:
                _slide(out, archive, path, number, size)
            except DocumentError:
                continue  # a damaged slide costs itself only; no text at all is an error above
        return out.finish(name, "pptx", core_title(archive))


def _links(archive: Archive, path: str) -> dict[str, tuple[str, str]]:
    """Relationships of a part: id -> (kind, path of the target)."""
    folder, _, file = path.rpartition("/")
    data = archive.get(f"{folder}/_rels/{file}.rels")
    if not data:
        return {}
    found = {}
    for link in parse_xml(data):
        target = link.get("Target", "")
        full = posixpath.normpath(posixpath.join("/" + folder, target)).lstrip("/")
        found[link.get("Id", "")] = (link.get("Type", "").rpartition("/")[2], full)
    return found


def _slides(archive: Archive) -> list[str]:
    main = "ppt/presentation.xml"
    links = _links(archive, main)
    root = parse_xml(archive.read(main), "PowerPoint file")
    paths = [links.get(s.get(_R + "id", ""), ("", ""))[1] for s in root.iter(_P + "sldId")]
    found = [path for path in paths if path in archive.names]
    if not found:  # the list is damaged: every slide part, by its number
        loose = [n for n in archive.names if n.startswith("ppt/slides/slide")]
        found = sorted(loose, key=lambda n: (len(n), n))
    return found


def _size(archive: Archive) -> tuple[int, int]:
    """Width and height of the slides."""
    size = parse_xml(archive.read("ppt/presentation.xml")).find(_P + "sldSz")
    try:
        return (int(size.get("cx")), int(size.get("cy"))) if size is not None else (0, 0)
    except (TypeError, ValueError):
        return 0, 0


def _slide(out: Builder, archive: Archive, path: str, number: int, size: tuple[int, int]) -> None:
    root = parse_xml(archive.read(path), "slide")
    if root.get("show") in ("0", "false"):
        out.left_out.add(f"hidden slide {number}")
        return
    anchor = {"slide": number}
    shapes = _seen(root, out, number, size)
    # reading order: the title, then from top to bottom as far as positions are known
    shapes.sort(key=lambda shape: 0 if _role(shape) in _TITLES else 1)
    for shape in shapes:
        role = _role(shape)
        if role in _NOT_CONTENT:
            continue
        if shape.tag == _P + "graphicFrame":
            for table in shape.iter(_A + "tbl"):
                _table(out, table, anchor)
            _diagram(out, archive, path, shape, anchor)
        elif role in _TITLES:
            title = one_line(" ".join(_paragraph_text(p) for p in shape.iter(_A + "p")))
            out.add_raw(title, "heading", 1, anchor)
        else:
            _text(out, shape, anchor, role)
    for kind, target in _links(archive, path).values():
        if kind == "notesSlide" and target in archive.names:
            _notes(out, parse_xml(archive.read(target), "notes"), anchor)


def _shapes(root: Any) -> Iterator[Any]:
    """Shapes in drawing order, through groups."""
    for element in root:
        if element.tag in (_P + "sp", _P + "graphicFrame"):
            yield element
        elif element.tag in (_P + "cSld", _P + "spTree", _P + "grpSp"):
            yield from _shapes(element)
        elif element.tag == _MC + "AlternateContent":
            choice = element.find(_MC + "Choice")
            if choice is not None:
                yield from _shapes(choice)


def _seen(root: Any, out: Builder, number: int, size: tuple[int, int]) -> list[Any]:
    """The shapes that are seen; tiny text is taken out of them."""
    kept = []
    for shape in _shapes(root):
        why = _unseen(shape, size)
        says = any((t.text or "").strip() for t in shape.iter(_A + "t"))
        if why and says:
            out.left_out.add(f"{why} {number}")
        if why:
            continue
        kept.append(shape)
        for run in shape.iter(_A + "r") if says else ():
            properties, text = run.find(_A + "rPr"), run.find(_A + "t")
            points = properties.get("sz", "") if properties is not None else ""
            if points.isdigit() and int(points) < 100 * TINY and text is not None and text.text:
                out.left_out.add(f"tiny text on slide {number}")
                text.text = ""
    return kept


def _unseen(shape: Any, size: tuple[int, int]) -> str:
    """Why a shape is not seen, "" when it is."""
    inner = shape
    while inner is not None:  # also through the groups around it
        holder = inner[0].find(_P + "cNvPr") if len(inner) else None
        if holder is not None and holder.get("hidden") in ("1", "true"):
            return "hidden shape on slide"
        parent = inner.getparent()
        inner = parent if parent is not None and parent.tag == _P + "grpSp" else None
    place = shape.find(f"{_P}spPr/{_A}xfrm")
    place = shape.find(_P + "xfrm") if place is None else place
    parent = shape.getparent()
    if place is None or not all(size) or parent is None or parent.tag == _P + "grpSp":
        return ""
    offset, extent = place.find(_A + "off"), place.find(_A + "ext")
    try:
        x, y = int(offset.get("x")), int(offset.get("y"))
        right, bottom = x + int(extent.get("cx")), y + int(extent.get("cy"))
    except (AttributeError, TypeError, ValueError):
        return ""
    outside = right <= 0 or bottom <= 0 or x >= size[0] or y >= size[1]
    return "text beside slide" if outside else ""


def _role(shape: Any) -> str:
    holder = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
    if holder is None:
        return ""
    return holder.get("type") or "body"


def _paragraph_text(paragraph: Any) -> str:
    parts = []
    for node in paragraph.iter(_A + "t", _A + "br", _A + "tab"):
        parts.append((node.text or "") if node.tag == _A + "t" else "\n")
    return clean("".join(parts))


def _text(out: Builder, shape: Any, anchor: dict[str, int], role: str) -> None:
    body = shape.find(_P + "txBody")
    if body is None:
        return
    counters: dict[int, int] = {}
    paragraphs = body.findall(_A + "p")
    several = sum(bool(_paragraph_text(p)) for p in paragraphs) > 1
    for paragraph in paragraphs:
        text = _paragraph_text(paragraph)
        if not text:
            continue
        properties = paragraph.find(_A + "pPr")
        level = properties.get("lvl", "0") if properties is not None else "0"
        depth = int(level) if level.isdigit() else 0
        mark = _bullet(properties)
        if mark == "number":
            counters[depth] = counters.get(depth, 0) + 1
            out.add_raw(f"{counters[depth]}. {text}", "item", depth, anchor)
        elif mark == "bullet" or (mark is None and (role == "body" or depth) and several):
            out.add_raw(f"- {text}", "item", depth, anchor)
        else:
            out.add_raw(text, "paragraph", 0, anchor)


def _bullet(properties: Any) -> str | None:
    if properties is None:
        return None
    if properties.find(_A + "buNone") is not None:
        return "none"
    if properties.find(_A + "buAutoNum") is not None:
        return "number"
    return "bullet" if properties.find(_A + "buChar") is not None else None


def _table(out: Builder, table: Any, anchor: dict[str, int]) -> None:
    rows: list[list[str]] = []
    for row in table.iter(_A + "tr"):
        cells: list[str] = []
        for cell in row.findall(_A + "tc"):
            text = one_line(" ".join(_paragraph_text(p) for p in cell.iter(_A + "p")))
            if cell.get("vMerge") in ("1", "true") and rows and len(cells) < len(rows[-1]):
                text = rows[-1][len(cells)]
            cells.append(text)
        rows.append(cells)
    properties = table.find(_A + "tblPr")
    marked = properties is not None and properties.get("firstRow") in ("1", "true")
    add_table(out, rows, lambda _: anchor, True if marked else None)


def _diagram(out: Builder, archive: Archive, path: str, shape: Any, anchor: dict[str, int]) -> None:
    """Texts of a SmartArt diagram or a chart, which stand in parts of their own."""
    links = _links(archive, path)
    for element in shape.iter():
        for key in ("dm", "id"):
            kind, target = links.get(element.get(_R + key, ""), ("", ""))
            if kind == "diagramData" and target in archive.names:
                root = parse_xml(archive.read(target), "diagram")
                for paragraph in root.iter(_A + "p"):
                    if text := _paragraph_text(paragraph):
                        out.add_raw(f"- {text}", "item", 0, anchor)
            elif kind == "chart" and target in archive.names:
                root = parse_xml(archive.read(target), "chart")
                title = " ".join(t.text or "" for t in root.iter(_A + "t"))
                out.add(title, "paragraph", 0, anchor)


def _notes(out: Builder, root: Any, anchor: dict[str, int]) -> None:
    for shape in _shapes(root):
        if _role(shape) == "body":
            for paragraph in shape.iter(_A + "p"):
                out.add_raw(_paragraph_text(paragraph), "paragraph", 0, anchor)
