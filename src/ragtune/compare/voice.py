"""How the company's voice is told: by its format rules, or by a classifier trained for it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ragtune.compare import score
from ragtune.compare.arms import Arm
from ragtune.compare.runner import Contest, answer
from ragtune.errors import ConfigError
from ragtune.tune import style as classifier
from ragtune.types import Example

VOICED = 40  # training questions that the base answers, to tell its voice from the company's


def rules(path: Path | None) -> score.Style:
    """The format rules of a voice file, where one is given. Raises ConfigError."""
    if path is None:
        return score.Style()
    try:
        given = json.loads(path.read_text("utf-8"))
        rules = given["format"]
        whole = re.compile(rules["full"] if isinstance(rules, dict) else rules)
        nothing = rules.get("nothing") if isinstance(rules, dict) else None
        if nothing:
            re.compile(nothing)
    except (OSError, ValueError, KeyError, TypeError, re.error) as error:
        raise ConfigError(
            f'{path}: not a voice file ({error}): write {{"format": {{"full": "REGEX"}}}}'
        ) from None

    def judge(texts: Sequence[str]) -> list[float]:
        return [float(whole.search(text[:8000]) is not None) for text in texts]

    return score.Style(judge, f"format rules of {path.name}", None, (nothing,) if nothing else ())


def learned(style: score.Style, contest: Contest, training: Sequence[Example]) -> score.Style:
    """The rules, or a classifier between the company's answers and the base's to such questions.

    The base answers some of the training questions for it; those replies are kept like all others.
    """
    if style.judge is not None or len(training) < 2 * VOICED:
        return style
    base = Arm("base", "the model alone, closed book")
    asked = training[:: max(1, len(training) // VOICED)][:VOICED]
    done = contest.journal.done()
    ask = contest.ask(base, 0)
    for number, example in enumerate(asked):
        contest.tell("the base's own voice", number, len(asked))
        if ("base", 0, f"voice {number}", "voice") not in done:
            if contest.over():
                return style
            contest.journal.add(answer(base, 0, f"voice {number}", example.question, ask,
                                       contest.system.store, "voice"))  # fmt: skip
    base_answers = [r.text for r in contest.journal.replies if r.changed == "voice" and r.text]
    made = classifier.train([e.answer for e in training], base_answers)
    return replace(
        style,
        judge=lambda texts: [float(made.probability(text) > 0.5) for text in texts],
        how=f"a classifier between your answers and the base's, tested on {made.tested}",
        accuracy=made.accuracy,
    )
