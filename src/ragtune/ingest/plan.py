"""What differs between the sources and the store: found by stat alone, files are not read.

Only files that may have been moved are read here, to compare their bytes with what is gone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ragtune.config import Settings
from ragtune.errors import DocumentError
from ragtune.ingest import sql
from ragtune.ingest.files import DATABASE, database_stat, file_hash, same_stat
from ragtune.ingest.scan import Rules, merge
from ragtune.ingest.sources import (
    Item,
    Missing,
    Source,
    Stat,
    Trouble,
    below,
    readable_title,
    uri_of,
)
from ragtune.store import EmbeddedStore, Known

_ROW = re.compile(r"(.*)#[^/#]*/[^/#]*=[^/#]*\Z", re.DOTALL)
_TABLE = re.compile(r"(.*)#[^/#]*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Database:
    """A SQL source that was added by its URL. `uri` is that of its own entry in the store."""

    uri: str
    source: str  # the URL as stored
    spec: sql.Spec
    stat: Stat | None = None  # of a SQLite file


@dataclass(slots=True)
class Plan:
    """What there is to do. Uris of `gone` include the members and rows of what is gone."""

    new: list[Item] = field(default_factory=list)
    changed: list[Item] = field(default_factory=list)
    moved: list[tuple[str, Item]] = field(default_factory=list)  # old uri, where it is now
    gone: list[str] = field(default_factory=list)
    databases: list[Database] = field(default_factory=list)
    forced: set[str] = field(default_factory=set)  # of `changed`: read even if the bytes are same
    unchanged: int = 0
    skipped: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.gone or self.databases or self.moved)


class Index:
    """The store's entries: one a file or SQL source, with the members and rows below each."""

    def __init__(self, known: dict[str, Known]) -> None:
        self.known = known
        self.files: dict[str, Known] = {}
        self.children: dict[str, list[str]] = {}
        for uri, entry in known.items():
            parent = self._parent(uri)
            if parent is None:
                self.files[uri] = entry
            else:
                self.children.setdefault(parent, []).append(uri)

    def _parent(self, uri: str) -> str | None:
        """The archive or database that an entry came out of; None for a file."""
        if "!/" in uri:
            return uri[: uri.index("!/")]
        if "#" not in uri:
            return None
        match = _ROW.match(uri)
        if match is None:
            return None
        # A source that names one table has an entry for that; see `Database.uri`.
        for base in (uri.rsplit("/", 1)[0], match[1]):
            found = self.known.get(base)
            if found is not None and found.sha256.startswith(DATABASE):
                return base
        return None

    def is_container(self, uri: str) -> bool:
        """Whether it is an archive's or a database's own entry, which is no document."""
        known = self.known.get(uri)
        return uri in self.children or (known is not None and known.sha256.startswith(DATABASE))

    def with_children(self, uri: str) -> list[str]:
        """The entry and what lies below it."""
        return [uri, *self.children.get(uri, ())]


class Scope:
    """The sources and exclusions of one sync, and which uris they let in."""

    def __init__(self, sources: Sequence[Source], excluded: set[str], rules: Rules) -> None:
        self.sources = sources
        self.excluded = excluded
        self.rules = rules
        self.paths = [source.spec for source in sources if source.kind == "path"]
        self.databases: list[Database] = []
        self.broken: list[tuple[str, str]] = []
        for source in sources:
            if source.kind == "sql":
                try:
                    spec = sql.parse_spec(source.spec, rules.root)
                    self.databases.append(Database(spec.prefix.rstrip("/#"), source.spec, spec))
                except DocumentError as error:
                    self.broken.append((sql.masked(source.spec), str(error)))
        # A SQLite file that was added by URL is not read a second time as a file.
        self.own_files = {
            uri_of(os.path.realpath(d.spec.path), rules.root) for d in self.databases if d.spec.path
        }

    @classmethod
    def of(cls, store: EmbeddedStore, settings: Settings, root: str) -> Scope:
        """The scope as stored."""
        return cls(stored_sources(store), store.excluded(), Rules.of(root, settings))

    def excludes(self, uri: str) -> bool:
        """Whether `ragtune rm` took this out. What was added again by name is back in."""
        if not self.excluded:
            return False
        out = max((e for e in self.excluded if below(uri, e)), key=len, default=None)
        if out is None:
            return False
        return not any(below(uri, spec) and below(spec, out) and spec != "." for spec in self.paths)


def stored_sources(store: EmbeddedStore) -> list[Source]:
    """The roots in the order of their adding, with the devices they were on."""
    devices: dict[str, int] = json.loads(store.meta("devices") or "{}")
    kinds = {"sql": "sql", "glob": "glob"}
    return [
        Source(kinds.get(s.kind, "path"), s.uri, devices.get(s.uri))  # type: ignore[arg-type]
        for s in store.sources()
    ]


def look(
    index: Index,
    scope: Scope,
    settings: Settings,
    *,
    only: Sequence[str] | None = None,
    retry: Callable[[str], bool] | None = None,
    missing_ok: bool = False,
    remote: bool = True,
    first: bool = False,
) -> Plan:
    """Compares. `only` limits it to what lies at or below these paths.

    `retry` says which quarantined files are looked at again though they are the same. `missing_ok`
    takes a source that may only be unmounted for deleted. `remote` includes databases that can
    only be asked, not looked at. `first` stops at the first difference.
    """
    plan = Plan()
    kept: list[str] = []  # nothing is known about these and what lies below
    seen: set[str] = set()
    for found in merge(scope.sources, scope.rules, only):
        if not isinstance(found, Item):
            _note(found, plan, kept, index, missing_ok)
        elif scope.excludes(found.uri):
            plan.skipped += 1
        elif found.uri not in scope.own_files:
            seen.add(found.uri)
            _compare(found, plan, index, retry)
            if first and (plan.new or plan.changed):
                return plan
    _compare_databases(plan, kept, seen, index, scope, only, remote)
    gone = [
        uri
        for uri in index.files.keys() - seen
        if not any(below(uri, top) for top in kept) and (only is None or _within(uri, only, scope))
    ]
    gone += [  # rows and members that were taken out one by one
        child
        for uri in (seen if scope.excluded else ())
        for child in index.children.get(uri, ())
        if scope.excludes(child)
    ]
    gone.sort()
    if gone and not first:
        gone = _find_moves(plan, gone, index, settings)
    plan.gone = list(dict.fromkeys(child for uri in gone for child in index.with_children(uri)))
    plan.failed += scope.broken
    return plan


def _compare(item: Item, plan: Plan, index: Index, retry: Callable[[str], bool] | None) -> None:
    known = index.files.get(item.uri)
    if known is None:
        plan.new.append(item)
        return
    stat = item.stat
    if known.sha256.startswith(DATABASE):
        try:
            stat = database_stat(item.path)
        except OSError:
            plan.changed.append(item)
            return
    if retry is not None and retry(item.uri):
        entries = index.with_children(item.uri)
        if any(index.known[uri].state == "quarantined" for uri in entries):
            plan.forced.add(item.uri)
    if same_stat(stat, known.stat) and item.uri not in plan.forced:
        plan.unchanged += 1
    else:
        plan.changed.append(item)


def _note(
    found: Trouble | Missing, plan: Plan, kept: list[str], index: Index, missing_ok: bool
) -> None:
    if isinstance(found, Missing):
        held = sum(below(uri, found.uri) for uri in index.files)
        if found.gone or missing_ok:
            plan.warnings.append(
                f"{found.uri}: {found.reason}" + (f"; {held} files" if held else "")
            )
            return
        text = f"{found.reason} Its documents are kept; to drop them: ragtune sync --prune-missing"
        plan.failed.append((found.uri, text if held else found.reason))
    else:
        plan.failed.append((found.uri, found.reason))
    kept.append(found.uri)


def _compare_databases(
    plan: Plan,
    kept: list[str],
    seen: set[str],
    index: Index,
    scope: Scope,
    only: Sequence[str] | None,
    remote: bool,
) -> None:
    for database in scope.databases:
        path = database.spec.path
        if path is None:
            seen.add(database.uri)
            if remote and (only is None or database.spec.base in only):
                plan.databases.append(database)
            continue
        if only is not None and not any(below(uri_of(path, ""), uri_of(o, "")) for o in only):
            seen.add(database.uri)
            continue
        try:
            stat = database_stat(path)
        except FileNotFoundError:
            if os.path.isdir(os.path.dirname(path)):
                continue  # gone
            plan.failed.append((database.uri, "not there: is its drive mounted?"))
            kept.append(database.uri)
            continue
        except OSError as error:
            plan.failed.append((database.uri, str(error.strerror).lower()))
            kept.append(database.uri)
            continue
        seen.add(database.uri)
        known = index.files.get(database.uri)
        if known is not None and same_stat(stat, known.stat):
            plan.unchanged += 1
        else:
            plan.databases.append(replace(database, stat=stat))


def _within(uri: str, only: Sequence[str], scope: Scope) -> bool:
    if "://" in uri:
        return any(d.uri == uri for d in scope.databases)  # not seen among those looked at: gone
    return any(below(uri, uri_of(path, scope.rules.root)) for path in only)


def _find_moves(plan: Plan, gone: list[str], index: Index, settings: Settings) -> list[str]:
    """Takes files out of `gone` whose bytes lie under another name now; what remains gone."""
    by_size: dict[int, dict[str, list[str]]] = {}
    for uri in gone:
        known = index.files.get(uri)
        if known is not None and known.sha256:
            by_size.setdefault(known.stat.size, {}).setdefault(known.sha256, []).append(uri)
    moved: set[str] = set()

    def stays(item: Item) -> bool:
        found = by_size.get(item.stat.size)
        digest = file_hash(item, settings.max_file_mb) if found else None
        known = index.files.get(item.uri)
        if not found or not digest or (known is not None and known.sha256 == digest):
            return True
        candidates = [uri for uri in found.get(digest, ()) if uri not in moved]
        if not candidates:
            return True
        name = item.uri.rsplit("/", 1)[-1]
        old = next((uri for uri in candidates if uri.rsplit("/", 1)[-1] == name), candidates[0])
        moved.add(old)
        plan.moved.append((old, item))
        return False

    plan.new = [item for item in plan.new if stays(item)]
    plan.changed = [item for item in plan.changed if stays(item)]
    return [uri for uri in gone if uri not in moved]


def reads_differently(old: str, new: str, title: str) -> bool:
    """Whether a file's text or title may depend on which of the two names it has."""
    suffixes = {os.path.splitext(uri)[1].lower() for uri in (old, new)}
    named = title == readable_title(old) and readable_title(new) != title
    return len(suffixes) > 1 or named
