"""What is wrong, odd or worth knowing about examples before anything is trained on them.

    examples ─▶ findings (stop, warning, note), each with rows and advice ─▶ CheckReport

Nothing here needs a model; token lengths and masks need the examples as the base will see them
(`chat.encode`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragtune.tune import findings, personal
from ragtune.tune.examples import ExampleSet, fixed_sentences
from ragtune.tune.findings import SHOWN, Finding
from ragtune.tune.language import language
from ragtune.tune.split import TRAINED, hold_out
from ragtune.types import Example

if TYPE_CHECKING:
    from ragtune.tune.chat import Encoded

ENOUGH = 50  # below that, a held-out share is a handful of rows


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of one part over all examples; `unit` is "tokens" or, without a tokenizer, "words".

    `over` counts examples that exceed the window.
    """

    part: str  # "question", "answer", "prompt", "whole"
    unit: str
    minimum: int
    median: int
    p95: int
    maximum: int
    over: int = 0


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of `check`. `ok` is false when something must stop a training."""

    examples: int
    heldout: int
    left_out: int
    kinds: Mapping[str, int]
    languages: Mapping[str, int]
    lengths: tuple[Lengths, ...]
    fixed: tuple[str, ...]  # the company's form: sentences in at least a fifth of the answers
    findings: tuple[Finding, ...]
    not_looked_for: str = personal.NOT_LOOKED_FOR

    @property
    def ok(self) -> bool:
        """Whether training may start."""
        return not any(f.severity == "stop" for f in self.findings)


def check(
    examples: ExampleSet,
    heldout: ExampleSet | None = None,
    encoded: Sequence[Encoded | None] | None = None,
    window: int = 0,
) -> CheckReport:
    """Looks at `examples`, and at what they share with `heldout`.

    `encoded` is each example as the base will see it, in the same order (None: longer than
    training takes); `window` the most tokens an example may have (0: no limit). Pure: the same
    input gives the same report. Takes about a second for 10,000 short examples.
    """
    rows = examples.examples
    fixed = fixed_sentences([e.answer for e in rows])
    said = [language(e.answer) for e in rows]
    found = [
        *_reading(examples, heldout is not None),
        *_roles_and_masks(rows, encoded, window),
        *findings.answers(rows, fixed),
        *findings.repeats(rows),
        *findings.against(rows, heldout.examples if heldout else (), fixed),
        *findings.personal_data(rows),
        *findings.leftovers(rows),
        *findings.kinds(rows),
        *findings.languages(rows, said),
    ]
    order = {"stop": 0, "warning": 1, "note": 2}
    return CheckReport(
        len(rows),
        len(heldout.examples) if heldout else 0,
        len(examples.left_out),
        dict(Counter(e.kind or "(none)" for e in rows).most_common()),
        dict(Counter(name or "?" for name in said).most_common()),
        _lengths(rows, encoded, window),
        fixed,
        tuple(sorted(found, key=lambda f: order[f.severity])),
    )


# ---------------------------------------------------------------- how it was read


def _reading(examples: ExampleSet, given_heldout: bool) -> Iterator[Finding]:
    rows = examples.examples
    count = len(rows)
    if examples.left_out:
        reasons = Counter(re.sub(r"\d[\d,]*", "N", why) for _, why in examples.left_out)
        total = len(examples.left_out)
        yield Finding(
            "left out",
            "stop" if 4 * total > count else "warning",
            f"rows that give no example: {total:,}",
            "repair or delete them",
            tuple(row for row, _ in examples.left_out),
            tuple(f"{n:,} × {why}" for why, n in reasons.most_common(SHOWN)),
        )
    if examples.unreviewed:
        yield Finding(
            "unreviewed",
            "warning",
            f"drafts that nobody has reviewed: {len(examples.unreviewed):,}",
            'read them, then set "reviewed": true or delete the row',
            examples.unreviewed,
        )
    train = len(rows)
    held: list[Example] = []
    if not given_heldout:
        kept, held = hold_out(rows, 0)
        train = len(kept)
    if rows and train < TRAINED:
        after = f" after {len(held)} are held out" if held else ""
        yield Finding(
            "too few",
            "stop",
            f"{train} examples to train on{after}",
            f"at least {TRAINED} are needed, and from about 100 on the result is worth it",
        )
    elif count < ENOUGH:
        yield Finding(
            "few",
            "warning",
            f"few examples: {count}",
            "200 and more teach a voice reliably",
        )


def _lengths(
    rows: Sequence[Example], encoded: Sequence[Encoded | None] | None, window: int
) -> tuple[Lengths, ...]:
    if encoded is None:
        return (
            _spread("question", "words", [len(e.question.split()) for e in rows]),
            _spread("answer", "words", [len(e.answer.split()) for e in rows]),
        )
    known = [e for e in encoded if e is not None]
    answers = [sum(e.trained) for e in known]
    whole = [len(e.ids) for e in known]
    prompts = [n - a for n, a in zip(whole, answers, strict=True)]
    missing = len(encoded) - len(known)
    return (
        _spread("prompt", "tokens", prompts),
        _spread("answer", "tokens", answers),
        _spread("whole", "tokens", whole, missing + sum(window > 0 and n > window for n in whole)),
    )


def _spread(part: str, unit: str, values: Sequence[int], over: int = 0) -> Lengths:
    ranked = sorted(values) or [0]

    def at(share: float) -> int:
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]

    return Lengths(part, unit, ranked[0], at(0.5), at(0.95), ranked[-1], over)


def _roles_and_masks(
    rows: Sequence[Example], encoded: Sequence[Encoded | None] | None, window: int
) -> Iterator[Finding]:
    if encoded is None:
        return
    both = list(zip(rows, encoded, strict=True))
    long = [r for r, e in both if e is None or (window and len(e.ids) > window)]
    every: findings.Severity = "stop" if len(long) == len(rows) else "warning"
    most = f"{window:,} tokens" if window else "training takes"
    yield from findings.finding(
        "too long", every, long, f"examples longer than {most}, which are left out",
        "shorten them, or raise max_tokens",
    )  # fmt: skip
    bare = [r for r, e in both if e is not None and not any(e.trained)]
    yield from findings.finding(
        "nothing trained", "stop", bare, "examples without a token that is trained",
        "their answers are empty to the tokenizer: delete the rows",
    )  # fmt: skip
    last = {e.ids[max(i for i, t in enumerate(e.trained) if t)]: r
            for r, e in both if e is not None and any(e.trained)}  # fmt: skip
    if len(last) > 1:
        yield Finding(
            "missing EOS", "stop", "not every answer ends with the same end-of-turn token",
            "the model would never stop: report this base's chat template",
            tuple(r.row for r in last.values()),
        )  # fmt: skip
