"""Who asked and changed what: a table that is only added to (triggers refuse anything else).

A line holds who, which route, the status, the request's id, and names of documents that were
opened or cited. Questions and texts are in it only where `--audit-questions` says so.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from ragtune.errors import WorkspaceError
from ragtune.server.database import Database

log = logging.getLogger("ragtune.server")

OPENING = frozenset({"/api/document", "/api/page.png"})  # GETs that are noted, as all changes are


@dataclass(frozen=True, slots=True)
class Entry:
    """One line; `at` is POSIX seconds."""

    number: int
    at: float
    who: str
    action: str
    status: int
    request: str
    detail: dict[str, Any]


class Audit:
    """The log of one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(
        self, who: str, action: str, status: int = 0, request: str = "", **detail: Any
    ) -> None:
        """Adds a line. A disk that takes none is said in the server's log; nothing else stops."""
        try:
            self._database.change(
                "INSERT INTO audit (at, who, action, status, request, detail)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (time.time(), who, action, status, request, json.dumps(detail, ensure_ascii=False)),
            )
        except WorkspaceError as error:
            log.error("the audit log cannot be written: %s", error)

    def read(self, last: int = 100, who: str | None = None, since: float = 0.0) -> list[Entry]:
        """The last lines, oldest first."""
        rows = self._database.rows(
            "SELECT number, at, who, action, status, request, detail FROM audit"
            " WHERE (?1 IS NULL OR who = ?1) AND at >= ?2 ORDER BY number DESC LIMIT ?3",
            (who, since, last),
        )
        return [
            Entry(number, at, name, action, status, request, json.loads(detail))
            for number, at, name, action, status, request, detail in reversed(rows)
        ]
