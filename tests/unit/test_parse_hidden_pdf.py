"""PDF: what is not shown is not read, and is said; what is shown is read."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageDraw
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from hidden import WORD, one
from ragtune.ingest.parse import Parsed, pdf_hidden

SIDE = 800.0  # of a page: square, so that it can be turned


def pdf(draw: Callable[[Canvas], object], rotate: int = 0) -> Parsed:
    """A page with a visible line at the top and what `draw` adds."""
    out = io.BytesIO()
    page = Canvas(out, pagesize=(SIDE, SIDE), invariant=1)
    page.setPageRotation(rotate)
    page.drawString(72, SIDE - 72, "Seen before.")
    draw(page)
    page.save()
    return one(out.getvalue(), "a.pdf")


def text(page: Canvas, said: str, x: float = 72, y: float = 600, mode: int = 0) -> None:
    drawn = page.beginText(x, y)
    drawn.setTextRenderMode(mode)
    drawn.textOut(said)
    page.drawText(drawn)


def p_white(page: Canvas) -> None:
    page.setFillColorRGB(1, 1, 1)
    text(page, f"{WORD} is the answer.")


def p_white_cmyk(page: Canvas) -> None:
    page.setFillColorCMYK(0, 0, 0, 0)
    text(page, f"{WORD} is the answer.")


def p_white_outline(page: Canvas) -> None:
    page.setFillColorRGB(1, 1, 1)
    page.setStrokeColorRGB(1, 1, 1)
    text(page, f"{WORD} is the answer.", mode=2)


def p_white_over_black_text(page: Canvas) -> None:
    text(page, "This line of text is seen by everybody who reads it.")
    page.setFillColorRGB(1, 1, 1)
    text(page, f"{WORD} {WORD}")


def p_white_beside_dark(page: Canvas) -> None:
    page.rect(60, 590, 80, 30, fill=1)
    page.setFillColorRGB(1, 1, 1)
    text(page, f"Not hidden {WORD} {WORD} {WORD}".replace("Not hidden", " " * 24))


def p_white_on_clipped_dark(page: Canvas) -> None:
    page.saveState()
    clip = page.beginPath()
    clip.rect(0, 0, 10, 10)
    page.clipPath(clip, stroke=0)
    page.rect(60, 580, 400, 40, fill=1)
    page.restoreState()
    page.setFillColorRGB(1, 1, 1)
    text(page, f"{WORD} is the answer.")


def p_tiny(page: Canvas) -> None:
    page.setFont("Helvetica", 0.5)
    text(page, f"{WORD} is the answer to every question.")


def p_tiny_by_matrix(page: Canvas) -> None:
    page.scale(0.05, 0.05)
    text(page, f"{WORD} is the answer to every question.", 1440, 12000)


def p_unpainted(page: Canvas) -> None:
    text(page, f"{WORD} is the answer.", mode=3)


def p_unpainted_over_text(page: Canvas) -> None:
    text(page, "This line of text is seen by everybody who reads it.")
    text(page, f"{WORD} is the answer to every question.", mode=3)


def p_transparent(page: Canvas) -> None:
    page.setFillAlpha(0)
    text(page, f"{WORD} is the answer.")


def p_covered(page: Canvas) -> None:
    text(page, f"{WORD} is the answer.")
    page.setFillColorRGB(1, 1, 1)
    page.rect(60, 580, 400, 40, fill=1, stroke=0)


def p_same_colour(page: Canvas) -> None:
    page.setFillColorRGB(0.8, 0.9, 1)
    page.rect(60, 580, 400, 40, fill=1, stroke=0)
    text(page, f"{WORD} is the answer.")


def p_outside(page: Canvas) -> None:
    text(page, f"{WORD} is the answer.", 72, -30)


def p_cropped(page: Canvas) -> None:
    page.setCropBox((0, 300, SIDE, SIDE))
    text(page, f"{WORD} is the answer.", 72, 200)


def p_form(page: Canvas) -> None:
    page.beginForm("f")
    page.setFillColorRGB(1, 1, 1)
    text(page, f"{WORD} is the answer.")
    page.endForm()
    page.doForm("f")


HIDDEN_ON_PAGES: dict[Callable[[Any], None], str] = {
    p_white: "white text", p_white_cmyk: "white text", p_white_outline: "white text",
    p_white_over_black_text: "white text", p_white_beside_dark: "white text",
    p_white_on_clipped_dark: "white text", p_tiny: "tiny text", p_tiny_by_matrix: "tiny text",
    p_unpainted: "unpainted text", p_unpainted_over_text: "unpainted text",
    p_transparent: "transparent text", p_covered: "covered text",
    p_same_colour: "text in the colour of its background", p_form: "white text",
    p_outside: "text outside of the page", p_cropped: "text outside of the page",
}  # fmt: skip


@pytest.mark.parametrize("rotate", [0, 90, 180])
@pytest.mark.parametrize("draw", HIDDEN_ON_PAGES, ids=lambda f: f.__name__)
def test_pdf_text_that_is_not_seen(draw: Callable[[Canvas], None], rotate: int) -> None:
    found = pdf(draw, rotate=rotate)
    assert WORD not in found.text
    assert "Seen before." in found.text
    assert ("seen by everybody" in found.text) == ("over" in draw.__name__ and "text" in
                                                   draw.__name__)  # fmt: skip
    assert found.left_out == (f"{HIDDEN_ON_PAGES[draw]} on page 1",)


def s_dark_row(page: Canvas) -> None:
    page.setFillColorRGB(0.1, 0.2, 0.4)
    page.rect(60, 592, 300, 20, fill=1, stroke=0)
    page.setFillColorRGB(1, 1, 1)
    text(page, "White but seen.")


def s_dark_page(page: Canvas) -> None:
    page.setFillColorRGB(0, 0, 0)
    page.rect(0, 0, SIDE, 700, fill=1, stroke=0)
    page.setFillColorRGB(1, 1, 1)
    text(page, "White but seen.")


def s_round_area(page: Canvas) -> None:
    page.setFillColorRGB(0.6, 0, 0)
    page.roundRect(60, 580, 300, 40, 12, fill=1, stroke=0)
    page.setFillColorRGB(1, 1, 1)
    page.setFont("Helvetica-Bold", 16)
    text(page, "White but seen.")


def s_white_over_white_over_dark(page: Canvas) -> None:
    page.setFillColorRGB(1, 1, 1)
    page.rect(40, 560, 400, 80, fill=1, stroke=0)
    page.setFillColorRGB(0, 0, 0)
    page.rect(60, 580, 300, 40, fill=1, stroke=0)
    page.setFillColorRGB(1, 1, 1)
    text(page, "White but seen.")


def s_in_form(page: Canvas) -> None:
    page.beginForm("f")
    s_dark_row(page)
    page.endForm()
    page.translate(20, -40)
    page.doForm("f")


def s_picture(page: Canvas) -> None:
    page.drawImage(ImageReader(Image.new("RGB", (60, 8), (20, 60, 20))), 60, 580, 300, 40)
    page.setFillColorRGB(1, 1, 1)
    text(page, "White but seen.")


def s_outline(page: Canvas) -> None:
    page.setFillColorRGB(1, 1, 1)
    page.setFont("Helvetica", 30)
    text(page, "White but seen.", mode=2)


def s_light_grey(page: Canvas) -> None:
    page.setFillColorRGB(0.8, 0.8, 0.8)
    text(page, "White but seen.")


def s_coloured(page: Canvas) -> None:
    page.setFillColorRGB(0.8, 0.1, 0.4)
    page.rect(60, 400, 300, 40, fill=1, stroke=0)
    text(page, "White but seen.")  # in the colour of an area elsewhere


def s_marked(page: Canvas) -> None:
    text(page, "White but seen.")
    page.setFillColorRGB(1, 1, 0)
    page.setFillAlpha(0.4)
    page.rect(60, 590, 300, 30, fill=1, stroke=0)


def s_small(page: Canvas) -> None:
    page.setFont("Helvetica", 4)
    text(page, "White but seen.")


SEEN_ON_PAGES = (s_dark_row, s_dark_page, s_round_area, s_white_over_white_over_dark, s_in_form,
                 s_picture, s_outline, s_light_grey, s_coloured, s_marked, s_small)  # fmt: skip


@pytest.mark.parametrize("rotate", [0, 270])
@pytest.mark.parametrize("draw", SEEN_ON_PAGES, ids=lambda f: f.__name__)
def test_pdf_text_that_is_seen(draw: Callable[[Canvas], None], rotate: int) -> None:
    found = pdf(draw, rotate=rotate)
    assert "White but seen." in found.text
    assert found.left_out == ()


def scan(said: str) -> Any:
    """A page as a scanner gives it: a picture of words."""
    picture = Image.new("L", (595, 842), 250)
    ImageDraw.Draw(picture).text((72, 842 - 612), said, fill=20, font_size=12)
    return ImageReader(picture)


@pytest.mark.parametrize("stamped", [False, True])
def test_what_ocr_has_laid_over_a_scan_is_read(stamped: bool) -> None:
    out = io.BytesIO()
    page = Canvas(out, pagesize=(595, 842))
    page.drawImage(scan("The mill closes at six."), 0, 0, 595, 842)
    if stamped:
        page.drawString(400, 30, "ACME 000123")
    text(page, "The mill closes at six.", mode=3)
    if stamped:  # nothing stands there on the scan
        text(page, f"{WORD} is the answer.", y=400, mode=3)
    page.save()
    found = one(out.getvalue(), "a.pdf")
    assert "The mill closes at six." in found.text
    assert WORD not in found.text
    assert found.left_out == (("unpainted text on page 1",) if stamped else ())


def test_pages_that_take_too_long_to_draw_keep_what_may_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pdf_hidden, "_SECONDS", 0.0)
    for draw in (s_picture, s_round_area, s_dark_row, s_marked):
        assert "White but seen." in pdf(draw).text
    for hidden in (p_white, p_unpainted, p_transparent):
        assert WORD not in pdf(hidden).text
