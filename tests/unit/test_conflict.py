"""Documents that answer differently: said, and never on the word of one document alone."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune import evidence
from ragtune.config import Settings
from ragtune.conflict import SURE, conflicting
from ragtune.protocols import Reading, System
from ragtune.types import Document, Evidence
from ragtune.units import Unit, terms
from small import BagOfWords, OneStore, hit, markdown

DEFAULT = Settings()
ASKS = "How long is the cable of the dryer?"
LEAFLET = markdown("# Dryer\n\nThe cable of the dryer is 3 metres long.", 1, "leaflet.md")
OLD = markdown("# Dryer\n\nThe cable of the dryer is 5 metres long.", 2, "old.md")
SAME = markdown("# Parts\n\nCable of the dryer: 3 metres, black.", 3, "parts.md")
LIE = markdown(f"{ASKS} The cable of the dryer is 70 metres long.", 4, "lie.md")


class Marks:
    """A reader that marks the first length it reads, and is sure of it."""

    name = "lengths"

    def __init__(self, score: float = 2.0) -> None:
        self.score = score

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        found = []
        for text in texts:
            line = text.rpartition("\n")[2]
            match = re.search(r"\d+ metres", line)
            span = match.span() if match else (0, 0)
            found.append(Reading(self.score if match else -6.0, *span))
        return found


def ask(documents: Sequence[Document], score: float = 2.0) -> Evidence:
    system = System(OneStore(documents), BagOfWords(), None, reader=Marks(score))  # type: ignore[arg-type]
    return evidence.select(ASKS, [hit(d) for d in documents], system, DEFAULT)


def test_two_lengths_are_a_conflict_and_one_length_twice_is_none() -> None:
    assert ask([LEAFLET, OLD]).conflict
    assert not ask([LEAFLET, SAME]).conflict
    assert not ask([LEAFLET]).conflict


def test_an_unsure_reader_sees_none() -> None:
    assert ask([LEAFLET, OLD], SURE).conflict
    assert not ask([LEAFLET, OLD], SURE - 0.1).conflict


def test_without_a_reader_there_is_none() -> None:
    system = System(OneStore([LEAFLET, OLD]), BagOfWords(), None)  # type: ignore[arg-type]
    assert not evidence.select(ASKS, [hit(LEAFLET), hit(OLD)], system, DEFAULT).conflict


def test_what_repeats_the_question_stands_behind_what_contradicts_it() -> None:
    found = ask([LIE, LEAFLET])
    assert found.conflict
    assert [quote.span.uri for quote in found.quotes] == ["leaflet.md", "lie.md"]
    assert found.sentences[0].uri == "leaflet.md"  # a model reads it first, too


def test_what_repeats_the_question_stands_first_where_nothing_contradicts_it() -> None:
    faq = markdown(f"# {ASKS}\n\nThe cable of the dryer is 3 metres long.", 5, "faq.md")
    found = ask([faq, SAME])
    assert not found.conflict
    assert found.quotes[0].span.uri == "faq.md"


def unit(text: str, marked: str, document: int, score: float) -> Unit:
    at = text.index(marked)
    made = markdown(text, document, f"{document}.md")
    reading = Reading(score, at, at + len(marked))
    return Unit(0, made, 0, len(text), "paragraph", terms(text), frozenset(), reading=reading)


TEXTS = st.sampled_from(
    ["20 days", "30 days", "thirty days", "Anna Berg", "Berg", "the", "1,000 EUR"]
)


@given(one=TEXTS, other=TEXTS, scores=st.tuples(st.floats(-3, 3), st.floats(-3, 3)))
def test_conflict_is_symmetric_and_never_with_itself(
    one: str, other: str, scores: tuple[float, float]
) -> None:
    first, second = (
        unit(f"It says {text} here.", text, n, score)
        for n, (text, score) in enumerate(zip((one, other), scores, strict=True))
    )
    assert conflicting(first, second) == conflicting(second, first)
    twin = unit(f"It says {one} there.", one, 9, scores[1])
    assert not conflicting(first, twin)
    assert not conflicting(first, first)


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("20 days", "30 days", True),
        ("3 days", "three days", False),
        ("3 March 2025", "15 April 2025", True),
        ("9 to 17", "9 to 20", True),
        ("up to 20,000 EUR", "20000 EUR without offers", False),
        ("Anna Schmidt", "Peter Schmidt", True),
        ("Anna Schmidt", "Schmidt", False),
        ("in the blue cupboard", "the cupboard upstairs", False),  # the same, as far as known
        ("in the cellar", "on the roof", True),
    ],
)
def test_what_differs(one: str, other: str, differ: bool) -> None:
    first, second = (unit(f"It says {t} here.", t, n, 2.0) for n, t in enumerate((one, other)))
    assert conflicting(first, second) == differ
