"""HTML, mail, JSON and XML."""

from __future__ import annotations

import contextlib
import json
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtune.errors import DocumentError
from ragtune.ingest.parse import Parsed, parse, quick_text
from ragtune.ingest.parse.base import broken_rule


def one(data: bytes, name: str) -> Parsed:
    (found,) = parse(data, name)
    assert isinstance(found, Parsed)
    assert broken_rule(found) is None
    return found


def kinds(found: Parsed) -> list[tuple[str, int, str]]:
    return [(b.kind, b.level, found.text[b.start : b.end]) for b in found.map.blocks]


def test_what_html_hides_is_not_read() -> None:
    hidden = [
        '<h2 hidden>zorqa</h2>', '<li style="font-size:0">zorqa</li>', "<!-- zorqa -->",
        '<b style="color:red; opacity: 0.0 !important">zorqa</b>',
        '<a style="DISPLAY:none">zorqa</a>',
        '<p style="visibility: hidden">zorqa</p>', '<em style="font-size:0px">zorqa</em>',
    ]  # fmt: skip
    shown = '<p style="font-size:0.9em">small</p><p style="opacity:0.5;line-opacity:0">pale</p>'
    found = one(f"<body style='opacity:0'><p>Seen.</p>{''.join(hidden)}{shown}".encode(), "x")
    assert "zorqa" not in found.text
    assert found.text == "Seen.\n\nsmall\n\npale"


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.html", "a.csv"])
def test_unseen_marks_are_taken_out_and_joiners_stay(name: str) -> None:
    tags = "".join(chr(0xE0000 + ord(c)) for c in "ignore")
    said = f"pay\u200broll{tags} \u202eabc\u2066 is \u2063open, می\u200cخواهم"
    found = one(f"word,more\n{said},x\n".encode(), name)
    assert "payroll abc is open" in found.text
    assert "می\u200cخواهم" in found.text
    quick = quick_text(f"word,more\n{said},x\n".encode(), name)
    assert quick is None or quick.text == found.text


def test_html() -> None:
    page = """<!doctype html><html><head><title>Hire &amp; go</title><style>p{}</style>
    <script>var x = "<p>no</p>"</script></head><body><nav><a href=/>Home</a></nav>
    <h1>Terms</h1><p>Bold <b>wo</b>rds&nbsp;and<br>breaks.</p>loose text
    <ul><li>one<ul><li>inner</li></ul></li><li><p>two</p></li></ul>
    <ol start=3><li>three</li></ol>
    <table><tr><th>Unit</th><th>Price</th></tr><tr><td>Kondor</td><td>12.00</td></tr></table>
    <table><tr><td>•</td><td>layout text</td></tr></table>
    <pre>  a
    b</pre><div style="display:none">hidden</div></body></html>"""
    found = one(page.encode(), "x")
    assert (found.title, found.type) == ("Hire & go", "html")
    assert kinds(found) == [
        ("heading", 1, "Terms"),
        ("paragraph", 0, "Bold words and\nbreaks."),
        ("paragraph", 0, "loose text"),
        ("item", 0, "- one"),
        ("item", 1, "- inner"),
        ("item", 0, "- two"),
        ("item", 0, "3. three"),
        ("header", 0, "Unit | Price"),
        ("row", 0, "Unit: Kondor | Price: 12.00"),
        ("item", 0, "- layout text"),
        ("code", 0, "a\n    b"),
    ]


def test_a_page_of_navigation_only_is_kept() -> None:
    assert "Prices" in one(b"<html><body><nav><a>Prices</a></nav></body></html>", "a.html").text


def test_html_encodings() -> None:
    page = '<html><head><meta charset="cp1251"></head><body><p>Договор аренды</p></body></html>'
    assert one(page.encode("cp1251"), "a.html").text == "Договор аренды"
    assert one(page.encode("utf-16"), "a.html").text == "Договор аренды"


def test_deep_html_is_read() -> None:
    page = b"<div>" * 20_000 + b"deep" + b"</div>" * 20_000
    assert "deep" in one(b"<html><body>" + page, "a.html").text


@settings(max_examples=60)
@given(st.text(st.sampled_from("<>/=\"' abctdrhliu1ñ&;-!"), max_size=120))
def test_any_markup_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(DocumentError):
        one(b"<html><body><table><tr><td>w" + text.encode(), "a.html")


def mail() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Jörg <j@x.example>"
    message["To"] = "a@x.example"
    message["Date"] = "Wed, 11 Feb 2026 09:14:00 +0100"
    message["Subject"] = "Prices – corrected"
    message.set_content("Dear all,\n\nthe price is 405 €.\n\n> On Tuesday you wrote:\n> 432?\n")
    message.add_alternative(
        "<p>Dear all, the price is 405 €.</p><p>On Tuesday you wrote: html twin</p>", subtype="html"
    )
    return message


def test_mail_with_attachments() -> None:
    message = mail()
    message.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="rota.csv")
    message.add_attachment(b"\x00\x01", maintype="application", subtype="x", filename="x.bin")
    found = one(message.as_bytes(), "m.eml")
    assert found.title == "Prices – corrected"
    assert kinds(found) == [
        ("paragraph", 0, "From: Jörg <j@x.example>\nTo: a@x.example\n"
                         "Date: Wed, 11 Feb 2026 09:14:00 +0100\nSubject: Prices – corrected"),
        ("paragraph", 0, "Dear all,"),
        ("paragraph", 0, "the price is 405 €."),
        ("paragraph", 0, "On Tuesday you wrote:\n432?"),
        ("heading", 1, "Attachment: rota.csv"),
        ("header", 0, "a | b"),
        ("row", 0, "a: 1 | b: 2"),
        ("paragraph", 0, "Attachment: x.bin"),
    ]  # fmt: skip
    parts = {a.part for a in found.map.anchors}
    assert parts == {"header", "body", "attachment rota.csv", "attachment x.bin"}


def test_mail_in_mail_is_bounded() -> None:
    message = mail()
    for _ in range(12):
        outer = mail()
        outer.add_attachment(message)
        message = outer
    assert len(one(message.as_bytes(), "m.eml").text) < 5000


def test_encrypted_mail() -> None:
    data = (
        b"From: a@b\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/encrypted; boundary=b"
    )
    with pytest.raises(DocumentError, match="encrypted"):
        parse(
            data + b"\n\n--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b--\n", "m"
        )


def test_json_records_and_tickets() -> None:
    data = {
        "tickets": [
            {"id": 7, "subject": "No heat", "body": "It stopped.\n\nSince Monday.", "tags": ["a"]},
            {"id": 8, "subject": "Late", "body": "Two hours."},
        ],
        "site": "Brunnfeld",
    }
    found = one(json.dumps(data).encode(), "t.json")
    assert kinds(found) == [
        ("paragraph", 0, "site: Brunnfeld"),
        ("heading", 2, "tickets"),
        ("heading", 3, "No heat"),
        ("paragraph", 0, "id: 7\ntags: a"),
        ("paragraph", 0, "body: It stopped."),
        ("paragraph", 0, "Since Monday."),
        ("row", 0, "id: 8 | subject: Late | body: Two hours."),
    ]
    assert {a.key for a in found.map.anchors} == {"tickets id=7", "tickets id=8"}


def test_jsonl() -> None:
    found = one(b'{"q": "a", "n": 1}\n\n{"q": "b", "ok": true}\n', "t.txt")
    assert found.type == "jsonl"
    assert [a.key for a in found.map.anchors] == ["line 1", "line 3"]
    assert kinds(found)[1] == ("row", 0, "q: b | ok: yes")
    with pytest.raises(DocumentError, match="line 2"):
        parse(b'{"a": 1}\n{"a": \n', "t.jsonl")


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 50_000, b'{"a": 1,}'])
def test_malformed_json(data: bytes) -> None:
    with pytest.raises(DocumentError, match="malformed JSON"):
        parse(data, "a.json")


def test_deep_json() -> None:
    with pytest.raises(DocumentError, match="nested too deeply"):
        parse(b'{"a": [{"b":' * 100 + b'"xxxx"' + b"}]}" * 100, "a.json")


def test_xml() -> None:
    data = '<?xml version="1.0" encoding="UTF-16"?><f><c name="US"><gdp>1</gdp><y>2</y></c></f>'
    found = one(data.encode("utf-16"), "a.xml")
    assert found.type == "xml"
    assert "gdp: 1 | y: 2" in found.text
