"""PDF through pdfium: paragraphs, headings, lists and tables, an anchor with its box a line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ragtune.errors import DocumentError
from ragtune.ingest.parse import ocr
from ragtune.ingest.parse.base import Builder, Parsed, one_line
from ragtune.ingest.parse.hidden import LeftOut
from ragtune.ingest.parse.pdf_hidden import HiddenText
from ragtune.ingest.parse.pdf_layout import (
    Page,
    Stack,
    Table,
    arrange,
    drop_running,
    typical_leading,
)
from ragtune.ingest.parse.pdf_lines import Fragment, PageReader, page_box, seen_lines
from ragtune.ingest.parse.pdf_text import PdfWriter

MAX_PAGES = 20_000
_GENERIC_TITLE = re.compile(
    r"untitled|\(?anonymous\)?|microsoft (?:word|powerpoint)\b.*|.*\.(?:docx?|"
    r"pptx?|xlsx?|indd|qxd|pdf|tex|dvi|ai|cdr|rtf)|slide 1|print|document\d*",
    re.I,
)


def read_pdf(data: bytes, name: str) -> Parsed:
    """Text of a PDF in reading order; pages without text go through OCR where it is installed.

    Raises DocumentError: damaged, encrypted, or without a text layer.
    """
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if "assword" in str(error) or "ecurity" in str(error):
            raise DocumentError("encrypted: save it without a password") from None
        raise DocumentError("damaged PDF: it cannot be opened") from None
    try:
        count = len(document)
        if count == 0:
            raise DocumentError("damaged PDF: it has no pages")
        if count > MAX_PAGES:
            raise DocumentError(f"more than {MAX_PAGES:,} pages: split it")
        left_out, looks = LeftOut(), HiddenText()
        pages = [_read_page(document, index, looks, left_out) for index in range(count)]
        if not any(page.lines for page in pages):
            raise DocumentError(ocr.MISSING)
        title = one_line(document.get_metadata_dict().get("Title", "") or "")
    finally:
        document.close()
    if _GENERIC_TITLE.fullmatch(title) or len(title) < 3 or "\ufffd" in title:
        title = ""
    return replace(write_pages(pages, name, "pdf", title), left_out=left_out.notes())


def _read_page(document: Any, index: int, looks: HiddenText, left_out: LeftOut) -> Page:
    import pypdfium2 as pdfium

    try:
        page = document[index]
    except pdfium.PdfiumError:
        return Page(index + 1, 1.0)  # a damaged page costs itself only
    textpage = None
    try:
        made = Page(index + 1, page.get_height())
        textpage = page.get_textpage()
        hidden = looks.spans(page, textpage)
        made.lines = PageReader(textpage, index + 1).lines(hidden)
        made.lines, others = seen_lines(made.lines, page_box(page))
        for why in dict.fromkeys([*(why for _, _, why in hidden), *others]):
            left_out.add(f"{why} on page {index + 1}")
        if not any(c.isalnum() for line in made.lines for f in line for c in f.text):
            made.lines = []
            if ocr.available():
                made.lines = ocr.read_page(page, index + 1)
    except pdfium.PdfiumError:
        pass
    finally:
        if textpage is not None:
            textpage.close()
        page.close()
    return made


def write_pages(pages: list[Page], name: str, kind: str, title: str) -> Parsed:
    """The document made of these pages' lines."""
    drop_running(pages)
    leading = typical_leading(pages)
    content = [(page, arrange(page, leading)) for page in pages]
    writer = PdfWriter(Builder(), _body_size(pages), _bold_share(pages), leading)
    _find_heading_sizes(writer, [item for _, items in content for item in items])
    for _, items in content:
        for item in items:
            writer.write(item)
    writer.flush()
    return writer.out.finish(name, kind, title)


def _weights(pages: list[Page], key: Callable[[Fragment], Any]) -> Counter[Any]:
    weights: Counter[Any] = Counter()
    for page in pages:
        for line in page.lines:
            for fragment in line:
                weights[key(fragment)] += len(fragment.text)
    return weights


def _body_size(pages: list[Page]) -> float:
    """The size in which most is written."""
    common = _weights(pages, lambda f: round(f.size * 2) / 2).most_common(1)
    return float(common[0][0]) if common else 10.0


def _bold_share(pages: list[Page]) -> float:
    weights = _weights(pages, lambda f: f.bold)
    return weights[True] / max(1, weights[True] + weights[False])


def _find_heading_sizes(writer: PdfWriter, items: list[Stack | Table]) -> None:
    sizes = {
        round(lines[0].size * 2) / 2
        for item in items
        if isinstance(item, Stack)
        for lines in writer.paragraphs(item.lines)
        if writer.is_large_heading(lines)
    }
    writer.heading_sizes = sorted(sizes, reverse=True)
