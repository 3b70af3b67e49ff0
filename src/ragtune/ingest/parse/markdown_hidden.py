"""Blanks what a rendered Markdown file does not show; every offset and line stays where it is.

Comments, scripts and styles, elements that their attributes hide, and the definitions that people
write as comments (`[//]: # (…)`). Code, fenced or inline, is shown, so it stays.
"""

from __future__ import annotations

import re

from ragtune.ingest.parse import css
from ragtune.ingest.parse.hidden import WHITE, LeftOut, alike

_MAY_HIDE = re.compile(r"<(?:!--|(?:script|style|template)\b|[a-z][^<>]*(?:hidden|style))", re.I)
_DEFINES = re.compile(r"\]:[ \t]*[^\s\]]\S{0,2000}[ \t]*[\"'(]")
_FENCE = re.compile(r"[ \t]*(?:[-*+>][ \t]+)*(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_DEFINITION = re.compile(
    r" {0,3}\[[^\]\n^][^\]\n]*\]:[ \t]*(?:<[^>\n]*>|[^\s<]\S*)"
    r"[ \t]*((?:\"[^\"\n]*\"|'[^'\n]*'|\([^)\n]*\))[ \t]*)?$"
)
_TOKEN = re.compile(r"`+|\\.|<!--|<([a-zA-Z][\w-]*)((?:\s[^<>]*)?)>")
_TAG = r"<(/?){}\b[^<>]*>"
_ATTRIBUTE = re.compile(
    r"\s(hidden)(?=[\s=/]|$)|\sstyle\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.I
)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_TICKS = re.compile("`+")
_BEGIN = re.compile(r"[`\\<]")
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
_LOOKED = 1_000_000  # tags looked at for ends of elements
_CODE_LENGTH = 20_000
_VISIBLE = re.compile(r"[^\n]")


def without_hidden(text: str, left_out: LeftOut) -> str:
    """`text` with spaces for what is not shown, as long as before, line for line."""
    if not _MAY_HIDE.search(text) and not _DEFINES.search(text):
        return text
    finder = _Finder(text)
    finder.run()
    for what in finder.notes:
        left_out.add(what)
    parts, position = [], 0
    for start, end in finder.found:
        parts += [text[position:start], _VISIBLE.sub(" ", text[start:end])]
        position = end
    return "".join([*parts, text[position:]])


class _Finder:
    """Walks through the lines outside of code; `found` are the spans to blank, in order."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[tuple[int, int]] = []
        self.notes: list[str] = []
        self.left = _LOOKED

    def run(self) -> None:
        position, fence = 0, ""
        blank, in_list = True, False
        while position < len(self.text):
            end = self.text.find("\n", position)
            end = len(self.text) if end < 0 else end
            line = self.text[position:end]
            mark = _FENCE.match(line)
            if fence:
                if mark and mark[1][0] == fence[0] and len(mark[1]) >= len(fence):
                    fence = "" if not line[mark.end() :].strip() else fence
            elif mark and not ("`" in mark[1] and "`" in line[mark.end() :]):
                fence = mark[1]
            elif not line.strip():
                pass
            elif blank and not in_list and line.startswith(("    ", "\t")):
                position = end + 1
                continue  # indented code, and so is the next line if it is indented
            else:
                in_list = bool(_ITEM.match(line)) or (in_list and (line[0] in " \t" or not blank))
                end = self._line(position, end)
            blank = not line.strip()
            position = end + 1

    def _line(self, start: int, end: int) -> int:
        """Looks at a line and what begins in it; the end of the line where that ends."""
        if "[" in self.text[start : start + 4]:
            definition = _DEFINITION.match(self.text, start, end)
            if definition and definition.end() == end:
                if definition[1]:
                    self._hide(*definition.span(1), "comment")
                return end
        if self.text.find("<", start, end) < 0 and self.text.find("`", start, end) < 0:
            return end
        position = start
        while position < end and (begin := _BEGIN.search(self.text, position, end)):
            token = _TOKEN.match(self.text, begin.start())  # a tag may end on a later line
            position = self._token(token, start) if token else begin.end()
            if position > end:
                found = self.text.find("\n", position)
                end = len(self.text) if found < 0 else found
        return end

    def _token(self, token: re.Match[str], line: int) -> int:
        """What comes after a token that may hide something."""
        said, start = token[0], token.start()
        if said[0] == "`":
            return self._code(token)
        if said == "<!--":
            close = self.text.find("-->", start + 2)
            if close >= 0:
                return self._hide(start, close + 3, "comment")
            if not self.text[line:start].strip() and start - line <= 3:  # to the end, as in HTML
                return self._hide(start, len(self.text), "comment")
            return token.end()
        if said[0] == "<" and (why := _hides(token[1].lower(), token[2])):
            return self._hide(start, self._closing(token), why)
        return token.end()

    def _code(self, token: re.Match[str]) -> int:
        """The end of inline code, or of the marks where there is none."""
        last = min(len(self.text), token.end() + _CODE_LENGTH)
        paragraph = _BLANK_LINE.search(self.text, token.end(), last)
        for close in _TICKS.finditer(
            self.text, token.end(), paragraph.start() if paragraph else last
        ):
            if len(close[0]) == len(token[0]):
                return close.end()
        return token.end()

    def _closing(self, token: re.Match[str]) -> int:
        """The end of an element; of its paragraph where it is never closed."""
        if token[1].lower() in _VOID:
            return token.end()
        depth = 1
        tags = re.compile(_TAG.format(re.escape(token[1])), re.I)
        for tag in tags.finditer(self.text, token.end()):
            depth += -1 if tag[1] else 1
            self.left -= 1
            if self.left < 0:  # elements in elements without end: what is not told apart is hidden
                return len(self.text)
            if depth == 0:
                return tag.end()
        paragraph = _BLANK_LINE.search(self.text, token.end())
        return paragraph.start() if paragraph else len(self.text)

    def _hide(self, start: int, end: int, why: str) -> int:
        self.found.append((start, end))
        if any(c.isalnum() for c in self.text[start:end]):
            self.notes.append(why)
        return end


def _hides(tag: str, attributes: str) -> str:
    """Why an element of this tag and these attributes is not shown, "" when it is."""
    if tag in ("script", "style", "template"):
        return f"{tag} element"
    for match in _ATTRIBUTE.finditer(attributes):
        if match[1]:
            return "hidden element"
        style = css.declarations(match[2] or match[3] or match[4] or "")
        if css.hides_all(style) or style.get("visibility") in ("hidden", "collapse"):
            return "hidden element"
        if css.is_tiny(style):
            return "tiny text"
        colour, behind = css.colour(style.get("color")), css.background(style)
        if colour == css.CLEAR:
            return "transparent text"
        behind = WHITE if behind is False else behind
        if colour and behind and not isinstance(behind, bool) and alike(colour, behind):
            return "white text" if colour == WHITE else "text in the colour of its background"
    return ""
