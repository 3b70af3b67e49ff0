"""What became of the updates: from the replies before and after a change to values for each arm.

An arm that reads documents is asked right after the change; its time is that of taking the change
in and of answering. One without documents is as it was before until it is trained again: where
that was not measured, it is charged its last training and taken to tell every new fact then, which
favours it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragtune.compare import metrics
from ragtune.compare.arms import Arm
from ragtune.compare.journal import Reply
from ragtune.compare.updates import Update

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NAN = float("nan")
OF_UPDATES = ("fresh", "new_fact", "old_stopped", "leak", "added", "seconds_to_new")


def scored(
    arm: Arm, updates: Sequence[Update], replies: Sequence[Reply], facts: Mapping[str, Any]
) -> dict[str, Floats]:
    """The race of one arm, one value an update."""
    import numpy as np

    made = {name: np.full(len(updates), NAN) for name in OF_UPDATES}
    at = {(r.question, r.changed): r for r in replies if not r.error}
    for i, update in enumerate(updates):
        outcome = race(arm, update, at, facts)
        for name, value in outcome.items():
            made[name][i] = value
    return {name: values for name, values in made.items() if not np.isnan(values).all()}


def race(
    arm: Arm,
    update: Update,
    replies: Mapping[tuple[str, str], Reply],
    facts: Mapping[str, Any],
) -> dict[str, float]:
    """What became of one update for one arm; see OF_UPDATES. Empty where it was not asked."""
    before = replies.get((update.id, "before"))
    if before is None:
        return {}
    values: dict[str, float] = {}
    # who never told the old fact can neither stop telling it nor leak it
    knew = bool(update.old_answer) and metrics.contains(before.text, update.old_answer)
    if update.kind in ("change", "add"):
        step = "after" if update.kind == "change" else "added"
        after = replies.get((update.id, step)) if arm.documents else before
        if after is not None:
            seconds = float(facts.get(f"sync {update.id} {step}", 0.0)) + after.total
            told, stopped = tells(update, after)
            again = replies.get((update.id, "retrained"))
            charged = _retraining(arm, facts)
            if arm.needs and not arm.documents and charged is not None:
                seconds = charged + before.total
                told, stopped = tells(update, again) if again else (True, True)
            values["new_fact"], values["fresh"] = float(told), 0.0
            if told:
                values["seconds_to_new"] = seconds
                values["fresh"] = 2.0 ** (-seconds / 3600)
            if knew:
                values["old_stopped"] = float(stopped)
    gone = replies.get((update.id, "deleted")) if arm.documents else before
    if gone is not None and knew and _was_deleted(update, facts):
        values["leak"] = float(_leaks(update, gone, arm))
    back = replies.get((update.id, "added")) if arm.documents else None
    if back is not None and update.kind == "change":
        values["added"] = float(metrics.contains(back.text, update.old_answer))
    elif "new_fact" in values and update.kind == "add":
        values["added"] = values["new_fact"]
    return values


def tells(update: Update, reply: Reply) -> tuple[bool, bool]:
    """(whether a reply tells the new fact, whether it no longer tells the old one)."""
    text = metrics.plain(reply.text)
    new = metrics.contains(text, update.new_answer)
    old = (not new and metrics.contains(text, update.old_answer)) or (
        bool(update.old) and metrics.contains(text, update.old)
    )
    return new and not old, not old


def _leaks(update: Update, reply: Reply, arm: Arm) -> bool:
    """Whether a deleted fact still comes out: from the deleted file, or out of the weights."""
    if reply.status == "declined" or not metrics.contains(reply.text, update.old_answer):
        return False
    if not arm.documents:
        return True
    return any(source_file(c.uri).endswith(update.file) for c in reply.citations)


def source_file(uri: str) -> str:
    """The file of a uri, without member or row."""
    return uri.partition("!/")[0].partition("#")[0]


def _was_deleted(update: Update, facts: Mapping[str, Any]) -> bool:
    return f"sync {update.id} deleted" in facts


def _retraining(arm: Arm, facts: Mapping[str, Any]) -> float | None:
    """Seconds of training again: measured, or those of the last training."""
    again = facts.get(f"retraining {arm.name}") or facts.get(f"training {arm.name} 0")
    return float(again["seconds"]) if again else None
