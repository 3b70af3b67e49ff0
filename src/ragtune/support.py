"""Whether the documents answer the question at all: a logistic score of readable features.

Every feature grows with the chance of an answer and depends neither on the size of the index nor
on the absolute scores of the search. Questions that were written beside a paragraph share its
words; people's own do not. So features stop growing where more would only say "written beside the
text": that costs little on SQuAD, and on the sample company's colloquial questions half again as
many are answered at the same share of out-of-corpus questions declined. A reader adds two features
and has its own coefficients, since it says most of what words and cosines say. The shipped
coefficients (`data/support.json`) are fitted by `python -m benchmarks.answering --fit` on articles
and questions of which nothing is reported and on which no reader was trained; they are held at
zero or above, so that a better value never lowers the score.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from importlib.resources import files

from ragtune import question as asked
from ragtune import words

NAMES = ("close", "around", "ahead", "shared", "named", "agrees")
READ = ("reads", "picks")  # only where a reader has read
SURE = 6.0  # a reading's logit beyond it, on either side, says no more
CLOSE = 0.65  # a cosine beyond it is wording, not relevance
AROUND = 0.45  # … and a mean cosine beyond it says that all the text is of one kind
NEAR = 0.16  # below it nothing is worth showing: 9 of 10 questions about other things are
SHARED = 2  # words in common beyond it likewise


def features(
    question: str,
    cosines: Sequence[float],
    near: Sequence[float],
    best: str,
    terms: Set[str],
    hit: str,
    readings: Sequence[float] = (),
) -> dict[str, float]:
    """The features by name.

    `cosines` are those of the question and the ranked units, best unit first (0: not compared),
    `near` those of the units in the best unit's hit. `best` is that unit's text, `terms` the
    content words of it, the unit before and its headings, `hit` title, headings and text of the
    hit. `readings` are the reader's logits of the units that it read, best unit first; without
    any, there are no features of reading.

    close   largest cosine of the question and one of the three best units, up to CLOSE
    around  mean of the (at most) four first of `near`, up to AROUND
    ahead   how far the largest cosine is above the median of all units that were compared
    shared  whether `terms` hold SHARED of the question's content words: 0, 0.5 or 1
    named   share of the question's names and codes that stand in `hit`; 1 where it has none
    agrees  0 where the question asks for what is not so and the best unit denies nothing, else 1
    reads   largest of `readings`, from 0 (-SURE and below) to 1 (SURE and above)
    picks   that of the best unit, likewise
    """
    wanted = set(words.content(question))
    names = {words.stem(name) for name in words.names(question)}
    held = {words.stem(token) for token in words.tokens(hit)}
    largest = max(cosines[:3])
    compared = [cosine for cosine in cosines if cosine]
    middle = statistics.median(compared) if compared else 0.0
    found = {
        "close": min(largest, CLOSE),
        "around": min(sum(near[:4]) / len(near[:4]), AROUND) if near else 0.0,
        "ahead": max(0.0, largest - middle),
        "shared": min(len(wanted & terms), SHARED) / SHARED,
        "named": len(names & held) / len(names) if names else 1.0,
        "agrees": float(not asked.denies(question) or asked.denial(best)),
    }
    if readings:
        found |= {"reads": _share(max(readings)), "picks": _share(readings[0])}
    return found


def _share(logit: float) -> float:
    return (max(-SURE, min(SURE, logit)) + SURE) / (2 * SURE)


def score(values: Mapping[str, float]) -> float:
    """The support in [0, 1] for a question with these features."""
    fitted = shipped("reads" in values)
    total = fitted["intercept"] + sum(fitted[name] * value for name, value in values.items())
    return 1 / (1 + math.exp(-total))


def threshold(read: bool = False) -> float:
    """The shipped threshold, for scores with or without a reader's readings."""
    return shipped(read)["threshold"]


@lru_cache(maxsize=2)
def shipped(read: bool = False) -> Mapping[str, float]:
    """The coefficients by feature name, with `intercept` and `threshold`."""
    stored = json.loads(files("ragtune").joinpath("data/support.json").read_text("utf-8"))
    return {name: float(value) for name, value in stored["read" if read else "model"].items()}
