"""Passages: what every split must satisfy, and what structure does to it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtune.ingest.split import Piece, embedded_text, split
from ragtune.types import Block, BlockKind, SourceMap


def count(text: str) -> int:
    """Words and marks, as WordPiece's first step sees them: adds up over white space."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def build(*parts: tuple[BlockKind, str] | tuple[BlockKind, str, int]) -> tuple[str, SourceMap]:
    """A text of the given blocks with blank lines between them, and its map."""
    text, blocks = "", []
    for kind, content, *level in parts:
        blocks.append(Block(len(text), len(text) + len(content), kind, *level))
        text += content + "\n\n"
    return text, SourceMap(tuple(blocks))


def texts(text: str, pieces: Sequence[Piece]) -> list[str]:
    return [text[p.start : p.end] for p in pieces]


words = st.text(st.sampled_from("ab .!?:|\n\té汉。"), min_size=1, max_size=60)
kinds = st.sampled_from(["heading", "paragraph", "item", "header", "row", "code"])
parts = st.lists(st.tuples(kinds, words, st.integers(1, 3)), max_size=14)


@given(parts, st.text("xy ", max_size=30), st.integers(4, 40))
@settings(max_examples=300, deadline=None)
def test_pieces_cover_blocks_once_in_order_and_fit(
    content: list[tuple[BlockKind, str, int]], title: str, window: int
) -> None:
    text, source = build(*content)
    pieces = split(text, source, title, count, window)
    position = 0
    for piece in pieces:
        assert position <= piece.start < piece.end
        position = piece.end
        inside = text[piece.start : piece.end]
        assert inside == inside.strip()
        assert count(embedded_text(piece.heading, inside)) <= window
    covered = [0] * len(text)
    for piece in pieces:
        for at in range(piece.start, piece.end):
            covered[at] += 1
    for block in source.blocks:
        for at in range(block.start, block.end):
            assert text[at].isspace() or covered[at] == 1


@given(st.text(st.sampled_from("ab .!?\n\t\r汉"), max_size=200), st.integers(1, 12))
@settings(max_examples=300, deadline=None)
def test_a_text_without_blocks_is_covered_whole(text: str, window: int) -> None:
    pieces = split(text, SourceMap(), "", count, window)
    assert "".join("".join(t.split()) for t in texts(text, pieces)) == "".join(text.split())


@given(parts, parts, parts, words)
@settings(max_examples=200, deadline=None)
def test_an_edit_in_one_section_leaves_the_others_alone(
    before: list[tuple[BlockKind, str, int]],
    edited: list[tuple[BlockKind, str, int]],
    after: list[tuple[BlockKind, str, int]],
    new: str,
) -> None:
    one: tuple[BlockKind, str, int] = ("heading", "h", 1)
    head = [one, ("paragraph", "p", 0), *before, one]
    tail = [one, *after]

    def by_side(middle: list[tuple[BlockKind, str, int]]) -> tuple[list[str], list[str]]:
        text, source = build(*head, *middle, *tail)
        pieces = split(text, source, "t", count, 16)
        first, last = source.blocks[len(head) - 1].start, source.blocks[-len(tail)].start
        left = [p.heading + text[p.start : p.end] for p in pieces if p.end <= first]
        right = [p.heading + text[p.start : p.end] for p in pieces if p.start >= last]
        return left, right

    assert by_side([("paragraph", "q", 0), *edited]) == by_side([("paragraph", new, 0)])


@given(parts, st.integers(8, 60))
@settings(max_examples=200, deadline=None)
def test_no_piece_reaches_over_a_heading(
    content: list[tuple[BlockKind, str, int]], window: int
) -> None:
    text, source = build(*content)
    for piece in split(text, source, "t", count, window):
        inside = [b for b in source.blocks if b.start < piece.end and b.end > piece.start]
        inside = [b for b in inside if text[b.start : b.end].strip()]
        headings = [b for b in inside if b.kind == "heading"]
        assert inside[: len(headings)] == headings
        levels = [b.level for b in headings]
        assert levels == sorted(set(levels))


def test_small_blocks_of_a_section_share_a_piece_with_its_heading() -> None:
    text, source = build(
        ("heading", "Travel", 1),
        ("heading", "Meals", 2),
        ("paragraph", "Up to 40 euros."),
        ("paragraph", "Keep receipts."),
        ("heading", "Hotels", 2),
        ("paragraph", "Up to 120 euros."),
    )
    pieces = split(text, source, "Policy", count, 60)
    assert [p.heading for p in pieces] == ["Policy > Travel > Meals", "Policy > Travel > Hotels"]
    assert texts(text, pieces) == [
        "Travel\n\nMeals\n\nUp to 40 euros.\n\nKeep receipts.",
        "Hotels\n\nUp to 120 euros.",
    ]


def test_a_title_that_is_also_the_first_heading_is_said_once() -> None:
    text, source = build(("heading", "Travel  Policy", 1), ("paragraph", "Text."))
    assert split(text, source, "Travel policy", count, 60)[0].heading == "Travel policy"


def test_a_list_stays_with_the_sentence_that_leads_into_it() -> None:
    filler = "word " * 20
    text, source = build(
        ("paragraph", filler),
        ("paragraph", "You need:"),
        ("item", "a passport"),
        ("item", "a visa"),
        ("item", "a ticket"),
    )
    pieces = split(text, source, "", count, 25)
    assert texts(text, pieces)[1] == "You need:\n\na passport\n\na visa\n\na ticket"


def test_rows_that_do_not_begin_with_their_header_carry_it() -> None:
    rows = [("row", f"Tool {n} | {n} euros") for n in range(20)]
    text, source = build(("header", "Name | Price"), *rows)  # type: ignore[arg-type]
    pieces = split(text, source, "List", count, 24)
    assert pieces[0].heading == "List"
    assert len(pieces) > 2
    assert {p.heading for p in pieces[1:]} == {"List\nName | Price"}


def test_rows_that_name_their_columns_need_no_header() -> None:
    rows = [("row", f"Name: tool {n} | Price: {n} euros") for n in range(20)]
    text, source = build(("header", "Name | Price"), *rows)  # type: ignore[arg-type]
    assert {p.heading for p in split(text, source, "List", count, 30)} == {"List"}


def test_an_over_long_paragraph_is_cut_at_sentence_ends() -> None:
    text = " ".join(f"This is the sentence with the number {n}." for n in range(30))
    for inside in texts(text, split(text, SourceMap(), "", count, 40)):
        assert inside.startswith("This")
        assert inside.endswith(".")


def test_a_run_without_spaces_does_not_become_one_huge_piece() -> None:
    text = "x" * 100_000  # one unknown token
    pieces = split(text, SourceMap(), "", count, 100)
    assert max(p.end - p.start for p in pieces) <= 100 * 25


def test_a_long_heading_path_keeps_the_title_and_the_last_heading() -> None:
    text, source = build(
        ("heading", "middle " * 8, 1), ("heading", "inner " * 8, 2), ("heading", "Last", 3),
        ("paragraph", "Text."),
    )  # fmt: skip
    assert split(text, source, "Title", count, 40)[-1].heading == "Title > … > Last"


def test_an_empty_text_has_no_pieces() -> None:
    assert split("", SourceMap(), "Title", count, 40) == []
    assert split(" \n ", SourceMap((Block(0, 3, "paragraph"),)), "Title", count, 40) == []


@pytest.mark.parametrize("kind", ["paragraph", "row"])
def test_five_megabytes_a_second_without_counting(kind: BlockKind) -> None:
    line = "The quick brown fox jumps over the lazy dog and goes on to run. " * (
        4 if kind == "paragraph" else 1
    )
    text, source = build(*[(kind, line)] * (4_000_000 // (len(line) + 2)))
    started = time.perf_counter()
    split(text, source, "Title", lambda span: len(span) // 5, 180)
    seconds = time.perf_counter() - started
    assert len(text) / seconds > 1_000_000  # 5 MB/s where the machine is quiet
    print(f"{kind}: {len(text) / seconds / 1e6:.1f} MB/s")
