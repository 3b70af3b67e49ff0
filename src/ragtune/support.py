"""Whether the documents answer the question at all: a logistic score of a few readable features.

Every feature lies in about [0, 1], grows with the chance of an answer, and depends neither on the
size of the index nor on the absolute scores of the search. The shipped coefficients
(`data/support.json`) are fitted by `python benchmarks/answering.py --fit` on half of SQuAD v2's
articles; coefficients are held at zero or above, so that a better value never lowers the score.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from ragtune import question as asked
from ragtune import words

if TYPE_CHECKING:
    from ragtune.evidence import Unit
    from ragtune.types import Hit, Quote

NAMES = ("cosine", "quoted", "found", "named", "typed")


def features(
    question: str,
    answers: Sequence[Unit],
    quotes: Sequence[Quote],
    hits: Sequence[Hit],
    weights: Mapping[str, float],
) -> dict[str, float]:
    """The features by name.

    `answers` are the ranked units, `quotes` what is shown, `weights` the idf of the question's
    words among the hits.

    cosine  largest cosine of the question and one of the three best units
    quoted  share of the question's words (weighted) in the first quote and its heading path
    found   the same in the whole hit that the quote comes from
    named   share of the question's names, codes and numbers in that hit; 1 where it has none
    typed   1 where the quote holds the type of answer that is asked for, .5 where any will do
    """
    best = answers[0]
    hit = hits[best.hit]
    quote = quotes[0].span.text
    context = set(best.context)
    quoted = context | set(words.content(quote))
    found = quoted | set(words.content(hit.text))
    asked_for = [*words.names(question), *words.numbers(question)]
    held = {*words.tokens(hit.text), *words.tokens(hit.passage.heading), *words.numbers(hit.text)}
    held |= {word.removesuffix("'s") for word in held}
    typed = asked.Wanted(question)(quote)
    return {
        "cosine": max(unit.cosine for unit in answers[:3]),
        "quoted": _share(weights, quoted),
        "found": _share(weights, found),
        "named": sum(n in held for n in asked_for) / len(asked_for) if asked_for else 1.0,
        "typed": 0.5 if typed is None else float(typed),
    }


def score(values: Mapping[str, float]) -> float:
    """The support in [0, 1] for a question with these features."""
    fitted = shipped()
    total = fitted["intercept"] + sum(fitted[name] * values[name] for name in NAMES)
    return 1 / (1 + math.exp(-total))


def threshold() -> float:
    """The shipped threshold: it keeps 90% of the answerable questions that it was fitted on."""
    return shipped()["threshold"]


@lru_cache(maxsize=1)
def shipped() -> Mapping[str, float]:
    """The coefficients by feature name, with `intercept` and `threshold`."""
    stored = json.loads(files("ragtune").joinpath("data/support.json").read_text("utf-8"))
    return {name: float(value) for name, value in stored["model"].items()}


def _share(weights: Mapping[str, float], held: set[str]) -> float:
    total = sum(weights.values())
    return sum(w for term, w in weights.items() if term in held) / total if total else 0.0
