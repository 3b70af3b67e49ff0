"""Plain text, Markdown and encodings: the canonical text is the file itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune.errors import DocumentError
from ragtune.ingest.parse import Parsed, parse, quick_text
from ragtune.ingest.parse.base import broken_rule
from ragtune.ingest.parse.decode import without_unseen

LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["# One", "## Two ##", "- item", "  - inner", "1. first", "> quote", "```", "~~~",
             "| a | b |", "|---|---|", "---", "===", "Title", "    code", "\tcode", "", "", "  ",
             "* * *", "+ x", "[a]: b", "A    B    C", "1) x", "SHOUT", "Section 3 - Term"]
        ),
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30),
    ),
    max_size=25,
)  # fmt: skip


def one(data: bytes, name: str) -> Parsed:
    (found,) = parse(data, name)
    assert isinstance(found, Parsed)
    assert broken_rule(found) is None
    return found


def kinds(found: Parsed) -> list[tuple[str, int, str]]:
    return [(b.kind, b.level, found.text[b.start : b.end]) for b in found.map.blocks]


@pytest.mark.parametrize("name", ["a.md", "a.txt"])
@given(lines=LINES)
def test_text_is_the_file_and_the_map_is_valid(name: str, lines: list[str]) -> None:
    text = "Word\n\n" + "\n".join(lines)
    found = quick_text(text.encode(), name)
    if found is not None and found.type in ("md", "txt"):
        assert found.text == text
        assert broken_rule(found) is None


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=200))
def test_any_text_is_read_whole_or_refused(text: str) -> None:
    try:
        (found,) = parse(text.encode(), "a.txt")
    except DocumentError:
        return
    assert isinstance(found, Parsed)
    if found.type == "txt":
        whole = without_unseen(text.removeprefix("\ufeff")).replace("\x00", "")
        assert found.text.replace("\ufffd", "") == whole.replace("\ufffd", "")


def test_markdown_structure() -> None:
    source = """---
title: The guide
tags: [a, b]
---
# Top

Intro line
goes on.

Setext
------

- one
  more
  - inner
1. first

| A | B |
|---|---|
| 1 | 2 |

```python
# not a heading
```
"""
    found = one(source.replace("\n", "\r\n").encode("utf-8-sig"), "guide.md")
    assert found.text == source
    assert (found.title, found.tags, found.type) == ("The guide", ("a", "b"), "md")
    assert kinds(found) == [
        ("code", 0, "---\ntitle: The guide\ntags: [a, b]\n---"),
        ("heading", 1, "# Top"),
        ("paragraph", 0, "Intro line\ngoes on."),
        ("heading", 2, "Setext\n------"),
        ("item", 0, "- one\n  more"),
        ("item", 1, "- inner"),
        ("item", 0, "1. first"),
        ("header", 0, "| A | B |"),
        ("row", 0, "| 1 | 2 |"),
        ("code", 0, "```python\n# not a heading\n```"),
    ]


def test_plain_text_structure() -> None:
    source = """COMPANY CAR POLICY

1. Who receives a car
Company cars are assigned to people who travel at least 15,000 km a year, with
20 Merle
80. That is a sentence, not an item.

Steps:
- one
- two
  more

Name          Price
Kondor        12.00
Merle         9.00
"""
    found = one(source.encode(), "cars.txt")
    assert found.title == "COMPANY CAR POLICY"
    assert [(k, level) for k, level, _ in kinds(found)] == [
        ("heading", 1), ("heading", 2), ("paragraph", 0), ("paragraph", 0), ("item", 0),
        ("item", 0), ("row", 0), ("row", 0), ("row", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "cp1252"],
)
def test_encodings(encoding: str) -> None:
    text = "Größe und Maß: 12,50 € für Café, naïve Übung. " * 3
    assert one(text.encode(encoding), "a.txt").text == text


def test_other_alphabets_without_a_mark() -> None:
    russian = "Договор аренды оборудования заключён на срок до тридцати месяцев. " * 4
    assert "Договор аренды" in one(russian.encode("cp1251"), "a.txt").text
    japanese = "この契約は三十ヶ月の期間で締結されます。保証期間は納品から始まります。" * 4
    assert "この契約" in one(japanese.encode("shift_jis"), "a.txt").text


def test_damaged_utf8_keeps_its_text() -> None:
    data = ("Straße " * 40).encode() + b"\xff" + (" Öl" * 20).encode()
    assert one(data, "a.txt").text.count("Straße") == 40


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \r\n\t\n", "empty"),
        (b"\x00" * 500, "empty"),
        (bytes(range(256)) * 20, "binary"),
        (b"--- *** !!!", "no text"),
    ],
)
def test_nothing_readable_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        parse(data, "a.txt")


def test_scanners_stay_linear() -> None:
    import time

    for unit in ("#", "[", "| ", "- ", "```\n", "a  ", "1. ", "=\n", "> ", "§ 1 ", "|-", "*", "\t"):
        for name in ("a.md", "a.txt"):
            data = (unit * (64_000 // len(unit)) + "x").encode()
            began = time.perf_counter()
            quick_text(data, name)
            assert time.perf_counter() - began < 2, (unit, name)
