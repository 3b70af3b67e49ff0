"""Rows of a file of examples: JSON Lines, JSON, CSV, Parquet, Arrow.

The format is told by content, never by the name alone. Nothing here trusts its input: sizes,
depth and encodings are bounded, and what cannot be read is a reason with a row number or a
TuneError in one line. pyarrow, of the `tune` extra, is needed for Parquet and Arrow only.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragtune.errors import DocumentError, TuneError
from ragtune.ingest.parse.decode import decode

MAX_BYTES = 1 << 30  # of a file: far more than a tune can use, and it is read into memory
MAX_LINE = 8 << 20  # characters of a JSON Lines row or a CSV record
MAX_ROWS = 1_000_000
_EXTRA = "needs pyarrow: pip install 'ragtune[tune]'"
_WRAPPERS = ("data", "rows", "examples", "train", "items", "records", "instances")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a source holds, as named values, with the number of each row in it.

    `numbers` are lines for text formats (`unit` "line": where the row begins), positions
    otherwise ("row"), both 1-based; of a folder, positions over all its files. `bad` are rows
    that could not be read, with the reason.
    """

    format: str
    unit: str
    rows: list[Row]
    numbers: list[int]
    bad: list[tuple[int, str]] = field(default_factory=list)
    splits: tuple[str, ...] = ()  # of a folder; the first one was read unless another was named
    split: str = ""


def read_file(path: Path) -> Rows:
    """The rows of a file. Raises TuneError, OSError."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise TuneError(
            f"{path}: {size >> 20} MiB is more than the {MAX_BYTES >> 20} MiB that are read: "
            "take a part (hundreds to some thousands of examples are enough)"
        )
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = _unzipped(path, data)
    if not data.strip():
        raise TuneError(f"{path}: the file is empty")
    if data[:4] == b"PAR1":
        return _numbered("parquet", _parquet(path, data))
    if data[:6] == b"ARROW1" or path.suffix == ".arrow":
        return _numbered("arrow", _arrow(path, data))
    if data[:4] == b"PK\x03\x04" or data[:4] == b"\xd0\xcf\x11\xe0":
        raise TuneError(f"{path}: an Office or ZIP file: save the table as CSV first")
    try:
        text = decode(data)
    except DocumentError as error:
        raise TuneError(f"{path}: {error}") from None
    first = text.lstrip()[:1]
    if first == "[" and path.suffix not in (".csv", ".tsv"):
        return _json(path, text)
    if first == "{":
        return _jsonl(path, text)
    if path.suffix in (".jsonl", ".ndjson", ".json"):
        number = text[: len(text) - len(text.lstrip())].count("\n") + 1
        raise TuneError(f"{path}, line {number}: not JSON: a row must begin with {{")
    return _csv(path, text)


def _unzipped(path: Path, data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            plain = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise TuneError(f"{path}: damaged gzip file: {error}") from None
    if len(plain) > MAX_BYTES:
        raise TuneError(f"{path}: more than {MAX_BYTES >> 20} MiB when unpacked: take a part")
    return plain


def _numbered(format: str, rows: list[Row]) -> Rows:
    return Rows(format, "row", rows, list(range(1, len(rows) + 1)))


# ---------------------------------------------------------------- JSON


class _DuplicateError(ValueError):
    """A JSON object that names a key twice: which value counts would be a guess."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateError(f"the key {key[:40]!r} stands twice in one object")
            seen.add(key)
    return made


_LOADS = json.JSONDecoder(object_pairs_hook=_object).decode


def loads(text: str) -> Any:
    """Parsed JSON. Raises ValueError with a reason, also for what is nested too deeply."""
    try:
        return _LOADS(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except _DuplicateError:
        raise
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError:  # an integer of more than 4,300 digits
        raise ValueError("a number that is too long") from None


def _jsonl(path: Path, text: str) -> Rows:
    lines = text.split("\n")  # not splitlines: U+2028 and others may stand inside a JSON text
    first = next(line for line in lines if line.strip())
    if not first.rstrip().endswith("}"):
        return _json(path, text)  # one object over several lines
    found = Rows("jsonl", "line", [], [])
    for number, line in enumerate(lines, 1):
        if not line or line.isspace():
            continue
        if len(line) > MAX_LINE:
            found.bad.append((number, f"longer than {MAX_LINE >> 20} million characters"))
            continue
        try:
            row = loads(line)
        except ValueError as error:
            found.bad.append((number, str(error)))
            continue
        if isinstance(row, dict):
            found.rows.append(row)
            found.numbers.append(number)
        else:
            found.bad.append((number, "not a JSON object"))
        bounded(path, number)
    if len(found.rows) == 1 and not found.bad and (inner := _wrapped(found.rows[0])) is not None:
        return _items(inner)
    return found


def _json(path: Path, text: str) -> Rows:
    try:
        value = _LOADS(text)
    except json.JSONDecodeError as error:
        raise TuneError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from None
    except _DuplicateError as error:
        raise TuneError(f"{path}: {error}") from None
    except RecursionError:
        raise TuneError(f"{path}: nested too deeply") from None
    except ValueError:
        raise TuneError(f"{path}: not JSON: a number that is too long") from None
    if isinstance(value, dict):
        inner = _wrapped(value)
        value = [value] if inner is None else inner
    bounded(path, len(value))
    return _items(value)


def _wrapped(value: Row) -> list[Any] | None:
    """The rows of `{"data": [{…}, …]}`, or of columns `{"question": […], "answer": […]}`."""
    for name in _WRAPPERS:
        inner = value.get(name)
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            return inner
    columns = list(value.values())
    lists = len(columns) > 1 and all(isinstance(c, list) and len(c) > 1 for c in columns)
    if (
        lists
        and len({len(c) for c in columns}) == 1
        and not any(isinstance(c[0], dict) for c in columns)
    ):
        return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    return None


def _items(items: Sequence[Any]) -> Rows:
    found = Rows("json", "row", [], [])
    for number, row in enumerate(items, 1):
        if isinstance(row, dict):
            found.rows.append(row)
            found.numbers.append(number)
        elif isinstance(row, list) and row and all(isinstance(turn, dict) for turn in row):
            found.rows.append({"messages": row})  # a list of conversations without names
            found.numbers.append(number)
        else:
            found.bad.append((number, "not a JSON object"))
    return found


def bounded(path: Path, count: int) -> None:
    """Raises TuneError for more rows than are read."""
    if count > MAX_ROWS:
        raise TuneError(f"{path}: more than {MAX_ROWS:,} rows: take a part")


# ---------------------------------------------------------------- CSV

_HEADER = re.compile(
    r"question|answer|prompt|completion|instruction|input|output|response|query|reply|context|"
    r"messages|conversations?|id|kind|text|system|evidence|frage|antwort",
    re.I,
)


def _csv(path: Path, text: str) -> Rows:
    skipped = 0
    separator = None
    if match := re.match(r"\s*sep=(.)\n", text):  # what Excel writes and reads
        separator = match[1]
        text, skipped = text[match.end() :], match.group().count("\n")
    delimiter = separator or _delimiter(path, text)
    # The csv module's limit is one of the process: put back below. A row may be as long as a file
    # is let be; the shapes leave out what is too long for an example, by row.
    before = csv.field_size_limit(MAX_LINE)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found = Rows(f"csv ({_NAMES.get(delimiter, repr(delimiter))})", "line", [], [])
    header: list[str] = []
    try:
        starts = 1
        for record in reader:
            number, starts = starts + skipped, reader.line_num + 1
            if not any(cell.strip() for cell in record):
                continue
            if not header:
                header = _header(path, record)
                continue
            if len(record) != len(header):
                found.bad.append(
                    (number, f"{len(record)} fields where the header has {len(header)}")
                )
                continue
            found.rows.append(dict(zip(header, record, strict=True)))
            found.numbers.append(number)
            bounded(path, len(found.rows))
    except csv.Error as error:
        raise TuneError(
            f"{path}, line {starts + skipped}: not valid CSV: {error} (a quote that is not closed?)"
        ) from None
    finally:
        csv.field_size_limit(before)
    return found


_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def _delimiter(path: Path, text: str) -> str:
    """The delimiter under which the first records have the most sensible header.

    `csv.Sniffer` counts characters and is led astray by texts with many commas; here a delimiter
    must give the header at least two names, and known names and records of the same length win.
    """
    best, best_score = ",", 0.0
    sample = text[: 1 << 16]
    for delimiter in (",", ";", "\t", "|"):
        records: list[list[str]] = []
        try:
            for record in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
                if any(cell.strip() for cell in record):
                    records.append(record)
                if len(records) > 50:
                    break
        except csv.Error:
            pass
        if len(sample) < len(text) and len(records) < 51:
            records = records[:-1] or records  # the last one is cut by the end of the sample
        if not records or len(records[0]) < 2:
            continue
        header = [cell.strip() for cell in records[0]]
        known = sum(bool(_HEADER.fullmatch(name)) for name in header)
        same = sum(len(record) == len(header) for record in records) / len(records)
        short = sum(0 < len(name) <= 40 for name in header) / len(header)
        score = known + 2 * same + short
        if score > best_score:
            best, best_score = delimiter, score
    if not best_score:
        raise TuneError(
            f"{path}: neither JSON nor a table with two columns or more: "
            "expected JSON Lines, JSON, CSV, Parquet or a dataset folder"
        )
    return best


def _header(path: Path, record: list[str]) -> list[str]:
    header = [name.strip().lstrip("\ufeff") for name in record]
    named = [name for name in header if name]
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise TuneError(f"{path}: the column {twice[:40]!r} stands twice in the header")
    return [name or f"column {n}" for n, name in enumerate(header, 1)]


# ---------------------------------------------------------------- Parquet, Arrow, folders


def _parquet(path: Path, data: bytes) -> list[Row]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise TuneError(f"{path}: a Parquet file {_EXTRA}") from None
    try:
        file = parquet.ParquetFile(pyarrow.BufferReader(data))
        bounded(path, file.metadata.num_rows)
        if (
            sum(
                file.metadata.row_group(i).total_byte_size
                for i in range(file.metadata.num_row_groups)
            )
            > 4 * MAX_BYTES
        ):
            raise TuneError(f"{path}: more than {4 * MAX_BYTES >> 30} GiB when unpacked")
        return [dict(row) for batch in file.iter_batches() for row in batch.to_pylist()]
    except TuneError:
        raise
    except Exception as error:  # pyarrow raises its own, OSError, ValueError, UnicodeDecodeError …
        raise TuneError(f"{path}: damaged Parquet file: {_line(error)}") from None


def _arrow(path: Path, data: bytes) -> list[Row]:
    try:
        import pyarrow
    except ImportError:
        raise TuneError(f"{path}: an Arrow file {_EXTRA}") from None
    try:
        if data[:6] == b"ARROW1":
            file = pyarrow.ipc.open_file(pyarrow.BufferReader(data))
            batches: Iterator[Any] = (file.get_batch(i) for i in range(file.num_record_batches))
        else:  # what the datasets library writes: the streaming format
            batches = iter(pyarrow.ipc.open_stream(pyarrow.BufferReader(data)))
        rows: list[Row] = []
        for batch in batches:
            bounded(path, len(rows) + batch.num_rows)
            batch.validate(full=True)
            rows += [dict(row) for row in batch.to_pylist()]
        return rows
    except TuneError:
        raise
    except Exception as error:
        raise TuneError(f"{path}: damaged Arrow file: {_line(error)}") from None


def _line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:160]
