"""Which documents someone may see: groups, inherited from folders.

A rule names a folder and the groups that may see what is in it. The rule of the nearest folder
around a document decides, alone: a rule further in replaces those further out, for more people or
for fewer. A document below no rule is for everyone who is signed in, unless that is switched off.

Names are compared in NFC and without case. A file system that tells "Finance" from "finance" may
so hide more than was meant; it never shows more.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

_ENDS = "/#!"  # of a folder, of a database (URL#table/key), of a ZIP file (a.zip!/inner)


@dataclass(frozen=True, slots=True)
class Visibility:
    """What members of `groups` may see under `rules` (folder, as of `folder_key`, to groups).

    `everyone` says whether they see documents that no rule covers.
    """

    groups: frozenset[str] = frozenset()
    rules: tuple[tuple[str, frozenset[str]], ...] = ()
    everyone: bool = True

    def sees(self, uri: str) -> bool:
        """Whether they may see the document of this uri."""
        rules = _mapping(self.rules)
        key = folder_key(uri)
        while key:
            allowed = rules.get(key)
            if allowed is not None:
                return not allowed.isdisjoint(self.groups)
            key = key[: max(map(key.rfind, _ENDS)) + 1].rstrip(_ENDS)
        return self.everyone

    def sees_whole(self, uri: str) -> bool:
        """Whether they may also see all that can be inside: members of an archive, rows of a file.

        Asked of the rules alone, so that the answer says nothing of what there is.
        """
        inside = tuple(folder_key(uri) + end for end in _ENDS)
        return self.sees(uri) and all(
            not groups.isdisjoint(self.groups)
            for folder, groups in self.rules
            if folder.startswith(inside)
        )


@lru_cache(maxsize=64)
def _mapping(rules: tuple[tuple[str, frozenset[str]], ...]) -> Mapping[str, frozenset[str]]:
    return dict(rules)


def folder_key(folder: str) -> str:
    """A folder or uri as rules compare it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", folder).casefold()).rstrip(
        _ENDS
    )


def rules_of(rows: Iterable[tuple[str, Iterable[str]]]) -> tuple[tuple[str, frozenset[str]], ...]:
    """Rules in the one order and form in which they are compared and cached.

    Two spellings of one folder are one rule: only groups that both name see it.
    """
    made: dict[str, frozenset[str]] = {}
    for folder, groups in rows:
        key = folder_key(folder)
        made[key] = frozenset(groups) & made.get(key, frozenset(groups))
    return tuple(sorted(made.items()))
