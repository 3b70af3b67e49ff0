"""For tests of hidden text: what only hidden text holds, and reading a document."""

from __future__ import annotations

import io
from typing import Any

from ragtune.ingest.parse import Parsed, parse
from ragtune.ingest.parse.base import broken_rule

WORD = "zorqa"  # what only hidden text holds


def one(data: bytes, name: str) -> Parsed:
    (found,) = parse(data, name)
    assert isinstance(found, Parsed)
    assert broken_rule(found) is None
    return found


def saved(thing: Any) -> bytes:
    buffer = io.BytesIO()
    thing.save(buffer)
    return buffer.getvalue()
