"""Both derived indexes as one: opened, compared with SQLite, replayed, rebuilt.

Nothing here is needed to know what was stored: every file can be made again from SQLite. A change
is applied by document: what the indexes hold of it is made equal to what SQLite holds, so doing a
change twice, or after it was half done, does no harm.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragtune.store import lexical, rows, vectors
from ragtune.store.schema import Stamp, changed_since, stamp
from ragtune.store.vectors import DamagedError, VectorView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragtune.store.lexical import LexicalIndex, LexicalView, LexicalWriter
    from ragtune.types import Vectors

log = logging.getLogger("ragtune")

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # building anew would not help
VECTORS = "vectors.bin"
LEXICAL = "lexical"


@dataclass(frozen=True, slots=True)
class Views:
    """What a search needs: both indexes as they stood at some change."""

    lexical: LexicalView
    vectors: VectorView

    def current(self, now: Stamp) -> bool:
        """Whether both hold exactly what SQLite holds."""
        return self.lexical.stamp == now and self.vectors.stamp == now


class Derived:
    """The derived files of one workspace. The caller keeps threads apart."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._folder = folder
        self._read_only = read_only
        self._index: LexicalIndex | None = None
        self._view: VectorView | None = None
        self._writer: LexicalWriter | None = None
        self._copy: str | None = None

    def look(self, *, unfinished: bool = False) -> Views:
        """The files as they are now. Raises DamagedError; FileNotFoundError counts as damaged."""
        return Views(self._lexical(), self._vectors(unfinished=unfinished))

    def _lexical(self) -> LexicalView:
        try:
            if self._index is not None:
                try:
                    return self._index.view()
                except (DamagedError, OSError):
                    self._index = None  # built again by another process, or damaged: open anew
            self._index = lexical.LexicalIndex(self._lexical_folder())
            return self._index.view()
        except OSError as error:
            self._index = None
            raise DamagedError(f"the keyword index cannot be opened: {error}") from error

    def _lexical_folder(self) -> Path:
        """The index's folder; tantivy wants to lock there, so for readers only it is a copy."""
        if not self._read_only:
            return self._folder / LEXICAL
        if self._copy is None:
            import atexit
            import tempfile

            self._copy = tempfile.mkdtemp(prefix="ragtune-")
            atexit.register(shutil.rmtree, self._copy, ignore_errors=True)
            copy = Path(self._copy) / LEXICAL
            copy.mkdir()
            for file in (self._folder / LEXICAL).iterdir():
                shutil.copyfile(file, copy / file.name)  # without the original's modes
        return Path(self._copy) / LEXICAL

    def _vectors(self, *, unfinished: bool) -> VectorView:
        path = self._folder / VECTORS
        try:
            if self._view is not None:
                _, _, now, changing = vectors.read_header(path)
                if now == self._view.stamp and not changing:
                    return self._view
            self._view = vectors.load(path, self._view, unfinished=unfinished)
        except (OSError, ValueError) as error:
            raise DamagedError(f"the vector file cannot be opened: {error}") from error
        return self._view

    # ------------------------------------------------------------ under the lock

    def catch_up(self, db: sqlite3.Connection, dimensions: int) -> Views:
        """Makes both files equal to SQLite; rebuilds what cannot be replayed. Raises OSError."""
        now = stamp(db)
        try:
            words: LexicalView | None = self._lexical()
        except DamagedError:
            words = None
        try:
            rows_view: VectorView | None = self._vectors(unfinished=True)
            header = vectors.read_header(self._folder / VECTORS)
            unfinished = header[3]
        except DamagedError:
            rows_view, unfinished = None, False
        if words is not None and words.stamp != now:
            documents = changed_since(db, words.stamp)
            try:
                if documents is None:
                    words = None
                else:
                    self._apply_lexical(db, documents, now)
            except OSError as error:
                if error.errno in NO_ROOM:
                    raise
                log.warning("%s: it is built again", error)
                words = None
        if words is None:
            self.end_writing()
            self._index = None
            lexical.build(
                self._folder / LEXICAL,
                db.execute("SELECT id, document, heading, text FROM passages ORDER BY id"),
                now,
                db.execute("SELECT count(*) FROM passages").fetchone()[0],
            )
            self._seal()
        if rows_view is not None and rows_view.dimensions != dimensions:
            rows_view = None
        if rows_view is not None and (rows_view.stamp != now or unfinished):
            documents = changed_since(db, rows_view.stamp)
            dead = len(rows_view.live) - rows_view.count
            if documents is None or dead > max(vectors.ROWS, rows_view.count):
                rows_view = None
            else:
                self._apply_vectors(db, documents, now, rows_view)
        if rows_view is None:
            self._build_vectors(db, dimensions, now)
        return self.look()

    def _apply_lexical(self, db: sqlite3.Connection, documents: Sequence[int], now: Stamp) -> None:
        assert self._index is not None
        if self._writer is None:
            self._writer = self._index.writer(bulk=len(documents) > 100)
        try:
            for document in documents:
                self._writer.remove(document)
            for marks, part in rows.chunks(documents):
                self._writer.add(
                    db.execute(
                        "SELECT id, document, heading, text FROM passages"  # noqa: S608
                        f" WHERE document IN {marks} ORDER BY id",
                        part,
                    )
                )
            count = db.execute("SELECT count(*) FROM passages").fetchone()[0]
            self._writer.finish(now, count)
        except BaseException:
            self._writer.abandon()
            self._writer = None
            raise

    def _apply_vectors(
        self, db: sqlite3.Connection, documents: Sequence[int], now: Stamp, view: VectorView
    ) -> None:
        import numpy as np

        there: dict[int, int] = {}  # passage: its live row, for the documents that changed
        touched = np.flatnonzero(np.isin(view.documents, np.asarray(documents, np.int64)))
        for row in touched[view.live[touched]].tolist():
            there[int(view.ids[row])] = row
        writer = vectors.VectorWriter(self._folder / VECTORS, view)
        try:
            for ids, of, full in _stored(db, documents, view.dimensions):
                quantised, weights = vectors.quantise(full)
                new = []
                for n, number in enumerate(ids.tolist()):
                    row = there.get(number)
                    if row is not None and view.same(row, quantised[n], weights[n]):
                        del there[number]
                    else:
                        new.append(n)
                writer.append(ids[new], of[new], full[new])
            # Last, because it needs no room: a full disk has stopped the change before.
            writer.bury(there.values())
            writer.finish(now)
        finally:
            writer.close()

    def _build_vectors(self, db: sqlite3.Connection, dimensions: int, now: Stamp) -> None:
        path = self._folder / VECTORS
        new = path.with_name(VECTORS + ".new")
        if path.is_dir():
            shutil.rmtree(path)
        try:
            writer = vectors.VectorWriter(new, vectors.create(new, dimensions))
            try:
                for ids, of, full in _stored(db, None, dimensions):
                    writer.append(ids, of, full)
                writer.finish(now)
            finally:
                writer.close()
            os.replace(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        self._view = None

    def end_writing(self) -> None:
        """Finishes merges and gives tantivy's own lock back; before the workspace's lock goes."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except OSError as error:  # a merge had no room: the segments stay as they are
                log.warning("%s", error)
            self._seal()

    def _seal(self) -> None:
        try:
            self._lexical()
            assert self._index is not None
            self._index.seal()
        except (DamagedError, OSError) as error:  # an old seal only says less
            log.warning("the keyword index's seal is not renewed: %s", error)

    def discard_lexical(self) -> None:
        """Takes the keyword index away, for what only a search shows; the lock is held."""
        self._index = None
        shutil.rmtree(self._folder / LEXICAL, ignore_errors=True)


def _stored(
    db: sqlite3.Connection, documents: Sequence[int] | None, dimensions: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Vectors]]:
    """Passage ids, their documents and vectors, in portions; of all documents for None.

    Vectors of another length are left out: they are an earlier embedder's.
    """
    import numpy as np

    query = (
        "SELECT p.id, p.document, v.vector FROM passages p JOIN vectors v ON v.passage = p.id"
        " WHERE length(v.vector) = ?"
    )
    cursors = (
        [db.execute(query + " ORDER BY p.id", (dimensions * 4,))]
        if documents is None
        else (
            db.execute(f"{query} AND p.document IN {marks} ORDER BY p.id", (dimensions * 4, *part))
            for marks, part in rows.chunks(documents)
        )
    )
    for cursor in cursors:
        while portion := cursor.fetchmany(vectors.ROWS):
            raw = b"".join(vector for _, _, vector in portion)
            yield (
                np.fromiter((number for number, _, _ in portion), np.int64),
                np.fromiter((document for _, document, _ in portion), np.int64),
                np.frombuffer(raw, "<f4").reshape(len(portion), dimensions),
            )
