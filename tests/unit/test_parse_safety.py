"""Hostile and lying files: zip bombs, entity bombs, paths that lead out, wrong names."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest

from ragtune.errors import DocumentError
from ragtune.ingest.parse import Failed, Parsed, container, parse
from ragtune.ingest.parse.zips import safe_name

DOCX = "word/document.xml"


def make_zip(members: dict[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def word(body: str, head: str = "") -> bytes:
    ns = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = f'<w:document xmlns:w="{ns}"><w:body>{body}</w:body></w:document>'
    xml = f'<?xml version="1.0"?>{head}{body}'
    return make_zip({"[Content_Types].xml": "<Types/>", DOCX: xml})


def test_entities_are_not_expanded() -> None:
    lol = '<!DOCTYPE d [<!ENTITY a "lol">' + "".join(
        f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9)
    )
    data = word("<w:p><w:r><w:t>word &j;</w:t></w:r></w:p>", lol + "]>")
    (found,) = parse(data, "a.docx")
    assert isinstance(found, Parsed)
    assert "lol" not in found.text


def test_external_entities_are_not_loaded() -> None:
    head = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    (found,) = parse(word("<w:p><w:r><w:t>word &x;</w:t></w:r></w:p>", head), "a.docx")
    assert isinstance(found, Parsed)
    assert "root:" not in found.text
    xml = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><d><a>word</a><b>&x;</b></d>'
    (found,) = parse(xml, "a.xml")
    assert isinstance(found, Parsed)
    assert "root:" not in found.text


@pytest.mark.parametrize("name", ["a.zip", DOCX])
def test_zip_bomb(name: str) -> None:
    data = make_zip({"[Content_Types].xml": "<Types/>", name: b"\x00" * (100 << 20)})
    with pytest.raises(DocumentError, match="zip bomb"):
        parse(data, "a.zip")


def test_too_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MAX_MEMBERS", 10)
    with pytest.raises(DocumentError, match="more than 10 files"):
        parse(make_zip({f"{i}.txt": "x" for i in range(11)}), "a.zip")


def test_zip_members_and_failures() -> None:
    inner = make_zip({"deep.md": "# Deep", "x.zip": make_zip({"y.txt": "too deep"})})
    data = make_zip(
        {
            "../../etc/a.txt": "climbing",
            "/abs.txt": "absolute",
            "C:\\win\\b.txt": "windows",
            "bad.pdf": b"%PDF-1.4 nothing",
            "inner.zip": inner,
            "__MACOSX/._a.txt": "junk",
            "empty.txt": "",
        }
    )
    found = parse(data, "a.zip")
    read = {f.name: f.text for f in found if isinstance(f, Parsed)}
    assert read == {
        "etc/a.txt": "climbing",
        "abs.txt": "absolute",
        "win/b.txt": "windows",
        "inner.zip!/deep.md": "# Deep",
    }
    failed = {f.name: f.reason for f in found if isinstance(f, Failed)}
    assert set(failed) == {"bad.pdf", "inner.zip!/x.zip", "empty.txt"}
    assert all("\n" not in reason for reason in failed.values())


def test_symlinks_in_zips_are_passed_over() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.txt", "word")
    assert [f.name for f in parse(buffer.getvalue(), "a.zip")] == ["a.txt"]


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "\\\\srv\\x", "a\x00\nb", "c:/a", "."])
def test_safe_names(name: str) -> None:
    safe = safe_name(name)
    assert not safe.startswith("/")
    assert ".." not in safe.split("/")
    assert safe.isprintable()


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.doc", "damaged Office file"),
        (b"PK\x05\x06" + bytes(18), "a.zip", "empty"),
        (b"%PDF-1.7\ngarbage", "a.pdf", "damaged PDF"),
        (b"\x7fELF" + bytes(100), "a.txt", "program"),
        (b"\x1f\x8b\x08" + bytes(100), "a.txt", "gzip"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a.pdf", "picture|no text layer"),
        (b"{\\rtf1" + b"{" * 5000 + b"x", "a.rtf", "nested too deeply"),
    ],
)
def test_refused_with_a_reason(data: bytes, name: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        parse(data, name)


def test_type_by_content_not_by_name() -> None:
    (found,) = parse(word("<w:p><w:r><w:t>word</w:t></w:r></w:p>"), "lying.pdf")
    assert isinstance(found, Parsed)
    assert found.type == "docx"
    (found,) = parse(b"<!doctype html><p>page</p>", "lying.txt")
    assert isinstance(found, Parsed)
    assert found.type == "html"
