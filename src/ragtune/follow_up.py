"""Follow-up questions: what "And for part-timers?" is searched as."""

from __future__ import annotations

from collections.abc import Sequence

from ragtune import words

_REFERS = frozenset(
    """it its they them their theirs that this those these he she him her his there then one ones
    same other others else both former latter""".split()
)
_OPENERS = ("and ", "or ", "but ", "also ", "what about", "how about", "what if", "why", "und ")
SHORT = 2  # fewer content words than this cannot stand alone


def in_context(question: str, history: Sequence[str]) -> str:
    """`question` as it should be searched, given the earlier questions, oldest first.

    A question that refers back (a pronoun, "And …?", too few words of its own) is put behind the
    last question that stood on its own; any other is returned unchanged. Nothing is rewritten, so
    nothing can be invented.
    """
    if not history or not refers_back(question):
        return question
    topic = next((q for q in reversed(history) if not refers_back(q)), history[-1])
    return f"{topic.strip()} {question.strip()}"


def refers_back(question: str) -> bool:
    """Whether a question needs the conversation to be understood."""
    lowered = question.strip().lower()
    if lowered.startswith(_OPENERS):
        return True
    content = set(words.content(question))
    if len(content) < SHORT:
        return True
    return len(content) <= 4 and bool(_REFERS & set(words.tokens(question)))
