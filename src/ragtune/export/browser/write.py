"""Writes the folder: the page, its libraries, the models and the index; whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import os
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from ragtune import support
from ragtune.config import Settings
from ragtune.errors import ConfigError, WorkspaceError, said
from ragtune.export.browser import generator as written
from ragtune.export.browser import index as documents
from ragtune.export.browser import models
from ragtune.protocols import System
from ragtune.types import Filter, OnProgress, Progress

FORMAT = 1
KIND = "ragtune-browser"  # of manifest.json: which folders an export may replace
MANIFEST = "manifest.json"
PAGE = ("index.html", "app.js", "view.js", "texts.js", "style.css", "icon.svg", "worker.js",
        "load.js", "writer.js", "app.webmanifest")  # fmt: skip
# Nothing in the page reaches elsewhere. wllama, the optional generator, gets its worker and its
# module as blobs: from the page itself.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'{blob}; worker-src 'self'{blob}; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)
OWN = Path(str(files("ragtune.export.browser")))


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. `download` is what a first visit fetches, without the generator."""

    path: Path
    documents: int
    passages: int
    sentences: int
    download: int  # bytes
    generator: int  # bytes, 0 without one
    parts: Mapping[str, int]  # bytes of the download by part


@dataclass(frozen=True, slots=True)
class Data:
    """One compressed file under data/: `bytes` on the wire, `size` unpacked."""

    name: str
    path: str
    bytes: int
    size: int
    sha256: str  # of the compressed file


def export(
    system: System,
    settings: Settings,
    target: Path,
    *,
    store: Any,
    title: str = "",
    where: Filter | None = None,
    examples: tuple[str, ...] = (),
    with_generator: bool = False,
    adapter: str | None = None,
    on_progress: OnProgress | None = None,
) -> Exported:
    """Writes the folder `target`; an earlier export there is replaced in one step.

    `store` is the workspace's EmbeddedStore; only documents that pass `where` are looked at.
    `examples` are questions that the page offers; `adapter` is the tuned model that writes, where
    a generator is wanted. Raises ConfigError, WeightsError where a part
    cannot be obtained, WorkspaceError where nothing was chosen or the folder cannot be written.
    """
    target = Path(os.path.abspath(target))
    _replaceable(target)
    paths = models.chosen(system, on_progress)
    made = documents.build(store, system.embedder, where, on_progress)
    if not made.documents:
        raise WorkspaceError("no document to export: see `ragtune docs`, or widen the filter")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as inside:
            new = Path(inside) / "new"
            new.mkdir()
            data = _data(new, system, settings, made, paths, on_progress)
            generator = None
            if with_generator:
                generator = written.write(new, system, settings, adapter, on_progress)
            about = {
                "title": title or "ragtune",
                "exported": datetime.now(UTC).date().isoformat(),
                "documents": made.documents,
                "passages": made.passages,
                "sentences": made.sentences,
                "examples": examples,
                "generator": generator,
            }
            shell = _page(new, about, data)
            if target.exists():
                target.rename(Path(inside) / "old")
            new.rename(target)
    except OSError as error:
        raise WorkspaceError(f"cannot write {target}: {said(error)}") from None
    parts = {d.name: d.bytes for d in data} | {"page": shell}
    return Exported(
        target, made.documents, made.passages, made.sentences, sum(parts.values()),
        generator["bytes"] + generator["wasm"]["bytes"] if generator else 0, parts,
    )  # fmt: skip


def is_export(folder: Path) -> bool:
    """Whether `folder` is what `export` writes."""
    try:
        return bool(json.loads((folder / MANIFEST).read_text("utf-8")).get("kind") == KIND)
    except (OSError, ValueError, AttributeError):
        return False


def policy(generator: bool) -> str:
    """The page's Content-Security-Policy."""
    return POLICY.format(blob=" blob:" if generator else "")


def _replaceable(target: Path) -> None:
    empty = target.is_dir() and not any(target.iterdir())
    if target.exists() and not empty and not is_export(target):
        raise ConfigError(f"{target} is there and is no earlier export: name another folder")


def _data(
    folder: Path,
    system: System,
    settings: Settings,
    made: documents.Index,
    paths: Mapping[str, Path],
    on_progress: OnProgress | None,
) -> list[Data]:
    """Writes data/: models and index, compressed and named by their content."""
    shared = models.share(paths)
    tokenizer = paths["embedder"].parent / "tokenizer.json"
    reader = system.reader if "reader" in paths else None
    content = made.content | {
        "format": FORMAT,
        "settings": _settings(system, settings),
        "max_tokens": system.embedder.max_tokens,
        "heads": models.heads(reader.delta) if reader is not None else None,  # type: ignore[attr-defined]
        "router": models.unnamed(paths["router"].parent) if "router" in paths else None,
    }
    parts: dict[str, bytes] = {
        "encoder-relaxed.wasm": (OWN / "encoder/relaxed.wasm").read_bytes(),
        "encoder-plain.wasm": (OWN / "encoder/plain.wasm").read_bytes(),
        models.WEIGHTS: shared.weights,
        "networks.json": _json(shared.networks),
        "vocabulary.json": _json(models.vocabulary(tokenizer)),
        "index.json": _json(content),
        "vectors.bin": made.vectors,
    }
    (folder / "data").mkdir()
    found = []
    for number, (name, raw) in enumerate(parts.items()):
        if on_progress is not None:
            on_progress(Progress("packing", number, len(parts), name))
        packed = _packed(raw, numbers=name.endswith(".bin"))
        digest = hashlib.sha256(packed).hexdigest()
        stem, _, suffix = name.rpartition(".")
        path = f"data/{stem}-{suffix}.{digest[:10]}.bin"
        (folder / path).write_bytes(packed)
        found.append(Data(name, path, len(packed), len(raw), digest))
    if on_progress is not None:
        on_progress(Progress("packing", len(parts), len(parts)))
    return found


def _packed(raw: bytes, *, numbers: bool) -> bytes:
    """gzip, the same bytes each time; quantised numbers pack best, and fastest, without matches."""
    if not numbers:
        return gzip.compress(raw, 9, mtime=0)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31, 9, zlib.Z_HUFFMAN_ONLY)
    return packer.compress(raw) + packer.flush()


def _settings(system: System, settings: Settings) -> dict[str, Any]:
    """What search and evidence read of the settings, with the threshold that is in force."""
    read = system.reader is not None
    threshold = settings.threshold
    if threshold < 0:
        threshold = system.calibration.get("threshold", support.threshold(read))
    names = ("k", "candidates", "segment_tokens", "quotes", "quote_words")
    return {name: getattr(settings, name) for name in names} | {
        "threshold": threshold,
        "support": dict(support.shipped(read)),
    }


def _page(folder: Path, about: dict[str, Any], data: list[Data]) -> int:
    """Writes page, port, libraries, manifest and service worker; bytes of a visit's share."""
    shell: list[str] = []

    def put(name: str, raw: bytes) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(raw)
        shell.append(name)

    title = html.escape(about["title"])
    for name in PAGE:
        raw = (OWN / "page" / name).read_bytes()
        if name == "index.html":
            raw = raw.replace(b"{{policy}}", policy(bool(about["generator"])).encode())
            raw = raw.replace(b"{{title}}", title.encode())
        elif name == "app.webmanifest":
            raw = raw.replace(b'"{{title}}"', _json(about["title"]))
        put(name, raw)
    for path in sorted((OWN / "js").glob("*.js")):
        put(f"js/{path.name}", path.read_bytes())
    if about["generator"]:
        shell.append("vendor/wllama.js")
    manifest = _json({
        "kind": KIND, "format": FORMAT, **about, "data": [asdict(d) for d in data],
        "shell": ["./", *shell],
    })  # fmt: skip
    (folder / MANIFEST).write_bytes(manifest)
    version = hashlib.sha256(
        manifest + b"".join((folder / name).read_bytes() for name in shell)
    ).hexdigest()
    worker = (OWN / "page" / "sw.js").read_bytes()
    (folder / "sw.js").write_bytes(worker.replace(b"{{version}}", version[:16].encode()))
    return sum((folder / name).stat().st_size for name in (*shell, MANIFEST, "sw.js"))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
