"""What styles.xml and numbering.xml say about a Word paragraph: heading level, list number."""

from __future__ import annotations

import re
from typing import Any

from ragtune.ingest.parse.base import BULLETS

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HEADING_NAME = re.compile(r"(?:heading|überschrift|titre|título|titolo|kop)\s*([1-9])", re.I)
_ROMAN = (
    (1000, "m"),
    (900, "cm"),
    (500, "d"),
    (400, "cd"),
    (100, "c"),
    (90, "xc"),
    (50, "l"),
    (40, "xl"),
    (10, "x"),
    (9, "ix"),
    (5, "v"),
    (4, "iv"),
    (1, "i"),
)
_MAX_LEVEL = 9


def value(element: Any, *path: str) -> str | None:
    """`w:val` of the descendant at `path`, or None."""
    found = element.find("/".join(W + step for step in path))
    return found.get(W + "val") if found is not None else None


class Styles:
    """Heading levels and list membership through style inheritance."""

    def __init__(self, root: Any | None) -> None:
        self._parent: dict[str, str | None] = {}
        self._level: dict[str, int] = {}
        self._list: set[str] = set()
        self.numbers: dict[str, tuple[str | None, int]] = {}  # style -> (numId, level)
        for style in root.iter(W + "style") if root is not None else ():
            if style.get(W + "type") != "paragraph":
                continue
            key = style.get(W + "styleId", "")
            name = value(style, "name") or key
            self._parent[key] = value(style, "basedOn")
            outline = value(style, "pPr", "outlineLvl")
            if match := _HEADING_NAME.match(name):
                self._level[key] = min(6, int(match[1]))
            elif name.casefold() in ("title", "titel", "titre", "título"):
                self._level[key] = 1
            elif outline and outline.isdigit() and int(outline) < _MAX_LEVEL:
                self._level[key] = min(6, int(outline) + 1)
            if name.casefold().startswith("list ") and "paragraph" not in name.casefold():
                self._list.add(key)
            number = style.find(f"{W}pPr/{W}numPr")
            if number is not None:
                level = value(number, "ilvl")
                self.numbers[key] = (
                    value(number, "numId"),
                    int(level) if level and level.isdigit() else 0,
                )

    def chain(self, p: Any) -> list[str]:
        """The paragraph's style and those it is based on."""
        key = value(p, "pPr", "pStyle")
        found: list[str] = []
        while key and key not in found:
            found.append(key)
            key = self._parent.get(key)
        return found

    def heading(self, p: Any) -> int:
        """1 to 6 for a heading, 0 otherwise."""
        outline = value(p, "pPr", "outlineLvl")
        if outline and outline.isdigit():
            return min(6, int(outline) + 1) if int(outline) < _MAX_LEVEL else 0
        for key in self.chain(p):
            if key in self._level:
                return self._level[key]
            if key not in self._parent and (match := _HEADING_NAME.match(key)):
                return min(6, int(match[1]))  # the style itself is missing from the file
        return 0

    def is_list(self, p: Any) -> bool:
        """Whether the style is one of Word's list styles (also without numbering)."""
        return any(key in self._list for key in self.chain(p))


class Numbering:
    """Word's automatic numbers, counted as Word does: one counter a list and level."""

    def __init__(self, root: Any | None, styles: Styles) -> None:
        self._styles = styles
        self._levels: dict[str, dict[int, tuple[str, str, int]]] = {}  # fmt, text, start
        self._abstract: dict[str, str] = {}
        self._restart: dict[tuple[str, int], int] = {}
        self._counters: dict[str, dict[int, int]] = {}
        self._seen: set[str] = set()
        if root is None:
            return
        for abstract in root.iter(W + "abstractNum"):
            self._levels[abstract.get(W + "abstractNumId", "")] = dict(
                _level(item) for item in abstract.iter(W + "lvl")
            )
        for number in root.iter(W + "num"):
            key = number.get(W + "numId", "")
            self._abstract[key] = value(number, "abstractNumId") or ""
            for override in number.iter(W + "lvlOverride"):
                start = value(override, "startOverride")
                if start and start.isdigit():
                    self._restart[key, _int(override.get(W + "ilvl"))] = int(start)

    def label(self, p: Any) -> tuple[str, int]:
        """(label, depth): '2.1.' or '-' or '' when the paragraph has no number; counts on."""
        number, level = self._of(p)
        if not number or number == "0":
            return "", 0
        abstract = self._abstract.get(number)
        levels = self._levels.get(abstract or "", {})
        if abstract is None or level not in levels:
            return "", level
        counters = self._counters.setdefault(abstract, {})
        if number not in self._seen:
            self._seen.add(number)
            for (key, at), start in self._restart.items():
                if key == number:
                    counters[at] = start - 1
        kind, text, start = levels[level]
        counters[level] = counters.get(level, start - 1) + 1
        for deeper in [at for at in counters if at > level]:
            del counters[deeper]
        if kind == "bullet":
            return "-", level
        if kind == "none" or not text:
            return "", level

        def number_of(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            fmt, _, first = levels.get(at, ("decimal", "", 1))
            return _format(counters.get(at, first), fmt)

        label = re.sub(r"%([1-9])", number_of, text).strip()
        return "-" if label in BULLETS or label in "–—" else label, level

    def _of(self, p: Any) -> tuple[str | None, int]:
        properties = p.find(f"{W}pPr/{W}numPr")
        number, level = None, None
        if properties is not None:
            number, raw = value(properties, "numId"), value(properties, "ilvl")
            level = int(raw) if raw and raw.isdigit() else None
        if number is None:
            for key in self._styles.chain(p):
                if key in self._styles.numbers:
                    number, at = self._styles.numbers[key]
                    level = at if level is None else level
                    break
        return number, level or 0


def _int(raw: str | None) -> int:
    return int(raw) if raw and raw.isdigit() else 0


def _level(item: Any) -> tuple[int, tuple[str, str, int]]:
    start = value(item, "start")
    text = value(item, "lvlText") or ""
    return _int(item.get(W + "ilvl")), (
        value(item, "numFmt") or "decimal",
        text,
        int(start) if start and start.isdigit() else 1,
    )


def _format(number: int, kind: str) -> str:
    if kind in ("lowerLetter", "upperLetter") and number > 0:
        letter = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        return letter.upper() if kind == "upperLetter" else letter
    if kind in ("lowerRoman", "upperRoman") and 0 < number < 4000:
        roman = ""
        for size, sign in _ROMAN:
            roman += sign * (number // size)
            number %= size
        return roman.upper() if kind == "upperRoman" else roman
    return f"{number:02d}" if kind == "decimalZero" else str(number)
