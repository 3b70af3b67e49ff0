"""PowerPoint, OpenDocument and RTF: what is not shown is not read, and is said."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pptx
import pytest
from pptx.util import Emu, Inches, Pt

from hidden import WORD, one, saved


def deck(change: Callable[[Any], None]) -> Any:
    made = pptx.Presentation()
    for title in ("Units", "Prices"):
        slide = made.slides.add_slide(made.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "Seen before."
    change(made)
    return one(saved(made), "a.pptx")


def box(made: Any, x: int = 914_400) -> Any:
    place = Emu(x), Inches(5), Inches(2), Inches(1)
    frame = made.slides[1].shapes.add_textbox(*place).text_frame
    frame.text = f"{WORD} is the answer."
    return frame


def d_hidden_slide(made: Any) -> None:
    box(made)
    made.slides[1]._element.set("show", "0")


def d_beside(made: Any) -> None:
    box(made, Inches(-5))


def d_under(made: Any) -> None:
    box(made, Emu(made.slide_width))


def d_hidden_shape(made: Any) -> None:
    box(made)
    made.slides[1].shapes[-1]._element[0][0].set("hidden", "1")


def d_hidden_group(made: Any) -> None:
    group = made.slides[1].shapes.add_group_shape()
    frame = group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame
    frame.text = WORD
    group._element[0][0].set("hidden", "1")


def d_tiny(made: Any) -> None:
    box(made).paragraphs[0].runs[0].font.size = Pt(1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (d_hidden_slide, "hidden slide 2"), (d_beside, "text beside slide 2"),
        (d_under, "text beside slide 2"), (d_hidden_shape, "hidden shape on slide 2"),
        (d_hidden_group, "hidden shape on slide 2"), (d_tiny, "tiny text on slide 2"),
    ],
)  # fmt: skip
def test_slides_that_are_not_seen(change: Callable[[Any], None], said: str) -> None:
    found = deck(change)
    assert WORD not in found.text
    assert "Seen before." in found.text
    assert found.left_out == (said,)


def d_over_the_edge(made: Any) -> None:
    box(made, Inches(-1))


def d_notes(made: Any) -> None:
    made.slides[1].notes_slide.notes_text_frame.text = WORD


def d_in_group(made: Any) -> None:
    group = made.slides[1].shapes.add_group_shape()
    group.shapes.add_textbox(Inches(-90), 0, Inches(1), Inches(1)).text_frame.text = WORD


@pytest.mark.parametrize("change", [box, d_over_the_edge, d_notes, d_in_group])
def test_slides_that_are_seen(change: Callable[[Any], None]) -> None:
    found = deck(change)
    assert WORD in found.text
    assert found.left_out == ()


# ---------------------------------------------------------------- OpenDocument

_NS = "urn:oasis:names:tc:opendocument:xmlns:"
_STYLES = """
<style:style style:name="Hide" style:family="text"><style:text-properties text:display="none"/>
</style:style><style:style style:name="Sub" style:family="text" style:parent-style-name="Hide"/>
<style:style style:name="White" style:family="paragraph"><style:text-properties fo:color="#ffffff"/>
</style:style><style:style style:name="Dark" style:family="paragraph">
<style:paragraph-properties fo:background-color="#203060"/>
<style:text-properties fo:color="#ffffff"/></style:style>
<style:style style:name="Tiny" style:family="text"><style:text-properties fo:font-size="1pt"/>
</style:style><style:style style:name="Show" style:family="text">
<style:text-properties fo:color="#000000"/></style:style>
<style:style style:name="Cell" style:family="table-cell">
<style:table-cell-properties fo:background-color="#000000"/></style:style>
<style:style style:name="Off" style:family="drawing-page">
<style:drawing-page-properties presentation:visibility="hidden"/></style:style>
"""


def odf(body: str, kind: str = "text") -> Any:
    spaces = "".join(
        f' xmlns:{short}="{_NS}{name}:1.0"'
        for short, name in (
            ("office", "office"), ("text", "text"), ("table", "table"), ("style", "style"),
            ("fo", "xsl-fo-compatible"), ("draw", "drawing"), ("presentation", "presentation"),
        )
    )  # fmt: skip
    content = (
        f"<office:document-content{spaces}><office:automatic-styles>{_STYLES}"
        f"</office:automatic-styles><office:body><office:{kind}><text:p>Seen before.</text:p>{body}"
        f"</office:{kind}></office:body></office:document-content>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr("content.xml", content)
    return one(out.getvalue(), "a.odt")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<text:p>a <text:span text:style-name="Hide">{}</text:span></text:p>', "hidden text"),
        ('<text:p><text:span text:style-name="Sub">{}</text:span> a</text:p>', "hidden text"),
        ('<text:p text:style-name="White">{}</text:p>', "white text"),
        ('<text:p><text:span text:style-name="Tiny">{}</text:span></text:p>', "tiny text"),
        ("<text:p>a<text:hidden-text>{}</text:hidden-text></text:p>", "hidden text"),
        ('<text:section text:display="none"><text:p>{}</text:p></text:section>', "hidden section"),
        ('<table:table><table:table-row table:visibility="collapse"><table:table-cell><text:p>{}'
         "</text:p></table:table-cell></table:table-row></table:table>", "hidden table row"),
    ],
)  # fmt: skip
def test_opendocument_text_that_is_not_seen(body: str, said: str) -> None:
    found = odf(body.format(WORD))
    assert WORD not in found.text
    assert "Seen before." in found.text
    assert found.left_out == (said,)


def test_a_hidden_slide_of_opendocument() -> None:
    page = "<draw:page {}><draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame></draw:page>"  # noqa: E501
    found = odf(
        page.format("", "One")
        + page.format('draw:style-name="Off"', WORD)
        + page.format("", "Two"),
        "presentation",
    )
    assert WORD not in found.text
    assert found.left_out == ("hidden slide",)
    assert found.map.anchors[-1].slide == 3


@pytest.mark.parametrize(
    "body",
    [
        '<text:p text:style-name="Dark">{}</text:p>',
        '<text:p text:style-name="White"><text:span text:style-name="Show">{}</text:span></text:p>',
        '<table:table><table:table-row><table:table-cell table:style-name="Cell">'
        '<text:p text:style-name="White">{}</text:p></table:table-cell></table:table-row>'
        "</table:table>",
    ],
)
def test_opendocument_text_that_is_seen(body: str) -> None:
    found = odf(body.format(WORD))
    assert WORD in found.text
    assert found.left_out == ()


# ---------------------------------------------------------------- RTF


def rtf(body: str) -> Any:
    head = r"{\rtf1\ansi{\colortbl;\red255\green255\blue255;\red0\green0\blue128;}Seen before.\par "
    return one((head + body + r"\par}").encode(), "a.rtf")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (r"{\v %s}", "hidden text"), (r"{\cf1 %s}", "white text"), (r"{\fs2 %s}", "tiny text"),
        (r"\v %s\v0  shown", "hidden text"), (r"{\highlight1\cf1 %s}", "white text"),
    ],
)  # fmt: skip
def test_rtf_text_that_is_not_seen(body: str, said: str) -> None:
    found = rtf(body % WORD)
    assert WORD not in found.text
    assert "Seen before." in found.text
    assert found.left_out == (said,)


@pytest.mark.parametrize(
    "body",
    [
        r"{\cf2 %s}", r"{\cf1\highlight2 %s}", r"{\cf1\chcbpat2 %s}", r"\pard\cbpat2\cf1 %s",
        r"{\v\plain %s}", r"{\v0 %s}", r"\trowd\clcbpat2\cellx100{\cf1 %s}\cell x\cell\row",
    ],
)  # fmt: skip
def test_rtf_text_that_is_seen(body: str) -> None:
    found = rtf(body % WORD)
    assert WORD in found.text
    assert found.left_out == ()
