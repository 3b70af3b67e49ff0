"""Where a span stands in its source: for people (a label) and for a viewer (boxes, cells, lines).

Pure functions over a document's map; both find their way by bisection.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence

from ragtune.types import Anchor, Block, Document, Place, SourceMap

RAW_TYPES = frozenset(("txt", "md"))  # the canonical text is the file: lines can be counted
_LINE_KEY = re.compile(r"line (\d+)")
_LINK = re.compile(r"!?\[([^\]\[]*)\]\([^()\s]*\)")
_CELLS = re.compile(r"([A-Z]+)(\d+)(?::([A-Z]+)(\d+))?")

Outline = tuple[tuple[int, ...], tuple[int, ...], tuple[str, ...]]  # starts, parents, headings

# Outlines of the maps used last, by identity; the map is kept so that its id stays its own.
_outlines: OrderedDict[int, tuple[SourceMap, str, Outline]] = OrderedDict()
_KEPT = 64
_lock = threading.Lock()  # for changes of `_outlines`


def heading_path(map: SourceMap, text: str, position: int) -> tuple[str, ...]:
    """The headings above `position`, outermost first; a heading at `position` is included."""
    starts, parents, headings = _outline(map, text)
    index = bisect_right(starts, position) - 1
    path: list[str] = []
    while index >= 0:
        path.append(headings[index])
        index = parents[index]
    return tuple(reversed(path))


def _outline(map: SourceMap, text: str) -> Outline:
    kept = _outlines.get(id(map))
    if kept is not None and kept[0] is map and kept[1] is text:
        return kept[2]
    starts: list[int] = []
    parents: list[int] = []
    headings: list[str] = []
    stack: list[tuple[int, int]] = []  # (level, index) of the open headings
    for block in map.blocks:
        if block.kind != "heading":
            continue
        while stack and stack[-1][0] >= block.level:
            stack.pop()
        parents.append(stack[-1][1] if stack else -1)
        stack.append((block.level, len(starts)))
        starts.append(block.start)
        headings.append(_plain(text[block.start : block.end]))
    made = (tuple(starts), tuple(parents), tuple(headings))
    with _lock:
        _outlines[id(map)] = (map, text, made)
        while len(_outlines) > _KEPT:
            _outlines.popitem(last=False)
    return made


def _plain(heading: str) -> str:
    """A heading as people read it: Markdown marks and underlines taken away."""
    line = heading.split("\n", 1)[0].strip()
    if line.startswith("#"):
        line = line.lstrip("#").rstrip("#").strip()
    if "[" in line:
        line = _LINK.sub(r"\1", line)
    if "*" in line or "`" in line:
        line = line.replace("**", "").replace("`", "").strip("* ")
    return line


def place(document: Document, start: int, end: int) -> Place:
    """Where `document.text[start:end]` stands in the source."""
    anchors = _anchors(document.map.anchors, start, end)
    heading = heading_path(document.map, document.text, start)
    first = anchors[0] if anchors else Anchor(start, end)
    line = None
    if document.type in RAW_TYPES and not document.map.anchors:
        line = document.text.count("\n", 0, start) + 1
    elif first.key and (match := _LINE_KEY.fullmatch(first.key)):
        line = int(match[1])
    cells = _cells([a for a in anchors if a.sheet == first.sheet and a.cells])
    boxes = tuple(_boxes(anchors, start, end))
    made = Place(
        "",
        heading,
        line,
        first.page,
        boxes,
        first.slide,
        first.sheet,
        cells,
        first.part,
        first.table,
        first.key,
    )
    return Place(
        _label(made, document, start),
        heading,
        line,
        first.page,
        boxes,
        first.slide,
        first.sheet,
        cells,
        first.part,
        first.table,
        first.key,
    )


def _anchors(anchors: Sequence[Anchor], start: int, end: int) -> list[Anchor]:
    """The anchors that overlap the span, else the last one before it."""
    index = bisect_right(anchors, start, key=lambda a: a.start) - 1
    if index >= 0 and anchors[index].end <= start:
        index += 1
    index = max(0, index)
    found = []
    while index < len(anchors) and anchors[index].start < max(end, start + 1):
        found.append(anchors[index])
        index += 1
    if not found and anchors:  # between two anchors: white space, a title without one
        found = [anchors[max(0, index - 1)]]
    return found


def _boxes(
    anchors: Sequence[Anchor], start: int, end: int
) -> list[tuple[int, float, float, float, float]]:
    """A box for each line, cut to the span: characters count as equally wide."""
    boxes = []
    for anchor in anchors:
        if anchor.page is None or anchor.box is None:
            continue
        begin, finish = max(start, anchor.start), min(end, anchor.end)
        if begin >= finish:
            continue
        left, bottom, right, top = anchor.box
        per_char = (right - left) / (anchor.end - anchor.start)
        boxes.append(
            (
                anchor.page,
                round(left + (begin - anchor.start) * per_char, 1),
                bottom,
                round(left + (finish - anchor.start) * per_char, 1),
                top,
            )
        )
    return boxes


def _cells(anchors: Sequence[Anchor]) -> str | None:
    """The rectangle around all cells of the span."""
    if not anchors:
        return None
    if len(anchors) == 1:
        return anchors[0].cells
    columns: list[int] = []
    rows: list[int] = []
    for anchor in anchors:
        if match := _CELLS.fullmatch(anchor.cells or ""):
            columns += [_number(match[1]), _number(match[3] or match[1])]
            rows += [int(match[2]), int(match[4] or match[2])]
    if not rows:
        return anchors[0].cells
    first, last = f"{_letters(min(columns))}{min(rows)}", f"{_letters(max(columns))}{max(rows)}"
    return first if first == last else f"{first}:{last}"


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _letters(number: int) -> str:
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _label(found: Place, document: Document, start: int) -> str:
    parts = []
    quoted = f'"{found.heading[-1]}"' if found.heading else ""
    if found.part:
        parts.append(found.part)
    if found.table or (found.key and found.line is None):
        parts.append(" ".join(p for p in (found.table, found.key) if p))
        quoted = ""
    if found.sheet is not None:
        parts.append(f"{found.sheet}!{found.cells}" if found.cells else found.sheet)
        quoted = ""
    if found.page is not None:
        last = max((box[0] for box in found.boxes), default=found.page)
        parts.append(f"pages {found.page}–{last}" if last > found.page else f"page {found.page}")
    if found.slide is not None:
        parts.append(f"slide {found.slide}")
    if found.line is not None:
        parts.append(f"line {found.line}")
    if quoted and not (found.part and quoted.strip('"') in found.part):
        parts.append(quoted)
    if not parts:
        index = bisect_left(document.map.blocks, start + 1, key=_start_of)
        parts.append(f"paragraph {max(1, index)}")
    return ", ".join(parts)


def _start_of(block: Block) -> int:
    return block.start
