"""Whether two documents give different answers to one question.

An old copy, a contradiction between departments, or a text that was planted: the reader has marked
answering words in both, and is fairly sure of both, but what it marked in each stands nowhere in
the other. Which of them is right cannot be told from words, so both are shown and it is said that
they differ. The one exception: a text that holds the question itself was written for it, so it
stands behind one that was not (Zou et al. 2024, "PoisonedRAG", 2402.07867).
"""

from __future__ import annotations

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
        marked.append(unit.text[unit.reading.start : unit.reading.end])
    return not (
        _shares(marked[0], other.text, marked[1]) or _shares(marked[1], one.text, marked[0])
    )


def _shares(phrase: str, text: str, answer: str) -> bool:
    """Whether a part of what `phrase` answers stands in `text`, too, or it answers nothing.

    Numbers are compared with numbers: "30 days" and "20 days" have a word in common.
    """
    numbers = set(words.numbers(phrase))
    if numbers and words.numbers(answer):
        return bool(numbers & set(words.numbers(text)))
    said = set(words.content(phrase))
    return not said or bool(said & set(words.content(text)))
