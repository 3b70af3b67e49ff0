"""Whether two documents give different answers to one question.

An old copy, a contradiction between departments, or a text that was planted: the reader has marked
answering words in both, and is fairly sure of both, but what it marked in each stands nowhere in
the other. Which of them is right cannot be told from words, so both are shown and it is said that
they differ. The one exception: a text that holds the question itself was written for it, so it
stands behind one that was not (Zou et al. 2024, "PoisonedRAG", 2402.07867).
"""

from __future__ import annotations

from dataclasses import dataclass

from ragtune import words
from ragtune.units import Unit

SURE = -1.0  # a reading's logit: from one chance in four on


def conflicting(one: Unit, other: Unit) -> bool:
    """Whether the answering words of two read units of different documents exclude each other."""
    if one.document.id == other.document.id:
        return False
    marked = []
    for unit in (one, other):
        if unit.reading is None or unit.reading.score < SURE:
            return False
        marked.append(_Marked(unit.text[unit.reading.start : unit.reading.end], unit.text))
    first, second = marked
    return not _agrees(first, second) and not _agrees(second, first)


@dataclass(frozen=True, slots=True)
class _Marked:
    """Answering words, and the text that they stand in."""

    phrase: str
    text: str

    @property
    def numbers(self) -> set[str]:
        return set(words.numbers(self.phrase))

    @property
    def names(self) -> set[str]:
        """A name is told from a first word with a capital by the text around it."""
        return set(words.names(self.text)) & set(words.tokens(self.phrase))


def _agrees(one: _Marked, other: _Marked) -> bool:
    """Whether what `one` answers stands in the other's text, too, or it answers nothing.

    Numbers are compared with numbers, names with names, and all of them: "3 March 2025" and
    "15 April 2025" have a year in common, "Anna Schmidt" and "Peter Schmidt" a name. Of other words
    one in common is enough: the same is said in many ways.
    """
    if one.numbers and other.numbers:
        return one.numbers <= set(words.numbers(other.text))
    if one.names and other.names:
        return one.names <= set(words.tokens(other.text))
    said = set(words.content(one.phrase))
    return not said or bool(said & set(words.content(other.text)))
