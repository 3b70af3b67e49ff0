"""HTML as readable text: headings, lists, tables and code stay what they are (Lexbor)."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ragtune.ingest.parse.base import Builder, Parsed, clean, one_line
from ragtune.ingest.parse.decode import decode
from ragtune.ingest.parse.html_hidden import take_out
from ragtune.ingest.parse.html_table import read_rows
from ragtune.ingest.parse.tables import add_table
from ragtune.types import SourceMap

_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,40})", re.I)
_XML_ENCODING = re.compile(rb"<\?xml[^>]{0,100}encoding\s*=\s*[\"']([A-Za-z0-9_.-]{2,40})")
SKIP = frozenset(
    "script style template svg noscript head iframe object button select canvas audio video "
    "ix:header math-annotation".split()
)
_BLOCK = frozenset(
    "p div section article main header footer aside nav body html form fieldset figure figcaption "
    "blockquote address details summary dl dt dd center hr legend caption tr tbody thead tfoot "
    "menu option label".split()
) - {"label", "option"}
_HEADINGS = {f"h{n}": n for n in range(1, 7)}
_LONELY_MARK = re.compile(r"(?:[•·▪◦‣■●○–—*-]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.)])$")
_WHITE = re.compile(r"[ \t\n\r\f]+")


def read_html(data: bytes, name: str) -> Parsed:
    """The page's text, as far as it is seen; its `<title>` is the title."""
    out = Builder()
    parser = shown_page(decode_html(data), out)
    write_html(_main(parser), out)
    found = parser.css_first("title")
    title = found.text() if found is not None else ""
    return out.finish(name, "html", title)


def shown_page(html: str, out: Builder) -> LexborHTMLParser:
    """The page without what its reader does not see, which `out` takes note of."""
    parser = LexborHTMLParser(html)
    take_out(parser, html, out.left_out)
    return parser


def _main(parser: LexborHTMLParser) -> LexborNode | None:
    """`<main>` when the page has exactly one that holds most of its text, else the body."""
    body = parser.body or parser.root
    mains = parser.css("main, [role=main]")
    if body is None or len(mains) != 1:
        return body
    words = len(body.text(separator=" ").split())
    return mains[0] if len(mains[0].text(separator=" ").split()) > 0.5 * words else body


def decode_html(data: bytes) -> str:
    """Text of an HTML or XHTML file; the encoding may be named inside it."""
    head = data[:4096]
    match = _XML_ENCODING.search(head) or _CHARSET.search(head)
    return decode(data, match[1].decode("ascii") if match else None)


def write_html(
    root: LexborNode | None, out: Builder, anchor: Mapping[str, Any] | None = None
) -> None:
    """Adds the content of `root`; navigation is left out unless it is most of the page."""
    if root is None:
        return
    writer = _Writer(Builder(), anchor, keep_navigation=False)
    writer.run(root)
    if writer.skipped_navigation:
        whole = _Writer(Builder(), anchor, keep_navigation=True)
        whole.run(root)
        if writer.out.length < 0.2 * whole.out.length:
            writer = whole
    if writer.out:
        heading = out.first_heading or writer.out.first_heading
        made = writer.out
        out.append(made.text(), SourceMap(tuple(made.blocks), tuple(made.anchors)))
        out.first_heading = heading


def events(
    root: LexborNode, skip: frozenset[str] = SKIP
) -> Generator[tuple[LexborNode, str, bool], bool | None, None]:
    """(node, tag, entering) in document order without recursion: pages may be nested deeply.

    A consumer that wants to pass over a subtree sends True.
    """
    node: LexborNode | None = root
    stack: list[tuple[LexborNode, str]] = []
    while node is not None:
        tag = node.tag or ""
        child = None
        if tag not in skip and not tag.startswith("_"):
            passed = yield node, tag, True
            if not passed:
                child = node.first_child
            if child is not None:
                stack.append((node, tag))
                node = child
                continue
            yield node, tag, False
        following = node.next if stack else None
        while following is None and stack:
            node, tag = stack.pop()
            yield node, tag, False
            following = node.next if stack else None
        node = following


class _Writer:
    def __init__(
        self, out: Builder, anchor: Mapping[str, Any] | None, keep_navigation: bool
    ) -> None:
        self.out = out
        self.anchor = anchor
        self.keep_navigation = keep_navigation
        self.skipped_navigation = False
        self._inline: list[str] = []
        self._mark = ""  # a bullet or number that stood alone, waiting for its text
        self._lists: list[int] = []  # next number of each open list; 0 for bullets
        self._items: list[str] = []  # the mark of each open item until it is written
        self._heading = 0
        self._code = 0

    def run(self, root: LexborNode) -> None:
        walk = events(root)
        answer: bool | None = None
        try:
            while True:
                node, tag, entering = walk.send(answer) if answer is not None else next(walk)
                answer = None
                if entering:
                    answer = self._enter(node, tag)
                else:
                    self._leave(tag)
        except StopIteration:
            pass
        self._flush()

    def _enter(self, node: LexborNode, tag: str) -> bool | None:
        """Handles an opening tag; True passes over its content. None is sent as 'go on'."""
        if tag == "-text":
            text = node.text_content or ""
            self._inline.append(text if self._code else _WHITE.sub(" ", text))
            return None
        if tag == "br":
            self._inline.append("\n")
            return None
        if self._unwanted(node, tag):
            return True
        if tag == "table":
            return self._table(node)
        if tag in _HEADINGS:
            self._flush()
            self._heading = _HEADINGS[tag]
        elif tag in ("ul", "ol", "menu"):
            self._flush()
            start = node.attributes.get("start") if tag == "ol" else None
            self._lists.append(
                (int(start) if start and start.isdigit() else 1) if tag == "ol" else 0
            )
        elif tag == "li":
            self._flush()
            mark = "- "
            if self._lists and self._lists[-1]:
                mark = f"{self._lists[-1]}. "
                self._lists[-1] += 1
            self._items.append(mark)
        elif tag == "pre":
            self._flush()
            self._code += 1
        elif tag in _BLOCK:
            self._flush()
        elif tag in ("td", "th"):
            self._inline.append(" ")
        return None

    def _unwanted(self, node: LexborNode, tag: str) -> bool:
        navigation = tag == "nav" or node.attributes.get("role") == "navigation"
        if navigation and not self.keep_navigation:
            self.skipped_navigation = True
            return True
        return False

    def _leave(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._flush()
            self._heading = 0
        elif tag in ("ul", "ol", "menu"):
            self._flush()
            if self._lists:
                self._lists.pop()
        elif tag == "li":
            self._flush()
            if self._items:
                self._items.pop()
        elif tag == "pre":
            self._flush()
            self._code = max(0, self._code - 1)
        elif tag in _BLOCK:
            self._flush()

    def _table(self, node: LexborNode) -> bool:
        self._flush()
        table = read_rows(node)
        if table is None:
            return False
        if table.caption:
            self.out.add(table.caption, "paragraph", 0, self.anchor)
        anchor = self.anchor
        add_table(self.out, table.rows, (lambda _: anchor) if anchor else None, table.header)
        return True

    def _flush(self) -> None:
        if not self._inline:
            return
        raw = "".join(self._inline)
        self._inline = []
        if self._code:
            self.out.add(raw, "code", 0, self.anchor)
            return
        text = clean(raw)
        if not text:
            return
        if self._heading:
            self.out.add_raw(one_line(text), "heading", self._heading, self.anchor)
            return
        if _LONELY_MARK.match(text):
            self._mark = text
            return
        if self._items and self._items[-1]:
            text = self._items[-1] + text
            self._items[-1] = ""
            self.out.add_raw(text, "item", max(0, len(self._lists) - 1), self.anchor)
        elif self._mark:
            mark = "-" if len(self._mark) == 1 else self._mark
            self.out.add_raw(f"{mark} {text}", "item", 0, self.anchor)
        else:
            self.out.add_raw(text, "paragraph", 0, self.anchor)
        self._mark = ""
