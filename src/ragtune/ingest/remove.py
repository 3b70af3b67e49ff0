"""Taking documents out, and keeping them out while their files are still there."""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Sequence
from pathlib import Path

from ragtune.config import Settings
from ragtune.errors import DocumentError
from ragtune.ingest import sql
from ragtune.ingest.plan import Index, Scope, stored_sources
from ragtune.ingest.report import SyncReport, Tally
from ragtune.ingest.scan import Rules
from ragtune.ingest.sources import absolute, below, path_of, uri_of
from ragtune.store import EmbeddedStore


def remove(
    targets: Sequence[str | os.PathLike[str]],
    store: EmbeddedStore,
    settings: Settings,
    root: Path,
    dry_run: bool = False,
    *,
    cwd: str | None = None,
) -> SyncReport:
    """Takes documents out: by uri, path, folder, glob or database URL.

    A source that is named is forgotten. What still lies in an added folder is excluded: `sync`
    leaves it out until `add` names it again. Does not wait for a running sync, which will not
    bring back what this took out.
    """
    begun = time.perf_counter()
    tally = Tally()
    top = os.path.realpath(root)
    scope = Scope.of(store, settings, top)
    index = Index(store.known())
    specs: list[str] = []
    uris: dict[str, None] = {}  # in order, each once
    for target in targets:
        text = os.fsdecode(target)
        found = _Target(text, scope, cwd)
        documents = found.documents(sorted(index.known))
        sources = found.sources(documents)
        if not sources and not documents:
            shown = sql.masked(text) if "://" in text else text
            tally.failed.append((shown, "no such document"))
        specs += sources
        uris.update(dict.fromkeys(documents))
        uris.update((uri, None) for d in documents for uri in index.children.get(d, ()))
    tally.deleted += [uri for uri in uris if not index.is_container(uri)]
    if dry_run:
        return tally.report(begun)
    with store.writing():
        for spec in specs:
            store.remove_source(spec)
        left = Scope(stored_sources(store), scope.excluded, Rules.of(top, settings))
        folders = [uri for t in targets if (uri := _folder(os.fsdecode(t), top, cwd))]
        store.exclude(_to_exclude([*folders, *uris], left))
        store.delete(list(uris))
    return tally.report(begun)


class _Target:
    """What one argument names."""

    def __init__(self, text: str, scope: Scope, cwd: str | None) -> None:
        self.text = text
        self.scope = scope
        self.names = {text}
        root = scope.rules.root
        if "://" not in text:
            self.names.add(uri_of(absolute(text, cwd), root))
            return
        try:
            stored = sql.masked(sql.stored_spec(text, root, cwd or os.getcwd(), exists=False))
            self.names |= {stored, sql.parse_spec(stored, root).prefix.rstrip("/#")}
        except DocumentError:
            pass  # a row's uri need not be a URL that could be added

    def sources(self, documents: Sequence[str]) -> list[str]:
        """The stored sources that are named, also by what is to be taken out of them."""
        out = self.names.union(documents)
        specs = [
            source.spec
            for source in self.scope.sources
            if source.spec in out
            or (source.kind != "sql" and any(below(source.spec, name) for name in self.names))
        ]
        return specs + [d.source for d in self.scope.databases if d.uri in self.names]

    def documents(self, known: Sequence[str]) -> list[str]:
        """Of the stored uris those that are named, or lie below what is named."""
        tops = self.names | {d.uri for d in self.scope.databases if d.source in self.names}
        found = [uri for uri in known if any(below(uri, top) for top in tops)]
        if not found and any(c in self.text for c in "*?["):
            found = [u for u in known if any(fnmatch.fnmatchcase(u, n) for n in self.names)]
        return found


def _folder(text: str, root: str, cwd: str | None) -> str | None:
    """The uri of a folder that was named; None for anything else, and for the workspace."""
    if "://" in text or not os.path.isdir(path := absolute(text, cwd)):
        return None
    uri = uri_of(path, root)
    return uri if uri != "." and os.path.isdir(path_of(uri, root)) else None


def _to_exclude(uris: Sequence[str], left: Scope) -> list[str]:
    """The shortest list that keeps `uris` out of the sources that are left."""
    globs = any(source.kind == "glob" for source in left.sources)
    out: list[str] = []
    for uri in uris:
        if any(below(uri, other) for other in out):
            continue  # a folder, archive or database that holds it is out
        taken_in = (
            globs
            or any(below(uri, spec) for spec in left.paths)
            or any(below(uri, database.uri) for database in left.databases)
        )
        if taken_in:
            out.append(uri)
    return out
