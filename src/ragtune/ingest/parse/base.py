"""What every reader produces, and the builder that keeps text, blocks and anchors in step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ragtune.ingest.parse.decode import UNSEEN
from ragtune.ingest.parse.hidden import LeftOut
from ragtune.types import Anchor, Block, BlockKind, SourceMap

# Characters that show nothing or break lines in odd places; taken out of rendered text.
_INVISIBLE = re.compile(f"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad{UNSEEN}\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile("[ \t\u00a0\u2000-\u200a\u202f\u205f\u3000]+")


BULLETS = frozenset("•·▪◦‣■●○▫□➢✓\uf0b7\uf0a7\uf0d8\uf0fc")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A source as read: canonical text with its map. `text` holds at least one word.

    `name` is the name given to `parse`, or `inner/path` for a member of a ZIP file (`a.zip!/b` for
    a member of a ZIP inside it). `left_out` says what the source hides: see `hidden.LeftOut`.
    """

    name: str
    title: str
    text: str
    map: SourceMap
    type: str
    tags: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A member of a ZIP file that cannot be read; `reason` is one line for people."""

    name: str
    reason: str


def clean(text: str) -> str:
    """`text` without invisible characters, runs of spaces as one, line ends as `\\n`."""
    text = _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", _BREAKS.sub("\n", text)))
    lines = [_SPACES.sub(" ", line).strip() for line in text.split("\n")]
    return "\n".join(lines).strip()


def one_line(text: str) -> str:
    """`clean(text)` with line breaks as spaces."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()  # most lines of most documents
    return " ".join(clean(text).split())


def clean_code(text: str) -> str:
    """Preformatted text: only invisible characters and outer blank lines are taken away."""
    text = _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", _BREAKS.sub("\n", text)))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def has_words(text: str) -> bool:
    """Whether `text` holds at least one letter or digit."""
    return any(c.isalnum() for c in text)


class Builder:
    """Collects blocks of rendered text.

    Blocks are separated by a blank line, or by a line break after `tight` ones (items, rows).
    Every block may carry an anchor, given as the fields of `types.Anchor`.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self.blocks: list[Block] = []
        self.anchors: list[Anchor] = []
        self._tight_before = False
        self.first_heading = ""
        self.left_out = LeftOut()

    def __bool__(self) -> bool:
        return bool(self.blocks)

    @property
    def length(self) -> int:
        """Length of the text so far."""
        return self._length

    def add(
        self,
        text: str,
        kind: BlockKind = "paragraph",
        level: int = 0,
        anchor: Mapping[str, Any] | None = None,
    ) -> Block | None:
        """Adds a block; `text` is cleaned. Blocks without any visible character are left out."""
        text = clean_code(text) if kind == "code" else clean(text)
        return self.add_raw(text, kind, level, anchor)

    def add_raw(
        self,
        text: str,
        kind: BlockKind = "paragraph",
        level: int = 0,
        anchor: Mapping[str, Any] | None = None,
    ) -> Block | None:
        """Adds a block whose text is clean already: no outer white space."""
        if kind == "paragraph" and text[:1] in BULLETS and (len(text) < 2 or text[1] in " \n"):
            kind, text = "item", f"- {text[1:].strip()}" if len(text) > 1 else ""
        if not text:
            return None
        tight = kind in ("item", "row", "header")
        if self._parts:
            self._push("\n" if tight and self._tight_before and kind != "header" else "\n\n")
        if kind == "item" and level:
            self._push("  " * level)
        start = self._length
        self._push(text)
        block = Block(start, self._length, kind, level)
        self.blocks.append(block)
        if anchor:
            self.anchors.append(Anchor(start, self._length, **anchor))
        if kind == "heading" and not self.first_heading:
            self.first_heading = text.replace("\n", " ")
        self._tight_before = tight
        return block

    def append(
        self, text: str, map: SourceMap, anchor: Mapping[str, Any] | None = None, deeper: int = 0
    ) -> None:
        """Adds another document's text; its anchors get `anchor`'s fields, its headings `deeper`.

        Stretches that have no anchor of their own get one for the whole text.
        """
        if self._parts:
            self._push("\n\n")
        offset = self._length
        self._push(text)
        for block in map.blocks:
            level = min(6, block.level + deeper) if block.kind == "heading" else block.level
            self.blocks.append(Block(block.start + offset, block.end + offset, block.kind, level))
        if map.anchors:
            for item in map.anchors:
                moved = replace(item, start=item.start + offset, end=item.end + offset)
                self.anchors.append(replace(moved, **(anchor or {})))
        elif anchor:
            self.anchors.append(Anchor(offset, self._length, **anchor))
        self._tight_before = False

    def _push(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def text(self) -> str:
        """The canonical text so far."""
        return "".join(self._parts)

    def finish(self, name: str, type: str, title: str = "", tags: tuple[str, ...] = ()) -> Parsed:
        """The document; its title is `title`, else the first heading, else the file's stem."""
        source = SourceMap(tuple(self.blocks), tuple(self.anchors))
        title = one_line(title) or one_line(self.first_heading)[:200] or stem(name)
        return Parsed(name, title[:300], self.text(), source, type, tags, self.left_out.notes())


def stem(name: str) -> str:
    """The file name without folders and extension, for people."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    head, dot, _ = last.rpartition(".")
    return head if dot and head else last


def extension(name: str) -> str:
    """The lower-case extension without its dot, or ''."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return last.rpartition(".")[2].lower() if "." in last else ""


def broken_rule(parsed: Parsed) -> str | None:
    """The first rule of a source map that `parsed` breaks, or None: what tests hold readers to.

    Blocks are sorted, disjoint, without outer white space, and all words stand in blocks; anchors
    are sorted and not empty; the text holds a word.
    """
    text, position = parsed.text, 0
    for block in parsed.map.blocks:
        shown = text[block.start : block.end]
        if not position <= block.start < block.end <= len(text):
            return f"{block} overlaps, is empty or lies outside the text"
        if shown != shown.strip():
            return f"{block} has white space at its ends: {shown!r}"
        if has_words(re.sub(r"[-:|=*_#~]", "", text[position : block.start])):
            return f"words outside the blocks before {block.start}"
        position = block.end
    if has_words(text[position:]):
        return "words outside the blocks at the end"
    start = 0
    for anchor in parsed.map.anchors:
        if not start <= anchor.start < anchor.end <= len(text):
            return f"{anchor} is out of order, empty or outside the text"
        start = anchor.start
    return None if has_words(text) else "no words"
