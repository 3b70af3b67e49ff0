"""RTF by a small tokenizer: paragraphs, headings by size and weight, lists and tables.

By hand because text-only converters lose which paragraphs are headings and how lists are numbered.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from dataclasses import dataclass, field, replace

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Builder, Parsed, clean, one_line
from ragtune.ingest.parse.hidden import TINY, WHITE, Colour, LeftOut, alike
from ragtune.ingest.parse.tables import add_table

_TOKEN = re.compile(
    rb"\\([a-z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-fA-F]{2})|\\([^a-z'])|([{}])|[\r\n]+|"
    rb"([^\\{}\r\n]+)"
)
# groups that hold no text of the document
_SKIP = frozenset(
    "fonttbl colortbl stylesheet listtable listoverridetable rsidtbl generator themedata "
    "colorschememapping latentstyles datastore xmlnstbl pict object nonshppict header footer "
    "headerl headerr headerf footerl footerr footerf fldinst filetbl revtbl mmathPr "
    "bkmkstart bkmkend annotation atnid atnauthor".split()
)
_CHARS = {
    "tab": "\t",
    "line": "\n",
    "emdash": "—",
    "endash": "–",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "bullet": "•",
    "emspace": " ",
    "enspace": " ",
    "softline": "\n",
}
_BULLETS = "•·▪◦‣■●○–-\uf0b7\uf0a7"
_ITEM = re.compile(r"(\(?(?:\d{1,3}|[a-zA-Z])[.)])\s+\S")
_MAX_DEPTH = 500
_COLOURS = re.compile(rb"\{\\colortbl\b([^{}]*)\}")
_PART = re.compile(rb"\\(red|green|blue)(\d{1,3})")


@dataclass(slots=True)
class _State:
    """What a group inherits and restores."""

    skip: bool = False
    info: str = ""
    bold: bool = False
    size: int = 24
    unicode_skip: int = 1
    list_text: bool = False
    hidden: bool = False
    colour: int = 0  # in the colour table
    shaded: bool = False  # by a highlight or a background


@dataclass(slots=True)
class _Paragraph:
    text: str
    size: int
    bold: bool
    mark: str
    outline: int
    cells: list[str] = field(default_factory=list)


def read_rtf(data: bytes, name: str) -> Parsed:
    """Text of an RTF file. Raises DocumentError when it is no RTF beyond its first bytes."""
    reader = _Reader(data)
    reader.run()
    out = Builder()
    reader.write(out)
    out.left_out = reader.left_out
    return out.finish(name, "rtf", reader.title)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.title = ""
        self._paragraphs: list[_Paragraph] = []
        self._text: list[str] = []
        self._mark: list[str] = []
        self._cells: list[str] = []
        self._weights: Counter[tuple[int, bool]] = Counter()  # of the paragraph's characters
        self._sizes: Counter[int] = Counter()  # of the whole text
        self._outline = -1
        self._encoding = "cp1252"
        self._pending = b""  # bytes of characters that take several
        self._to_skip = 0  # stand-ins after a \\u
        self._shaded = False  # the paragraph or the row it stands in
        self.left_out = LeftOut()
        self._white = {  # of the colour table
            number
            for number, colour in enumerate(_colours(data))
            if colour is not None and alike(colour, WHITE)
        }

    def run(self) -> None:
        """Reads all tokens."""
        state = _State()
        stack: list[_State] = []
        position, data = 0, self.data
        while match := _TOKEN.match(data, position) or self._resync(data, position):
            position = match.end()
            word, number, code, symbol, brace, plain = match.groups()
            if brace == b"{":
                if len(stack) > _MAX_DEPTH:
                    raise DocumentError("malformed RTF: nested too deeply")
                stack.append(replace(state))
            elif brace == b"}":
                self._flush_bytes(state)
                state = stack.pop() if stack else _State()
            elif word is not None:
                if word == b"bin" and number:
                    position += max(0, int(number))
                    continue
                self._word(word.decode(), number, state)
            elif code is not None:
                self._bytes(bytes([int(code, 16)]), state)
            elif symbol is not None:
                self._symbol(symbol, state)
            elif plain is not None:
                self._bytes(plain, state)
        self._paragraph()

    @staticmethod
    def _resync(data: bytes, position: int) -> re.Match[bytes] | None:
        """Passes over a lone backslash at a place where no token starts."""
        return _TOKEN.search(data, position + 1) if position < len(data) else None

    def _symbol(self, symbol: bytes, state: _State) -> None:
        if symbol == b"*":
            state.skip = True  # an extension that readers may pass over; known ones are let in
        elif symbol == b"~":
            self._put("\u00a0", state)
        elif symbol == b"_":
            self._put("-", state)
        elif symbol in b"\\{}":
            self._put(symbol.decode(), state)
        elif symbol in b"\r\n":
            self._paragraph()

    def _word(self, word: str, number: bytes | None, state: _State) -> None:
        value = int(number) if number else None
        if word == "u" and value is not None:
            self._flush_bytes(state)
            self._put(chr(value % 65536), state)
            self._to_skip = state.unicode_skip
            return
        self._flush_bytes(state)
        if word in _SKIP:
            state.skip = True
        elif word in ("listtext", "pntext"):
            state.skip, state.list_text = False, True
        elif word in ("shptxt", "fldrslt", "footnote"):
            state.skip = False
        elif word == "info":
            state.skip = True
        elif word == "title" and state.skip:
            state.info = "title"
        elif word in ("par", "sect", "page"):
            if not state.skip:
                self._paragraph()
        elif word == "pard":
            self._outline = -1
            self._shaded = False
        elif word == "trowd":
            self._shaded = False
        elif word in ("cbpat", "clcbpat", "shading", "clshdng"):
            self._shaded = self._shaded or bool(value and value not in self._white)
        elif word in ("highlight", "cb", "chcbpat"):
            state.shaded = bool(value and value not in self._white)
        elif word == "v":
            state.hidden = value != 0
        elif word == "cf" and value is not None:
            state.colour = value
        elif word == "outlinelevel" and value is not None:
            self._outline = value
        elif word in ("cell", "nestcell"):
            if not state.skip:
                self._cells.append(one_line(self._take()))
        elif word in ("row", "nestrow"):
            if self._cells:
                self._paragraphs.append(_Paragraph("", 0, False, "", -1, self._cells))
                self._cells = []
        elif word == "b":
            state.bold = value != 0
        elif word == "plain":
            state.bold, state.size = False, 24
            state.hidden, state.colour, state.shaded = False, 0, False
        elif word == "fs" and value:
            state.size = value
        elif word == "uc" and value is not None:
            state.unicode_skip = value
        elif word == "ansicpg" and value:
            self._encoding = _known(f"cp{value}")
        elif word in _CHARS:
            self._put(_CHARS[word], state)

    def _bytes(self, data: bytes, state: _State) -> None:
        if self._to_skip:
            skipped = min(self._to_skip, len(data))
            self._to_skip -= skipped
            data = data[skipped:]
        if data.isascii() and not self._pending:
            self._put(data.decode("ascii"), state)
        else:
            self._pending += data
            if len(data) > 1:
                self._flush_bytes(state)

    def _flush_bytes(self, state: _State) -> None:
        if self._pending:
            text, self._pending = self._pending.decode(self._encoding, "replace"), b""
            self._put(text, state)

    def _put(self, text: str, state: _State) -> None:
        if state.info == "title":
            self.title += text
        elif state.list_text:
            self._mark.append(text)
        elif not state.skip and (why := self._unseen(state)):
            if text.strip():
                self.left_out.add(why)
        elif not state.skip:
            self._text.append(text)
            if shown := len(text.strip()):
                self._weights[state.size, state.bold] += shown
                self._sizes[state.size] += shown

    def _unseen(self, state: _State) -> str:
        """Why text in this state is not seen, "" when it is."""
        if state.hidden:
            return "hidden text"
        if state.size < 2 * TINY:
            return "tiny text"
        if state.colour in self._white and not state.shaded and not self._shaded:
            return "white text"
        return ""

    def _take(self) -> str:
        text = "".join(self._text).encode("utf-16-le", "surrogatepass")
        self._text, self._mark = [], []
        self._weights.clear()
        return text.decode("utf-16-le", "replace")

    def _paragraph(self) -> None:
        mark = clean("".join(self._mark))
        size = max(self._weights, key=lambda k: self._weights[k], default=(24, False))[0]
        bold = bool(self._weights) and all(heavy for _, heavy in self._weights)
        text = clean(self._take())
        if text:
            self._paragraphs.append(_Paragraph(text, size, bold, mark, self._outline))

    def write(self, out: Builder) -> None:
        """Adds what was read; what is larger than the body, or short and bold, is a heading."""
        body = self._sizes.most_common(1)[0][0] if self._sizes else 24
        larger = sorted({p.size for p in self._paragraphs if p.size > body}, reverse=True)
        rows: list[list[str]] = []
        for p in [*self._paragraphs, _Paragraph("", 0, False, "", -1)]:
            if p.cells:
                rows.append(p.cells)
                continue
            if rows:
                add_table(out, rows)
                rows = []
            if not p.text:
                continue
            short = len(p.text) <= 160 and p.text[-1] not in ".,;"
            if 0 <= p.outline < 9:
                out.add_raw(one_line(p.text), "heading", min(6, p.outline + 1))
            elif p.size > body and short:
                out.add_raw(one_line(p.text), "heading", min(6, larger.index(p.size) + 1))
            elif p.bold and short and len(p.text) <= 100 and not p.mark:
                out.add_raw(one_line(p.text), "heading", min(6, len(larger) + 1))
            else:
                _write_line(out, p.text, p.mark)


def _colours(data: bytes) -> list[Colour | None]:
    """The colour table; None for the automatic colour."""
    table = _COLOURS.search(data)
    found: list[Colour | None] = []
    for entry in table[1].split(b";")[:-1] if table else ():
        parts = dict(_PART.findall(entry))
        found.append(
            (int(parts[b"red"]), int(parts[b"green"]), int(parts[b"blue"]))
            if parts.keys() >= {b"red", b"green", b"blue"}
            else None
        )
    return found


def _write_line(out: Builder, text: str, mark: str) -> None:
    if mark:
        out.add_raw(f"{'-' if mark[0] in _BULLETS else mark} {text}", "item")
    elif text[0] in _BULLETS and text[1:2].isspace():
        out.add_raw("- " + text[1:].strip(), "item")
    elif _ITEM.match(text):
        out.add_raw(" ".join(text.split(None, 1)), "item")
    else:
        out.add_raw(text)


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        return "cp1252"
