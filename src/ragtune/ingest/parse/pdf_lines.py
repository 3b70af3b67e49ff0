"""Lines of a PDF page with their boxes, sizes and weights, from pdfium's text page.

pdfium gives text in the order of the page's content stream with a break at each line; a hyphen at
a line end comes as U+FFFE instead. A line is cut into fragments where a gap shows columns.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as raw

from ragtune.ingest.parse.base import one_line
from ragtune.ingest.parse.hidden import TINY
from ragtune.ingest.parse.pdf_picture import Box

_LINE = re.compile("[^\r\n\ufffe]+")
_WORD_START = re.compile(r"(?<= )[^ ]")
_SHOWN = re.compile(r"\w")
GAP = 1.2  # ems: a wider gap inside a line separates columns
_MARK = re.compile(r"(?:[•·▪◦‣■●○–—*-]|\(?(?:\d{1,2}(?:\.\d{1,2}){0,4}|[A-Za-z]|[ivx]{1,4})[.)]?)$")
_TINY = 0.6 * TINY  # of a line's box: no higher than its letters
_WORDS = re.compile(r"\w{4}|\w+ \w+")
_MAX_CHARS = 2_000_000  # on one page


@dataclass(slots=True)
class Fragment:
    """A line, or the part of it in one column. Coordinates are PDF points."""

    text: str
    page: int  # 1-based
    left: float
    bottom: float
    right: float
    top: float
    base: float  # y of the baseline
    size: float
    bold: bool
    hyphen: bool = False  # cut by a hyphen at its end

    @property
    def box(self) -> tuple[float, float, float, float]:
        """left, bottom, right, top; rounded to what a screen can show."""
        return (
            round(self.left, 1),
            round(self.bottom, 1),
            round(self.right, 1),
            round(self.top, 1),
        )


class PageReader:
    """Reads one page; keeps the buffers that pdfium writes into."""

    def __init__(self, textpage: Any, page: int) -> None:
        self._textpage = textpage
        self._tp = textpage.raw
        self._page = page
        self._l, self._b, self._r, self._t = (ctypes.c_double() for _ in range(4))
        self._rl, self._rb, self._rr, self._rt = (
            ctypes.byref(v) for v in (self._l, self._b, self._r, self._t)
        )
        self._bold: dict[int | None, bool] = {}  # by font handle
        self._halves = False  # whether astral characters come as two surrogates
        self._name = ctypes.create_string_buffer(128)

    def lines(self, hidden: Sequence[tuple[int, int, str]] = ()) -> list[list[Fragment]]:
        """The page's lines in content order; a line is its fragments from left to right.

        `hidden` are characters that are passed over: first, end and why.
        """
        count = raw.FPDFText_CountChars(self._tp)
        if count <= 0 or count > _MAX_CHARS:
            return []
        text = self._textpage.get_text_range()
        if len(text) != count:  # left out or astral characters: offsets would be wrong
            units = [raw.FPDFText_GetUnicode(self._tp, i) for i in range(count)]
            text = "".join(chr(u) if u < 0x110000 else "\ufffd" for u in units)
            self._halves = True
        for start, end, _ in hidden:
            text = text[:start] + "\n" * (end - start) + text[end:]
        found = []
        for match in _LINE.finditer(text):
            start, end = match.span()
            if not (piece := match[0]).strip():
                continue
            start += len(piece) - len(piece.lstrip())
            end -= len(piece) - len(piece.rstrip())
            fragments = self._cut(text, start, end)
            if fragments:
                fragments[-1].hyphen = text[match.end() : match.end() + 1] == "\ufffe"
                found.append(fragments)
        return found

    def _rects(self, start: int, end: int) -> list[tuple[float, float, float, float]]:
        rects = []
        for index in range(raw.FPDFText_CountRects(self._tp, start, end - start)):
            if raw.FPDFText_GetRect(self._tp, index, self._rl, self._rt, self._rr, self._rb):
                rects.append((self._l.value, self._b.value, self._r.value, self._t.value))
        return rects

    def _fragment(
        self, text: str, start: int, end: int, rects: list[tuple[float, float, float, float]]
    ) -> Fragment | None:
        shown = one_line(_repair(text[start:end]) if self._halves else text[start:end])
        if not shown or not rects:
            return None
        left, bottom = min(r[0] for r in rects), min(r[1] for r in rects)
        right, top = max(r[2] for r in rects), max(r[3] for r in rects)
        probes = self._probes(text, start, end)
        middle = probes[len(probes) // 2]
        size = raw.FPDFText_GetFontSize(self._tp, middle)
        height = top - bottom
        if not 0.35 * height < size < 4 * height + 4:  # scaled by the text matrix
            size = height * 1.1
        base = bottom
        if raw.FPDFText_GetCharOrigin(self._tp, middle, self._rl, self._rb):
            base = self._b.value
        bold = all(self._is_bold(i) for i in probes)
        return Fragment(shown, self._page, left, bottom, right, top, base, size, bold)

    def _probes(self, text: str, start: int, end: int) -> list[int]:
        """A visible character at the start, in the middle and at the end."""
        if end - start < 4:
            return [start]
        found = []
        for at in (start, (start + end) // 2, end - 4):
            match = _SHOWN.search(text, at, min(end, at + 12))
            if match:
                found.append(match.start())
        return found or [start]

    def _is_bold(self, index: int) -> bool:
        shown = raw.FPDFText_GetTextObject(self._tp, index)
        font = raw.FPDFTextObj_GetFont(shown) if shown else None
        if not font:
            return False
        key = ctypes.cast(font, ctypes.c_void_p).value
        if key not in self._bold:
            self._name.value = b""
            raw.FPDFFont_GetBaseFontName(font, self._name, 128)
            name = self._name.value.lower()
            heavy = any(word in name for word in (b"bold", b"black", b"heavy", b"semibold", b"-bd"))
            self._bold[key] = heavy or raw.FPDFFont_GetWeight(font) >= 600
        return self._bold[key]

    def _cut(self, text: str, start: int, end: int) -> list[Fragment]:
        rects = self._rects(start, end)
        whole = self._fragment(text, start, end, rects)
        if whole is None:
            return []
        width, size = whole.right - whole.left, whole.size
        wide = width > 0.8 * size * (end - start) and end - start > 2
        if not wide and len(rects) > 1:
            edge = -1e9
            for left, _, right, _ in sorted(rects):
                if edge > -1e9 and left - edge > GAP * size:
                    wide = True
                    break
                edge = max(edge, right)
        if not wide:
            return [whole]
        cuts = [start]
        for match in _WORD_START.finditer(text, start, end):
            at = match.start()
            before = at - 1
            while before > start and text[before] == " ":
                before -= 1
            edges = self._edge(before, right=True), self._edge(at, right=False)
            if edges[0] is not None and edges[1] is not None and edges[1] - edges[0] > GAP * size:
                if _MARK.match(text[cuts[-1] : at].strip()) and edges[1] - edges[0] < 5 * size:
                    continue  # a bullet or number before its text
                cuts.append(at)
        if len(cuts) == 1:
            return [whole]
        fragments = []
        for begin, finish in zip(cuts, [*cuts[1:], end], strict=True):
            stop = finish
            while stop > begin and text[stop - 1] == " ":
                stop -= 1
            if made := self._fragment(text, begin, stop, self._rects(begin, stop)):
                fragments.append(made)
        return sorted(fragments, key=lambda f: f.left)

    def _edge(self, index: int, right: bool) -> float | None:
        if not raw.FPDFText_GetCharBox(self._tp, index, self._rl, self._rr, self._rb, self._rt):
            return None
        return self._r.value if right else self._l.value


def page_box(page: Any) -> Box:
    """The part of a page that is shown, in its own coordinates."""
    crop, media = page.get_cropbox(), page.get_mediabox()
    return (
        max(crop[0], media[0]), max(crop[1], media[1]),
        min(crop[2], media[2]), min(crop[3], media[3]),
    )  # fmt: skip


def seen_lines(lines: list[list[Fragment]], shown: Box) -> tuple[list[list[Fragment]], list[str]]:
    """The lines without what is too small to read or lies outside of the page; and why."""
    reasons: list[str] = []
    kept: list[list[Fragment]] = []
    for line in lines:
        left = []
        for f in line:
            outside = (
                f.right <= shown[0]
                or f.left >= shown[2]
                or f.top <= shown[1]
                or f.bottom >= shown[3]
            )
            if outside:
                reasons.append("text outside of the page")
            elif min(f.top - f.bottom, f.right - f.left) < _TINY and _WORDS.search(f.text):
                reasons.append("tiny text")
            else:
                left.append(f)
        if left:
            kept.append(left)
    return kept, reasons


def _repair(text: str) -> str:
    """Joins surrogate halves that were read one by one."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
