"""The reader process: takes files from its parent, one at a time, until the pipe closes.

Results go back as JSON: nothing that a damaged parser writes is ever executed by the parent.
Every message is 8 bytes of length and that many bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import sys
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, BinaryIO, cast

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Failed, Parsed
from ragtune.types import Anchor, Block, SourceMap

LENGTH = struct.Struct("<Q")
_GRACE = 0.2  # seconds beyond the limit until the process ends itself


class ExhaustedError(DocumentError):
    """The file needed more memory than allowed: its process must not be used again."""


def serve(memory_mb: int, seconds: float) -> None:
    """Reads requests from stdin and answers on what was stdout, within the given limits."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # what parsers print must not reach the pipe or the terminal
        os.dup2(nothing, stream)
    limit(memory_mb)
    from ragtune.ingest.parse import parse

    while (name := receive(requests)) is not None:
        source = receive(requests)
        signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)  # SIGALRM ends the process
        try:
            if source is None:
                return
            data = source[1:] if source[:1] == b"d" else _file(os.fsdecode(source[1:]))
            del source
            reply = encode(parse(data, name.decode("utf-8", "replace")))
            del data
        except DocumentError as error:
            reply = json.dumps({"error": str(error)}).encode()
        except MemoryError:
            reason = f"needs more than {memory_mb} MiB to read"
            reply = json.dumps({"error": reason, "last": True}).encode()
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            send(replies, reply)
        except BrokenPipeError:  # the parent is gone
            return


def limit(memory_mb: int) -> None:
    """This process gets no more memory than that, and leaves no core file."""
    import resource

    size = memory_mb << 20
    limits = ((resource.RLIMIT_AS, size), (resource.RLIMIT_DATA, size), (resource.RLIMIT_CORE, 0))
    for what, value in limits:
        with contextlib.suppress(ValueError, OSError):  # not every system has each of them
            resource.setrlimit(what, (value, value))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror or error}") from None


def send(stream: BinaryIO, data: bytes) -> None:
    """Writes one message."""
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: BinaryIO) -> bytes | None:
    """Reads one message; None when the other side is gone."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    data = stream.read(length)
    return data if len(data) == length else None


def encode(results: Sequence[Parsed | Failed]) -> bytes:
    """Results as JSON."""
    made: list[list[Any]] = []
    for item in results:
        if isinstance(item, Failed):
            made.append([item.name, item.reason])
            continue
        blocks = [(b.start, b.end, b.kind, b.level) for b in item.map.blocks]
        anchors = [astuple_fast(a) for a in item.map.anchors]
        made.append(
            [item.name, item.title, item.text, item.type, item.tags, blocks, anchors, item.left_out]
        )
    return json.dumps(made, ensure_ascii=False).encode("utf-8", "replace")


def astuple_fast(a: Anchor) -> tuple[Any, ...]:
    """The fields in order, without the copying of `dataclasses.astuple`; ends of None are cut."""
    if a.page is not None and a.part is None:
        return (a.start, a.end, a.page, a.box)
    fields = astuple(a)
    end = len(fields)
    while fields[end - 1] is None:
        end -= 1
    return fields[:end]


def decode(data: bytes) -> list[Parsed | Failed]:
    """What `encode` wrote. Raises DocumentError for a reported error, ValueError for nonsense."""
    made = json.loads(data)
    if isinstance(made, dict):
        raise (ExhaustedError if made.get("last") else DocumentError)(str(made["error"]))
    results: list[Parsed | Failed] = []
    for item in made:
        if len(item) == 2:
            results.append(Failed(item[0], item[1]))
            continue
        name, title, text, kind, tags, blocks, anchors, left_out = item
        source = SourceMap(
            tuple(Block(*block) for block in blocks), tuple(_anchor(fields) for fields in anchors)
        )
        results.append(Parsed(name, title, text, source, kind, tuple(tags), tuple(left_out)))
    return results


def _anchor(fields: list[Any]) -> Anchor:
    if len(fields) > 3 and fields[3] is not None:
        fields[3] = cast("tuple[float, float, float, float]", tuple(fields[3]))
    return Anchor(*fields)


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
