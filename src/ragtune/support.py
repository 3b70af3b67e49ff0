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

NAMES = ("cosine", "around", "shared", "named", "agrees", "typed")


def features(
    question: str, answers: Sequence[Unit], quotes: Sequence[Quote], hits: Sequence[Hit]
) -> dict[str, float]:
    """The features by name; `answers` are the ranked units, best first, `quotes` what is shown.

    cosine  largest cosine of the question and one of the three best units
    around  mean cosine of the question and the (at most four) best units of the best unit's hit
    shared  share of the question's content words in the best unit, the one before and the heading
    named   share of the question's names, codes and numbers in that hit; 1 where it has none
    agrees  0 where the question asks for what is not so and the best unit denies nothing, else 1
    typed   1 where the first quote holds the type of answer that is asked for, .5 where any will do
    """
    best = answers[0]
    hit = hits[best.hit]
    quote = quotes[0].span.text
    terms = set(words.content(question))
    said = terms & {*best.terms, *best.before, *best.context}
    asked_for = [*words.names(question), *words.numbers(question)]
    whole = f"{hit.title}\n{hit.passage.heading}\n{hit.text}"
    held = {word.removesuffix("'s") for word in words.tokens(whole)} | set(words.numbers(whole))
    wanted = asked.Wanted(question)(quote)
    near = [unit.cosine for unit in answers if unit.hit == best.hit][:4]
    return {
        "cosine": max(unit.cosine for unit in answers[:3]),
        "around": sum(near) / len(near),
        "shared": len(said) / len(terms) if terms else 0.0,
        "named": sum(n in held for n in asked_for) / len(asked_for) if asked_for else 1.0,
        "agrees": float(not asked.denies(question) or asked.denial(best.text)),
        "typed": 0.5 if wanted is None else float(wanted),
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
