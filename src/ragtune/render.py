"""How results look: JSON objects for machines, lines for people. Draws nothing by itself."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from ragtune.types import Answer, Citation, DocumentInfo, Evidence, Hit, Place

if TYPE_CHECKING:
    from ragtune.status import Status

WIDTH = 96


def jsonable(value: object) -> Any:
    """`value` made of dicts, lists, texts and numbers, with the field names of types.py.

    Empty fields of a Place are left out (its `label` always stands); a Hit shows its passage's
    span and text as its own fields.
    """
    if value is None or type(value) in (str, int, bool):  # most of what there is
        return value
    if isinstance(value, Place):
        full = {f.name: jsonable(getattr(value, f.name)) for f in fields(value)}
        return {k: v for k, v in full.items() if k == "label" or v not in (None, [], "")}
    if isinstance(value, Hit):
        return {
            "text": value.text,
            "uri": value.uri,
            "start": value.passage.start,
            "end": value.passage.end,
            "place": jsonable(value.place),
            "score": value.score,
            "title": value.title,
            "heading": value.passage.heading,
            "passage": value.passage.id,
            "from": list(value.from_),
        }
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name.rstrip("_"): jsonable(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [jsonable(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) or value is None else str(value)


def to_json(value: object) -> str:
    """One line of JSON."""
    return json.dumps(jsonable(value), ensure_ascii=False)


def where(citation: Citation) -> str:
    """'travel-policy.pdf, page 3, "Meals"'."""
    return f"{citation.uri}, {citation.place.label}" if citation.place.label else citation.uri


def safe(text: str) -> str:
    """`text` without control characters: a document must not drive the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def evidence_lines(found: Evidence, most: int = 3) -> list[str]:
    """The best evidence sentences, shown at once before an answer is written."""
    lines = [click.style("Evidence", dim=True)]
    for sentence in found.sentences[:most]:
        place = f"{sentence.uri}, {sentence.place.label}".rstrip(", ")
        lines += _wrapped(f"“{_flat(sentence.text)}”", "  · ", "    ")
        lines.append(click.style(f"    {safe(place)}", dim=True))
    return lines


def answer_lines(answer: Answer) -> list[str]:
    """An answer with its citations, or what came closest when it was declined."""
    if answer.status == "declined":
        lines = [click.style(answer.text, fg="yellow")]
        if answer.nearest:
            lines.append("Closest to it, but not clearly an answer:")
        for citation in answer.nearest:
            lines += _wrapped(f"“{_shorten(citation.quote, 320)}”", "  · ", "    ", dim=True)
            lines += _wrapped(safe(where(citation)), "    ", "    ")
        return lines
    lines = []
    if answer.conflict:
        lines += [click.style("Two documents say different things here: read both.", fg="yellow")]
        lines.append("")
    if answer.model == "quote":  # the citations are the answer: show each once, its key in bold
        for citation in answer.citations:
            lines += quote_lines(citation)
            lines.append("")
    else:
        lines += [click.style(line, bold=True) for line in _paragraphs(answer.text)] + [""]
    for citation in answer.citations:
        key = citation.quote[
            citation.key_start - citation.start : citation.key_end - citation.start
        ]
        shown = _shorten(key or citation.quote, 220)
        lines += _wrapped(
            f"[{citation.marker}] {safe(where(citation))} — “{shown}”", "", "    ", dim=True
        )
    if answer.status == "uncited" and answer.model != "reply":
        lines.append(
            click.style("Recalled by the model, not taken from documents: check it.", fg="yellow")
        )
    if answer.status == "partly_cited":
        lines.append(
            click.style("Sentences that the evidence does not support were left out.", fg="yellow")
        )
    return lines


def quote_lines(citation: Citation) -> list[str]:
    """The quote, its key sentence bold, the answering words underlined, its marker at the end."""
    first, last = citation.start, citation.start + len(citation.quote)
    key = (citation.key_start, citation.key_end)
    if key[1] <= key[0]:
        key = (first, last)
    phrase = (citation.phrase_start, citation.phrase_end)
    cuts = sorted({first, last, *(min(max(at, first), last) for at in (*key, *phrase))})
    # A private mark before each piece tells its style; marks survive wrapping, then become codes.
    text = ""
    for low, high in pairwise(cuts):
        style = (key[0] <= low < key[1]) + 2 * (phrase[0] <= low < phrase[1])
        text += chr(_MARK + style) + safe(citation.quote[low - first : high - first])
    style = 0
    lines: list[str] = []
    for line in _paragraphs(f"{text}{chr(_MARK)} [{citation.marker}]"):
        made = _STYLES[style] if style else ""
        for character in line:
            if _MARK <= ord(character) < _MARK + len(_STYLES):
                made += _STYLES[0] if style else ""
                style = ord(character) - _MARK
                made += _STYLES[style] if style else ""
            else:
                made += character
        lines.append(made + (_STYLES[0] if style else ""))
    return lines


_MARK = 0xE000
_BOLD, _UNDERLINED = "\x1b[1m", "\x1b[4m"
_RESET = "\x1b[0m"
_STYLES = (_RESET, _BOLD, _UNDERLINED, _BOLD + _UNDERLINED)


def hit_lines(number: int, hit: Hit) -> list[str]:
    """One search hit: where, how it was found, and its text."""
    found = "+".join(hit.from_)
    head = click.style(f"{number:2}. {safe(hit.uri)}", bold=True)
    lines = [
        f"{head}  {safe(hit.place.label)}  " + click.style(f"{hit.score:.3f} {found}", dim=True)
    ]
    return lines + _wrapped(_shorten(hit.text, 400), "    ", "    ")


def document_lines(infos: Sequence[DocumentInfo], every: bool) -> list[str]:
    """The list of documents; rows and members stand with their container unless `every`."""
    inner: Counter[str] = Counter()
    passages: Counter[str] = Counter()
    for info in infos:
        container = re.split(r"#|!/", info.uri, maxsplit=1)[0]
        inner[container] += container != info.uri
        passages[container] += info.passages
    containers = {i.uri for i in infos if inner[i.uri]}
    rows = []
    for info in infos:
        if not every and re.split(r"#|!/", info.uri, maxsplit=1)[0] in containers - {info.uri}:
            continue
        whole = not every and info.uri in containers
        name = f"{info.uri} ({inner[info.uri]} inside)" if whole else info.uri
        count = passages[info.uri] if whole else info.passages
        state = info.error or info.state
        if info.left_out:
            state += f"; hidden, not read: {_shorten('; '.join(info.left_out), 60)}"
        rows.append((name, info.type, count, size(info.size), state))
    return table(("document", "type", "passages", "size", "state"), rows) if rows else []


def status_lines(state: Status) -> list[str]:
    """What a workspace holds, what could not be read and why, and with what it was made."""
    total = size(sum(state.sizes.values()))
    held = [f"{n} {name}{'s' * (n > 1)}" for name, n in state.containers.items()]
    some = f"some of them in {' and '.join(held)}, " if held else ""
    lines = [
        f"workspace   {state.workspace}",
        f"documents   {state.documents} indexed, {some}{state.quarantined} not readable, "
        f"{state.passages} passages, {total}",
        *(f"source      {safe(s)}" for s in state.sources),
        f"index       {'equals the folders' if state.current else 'behind: run ragtune sync'}",
        f"models      {state.embedder}; {state.generator}; answer = {state.answer}",
        "versions    " + ", ".join(f"{k} {v}" for k, v in state.versions.items()),
    ]
    if state.errors:
        lines.append("not readable (tried again when the file changes):")
        lines += [f"  {safe(e.uri)}: {safe(e.error or '')}" for e in state.errors]
    return lines


def left_out_lines(found: Sequence[tuple[str, Sequence[str]]], most: int = 20) -> list[str]:
    """What documents hide from their readers, a line a document."""
    lines = [f"{safe(uri)}: {_shorten('; '.join(notes), 200)}" for uri, notes in found[:most]]
    more = len(found) - most
    return lines + ([f"{more} further documents: ragtune docs"] if more > 0 else [])


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Aligned columns; numbers to the right."""
    cells = [[safe(str(c)) for c in row] for row in rows]
    widths = [max(len(r[i]) for r in [list(head), *cells]) for i in range(len(head))]
    right = [
        all(isinstance(r[i], int | float) for r in rows) and bool(rows) for i in range(len(head))
    ]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)
        ).rstrip()

    return [click.style(line(list(head)), dim=True), *map(line, cells)]


def size(count: float) -> str:
    """Bytes as people write them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for line in text.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [
            ""
        ]
    return lines


def _wrapped(text: str, first: str, rest: str, dim: bool = False) -> list[str]:
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )
    return [click.style(line, dim=True) if dim else line for line in lines]


def _flat(text: str) -> str:
    return " ".join(safe(text).split())


def _shorten(text: str, most: int) -> str:
    flat = _flat(text)
    return flat if len(flat) <= most else flat[: most - 1].rsplit(" ", 1)[0] + "…"
