"""What a document holds but does not show is not read, and is said; what it shows is read."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from docx.shared import Pt, RGBColor
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ragtune.ingest.parse import Parsed, css, parse, pdf_hidden, quick_text
from ragtune.ingest.parse.base import broken_rule
from ragtune.ingest.parse.hidden import LeftOut
from ragtune.ingest.parse.markdown_hidden import without_hidden

WORD = "zorqa"  # what only hidden text holds
SIDE = 800.0  # of a page: square, so that it can be turned
WHITE = RGBColor(255, 255, 255)


def one(data: bytes, name: str) -> Parsed:
    (found,) = parse(data, name)
    assert isinstance(found, Parsed)
    assert broken_rule(found) is None
    return found


def saved(thing: Any) -> bytes:
    buffer = io.BytesIO()
    thing.save(buffer)
    return buffer.getvalue()


# ---------------------------------------------------------------- Word


def shade(fill: str) -> Any:
    return parse_xml(f'<w:shd {nsdecls("w")} w:val="clear" w:fill="{fill}"/>')


def style_of(file: Any, name: str, **font: Any) -> str:
    style = file.styles.add_style(name, 2)  # of characters
    for key, value in font.items():
        setattr(style.font, key, value)
    return name


def _vanish(file: Any, run: Any) -> None:
    run.font.hidden = True


def _white(file: Any, run: Any) -> None:
    run.font.color.rgb = WHITE


def _nearly_white(file: Any, run: Any) -> None:
    run.font.color.rgb = RGBColor(0xF4, 0xF4, 0xFA)


def _tiny(file: Any, run: Any) -> None:
    run.font.size = Pt(1)


def _squeezed(file: Any, run: Any) -> None:
    run._r.get_or_add_rPr().append(parse_xml(f'<w:w {nsdecls("w")} w:val="1"/>'))


def _by_style(file: Any, run: Any) -> None:
    run.style = style_of(file, "Plain2", hidden=True)


def _by_base(file: Any, run: Any) -> None:
    base = file.styles[style_of(file, "Base2")]
    base.font.color.rgb = WHITE
    file.styles[style_of(file, "Sub2")].base_style = base
    run.style = "Sub2"


def _by_paragraph_style(file: Any, run: Any) -> None:
    style = file.styles.add_style("Para2", 1)
    style.font.color.rgb = WHITE
    run._parent.style = style


def _black_on_black(file: Any, run: Any) -> None:
    run.font.color.rgb = RGBColor(0, 0, 0)
    run._r.get_or_add_rPr().append(shade("000000"))


def _theme(file: Any, run: Any) -> None:
    run._r.get_or_add_rPr().append(
        parse_xml(f'<w:color {nsdecls("w")} w:val="FFFFFF" w:themeColor="background1"/>')
    )


HIDDEN_RUNS: dict[Callable[[Any, Any], None], str] = {
    _vanish: "hidden text", _white: "white text", _tiny: "tiny text", _squeezed: "squeezed text",
    _nearly_white: "text in the colour of its background", _by_style: "hidden text",
    _by_base: "white text", _by_paragraph_style: "white text", _theme: "white text",
    _black_on_black: "text in the colour of its background",
}  # fmt: skip


@pytest.mark.parametrize("hide", HIDDEN_RUNS, ids=lambda f: f.__name__)
def test_word_text_that_is_not_seen(hide: Callable[[Any, Any], None]) -> None:
    file = docx.Document()
    file.add_paragraph("Seen before.")
    paragraph = file.add_paragraph()
    hide(file, paragraph.add_run(f"{WORD} is the answer."))
    other = file.add_paragraph("Half of this ")
    if hide is not _by_paragraph_style:
        other.add_run(f"{WORD}{WORD}").font.hidden = True
    other.add_run("is seen.")
    found = one(saved(file), "a.docx")
    assert found.text == "Seen before.\n\nHalf of this is seen."
    assert HIDDEN_RUNS[hide] in " ".join(found.left_out)


def _on_shaded_run(file: Any) -> None:
    run = file.add_paragraph().add_run("White but seen.")
    run.font.color.rgb = WHITE
    run._r.get_or_add_rPr().append(shade("1F3864"))


def _on_shaded_paragraph(file: Any) -> None:
    paragraph = file.add_paragraph()
    paragraph._p.get_or_add_pPr().append(shade("000000"))
    paragraph.add_run("White but seen.").font.color.rgb = WHITE


def _on_shaded_cell(file: Any) -> None:
    cell = file.add_table(rows=2, cols=1).cell(0, 0)
    cell._tc.get_or_add_tcPr().append(shade("2F5496"))
    cell.paragraphs[0].add_run("White but seen.").font.color.rgb = WHITE


def _on_table_style(file: Any) -> None:
    table = file.add_table(rows=2, cols=2, style="Medium Shading 1 Accent 1")
    table.cell(0, 1).paragraphs[0].add_run("White but seen.").font.color.rgb = WHITE
    table.cell(0, 0).text, table.cell(1, 0).text, table.cell(1, 1).text = "a", "b", "c"


def _not_vanished(file: Any) -> None:
    run = file.add_paragraph().add_run("White but seen.")
    run.style = style_of(file, "Plain3", hidden=True)
    run.font.hidden = False


def _highlighted(file: Any) -> None:
    run = file.add_paragraph().add_run("White but seen.")
    run.font.color.rgb = WHITE
    run.font.highlight_color = 2  # blue


def _grey(file: Any) -> None:
    file.add_paragraph().add_run("White but seen.").font.color.rgb = RGBColor(0xBF, 0xBF, 0xBF)


def _text_box(file: Any) -> None:
    file.add_paragraph()._p.append(
        parse_xml(
            f'<w:r {nsdecls("w")} xmlns:v="urn:schemas-microsoft-com:vml"><w:pict><v:shape '
            'fillcolor="#203060"><v:textbox><w:txbxContent><w:p><w:r><w:rPr>'
            '<w:color w:val="FFFFFF"/></w:rPr><w:t>White but seen.</w:t></w:r></w:p>'
            "</w:txbxContent></v:textbox></v:shape></w:pict></w:r>"
        )
    )


SHOWN = (_on_shaded_run, _on_shaded_paragraph, _on_shaded_cell, _on_table_style, _not_vanished,
         _highlighted, _grey, _text_box)  # fmt: skip


@pytest.mark.parametrize("write", SHOWN, ids=lambda f: f.__name__)
def test_word_text_that_is_seen(write: Callable[[Any], None]) -> None:
    file = docx.Document()
    write(file)
    found = one(saved(file), "a.docx")
    assert "White but seen." in found.text
    assert found.left_out == ()


def test_word_table_rows() -> None:
    file = docx.Document()
    table = file.add_table(rows=3, cols=2)
    for n, row in enumerate(table.rows):
        row.cells[0].text, row.cells[1].text = f"Site {n}", WORD if n == 2 else f"{n} days"
    table.rows[2]._tr.get_or_add_trPr().append(parse_xml(f"<w:hidden {nsdecls('w')}/>"))
    found = one(saved(file), "a.docx")
    assert WORD not in found.text
    assert "1 days" in found.text
    assert found.left_out == ("hidden table row",)


# ---------------------------------------------------------------- PDF


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


# ---------------------------------------------------------------- HTML

HIDDEN_HTML = {
    '<p hidden>{}</p>': "hidden element",
    '<p style="display:none">{}</p>': "hidden element",
    '<p style="DISPLAY : None !important">{}</p>': "hidden element",
    '<p style="opacity:0">{}</p>': "hidden element",
    '<p style="visibility:hidden">{}</p>': "hidden element",
    '<p style="font-size:0">{}</p>': "tiny text",
    '<p style="font-size:1px">{}</p>': "tiny text",
    '<p style="font:1px/1 serif">{}</p>': "tiny text",
    '<p style="color:#fff">{}</p>': "white text",
    '<p style="color:white;background:white">{}</p>': "white text",
    '<p><font color="#FFFFFF">{}</font></p>': "white text",
    '<p style="color:rgb(250, 250, 252)">{}</p>': "text in the colour of its background",
    '<p style="color:black;background:#000">{}</p>': "text in the colour of its background",
    '<p style="color:rgba(0,0,0,0)">{}</p>': "transparent text",
    '<p style="color:transparent">{}</p>': "transparent text",
    '<p style="position:absolute;left:-9999px">{}</p>': "hidden element",
    '<p style="text-indent:-9999px">{}</p>': "hidden element",
    '<p style="position:absolute;clip:rect(0 0 0 0)">{}</p>': "hidden element",
    '<p style="height:0;overflow:hidden">{}</p>': "hidden element",
    '<style>.x > b, .y{{display:none}}</style><p class="x"><b>{}</b></p>': "hidden element",
    '<style>/* a */ p.x{{color:#FFF}}</style><p class="x">{}</p>': "white text",
    '<style>@media print{{.q{{display:none}}}} .x{{display:none}}</style><p class="x">{}</p>':
        "hidden element",
    '<table><tr><th>Site</th><th>Days</th></tr><tr><td>Mill</td><td style="display:none">{}</td>'
    "</tr></table>": "hidden element",
    '<dialog>{}</dialog>': "hidden element",
}  # fmt: skip


@pytest.mark.parametrize("form", HIDDEN_HTML)
@pytest.mark.parametrize("name", ["a.html", "a.eml", "a.epub"])
def test_html_text_that_is_not_seen(form: str, name: str) -> None:
    page = f"<html><title>T</title><body><p>Seen before.</p>{form.format(WORD)}<p>And after.</p>"
    data = page.encode()
    if name == "a.eml":
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = "A note", "a@example.org", "b@example.org"
        mail.set_content(page, subtype="html")
        data = mail.as_bytes()
    if name == "a.epub":
        data = book(page)
    found = one(data, name)
    assert WORD not in found.text
    assert "Seen before." in found.text
    assert "And after." in found.text
    assert found.left_out == (HIDDEN_HTML[form],)


def book(page: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="p.opf"/></rootfiles></container>',
        )
        archive.writestr(
            "p.opf",
            '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="a" href="a.xhtml" '
            'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine>'
            "</package>",
        )
        archive.writestr("a.xhtml", page)
    return out.getvalue()


@pytest.mark.parametrize(
    "form",
    [
        '<p aria-hidden="true">{}</p>',
        '<p style="color:#fff;background-color:#036">{}</p>',
        '<div style="background:navy"><p style="color:white"><b>{}</b></p></div>',
        '<table><tr bgcolor="#003366"><td><font color="white">{}</font></td></tr></table>',
        '<div style="background:url(a.png)"><p style="color:#fff">{}</p></div>',
        '<div style="color:#fff"><p style="color:#222">{}</p></div>',
        '<div style="font-size:0"><p style="font-size:14px">{}</p></div>',
        '<div style="visibility:hidden"><p style="visibility:visible">{}</p></div>',
        "<style>.x{{display:none}} .x.on{{display:block}}</style><p class='x on'>{}</p>",
        "<style>@media print{{p{{display:none}}}} p:hover{{color:#fff}}</style><p>{}</p>",
        "<style media='print'>p{{display:none}}</style><p>{}</p>",
        "<style>.dark{{background:#111}} .dark p{{color:#eee}}</style><div class=dark><p>{}</p>",
        '<p style="font-size:0.9em;opacity:0.6;height:0">{}</p>',
        '<p style="color:#999">{}</p>',
        '<p style="text-indent:-2em">{}</p>',
        "<details><summary>More</summary>{}</details>",
    ],
)
def test_html_text_that_is_seen(form: str) -> None:
    found = one(f"<html><body><p>First.</p>{form.format('Seen it.')}".encode(), "a.html")
    assert "Seen it." in found.text
    assert found.left_out == ()


@given(st.text(alphabet="<>!-{}@.#ap: ;\"'/sty=hidenolr0f,()%", max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_style_is_survived(said: str) -> None:
    page = f"<html><body><p>First.</p><style>{said}</style><p style='{said}'>x</p>".encode()
    (found,) = parse(page, "a.html")
    assert isinstance(found, Parsed)
    list(css.rules(said))
    css.declarations(said)


# ---------------------------------------------------------------- Markdown

HIDDEN_MARKDOWN = {
    "<!-- {} -->": "comment",
    "<!--\n{}\n\n- {}\n-->": "comment",
    "Seen <!-- {} --> both.": "comment",
    "- An item\n\n    <!-- {} -->": "comment",
    "`code` <!-- {} -->": "comment",
    "It's a ` mark <!-- {} -->": "comment",
    "[//]: # ({})": "comment",
    '[comment]: <> "{}"': "comment",
    '[x]: https://example.org "{}"': "comment",
    "<p hidden>{}</p>": "hidden element",
    '<div style="display: none">\n\n{} <div>{}</div>\n</div>': "hidden element",
    "<span style='color:white'>{}</span>": "white text",
    "<span style='font-size:0'>{}": "tiny text",
    "<script>\n{}\n</script>": "script element",
    "<!-- {}": "comment",
}

SHOWN_MARKDOWN = (
    "`<!-- {} -->`", "``a ` <!-- {} -->``", "```html\n<!-- {} -->\n```", "~~~\n<!-- {} -->\n~~~~",
    "Text.\n\n    <!-- {} -->", r"\<!-- {} -->", "a <!-- {}", "<span>{}</span>", "<b>{}</b>",
    '<p style="color:red">{}</p>', "[^1]: {} (of old)", "<p class='hidden'>{}</p>",
    "<details>{}</details>", "1 < 2 and {} --> there", "[x]: # {} is no title",
)  # fmt: skip


@pytest.mark.parametrize("form", HIDDEN_MARKDOWN)
def test_markdown_that_is_not_shown(form: str) -> None:
    given_text = f"# A note\n\nSeen before.\n\n{form.replace('{}', WORD)}\n"
    if form != "<!-- {}":
        given_text += "\nAnd after.\n"
    found = one(given_text.encode(), "a.md")
    assert WORD not in found.text
    assert len(found.text) == len(given_text)
    assert found.text.split("\n")[:3] == ["# A note", "", "Seen before."]
    assert found.text.count("\n") == given_text.count("\n")
    assert ("And after." in found.text) == ("And after." in given_text)
    assert found.left_out == (HIDDEN_MARKDOWN[form],)
    quick = quick_text(given_text.encode(), "a.md")
    assert quick == found


@pytest.mark.parametrize("form", SHOWN_MARKDOWN)
def test_markdown_that_is_shown(form: str) -> None:
    text = f"# A note\n\n{form.replace('{}', WORD)}\n\nAnd after.\n"
    found = one(text.encode(), "a.md")
    assert found.text == text
    assert found.left_out == ()


_PIECES = ("<!--", "-->", "`", "```", "\n", "\n\n", "    ", "- ", "word ", "<p hidden>", "</p>",
           "[//]: # (", ")", "\\", "~~~", "ü", "<script>", "</script>")  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=40).map("".join))
def test_blanking_keeps_length_lines_and_what_is_not_blanked(text: str) -> None:
    made = without_hidden(text, LeftOut())
    assert len(made) == len(text)
    assert [a for a, b in zip(made, text, strict=True) if a != b and a != " "] == []
    assert [i for i, c in enumerate(text) if c == "\n"] == [
        i for i, c in enumerate(made) if c == "\n"
    ]
    if "<" not in text and "[" not in text:
        assert made == text
    assert not re.match(r"<!--.*?-->", made, re.S)


def test_comments_stay_linear() -> None:
    begun = time.process_time()
    for text in ("<!-- a " * 30_000, "`" * 100_000, "<p hidden>" * 5_000, "[a]: # (" * 30_000,
                 "``a`" * 30_000, "<!-- -->\n" * 30_000):  # fmt: skip
        without_hidden(text, LeftOut())
    assert time.process_time() - begun < 30
