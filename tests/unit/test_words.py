import sys
from concurrent.futures import ThreadPoolExecutor

import snowballstemmer
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


def test_threads_do_not_spoil_each_others_stems() -> None:
    endings = ("ing", "ed", "ation", "ness", "fully", "ies")
    asked = [
        f"{a}{b}{end}" for a in "bdfghlmnprst" for b in ("ark", "ell", "ount") for end in endings
    ]
    single = snowballstemmer.stemmer("english")
    expected = [single.stemWord(word) for word in asked]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(5):
                words.stem.cache_clear()
                for found in pool.map(lambda _: [words.stem(word) for word in asked], range(8)):
                    assert found == expected
    finally:
        sys.setswitchinterval(before)
