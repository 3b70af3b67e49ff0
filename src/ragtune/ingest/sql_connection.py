"""A read-only database connection with limits, over SQLAlchemy: what `sql.read` asks of one."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote

from sqlalchemy import create_engine, exc, inspect
from sqlalchemy.engine import URL, Engine
from sqlalchemy.pool import NullPool

from ragtune.errors import DocumentError

_ROWS_AT_ONCE = 500
_CONNECT_SECONDS = 10


def unreachable(error: exc.SQLAlchemyError) -> bool:
    """Whether the database cannot be asked now, as against a statement or file that is wrong."""
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return True
    if not isinstance(error, exc.OperationalError | exc.InterfaceError):
        return False
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return "locked" in str(original) or "busy" in str(original)
    return True


class Connection:
    """Open while used as a context manager."""

    def __init__(self, path: str | None, url: URL | None, seconds: float, max_mb: int) -> None:
        self._seconds = seconds
        self._until = float("inf")
        if path is not None:
            self._engine = create_engine(
                "sqlite://", creator=lambda: self._open_file(path, max_mb), poolclass=NullPool
            )
        else:
            self._engine = _engine(url)
        self._db: Any = None

    def __enter__(self) -> Connection:
        self._db = self._engine.connect().execution_options(
            stream_results=True, no_parameters=True, max_row_buffer=_ROWS_AT_ONCE
        )
        self._protect()
        self._inspector = inspect(self._db)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A connection that died must not hide why.
        with contextlib.suppress(exc.SQLAlchemyError):
            self._db.close()
        self._engine.dispose()

    def _open_file(self, path: str, max_mb: int) -> sqlite3.Connection:
        """Not for writing, whatever the statements or the file's own schema say."""
        db = sqlite3.connect(
            f"file:{quote(path.encode('utf-8', 'surrogateescape'))}?mode=ro",
            uri=True,
            timeout=min(self._seconds, 5.0),
            check_same_thread=False,
        )
        db.text_factory = lambda data: data.decode("utf-8", "replace")
        db.execute("PRAGMA query_only = ON")
        db.execute("PRAGMA trusted_schema = OFF")
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(max_mb << 20, 1_000_000_000))
        db.set_progress_handler(lambda: int(time.monotonic() > self._until), 10_000)
        return db

    def _protect(self) -> None:
        """Read-only and limited in time, as far as the kind of database has words for it."""
        milliseconds = int(self._seconds * 1000)
        statements = {
            "postgresql": (
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                "SET TRANSACTION READ ONLY",
                f"SET statement_timeout = {milliseconds}",
            ),
            "mysql": (
                f"SET SESSION max_execution_time = {milliseconds}",
                "SET SESSION TRANSACTION READ ONLY",
            ),
            "mariadb": (
                f"SET SESSION max_statement_time = {self._seconds}",
                "SET SESSION TRANSACTION READ ONLY",
            ),
        }
        for statement in statements.get(self._engine.dialect.name, ()):
            self._execute(statement).close()

    def _execute(self, statement: str) -> Any:
        self._until = time.monotonic() + self._seconds
        # As it is: SQLAlchemy's text() would take ":name" in it for a parameter.
        return self._db.exec_driver_sql(statement)

    def quoted(self, name: str) -> str:
        """A table or column name as it may stand in a statement; "schema.table" in two parts."""
        quote_name = self._engine.dialect.identifier_preparer.quote_identifier
        if "." in name and name not in self._inspector.get_table_names():
            return ".".join(quote_name(part) for part in name.split("."))
        return str(quote_name(name))

    def tables(self) -> list[str]:
        """Names of all tables in order; not the inner ones of SQLite's full-text search."""
        self._until = time.monotonic() + self._seconds
        names = self._inspector.get_table_names()
        if self._engine.dialect.name == "sqlite":
            kinds = {row[1]: row[2] for row in self._execute("PRAGMA table_list").fetchall()}
            names = [name for name in names if kinds.get(name, "table") == "table"]
        return sorted(names)

    def columns(self, what: str) -> list[str]:
        """The columns of a table or of a query in parentheses."""
        result = self._execute(f"SELECT * FROM {what} WHERE 1 = 0")  # noqa: S608  # quoted or the owner's own query
        try:
            return [str(name) for name in result.keys()]  # noqa: SIM118  # a result is no dict
        finally:
            result.close()

    def primary_key(self, table: str) -> list[str]:
        """Columns of the table's primary key; none where `table` is not a table."""
        try:
            found = self._inspector.get_pk_constraint(table)
        except exc.NoSuchTableError:
            return []
        return [str(name) for name in found["constrained_columns"]]

    def rows(self, what: str, order: Sequence[str]) -> Iterator[Sequence[object]]:
        """All rows in the order of those columns, a few hundred in memory at a time."""
        # SQLite columns may have an order of their own in which equal keys do not meet.
        binary = " COLLATE BINARY" if self._engine.dialect.name == "sqlite" else ""
        by = ", ".join(str(self._quoted_column(name)) + binary for name in order)
        result = self._execute(f"SELECT * FROM {what} ORDER BY {by}")  # noqa: S608
        while True:
            self._until = time.monotonic() + self._seconds
            some = result.fetchmany(_ROWS_AT_ONCE)
            if not some:
                return
            yield from some

    def _quoted_column(self, name: str) -> str:
        return str(self._engine.dialect.identifier_preparer.quote_identifier(name))


def _engine(url: URL | None) -> Engine:
    assert url is not None
    try:
        dialect = url.get_backend_name()
        arguments = (
            {"connect_timeout": _CONNECT_SECONDS}
            if dialect in ("postgresql", "mysql", "mariadb")
            else {}
        )
        return create_engine(url, poolclass=NullPool, connect_args=arguments)
    except ImportError as error:
        raise DocumentError(
            f"install the driver for {url.drivername} databases: pip install {error.name}"
        ) from None
    except exc.NoSuchModuleError:
        raise DocumentError(
            f"{url.drivername}: SQLAlchemy knows no such kind of database"
        ) from None
    except exc.ArgumentError as error:
        raise DocumentError(f"{url.drivername}: {str(error).splitlines()[0]}") from None
