"""The public API is a promise: a change here is a line in CHANGELOG.md."""

import dataclasses

import ragtune
from ragtune import types

PUBLIC = [
    "Answer", "Citation", "Document", "Evidence", "Filter", "Hit", "Place", "RagtuneError",
    "Token", "Workspace", "init", "open",
]  # fmt: skip


def test_names() -> None:
    assert ragtune.__all__ == PUBLIC
    assert all(getattr(ragtune, name) for name in PUBLIC)


def test_fields_that_users_read() -> None:
    def names(kind: type) -> set[str]:
        return {f.name for f in dataclasses.fields(kind)}

    assert {"text", "status", "citations", "hits", "route", "timings", "model"} <= names(
        types.Answer
    )
    assert {"marker", "uri", "quote", "start", "end", "place", "sha256"} <= names(types.Citation)
    assert {"id", "uri", "title", "text", "sha256", "map"} <= names(types.Document)
    assert {"uri", "state", "error", "passages"} <= names(types.DocumentInfo)
