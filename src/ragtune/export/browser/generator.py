"""The optional generator in the page: wllama with the workspace's language model as GGUF.

The base goes as it is served here; a tuned model in use is merged into it (q8_0, twice as fast in
WebAssembly as q4_1) and compared with what was trained, as `ragtune export gguf` does.
"""

from __future__ import annotations

import hashlib
import shutil
import zlib
from pathlib import Path
from typing import Any

from ragtune.config import Settings
from ragtune.errors import ConfigError
from ragtune.export.browser import vendor
from ragtune.protocols import System
from ragtune.types import OnProgress, Progress

LARGEST = 2_000_000_000  # bytes: what a page's memory and cache can hold


def write(
    folder: Path,
    system: System,
    settings: Settings,
    adapter: str | None,
    on_progress: OnProgress | None,
) -> dict[str, Any]:
    """Puts model and library into `folder`; what the manifest says of them.

    Raises ConfigError for a generator that is no file here or too large, WeightsError where the
    library cannot be obtained, TuneError for a tuned model that cannot be merged.
    """
    from ragtune.models import generate

    if settings.generator != "embedded":
        raise ConfigError('the page runs a GGUF file: --generator needs generator = "embedded"')
    library = vendor.obtain(vendor.WLLAMA, on_progress)
    base = generate.base_file(settings, on_progress)
    tuned = system.adapters[adapter] if adapter else None
    place = folder / "generator"
    place.mkdir()
    model = place / "model.gguf"
    if tuned is None:
        if base.stat().st_size > LARGEST:
            raise ConfigError(f"{base.name} is too large for a page: at most 2 GB")
        shutil.copyfile(base, model)
    else:
        _merge(base, Path(tuned.path), tuned.name, model, settings.threads, on_progress)
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    raw = (library / "esm/wasm/wllama.wasm").read_bytes()
    (place / "wllama.bin").write_bytes(packed.compress(raw) + packed.flush())
    (folder / "vendor").mkdir(exist_ok=True)
    (folder / "vendor/wllama.js").write_bytes(vendor.script(library / "esm/index.min.js"))
    return {
        **_named(model),
        "name": adapter or Path(settings.model).name,
        "wasm": _named(place / "wllama.bin"),
        "sentences": (tuned.sentences if tuned else 0) or settings.evidence_sentences,
        "fixed": tuned.fixed if tuned else (),
        "max_tokens": settings.max_tokens,
        "context": min(settings.context_tokens, 2048),
    }


def _merge(
    base_file: Path,
    adapter_file: Path,
    name: str,
    target: Path,
    threads: int,
    on_progress: OnProgress | None,
) -> None:
    """Writes the merged model, behind the parity gate."""
    from ragtune.models import adapters
    from ragtune.tune import convert, merge, parity
    from ragtune.tune.export import PARITY

    if on_progress is not None:
        on_progress(Progress("generator", 0, 2, name))
    base = convert.read_base(base_file)
    merge.write_gguf(base, convert.read_adapter(adapter_file, base), target, "q8_0", name)
    if on_progress is not None:
        on_progress(Progress("generator", 1, 2, "compare"))
    trained = parity.read_reference(adapter_file.parent / PARITY)
    effect = float(adapters.read_passport(adapter_file.parent).parity.get("effect", 0.0))
    parity.gate(parity.measure(trained, target, effect=effect, threads=threads), "q8_0")


def _named(path: Path) -> dict[str, Any]:
    """The file under a name with its hash, which never goes stale in a cache."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    final = path.with_name(f"{path.stem}.{digest[:10]}{path.suffix}")
    path.rename(final)
    size = final.stat().st_size
    return {"path": f"generator/{final.name}", "bytes": size, "sha256": digest}
