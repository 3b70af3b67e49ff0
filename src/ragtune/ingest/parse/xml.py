"""XML of any kind as its text: elements with text are lines 'name: text', branches headings."""

from __future__ import annotations

import re
from typing import Any

from ragtune.ingest.parse.base import Builder, Parsed, one_line
from ragtune.ingest.parse.container import parse_xml
from ragtune.ingest.parse.decode import decode

_LEAVES_A_ROW = 12


def read_xml(data: bytes, name: str) -> Parsed:
    """The content of an XML file; entities are not expanded. Raises DocumentError."""
    root = parse_xml(_declared_right(data))
    out = Builder()
    _write(out, root)
    return out.finish(name, "xml", "")


def _declared_right(data: bytes) -> bytes:
    """As UTF-8 without a declaration: many files declare another encoding than theirs."""
    head = re.search(rb"encoding\s*=\s*[\"']([\w.-]+)", data[:200])
    text = decode(data, head[1].decode("ascii", "replace") if head else None)
    return re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1).lstrip().encode("utf-8")


def _local(element: Any) -> str:
    tag = element.tag if isinstance(element.tag, str) else ""
    return tag.rpartition("}")[2].replace("_", " ")


def _leaf(element: Any) -> str:
    """'name: text' of an element without children; attributes stand in for missing text."""
    text = one_line(element.text or "")
    named = [f"{key.rpartition('}')[2]}={one_line(value)}" for key, value in element.attrib.items()]
    inside = " ".join(part for part in (text, f"({', '.join(named)})" if named else "") if part)
    return f"{_local(element)}: {inside}" if inside else ""


def _write(out: Builder, root: Any) -> None:
    """Iterative: depth is bounded by the parser, but may be beyond Python's recursion limit."""
    todo: list[tuple[Any, int]] = [(root, 1)]
    while todo:
        element, depth = todo.pop()
        children = [c for c in element if isinstance(c.tag, str)]
        if not children:
            out.add(_leaf(element))
            continue
        if _is_mixed(element):
            out.add(" ".join("".join(element.itertext()).split()))
            continue
        leaves = [c for c in children if len(c) == 0]
        if len(leaves) == len(children) and len(leaves) <= _LEAVES_A_ROW:
            row = " | ".join(filter(None, map(_leaf, leaves)))
            attributes = ", ".join(one_line(v) for v in element.attrib.values())
            head = f"{_local(element)} {attributes}".strip()
            out.add(f"{head}: {row}" if row else "", "row" if len(row) < 400 else "paragraph")
            continue
        if depth > 1 or element.attrib:
            named = " ".join([_local(element), *map(one_line, element.attrib.values())])
            out.add(named[:120], "heading", min(6, depth))
        todo += [(child, depth + 1) for child in reversed(children)]


def _is_mixed(element: Any) -> bool:
    """Text with elements inside it, as in XHTML or DocBook paragraphs."""
    return bool((element.text or "").strip()) or any((c.tail or "").strip() for c in element)
