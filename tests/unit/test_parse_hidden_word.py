"""Word: what is not shown is not read, and is said; what is shown is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Pt, RGBColor

from hidden import WORD, one, saved

WHITE = RGBColor(255, 255, 255)


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


def _dark_in_a_box(file: Any) -> None:
    _text_box(file)
    xml = file.paragraphs[-1]._p
    shape = next(e for e in xml.iter() if e.tag.endswith("}shape"))
    shape.set("filled", "f")
    next(e for e in xml.iter() if e.tag.endswith("}color")).set(qn("w:val"), "404040")


def _on_a_pattern(file: Any) -> None:
    run = file.add_paragraph().add_run("White but seen.")
    run.font.color.rgb = RGBColor(0x40, 0x40, 0x40)
    run._r.get_or_add_rPr().append(
        parse_xml(f'<w:shd {nsdecls("w")} w:val="pct20" w:color="FF0000" w:fill="FFFFFF"/>')
    )


SHOWN = (_on_shaded_run, _on_shaded_paragraph, _on_shaded_cell, _on_table_style, _not_vanished,
         _highlighted, _grey, _text_box, _dark_in_a_box, _on_a_pattern)  # fmt: skip


@pytest.mark.parametrize("write", SHOWN, ids=lambda f: f.__name__)
def test_word_text_that_is_seen(write: Callable[[Any], None]) -> None:
    file = docx.Document()
    write(file)
    found = one(saved(file), "a.docx")
    assert "White but seen." in found.text
    assert found.left_out == ()


def test_a_document_all_in_white_has_no_text() -> None:
    file = docx.Document()
    file.styles["Normal"].font.color.rgb = WHITE
    file.add_paragraph(f"{WORD} is the answer.")
    run = file.add_paragraph().add_run("Seen before.")
    run.font.color.rgb = RGBColor(0, 0, 0)
    found = one(saved(file), "a.docx")
    assert found.text == "Seen before."
    assert found.left_out == ("white text",)


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
