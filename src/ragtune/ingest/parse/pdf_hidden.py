"""Which characters of a PDF page nobody sees: painted white on white, not at all, or over.

First a look at the page's objects, which is cheap and on most pages all there is to do. Only where
text is unpainted, transparent, in a colour that may be the background's, or lies under a later
area, the page is drawn and the picture decides. So white text in a dark row stays, and so does the
unpainted text that OCR lays over a scan.
"""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as raw

from ragtune.ingest.parse.hidden import WHITE, Colour, alike
from ragtune.ingest.parse.pdf_picture import Box, Picture

Span = tuple[int, int, str]  # first character, end, why it is not seen

_SECONDS = 3.0  # of drawing, all pages of a document together
_LIGHT = 232  # of 255, the least channel: lighter text may be as white as its page
_DARK = 64  # the largest channel of what is near black
_OPAQUE = 0.1 * 255
_INK = 24  # difference of the lightest and darkest pixel: less is an empty area
_SHARE = 0.4  # of the pixels around a word that must differ from its colour
_LARGE = (20.0, 5.0)  # points: smaller areas are lines
_MAX_OTHERS = 400  # areas and pictures that are looked at on one page
_UNPAINTED = (raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP)
_STROKED = (raw.FPDF_TEXTRENDERMODE_STROKE, raw.FPDF_TEXTRENDERMODE_STROKE_CLIP)
_WITHOUT_PAINT = ("unpainted text", "transparent text")
_BLACK: Colour = (0, 0, 0)
_DEPTH = 8  # of forms inside forms
_BOTH = (raw.FPDF_TEXTRENDERMODE_FILL_STROKE, raw.FPDF_TEXTRENDERMODE_FILL_STROKE_CLIP)


def _by_address(function: Any, *arguments: Any, result: Any = ctypes.c_int) -> Any:
    """A function of pdfium that takes and gives addresses as plain numbers.

    Called for each object or character of a page, ctypes' pointer objects would cost most of it.
    """
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return ctypes.CFUNCTYPE(result, *arguments)(address)


_P = ctypes.c_void_p
_get_object = _by_address(raw.FPDFPage_GetObject, _P, ctypes.c_int, result=_P)
_object_in_form = _by_address(raw.FPDFFormObj_GetObject, _P, ctypes.c_ulong, result=_P)
_text_object = _by_address(raw.FPDFText_GetTextObject, _P, ctypes.c_int, result=_P)
_mode_of = _by_address(raw.FPDFTextObj_GetTextRenderMode, _P)
_type_of = _by_address(raw.FPDFPageObj_GetType, _P)
_fill_of = _by_address(raw.FPDFPageObj_GetFillColor, _P, _P, _P, _P, _P)
_stroke_of = _by_address(raw.FPDFPageObj_GetStrokeColor, _P, _P, _P, _P, _P)
_bounds_of = _by_address(raw.FPDFPageObj_GetBounds, _P, _P, _P, _P, _P)
_char_box_of = _by_address(raw.FPDFText_GetCharBox, _P, ctypes.c_int, _P, _P, _P, _P)


def _addresses(values: Any) -> list[int]:
    """The addresses of an array's members."""
    start, size = ctypes.addressof(values), ctypes.sizeof(values) // len(values)
    return [start + size * n for n in range(len(values))]


@dataclass(frozen=True, slots=True)
class _Suspect:
    """Why the text of an object may not be seen, and its brightness (0 to 255)."""

    why: str
    grey: float = 0.0


@dataclass(frozen=True, slots=True)
class _Area:
    """An opaque area or a picture (colour None), with its place in the order of painting."""

    order: int
    box: Box
    colour: Colour | None
    item: int  # its address


class HiddenText:
    """Finds what a document's pages hide; drawing them takes a bounded time."""

    def __init__(self) -> None:
        self._left = _SECONDS
        self._colour = (ctypes.c_uint * 4)()  # red, green, blue, alpha
        self._colour_at = _addresses(self._colour)
        self._box = (ctypes.c_float * 4)()
        self._box_at = _addresses(self._box)
        self._char = (ctypes.c_double * 4)()
        self._char_at = _addresses(self._char)

    def spans(self, page: Any, textpage: Any) -> list[Span]:
        """The characters of a page that are not seen, in order."""
        suspects, areas = self._suspects(page)
        if not suspects:
            return []
        words = list(self._words(textpage.raw, suspects))
        if not words:
            return []
        unpainted = any(s.why in _WITHOUT_PAINT for s in suspects.values())
        visible = _Visible(self._visible(textpage.raw, suspects) if unpainted else ())
        pictures = [area.box for area in areas if area.colour is None]
        if unpainted and pictures and not visible and len({w[2] for w in words}) == 1:
            # A scan with what OCR has read: to decode each picture would take too long.
            return [w[:3] for w in words if not any(_inside(w[4], p) for p in pictures)]
        picture = Picture.draw(page, self._left)
        self._left -= picture.seconds
        return [(a, b, why) for a, b, why, grey, box in words
                if not _seen(picture, visible, areas, why, grey, box)]  # fmt: skip

    # ------------------------------------------------------------ objects

    def _suspects(self, page: Any) -> tuple[dict[int, _Suspect], list[_Area]]:
        """Text objects that may not be seen, by their address; and what else is painted."""
        found: dict[int, _Suspect] = {}
        texts: list[tuple[int, int, Colour]] = []  # with their place in the order of painting
        others: list[tuple[int, int]] = []
        handle = _address(page.raw)
        light = coloured = False
        paint, (red, green, blue, alpha) = self._colour, self._colour_at
        for order in range(raw.FPDFPage_CountObjects(page.raw)):
            item = _get_object(handle, order)
            mode = _mode_of(item)
            if mode == 0:  # filled, as nearly all text is
                _fill_of(item, red, green, blue, alpha)
                if paint[0] <= _DARK and paint[1] <= _DARK and paint[2] <= _DARK and paint[3] > 99:
                    texts.append((order, item, _BLACK))
                    continue
            if mode >= 0:
                colour = self._text(item, mode, found)
                if colour is not None:
                    texts.append((order, item, colour))
                    light = light or min(colour) >= _LIGHT
                    coloured = coloured or max(colour) > _DARK
            elif _type_of(item) == raw.FPDF_PAGEOBJ_FORM:
                self._in_form(item, found)
            else:
                others.append((order, item))
        areas: list[_Area] = []
        if found or light or len(others) <= _MAX_OTHERS:
            first = texts[0][0] if texts and not (found or coloured) else 0
            areas = self._areas([o for o in others if o[0] >= first][-_MAX_OTHERS:])
        if light or areas:
            self._behind_or_over(texts, areas, found)
        return found, areas

    def _text(self, item: int, mode: int, found: dict[int, _Suspect]) -> Colour | None:
        """Its colour; None for text without paint, which is a suspect at once."""
        if mode in _UNPAINTED:
            found[item] = _Suspect("unpainted text")
            return None
        (_stroke_of if mode in _STROKED else _fill_of)(item, *self._colour_at)
        red, green, blue, alpha = self._colour
        if mode in _BOTH and min(red, green, blue) >= _LIGHT:
            _stroke_of(item, *self._colour_at)
            red, green, blue, alpha = self._colour
        if alpha < _OPAQUE:
            found[item] = _Suspect("transparent text")
            return None
        return red, green, blue

    def _in_form(self, form: int, found: dict[int, _Suspect], depth: int = 1) -> None:
        """Suspects inside a form, whose coordinates are its own: light text always is one."""
        for index in range(raw.FPDFFormObj_CountObjects(_handle(form))):
            item = _object_in_form(form, index)
            mode = _mode_of(item)
            if mode >= 0:
                colour = self._text(item, mode, found)
                if colour is not None and min(colour) >= _LIGHT:
                    found[item] = _Suspect("white text", _grey(colour))
            elif depth < _DEPTH and _type_of(item) == raw.FPDF_PAGEOBJ_FORM:
                self._in_form(item, found, depth + 1)

    def _areas(self, others: list[tuple[int, int]]) -> list[_Area]:
        """The pictures and opaque areas that are larger than a line."""
        found = []
        fill, stroke = ctypes.c_int(), ctypes.c_int()
        fill_ref, stroke_ref = ctypes.byref(fill), ctypes.byref(stroke)
        for order, item in others:
            kind = _type_of(item)
            colour: Colour | None = None
            if kind == raw.FPDF_PAGEOBJ_PATH:
                raw.FPDFPath_GetDrawMode(_handle(item), fill_ref, stroke_ref)
                if not fill.value:
                    continue
                _fill_of(item, *self._colour_at)
                red, green, blue, alpha = self._colour
                if alpha < 255 - _OPAQUE:
                    continue
                colour = red, green, blue
            elif kind != raw.FPDF_PAGEOBJ_IMAGE:
                continue
            box = self._bounds(item)
            if box is not None and _is_large(box):
                found.append(_Area(order, box, colour, item))
        return found

    def _behind_or_over(
        self, texts: list[tuple[int, int, Colour]], areas: list[_Area], found: dict[int, _Suspect]
    ) -> None:
        """Adds light text, text in the colour of an area, and text that is painted over.

        What certainly stands on an area of another colour is none.
        """
        colours = {area.colour for area in areas}
        last = areas[-1].order if areas else -1
        for order, item, colour in texts:
            light = min(colour) >= _LIGHT
            same = max(colour) > _DARK and colour in colours
            if not light and not same and last < order:
                continue
            box = self._bounds(item)
            if box is None:
                continue
            if any(a.order > order and _holds(a.box, box) for a in areas):
                found[item] = _Suspect("covered text", _grey(colour))
            elif (light or same) and not self._stands_out(order, box, colour, areas):
                why = "white text" if light else "text in the colour of its background"
                found[item] = _Suspect(why, _grey(colour))

    def _stands_out(self, order: int, box: Box, colour: Colour, areas: list[_Area]) -> bool:
        """Whether the area right under a text, or the page, is certainly of another colour."""
        for area in reversed(areas):
            if area.order > order or not _meet(area.box, box):
                continue
            if area.colour is None or not _holds(area.box, box) or alike(area.colour, colour):
                return False
            return raw.FPDFPath_CountSegments(_handle(area.item)) <= 5 and self._unclipped(
                area.item, box
            )
        return not alike(colour, WHITE)

    def _unclipped(self, item: int, box: Box) -> bool:
        """Whether no clip path of an object cuts into a box."""
        clip = raw.FPDFPageObj_GetClipPath(_handle(item))
        x, y = ctypes.c_float(), ctypes.c_float()
        for path in range(max(0, raw.FPDFClipPath_CountPaths(clip)) if clip else 0):
            points = []
            for index in range(min(6, raw.FPDFClipPath_CountPathSegments(clip, path))):
                segment = raw.FPDFClipPath_GetPathSegment(clip, path, index)
                if raw.FPDFPathSegment_GetPoint(segment, ctypes.byref(x), ctypes.byref(y)):
                    points.append((x.value, y.value))
            if not 4 <= len(points) <= 5:  # no rectangle
                return False
            across, up = zip(*points, strict=True)
            if not _holds((min(across), min(up), max(across), max(up)), box):
                return False
        return True

    def _bounds(self, item: int) -> Box | None:
        if not _bounds_of(item, *self._box_at):
            return None
        left, bottom, right, top = self._box
        return left, bottom, right, top

    # ------------------------------------------------------------ characters

    def _words(
        self, textpage: Any, suspects: dict[int, _Suspect]
    ) -> Iterator[tuple[int, int, str, float, Box]]:
        """Words of suspects: first character, end, why, brightness, box."""
        handle, count = _address(textpage), raw.FPDFText_CountChars(textpage)
        items = [_text_object(handle, index) for index in range(count)]
        index = 0
        while index < count:
            item = items[index]
            suspect = suspects.get(item)
            if suspect is None:
                index += 1
                continue
            start, box = index, None
            while index < count and items[index] == item:
                if raw.FPDFText_GetUnicode(textpage, index) <= 32:
                    break
                found = self._char_box(handle, index)
                if found is not None:
                    box = found if box is None else _joined(box, found)
                index += 1
            if box is not None:
                yield start, index, suspect.why, suspect.grey, box
            if index == start:
                index += 1

    def _visible(self, textpage: Any, suspects: dict[int, _Suspect]) -> Iterator[Box]:
        """Boxes of the characters that no suspect holds."""
        handle = _address(textpage)
        for index in range(raw.FPDFText_CountChars(textpage)):
            item = _text_object(handle, index)
            if item and item not in suspects:
                box = self._char_box(handle, index)
                if box is not None:
                    yield box

    def _char_box(self, textpage: int, index: int) -> Box | None:
        if not _char_box_of(textpage, index, *self._char_at):
            return None
        left, right, bottom, top = self._char
        return left, bottom, right, top


def _address(pointer: Any) -> int:
    return ctypes.addressof(pointer.contents)


def _handle(address: int) -> Any:
    return ctypes.cast(address, raw.FPDF_PAGEOBJECT)


def _grey(colour: Colour) -> float:
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def _is_large(box: Box) -> bool:
    return box[2] - box[0] >= _LARGE[0] and box[3] - box[1] >= _LARGE[1]


def _inside(box: Box, outer: Box) -> bool:
    """Whether the middle of a box lies in another."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _holds(outer: Box, box: Box) -> bool:
    """Whether a box lies wholly in another, but for a hair."""
    return (
        outer[0] <= box[0] + 0.5 and outer[1] <= box[1] + 0.5
        and outer[2] >= box[2] - 0.5 and outer[3] >= box[3] - 0.5
    )  # fmt: skip


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _joined(a: Box, b: Box) -> Box:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


class _Visible:
    """Where characters stand that are seen, to tell what lies on them."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        self._rows: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for left, bottom, right, top in boxes:
            middle = (bottom + top) / 2
            self._rows[int(middle // 8)].append(((left + right) / 2, middle))

    def __bool__(self) -> bool:
        return bool(self._rows)

    def on(self, box: Box) -> bool:
        """Whether one of them stands where `box` is."""
        left, bottom, right, top = box
        return any(
            left <= x <= right and bottom <= y <= top
            for row in range(int(bottom // 8), int(top // 8) + 1)
            for x, y in self._rows.get(row, ())
        )


def _seen(
    picture: Picture, visible: _Visible, areas: list[_Area], why: str, grey: float, box: Box
) -> bool:
    """Whether a word is seen, by what is drawn where it stands."""
    unpainted = why in _WITHOUT_PAINT
    if unpainted and visible.on(box):
        return False
    if not picture.data:  # not drawn in time: seen where something is painted that may show it
        return why == "covered text" or any(
            _inside(box, a.box)
            for a in areas
            if a.colour is None or not (unpainted or abs(_grey(a.colour) - grey) < _INK)
        )
    if unpainted or why == "covered text":  # OCR puts words about where they are
        pixels = picture.around(box, 2.0 if unpainted else 0.0)
        return not pixels or max(pixels) - min(pixels) >= _INK
    pixels = picture.around(box, 0.2 * min(box[3] - box[1], 40.0))
    least = _INK if why == "white text" else 6
    return not pixels or sum(abs(p - grey) >= least for p in pixels) >= _SHARE * len(pixels)
