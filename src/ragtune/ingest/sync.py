"""Makes the index equal to its sources: `add`, `sync`, `remove`, and the quick look `changed`.

A sync first looks (by stat alone), then applies what is gone and what was moved, so that a deleted
document stops answering at once, and only then reads what is new. Everything is stored file by
file, so whatever ends a sync, the next one goes on where it stood.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ragtune.config import Settings
from ragtune.errors import DocumentError, WorkspaceError
from ragtune.ingest import sql
from ragtune.ingest.files import file_hash
from ragtune.ingest.parse import VERSION
from ragtune.ingest.plan import Index, Plan, Scope, look
from ragtune.ingest.reading import Reading
from ragtune.ingest.remove import remove
from ragtune.ingest.report import SyncReport, Tally
from ragtune.ingest.sources import Source, absolute, below, named, path_of
from ragtune.protocols import Embedder
from ragtune.store import EmbeddedStore
from ragtune.store.lock import WriteLock
from ragtune.types import OnProgress

__all__ = ["SyncReport", "add", "changed", "remove", "sync"]

SYNC_LOCK = "sync.lock"
RUNNING = "another sync is running"  # the warning of one that did nothing for that reason


# ---------------------------------------------------------------- add


def add(
    paths: Sequence[str | os.PathLike[str]],
    store: EmbeddedStore,
    embedder: Embedder,
    settings: Settings,
    root: Path,
    on_progress: OnProgress | None = None,
    dry_run: bool = False,
    *,
    cwd: str | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> SyncReport:
    """Adds files, folders, globs and database URLs to the sources and reads them.

    What `remove` took out comes back, and files that could not be read are tried again. A path
    that does not exist is in the report's `failed`; the rest goes on.
    """
    begun = time.perf_counter()
    tally = Tally()
    top = os.path.realpath(root)
    with _one_sync(store, on_wait):
        scope = Scope.of(store, settings, top)
        new: list[Source] = []
        given: dict[str, str] = {}  # stored URL: as given, with its password
        for path in paths:
            try:
                source = named(os.fsdecode(path), top, cwd)
                new.append(_checked(source, scope, new, given, tally))
            except DocumentError as error:
                name = sql.masked(str(path)) if "://" in str(path) else str(path)
                tally.failed.append((name, str(error).removeprefix(f"{name}: ")))
        scope, only = _widen(store, scope, new, dry_run)
        if not new:
            return tally.report(begun)
        report = _run(
            store, embedder, settings, scope, tally, on_progress, dry_run,
            only=only, retry=lambda uri: any(below(uri, s.spec) for s in new), urls=given,
        )  # fmt: skip
    return report.report(begun)


def _checked(
    source: Source, scope: Scope, new: Sequence[Source], given: dict[str, str], tally: Tally
) -> Source:
    """A source as it is stored. Raises DocumentError for one that would mix with another."""
    if source.kind != "sql":
        return source
    spec = sql.parse_spec(source.spec, scope.rules.root)
    stored = sql.masked(source.spec)
    given[stored] = source.spec
    if stored != source.spec:
        tally.warnings.append(f"{stored}: its password is not stored; write ${{NAME}} in its place")
    others = [s.spec for s in (*scope.sources, *new) if s.kind == "sql" and s.spec != stored]
    for other in others:
        prefix = sql.parse_spec(other, scope.rules.root).prefix
        if prefix.startswith(spec.prefix) or spec.prefix.startswith(prefix):
            raise DocumentError(
                f"its rows would mix with those of {other}: "
                "add &table=NAME, or take that out first with ragtune rm"
            )
    return Source("sql", stored)


def _widen(
    store: EmbeddedStore, scope: Scope, new: Sequence[Source], dry_run: bool
) -> tuple[Scope, list[str]]:
    """The scope with the new sources, stored unless `dry_run`; and what of it is to be read."""
    top = scope.rules.root
    back = {e for e in scope.excluded for s in new if s.kind != "sql" and below(e, s.spec)}
    stays = Scope(scope.sources, scope.excluded - back, scope.rules)
    roots = [s for s in new if not _covered(s, stays)]
    sources = [*scope.sources, *(s for s in roots if s.spec not in {o.spec for o in scope.sources})]
    wider = Scope(sources, stays.excluded, scope.rules)
    if not dry_run and (roots or back):
        devices = json.loads(store.meta("devices") or "{}")
        devices.update((s.spec, s.device) for s in roots if s.device is not None)
        with store.writing():
            store.include(back)
            for source in roots:
                kind = source.kind
                if kind == "path":
                    kind_name = "folder" if os.path.isdir(path_of(source.spec, top)) else "file"
                else:
                    kind_name = kind
                store.add_source(source.spec, kind_name)
            store.set_meta("devices", json.dumps(devices))
    only: list[str] = []
    for source in new:
        spec = source.spec
        if source.kind == "sql":
            found = sql.parse_spec(spec, top)
            only.append(found.path or found.base)
        elif source.kind == "glob":
            only.append(path_of(spec[: min(spec.find(c) for c in "*?[" if c in spec)], top))
        else:
            only.append(path_of(spec, top))
    return wider, only


def _covered(source: Source, scope: Scope) -> bool:
    """Whether an added folder takes this path in already."""
    if source.kind != "path" or scope.excludes(source.spec):
        return False
    path = path_of(source.spec, scope.rules.root)
    for other in scope.sources:
        if other.kind != "path" or other.spec == source.spec or not below(source.spec, other.spec):
            continue
        inner = path[len(path_of(other.spec, scope.rules.root)) :].strip("/")
        if scope.rules.visible(inner, other.spec) and not os.path.islink(path):
            return True
    return False


# ---------------------------------------------------------------- sync


def sync(
    store: EmbeddedStore,
    embedder: Embedder,
    settings: Settings,
    root: Path,
    on_progress: OnProgress | None = None,
    dry_run: bool = False,
    only: Sequence[Path] | None = None,
    *,
    missing_ok: bool = False,
    remote: bool = True,
    wait: bool = True,
    on_wait: Callable[[str], None] | None = None,
) -> SyncReport:
    """Makes the index equal to its sources; `only` limits that to what lies at or below paths.

    A source that may be unmounted keeps its documents unless `missing_ok`. `remote` reads databases
    that are no files. Without `wait` it does nothing, with a warning, while another sync runs.
    """
    begun = time.perf_counter()
    tally = Tally()
    top = os.path.realpath(root)
    with _one_sync(store, on_wait, wait=wait) as mine:
        if not mine:
            tally.warnings.append(RUNNING)
            return tally.report(begun)
        scope = Scope.of(store, settings, top)
        paths = None if only is None else [absolute(path) for path in only]
        _run(
            store, embedder, settings, scope, tally, on_progress, dry_run,
            only=paths, missing_ok=missing_ok, remote=remote,
        )  # fmt: skip
    return tally.report(begun)


def changed(store: EmbeddedStore, settings: Settings, root: Path) -> bool:
    """Whether a sync would have something to do: by stat alone, and without remote databases."""
    scope = Scope.of(store, settings, os.path.realpath(root))
    return bool(look(Index(store.known()), scope, settings, remote=False, first=True))


@contextmanager
def _one_sync(
    store: EmbeddedStore, on_wait: Callable[[str], None] | None, wait: bool = True
) -> Iterator[bool]:
    """One sync at a time, or two would read the same files. `rm` and searches need not wait."""
    if store.read_only:
        raise WorkspaceError(f"{store.folder} cannot be written: make it writable to add or sync")
    lock = WriteLock(store.folder / SYNC_LOCK, on_wait, patience=float("inf"))
    mine = lock.acquire(wait=wait)
    try:
        yield mine
    finally:
        if mine:
            lock.release()


def _run(
    store: EmbeddedStore,
    embedder: Embedder,
    settings: Settings,
    scope: Scope,
    tally: Tally,
    on_progress: OnProgress | None,
    dry_run: bool,
    *,
    only: Sequence[str] | None = None,
    retry: Callable[[str], bool] | None = None,
    missing_ok: bool = False,
    remote: bool = True,
    urls: dict[str, str] | None = None,
) -> Tally:
    index = Index(store.known())
    plan = look(
        index, scope, settings, only=only, retry=retry, missing_ok=missing_ok, remote=remote
    )
    tally.start(plan)
    if dry_run:
        _would(plan, index, settings, tally)
        return tally
    Reading(store, embedder, settings, scope, index, plan, tally, on_progress, urls or {}).run()
    return tally


def _would(plan: Plan, index: Index, settings: Settings, tally: Tally) -> None:
    tally.added += [item.uri for item in plan.new]
    tally.moved += [(old, item.uri) for old, item in plan.moved]
    tally.deleted += [uri for uri in plan.gone if not index.is_container(uri)]
    for item in plan.changed:
        known = index.files[item.uri]
        same = file_hash(item, settings.max_file_mb) == known.sha256
        if same and known.stat.reader == VERSION:
            tally.unchanged += 1
        else:
            tally.changed.append(item.uri)
    for database in plan.databases:
        (tally.changed if database.uri in index.files else tally.added).append(database.uri)
