"""GGUF files: what is in their header, and writing one from another.

The header of a model with a vocabulary of 50,000 is read in 0.1 s (the `gguf` package makes an
array of every token: 3 s), the weights stay on disk, and metadata is copied as the bytes that it
is: tokenizer and chat template of a merged model are the base's own.
Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 3, little-endian).
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ragtune.errors import WeightsError

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_MOST = 1 << 20  # keys, tensors, dimensions' product per axis: a damaged count ends here


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's place: `shape` with the longest stride first (rows, columns), bytes from `start`.

    `type` is ggml's number (0 fp32, 1 fp16, 2 q4_0, 3 q4_1, 8 q8_0, …).
    """

    name: str
    shape: tuple[int, ...]
    type: int
    start: int


@dataclass(frozen=True, slots=True)
class GgufFile:
    """The header of a GGUF file.

    `values` holds the scalars and strings among the metadata; `entries` every key's bytes as they
    stand in the file.
    """

    path: Path
    values: Mapping[str, Any]
    entries: Mapping[str, bytes]
    tensors: Mapping[str, Tensor]
    size: int  # bytes of the file

    @property
    def parameters(self) -> int:
        """How many numbers all tensors hold."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())


def read(path: Path) -> GgufFile:
    """The header of the GGUF file `path`. Raises WeightsError for what is none."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _parse(path, data)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, struct.error, KeyError, UnicodeDecodeError, OverflowError) as error:
        raise WeightsError(f"{path} is not a GGUF file, or is damaged: {error}") from None


def strings(entry: bytes) -> list[str]:
    """The texts of a metadata entry that is an array of strings (`tokenizer.ggml.tokens`)."""
    (length,) = struct.unpack_from("<Q", entry)
    at = 8 + length
    kind, inner, count = struct.unpack_from("<IIQ", entry, at)
    if (kind, inner) != (_ARRAY, _STRING):
        raise WeightsError("not a list of texts: the GGUF file is damaged")
    found = []
    at += 16
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", entry, at)
        found.append(entry[at + 8 : at + 8 + length].decode("utf-8", "replace"))
        at += 8 + length
    return found


def entry(key: str, value: str | float | int) -> bytes:
    """A metadata entry: a text, a 32-bit float or an unsigned 32-bit number."""
    name = _text(key)
    if isinstance(value, str):
        return name + struct.pack("<I", _STRING) + _text(value)
    if isinstance(value, float):
        return name + struct.pack("<If", 6, value)
    return name + struct.pack("<II", 4, value)


def write(
    file: IO[bytes],
    entries: Iterable[bytes],
    tensors: Iterable[tuple[str, tuple[int, ...], int, int]],
    data: Iterable[Any],
) -> None:
    """Writes a GGUF file: metadata, then `data`, one buffer for each of `tensors`.

    A tensor is its name, shape as in `Tensor`, ggml type and size in bytes. The buffers are taken
    one by one, so that a model larger than memory can be written.
    """
    entries, tensors = list(entries), list(tensors)
    header = bytearray(_MAGIC + struct.pack("<IQQ", 3, len(tensors), len(entries)))
    for bytes_ in entries:
        header += bytes_
    offset = 0
    for name, shape, kind, size in tensors:
        header += _text(name) + struct.pack("<I", len(shape))
        header += b"".join(struct.pack("<Q", length) for length in reversed(shape))
        header += struct.pack("<IQ", kind, offset)
        offset += _padded(size)
    file.write(header + bytes(_padded(len(header)) - len(header)))
    for (name, _, _, size), buffer in zip(tensors, data, strict=True):
        view = memoryview(buffer).cast("B")
        if len(view) != size:
            raise ValueError(f"{name}: {len(view)} bytes for {size}")
        file.write(view)
        file.write(bytes(_padded(size) - size))


_ALIGNMENT = 32


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _parse(path: Path, data: mmap.mmap) -> GgufFile:
    if data[:4] != _MAGIC:
        raise ValueError("it does not begin with GGUF")
    version, tensor_count, key_count = struct.unpack_from("<IQQ", data, 4)
    if version not in (2, 3) or max(tensor_count, key_count) > _MOST:
        raise ValueError(f"version {version}, {tensor_count} tensors, {key_count} keys")
    at = 24
    values: dict[str, Any] = {}
    entries: dict[str, bytes] = {}
    for _ in range(key_count):
        start = at
        key, at = _string(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        value, at = _value(data, kind, at + 4)
        entries[key] = data[start:at]
        if value is not None:
            values[key] = value
    found = []
    for _ in range(tensor_count):
        name, at = _string(data, at)
        (dimensions,) = struct.unpack_from("<I", data, at)
        if not 1 <= dimensions <= 4:
            raise ValueError(f"{name} has {dimensions} dimensions")
        shape = struct.unpack_from(f"<{dimensions}Q", data, at + 4)
        if max(shape) > _MOST * 1024:
            raise ValueError(f"{name} has shape {shape}")
        kind, offset = struct.unpack_from("<IQ", data, at + 4 + 8 * dimensions)
        found.append((name, tuple(reversed(shape)), kind, offset))
        at += 16 + 8 * dimensions
    alignment = int(values.get("general.alignment", _ALIGNMENT))
    begin = -(-at // max(alignment, 1)) * max(alignment, 1)
    tensors = {n: Tensor(n, shape, kind, begin + offset) for n, shape, kind, offset in found}
    if any(tensor.start >= len(data) for tensor in tensors.values()):
        raise ValueError("it is cut short")
    return GgufFile(path, values, entries, tensors, len(data))


def _string(data: mmap.mmap, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, at)
    end = at + 8 + length
    if end > len(data):
        raise ValueError("it is cut short")
    return data[at + 8 : end].decode("utf-8", "replace"), end


def _value(data: mmap.mmap, kind: int, at: int) -> tuple[Any, int]:
    """A value and where it ends; None for an array."""
    if kind in _SCALARS:
        code = "<" + _SCALARS[kind]
        return struct.unpack_from(code, data, at)[0], at + struct.calcsize(code)
    if kind == _STRING:
        return _string(data, at)
    if kind != _ARRAY:
        raise ValueError(f"unknown kind of value {kind}")
    inner, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if inner in _SCALARS:
        at += count * struct.calcsize("<" + _SCALARS[inner])
    elif inner == _STRING:
        for _ in range(count):
            (length,) = struct.unpack_from("<Q", data, at)
            at += 8 + length
    else:
        raise ValueError("an array of arrays")
    if at > len(data):
        raise ValueError("it is cut short")
    return None, at
