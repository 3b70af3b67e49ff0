"""Which of several documents is an older version of another one.

Only what the documents say about themselves counts: the same title but for years and versions,
and a date of validity or a version number near the top. File times say nothing (a copy is new).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from ragtune import words
from ragtune.types import Document

HEAD = 1200  # characters from the top in which a document says which version it is

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january januar janvier jan", "february februar fevrier feb", "march marz mars mar",
            "april avril apr", "may mai", "june juni juin jun", "july juli juillet jul",
            "august aout aug", "september septembre sep sept", "october oktober octobre oct okt",
            "november novembre nov", "december dezember decembre dec dez",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_FROM = re.compile(
    r"\b(?:valid|effective|in force|applies|applicable|gültig|gilt|en vigueur|valable)\b"
    r"[^.\n]{0,24}?\b(?:from|since|as of|on|ab|seit|vom|du|depuis|le)\b:?(?P<date>.{4,28})",
    re.IGNORECASE,
)
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_DOTTED = re.compile(r"\b(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})\b")
_DAY_MONTH = re.compile(
    r"\b(\d{1,2})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?([^\W\d_]{3,9})\.?,?\s+(\d{4})\b"
)
_MONTH_DAY = re.compile(r"\b([^\W\d_]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})\b")
_VERSION = re.compile(
    r"\b(?:version|edition|revision|rev\.?|issue|ausgabe|stand)\s*:?\s*v?(\d+(?:\.\d+)*)\b", re.I
)
_DECORATION = re.compile(
    r"\b(?:19|20)\d{2}\b|\bv?\d+(?:\.\d+)+\b|\bv\d+\b"
    r"|\b(?:version|edition|revision|draft|final|old|new|copy|superseded|outdated|archived?|valid"
    r"|alt|neu|entwurf|kopie)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Version:
    """What a document says of its own version; the name is its title's words, undecorated."""

    name: frozenset[str]
    valid_from: date | None
    number: tuple[int, ...]


def superseded(documents: Sequence[Document], today: date) -> frozenset[int]:
    """The ids of those `documents` that another of them replaces.

    One replaces another of the same name if it is in force by `today` and is valid from a later
    date, or, where one of them gives no date, has a higher version number.
    """
    versions = {d.id: version(d.title, d.uri, d.text[:HEAD]) for d in documents}
    return frozenset(
        old
        for old, a in versions.items()
        for new, b in versions.items()
        if old != new and a.name and a.name == b.name and _replaces(b, a, today)
    )


@lru_cache(maxsize=4096)
def version(title: str, uri: str, head: str) -> Version:
    """The version that the title, the file's name and the top of the text speak of."""
    stem = uri.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    name = words.content(_DECORATION.sub(" ", title or stem))
    dated = _FROM.search(head)
    numbered = _VERSION.search(title) or _VERSION.search(head)
    number = tuple(int(n) for n in numbered[1].split(".")) if numbered else ()
    return Version(frozenset(name), _date(dated["date"]) if dated else None, number)


def _replaces(new: Version, old: Version, today: date) -> bool:
    if new.valid_from and new.valid_from > today:
        return False
    if new.valid_from and old.valid_from:
        return new.valid_from > old.valid_from
    return bool(new.number and old.number) and new.number > old.number


def _date(text: str) -> date | None:
    """The first date in `text`, or None."""
    try:
        if found := _ISO.search(text):
            return date(int(found[1]), int(found[2]), int(found[3]))
        if found := _DOTTED.search(text):
            return date(int(found[3]), int(found[2]), int(found[1]))
        if found := _DAY_MONTH.search(text):
            month = _MONTHS.get(words.fold(found[2]))
            return date(int(found[3]), month, int(found[1])) if month else None
        if found := _MONTH_DAY.search(text):
            month = _MONTHS.get(words.fold(found[1]))
            return date(int(found[3]), month, int(found[2])) if month else None
    except ValueError:  # 31 February
        return None
    return None
