from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune.types import Document, SourceMap
from ragtune.versions import superseded, version

TODAY = date(2026, 3, 1)


def document(id: int, title: str, head: str) -> Document:
    return Document(id, f"docs/{id}.pdf", title, head, "0", SourceMap())


OLD = document(1, "Travel policy 2023", "Version 2.0, valid from 1 January 2023.")
NEW = document(2, "Travel policy", "Version 3.0, valid from 1 April 2025. It replaces 2.0.")


def test_the_newer_of_two_versions_replaces_the_older() -> None:
    assert superseded([OLD, NEW], TODAY) == {1}
    assert superseded([OLD], TODAY) == frozenset()


def test_what_is_not_yet_in_force_replaces_nothing() -> None:
    assert superseded([OLD, NEW], date(2025, 3, 31)) == frozenset()


def test_other_documents_are_left_alone() -> None:
    other = document(3, "Leave policy", "Version 1.0, valid from 1 January 2020.")
    undated = document(4, "Travel policy", "No version at all.")
    assert superseded([OLD, other, undated], TODAY) == frozenset()


def test_version_numbers_count_where_there_are_no_dates() -> None:
    documents = [document(i, f"Price list v{i}", f"Edition {i}") for i in (1, 2, 10)]
    assert superseded(documents, TODAY) == {1, 2}


@pytest.mark.parametrize(
    "text",
    [
        "Valid from 1 April 2025",
        "valid from: 2025-04-01",
        "effective as of April 1, 2025",
        "Gültig ab 01.04.2025",
        "gültig ab 1. April 2025",
    ],
)
def test_dates_of_validity(text: str) -> None:
    assert version("T", "t.md", text).valid_from == date(2025, 4, 1)


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_accepted(title: str, head: str) -> None:
    assert superseded([document(1, title, head), document(2, title, head)], TODAY) == frozenset()
