"""Sentences: exact spans that hold everything but white space, once."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune.sentences import LONGEST, sentences
from ragtune.types import Block

CHARACTERS = st.one_of(
    st.sampled_from(list("aAzZ09.,:;!?'\"()\n\t €ßéI5")), st.characters(codec="utf-8")
)
TEXT = st.text(CHARACTERS, max_size=300)
KINDS = ("heading", "paragraph", "item", "header", "row", "code")


def said(text: str, blocks: tuple[Block, ...] = ()) -> list[str]:
    return [text[a:b] for a, b in sentences(text, 0, len(text), blocks)]


@st.composite
def structured(draw: st.DrawFn) -> tuple[str, tuple[Block, ...], int, int]:
    """A text, disjoint blocks in it, and a span of it."""
    text = draw(TEXT)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    blocks = tuple(
        Block(a, b, draw(st.sampled_from(KINDS)))
        for a, b in zip(cuts[::2], cuts[1::2], strict=False)
        if a < b
    )
    start = draw(st.integers(0, len(text)))
    return text, blocks, start, draw(st.integers(start, len(text)))


@given(structured())
def test_spans_cover_all_but_white_space_once(
    case: tuple[str, tuple[Block, ...], int, int],
) -> None:
    text, blocks, start, end = case
    spans = sentences(text, start, end, blocks)
    assert spans == sorted(spans)
    covered: list[int] = []
    for low, high in spans:
        assert start <= low < high <= end
        assert high - low <= LONGEST
        assert text[low:high] == text[low:high].strip()
        covered += range(low, high)
    assert len(covered) == len(set(covered))
    rest = set(range(start, end)) - set(covered)
    assert all(text[i].isspace() for i in rest)


@given(structured())
def test_no_sentence_crosses_a_list_item_or_row(
    case: tuple[str, tuple[Block, ...], int, int],
) -> None:
    text, blocks, start, end = case
    for low, high in sentences(text, start, end, blocks):
        for block in blocks:
            if block.kind != "paragraph" and low < block.end and block.start < high:
                assert block.start <= low
                assert high <= block.end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs $3.5 million. That is a lot.", ["It costs $3.5 million.", "That is a lot."]),
        ("Dr. Smith met J. K. Rowling. He left.", ["Dr. Smith met J. K. Rowling.", "He left."]),
        ("See No. 5, e.g. the map. Then go.", ["See No. 5, e.g. the map.", "Then go."]),
        ("The U.S. Army came. It won.", ["The U.S. Army came.", "It won."]),
        ("Use approx. 5 kg. Stir well.", ["Use approx. 5 kg.", "Stir well."]),
        ("See www.x.com/a.b for more. Thanks!", ["See www.x.com/a.b for more.", "Thanks!"]),
        ("Am 5. Mai kam er. Er blieb.", ["Am 5. Mai kam er.", "Er blieb."]),
        ("Das ist z.B. so. Gut!", ["Das ist z.B. so.", "Gut!"]),
        ("Really? Yes! Fine…", ["Really?", "Yes!", "Fine…"]),
        ("这是第一句。这是第二句！", ["这是第一句。", "这是第二句！"]),
        ("One line\nwrapped here. Next.", ["One line\nwrapped here.", "Next."]),
        ("No full stop\n\nNew paragraph", ["No full stop", "New paragraph"]),
        ("  \n ", []),
        ("", []),
    ],
)
def test_running_text(text: str, expected: list[str]) -> None:
    assert said(text) == expected


def test_items_rows_and_headings_are_units() -> None:
    text = "Steps. Now:\nPress A. Then B.\nPress C.\nAll done. Bye."
    blocks = (
        Block(0, 11, "heading", 1),
        Block(12, 28, "item"),
        Block(29, 37, "item"),
        Block(38, len(text), "paragraph"),
    )
    assert said(text, blocks) == [
        "Steps. Now:",
        "Press A. Then B.",
        "Press C.",
        "All done.",
        "Bye.",
    ]


def test_a_span_cuts_units_at_its_ends() -> None:
    text = "First one. Second one. Third one."
    assert sentences(text, 3, 20, ()) == [(3, 10), (11, 20)]


def test_fast_enough() -> None:
    text = "The pump runs at 3.5 bar. Dr. Ash checks it on Jan. 5. Is it safe? Yes, it is. " * 500
    start = time.perf_counter()
    count = len(sentences(text, 0, len(text), ()))
    assert (time.perf_counter() - start) / count < 200e-6  # about 10 µs on an idle core
