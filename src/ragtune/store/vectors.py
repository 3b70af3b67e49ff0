"""The vector file: int8 rows in blocks, memory-mapped, scanned exactly.

Derived from SQLite and never trusted further than its checksums. Layout, little endian:

    header, 4096 bytes    magic, dimensions, block size, blocks, change number and token,
                          "being changed" mark, CRC-32 of these
    block, repeated       64 bytes: rows used, CRC-32 of each column below, CRC-32 of these
                          dead       uint8   (2048)      1: the passage is gone
                          id         int64   (2048)      the passage
                          document   int64   (2048)      the passage's document
                          weight     float32 (2048)      scale / norm of the row
                          row        int8    (2048, d)   vector / scale, rounded

cos(q, x) is then about `row @ q8 * weight * scale(q8)`. Rows are appended and later only marked
dead, so a reader's view stays true while a writer works. A CRC goes on from the last row, so that
an append costs what it adds. A row's rounding error is independent noise, about 0.0006 in a
cosine of 384 dimensions: the best `POOL` candidates and all within six deviations of the last
place are scored again from the full vectors, which makes the result exact.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune.store.schema import Stamp

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragtune.types import Vectors

MAGIC = b"ragtvec1"
ROWS = 2048  # a block: 0.8 MB at 384 dimensions, 45 µs to scan
HEADER = struct.Struct("<8sIIIIqq")  # magic, dimensions, rows a block, blocks, changing, stamp
HEADER_BYTES = 4096
BLOCK = struct.Struct("<IIIIII")  # used, then a CRC a column
BLOCK_BYTES = 64
POOL = 150

Rescore = Callable[[Sequence[int]], "tuple[Sequence[int], Vectors]"]
"""Full vectors of those of the given passages that exist: their ids, their rows."""


class DamagedError(Exception):
    """A derived file is not what a writer left: it has to be built again."""


@dataclass(frozen=True, slots=True)
class _Block:
    """The columns of one block in memory, its rows in the mapped file."""

    head: bytes
    dead: NDArray[np.uint8]
    ids: NDArray[np.int64]
    documents: NDArray[np.int64]
    weights: NDArray[np.float32]
    rows: NDArray[np.int8]


def _columns(dimensions: int) -> list[tuple[str, int, int]]:
    """Each column's dtype, bytes a row, and offset in the block."""
    found, offset = [], BLOCK_BYTES
    for dtype, width in (("<u1", 1), ("<i8", 8), ("<i8", 8), ("<f4", 4), ("<i1", dimensions)):
        found.append((dtype, width, offset))
        offset += width * ROWS
    return found


def _block_bytes(dimensions: int) -> int:
    return BLOCK_BYTES + ROWS * (1 + 8 + 8 + 4 + dimensions)


def quantise(vectors: Vectors) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 rows and weights: `rows * weights[:, None]` is close to the rows at unit length."""
    import numpy as np

    largest = np.abs(vectors).max(axis=1, initial=0.0)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    rows = np.rint(vectors / scale[:, None]).astype(np.int8)
    norms = np.linalg.norm(vectors, axis=1)
    return rows, np.where(norms > 0, scale / np.where(norms > 0, norms, 1), 0).astype(np.float32)


class VectorView:
    """The file as it stood at `stamp`; unchanging, shared by threads."""

    def __init__(self, stamp: Stamp, dimensions: int, blocks: Sequence[_Block]) -> None:
        import numpy as np

        self.stamp = stamp
        self.dimensions = dimensions
        self.blocks = blocks
        self.ids = _join([b.ids for b in blocks], np.int64)
        self.documents = _join([b.documents for b in blocks], np.int64)
        self.weights = _join([b.weights for b in blocks], np.float32)
        dead = _join([b.dead for b in blocks], np.uint8) != 0
        self.live = ~dead
        self.count = int(np.count_nonzero(self.live))
        self._bias = np.where(dead, np.float32(-np.inf), np.float32(0))
        self._noise = float(np.mean(self.weights)) if len(self.weights) else 0.0

    def search(
        self, vector: Vectors, k: int, documents: NDArray[np.int64] | None, rescore: Rescore
    ) -> list[tuple[int, float]]:
        """The k passages with the largest cosine to `vector`, of the given documents only.

        Equal cosines are ordered by id. Scores are of the full vectors.
        """
        import numpy as np

        norm = float(np.linalg.norm(vector))
        if not len(self.ids) or not norm > 0 or k < 1:
            return []
        unit = np.asarray(vector, np.float32) / np.float32(norm)
        rows, weight = quantise(unit[None])
        where: NDArray[np.intp] | None = None
        if documents is not None:
            allowed = np.zeros(int(self.documents.max()) + 1, bool)
            allowed[documents[documents < len(allowed)]] = True
            where = np.flatnonzero(allowed[self.documents] & self.live)
        if where is not None and len(where) * 16 < len(self.ids):
            scores = self._gather(rows, where) * weight
        else:
            scores = self._scan(rows) * weight
            if where is not None:
                scores = scores[where]
        noise = 6 * float(np.hypot(self._noise, weight[0])) / 12**0.5
        pool = max(POOL, 2 * k)
        while True:
            best = _largest(scores, pool)
            ids = self.ids[best if where is None else where[best]]
            found = _exact(unit, rescore, ids.tolist())
            if len(best) >= np.count_nonzero(scores > -np.inf):
                break
            # Every passage left out scores at most the pool's last, give or take the noise.
            if len(found) >= k and found[k - 1][1] > float(scores[best].min()) + noise:
                break
            if pool >= 16 * max(POOL, 2 * k):  # thousands of equal passages: ids decide
                break
            pool *= 2
        return found[:k]

    def same(self, row: int, quantised: NDArray[np.int8], weight: np.float32) -> bool:
        """Whether a row holds this vector."""
        held = self.blocks[row // ROWS].rows[row % ROWS]
        return bool(self.weights[row] == weight and (held == quantised).all())

    def _scan(self, query: NDArray[np.int8]) -> NDArray[np.float32]:
        import numkong
        import numpy as np

        scores = np.empty((1, len(self.ids)), np.float32)
        at = 0
        for block in self.blocks:
            end = at + len(block.rows)
            if end > at:
                numkong.cdist(query, block.rows, metric="dot", out=scores[:, at:end])
            at = end
        row: NDArray[np.float32] = scores[0]
        row *= self.weights
        row += self._bias
        return row

    def _gather(self, query: NDArray[np.int8], where: NDArray[np.intp]) -> NDArray[np.float32]:
        import numkong
        import numpy as np

        if not len(where):
            return np.empty(0, np.float32)
        cuts = np.searchsorted(where, [n * ROWS for n in range(1, len(self.blocks))])
        parts = [
            self.blocks[n].rows[part - n * ROWS]
            for n, part in enumerate(np.split(where, cuts))
            if len(part)
        ]
        scores = np.empty((1, len(where)), np.float32)
        numkong.cdist(query, np.concatenate(parts), metric="dot", out=scores)
        weighted: NDArray[np.float32] = scores[0] * self.weights[where]
        return weighted


def _join(parts: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    import numpy as np

    return np.concatenate(parts) if parts else np.empty(0, dtype)


def _largest(scores: NDArray[np.float32], m: int) -> NDArray[np.intp]:
    """Indices of at least the m largest finite scores (all equals of the last one included)."""
    import numpy as np

    if len(scores) > 64 * 64 and m * 8 < len(scores):
        # A sample's quantile is a bound that leaves a few hundred: 15 times faster than
        # partitioning all, and checked.
        sample = scores[::16]
        rank = min(len(sample), 2 * m // 16 + 8)
        bound = np.partition(sample, len(sample) - rank)[len(sample) - rank]
        some = np.flatnonzero((scores >= bound) & (scores > -np.inf))
        if len(some) >= m:
            return some[_largest(scores[some], m)]
    if m < len(scores):
        bound = np.partition(scores, len(scores) - m)[len(scores) - m]
        return np.flatnonzero((scores >= bound) & (scores > -np.inf))
    return np.flatnonzero(scores > -np.inf)


def _exact(unit: Vectors, rescore: Rescore, ids: list[int]) -> list[tuple[int, float]]:
    import numpy as np

    known, vectors = rescore(ids)
    if not len(known):
        return []
    rows = np.asarray(vectors, np.float64)
    norms = np.linalg.norm(rows, axis=1)
    cosines = (rows @ unit.astype(np.float64)) / np.where(norms > 0, norms, 1)
    cosines = cosines.round(12)  # equal vectors tie, however the product was summed
    order = np.lexsort((np.asarray(known), -cosines))
    return [(int(known[n]), float(cosines[n])) for n in order]


# ---------------------------------------------------------------- reading


def read_header(path: Path) -> tuple[int, int, Stamp, bool]:
    """Dimensions, blocks, stamp and "being changed". Raises DamagedError, OSError."""
    with path.open("rb") as file:
        raw = file.read(HEADER.size + 4)
    if len(raw) < HEADER.size + 4 or zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
        raise DamagedError("the vector file's header is damaged")
    magic, dimensions, rows, blocks, changing, number, token = HEADER.unpack(raw[:-4])
    if magic != MAGIC or rows != ROWS:
        raise DamagedError("the vector file has another format")
    return dimensions, blocks, (number, token), bool(changing)


def load(path: Path, old: VectorView | None = None, *, unfinished: bool = False) -> VectorView:
    """The file's view; blocks that `old` has already are taken from it, others are checked.

    With `unfinished` a file that a writer left in the middle of a change is taken as it is: the
    holder of the lock can do the change again. Raises DamagedError (also while a writer is at work
    on the file), OSError.
    """
    import numpy as np

    dimensions, blocks, stamp, changing = read_header(path)
    if changing and not unfinished:
        raise DamagedError("the vector file was left in the middle of a change")
    size = _block_bytes(dimensions)
    known = old.blocks if old is not None and old.dimensions == dimensions else ()
    found: list[_Block] = []
    if blocks:
        length, expected = path.stat().st_size, HEADER_BYTES + blocks * size
        if length < expected or (length > expected and not changing):
            raise DamagedError("the vector file has been cut")
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        for number in range(blocks):
            base = HEADER_BYTES + number * size
            head = mapped[base : base + BLOCK.size + 4]
            if number < len(known) and known[number].head == head:
                found.append(known[number])
                continue
            used, *sums = _block_head(head)
            arrays = []
            for (dtype, width, offset), crc in zip(_columns(dimensions), sums, strict=True):
                view = np.frombuffer(mapped, np.uint8, used * width, base + offset)
                column = view if dtype == "<i1" else view.copy()
                if zlib.crc32(column.data) != crc:
                    raise DamagedError(f"block {number} of the vector file is damaged")
                arrays.append(column.view(dtype))
            arrays[4] = arrays[4].reshape(used, dimensions)
            found.append(_Block(head, *arrays))
    if read_header(path) != (dimensions, blocks, stamp, changing):
        raise DamagedError("the vector file changed while it was read")
    return VectorView(stamp, dimensions, found)


def _block_head(head: bytes) -> tuple[int, ...]:
    if zlib.crc32(head[: BLOCK.size]) != int.from_bytes(head[BLOCK.size :], "little"):
        raise DamagedError("a block of the vector file has a damaged head")
    fields: tuple[int, ...] = BLOCK.unpack(head[: BLOCK.size])
    if fields[0] > ROWS:
        raise DamagedError("a block of the vector file says that it is too long")
    return fields


# ---------------------------------------------------------------- writing


class VectorWriter:
    """Changes the file; the caller holds the workspace's lock and a current view.

    The order of the writes keeps readers safe: the mark "being changed", then rows, then each
    block's head, then the header with the new stamp and without the mark.
    """

    def __init__(self, path: Path, view: VectorView) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._view = view
        self._size = _block_bytes(view.dimensions)
        self._heads = [list(_block_head(b.head)) for b in view.blocks]
        self._touched: set[int] = set()
        self._header(view.stamp, changing=True)

    def bury(self, rows: Iterable[int]) -> None:
        """Marks rows (indices in the view) dead."""
        by_block: dict[int, list[int]] = {}
        for row in rows:
            by_block.setdefault(row // ROWS, []).append(row % ROWS)
        for number, places in by_block.items():
            dead = self._column(number, 0)
            for place in places:
                dead[place] = 1
            self._write(number, 0, 0, bytes(dead))
            self._heads[number][1] = zlib.crc32(bytes(dead))
            self._touched.add(number)

    def append(
        self, ids: NDArray[np.int64], documents: NDArray[np.int64], vectors: Vectors
    ) -> None:
        """Adds live rows. `vectors` has shape (len(ids), dimensions)."""
        import numpy as np

        rows, weights = quantise(vectors)
        at = 0
        while at < len(ids):
            if not self._heads or self._heads[-1][0] == ROWS:
                self._heads.append([0, 0, 0, 0, 0, 0])
                os.ftruncate(self._file, HEADER_BYTES + len(self._heads) * self._size)
            number, head = len(self._heads) - 1, self._heads[-1]
            take = min(ROWS - head[0], len(ids) - at)
            part = slice(at, at + take)
            dead = np.zeros(take, np.uint8)
            columns = (dead, ids[part], documents[part], weights[part], rows[part])
            for n, column in enumerate(columns):
                raw = np.ascontiguousarray(column).tobytes()
                self._write(number, n, head[0], raw)
                head[n + 1] = zlib.crc32(raw, head[n + 1])
            head[0] += take
            at += take
            self._touched.add(number)

    def finish(self, stamp: Stamp) -> None:
        """Makes the change visible as `stamp`."""
        for number in sorted(self._touched):
            raw = BLOCK.pack(*self._heads[number])
            raw += zlib.crc32(raw).to_bytes(4, "little")
            _pwrite(self._file, raw, HEADER_BYTES + number * self._size)
        self._header(stamp, changing=False)

    def close(self) -> None:
        """Closes the file; without `finish` it stays marked as being changed."""
        os.close(self._file)

    def _column(self, number: int, column: int) -> bytearray:
        _, width, offset = _columns(self._view.dimensions)[column]
        base = HEADER_BYTES + number * self._size + offset
        return bytearray(os.pread(self._file, self._heads[number][0] * width, base))

    def _write(self, number: int, column: int, first: int, raw: bytes) -> None:
        _, width, offset = _columns(self._view.dimensions)[column]
        base = HEADER_BYTES + number * self._size + offset
        _pwrite(self._file, raw, base + first * width)

    def _header(self, stamp: Stamp, *, changing: bool) -> None:
        raw = HEADER.pack(
            MAGIC, self._view.dimensions, ROWS, len(self._heads), int(changing), *stamp
        )
        _pwrite(self._file, raw + zlib.crc32(raw).to_bytes(4, "little"), 0)


def _pwrite(file: int, raw: bytes, offset: int) -> None:
    """Writes all of `raw`: a nearly full disk takes a part first and fails the next time."""
    while raw:
        done = os.pwrite(file, raw, offset)
        raw, offset = raw[done:], offset + done


def create(path: Path, dimensions: int) -> VectorView:
    """An empty file with no change applied; for building one beside the old one."""
    raw = HEADER.pack(MAGIC, dimensions, ROWS, 0, 0, 0, 0)
    raw += zlib.crc32(raw).to_bytes(4, "little")
    path.write_bytes(raw.ljust(HEADER_BYTES, b"\0"))
    return VectorView((0, 0), dimensions, ())
