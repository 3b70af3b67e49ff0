"""Takes out of an HTML page what its reader does not see.

By attributes, styles in place and the page's own style sheets; those that the page loads are not
at hand. A later rule outweighs an earlier one, whatever its selector: enough to tell what is shown
at first. What only a script would show stays hidden.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from ragtune.ingest.parse import css
from ragtune.ingest.parse.base import has_words
from ragtune.ingest.parse.hidden import WHITE, Colour, LeftOut, alike

_WHOLE = frozenset(("html", "body", "main", "article"))  # hidden until a script shows the page
_UNSHOWN = frozenset("script style template noscript head title svg iframe".split())
_MAY_HIDE = re.compile(r"style|hidden|bgcolor|color=|<dialog", re.I)
_NAMED = re.compile(r"[.#](-?[\w-]+)")  # classes and ids of a selector
_MAX_RULES = 5_000
_MAX_MATCHES = 200_000


@dataclass(frozen=True, slots=True)
class _Look:
    """What a text inherits."""

    visible: bool = True
    tiny: bool = False
    colour: Colour | None = (0, 0, 0)
    behind: Colour | None = WHITE

    @property
    def why(self) -> str:
        """Why text that looks so is not seen."""
        if not self.visible:
            return "hidden element"
        if self.tiny:
            return "tiny text"
        if self.colour == css.CLEAR:
            return "transparent text"
        if self.colour is not None and self.behind is not None and alike(self.colour, self.behind):
            return "white text" if self.colour == WHITE else "text in the colour of its background"
        return ""


def take_out(parser: LexborHTMLParser, html: str, left_out: LeftOut) -> None:
    """Removes hidden elements and texts from the page made of `html`, and notes them."""
    if not _MAY_HIDE.search(html):
        return
    styles = _styles(parser)
    for node in parser.css("[hidden], dialog:not([open])"):
        styles.setdefault(node.mem_id, (node, {}))[1].setdefault("display", "none")
    gone = [
        node for node, style in styles.values()
        if (node.tag or "") not in _WHOLE and css.hides_all(style)
    ]  # fmt: skip
    texts = _texts(parser, {key: style for key, (_, style) in styles.items()})
    for text, why in texts:
        if has_words(text.text_content or ""):
            left_out.add(why)
        text.decompose()
    for node in _outermost(gone):
        if any(has_words(text.text_content or "") for text in _text_nodes(node)):
            left_out.add("hidden element")
        node.decompose()


def _styles(parser: LexborHTMLParser) -> dict[int, tuple[LexborNode, css.Style]]:
    """What is said about each element, by its identity: sheets first, then its own style."""
    found: dict[int, tuple[LexborNode, css.Style]] = {}
    matches = rules = 0
    sheets = parser.css("style")
    held = _classes_and_ids(parser) if sheets else set()
    for sheet in sheets:
        if "print" in (sheet.attributes.get("media") or ""):
            continue
        for selector, style in css.rules(sheet.text()):
            rules += 1
            if ":" in selector or len(selector) > 200 or rules > _MAX_RULES:
                continue
            if "[" not in selector and not held.issuperset(_NAMED.findall(selector.lower())):
                continue  # looking through all elements for each rule of a framework takes long
            try:
                nodes = parser.css(selector)
            except SelectolaxError:
                continue
            matches += len(nodes)
            if matches > _MAX_MATCHES:
                break
            for node in nodes:
                found.setdefault(node.mem_id, (node, {}))[1].update(style)
    for node in parser.css("[style], [bgcolor], font[color], body[text]"):
        style = found.setdefault(node.mem_id, (node, {}))[1]
        attributes = node.attributes
        if value := attributes.get("bgcolor"):
            style.setdefault("background-color", value.lower())
        if value := attributes.get("color" if node.tag == "font" else "text"):
            style.setdefault("color", value.lower())
        style.update(css.declarations(attributes.get("style") or ""))
    return found


def _classes_and_ids(parser: LexborHTMLParser) -> set[str]:
    held: set[str] = set()
    for node in parser.css("[class], [id]"):
        held.update(f"{node.attributes.get('class')} {node.attributes.get('id')}".lower().split())
    return held


def _texts(parser: LexborHTMLParser, styles: dict[int, css.Style]) -> list[tuple[LexborNode, str]]:
    """Text nodes that their colour, size or visibility hides, with why."""
    said = {
        key: style for key, style in styles.items()
        if style.keys() & {"visibility", "font-size", "font", "color", "background",
                           "background-color", "background-image"}
    }  # fmt: skip
    if not said or parser.root is None:
        return []
    found = []
    stack: list[tuple[LexborNode, _Look]] = [(parser.root, _Look())]
    while stack:
        node, look = stack.pop()
        if (following := node.next) is not None:
            stack.append((following, look))
        tag = node.tag or ""
        if tag == "-text":
            if look.why and (node.text_content or "").strip():
                found.append((node, look.why))
            continue
        child = None if tag in _UNSHOWN else node.first_child
        if child is not None:
            style = said.get(node.mem_id)
            stack.append((child, _look(look, style, tag) if style else look))
    return found


def _look(outer: _Look, style: css.Style, tag: str) -> _Look:
    visible, tiny = style.get("visibility"), css.is_tiny(style)
    look = replace(
        outer,
        visible=outer.visible if visible is None else visible not in ("hidden", "collapse"),
        tiny=outer.tiny if tiny is None else tiny,
    )
    if tag in _WHOLE:
        look = replace(look, visible=outer.visible)
    if (value := style.get("color")) and value not in ("inherit", "initial", "unset"):
        look = replace(look, colour=css.colour(value))
    behind = css.background(style)
    return look if isinstance(behind, bool) else replace(look, behind=behind)


def _text_nodes(top: LexborNode) -> list[LexborNode]:
    found, stack = [], [top.first_child]
    while stack:
        node = stack.pop()
        if node is None:
            continue
        stack.append(node.next)
        if node.tag == "-text":
            found.append(node)
        elif (node.tag or "") not in _UNSHOWN:
            stack.append(node.first_child)
    return found


def _outermost(nodes: list[LexborNode]) -> list[LexborNode]:
    """Those of the nodes that lie in no other of them."""
    own = {node.mem_id for node in nodes}
    found = []
    for node in nodes:
        parent = node.parent
        while parent is not None and parent.mem_id not in own:
            parent = parent.parent
        if parent is None:
            found.append(node)
    return found
