"""Keeps the index equal to its sources all the time, from file events.

Events only say where to look; what changed is found as in any sync. So an event that is lost or
doubled does no harm: a whole sync at the start and every ten minutes catches up.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from ragtune.config import DATA_FOLDER, Settings
from ragtune.errors import RagtuneError
from ragtune.ingest import sql
from ragtune.ingest.files import database_stat
from ragtune.ingest.plan import stored_sources
from ragtune.ingest.scan import Rules, touches
from ragtune.ingest.sources import Source, path_of
from ragtune.ingest.sync import SyncReport, sync
from ragtune.protocols import Embedder
from ragtune.store import EmbeddedStore
from ragtune.types import OnProgress, Progress

log = logging.getLogger("ragtune")

DEBOUNCE_MS = 100  # events that come within this time are one change
SAFETY_SECONDS = 600.0  # between whole syncs, which also ask databases that are no files
POLL_SECONDS = 1.0  # between looks at added databases, and for sources that come back
_SIDE_FILE = re.compile(r"-(?:wal|shm|journal)\Z")


class _Folder(NamedTuple):
    path: str
    inode: int
    deep: bool  # with all below it


def watch(
    store: EmbeddedStore,
    embedder: Embedder,
    settings: Settings,
    root: Path,
    stop: threading.Event,
    on_report: Callable[[SyncReport], None],
    on_progress: OnProgress | None = None,
    *,
    on_wait: Callable[[str], None] | None = None,
    safety_seconds: float = SAFETY_SECONDS,
) -> None:
    """Syncs until `stop` is set; `on_report` gets each sync that did or failed something.

    The first report is of the sync at the start, always. Sources that are added meanwhile, also by
    another process, are watched within seconds. What cannot be read is in the reports; errors of
    the workspace itself, as a full disk, are logged, and the next try comes with the next change.
    """
    top = os.path.realpath(root)
    events: queue.SimpleQueue[set[str]] = queue.SimpleQueue()
    watcher = _Watcher(top, events)
    databases = _Databases(top)
    rules = Rules.of(top, settings)

    def progress(step: Progress) -> None:
        if stop.is_set():
            raise _StoppedError
        if on_progress is not None:
            on_progress(step)

    def run(only: Iterable[str] | None, *, always: bool = False) -> None:
        try:
            paths = None if only is None else [Path(path) for path in sorted(only)]
            report = sync(store, embedder, settings, root, progress, only=paths, on_wait=on_wait)
        except (RagtuneError, OSError) as error:
            log.warning("sync failed, will be tried again: %s", error)
            return
        if always or not report.nothing:
            on_report(report)

    sources = stored_sources(store)
    watcher.follow(sources)  # before the sync: nothing falls in between
    try:
        databases.changed(sources)
        run(None, always=True)
        looked = whole = time.monotonic()
        while not stop.is_set():
            paths = _next(events)
            now = time.monotonic()
            if watcher.lost(paths) or now - looked > POLL_SECONDS:
                looked = now
                sources = stored_sources(store)
                paths |= watcher.follow(sources) | databases.changed(sources)
            if now - whole > safety_seconds:
                whole = now
                run(None)
            elif paths := {p for p in paths if any(_about(s, p, rules) for s in sources)}:
                run(paths)
    except _StoppedError:
        pass
    finally:
        watcher.close()


class _StoppedError(Exception):
    """Raised out of a sync under way: what it has stored is whole."""


def _next(events: queue.SimpleQueue[set[str]]) -> set[str]:
    """What the events of the next tenth of a second are about."""
    paths: set[str] = set()
    try:
        paths |= events.get(timeout=0.1)
        while True:
            paths |= events.get_nowait()
    except queue.Empty:
        return paths


def _about(source: Source, path: str, rules: Rules) -> bool:
    """Whether an event at `path` can mean a change of `source`; not within `.git`, for one."""
    if source.kind == "sql":
        return path == sql.source_file(source, rules.root)
    top = path_of(source.spec, rules.root).rstrip("/")
    inside = source.kind == "path" and path.startswith(top + "/")
    return touches(source, path, rules.root) and (
        not inside or rules.visible(path[len(top) + 1 :], source.spec)
    )


class _Databases:
    """Looks whether files of databases that were added by URL have changed."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._stats: dict[str, object] = {}

    def changed(self, sources: Iterable[Source]) -> set[str]:
        """The paths of those that differ from the last look."""
        now: dict[str, object] = {}
        for source in sources:
            path = sql.source_file(source, self._root) if source.kind == "sql" else None
            if path is not None:
                try:
                    now[path] = database_stat(path)
                except OSError:
                    now[path] = None
        before, self._stats = self._stats, now
        return {path for path in now.keys() | before.keys() if now.get(path) != before.get(path)}


class _Watcher:
    """Threads that hand file events of the sources to a queue, as sets of paths."""

    def __init__(self, root: str, events: queue.SimpleQueue[set[str]]) -> None:
        self._own = os.path.join(root, DATA_FOLDER)
        self._root = root
        self._events = events
        self._watched: frozenset[_Folder] = frozenset()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def follow(self, sources: Iterable[Source]) -> set[str]:
        """Watches these sources from now on; what came or went since the last time.

        A file is watched through its folder: editors put a new file in its place. A folder that
        was deleted and made again is another folder: see `lost`.
        """
        folders: set[_Folder] = set()
        for source in sources:
            if source.kind == "sql":
                continue
            path = path_of(source.top, self._root)
            try:
                deep = os.path.isdir(path)
                path = os.path.realpath(path if deep else os.path.dirname(path))
                folders.add(_Folder(path, os.stat(path).st_ino, deep))
            except OSError:
                continue  # not there now; `POLL_SECONDS` later it may be
        changed = {folder.path for folder in folders ^ self._watched}
        if changed or not folders:
            before, self._threads, stop = self._threads, [], self._stop
            self._watched, self._stop = frozenset(folders), threading.Event()
            for deep in (True, False):
                self._start({f.path for f in folders if f.deep == deep}, deep)
            stop.set()  # the old ones only now, so that no event falls in between
            for thread in before:
                thread.join()
        return changed

    def lost(self, paths: Iterable[str]) -> bool:
        """Whether a watched folder itself came, went or moved: then `follow` watches all anew.

        The next folder of that name may even get the same inode.
        """
        tops = {folder.path for folder in self._watched}
        if tops.isdisjoint(paths):
            return False
        self._watched = frozenset()
        return True

    def _start(self, paths: set[str], deep: bool) -> None:
        # Folders inside others are watched with them; each once.
        tops = [p for p in paths if not any(p.startswith(f"{o.rstrip('/')}/") for o in paths)]
        tops = tops if deep else list(paths)
        if not tops:
            return
        ready = threading.Event()
        arguments = (tops, deep, self._stop, ready)
        thread = threading.Thread(target=self._run, args=arguments, daemon=True, name="watch")
        self._threads.append(thread)
        thread.start()
        ready.wait(10)

    def close(self) -> None:
        """Ends the threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _wanted(self, _: object, path: str) -> bool:
        return not (path == self._own or path.startswith(self._own + "/"))

    def _run(
        self, tops: list[str], deep: bool, stop: threading.Event, ready: threading.Event
    ) -> None:
        from watchfiles import watch as watch_files

        try:
            for changes in watch_files(
                *tops,
                watch_filter=self._wanted,
                debounce=DEBOUNCE_MS,
                step=30,
                stop_event=stop,
                rust_timeout=100,
                yield_on_timeout=True,  # the first one says that the watching has begun
                raise_interrupt=False,
                recursive=deep,
                ignore_permission_denied=True,
            ):
                ready.set()
                if changes:
                    self._events.put({_SIDE_FILE.sub("", path) for _, path in changes})
        except (OSError, RuntimeError) as error:  # as too many folders for inotify's limit
            log.warning("no file events, looking every ten minutes only: %s", error)
        finally:
            ready.set()
