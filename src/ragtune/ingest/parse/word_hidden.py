"""Which runs of a Word file nobody sees: hidden, tiny, or in the colour of what is behind them.

Properties are looked up as Word does: the run's own, its style's, the paragraph's style's, the
defaults. Behind a run is its own shade or highlight, else that of its paragraph, of the table cell
or of the table's style, else the page.
"""

from __future__ import annotations

from typing import Any

from ragtune.ingest.parse.hidden import TINY, UNKNOWN, WHITE, Colour, alike, hex_colour
from ragtune.ingest.parse.word_styles import Styles, W, value

_OFF = ("0", "false", "off", "none")
_HIGHLIGHTS = {
    "black": "000000", "blue": "0000FF", "cyan": "00FFFF", "green": "00FF00", "magenta": "FF00FF",
    "red": "FF0000", "yellow": "FFFF00", "white": "FFFFFF", "darkBlue": "00008B",
    "darkCyan": "008B8B", "darkGreen": "006400", "darkMagenta": "800080", "darkRed": "8B0000",
    "darkYellow": "808000", "darkGray": "A9A9A9", "lightGray": "D3D3D3",
}  # fmt: skip
_LOOKED_AT = frozenset(W + n for n in ("vanish", "sz", "w", "color", "rStyle"))
_SQUEEZED = 10  # per cent of the usual width of letters
_WPS = "{http://schemas.microsoft.com/office/word/2010/wordprocessingShape}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_V = "{urn:schemas-microsoft-com:vml}"
_BOXES = (_WPS + "txbx", _V + "textbox")


class Unseen:
    """Says of runs why they are not seen."""

    def __init__(self, styles: Any | None, chains: Styles, body: Any, settings: Any | None) -> None:
        self._chains = chains
        self._of: dict[str, Any] = {}  # style id -> its element, paragraph, run and table styles
        self._based: dict[str, str | None] = {}
        self._usual: str | None = None  # the style of paragraphs that name none
        self._defaults = None
        if styles is not None:
            for style in styles.iter(W + "style"):
                key = style.get(W + "styleId", "")
                self._of[key] = style
                self._based[key] = value(style, "basedOn")
                if style.get(W + "type") == "paragraph" and style.get(W + "default") in (
                    "1",
                    "true",
                ):
                    self._usual = key
            self._defaults = styles.find(f"{W}docDefaults/{W}rPrDefault/{W}rPr")
        self._page = WHITE
        shown = settings is not None and settings.find(W + "displayBackgroundShape") is not None
        background = body.find(W + "background")
        if shown and background is not None:
            self._page = hex_colour(background.get(W + "color")) or WHITE
        self._inherited: dict[str, list[Any]] = {}
        self._plain: dict[str | None, bool] = {}  # by paragraph style

    def reason(self, run: Any) -> str:
        """Why a `w:r` is not seen, "" when it is."""
        own = run.find(W + "rPr")
        paragraph = run.getparent()
        while paragraph is not None and paragraph.tag != W + "p":
            paragraph = paragraph.getparent()
        key = value(paragraph, "pPr", "pStyle") if paragraph is not None else None
        key = key or self._usual
        if key not in self._plain:  # most styles say nothing that could hide
            around = [*self._style(key or ""), self._defaults]
            self._plain[key] = not any(
                p.find(W + "vanish") is not None
                or p.find(W + "w") is not None
                or hex_colour(value(p, "color")) is not None
                or _number(value(p, "sz") or "24") < 2 * TINY
                for p in around
                if p is not None
            )
        if self._plain[key] and (own is None or not any(c.tag in _LOOKED_AT for c in own)):
            return ""
        layers = [own] if own is not None else []
        if own is not None and (style := value(own, "rStyle")):
            layers += self._style(style)
        layers += self._style(key or "")
        if self._defaults is not None:
            layers.append(self._defaults)
        if _switch(layers, "vanish"):
            return "hidden text"
        size = _first(layers, "sz")
        if size and _number(size) / 2 < TINY:
            return "tiny text"
        width = _first(layers, "w")
        if width and 0 < _number(width.rstrip("%")) <= _SQUEEZED:
            return "squeezed text"
        colour = self._colour(layers)
        if colour is not None and alike(colour, self._behind(run, layers, paragraph)):
            return "white text" if colour == WHITE else "text in the colour of its background"
        return ""

    def _style(self, key: str) -> list[Any]:
        """The run properties of a style and those it is based on, nearest first."""
        if key in self._inherited:
            return self._inherited[key]
        found = self._inherited[key] = []
        seen: set[str] = set()
        at: str | None = key
        while at and at in self._of and at not in seen:
            seen.add(at)
            if (properties := self._of[at].find(W + "rPr")) is not None:
                found.append(properties)
            at = self._based[at]
        return found

    @staticmethod
    def _colour(layers: list[Any]) -> Colour | None:
        """The text's colour; None where Word chooses one that can be read."""
        for layer in layers:
            element = layer.find(W + "color")
            if element is None:
                continue
            found = hex_colour(element.get(W + "val"))
            if element.get(W + "themeColor") in ("background1", "light1"):
                return found or WHITE
            return found
        return None

    def _behind(self, run: Any, layers: list[Any], paragraph: Any) -> Colour:
        for layer in layers:
            if (name := value(layer, "highlight")) and name != "none":
                return hex_colour(_HIGHLIGHTS.get(name)) or UNKNOWN
            if (shade := _shade(layer)) is not None:
                return shade
        if paragraph is not None:
            properties = [paragraph.find(W + "pPr")]
            for key in self._chains.chain(paragraph):
                style = self._of.get(key)
                properties.append(style.find(W + "pPr") if style is not None else None)
            for found in properties:
                if found is not None and (shade := _shade(found)) is not None:
                    return shade
        outer = run.getparent()
        while outer is not None:
            if outer.tag == W + "tc":
                if (shade := self._cell(outer)) is not None:
                    return shade
            elif outer.tag in _BOXES:
                return _box(outer)
            outer = outer.getparent()
        return self._page

    def _cell(self, cell: Any) -> Colour | None:
        """What a table cell is shaded with, by itself or by the table's style."""
        properties = cell.find(W + "tcPr")
        if properties is not None and (shade := _shade(properties)) is not None:
            return shade
        row = _ancestor(cell, (W + "tr",))
        table = _ancestor(cell, (W + "tbl",))
        key = value(table, "tblPr", "tblStyle") if table is not None else None
        wanted = {"wholeTable", "band1Horz", "band2Horz", "band1Vert", "band2Vert"}
        if table is not None and row is not None:
            for one, first, last in ((row, "firstRow", "lastRow"), (cell, "firstCol", "lastCol")):
                wanted |= set() if _sibling(one, preceding=True) else {first}
                wanted |= set() if _sibling(one, preceding=False) else {last}
        seen: set[str] = set()
        while key and key in self._of and key not in seen:
            seen.add(key)
            for part in self._of[key].findall(W + "tblStylePr"):
                if part.get(W + "type") in wanted:
                    found = part.find(W + "tcPr")
                    if found is not None and (shade := _shade(found)) not in (None, WHITE):
                        return shade
            found = self._of[key].find(W + "tcPr")
            if found is not None and (shade := _shade(found)) is not None:
                return shade
            key = self._based[key]
        return None


def hidden_row(row: Any) -> bool:
    """Whether a table row is hidden."""
    return _switch(row.findall(W + "trPr"), "hidden")


def _ancestor(element: Any, tags: tuple[str, ...]) -> Any | None:
    return next((e for e in element.iterancestors() if e.tag in tags), None)


def _sibling(element: Any, *, preceding: bool) -> bool:
    """Whether another of its kind stands before (or after) it."""
    return next(element.itersiblings(element.tag, preceding=preceding), None) is not None


def _switch(layers: list[Any], name: str) -> bool:
    """A property that is on or off, in the first layer that has it."""
    for layer in layers:
        element = layer.find(W + name)
        if element is not None:
            return str(element.get(W + "val", "1")).lower() not in _OFF
    return False


def _first(layers: list[Any], name: str) -> str | None:
    return next((found for layer in layers if (found := value(layer, name))), None)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1e9


def _shade(properties: Any) -> Colour | None:
    """The fill of `w:shd`; None when there is none."""
    shade = properties.find(W + "shd")
    if shade is None:
        return None
    kind = shade.get(W + "val", "clear")
    if kind == "solid":
        return hex_colour(shade.get(W + "color")) or (0, 0, 0)
    if kind.startswith("pct") and shade.get(W + "color") not in (None, "auto", "FFFFFF"):
        return UNKNOWN
    found = hex_colour(shade.get(W + "fill"))
    theme = shade.get(W + "themeFill")
    if found is None and theme and theme not in ("background1", "light1"):
        return UNKNOWN
    return found


def _box(box: Any) -> Colour:
    """What a text box is filled with. One without a fill may lie over a picture."""
    shape = box.getparent()
    if shape is None:
        return UNKNOWN
    if box.tag.startswith(_V):
        filled = str(shape.get("filled", "t")).lower() not in ("f", "false", "0")
        return (
            (hex_colour(shape.get("fillcolor", "").split(" ")[0]) or WHITE) if filled else UNKNOWN
        )
    properties = shape.find(_WPS + "spPr")
    solid = properties.find(f"{_A}solidFill") if properties is not None else None
    if solid is not None:
        colour = solid.find(f"{_A}srgbClr")
        if colour is not None:
            return hex_colour(colour.get("val")) or UNKNOWN
        scheme = solid.find(f"{_A}schemeClr")
        if scheme is not None and scheme.get("val") in ("bg1", "lt1") and len(scheme) == 0:
            return WHITE
    return UNKNOWN
