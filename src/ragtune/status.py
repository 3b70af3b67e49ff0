"""What `ragtune status` shows: what is in a workspace, what could not be read, with what."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ragtune import config
from ragtune.config import Settings
from ragtune.store.embedded import EmbeddedStore
from ragtune.types import DocumentInfo

PACKAGES = ("ragtune", "onnxruntime", "tantivy", "xllamacpp", "pypdfium2")


@dataclass(frozen=True, slots=True)
class Status:
    """What `ragtune status` shows; sizes in bytes."""

    workspace: str
    documents: int
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
        documents=len(infos) - len(errors),
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


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size
