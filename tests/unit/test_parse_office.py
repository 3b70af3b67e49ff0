"""Word, PowerPoint, spreadsheets, OpenDocument, EPUB and RTF, on files made here."""

from __future__ import annotations

import datetime
import io
import zipfile
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from pptx.util import Inches

from ragtune.errors import DocumentError
from ragtune.ingest.parse import Parsed, parse
from ragtune.ingest.parse.base import broken_rule


def one(data: bytes, name: str) -> Parsed:
    (found,) = parse(data, name)
    assert isinstance(found, Parsed)
    assert broken_rule(found) is None
    return found


def kinds(found: Parsed) -> list[tuple[str, int, str]]:
    return [(b.kind, b.level, found.text[b.start : b.end]) for b in found.map.blocks]


def saved(thing: Any) -> bytes:
    buffer = io.BytesIO()
    thing.save(buffer)
    return buffer.getvalue()


def make_zip(members: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_docx() -> None:
    file = docx.Document()
    file.core_properties.title = "Leave policy"
    file.add_heading("Annual leave", 1)
    paragraph = file.add_paragraph("Everybody has ")
    paragraph.add_run("30 days").bold = True
    file.add_paragraph("Ask your lead", style="List Number")
    file.add_paragraph("Enter it", style="List Number")
    file.add_paragraph("Sunday", style="List Bullet")
    file.add_paragraph("Inner", style="List Bullet 2")
    table = file.add_table(rows=0, cols=3)
    for row in (("Site", "Days", "Lead"), ("Osterwede", "3", "Ann"), ("Brunnfeld", "", "Bo")):
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    file.add_heading("Illness", 2)
    found = one(saved(file), "x.bin")
    assert (found.title, found.type) == ("Leave policy", "docx")
    assert kinds(found) == [
        ("heading", 1, "Annual leave"),
        ("paragraph", 0, "Everybody has 30 days"),
        ("item", 0, "1. Ask your lead"),
        ("item", 0, "2. Enter it"),
        ("item", 0, "- Sunday"),
        ("item", 0, "- Inner"),
        ("header", 0, "Site | Days | Lead"),
        ("row", 0, "Site: Osterwede | Days: 3 | Lead: Ann"),
        ("row", 0, "Site: Brunnfeld | Lead: Bo"),
        ("heading", 2, "Illness"),
    ]


def test_docx_insertions_stay_and_deletions_go() -> None:
    file = docx.Document()
    file.add_paragraph("x")
    data = saved(file)
    body = (
        "<w:p><w:r><w:t>Kept </w:t></w:r><w:ins><w:r><w:t>added</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
    )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members: dict[str, str | bytes] = {n: archive.read(n) for n in archive.namelist()}
    xml = members["word/document.xml"]
    assert isinstance(xml, bytes)
    members["word/document.xml"] = xml.replace(b"<w:body>", b"<w:body>" + body.encode())
    assert one(make_zip(members), "a.docx").text.startswith("Kept added\n")


def test_pptx() -> None:
    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[0])
    first.shapes.title.text = "Welcome"
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Units"
    frame = slide.placeholders[1].text_frame
    frame.text = "Kondor"
    frame.add_paragraph().text = "Merle"
    frame.paragraphs[1].level = 1
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(3), Inches(4), Inches(1)).table
    for r, row in enumerate((("Unit", "Price"), ("Kondor", "12.00"))):
        for c, text in enumerate(row):
            table.cell(r, c).text = text
    slide.notes_slide.notes_text_frame.text = "Say hello."
    found = one(saved(deck), "deck.pptx")
    assert kinds(found) == [
        ("heading", 1, "Welcome"),
        ("heading", 1, "Units"),
        ("item", 0, "- Kondor"),
        ("item", 1, "- Merle"),
        ("header", 0, "Unit | Price"),
        ("row", 0, "Unit: Kondor | Price: 12.00"),
        ("paragraph", 0, "Say hello."),
    ]
    assert [a.slide for a in found.map.anchors] == [1, 2, 2, 2, 2, 2, 2]


def test_xlsx_values_as_people_see_them() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Prices"
    rows: list[list[Any]] = [
        ["Price list 2026"], [],
        ["Article", "Unit", "Price", "Share", "Since"],
        ["41-0200", "Kondor 200", 12.5, 0.19, datetime.date(2026, 3, 1)],
        ["41-0205", "Kondor 205", 129, 0.075, datetime.datetime(2026, 3, 1, 9, 30)],
        [], ["41-0400", "Kondor 400", 1432, None, None],
    ]  # fmt: skip
    for row in rows:
        sheet.append(row)
    for r in (4, 5, 7):
        sheet.cell(r, 3).number_format = '#,##0.00 "EUR"'
        sheet.cell(r, 4).number_format = "0.0%"
    hidden = book.create_sheet("Old")
    hidden.sheet_state = "hidden"
    hidden["B2"] = "retired"
    found = one(saved(book), "prices.xlsx")
    assert kinds(found) == [
        ("heading", 1, "Prices"),
        ("paragraph", 0, "Price list 2026"),
        ("header", 0, "Article | Unit | Price | Share | Since"),
        ("row", 0, "Article: 41-0200 | Unit: Kondor 200 | Price: 12.50 EUR | Share: 19.0% | "
                   "Since: 2026-03-01"),
        ("row", 0, "Article: 41-0205 | Unit: Kondor 205 | Price: 129.00 EUR | Share: 7.5% | "
                   "Since: 2026-03-01 09:30"),
        ("row", 0, "Article: 41-0400 | Unit: Kondor 400 | Price: 1,432.00 EUR"),
    ]  # fmt: skip
    assert found.left_out == ("hidden sheet",)
    cells = [(a.sheet, a.cells) for a in found.map.anchors]
    assert cells[2:6] == [("Prices", c) for c in ("A3:E3", "A4:E4", "A5:E5", "A7:C7")]


def test_csv() -> None:
    data = 'Name;Note;Price\nKondor;"two\nlines";12,50\nMerle;;9\n'.encode("utf-16")
    found = one(data, "a.csv")
    assert kinds(found) == [
        ("header", 0, "Name | Note | Price"),
        ("row", 0, "Name: Kondor | Note: two lines | Price: 12,50"),
        ("row", 0, "Name: Merle | Price: 9"),
    ]
    assert [a.key for a in found.map.anchors] == ["line 1", "line 2", "line 4"]


def test_odt() -> None:
    ns = "urn:oasis:names:tc:opendocument:xmlns:"
    content = f"""<?xml version="1.0"?><o:document-content xmlns:o="{ns}office:1.0"
      xmlns:t="{ns}text:1.0" xmlns:b="{ns}table:1.0"><o:body><o:text>
      <t:h t:outline-level="2">Data</t:h><t:p>One<t:s/>two<t:line-break/>three</t:p>
      <t:list><t:list-item><t:p>item</t:p><t:list><t:list-item><t:p>inner</t:p></t:list-item>
      </t:list></t:list-item></t:list>
      <b:table><b:table-header-rows><b:table-row><b:table-cell><t:p>Kind</t:p></b:table-cell>
      <b:table-cell><t:p>Kept</t:p></b:table-cell></b:table-row></b:table-header-rows>
      <b:table-row><b:table-cell><t:p>Logs</t:p></b:table-cell><b:table-cell><t:p>a week</t:p>
      </b:table-cell></b:table-row></b:table></o:text></o:body></o:document-content>"""
    data = make_zip({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content})
    assert kinds(one(data, "a.odt")) == [
        ("heading", 2, "Data"),
        ("paragraph", 0, "One two\nthree"),
        ("item", 0, "- item"),
        ("item", 1, "- inner"),
        ("header", 0, "Kind | Kept"),
        ("row", 0, "Kind: Logs | Kept: a week"),
    ]


def test_epub() -> None:
    opf = """<package xmlns="http://www.idpf.org/2007/opf"><metadata
      xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Dry walls</dc:title></metadata>
      <manifest><item id="b" href="two.xhtml" media-type="application/xhtml+xml"/>
      <item id="a" href="one%20a.xhtml" media-type="application/xhtml+xml"/></manifest>
      <spine><itemref idref="a"/><itemref idref="b"/></spine></package>"""
    container = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
      <rootfile full-path="O/p.opf"/></rootfiles></container>"""
    data = make_zip(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "O/p.opf": opf,
            "O/one a.xhtml": "<html><body><h1>Water</h1><p>It leaves.</p></body></html>",
            "O/two.xhtml": "<html><body><h1>Mould</h1><p>It stays.</p></body></html>",
        }
    )
    found = one(data, "book.zip")
    assert (found.title, found.type) == ("Dry walls", "epub")
    assert found.text == "Water\n\nIt leaves.\n\nMould\n\nIt stays."
    assert [a.part for a in found.map.anchors] == ["Water", "Mould"]


def test_rtf() -> None:
    data = (
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\title Safety}}"
        rb"\pard\b\fs36 Whistleblowing\b0\fs22\par\pard Gr\'fc\'dfe \u8364? {\*\secret no} and "
        rb"{\b bold} text of some length.\par{\listtext\'b7\tab}Bullet\par"
        rb" 1.\tab First\par"
        rb"\trowd Kind\cell Days\cell Who\cell\row\trowd Leave\cell 30\cell Ann\cell\row"
        rb"\pard\b Short bold\b0\par}"
    )
    found = one(data, "a.txt")
    assert (found.title, found.type) == ("Safety", "rtf")
    assert kinds(found) == [
        ("heading", 1, "Whistleblowing"),
        ("paragraph", 0, "Grüße € and bold text of some length."),
        ("item", 0, "- Bullet"),
        ("item", 0, "1. First"),
        ("header", 0, "Kind | Days | Who"),
        ("row", 0, "Kind: Leave | Days: 30 | Who: Ann"),
        ("heading", 2, "Short bold"),
    ]


@pytest.mark.parametrize("name", ["docx", "pptx", "xlsx"])
def test_cut_files_are_one_line_errors(name: str) -> None:
    made: Any = {"docx": docx.Document, "pptx": pptx.Presentation, "xlsx": openpyxl.Workbook}[name]
    data = saved(made())
    for cut in range(40, len(data), max(1, len(data) // 25)):
        with pytest.raises(DocumentError) as caught:
            parse(data[:cut], f"a.{name}")
        assert "\n" not in str(caught.value)
