"""The keyword index: BM25 by tantivy, over ids only.

Derived from SQLite. Beside the passages it holds one document of id 0 with no words: the stamp.
It is replaced in the same commit as the passages, so that the index can never say that it is
further than it is. tantivy writes a CRC-32 behind each of its files but does not look at it when
it opens them; lexical_files.py does.

Integer fields are signed: a Python int given to an unsigned one kills tantivy's writer thread.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune.store.lexical_files import SEAL, check_files, remove_unborn
from ragtune.store.schema import Stamp
from ragtune.store.text import embedded_text
from ragtune.store.vectors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import tantivy

    from ragtune.store.visible import Allowed

BODY = "body"
ANALYZER = "ragtune"
LONGEST_WORD = 64  # characters; longer "words" are encoded data
MOST_TERMS = 512  # of one query: a page that was pasted still ranks, a book does not hang
COUNTED = 32  # sets of allowed documents whose words are kept counted …
COUNTED_TERMS = 10_000  # … and how many words of each
FEW_DOCUMENTS = 1000  # up to here a filter goes into the query, above it is applied to what comes


def analyzer() -> Any:
    """Text to terms, for passages and queries alike: the one place to change how BM25 sees text.

    Words of letters and digits of any script, lower case, accents folded, English stems. No stop
    words are left out: BM25 gives them next to no weight, and "IT", "will" or "who" can be what a
    question is about. Changing this needs a new `FORMAT`, which rebuilds the index.
    """
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    return (
        TextAnalyzerBuilder(Tokenizer.simple())
        .filter(Filter.remove_long(LONGEST_WORD))
        .filter(Filter.lowercase())
        .filter(Filter.ascii_fold())
        .filter(Filter.stemmer("english"))
        .build()
    )


FORMAT = 1  # of schema and analyzer together


def _schema() -> Any:
    from tantivy import SchemaBuilder

    builder = SchemaBuilder()
    builder.add_integer_field("id", indexed=True, fast=True)
    builder.add_integer_field("document", indexed=True, fast=True)
    for name in ("number", "token", "passages", "format"):  # of the stamp
        builder.add_integer_field(name, fast=True)
    # Frequencies without positions: phrases are not asked for, and it is half the size.
    builder.add_text_field(BODY, tokenizer_name=ANALYZER, index_option="freq")
    return builder.build()


@contextmanager
def _tantivy_errors() -> Iterator[None]:
    """tantivy's errors as OSError; a panic of its Rust code is no subclass of Exception."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ == "PanicException" or isinstance(error, ValueError):
            text = " ".join(str(error).split())[:200]
            full = "No space left" in text or "StorageFull" in text
            raise OSError(errno.ENOSPC if full else errno.EIO, f"keyword index: {text}") from error
        raise


class LexicalView:
    """The index as it stood at `stamp`; unchanging, shared by threads."""

    def __init__(self, index: tantivy.Index, searcher: tantivy.Searcher) -> None:
        from tantivy import Query

        self._schema = index.schema
        self._analyzer = analyzer()
        self._searcher = searcher
        with _tantivy_errors():
            found = searcher.search(Query.term_query(self._schema, "id", 0), 2, count=False).hits
            if len(found) != 1:
                raise DamagedError("the keyword index has no stamp")
            at = [found[0][1]]
            number, token, passages, version = (
                int(searcher.fast_field_values(name, at)[0] or 0)
                for name in ("number", "token", "passages", "format")
            )
        if version != FORMAT:
            raise DamagedError("the keyword index was written by another version")
        if searcher.num_docs != passages + 1:
            raise DamagedError(
                f"the keyword index has {searcher.num_docs - 1} passages, not {passages}"
            )
        self.stamp: Stamp = (number, token)
        self.count = passages
        self._lock = threading.Lock()
        self._reckoned = 0
        self._counted: dict[Allowed, tuple[tantivy.Query, dict[str, int]]] = {}  # latest last

    def search(
        self,
        query: str,
        k: int,
        documents: Collection[int] | None,
        existing: Callable[[list[int]], set[int]],
        allowed: Allowed | None = None,
    ) -> list[tuple[int, float]]:
        """The k passages with the highest BM25 for any of the query's words.

        Only of the given documents and of passages that `existing` confirms. Equal scores are
        ordered by id. With `allowed`, a word is as rare as it is in what may be seen: else scores
        would tell how often a word stands in what may not. (The mean length of a passage stays
        that of all.)
        """
        from tantivy import Occur, Query

        plain = query.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is no text
        terms = list(dict.fromkeys(self._analyzer.analyze(plain)))[:MOST_TERMS]
        if not terms or k < 1 or (documents is not None and not documents):
            return []
        weights = dict.fromkeys(terms, 1.0) if allowed is None else self._weights(terms, allowed)
        if not weights:
            return []
        words = Query.boolean_query(
            [
                (
                    Occur.Should,
                    Query.boost_query(Query.term_query(self._schema, BODY, term), weight),
                )
                for term, weight in weights.items()
            ]
        )
        inside: Collection[int] | None = None
        if documents is not None and len(documents) <= FEW_DOCUMENTS:
            these = Query.term_set_query(self._schema, "document", sorted(documents))
            words = Query.boolean_query(
                [(Occur.Must, words), (Occur.Must, Query.const_score_query(these, 0.0))]
            )
        elif documents is not None:
            whole = allowed is not None and len(documents) == len(allowed.known)
            inside = allowed.known if allowed is not None and whole else set(documents)
        # tantivy orders equal scores by its own addresses, which merges change. So a few more are
        # asked for, and twice as many again while the k-th place is not settled.
        limit = k + 32
        while True:
            with _tantivy_errors():
                hits = self._searcher.search(words, limit, count=False).hits
                places = [place for _, place in hits]
                scores = [float(score) for score, _ in hits]
                ids = [int(n or 0) for n in self._searcher.fast_field_values("id", places)]
                of = self._searcher.fast_field_values("document", places) if inside else ids
            keep = existing(ids)
            if inside is not None:
                keep &= {n for n, document in zip(ids, of, strict=True) if document in inside}
            found = sorted(
                ((n, score) for n, score in zip(ids, scores, strict=True) if n in keep),
                key=lambda hit: (-hit[1], hit[0]),
            )
            if len(hits) < limit or (len(found) >= k and found[k - 1][1] > scores[-1]):
                return found[:k]
            limit *= 2

    def _weights(self, terms: Sequence[str], allowed: Allowed) -> dict[str, float]:
        """For each term that `allowed` holds: its idf there, over its idf in the whole index."""
        from tantivy import Query

        with self._lock:
            known = self._counted.pop(allowed, None)
            if known is None or len(known[1]) > COUNTED_TERMS:
                inside = Query.term_set_query(self._schema, "document", allowed.ids.tolist())
                known = (Query.const_score_query(inside, 0.0), {})
            self._counted[allowed] = known
            if len(self._counted) > COUNTED:
                del self._counted[next(iter(self._counted))]
            inside, counts = known
        weights = {}
        for term in terms:
            if term not in counts:
                counts[term] = self._count(term, inside)
            everywhere = self._searcher.doc_freq(BODY, term)
            if counts[term]:
                inside_idf = _idf(counts[term], allowed.passages)
                weights[term] = inside_idf / _idf(everywhere, self._counted_as(term))
        return weights

    def _counted_as(self, term: str) -> int:
        """How many passages tantivy's idf reckons with: those deleted and not yet merged too."""
        from tantivy import Query

        if not self._reckoned:
            query = Query.term_query(self._schema, BODY, term)
            with _tantivy_errors():
                at = self._searcher.search(query, 1, count=False).hits[0][1]
                said = query.explain(self._searcher, at).to_json()
            found = re.search(r'"value":\s*([\d.]+),\s*"description":\s*"N,', said)
            self._reckoned = round(float(found[1])) if found else self._searcher.num_docs
        return self._reckoned

    def _count(self, term: str, inside: tantivy.Query) -> int:
        from tantivy import Occur, Query

        both = [(Occur.Must, Query.term_query(self._schema, BODY, term)), (Occur.Must, inside)]
        with _tantivy_errors():
            found = self._searcher.search(Query.boolean_query(both), 1, count=True)
        return int(getattr(found, "count", None) or 0)

    def all_ids(self) -> dict[int, int]:
        """Every passage in the index with its document; for `verify`."""
        from tantivy import Query

        with _tantivy_errors():
            hits = self._searcher.search(Query.all_query(), self.count + 1, count=False).hits
            places = [place for _, place in hits]
            ids = self._searcher.fast_field_values("id", places)
            of = self._searcher.fast_field_values("document", places)
        return {int(n): int(d or 0) for n, d in zip(ids, of, strict=True) if n}


def _idf(holding: int, all: int) -> float:
    """tantivy's: log(1 + (N - n + 0.5) / (n + 0.5))."""
    return math.log1p((all - holding + 0.5) / (holding + 0.5))


class LexicalIndex:
    """The index's folder, open for reading. Not safe among threads: its views are."""

    def __init__(self, folder: Path) -> None:
        """Opens and checks every file. Raises DamagedError, OSError."""
        import tantivy

        self.folder = folder
        self._inode = folder.stat().st_ino
        self._checked: dict[str, int] = {}
        self._check()
        with _tantivy_errors():
            self._index = tantivy.Index.open(str(folder))
            if self._index.schema != _schema():  # no checksum covers meta.json
                raise DamagedError("the keyword index has other fields")
            self._index.register_tokenizer(ANALYZER, analyzer())
            self._index.config_reader("manual")
            self._index.reload()
            self._view = LexicalView(self._index, self._index.searcher())

    def view(self) -> LexicalView:
        """The newest commit's view. Raises DamagedError when the folder is not the one opened."""
        if self.folder.stat().st_ino != self._inode:
            raise DamagedError("the keyword index was built again")
        meta = (self.folder / "meta.json").stat()
        name = (meta.st_ino, meta.st_mtime_ns, meta.st_size)
        if name != self._meta:
            self._check()
            with _tantivy_errors():
                self._index.reload()
                self._view = LexicalView(self._index, self._index.searcher())
        return self._view

    def _check(self) -> None:
        meta = (self.folder / "meta.json").stat()
        self._meta = (meta.st_ino, meta.st_mtime_ns, meta.st_size)
        self._checked = check_files(self.folder, self._checked)

    def seal(self) -> None:
        """Notes the checksums of the live files: a sound file of another index is damage too."""
        new = self.folder / f"{SEAL}.new"
        new.write_text(json.dumps(self._checked))
        os.replace(new, self.folder / SEAL)

    def writer(self, *, bulk: bool) -> LexicalWriter:
        """A writer; the caller holds the workspace's lock."""
        remove_unborn(self.folder)
        with _tantivy_errors():
            return LexicalWriter(self._index, bulk=bulk)


class LexicalWriter:
    """Changes the index. One commit makes all of it visible."""

    def __init__(self, index: tantivy.Index, *, bulk: bool) -> None:
        heap = 96_000_000 if bulk else 15_000_000
        self._writer = index.writer(heap_size=heap, num_threads=1)

    def remove(self, document: int) -> None:
        """Takes a document's passages out."""
        self._writer.delete_documents_by_term("document", document)

    def add(self, passages: Iterable[tuple[int, int, str, str]]) -> None:
        """Adds passages: id, document, heading, text."""
        from tantivy import Document

        with _tantivy_errors():
            for number, document, heading, text in passages:
                self._writer.add_document(
                    Document(id=number, document=document, body=embedded_text(heading, text))
                )

    def finish(self, stamp: Stamp, count: int) -> None:
        """Commits, so that the index holds `count` passages as of `stamp`."""
        from tantivy import Document

        with _tantivy_errors():
            self._writer.delete_documents_by_term("id", 0)
            self._writer.add_document(
                Document(
                    id=0,
                    document=0,
                    number=stamp[0],
                    token=stamp[1],
                    passages=count,
                    format=FORMAT,
                    body="",
                )
            )
            self._writer.commit()

    def abandon(self) -> None:
        """Drops what was not committed, and tantivy's lock with it, now: a traceback keeps self."""
        del self._writer

    def close(self) -> None:
        """Waits for merges: nothing may change the folder once the lock is given back."""
        with _tantivy_errors():
            self._writer.wait_merging_threads()


def build(
    folder: Path, passages: Iterable[tuple[int, int, str, str]], stamp: Stamp, count: int
) -> None:
    """Writes a new index beside `folder` and puts it in its place. Raises OSError."""
    import tantivy

    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        with _tantivy_errors():
            index = tantivy.Index(_schema(), str(new))
            index.register_tokenizer(ANALYZER, analyzer())
            writer = LexicalWriter(index, bulk=count > 1000)
        try:
            writer.add(passages)
            writer.finish(stamp, count)
        except BaseException:
            writer.abandon()
            raise
        writer.close()
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():  # something in the way that is not a folder
            folder.unlink()
        os.rename(new, folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
