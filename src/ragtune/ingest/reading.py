"""Carries out a plan: deletes and moves first, then files through the readers, then databases."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
import time
from collections.abc import Iterator, Sequence

from ragtune.config import Settings
from ragtune.errors import DocumentError
from ragtune.ingest import sql
from ragtune.ingest.files import DATABASE, Content, GoneError, file_stat, read_file
from ragtune.ingest.indexer import Indexer
from ragtune.ingest.parse import Failed, Parsed
from ragtune.ingest.parse.base import stem
from ragtune.ingest.plan import Database, Index, Plan, Scope, reads_differently
from ragtune.ingest.report import Tally
from ragtune.ingest.sandbox import Readers
from ragtune.ingest.sandbox import Source as Work
from ragtune.ingest.sources import Item, below, readable_title, reason
from ragtune.protocols import Embedder
from ragtune.store import EmbeddedStore, FileStat
from ragtune.types import Document, OnProgress, SourceMap

SPLIT_VERSION = 1  # raise it when passages of unchanged documents would come out different
UNFINISHED = FileStat()  # of an archive or database whose parts are not all stored yet


class Reading:
    """One run over a plan. `urls` are database URLs with the passwords that are not stored."""

    def __init__(
        self,
        store: EmbeddedStore,
        embedder: Embedder,
        settings: Settings,
        scope: Scope,
        index: Index,
        plan: Plan,
        tally: Tally,
        on_progress: OnProgress | None,
        urls: dict[str, str],
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._settings = settings
        self._scope = scope
        self._index = index
        self._plan = plan
        self._tally = tally
        self._urls = urls
        self._moved: set[str] = set()  # where files are now that were moved
        self._indexer = Indexer(store, embedder, settings, self._allowed, on_progress)

    def run(self) -> None:
        """Does it all. Whatever ends it leaves what was stored whole."""
        other = self._is_other_embedder()
        try:
            with self._indexer as indexer:
                self._delete(self._plan.gone)
                self._move()
                indexer.total = sum(map(len, (self._plan.new, self._plan.changed)))
                indexer.total += len(self._plan.databases)
                if other:
                    self._make_again()
                if self._plan.new or self._plan.changed:
                    self._files(sorted(self._plan.new + self._plan.changed))
                for database in self._plan.databases:
                    self._added_database(database)
        finally:
            self._tally.embedded += self._indexer.embedded
            self._tally.reused += self._indexer.reused
        made = self._made_with()
        if self._store.meta("made_with") != made:
            self._store.set_meta("made_with", made)

    # ------------------------------------------------------------ the embedder

    def _made_with(self) -> str:
        e = self._embedder
        return f"{e.name} {e.dimensions} {self._settings.passage_tokens} {SPLIT_VERSION}"

    def _is_other_embedder(self) -> bool:
        """Whether stored passages or vectors are not what these settings give."""
        before = self._store.meta("made_with")
        self._store.set_embedder(self._embedder.name, self._embedder.dimensions)
        return before not in (None, self._made_with())

    def _make_again(self) -> None:
        """Splits and embeds every document once more from its stored text, keeping its id."""
        known = self._index.known
        uris = sorted(uri for uri, entry in known.items() if entry.state == "indexed")
        self._indexer.total += len(uris)
        for uri in uris:
            document = self._store.get(uri)
            if document is not None:
                self._indexer.put(document, known[uri].stat, None)

    def _allowed(self, uris: Sequence[str]) -> set[str]:
        """Those that no `ragtune rm` has taken out since the plan was made."""
        now = {source.uri for source in self._store.sources()}
        excluded = self._store.excluded()
        ours = {source.spec for source in self._scope.sources}
        if excluded == self._scope.excluded and ours <= now:
            return set(uris)
        left = [source for source in self._scope.sources if source.spec in now]
        scope = Scope(left, excluded, self._scope.rules)
        globs = any(source.kind == "glob" for source in left)
        return {
            uri
            for uri in uris
            if not scope.excludes(uri)
            and (
                globs
                or any(below(uri, spec) for spec in scope.paths)
                or any(below(uri, database.uri) for database in scope.databases)
            )
        }

    # ------------------------------------------------------------ gone and moved

    def _delete(self, uris: Sequence[str]) -> None:
        if not uris:
            return
        work = self._plan.new or self._plan.changed or self._plan.databases
        with self._store.writing():
            if work:  # their texts may turn up in what is to be read
                self._indexer.rescue(uris)
            self._store.delete(uris)
        self._tally.deleted += [uri for uri in uris if not self._index.is_container(uri)]

    def _move(self) -> None:
        if not self._plan.moved:
            return
        index = self._index
        with self._store.writing():
            for old, item in self._plan.moved:
                info = self._store.info(old)
                was = index.files[old].sha256
                entries = index.with_children(old)
                now = [item.uri + uri[len(old) :] for uri in entries]
                self._store.delete(
                    [uri for uri in index.children.get(item.uri, ()) if uri not in now]
                )
                for before, to in zip(entries, now, strict=True):
                    self._store.rename(before, to)
                self._note_move(old, item.uri, entries, now)
                title = info.title if info is not None else ""
                if was.startswith(DATABASE) or reads_differently(old, item.uri, title):
                    self._plan.changed.append(item)
                    self._plan.forced.add(item.uri)
                else:
                    self._store.touch({item.uri: file_stat(item.stat)})

    def _note_move(self, old: str, new: str, entries: Sequence[str], now: Sequence[str]) -> None:
        """Brings our picture of the store up to date."""
        index = self._index
        for before, to in zip(entries, now, strict=True):
            index.known[to] = index.known.pop(before)
        index.files[new] = index.files.pop(old)
        index.children.pop(old, None)
        index.children.pop(new, None)
        if len(now) > 1:
            index.children[new] = list(now[1:])
        self._moved.add(new)
        self._tally.moved.append((old, new))

    # ------------------------------------------------------------ files

    def _files(self, items: Sequence[Item]) -> None:
        databases: list[tuple[Item, Content]] = []
        with Readers(self._settings) as readers:
            for work, result in readers.map(self._to_read(items, databases), ordered=True):
                item, content = work.item
                if isinstance(result, DocumentError):
                    self._quarantine(item, content.sha256, content.stat, str(result))
                elif (
                    len(result) == 1
                    and isinstance(result[0], Parsed)
                    and (result[0].name == work.name)
                ):
                    self._one(item, content, result[0])
                else:
                    self._archive(item, content, result)
        for item, content in databases:
            self._database_file(item, content)

    def _to_read(
        self, items: Sequence[Item], databases: list[tuple[Item, Content]]
    ) -> Iterator[Work]:
        """Opens each file when a reader is free for it; what needs none is dealt with here."""
        for item in items:
            known = self._index.files.get(item.uri)
            try:
                content = read_file(item, self._settings.max_file_mb)
            except GoneError:
                if known is not None:
                    self._delete(self._index.with_children(item.uri))
                continue
            except DocumentError as error:
                self._quarantine(item, "", file_stat(item.stat), str(error))
                continue
            except OSError as error:
                self._tally.failed.append((item.uri, reason(error)))
                continue
            if content.is_database:
                databases.append((item, content))
            elif (
                known is not None
                and known.sha256 == content.sha256
                and known.stat.reader == content.stat.reader
                and item.uri not in self._plan.forced
            ):
                self._same(item.uri, content.stat)
            else:
                # "/": a member of an archive never begins with it
                yield Work("/" + item.uri, content.data, (item, content))

    def _same(self, uri: str, stat: FileStat) -> None:
        self._tally.unchanged += 1
        self._indexer.do(uri, None, lambda: self._store.touch({uri: stat}))

    def _one(self, item: Item, content: Content, parsed: Parsed) -> None:
        uri = item.uri
        self._drop_children(uri, keep=())
        document = _document(uri, parsed, content.sha256, content.stat)
        if uri not in self._moved:
            self._count(uri)
        self._tally.hides(document)
        self._indexer.put(document, content.stat, item.path)

    def _count(self, uri: str) -> None:
        known = self._index.known.get(uri)
        (self._tally.added if known is None else self._tally.changed).append(uri)

    def _quarantine(self, item: Item, sha256: str, stat: FileStat, why: str) -> None:
        uri = item.uri
        self._drop_children(uri, keep=())
        self._tally.failed.append((uri, why))
        self._indexer.do(uri, item.path, lambda: self._store.quarantine(uri, why, sha256, stat))

    def _drop_children(self, uri: str, keep: Sequence[str]) -> None:
        """Deletes members or rows that are not there any more."""
        gone = sorted(set(self._index.children.get(uri, ())).difference(keep))
        if gone:
            self._indexer.flush()
            self._delete(gone)

    # ------------------------------------------------------------ archives

    def _archive(self, item: Item, content: Content, results: Sequence[Parsed | Failed]) -> None:
        found = {f"{item.uri}!/{one.name}": one for one in results}
        members = {uri: one for uri, one in found.items() if not self._scope.excludes(uri)}
        self._tally.skipped += len(found) - len(members)
        documents = {
            uri: _document(uri, one, _parsed_hash(one), content.stat)
            for uri, one in members.items()
            if isinstance(one, Parsed)
        }
        self._move_members(item.uri, documents)
        self._drop_children(item.uri, keep=tuple(members))
        for uri, one in members.items():
            if isinstance(one, Failed):
                self._failed_member(uri, one.reason, item, content)
            else:
                self._part(documents[uri], item.path)
        self._entry(item.uri, "zip", content.sha256, content.stat, item.path)

    def _failed_member(self, uri: str, why: str, item: Item, content: Content) -> None:
        self._tally.failed.append((uri, why))
        self._indexer.do(
            uri,
            item.path,
            lambda: self._store.quarantine(uri, why, "", content.stat),
            finishes=False,
        )

    def _move_members(self, top: str, documents: dict[str, Document]) -> None:
        """A member that has another name now keeps its id and vectors."""
        known = self._index.known
        old = {known[c].sha256: c for c in self._index.children.get(top, ()) if c not in documents}
        for uri, document in documents.items():
            before = old.pop(document.sha256, None) if uri not in known else None
            if before is not None:
                self._store.rename(before, uri)
                known[uri] = known.pop(before)
                self._index.children[top].remove(before)
                self._index.children[top].append(uri)
                self._tally.moved.append((before, uri))

    def _part(self, document: Document, path: str | None) -> None:
        """A member or row: stored where it differs."""
        known = self._index.known.get(document.uri)
        if known is not None and known.state == "indexed" and known.sha256 == document.sha256:
            self._tally.unchanged += 1
            return
        self._count(document.uri)
        self._tally.hides(document)
        stat = FileStat(len(document.text.encode()))
        self._indexer.put(document, stat, path, finishes=False)

    def _entry(
        self, uri: str, type: str, sha256: str, stat: FileStat, path: str | None, last: bool = True
    ) -> None:
        """The entry of an archive or database itself, which has no text."""
        title = readable_title(uri)
        document = Document(0, uri, title, "", sha256, SourceMap(), type, stat.mtime_ns / 1e9)
        self._indexer.put(document, stat, path, finishes=last)

    # ------------------------------------------------------------ databases

    def _database_file(self, item: Item, content: Content) -> None:
        spec = sql.file_spec(item.path, item.uri)
        self._rows(item.uri, spec, content.sha256, content.stat, item.path)

    def _added_database(self, database: Database) -> None:
        given = self._urls.get(database.source)
        spec = sql.parse_spec(given, self._scope.rules.root) if given else database.spec
        stat = UNFINISHED if database.stat is None else file_stat(database.stat)
        self._rows(database.uri, spec, DATABASE, stat, spec.path)

    def _rows(
        self, uri: str, spec: sql.Spec, sha256: str, stat: FileStat, path: str | None
    ) -> None:
        """Reads the rows to a file first: a slow embedder must not hold a lock on the database."""
        known = self._index.known.get(uri)
        seen: set[str] = set()
        modified = stat.mtime_ns / 1e9 or time.time()
        with tempfile.TemporaryFile() as spool:
            try:
                for document in sql.read(
                    spec, self._settings.parse_seconds, self._settings.max_file_mb, modified
                ):
                    if self._scope.excludes(document.uri):
                        self._tally.skipped += 1
                        continue
                    seen.add(document.uri)
                    before = self._index.known.get(document.uri)
                    if before is not None and before.sha256 == document.sha256:
                        self._tally.unchanged += 1
                    else:
                        pickle.dump(document, spool)
            except sql.Unreachable as error:
                self._tally.failed.append((uri, str(error)))
                return
            except DocumentError as error:
                why = str(error)
                self._drop_children(uri, keep=())
                self._tally.failed.append((uri, why))
                self._indexer.do(
                    uri, path, lambda: self._store.quarantine(uri, why, sha256, stat, "database")
                )
                return
            self._drop_children(uri, keep=tuple(seen))
            if known is None or not known.sha256.startswith(DATABASE):
                self._entry(uri, "database", sha256, UNFINISHED, path, last=False)
            spool.seek(0)
            while True:
                try:
                    document = pickle.load(spool)  # noqa: S301  # our own, a moment ago
                except EOFError:
                    break
                self._count(document.uri)
                size = len(document.text.encode())
                self._indexer.put(document, FileStat(size), path, finishes=False)
        self._entry(uri, "database", sha256, stat, path)


def _document(uri: str, parsed: Parsed, sha256: str, stat: FileStat) -> Document:
    title = parsed.title
    if title == stem(parsed.name):
        title = readable_title(uri)
    return Document(
        id=0,
        uri=uri,
        title=title,
        text=parsed.text,
        sha256=sha256,
        map=parsed.map,
        type=parsed.type,
        modified=stat.mtime_ns / 1e9,
        tags=parsed.tags,
        left_out=parsed.left_out,
    )


def _parsed_hash(parsed: Parsed) -> str:
    """A member's hash: of what was read, as its bytes are not handed on."""
    digest = hashlib.sha256()
    parts = (parsed.type, parsed.title, *parsed.tags, parsed.text, repr(parsed.map))
    for part in (*parts, *parsed.left_out):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
