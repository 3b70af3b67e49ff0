"""As much of CSS as says whether a reader sees a text: declarations, colours, lengths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ragtune.ingest.parse.hidden import TINY, Colour, hex_colour

Style = dict[str, str]
_LENGTH = re.compile(r"(-?\d*\.?\d+)(px|pt|r?em|ex|ch|%|v[wh]|cm|mm|in)?")
_SHARE = re.compile(r"%|v[wh]")  # of what is around: not known here
_RGB = re.compile(
    r"rgba?\(\s*(\d{1,3})(?:\.\d+)?[\s,]+(\d{1,3})(?:\.\d+)?[\s,]+(\d{1,3})(?:\.\d+)?"
    r"(?:\s*[,/]\s*([\d.]+%?))?\s*\)"
)
_NAMES = {
    "white": "fff", "snow": "fffafa", "ivory": "fffff0", "ghostwhite": "f8f8ff", "black": "000",
    "whitesmoke": "f5f5f5", "floralwhite": "fffaf0", "mintcream": "f5fffa", "azure": "f0ffff",
    "aliceblue": "f0f8ff", "seashell": "fff5ee", "lightyellow": "ffffe0", "honeydew": "f0fff0",
    "red": "f00", "green": "008000", "blue": "00f", "yellow": "ff0", "gray": "808080",
    "grey": "808080", "silver": "c0c0c0", "navy": "000080", "maroon": "800000", "teal": "008080",
    "purple": "800080", "orange": "ffa500", "darkblue": "00008b", "darkgreen": "006400",
    "darkred": "8b0000", "lightgray": "d3d3d3", "lightgrey": "d3d3d3",
}  # fmt: skip
_USED = re.compile(
    r"display|visibility|opacity|font|color|background|position|left|top|right|indent|clip|height"
    r"|width|overflow|transform",
    re.I,
)
_PIXELS = {"px": 1.0, "pt": 4 / 3, "em": 16.0, "rem": 16.0, "ex": 8.0, "ch": 8.0, "%": 0.16,
           "cm": 37.8, "mm": 3.78, "in": 96.0, "vw": 10.0, "vh": 8.0}  # fmt: skip
_AWAY = -900.0  # pixels: so far to the left or above that no screen shows it
CLEAR: Colour = (-1, -1, -1)  # fully transparent


def declarations(text: str) -> Style:
    """The declarations of a style attribute or rule that count here, by name."""
    found: Style = {}
    if not _USED.search(text):
        return found
    for part in _uncommented(text).split(";"):
        name, colon, value = part.partition(":")
        if colon and _USED.search(name):
            found[name.strip().lower()] = value.replace("!important", "").strip().lower()
    return found


def rules(sheet: str) -> Iterator[tuple[str, Style]]:
    """Selectors with their declarations that count here; what stands in @-blocks is left out.

    Those are mostly for print, small screens or other browsers.
    """
    for part in _without_blocks(_uncommented(sheet)).split("}"):
        before, brace, body = part.rpartition("{")
        style = declarations(body) if brace else {}
        if style:
            for selector in before.rpartition("{")[2].rpartition(";")[2].split(","):
                yield selector.strip(), style


def _uncommented(text: str) -> str:
    kept, at = [], 0
    while (start := text.find("/*", at)) >= 0:
        kept.append(text[at:start])
        end = text.find("*/", start + 2)
        at = end + 2 if end >= 0 else len(text)
    return "".join([*kept, text[at:]])


def _without_blocks(sheet: str) -> str:
    """The sheet without `@media … { … }` and the like."""
    kept, depth, start, at = [], 0, 0, -1
    for match in re.finditer(r"@[\w-]+[^{};]*|[{};]", sheet):
        mark = match[0]
        if mark[0] == "@" and depth == 0:
            if at < 0:
                at = match.start()
                kept.append(sheet[start:at])
        elif mark == "{":
            depth += 1
        elif mark == "}":
            depth = max(0, depth - 1)
            if depth == 0 and at >= 0:
                start, at = match.end(), -1
        elif depth == 0 and at >= 0:  # `@import …;`
            start, at = match.end(), -1
    if at < 0:
        kept.append(sheet[start:])
    return "".join(kept)


def pixels(value: str | None, font: float = 16.0) -> float | None:
    """A length in pixels; None for `auto` and what has to be worked out."""
    match = _LENGTH.fullmatch((value or "").strip())
    if match is None:
        return None
    unit = match[2] or "px"
    factor = font * (0.01 if unit == "%" else 1.0) if unit in ("em", "%") else _PIXELS[unit]
    return float(match[1]) * factor


def colour(value: str | None) -> Colour | None:
    """A colour, `CLEAR` for a transparent one, None where it cannot be told."""
    text = (value or "").strip()
    if text == "transparent":
        return CLEAR
    if text in _NAMES:
        return hex_colour(_NAMES[text])
    if text.startswith("#"):
        if len(text) in (5, 9):  # with transparency behind
            alpha = text[-1:] if len(text) == 5 else text[-2:]
            return CLEAR if not alpha.strip("0") else hex_colour(text[: 4 if len(text) == 5 else 7])
        return hex_colour(text)
    if match := _RGB.fullmatch(text):
        if match[4] and float(match[4].rstrip("%")) == 0:
            return CLEAR
        return min(255, int(match[1])), min(255, int(match[2])), min(255, int(match[3]))
    return None


def background(style: Mapping[str, str]) -> Colour | bool | None:
    """The background that a style sets; None for one of unknown look, False for none."""
    for name in ("background-color", "background", "background-image"):
        value = style.get(name)
        if value in (None, "", "none", "transparent", "inherit", "initial"):
            continue
        if name == "background":
            if "url(" in value or "gradient" in value or "var(" in value:
                return None
            word = next((c for w in _words(value) if (c := colour(w)) is not None), None)
            return False if word == CLEAR else word
        found = colour(value)
        return False if found == CLEAR else found
    return False


def _words(value: str) -> list[str]:
    return re.findall(r"rgba?\([^)]*\)|[^\s]+", value)


def is_tiny(style: Mapping[str, str]) -> bool | None:
    """Whether a style makes letters too small to read; None when it sets no size."""
    value = style.get("font-size")
    if value is None and (short := style.get("font")):
        value = next((w.split("/")[0] for w in short.split() if _LENGTH.match(w)), None)
    size = pixels(value)
    return None if size is None else size < TINY * 4 / 3


def hides_all(style: Mapping[str, str]) -> bool:
    """Whether a style takes an element with all that is in it out of sight."""
    if style.get("display") == "none":
        return True
    opacity = pixels(style.get("opacity"))
    if opacity is not None and opacity < 0.05 * (0.16 if "%" in style["opacity"] else 1):
        return True
    away = ("left", "top", "text-indent", "margin-left")
    if style.get("position") in ("absolute", "fixed"):
        if any((pixels(style.get(name)) or 0.0) <= _AWAY for name in away):
            return True
        clip = style.get("clip", "").replace("px", "").replace(",", " ")
        if re.fullmatch(r"rect\(\s*(?:[01]\s+){3}[01]\s*\)", clip):
            return True
    if (pixels(style.get("text-indent")) or 0.0) <= _AWAY:
        return True
    if re.fullmatch(r"inset\((?:50|100)%.*\)|circle\(0.*\)", style.get("clip-path", "")):
        return True
    if "scale(0)" in style.get("transform", ""):
        return True
    if style.get("overflow", "").startswith(("hidden", "clip")):
        sizes = ("height", "max-height", "width", "max-width")
        own = (style.get(name, "") for name in sizes)
        return any(
            (size := pixels(value)) is not None and size <= (0 if _SHARE.search(value) else 1)
            for value in own
        )
    return False
