"""Follow-up questions: what "And for part-timers?" is searched as."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragtune import words

_REFERS = frozenset(
    """it its they them their theirs that this those these he she him her his there then one ones
    same other others else both former latter""".split()
)
_OPENER = re.compile(r"^\W*(?:and|or|but|also|so|und|what about|how about|what if)\b\s*", re.I)
SHORT = 2  # fewer content words than this cannot stand alone
CLEARLY = 0.2  # how much more support a later reading needs; half the way from vague to certain


def readings(question: str, history: Sequence[str]) -> tuple[str, ...]:
    """What `question` may mean given the earlier questions (oldest first), in order of trial.

    A question that stands on its own means itself. One that refers back is put behind the last
    question that stood on its own. "And the meal allowance?" may be either: it is tried alone
    first, and in its context where the documents do not support an answer to it alone, or support
    one CLEARLY more. Nothing is rewritten, so nothing can be invented.
    """
    if not history or (not (opened := _OPENER.match(question)) and not refers_back(question)):
        return (question,)
    topic = next((q for q in reversed(history) if not _OPENER.match(q) and not refers_back(q)), "")
    together = f"{topic or history[-1]} {question}".strip()
    if opened and not refers_back(rest := question[opened.end() :]):
        return (rest, together)
    return (together,)


def refers_back(question: str) -> bool:
    """Whether a question needs the conversation to be understood: too short, or by a pronoun."""
    content = set(words.content(question))
    return len(content) < SHORT or (
        len(content) <= 4 and bool(_REFERS & set(words.tokens(question)))
    )
