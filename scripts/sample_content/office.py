"""Writers for slides and spreadsheets."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Font
from pptx import Presentation

from .package import DATE, rezip, write_zip
from .writers import AUTHOR

Cell = str | float | int | None
Slide = tuple[str, list[str], str]  # title, bullets, speaker notes


def write_pptx(path: Path, title: str, subtitle: str, slides: list[Slide]) -> None:
    """Write a title slide and one text slide for each entry."""
    deck = Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[0])
    first.shapes.title.text = title
    first.placeholders[1].text = subtitle
    for heading, bullets, notes in slides:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = heading
        frame = slide.placeholders[1].text_frame
        frame.text = bullets[0]
        for bullet in bullets[1:]:
            frame.add_paragraph().text = bullet
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    core = deck.core_properties
    core.title, core.author, core.last_modified_by = title, AUTHOR, AUTHOR
    core.created = core.modified = DATE
    buffer = io.BytesIO()
    deck.save(buffer)
    rezip(path, buffer.getvalue())


def write_xlsx(path: Path, title: str, sheets: dict[str, list[list[Cell]]]) -> None:
    """Write one sheet for each entry; a row whose first cell starts with `*` is set bold."""
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            first = str(row[0])
            sheet.append([first.removeprefix("*"), *row[1:]])
            if first.startswith("*"):
                for cell in sheet[sheet.max_row]:
                    cell.font = Font(bold=True)
        sheet.column_dimensions["A"].width = 16
        sheet.column_dimensions["B"].width = 34
    book.properties.title, book.properties.creator = title, AUTHOR
    book.properties.created = DATE
    buffer = io.BytesIO()
    book.save(buffer)
    # openpyxl writes the time of saving into docProps/core.xml whatever is set before
    with zipfile.ZipFile(buffer) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    core = members["docProps/core.xml"].decode()
    stamp = f"{DATE.isoformat()}Z"
    core = re.sub(r"(<dcterms:modified[^>]*>)[^<]*", rf"\g<1>{stamp}", core)
    members["docProps/core.xml"] = core.encode()
    write_zip(path, members)
