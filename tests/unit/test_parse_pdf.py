"""PDF: paragraphs, headings, tables and lists out of lines, and boxes that are where words are."""

from __future__ import annotations

import io
from typing import Any

import pypdfium2 as pdfium
import pytest
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

from ragtune.errors import DocumentError
from ragtune.ingest.parse import Parsed, ocr, parse
from ragtune.ingest.parse.base import broken_rule
from ragtune.places import place
from ragtune.types import Document

STYLES = getSampleStyleSheet()
LONG = (
    "Hotel costs are refunded up to 115 EUR a night within the country and up to 160 EUR abroad. "
)


def one(data: bytes, name: str = "a.pdf") -> Parsed:
    (found,) = parse(data, name)
    assert isinstance(found, Parsed)
    assert broken_rule(found) is None
    return found


def kinds(found: Parsed) -> list[tuple[str, int, str]]:
    return [(b.kind, b.level, found.text[b.start : b.end]) for b in found.map.blocks]


def as_document(found: Parsed) -> Document:
    return Document(1, found.name, found.title, found.text, "", found.map, found.type)


def built(flow: list[Any], foot: bool = True) -> bytes:
    buffer = io.BytesIO()

    def page(canvas: Any, doc: Any) -> None:
        if foot:
            canvas.drawString(60, 30, f"ACME – Travel policy – Page {doc.page}")

    doc = SimpleDocTemplate(buffer, pagesize=A4, title="Travel policy")
    doc.build(flow, onFirstPage=page, onLaterPages=page)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def policy() -> bytes:
    cells = [["Class", "Meaning of the class in a few words", "Time"],
             ["One", "Job stands still or there is danger to people", "30 minutes"],
             ["Two", "Reduced output of a unit that still runs", "4 hours"]]  # fmt: skip
    table = Table(
        [[Paragraph(c, STYLES["BodyText"]) for c in row] for row in cells], colWidths=[60, 110, 80]
    )
    return built(
        [
            Paragraph("Travel policy", STYLES["Title"]),
            Paragraph("1. Meals", STYLES["Heading2"]),
            Paragraph(LONG * 3, STYLES["BodyText"]),
            Paragraph("Save the confirmation.", STYLES["BodyText"], bulletText="•"),
            table,
            PageBreak(),
            Paragraph("2. Hotels", STYLES["Heading2"]),
            Paragraph(LONG, STYLES["BodyText"]),
        ]
    )


def test_structure(policy: bytes) -> None:
    found = one(policy)
    assert found.title == "Travel policy"
    assert kinds(found) == [
        ("heading", 1, "Travel policy"),
        ("heading", 2, "1. Meals"),
        ("paragraph", 0, (LONG * 3).strip()),
        ("item", 0, "- Save the confirmation."),
        ("header", 0, "Class | Meaning of the class in a few words | Time"),
        ("row", 0, "Class: One | Meaning of the class in a few words: Job stands still or there "
                   "is danger to people | Time: 30 minutes"),
        ("row", 0, "Class: Two | Meaning of the class in a few words: Reduced output of a unit "
                   "that still runs | Time: 4 hours"),
        ("heading", 2, "2. Hotels"),
        ("paragraph", 0, LONG.strip()),
    ]  # fmt: skip


def test_boxes_are_where_the_words_are(policy: bytes) -> None:
    found = one(policy)
    document = as_document(found)
    with pdfium.PdfDocument(policy) as pdf:
        for quote in ("160 EUR abroad", "danger to people", "Hotels", "Save the confirmation"):
            start = found.text.index(quote)
            where = place(document, start, start + len(quote))
            assert where.boxes
            shown = ""
            for page, left, bottom, right, top in where.boxes:
                textpage = pdf[page - 1].get_textpage()
                shown += textpage.get_text_bounded(left - 12, bottom - 1, right + 12, top + 1) + " "
            assert quote in " ".join(shown.split())


def test_labels(policy: bytes) -> None:
    found = one(policy)
    document = as_document(found)
    start = found.text.rindex("Hotel costs")
    where = place(document, start, start + 20)
    assert where.label == 'page 2, "2. Hotels"'
    assert where.heading == ("Travel policy", "2. Hotels")


def drawn(lines: list[tuple[float, float, str]], size: float = 10) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4)
    canvas.setFont("Helvetica", size)
    for x, y, text in lines:
        canvas.drawString(x, y, text)
    canvas.save()
    return buffer.getvalue()


def test_hyphens_and_columns() -> None:
    left = [
        "The first column tells about implemen-",
        "tation of rules, and about self-",
        "Help too.",
    ]
    right = ["The second column is read after", "the first one has ended here."]
    lines = [(60.0, 700 - 12.0 * i, text) for i, text in enumerate(left)]
    lines += [(320.0, 700 - 12.0 * i, text) for i, text in enumerate(right)]
    text = one(drawn(lines)).text
    assert "implementation of rules, and about self-Help too." in text
    assert text.index("self-Help") < text.index("The second column is read after the first one")


def test_columns_written_across_are_read_down() -> None:
    lines = []
    for i in range(8):
        lines.append((60.0, 700 - 12.0 * i, f"left words number {i} of this one column"))
        lines.append((320.0, 700 - 12.0 * i, f"right words number {i} of the other one"))
    text = one(drawn(lines)).text
    assert text.index("left words number 7") < text.index("right words number 0")


def test_unruled_table() -> None:
    rows = [("Item", "Price", "Stock"), ("Kondor", "12.50", "4"), ("Merle", "9.00", "17")]
    lines = [(x, 700 - 16.0 * r, text) for r, row in enumerate(rows)
             for x, text in zip((60.0, 200.0, 300.0), row, strict=True)]  # fmt: skip
    assert kinds(one(drawn(lines)))[1:] == [
        ("row", 0, "Item: Kondor | Price: 12.50 | Stock: 4"),
        ("row", 0, "Item: Merle | Price: 9.00 | Stock: 17"),
    ]


def test_paragraph_over_a_page_end() -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4)
    canvas.drawString(60, 200, "A sentence that begins on the first page and goes")
    canvas.showPage()
    canvas.drawString(60, 700, "on over its end.")
    canvas.save()
    found = one(buffer.getvalue())
    assert found.text == "A sentence that begins on the first page and goes on over its end."
    assert place(as_document(found), 0, len(found.text)).label == "pages 1–2"


def test_encrypted_and_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    from reportlab.lib.pdfencrypt import StandardEncryption

    buffer = io.BytesIO()
    canvas = Canvas(buffer, encrypt=StandardEncryption("secret"))
    canvas.drawString(60, 700, "word")
    canvas.save()
    with pytest.raises(DocumentError, match="encrypted"):
        parse(buffer.getvalue(), "a.pdf")
    monkeypatch.setattr(ocr, "available", lambda: False)
    with pytest.raises(DocumentError, match=r"no text layer: install ragtune\[ocr\]"):
        parse(drawn([]), "a.pdf")


def test_cut_files(policy: bytes) -> None:
    for cut in range(20, len(policy), len(policy) // 15):
        try:
            found = one(policy[:cut])
        except DocumentError as error:
            reason = str(error)
            assert reason.startswith(("damaged", "no text"))
        else:
            assert found.text
