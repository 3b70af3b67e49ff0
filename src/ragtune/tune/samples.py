"""Before and after: held-out questions answered by the base and by the tuned model, as served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ragtune.config import Settings
from ragtune.models.generate import EmbeddedGenerator
from ragtune.tune import probe, style
from ragtune.tune.prepare import Prepared, Row
from ragtune.types import Adapter, Generation, OnProgress, Progress

_TOKENS = 120  # of an answer: more of a base that does not stop says nothing new
_FOR_STYLE = 32  # answers of the base that the style classifier learns from


@dataclass(frozen=True, slots=True)
class Sample:
    """A held-out question with the company's answer and what both models wrote, unverified."""

    question: str
    expected: str
    base: str
    tuned: str


def before_and_after(
    prepared: Prepared,
    tuned: Adapter,
    model: Path,
    settings: Settings,
    count: int,
    on_progress: OnProgress | None = None,
) -> tuple[list[Sample], dict[str, float]]:
    """`count` held-out questions through llama.cpp, base and tuned, and scores over them.

    The scores: "style_before" and "style" are shares of answers in the company's voice by a
    classifier that learned it from the training answers and the base's answers to the same
    questions ("style_classifier": its own accuracy on answers it did not see); "facts_before" and
    "facts" are shares of answers that hold the checkable facts; "samples" is how many there were.
    """
    rows = prepared.heldout[:: max(1, len(prepared.heldout) // max(1, count))][:count]
    learned = prepared.train[:: max(1, len(prepared.train) // _FOR_STYLE)][:_FOR_STYLE]
    if not rows:
        return [], {}
    generator = EmbeddedGenerator(
        "base", lambda: model, settings.context_tokens, settings.threads, {tuned.name: tuned}
    )
    total = len(learned) + 2 * len(rows)
    done = 0

    def write(some: Sequence[Row], adapter: str | None) -> list[str]:
        nonlocal done
        written = []
        for row in some:
            if on_progress is not None:
                on_progress(Progress("before and after", done, total))
            pieces = generator.stream(row.messages, Generation(_TOKENS, adapter=adapter))
            written.append("".join(token.text for token in pieces))
            done += 1
        return written

    base_learned, base = write(learned, None), write(rows, None)
    after = write(rows, tuned.name)
    made = [
        Sample(row.example.question, row.answer, b, a)
        for row, b, a in zip(rows, base, after, strict=True)
    ]
    voice = style.train([row.answer for row in learned], base_learned)
    checkable = [i for i, row in enumerate(rows) if probe.facts(row.example)]
    scores = {
        "style_before": voice.adherence(base),
        "style": voice.adherence(after),
        "style_classifier": voice.accuracy,
        "samples": float(len(rows)),
    }
    for name, texts in (("facts_before", base), ("facts", after)):
        if checkable:
            held = [probe.knows(rows[i].example, texts[i]) for i in checkable]
            scores[name] = sum(held) / len(held)
    return made, scores
