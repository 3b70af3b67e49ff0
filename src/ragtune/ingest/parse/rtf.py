"""RTF through striprtf; paragraphs, table rows and list items are found in its text."""

from __future__ import annotations

import re
from typing import Any

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Builder, Parsed, clean
from ragtune.ingest.parse.tables import add_table

_TITLE = re.compile(rb"\\info\b.{0,2000}?\{\\title ([^{}\\]{1,300})\}", re.S)
_BULLET = re.compile(r"[•·▪◦‣■●○–\uf0b7-][ \t]+(?=\S)")
_NUMBER = re.compile(r"\(?(?:\d{1,3}|[a-z])[.)][ \t]+\S")
# Word writes a list's number or bullet as text in a group that striprtf passes over.
_LIST_TEXT = re.compile(rb"\{\\(?:\*\\)?(?:listtext|pntext)\b([^{}]*)\}")


def read_rtf(data: bytes, name: str) -> Parsed:
    """Text of an RTF file. Raises DocumentError when it is no RTF beyond its first bytes."""
    found = _TITLE.search(data[:20_000])
    data = _LIST_TEXT.sub(_list_mark, data)
    encoding = re.search(rb"\\ansicpg(\d+)", data[:2000])
    page = f"cp{encoding[1].decode()}" if encoding else "cp1252"
    try:
        text = _read(data, page)
    except LookupError:
        text = _read(data, "cp1252")
    except (ValueError, IndexError) as error:
        raise DocumentError(f"malformed RTF: {str(error)[:100]}") from None
    out = Builder()
    rows: list[list[str]] = []
    for line in [*text.split("\n"), ""]:
        if line.count("|") >= 2 and line.rstrip().endswith("|"):
            rows.append([cell.strip() for cell in line.strip().rstrip("|").split("|")])
            continue
        if rows:
            add_table(out, rows)
            rows = []
        _line(out, line)
    title = found[1].decode("cp1252", "replace") if found else ""
    return out.finish(name, "rtf", title)


def _read(data: bytes, encoding: str) -> str:
    from striprtf.striprtf import rtf_to_text

    read: Any = rtf_to_text  # it has no annotations
    return str(read(data.decode("latin-1"), encoding=encoding, errors="replace"))


def _list_mark(match: re.Match[bytes]) -> bytes:
    inside = match[1]
    if re.search(rb"\d|[a-z]\.\\tab", re.sub(rb"\\[a-z]+-?\d* ?|\\'[0-9a-f]{2}", b"", inside)):
        shown = re.sub(rb"\\[a-z]+-?\d* ?", b"", inside)
        return shown.strip() + b" "
    return b"- "


def _line(out: Builder, line: str) -> None:
    text = clean(line)
    if not text:
        return
    if match := _BULLET.match(text):
        out.add_raw("- " + text[match.end() :], "item")
    elif _NUMBER.match(text):
        out.add_raw(text, "item")
    elif len(text) <= 80 and text[-1] not in ".,;:!?" and text.isupper() and len(text) > 3:
        out.add_raw(text, "heading", 1)
    else:
        out.add_raw(text)
