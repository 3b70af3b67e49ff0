"""Models without weights, for tests: deterministic, instant, no heavy imports but numpy."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from zlib import crc32

from ragtune.errors import GenerationError
from ragtune.protocols import Reading
from ragtune.types import Generation, Message, Token

if TYPE_CHECKING:
    from ragtune.types import Vectors

_WORD = re.compile(r"\w+")


class HashEmbedder:
    """Bags of words hashed to 64 dimensions: texts that share words are similar.

    Deterministic across processes and machines. A token is a word.
    """

    def __init__(self, name: str = "hash-64", max_tokens: int = 256) -> None:
        self.name = name
        self.dimensions = 64
        self.max_tokens = max_tokens

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit rows, shape (len(texts), 64); a text without words gets the first axis."""
        import numpy as np

        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in _WORD.findall(text.lower())[: self.max_tokens]:
                code = crc32(word.encode("utf-8", "replace"))
                row[code % self.dimensions] += 1.0 if code & 1 << 16 else -1.0
            if not row.any():
                row[0] = 1.0
            row /= np.linalg.norm(row)
        return rows

    def count_tokens(self, text: str) -> int:
        """The number of words."""
        return len(_WORD.findall(text))


class WordReader:
    """Reads by words: the score is the share of the question's words in the text, from -2 to 2.

    The phrase is the first word of the last line that the question does not hold.
    """

    name = "words"

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    def read(self, question: str, texts: Sequence[str]) -> Sequence[Reading]:
        """One reading a text."""
        self.calls.append((question, tuple(texts)))
        asked = set(_WORD.findall(question.lower()))
        found = []
        for text in texts:
            shared = len(asked & set(_WORD.findall(text.lower()))) / max(1, len(asked))
            shift = text.rfind("\n") + 1
            new = (m for m in _WORD.finditer(text, shift) if m.group().lower() not in asked)
            phrase = next((m.span() for m in new), (shift, shift))
            found.append(Reading(4 * shared - 2, phrase[0] - shift, phrase[1] - shift))
        return found


class ScriptedGenerator:
    """Plays `replies` in order, word by word, and keeps each call's messages in `prompts`.

    A reply that is an exception is raised instead. Raises GenerationError when none is left.
    """

    def __init__(self, replies: Sequence[str | Exception] = (), name: str = "scripted") -> None:
        self.name = name
        self.replies: deque[str | Exception] = deque(replies)
        self.prompts: list[tuple[Message, ...]] = []
        self.generations: list[Generation] = []

    def stream(self, messages: Sequence[Message], generation: Generation) -> Iterator[Token]:
        """The next reply in pieces that join to exactly it."""
        self.prompts.append(tuple(messages))
        self.generations.append(generation)
        if not self.replies:
            raise GenerationError("the scripted generator has no reply left")
        reply = self.replies.popleft()
        if isinstance(reply, Exception):
            raise reply
        for piece in re.findall(r"\s*\S+|\s+$", reply):
            yield Token(piece)
