"""A tiny markup, so that one text can be written as PDF, DOCX, ODT, RTF or EPUB.

`# ` title, `## ` heading, `- ` bullet, `1. ` numbered step, `| a | b |` table row,
`===` page break (PDF only); other lines are joined to paragraphs, a blank line ends one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["title", "heading", "bullet", "step", "para", "table", "break"]

_STARTS: tuple[tuple[str, Kind], ...] = (
    (r"# +", "title"),
    (r"## +", "heading"),
    (r"- +", "bullet"),
    (r"\d+\. +", "step"),
)


@dataclass
class Block:
    """One paragraph, list item, heading or table."""

    kind: Kind
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)


def parse(source: str) -> list[Block]:
    """Split `source` into blocks; wrapped lines belong to the block above them."""
    blocks: list[Block] = []
    fresh = True  # whether the next plain line starts a new paragraph
    for line in source.strip().splitlines():
        line = line.strip()
        if not line:
            fresh = True
            continue
        if line == "===":
            blocks.append(Block("break"))
            fresh = True
            continue
        if line.startswith("|"):
            row = [cell.strip() for cell in line.strip("|").split("|")]
            if fresh or blocks[-1].kind != "table":
                blocks.append(Block("table"))
            blocks[-1].rows.append(row)
            fresh = False
            continue
        in_list = bool(blocks) and blocks[-1].kind in ("bullet", "step")
        for pattern, kind in _STARTS:
            # within a paragraph "80. Units are …" is the end of a sentence, not a step
            allowed = fresh or in_list or kind in ("title", "heading")
            if allowed and (start := re.match(pattern, line)):
                blocks.append(Block(kind, line[start.end() :]))
                break
        else:
            if fresh or blocks[-1].kind == "table":
                blocks.append(Block("para", line))
            else:
                blocks[-1].text += " " + line
        fresh = blocks[-1].kind in ("title", "heading")
    return blocks


def title_of(blocks: list[Block]) -> str:
    """The text of the first title, for the metadata."""
    return next((b.text for b in blocks if b.kind == "title"), "")
