"""The pre-flight view: examples exactly as the model will see them, trained tokens told apart.

It shows the very tokens that are trained on, decoded again one by one, template included: what is
missing, doubled or masked wrongly is seen here before hours are spent.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragtune.types import Example

if TYPE_CHECKING:
    from ragtune.tune.chat import Encoded

Decode = Callable[[Sequence[int]], str]
_MERGED = 8  # tokens that a character may be spread over: bytes of UTF-8, and some for joiners


@dataclass(frozen=True, slots=True)
class Piece:
    """A token's text (of several tokens where a character is spread over them) and its mask."""

    text: str
    trained: bool
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class View:
    """One example as the model sees it; the pieces' texts together are the whole rendering."""

    row: int
    pieces: tuple[Piece, ...]
    prompt_tokens: int
    trained_tokens: int


def preview(
    examples: Sequence[Example], encode: Callable[[Example], Encoded], decode: Decode, count: int
) -> list[View]:
    """`count` examples spread evenly over the file, with the first and the longest among them.

    `encode` is the function that training uses; `decode` gives the text of token ids, special
    tokens included.
    """
    views = []
    for i in chosen(examples, count):
        encoded = encode(examples[i])
        trained = sum(encoded.trained)
        views.append(
            View(
                examples[i].row,
                tuple(pieces(encoded, decode)),
                len(encoded.ids) - trained,
                trained,
            )
        )
    return views


def chosen(examples: Sequence[Example], count: int) -> list[int]:
    """Positions of the examples to show: the first, the longest, others at even distances."""
    if count <= 0 or not examples:
        return []
    size = len(examples)
    longest = max(range(size), key=lambda i: len(examples[i].answer) + len(examples[i].question))
    picked = dict.fromkeys([0, longest][:count])
    step = max(1, size // (count + 1))
    for i in (*range(step, size, step), *range(size)):
        if len(picked) >= min(count, size):
            break
        picked.setdefault(i)
    return sorted(picked)


def pieces(encoded: Encoded, decode: Decode) -> Iterable[Piece]:
    """The tokens as texts; those that only together make a character are one piece."""
    at = 0
    ids, trained = encoded.ids, encoded.trained
    while at < len(ids):
        end = at + 1
        text = decode(ids[at:end])
        while "\ufffd" in text and end < len(ids) and end - at < _MERGED:
            if trained[end] != trained[at]:
                break
            end += 1
            text = decode(ids[at:end])
        yield Piece(text, trained[at], end - at)
        at = end


def marked(view: View) -> list[tuple[str, bool]]:
    """Runs of text with the same mask, made visible: (text, trained)."""
    runs: list[tuple[str, bool]] = []
    for piece in view.pieces:
        if runs and runs[-1][1] == piece.trained:
            runs[-1] = (runs[-1][0] + piece.text, piece.trained)
        else:
            runs.append((piece.text, piece.trained))
    return [(visible(text), trained) for text, trained in runs]


def visible(text: str) -> str:
    """`text` with control and invisible characters shown as signs, line ends kept as "↵\\n"."""
    return "".join(_SIGNS.get(c) or (c if c.isprintable() else _named(c)) for c in text)


_SIGNS = {"\n": "↵\n", "\t": "⇥", " ": " ", "⟦": "[", "⟧": "]"}


def _named(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures: ␛ for escape
    if unicodedata.category(character) == "Zs":
        return "␣"  # a no-break space and its kin
    return f"⟨U+{code:04X}⟩"
