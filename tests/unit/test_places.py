"""Places: labels for people and exact positions for viewers."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune.ingest.parse import parse
from ragtune.ingest.parse.base import Parsed
from ragtune.places import heading_path, place
from ragtune.types import Anchor, Block, Document, SourceMap


def document(text: str, *anchors: Anchor, type: str = "pdf", blocks: str = "") -> Document:
    made = [
        Block(text.index(h), text.index(h) + len(h), "heading", level)
        for level, h in enumerate(filter(None, blocks.split("|")), 1)
    ]
    return Document(1, "u", "t", text, "", SourceMap(tuple(made), anchors), type)


def test_heading_path() -> None:
    text = "# A\n\nx\n\n## B\n\ny\n\n### [C](u) `d`\n\nz\n\n## E\n\nw\n"
    (found,) = parse(text.encode(), "a.md")
    assert isinstance(found, Parsed)
    paths = {c: heading_path(found.map, text, text.index(f"\n{c}\n") + 1) for c in "xyzw"}
    assert paths == {"x": ("A",), "y": ("A", "B"), "z": ("A", "B", "C d"), "w": ("A", "E")}
    assert heading_path(found.map, text, 0) == ("A",)
    assert heading_path(SourceMap(), text, 5) == ()


def test_line_of_raw_text() -> None:
    text = "# Opening hours\n\nMonday to Friday\n9 to 17\n"
    (found,) = parse(text.encode(), "a.md")
    made = Document(1, "a.md", "", text, "", found.map, "md")  # type: ignore[union-attr]
    where = place(made, text.index("9 to"), text.index("17"))
    assert (where.label, where.line) == ('line 4, "Opening hours"', 4)


@pytest.mark.parametrize(
    ("anchor", "type", "label"),
    [
        (Anchor(0, 9, slide=4), "pptx", "slide 4"),
        (Anchor(0, 9, sheet="Prices", cells="A12:F12"), "xlsx", "Prices!A12:F12"),
        (Anchor(0, 9, sheet="Prices"), "xlsx", "Prices"),
        (Anchor(0, 9, table="products", key="id=3"), "sql", "products id=3"),
        (
            Anchor(0, 9, part="attachment report.pdf", page=2),
            "eml",
            "attachment report.pdf, page 2",
        ),
        (Anchor(0, 9, key="line 17"), "csv", "line 17"),
        (Anchor(0, 9, key="tickets id=7"), "json", "tickets id=7"),
    ],
)
def test_labels(anchor: Anchor, type: str, label: str) -> None:
    assert place(document("some text", anchor, type=type), 0, 4).label == label


def test_without_anchors() -> None:
    made = document("Top\n\none\n\ntwo", type="docx", blocks="Top")
    assert place(made, 6, 8).label == '"Top"'
    plain = SourceMap((Block(0, 3, "paragraph"), Block(5, 8, "paragraph")))
    assert place(Document(1, "", "", "one\n\ntwo", "", plain, "docx"), 5, 8).label == "paragraph 2"


def test_cells_of_several_rows() -> None:
    anchors = (Anchor(0, 4, sheet="S", cells="B2:C2"), Anchor(5, 9, sheet="S", cells="A3:AA3"))
    made = document("some text", *anchors, type="xlsx")
    assert place(made, 2, 7).cells == "A2:AA3"
    assert place(made, 6, 7).cells == "A3:AA3"


def test_boxes_are_cut_to_the_span() -> None:
    anchors = (
        Anchor(0, 10, page=1, box=(100.0, 50.0, 200.0, 60.0)),
        Anchor(11, 21, page=2, box=(100.0, 700.0, 200.0, 710.0)),
    )
    made = document("0123456789 0123456789", *anchors)
    where = place(made, 5, 13)
    assert where.boxes == ((1, 150.0, 50.0, 200.0, 60.0), (2, 100.0, 700.0, 120.0, 710.0))
    assert where.label == "pages 1–2"
    assert place(made, 10, 11).page == 1


@given(st.integers(0, 40), st.integers(0, 40))
def test_any_span_has_a_label(start: int, end: int) -> None:
    text = "Head\n\nsome words here\n\nand more of them"
    made = document(text, Anchor(6, 21, page=1, box=(0.0, 0.0, 9.0, 9.0)), blocks="Head")
    assert place(made, start, end).label


def test_quick() -> None:
    lines = 50_000
    anchors = tuple(
        Anchor(i * 10, i * 10 + 9, page=1 + i // 40, box=(0.0, 0.0, 90.0, 10.0))
        for i in range(lines)
    )
    blocks = tuple(
        Block(i * 10, i * 10 + 9, "heading" if i % 20 == 0 else "paragraph", 1 + (i % 60) // 20)
        for i in range(lines)
    )
    made = Document(1, "", "", "123456789 " * lines, "", SourceMap(blocks, anchors), "pdf")
    place(made, 0, 5)
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        for i in range(200):
            place(made, i * 2400, i * 2400 + 25)
        best = min(best, (time.perf_counter() - began) / 200)
    assert best < 200e-6  # about 20 µs; room for a busy machine


def test_threads_may_ask_for_places_at_once() -> None:
    documents = [document(f"H{n}\n\ntext", blocks=f"H{n}") for n in range(300)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for found in pool.map(
                lambda _: [heading_path(d.map, d.text, len(d.text)) for d in documents], range(40)
            ):
                assert found == [(f"H{n}",) for n in range(300)]
    finally:
        sys.setswitchinterval(before)
