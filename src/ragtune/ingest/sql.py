"""Rows of a SQL database as documents: what a database URL names, and reading it.

    sqlite:///shop.db                                  every table, a row a document
    sqlite:///shop.db?table=products&title=name
    sqlite:///shop.db?query=SELECT id, text FROM notes WHERE public
    postgresql://reader:${SHOP_PASSWORD}@db.local/shop?query=…&key=id&group=customer

`key` names the columns that tell rows apart (by default the primary key, else "id", else the first
column); rows that share them, or the columns of `group`, are one document. Connections are
read-only where the driver can, only SELECT and WITH are sent, and passwords are never stored:
`${NAME}` is read from the environment each time.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from itertools import groupby
from typing import Any
from urllib.parse import unquote, unquote_plus

from ragtune import config
from ragtune.errors import DocumentError
from ragtune.ingest.sources import Source, path_of, uri_of
from ragtune.types import Anchor, Block, Document, SourceMap

MAGIC = b"SQLite format 3\0"
MASK = "***"

_OURS = ("query", "table", "key", "group", "title")
_OUR_PARAMETER = re.compile(rf"(?:^|&)({'|'.join(_OURS)})=")
_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///(?P<path>[^?]*)(?:\?(?P<rest>.*))?\Z", re.DOTALL)
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_SECRET_PARAMETER = re.compile(
    r"((?:^|[?&;])(?:password|passwd|pwd|token|secret|sslpassword)=)([^&;]*)", re.I
)
_USER_INFO = re.compile(r"(://[^:/?#]*:)(.*)(@[^@]*\Z)", re.DOTALL)
# One statement's parts that may hold anything: quoted text, quoted names, comments.
_QUOTED = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$",
    re.DOTALL,
)
_FROM = re.compile(r"\bfrom\s+((?:[\w.]+|\"[^\"]+\"|`[^`]+`|\[[^\]]+\]))", re.I)
_NOT_IN_URI = re.compile(r"[\x00-\x1f\x7f%/#?&,=\ud800-\udfff]")
_TITLE_COLUMNS = ("title", "name", "subject", "label", "headline")
_LONG_ROW = 600  # characters; a longer row is cut by column rather than kept as one block
_LONGEST_KEY = 120


class Unreachable(DocumentError):  # noqa: N818  # a state of the database, not a mistake
    """A database that does not answer now: its documents stay as they are."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A database URL taken apart. `url` still has its `${NAME}` references.

    `base` is what uris begin with: the URL without user, password, query and options.
    """

    url: str
    base: str
    path: str | None  # of a SQLite file
    query: str = ""
    table: str = ""
    key: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    title: str = ""

    @property
    def label(self) -> str:
        """The table's name in uris; "" where all tables are read."""
        if self.table or not self.query:
            return self.table
        bare = _QUOTED.sub(lambda m: m[0] if m[0][0] in '"`[' else " ", self.query)
        found = {match[1].strip('"`[]').rpartition(".")[2] for match in _FROM.finditer(bare)}
        return found.pop() if len(found) == 1 else "query"

    @property
    def prefix(self) -> str:
        """What the uris of this source's documents begin with."""
        return f"{self.base}#{_quoted(self.label)}/" if self.label else f"{self.base}#"


# ---------------------------------------------------------------- the URL


def parse_spec(text: str, root: str) -> Spec:
    """Takes a stored URL apart (a SQLite path is a uri in the workspace at `root`).

    Raises DocumentError where it is no database URL or its query is not a plain SELECT.
    """
    url, _, rest = text.partition("?")
    ours: dict[str, str] = {}
    first = _OUR_PARAMETER.search(rest)
    driver = rest[: first.start()] if first else rest
    if first:
        pieces = _OUR_PARAMETER.split(rest[first.start() :])
        for name, value in zip(pieces[1::2], pieces[2::2], strict=True):
            if name in ours:
                raise DocumentError(f"{masked(text)}: {name}= stands there twice")
            ours[name] = _decoded(value).strip()
    sqlite = _SQLITE.match(text)
    if (sqlite and not sqlite["path"]) or url.rstrip("/") == "sqlite:":
        raise DocumentError("sqlite:// names no file: write sqlite:///path/to/file.db")
    if sqlite:
        path = path_of(sqlite["path"], root)
        base = "sqlite:///" + uri_of(path, root)
    else:
        path, base = None, _base(url)
    query = _checked_query(ours.get("query", ""))
    columns = {name: _names(ours.get(name, "")) for name in ("key", "group")}
    return Spec(
        f"{url}?{driver}" if driver else url,
        base,
        path,
        query,
        ours.get("table", ""),
        columns["key"],
        columns["group"],
        ours.get("title", ""),
    )


def source_file(source: Source, root: str) -> str | None:
    """The file of a database that was added by URL; None for another, or a URL that is wrong."""
    try:
        return parse_spec(source.spec, root).path
    except DocumentError:  # the sync reports it
        return None


def file_spec(path: str, uri: str) -> Spec:
    """The source that a SQLite file inside an added folder is: all its tables."""
    return Spec(f"sqlite:///{path}", uri, path)


def stored_spec(text: str, root: str, cwd: str, *, exists: bool = True) -> str:
    """`text` as it is kept: a SQLite path seen from the workspace. Raises DocumentError.

    `exists` asks for a SQLite file to be there.
    """
    match = _SQLITE.match(text)
    if match:
        path = os.path.realpath(os.path.join(cwd, os.path.expanduser(match["path"])))
        if exists and match["path"] and not os.path.isfile(path):
            raise DocumentError(f"{uri_of(path, root)}: no such file")
        rest = "" if match["rest"] is None else "?" + match["rest"]
        text = f"sqlite:///{uri_of(path, root).replace('?', '%3F')}{rest}"
    parse_spec(text, root)
    return text


def masked(text: str) -> str:
    """`text` without passwords; references to the environment stay."""
    head, mark, rest = text.partition("?")
    return _USER_INFO.sub(_mask, head) + mark + _SECRET_PARAMETER.sub(_mask, rest)


def _mask(match: re.Match[str]) -> str:
    kept = not match[2] or _VARIABLE.fullmatch(match[2])
    return match[0] if kept else match[1] + MASK + "".join(match.groups()[2:])


def _base(url: str) -> str:
    match = re.match(r"([A-Za-z]\w*)(?:\+\w+)?://(.*)\Z", url, re.DOTALL)
    if match is None:
        raise DocumentError(f"{masked(url)}: not a database URL")
    return f"{match[1]}://{match[2].rpartition('@')[2]}"


def _decoded(value: str) -> str:
    """A parameter as meant: with a space in it, it was not URL-encoded."""
    if re.search(r"\s", value):
        return value
    return unquote_plus(value) if re.search(r"%[0-9A-Fa-f]{2}|\+", value) else value


def _names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _checked_query(query: str) -> str:
    """`query` without its last semicolon. Raises DocumentError unless it is one SELECT."""
    query = query.strip()
    bare = _QUOTED.sub(lambda m: " " * len(m[0]), query).rstrip()
    if bare.endswith(";"):
        query = query[: len(bare) - 1].rstrip()
        bare = bare[:-1]
    if query and not re.match(r"\s*\(*\s*(?:select|with|values)\b", bare, re.I):
        raise DocumentError("query= must be a SELECT (or WITH … SELECT)")
    if ";" in bare:
        raise DocumentError("query= must be one statement")
    return query


def _expanded(url: str) -> Any:
    """The SQLAlchemy URL with `${NAME}` replaced. Raises DocumentError."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    def value(match: re.Match[str]) -> str:
        found = config.secret(match[1])
        if found is None:
            raise Unreachable(f"set the environment variable {match[1]} for {masked(url)}")
        return found

    try:
        made = make_url(url)
    except ArgumentError:
        raise DocumentError(f"{masked(url)}: not a database URL") from None
    if made.password == MASK:
        raise Unreachable("its password is not stored: add it again with ${NAME} in its place")
    parts: dict[str, Any] = {}
    for name in ("username", "password", "host", "database"):
        part = getattr(made, name)
        if part is not None:
            parts[name] = _VARIABLE.sub(value, str(part))
    query = {
        name: _VARIABLE.sub(value, part) if isinstance(part, str) else part
        for name, part in made.query.items()
    }
    return made.set(**parts, query=query)


# ---------------------------------------------------------------- reading


def read(spec: Spec, seconds: float, max_mb: int, modified: float) -> Iterator[Document]:
    """The documents of a database in the order of their tables and keys.

    `seconds` bounds each wait for rows. Raises DocumentError; Unreachable where the database
    cannot be asked at the moment.
    """
    from sqlalchemy import exc

    from ragtune.ingest.sql_connection import Connection, unreachable

    try:
        with Connection(
            spec.path, None if spec.path else _expanded(spec.url), seconds, max_mb
        ) as db:
            if spec.query or spec.table:
                yield from _one(db, spec, modified)
                return
            for table in db.tables():
                yield from _one(db, replace(spec, table=table), modified)
    except exc.SQLAlchemyError as error:
        message = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
        if "interrupted" in message or "imeout" in message or "canceling statement" in message:
            message = f"gave no rows for {seconds:.0f} s (setting parse_seconds)"
        kind = Unreachable if unreachable(error) else DocumentError
        raise kind(f"database: {_without_secrets(message, spec)}") from None


def _without_secrets(message: str, spec: Spec) -> str:
    for name in _VARIABLE.findall(spec.url):
        message = message.replace(config.secret(name) or "\0", MASK)
    plain = _USER_INFO.search(spec.url.partition("?")[0])
    return message.replace(unquote(plain[2]), MASK) if plain and plain[2] else message


def _one(db: Any, spec: Spec, modified: float) -> Iterator[Document]:
    """The documents of one table or query; rows that belong together come together."""
    label = spec.label
    what = f"({spec.query}\n) q" if spec.query else db.quoted(spec.table)
    columns: list[str] = db.columns(what)
    key = _picked(spec.key, columns) or _default_key(db, label, columns)
    group = _picked(spec.group, columns)
    title = _picked((spec.title,) if spec.title else (), columns) or [
        at for name in _TITLE_COLUMNS for at, column in enumerate(columns) if column.lower() == name
    ]
    together = group or key
    order = list(dict.fromkeys([*group, *key]))
    seen: dict[str, int] = {}
    rows = db.rows(what, [columns[at] for at in order])
    for _, found in groupby(rows, key=lambda row: [row[at] for at in together]):
        document = _document(spec, columns, key, together, title[:1], list(found), modified)
        if document is None:
            continue
        # A database whose order is not ours may hand out a group in parts; none may be lost.
        again = seen[document.uri] = seen.get(document.uri, 0) + 1
        yield document if again == 1 else replace(document, uri=f"{document.uri}~{again}")


def _picked(names: Sequence[str], columns: Sequence[str]) -> list[int]:
    lower = [column.lower() for column in columns]
    missing = [name for name in names if name.lower() not in lower]
    if missing:
        raise DocumentError(f"no column {missing[0]!r}; there are {', '.join(columns)}")
    return [lower.index(name.lower()) for name in names]


def _default_key(db: Any, table: str, columns: Sequence[str]) -> list[int]:
    primary: list[str] = db.primary_key(table)
    if primary and all(name in columns for name in primary):
        return [columns.index(name) for name in primary]
    return next(([at] for at, name in enumerate(columns) if name.lower() == "id"), [0])


def _document(
    spec: Spec,
    columns: Sequence[str],
    key: Sequence[int],
    together: Sequence[int],
    title: Sequence[int],
    rows: Sequence[Sequence[object]],
    modified: float,
) -> Document | None:
    """One document from rows that belong together; None where they say nothing."""
    label = spec.label
    order = [*title, *(at for at in range(len(columns)) if at not in title)]
    parts: list[str] = []
    blocks: list[Block] = []
    anchors: list[Anchor] = []
    at = 0
    for row in rows:
        values = {c: value for c in order if (value := shown(row[c]))}
        if not values or (values.keys() <= set(key) and len(columns) > len(key)):
            continue  # a key and nothing else, as of a table of pictures
        lines = [f"{columns[c]}: {value}" for c, value in values.items()]
        body = "\n".join(lines)
        if parts:
            parts.append("\n\n")
            at += 2
        blocks += _blocks(lines, at)
        anchors.append(
            Anchor(at, at + len(body), table=label, key=_key_text(columns, key, row, plain=True))
        )
        parts.append(body)
        at += len(body)
    text = "".join(parts)
    if not any(character.isalnum() for character in text):
        return None
    name = _key_text(columns, together, rows[0], plain=True)
    named = shown(rows[0][title[0]]) if title else ""
    return Document(
        id=0,
        uri=f"{spec.base}#{_quoted(label)}/{_key_text(columns, together, rows[0])}",
        title=f"{label}: {' '.join((named or name).split())[:200]}",
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        map=SourceMap(tuple(blocks), tuple(anchors)),
        type="sql",
        modified=modified,
    )


def _blocks(lines: Sequence[str], start: int) -> Iterator[Block]:
    """A short row is one block, so that a quote of it says what it is about."""
    length = sum(map(len, lines)) + len(lines) - 1
    if length <= _LONG_ROW:
        yield Block(start, start + length, "row")
        return
    for line in lines:
        for match in re.finditer(r"\S(?:.*?\S)?(?=\s*\n\s*\n|\s*\Z)", line, re.DOTALL):
            yield Block(start + match.start(), start + match.end(), "paragraph")
        start += len(line) + 1


def shown(value: object) -> str:
    """A cell as text; "" for NULL, bytes and white space."""
    if value is None or isinstance(value, bytes | bytearray | memoryview):
        return ""
    if isinstance(value, datetime | date | time):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = str(value).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return text.encode("utf-8", "replace").decode().strip()


def _key_text(
    columns: Sequence[str], key: Sequence[int], row: Sequence[object], plain: bool = False
) -> str:
    """ "id=3" for people and, quoted, for uris; a very long key is cut and told apart by a hash."""

    def part(at: int) -> str:
        value = row[at]
        text = value.hex() if isinstance(value, bytes) else shown(value)
        text = "NULL" if value is None else text
        return f"{columns[at]}={text}" if plain else f"{_quoted(columns[at])}={_quoted(text)}"

    text = ",".join(map(part, key))
    if len(text) > _LONGEST_KEY:
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
        text = f"{text[:_LONGEST_KEY]}…{digest}"
    return text


def _quoted(text: str) -> str:
    return _NOT_IN_URI.sub(
        lambda m: "".join(f"%{b:02X}" for b in m[0].encode("utf-8", "replace")), text
    )
