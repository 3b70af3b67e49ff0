"""Writers for running text: PDF, DOCX, ODT, RTF and EPUB."""

from __future__ import annotations

import io
from pathlib import Path
from xml.sax.saxutils import escape

from docx import Document
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import (
    Flowable,
    PageBreak,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from .markup import Block, parse, title_of
from .package import DATE, rezip, write_zip

AUTHOR = "Tarnhagen Lufttechnik GmbH"
_SHEET = getSampleStyleSheet()
_BODY = ParagraphStyle("body", parent=_SHEET["BodyText"], fontSize=10, leading=13.5, spaceAfter=5)
_ITEM = ParagraphStyle("item", parent=_BODY, leftIndent=16, bulletIndent=2, spaceAfter=3)
_CELL = ParagraphStyle("cell", parent=_BODY, fontSize=8.5, leading=10.5, spaceAfter=0)
_GRID = TableStyle(
    [
        ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.Color(0.88, 0.92, 0.95)),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
)


def _flow(blocks: list[Block], width: float) -> list[Flowable]:
    flow: list[Flowable] = []
    number = 0
    for block in blocks:
        number = number + 1 if block.kind == "step" else 0
        text = escape(block.text)
        if block.kind == "break":
            flow.append(PageBreak())
        elif block.kind == "table":
            rows = [[Paragraph(escape(cell), _CELL) for cell in row] for row in block.rows]
            table = Table(rows, colWidths=[width / len(rows[0])] * len(rows[0]), repeatRows=1)
            table.setStyle(_GRID)
            flow += [table, Spacer(1, 8)]
        elif block.kind in ("title", "heading"):
            style = "Title" if block.kind == "title" else "Heading2"
            flow.append(Paragraph(text, _SHEET[style]))
        elif block.kind == "para":
            flow.append(Paragraph(text, _BODY))
        else:
            mark = "•" if block.kind == "bullet" else f"{number}."
            flow.append(Paragraph(text, _ITEM, bulletText=mark))
    return flow


def write_pdf(path: Path, source: str) -> None:
    """Write an A4 file with the title and the page number at the foot of each page."""
    blocks = parse(source)
    title = title_of(blocks)

    def foot(canvas, doc) -> None:  # type: ignore[no-untyped-def]
        canvas.setFont("Helvetica", 8)
        canvas.drawString(22 * mm, 12 * mm, f"{AUTHOR} – {title}")
        canvas.drawRightString(A4[0] - 22 * mm, 12 * mm, f"Page {doc.page}")

    margin = 22 * mm
    # invariant: no creation time and no random id in the file
    doc = SimpleDocTemplate(
        str(path),
        pagesize=A4,
        leftMargin=margin,
        rightMargin=margin,
        topMargin=margin,
        bottomMargin=margin,
        title=title,
        author=AUTHOR,
        invariant=1,
    )
    doc.build(_flow(blocks, A4[0] - 2 * margin - 12), onFirstPage=foot, onLaterPages=foot)


def write_docx(path: Path, source: str) -> None:
    """Write a Word file with real heading, list and table styles."""
    blocks = parse(source)
    doc = Document()
    styles = {"title": "Title", "heading": "Heading 1", "bullet": "List Bullet"}
    styles |= {"step": "List Number", "para": "Normal"}
    for block in blocks:
        if block.kind == "table":
            table = doc.add_table(rows=0, cols=len(block.rows[0]), style="Table Grid")
            for row in block.rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
        elif block.kind != "break":
            doc.add_paragraph(block.text, style=styles[block.kind])
    core = doc.core_properties
    core.title, core.author, core.last_modified_by = title_of(blocks), AUTHOR, AUTHOR
    core.created = core.modified = DATE
    core.comments = ""
    buffer = io.BytesIO()
    doc.save(buffer)
    rezip(path, buffer.getvalue())


_ODF = "urn:oasis:names:tc:opendocument:xmlns:"
_ODT_MANIFEST = f"""<?xml version="1.0" encoding="UTF-8"?>
<manifest:manifest xmlns:manifest="{_ODF}manifest:1.0" manifest:version="1.2">
<manifest:file-entry manifest:full-path="/"
 manifest:media-type="application/vnd.oasis.opendocument.text"/>
<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>
<manifest:file-entry manifest:full-path="meta.xml" manifest:media-type="text/xml"/>
</manifest:manifest>"""


def _odt_table(rows: list[list[str]], name: str) -> str:
    lines = []
    for row in rows:
        cells = (
            '<table:table-cell office:value-type="string">'
            f"<text:p>{escape(cell)}</text:p></table:table-cell>"
            for cell in row
        )
        lines.append(f"<table:table-row>{''.join(cells)}</table:table-row>")
    columns = f'<table:table-column table:number-columns-repeated="{len(rows[0])}"/>'
    return f'<table:table table:name="{name}">{columns}{"".join(lines)}</table:table>'


def write_odt(path: Path, source: str) -> None:
    """Write an OpenDocument text by hand: one content part, one metadata part."""
    blocks = parse(source)
    body: list[str] = []
    for index, block in enumerate(blocks):
        text = escape(block.text)
        if block.kind == "table":
            body.append(_odt_table(block.rows, f"Table{index}"))
        elif block.kind in ("title", "heading"):
            level = 1 if block.kind == "title" else 2
            body.append(f'<text:h text:outline-level="{level}">{text}</text:h>')
        elif block.kind == "para":
            body.append(f"<text:p>{text}</text:p>")
        elif block.kind in ("bullet", "step"):
            item = f"<text:list-item><text:p>{text}</text:p></text:list-item>"
            if body and body[-1].endswith("</text:list>"):
                body[-1] = body[-1].removesuffix("</text:list>") + item + "</text:list>"
            else:
                body.append(f"<text:list>{item}</text:list>")
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    spaces = " ".join(f'xmlns:{n}="{_ODF}{n}:1.0"' for n in ("office", "text", "table", "meta"))
    content = (
        f'{head}<office:document-content {spaces} office:version="1.2"><office:body>'
        f"<office:text>\n{chr(10).join(body)}\n</office:text></office:body>"
        "</office:document-content>"
    )
    meta = (
        f'{head}<office:document-meta {spaces} xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'office:version="1.2"><office:meta><dc:title>{escape(title_of(blocks))}</dc:title>'
        f"<dc:date>{DATE.isoformat()}</dc:date></office:meta></office:document-meta>"
    )
    members = {
        "mimetype": b"application/vnd.oasis.opendocument.text",
        "content.xml": content.encode(),
        "meta.xml": meta.encode(),
        "META-INF/manifest.xml": _ODT_MANIFEST.encode(),
    }
    write_zip(path, members, stored=("mimetype",))


def _rtf_escape(text: str) -> str:
    out = []
    for char in text:
        if char in "\\{}":
            out.append("\\" + char)
        else:
            out.append(char if ord(char) < 128 else f"\\u{ord(char)}?")
    return "".join(out)


def write_rtf(path: Path, source: str) -> None:
    """Write RTF by hand; characters beyond ASCII as \\u escapes."""
    lines = [r"{\rtf1\ansi\ansicpg1252\uc1\deff0{\fonttbl{\f0\fswiss Helvetica;}}"]
    number = 0
    for block in parse(source):
        number = number + 1 if block.kind == "step" else 0
        text = _rtf_escape(block.text)
        if block.kind == "title":
            lines.append(rf"\pard\sa200\b\fs36 {text}\b0\fs22\par")
        elif block.kind == "heading":
            lines.append(rf"\pard\sb160\sa80\b\fs26 {text}\b0\fs22\par")
        elif block.kind == "bullet":
            lines.append(rf"\pard\li360\fi-200\sa60 \bullet  {text}\par")
        elif block.kind == "step":
            lines.append(rf"\pard\li360\fi-200\sa60 {number}. {text}\par")
        elif block.kind == "table":
            for row in block.rows:
                stops = "".join(rf"\cellx{2400 * (i + 1)}" for i in range(len(row)))
                cells = "".join(rf"\pard\intbl {_rtf_escape(c)}\cell " for c in row)
                lines.append(rf"\trowd{stops}{cells}\row")
        elif block.kind == "para":
            lines.append(rf"\pard\sa120 {text}\par")
    path.write_text("\n".join([*lines, "}"]) + "\n", encoding="ascii", newline="\n")


def _xhtml(blocks: list[Block]) -> str:
    out: list[str] = []
    tags = {"title": "h1", "heading": "h2", "para": "p"}
    for block in blocks:
        text = escape(block.text)
        if block.kind in ("bullet", "step"):
            tag = "ul" if block.kind == "bullet" else "ol"
            if out and out[-1].endswith(f"</{tag}>"):
                out[-1] = out[-1].removesuffix(f"</{tag}>") + f"<li>{text}</li></{tag}>"
            else:
                out.append(f"<{tag}><li>{text}</li></{tag}>")
        elif block.kind == "table":
            rows = "".join(
                "<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>"
                for row in block.rows
            )
            out.append(f"<table>{rows}</table>")
        elif block.kind in tags:
            out.append(f"<{tags[block.kind]}>{text}</{tags[block.kind]}>")
    title = escape(title_of(blocks))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
        f"<head><title>{title}</title></head>\n<body>\n{chr(10).join(out)}\n</body></html>\n"
    )


def write_epub(path: Path, title: str, chapters: list[str]) -> None:
    """Write an EPUB 3 by hand: one XHTML file for each chapter and a navigation file."""
    parsed = [parse(chapter) for chapter in chapters]
    names = [f"chapter{n}.xhtml" for n in range(1, len(parsed) + 1)]
    links = "".join(
        f'<li><a href="{name}">{escape(title_of(blocks))}</a></li>'
        for name, blocks in zip(names, parsed, strict=True)
    )
    nav = _xhtml([Block("title", "Contents")]).replace(
        "</body>", f'<nav epub:type="toc"><ol>{links}</ol></nav></body>'
    )
    items = "".join(
        f'<item id="c{n}" href="{name}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(names)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(names)))
    opf = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">tarnhagen-{path.stem}</dc:identifier>'
        f"<dc:title>{escape(title)}</dc:title><dc:language>en</dc:language>"
        f"<dc:creator>{AUTHOR}</dc:creator>"
        f'<meta property="dcterms:modified">{DATE.isoformat()}Z</meta></metadata>'
        '<manifest><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" '
        f'properties="nav"/>{items}</manifest><spine>{spine}</spine></package>'
    )
    container = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<container version="1.0" '
        'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/content.opf" '
        'media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    members = {"mimetype": b"application/epub+zip", "META-INF/container.xml": container.encode()}
    members |= {"OEBPS/content.opf": opf.encode(), "OEBPS/nav.xhtml": nav.encode()}
    for name, blocks in zip(names, parsed, strict=True):
        members[f"OEBPS/{name}"] = _xhtml(blocks).encode()
    write_zip(path, members, stored=("mimetype",))
