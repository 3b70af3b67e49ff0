"""A workspace: a folder with `ragtune.toml` and its index; everything a program does with one.

import ragtune

workspace = ragtune.init("assistant")
workspace.add(["handbook/"])
answer = workspace.ask("How many days of leave do I get?")
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from ragtune import config
from ragtune.config import Settings
from ragtune.errors import ConfigError, DocumentError, WorkspaceError
from ragtune.protocols import System
from ragtune.types import (
    Answer,
    Citation,
    Document,
    DocumentInfo,
    Filter,
    Hit,
    OnProgress,
    Passage,
    Route,
)

if TYPE_CHECKING:  # the parts load when they are first used: `ragtune docs` needs no model
    import threading

    from ragtune.ask import Event
    from ragtune.calibrate import Calibration
    from ragtune.ingest.fresh import Freshness
    from ragtune.ingest.sync import SyncReport
    from ragtune.status import Status
    from ragtune.store.embedded import EmbeddedStore
    from ragtune.store.verify import VerifyReport


class Workspace:
    """An opened workspace. Use it as a context manager, or call `close`."""

    def __init__(
        self, root: Path, settings: Settings, on_wait: Callable[[str], None] | None = None
    ) -> None:
        self.root = root
        self.settings = settings
        self.on_wait = on_wait  # told once when another process is writing

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @cached_property
    def store(self) -> EmbeddedStore:
        """The index; opened at first use."""
        from ragtune.store.embedded import EmbeddedStore

        return EmbeddedStore(self.root / config.DATA_FOLDER, self.on_wait)

    @cached_property
    def system(self) -> System:
        """Store and models; each model loads when it is first needed."""
        from ragtune.models.adapters import Adapters
        from ragtune.models.embed import load_embedder
        from ragtune.models.generate import load_generator
        from ragtune.models.reader import FOLDER, load_reader
        from ragtune.models.rerank import load_reranker
        from ragtune.models.router import load_router

        tuned = Adapters(self.root / config.DATA_FOLDER)
        return System(
            store=self.store,
            embedder=load_embedder(self.settings),
            generator=load_generator(self.settings, None, tuned),
            reranker=load_reranker(self.settings),
            reader=load_reader(self.settings, self.root / config.DATA_FOLDER / FOLDER),
            router=load_router(self.root / config.DATA_FOLDER),
            calibration=self._calibration(),
            adapters=tuned,
        )

    @cached_property
    def freshness(self) -> Freshness:
        """What looks for changed files before a question."""
        from ragtune.ingest.fresh import Freshness

        return Freshness()

    def close(self) -> None:
        """Releases files; a later call opens them again."""
        if "store" in self.__dict__:
            self.store.close()
        for name in ("store", "system"):
            self.__dict__.pop(name, None)

    # ------------------------------------------------------------ documents

    def add(
        self,
        paths: Sequence[str | Path],
        on_progress: OnProgress | None = None,
        dry_run: bool = False,
    ) -> SyncReport:
        """Reads files, folders and database URLs into the index, and remembers them for `sync`."""
        from ragtune.ingest import sync

        return sync.add(
            [str(p) for p in paths],
            self.store,
            self.system.embedder,
            self.settings,
            self.root,
            on_progress=on_progress,
            dry_run=dry_run,
            on_wait=self.on_wait,
        )

    def sync(
        self,
        on_progress: OnProgress | None = None,
        dry_run: bool = False,
        prune_missing: bool = False,
    ) -> SyncReport:
        """Makes the index equal to what was added: new, changed, moved and deleted files.

        A source that cannot be reached (an unmounted drive) is reported and keeps its documents,
        unless `prune_missing`.
        """
        return self._sync(on_progress, dry_run, prune_missing)

    def _sync(
        self,
        on_progress: OnProgress | None = None,
        dry_run: bool = False,
        prune_missing: bool = False,
        before_question: bool = False,
    ) -> SyncReport:
        from ragtune.ingest import sync

        return sync.sync(
            self.store,
            self.system.embedder,
            self.settings,
            self.root,
            on_progress=on_progress,
            dry_run=dry_run,
            missing_ok=prune_missing,
            remote=not before_question,
            wait=not before_question,
            on_wait=self.on_wait,
        )

    def watch(self, stop: threading.Event, on_report: Callable[[SyncReport], None]) -> None:
        """Keeps the index equal to the folders until `stop` is set."""
        from ragtune.ingest.watch import watch

        watch(
            self.store,
            self.system.embedder,
            self.settings,
            self.root,
            stop,
            on_report,
            on_wait=self.on_wait,
        )

    def remove(self, documents: Sequence[str]) -> SyncReport:
        """Takes documents out of the index; `sync` does not bring them back, `add` does."""
        from ragtune.ingest.remove import remove

        names = [d if Path(d).exists() or set(d) & set("*?[:") else self._uri(d) for d in documents]
        return remove(names, self.store, self.settings, self.root)

    def refresh(self) -> SyncReport | None:
        """Before a question: takes in what changed on disk, unless `fresh` says not to look.

        Waits half a second at most for another sync, as a server's watcher makes them, and asks no
        remote database.
        """
        return self.freshness.refresh(
            self.store, self.settings, self.root, lambda: self._sync(before_question=True)
        )

    def documents(self, where: Filter | None = None) -> list[DocumentInfo]:
        """All sources with state, error and number of passages, sorted by uri."""
        return self.store.documents(where)

    def document(self, uri: str) -> Document:
        """The document of this uri (a file name is enough when it is unique)."""
        from ragtune.ingest.sources import typed

        document = self.store.get(typed(uri))
        if document is not None:
            return document
        name = self._uri(uri)  # looks through all documents
        document = self.store.get(name)
        info = None
        if document is None:
            info = self.store.info(typed(uri)) or self.store.info(name)
        if info is not None and info.error:
            raise DocumentError(f"{info.uri} could not be read: {info.error}")
        if document is None:
            raise DocumentError(f"no document {uri!r} in this workspace: see `ragtune docs`")
        return document

    def passages(self, document: Document) -> list[Passage]:
        """The passages of a document in the order of the text."""
        return self.store.passages_of(document.uri)

    # ------------------------------------------------------------ questions

    def search(self, query: str, k: int | None = None, where: Filter | None = None) -> list[Hit]:
        """The k best segments for a query."""
        from ragtune import retrieve

        self.refresh()
        return retrieve.search(query, self.system, self.settings, where, k)

    def ask(
        self,
        question: str,
        where: Filter | None = None,
        history: Sequence[str] = (),
        answer: Literal["quote", "write"] | None = None,
        model: str | None = None,
        documents: bool = True,
    ) -> Answer:
        """The verified answer to a question; see `ask_stream`."""
        for event in self.ask_stream(question, where, history, answer, model, documents):
            if isinstance(event, Answer):
                return event
        raise AssertionError("ask_stream ends with an Answer")

    def ask_stream(
        self,
        question: str,
        where: Filter | None = None,
        history: Sequence[str] = (),
        answer: Literal["quote", "write"] | None = None,
        model: str | None = None,
        documents: bool = True,
    ) -> Iterator[Event]:
        """Evidence at once, Tokens while a model writes, the Answer last.

        `answer` overrides the setting for this call. `model` names a tuned adapter, or "base";
        by default the one in use (`ragtune models use`). A tuned model writes, unless `answer` is
        "quote". Without `documents` the model answers from what it knows, uncited.
        """
        from ragtune.ask import ask_stream

        self.refresh()
        adapter = self.adapter if model is None else None if model == "base" else model
        if adapter is not None and self.settings.generator == "embedded":
            if adapter not in self.system.adapters:
                raise ConfigError(f"no tuned model {adapter!r}: see `ragtune models`")
            self.system.adapters[adapter]  # raises TuneError where it is damaged
        settings = replace(self.settings, answer=self.mode(answer, model, documents))
        system = replace(self.system, adapter=adapter)
        route = None
        if model is not None or not documents:
            route = Route("asked", documents, adapter)
        return ask_stream(question, system, settings, where, history, route)

    @property
    def adapter(self) -> str | None:
        """The tuned model in use (`ragtune models use`), None for the base."""
        from ragtune.models import adapters

        return adapters.active(self.root / config.DATA_FOLDER)

    def mode(
        self, answer: Literal["quote", "write"] | None, model: str | None, documents: bool
    ) -> Literal["quote", "write"]:
        """Whether a model writes the answer to a question that is asked with these arguments."""
        if answer is None and (model or not documents or self.adapter):
            return "write"
        return answer or self.settings.answer

    def check(self, citation: Citation) -> Literal["current", "moved", "stale"]:
        """Whether a citation given earlier still says what it said."""
        from ragtune import cite

        self.refresh()
        return cite.state(citation, self.store.get(citation.uri))

    # ------------------------------------------------------------ keeping house

    def verify(self) -> VerifyReport:
        """Proves that index, texts and vectors agree."""
        return self.store.verify()

    def status(self) -> Status:
        """What is in the workspace, what could not be read, sizes and versions."""
        from ragtune.status import status

        return status(self.root, self.settings, self.store, self._current())

    def calibrate(self, questions: Path, save: bool = True) -> Calibration:
        """Fits the declining threshold to labelled questions and keeps it in the workspace."""
        from dataclasses import asdict

        from ragtune import evidence, retrieve
        from ragtune.calibrate import calibrate, read_jsonl

        rows = read_jsonl(questions)

        def support(question: str) -> float:
            hits = retrieve.search(question, self.system, self.settings)
            return evidence.select(question, hits, self.system, self.settings).support

        self.refresh()
        result = calibrate(rows, support)
        if save:
            self.store.set_meta("calibration", json.dumps(asdict(result)))
            self.__dict__.pop("system", None)
        return result

    def _current(self) -> bool:
        """Whether a sync would find nothing to do; files that only look touched are hashed."""
        from ragtune.ingest import sync

        if not sync.changed(self.store, self.settings, self.root):
            return True
        if self.store.read_only:
            return False
        would = self.sync(dry_run=True)  # what fails is told apart, and no sync would change it
        return not (would.added or would.changed or would.moved or would.deleted)

    def _calibration(self) -> dict[str, float]:
        stored = self.store.meta("calibration")
        values = json.loads(stored) if stored else {}
        return {k: float(v) for k, v in values.items() if isinstance(v, int | float)}

    def _uri(self, name: str) -> str:
        """The uri that a user means by a path or by the end of one."""
        from ragtune.ingest.sources import typed, uri_of

        path = Path(name)
        if path.exists():
            return uri_of(str(path.resolve()), str(self.root))
        name = typed(name)
        ends = [i.uri for i in self.documents() if i.uri.endswith("/" + name) or i.uri == name]
        if len(ends) > 1:
            raise DocumentError(f"{name!r} is not unique: " + ", ".join(ends[:5]))
        return ends[0] if ends else name


def init(folder: str | Path = ".") -> Workspace:
    """Makes a workspace in `folder`; an existing one is opened unchanged."""
    root = Path(folder).resolve()
    try:
        str(root).encode()
    except UnicodeEncodeError:  # SQLite and tantivy take no other names
        raise WorkspaceError(f"{root}: a workspace's path must be UTF-8 text") from None
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / config.DATA_FOLDER).mkdir(exist_ok=True)
        path = root / config.FILE_NAME
        if not path.exists():
            path.write_text(config.template(), "utf-8")
    except OSError as error:
        raise WorkspaceError(f"cannot make a workspace in {root}: {error.strerror}") from None
    return open(root)


def open(
    folder: str | Path = ".",
    changes: dict[str, Any] | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Workspace:
    """Opens the workspace in `folder` or above it.

    `changes` overrides settings for this run; `on_wait` is told when another process is writing.
    """
    root = config.find_workspace(Path(folder))
    return Workspace(root, config.change(config.load(root), changes or {}), on_wait)
