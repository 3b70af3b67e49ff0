"""What `ragtune status` shows: what is in a workspace, what could not be read, with what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ragtune import config
from ragtune.config import Settings
from ragtune.store.embedded import EmbeddedStore
from ragtune.types import DocumentInfo

# What a file that holds documents is called, by the type of its own entry. It has no text itself.
CONTAINERS = {"zip": "archive", "database": "database"}
PACKAGES = ("ragtune", "onnxruntime", "tantivy", "xllamacpp", "pypdfium2")


@dataclass(frozen=True, slots=True)
class Status:
    """What `ragtune status` shows; sizes in bytes.

    `documents` are those that can be read; `containers` counts apart what only holds some of them.
    """

    workspace: str
    documents: int
    containers: dict[str, int]
    quarantined: int
    passages: int
    sources: tuple[str, ...]
    errors: tuple[DocumentInfo, ...]
    sizes: dict[str, int]
    embedder: str
    generator: str
    answer: str
    threshold: float
    current: bool  # whether the index equals the folders, as far as a quick look tells
    versions: dict[str, str]


def status(root: Path, settings: Settings, store: EmbeddedStore, current: bool) -> Status:
    """The state of the workspace in `root`; `current` as found by a look at the folders."""
    infos = store.documents(None)
    errors = tuple(i for i in infos if i.state == "quarantined")
    folder = root / config.DATA_FOLDER
    sizes = {str(p.relative_to(folder)): _size(p) for p in sorted(folder.glob("*")) if p.exists()}
    return Status(
        workspace=str(root),
        documents=len(readable(infos)),
        containers=containers(infos),
        quarantined=len(errors),
        passages=sum(i.passages for i in infos),
        sources=tuple(source.uri for source in store.sources()),
        errors=errors,
        sizes=sizes,
        embedder=settings.embedder,
        generator=f"{settings.generator}: {settings.model}",
        answer=settings.answer,
        threshold=settings.threshold,
        current=current,
        versions={name: version(name) for name in PACKAGES},
    )


def readable(infos: Sequence[DocumentInfo]) -> list[DocumentInfo]:
    """The documents that a person can read: no archive or database, only what is in it."""
    return [i for i in infos if i.state == "indexed" and i.type not in CONTAINERS]


def containers(infos: Sequence[DocumentInfo]) -> dict[str, int]:
    """How many archives and databases hold some of the documents: {"archive": 1}."""
    return dict(Counter(CONTAINERS[i.type] for i in infos if not i.error and i.type in CONTAINERS))


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size
