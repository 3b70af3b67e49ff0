"""What a document holds but does not show: left out of its text, and said.

Whoever approves a document has read what it shows. White or tiny text, hidden rows and comments
would be evidence that nobody has approved, which is how orders and lies are smuggled in. So they
are not read; what was left out is counted here, for people.
"""

from __future__ import annotations

from collections import Counter

_MOST = 20  # notes of one document
_CONTRAST = 24  # of 255: colours that differ by less in every channel cannot be told apart
TINY = 2.0  # points: smaller letters are a line to the eye

Colour = tuple[int, int, int]  # 0 to 255
WHITE: Colour = (255, 255, 255)
UNKNOWN: Colour = (999, 999, 999)  # a background that is like no colour: what is on it may be seen


class LeftOut:
    """Counts hidden texts by a phrase that says what and where: "white text on page 2"."""

    def __init__(self) -> None:
        self._found: Counter[str] = Counter()

    def add(self, what: str, times: int = 1) -> None:
        """Notes that something was left out."""
        self._found[what] += times

    def take(self, notes: tuple[str, ...], where: str = "") -> None:
        """Takes over the notes of a part of the document."""
        for note in notes:
            self._found[f"{note} in {where}" if where else note] += 1

    def notes(self) -> tuple[str, ...]:
        """The phrases in the order of their first occurrence, each with its count."""
        made = [what if n == 1 else f"{what} ({n} times)" for what, n in self._found.items()]
        if len(made) > _MOST:
            return (*made[:_MOST], f"{len(made) - _MOST} more")
        return tuple(made)


def alike(text: Colour, background: Colour) -> bool:
    """Whether text of one colour cannot be read on the other."""
    return max(abs(a - b) for a, b in zip(text, background, strict=True)) < _CONTRAST


def hex_colour(value: str | None) -> Colour | None:
    """'#FFF', 'FFFFFF' or '80FFFFFF' (with transparency in front) as a colour; None for others."""
    digits = (value or "").strip().lstrip("#")
    if len(digits) == 3:
        digits = "".join(2 * c for c in digits)
    if len(digits) == 8:
        digits = digits[2:]
    if len(digits) != 6:
        return None
    try:
        number = int(digits, 16)
    except ValueError:
        return None
    return number >> 16, number >> 8 & 255, number & 255
