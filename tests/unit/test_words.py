from hypothesis import given
from hypothesis import strategies as st

from ragtune import words


def test_numbers_have_one_spelling() -> None:
    assert words.numbers("1,000.50") == words.numbers("1.000,5") == ["1000.5"]
    assert words.numbers("three of 12") == ["3", "12"]
    assert words.numbers("at 9:30, 20kg, 1,5 %") == ["9:30", "20", "1.5"]
    assert words.numbers("007") == ["7"]


def test_names_and_codes() -> None:
    assert words.names("Ask Maria Lind about the X200.") == ["maria", "lind", "x200"]
    assert words.names("The dog. Every day I run.") == []


def test_negation() -> None:
    assert words.negated("You don't need it")
    assert words.negated("without a receipt")
    assert not words.negated("a knot in the note")


def test_content_is_stemmed_without_stop_words() -> None:
    assert words.content("How do I claim the travel costs?") == ["claim", "travel", "cost"]


@given(st.text())
def test_any_text_is_accepted(text: str) -> None:
    for token in words.tokens(text):
        assert words.stem(token) is not None
    words.numbers(text), words.names(text), words.content(text), words.critical(text)
