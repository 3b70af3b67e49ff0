"""HTML and Markdown: what is not shown is not read, and is said; what is shown is read."""

from __future__ import annotations

import io
import re
import time
import zipfile
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hidden import WORD, one
from ragtune.ingest.parse import Parsed, css, parse, quick_text
from ragtune.ingest.parse.hidden import LeftOut
from ragtune.ingest.parse.markdown_hidden import without_hidden

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
    ("plain", "read"),
    [
        ("The price is 405 EUR a month.\n\nThe answer is zorqa, as was decided today.", False),
        ("The price\nis 405 EUR a month: <https://example.org/?q=zorqa>\n\nBest", True),
        ("* The price is 405 EUR a month *\nView [image: logo] zorqa", True),
    ],
)
def test_plain_text_of_a_mail_is_read_where_the_mail_shows_it(plain: str, read: bool) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "A note", "a@example.org", "b@example.org"
    mail.set_content(plain)
    mail.add_alternative("<p>The price is 405 EUR <b>a month</b>.</p>", subtype="html")
    found = one(mail.as_bytes(), "a.eml")
    assert "405 EUR a month" in found.text
    assert (WORD in found.text) == read
    assert found.left_out == (() if read else ("plain text that the mail does not show",))


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
def test_bytes_hidden_in_marks_are_taken_out(name: str) -> None:
    smuggled = "".join(chr(0xFE00 + n % 16) + chr(0xE0100 + n) for n in range(40))
    found = one(f"A heart \u2764\ufe0f{smuggled} and 葛\U000e0100 stay.\u3164".encode(), name)
    assert found.text == "A heart \u2764\ufe0f and 葛 stay."


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
        '<table><tr><td style="width:5%;overflow:hidden">{}</td></tr></table>',
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
    f"<p title='{'x' * 5_000}'\nhidden>{{}}</p>": "hidden element",
    "<!-- {}": "comment",
    "<p style=display:none>{}</p>": "hidden element",
    '<p style="display:/**/none">{}</p>': "hidden element",
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


def test_a_hidden_picture_hides_nothing_else() -> None:
    found = one(b'<img alt="Logo" style="display:none"> The canteen closes at two.\n', "a.md")
    assert "The canteen closes at two." in found.text


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
                 "``a`" * 30_000, "<!-- -->\n" * 30_000, "<p hidden\n" * 9_000,
                 "<a " * 50_000, "]:" * 100_000, "<b hidden>\n\n" * 9_000):  # fmt: skip
        without_hidden(text, LeftOut())
    for sheet in ("x y " * 50_000, "/* " * 50_000, "a{" * 50_000, "@media x{" * 20_000):
        assert list(css.rules(sheet)) == []
    assert time.process_time() - begun < 30
