"""JSON and JSON Lines as text: one record a block, nested objects under path headings."""

from __future__ import annotations

import json
from typing import Any

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Builder, Parsed, one_line, stem

_TITLES = ("title", "subject", "name", "question", "summary", "headline", "label")
_IDS = ("id", "key", "number", "ticket", "uuid", "sku", "code")
_LONG = 120  # characters: longer values read better as paragraphs of their own
_ROW = 700  # characters of a record that still reads well as one line
_MAX_DEPTH = 40


def read_json(text: str, name: str) -> Parsed:
    """Any JSON value. Raises DocumentError for malformed JSON."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise DocumentError("malformed JSON: nested too deeply") from None
    except ValueError as error:
        raise DocumentError(f"malformed JSON: {error}") from None
    out = Builder()
    title = ""
    if isinstance(value, dict):
        title = next((v for k in _TITLES if isinstance(v := value.get(k), str) and v), "")
        _object(out, value, 1, {}, "")
    elif isinstance(value, list):
        _list(out, value, 1, "", {})
    else:
        out.add(show(value))
    return out.finish(name, "json", title if 0 < len(title) <= 200 else stem(name))


def read_jsonl(text: str, name: str) -> Parsed:
    """A record a line; its anchor is the line. Lines that are no JSON are an error."""
    out = Builder()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DocumentError(f"malformed JSON in line {number}: {error}") from None
        _record(out, value, 1, {"key": f"line {number}"})
    return out.finish(name, "jsonl", stem(name))


def show(value: Any) -> str:
    """A scalar as people write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else str(value)


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _inline(value: Any) -> str | None:
    """A short value on one line: a scalar, or a list of scalars; None when it needs more room."""
    if _is_scalar(value):
        text = show(value)
        return text if len(text) <= _LONG and "\n" not in text.strip() else None
    if isinstance(value, list) and value and all(_is_scalar(v) for v in value):
        text = ", ".join(show(v) for v in value)
        return text if len(text) <= 2 * _LONG and "\n" not in text else None
    return None


def _flat(value: Any) -> str | None:
    """A value that may stand in a row: of any length, but on one line."""
    if _is_scalar(value):
        text = show(value).strip()
        return None if "\n" in text else text
    return _inline(value) if value else ""


def _list(out: Builder, values: list[Any], level: int, path: str, anchor: dict[str, str]) -> None:
    for index, value in enumerate(values):
        here = anchor or {"key": _key(value, path, index)}
        if isinstance(value, dict):
            _record(out, value, level, here)
        elif isinstance(value, list):
            _nested_list(out, value, level, f"{path}[{index}]", here)
        else:
            out.add("- " + show(value) if show(value) else "", "item", 0, here)


def _nested_list(
    out: Builder, value: list[Any], level: int, path: str, anchor: dict[str, str]
) -> None:
    if (text := _inline(value)) is not None:
        out.add(text, "row", 0, anchor)
    elif level < _MAX_DEPTH:
        _list(out, value, level + 1, path, anchor)
    else:
        raise DocumentError("malformed JSON: nested too deeply")


def _key(value: Any, path: str, index: int) -> str:
    if isinstance(value, dict):
        for name in _IDS:
            if isinstance(value.get(name), str | int) and show(value[name]):
                return f"{path} {name}={show(value[name])}".strip()
    return f"{path}[{index}]"


def _record(out: Builder, value: Any, level: int, anchor: dict[str, str]) -> None:
    """One element of a list: a row when it is flat and short, else a heading with its fields."""
    if not isinstance(value, dict):
        text = _inline(value)
        if text is not None:
            out.add(text, "row", 0, anchor)
        elif isinstance(value, list):
            _nested_list(out, value, level, "", anchor)
        else:
            out.add(show(value), "paragraph", 0, anchor)
        return
    flat = {k: _flat(v) for k, v in value.items()}
    if None not in flat.values() and sum(len(t or "") for t in flat.values()) <= _ROW:
        row = " | ".join(f"{one_line(k)}: {one_line(t)}" for k, t in flat.items() if t)
        out.add(row, "row", 0, anchor)
        return
    _object(out, value, level, anchor, "")


def _object(
    out: Builder, value: dict[str, Any], level: int, anchor: dict[str, str], path: str
) -> None:
    """The fields of an object: short ones as lines of one block, long and nested ones below."""
    if level >= _MAX_DEPTH:
        raise DocumentError("malformed JSON: nested too deeply")
    title = next((k for k in _TITLES if isinstance(value.get(k), str) and _inline(value[k])), None)
    if title and (anchor or level > 1):
        out.add(value[title], "heading", min(6, level), anchor)
    lines = []
    for key, item in value.items():
        text = _inline(item)
        if text and not (key == title and (anchor or level > 1)):
            lines.append(f"{one_line(key)}: {one_line(text)}")
    out.add("\n".join(lines), "paragraph", 0, anchor)
    for key, item in value.items():
        if item in (None, "", [], {}) or _inline(item) is not None:
            continue
        here = f"{path}.{key}" if path else str(key)
        if isinstance(item, str):
            paragraphs = [p for p in item.split("\n\n") if p.strip()]
            for number, paragraph in enumerate(paragraphs):
                out.add(f"{key}: {paragraph}" if number == 0 else paragraph, "paragraph", 0, anchor)
            continue
        out.add(str(key), "heading", min(6, level + 1), anchor)
        if isinstance(item, dict):
            _object(out, item, level + 2, anchor, here)
        else:
            _list(out, item, level + 2, here, anchor)
