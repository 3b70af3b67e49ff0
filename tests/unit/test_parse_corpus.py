"""The corpus of real and damaged files: each gives text or one line of what is wrong."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ragtune.errors import DocumentError
from ragtune.ingest.parse import Parsed, parse
from ragtune.ingest.parse.base import broken_rule

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("RAGTUNE_BENCH", ROOT / "../shared/bench")) / "parser_corpus"
FILES = sorted(p for p in CORPUS.rglob("*") if p.is_file() and p.stat().st_size < 2_500_000)

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason=f"no parser corpus in {CORPUS}: set RAGTUNE_BENCH"
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(CORPUS)))
def test_text_or_one_line(path: Path) -> None:
    began = time.perf_counter()
    reason, found = "", []
    try:
        found = parse(path.read_bytes(), path.name)
    except DocumentError as error:
        reason = str(error)
        assert not error.__cause__, "a reason of our own, not a parser's exception"  # noqa: PT017
    assert bool(reason) != bool(found)
    assert "\n" not in reason
    for item in found:
        assert broken_rule(item) is None if isinstance(item, Parsed) else item.reason
    assert time.perf_counter() - began < 60


def read(name: str) -> Parsed:
    (found,) = parse((CORPUS / name).read_bytes(), name)
    assert isinstance(found, Parsed)
    return found


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unstructured/password_protected.xlsx", "encrypted"),
        ("unstructured/pdf/password.pdf", "encrypted"),
        ("unstructured/eml/fake-encrypted.eml", "encrypted"),
        ("unstructured/fake-encrypted.msg", "encrypted"),
        ("unstructured/empty.txt", "empty"),
        ("unstructured/simple.doc", "save it as .docx"),
        ("unstructured/picture.pptx", "no text"),
    ],
)
def test_refused(name: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        read(name)


@pytest.mark.parametrize(
    ("name", "quotes"),
    [
        ("unstructured/fake-power-point-malformed.pptx", ["Test Slide"]),
        ("unstructured/fake-text-utf-16.txt", ["This is a test document to use for unit tests."]),
        ("unstructured/fake-text-utf-32.txt", ["This is a test document to use for unit tests."]),
        ("unstructured/stanley-cups-utf-16.csv", ["Team: Blues | Location: STL"]),
        ("unstructured/example-steelJIS-datasheet-utf-16.html", ["max 0.025", "成分"]),
        ("unstructured/umlauts-non-utf8.md", ["können"]),
        ("unstructured/fake-html-cp1252.html", ["L'été était très chaud", "O João comprou"]),
        ("unstructured/factbook.xml", ["United States"]),
        ("unstructured/example-10k-1p.html", ["Name of exchange on which registered: OTCQB"]),
        ("unstructured/simple.odt", ["These are a few of my favorite things:", "- Parrots"]),
        ("unstructured/language-docs/eng_spa_mult.rtf", ["iguales en dignidad y derechos"]),
        ("unstructured/eml/email-no-utf8-2008-07-16.062410.eml", ["שלום"]),
        ("unstructured/eml/fake-email-attachment.eml", ["Attachment: fake-attachment.txt"]),
        ("unstructured/tests-example.xls", ["What is 2+2?"]),
        ("unstructured/handbook-1p.docx", ["The United States Trustee appoints and supervises"]),
        ("unstructured/example-list-items-multiple.docx", ["  a) The quick brown fox"]),
        ("unstructured/pdf/multi-column-2p.pdf", ["relies on efficient passage retrieval to select "
                                                  "candidate contexts"]),
        ("unstructured/pdf/embedded-images-tables.pdf", ["2 | 1.9460 | 0.0596 | 0.8276"]),
        ("markitdown/test.docx", ["AutoGen: Enabling Next-Gen LLM Applications"]),
        ("markitdown/test_outlook_msg.msg", ["Subject: Test Email Message"]),
    ],
)  # fmt: skip
def test_contents(name: str, quotes: list[str]) -> None:
    text = read(name).text
    for quote in quotes:
        assert quote in text


def test_zip_of_many_kinds() -> None:
    found = parse((CORPUS / "markitdown/test_files.zip").read_bytes(), "test_files.zip")
    kinds = {f.name: f.type for f in found if isinstance(f, Parsed)}
    assert kinds.items() >= {"test.docx": "docx", "test.pptx": "pptx", "test.xlsx": "xlsx"}.items()


def test_a_book_of_619_pages() -> None:
    path = CORPUS / "unstructured/pdf/DA-619p.pdf"
    began = time.perf_counter()
    (found,) = parse(path.read_bytes(), path.name)
    seconds = time.perf_counter() - began
    assert isinstance(found, Parsed)
    assert broken_rule(found) is None
    assert max(a.page or 0 for a in found.map.anchors) == 619
    assert seconds < 30  # 2 s on an idle core
