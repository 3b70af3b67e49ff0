"""Sentence embeddings with ONNX Runtime: the embedded all-MiniLM-L6-v2, or any model in a folder.

Each text is run alone, without padding: a vector depends on its text only, and it is faster than
padded batches (measured). Many texts are spread over threads that share one session; ONNX Runtime
releases the GIL. Model and tokenizer load at the first use, so that a command which embeds nothing
does not pay for them.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragtune import config
from ragtune.errors import ConfigError, WeightsError, said
from ragtune.models import minilm, runtime, weights
from ragtune.types import OnProgress, Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragtune.types import Vectors

Variant = Literal["int8", "fp32"]
_CONFIG = "ragtune.json"  # optional, beside a user's model.onnx
_CONFIG_KEYS = {"max_tokens", "pooling", "prefix"}


@dataclass(frozen=True, slots=True)
class Pooling:
    """How a model in a folder is used: `ragtune.json` beside it, these defaults without it.

    `mode` (key "pooling") is "mean" or "cls"; a model with an output of rank 2 pools by itself.
    `prefix` is put in front of every text, as some models ask for.
    """

    max_tokens: int = 256
    mode: Literal["mean", "cls"] = "mean"
    prefix: str = ""


class OnnxEmbedder:
    """An embedding model in ONNX Runtime; `embed` is thread-safe.

    `files` gives the folder with model.onnx and tokenizer.json and is called once, at first use.
    """

    def __init__(
        self,
        name: str,
        dimensions: int,
        pooling: Pooling,
        files: Callable[[], Path],
        threads: int = 0,
    ) -> None:
        self.name = name
        self.dimensions = dimensions
        self.max_tokens = pooling.max_tokens
        self._pooling = pooling
        self._files = files
        self._threads = threads or os.cpu_count() or 1
        self._lock = threading.RLock()
        self._tokenizer: Any = None
        self._model: _Model | None = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit rows, float32, shape (len(texts), dimensions); texts are cut at `max_tokens`.

        Raises WeightsError where the model cannot be obtained or loaded.
        """
        import numpy as np

        model, tokenizer = self._ready()

        def one(text: str) -> Vectors:
            ids = self._encode(tokenizer, text).ids
            return model.embedding(np.array([ids], np.int64), self._pooling.mode)

        if len(texts) < 2 or self._threads == 1:
            rows = [one(text) for text in texts]
        else:
            from concurrent.futures import ThreadPoolExecutor

            # A pool a call: starting it costs 0.1 ms, and none is left over to break a fork.
            with ThreadPoolExecutor(min(self._threads, len(texts))) as pool:
                rows = list(pool.map(one, texts))
        if not rows:
            return np.empty((0, self.dimensions), np.float32)
        return np.stack(rows)

    def embed_tokens(self, text: str) -> tuple[Vectors, list[tuple[int, int]]]:
        """One vector a token (not unit length), shape (tokens, dimensions), and its span in `text`.

        Special tokens are left out; so is what does not fit the window. Raises ConfigError for a
        model that has no token vectors.
        """
        import numpy as np

        model, tokenizer = self._ready()
        encoding = self._encode(tokenizer, text)
        vectors = model.tokens(np.array([encoding.ids], np.int64))
        shift = len(self._pooling.prefix)
        kept = [
            index
            for index, special in enumerate(encoding.special_tokens_mask)
            if not special and encoding.offsets[index][0] >= shift
        ]
        spans = [encoding.offsets[index] for index in kept]
        return vectors[kept], [(start - shift, end - shift) for start, end in spans]

    def count_tokens(self, text: str) -> int:
        """How many tokens of the window `text` takes, without special tokens and uncut."""
        return len(_tokenize(self._tokenizer_only(), text))

    def _tokenizer_only(self) -> Any:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = runtime.tokenizer(self._files() / "tokenizer.json")
            return self._tokenizer

    def _ready(self) -> tuple[_Model, Any]:
        if self._model is None:
            with self._lock:
                tokenizer = self._tokenizer_only()
                if self._model is None:
                    self._model = _Model(self._files() / "model.onnx")
                return self._model, tokenizer
        return self._model, self._tokenizer

    def _encode(self, tokenizer: Any, text: str) -> Any:
        """The encoding with special tokens, cut so that all of it fits the window."""
        encoding = _tokenize(tokenizer, self._pooling.prefix + text)
        encoding.truncate(self.max_tokens - tokenizer.num_special_tokens_to_add(False))
        return tokenizer.post_process(encoding)


class _Model:
    """A session with what is needed to feed it and to read it."""

    def __init__(self, path: Path) -> None:
        optimised = (path.parent / _OPTIMISED).exists()
        self._session = runtime.session(path, optimised=optimised)
        self._inputs = [value.name for value in self._session.get_inputs()]
        unknown = set(self._inputs) - set(runtime.INPUTS)
        if unknown:
            raise WeightsError(f"{path}: not a text embedding model: inputs {sorted(unknown)}")
        ranks = {value.name: len(value.shape) for value in self._session.get_outputs()}
        self._pooled = next((name for name, rank in ranks.items() if rank == 2), None)
        self._hidden = next((name for name, rank in ranks.items() if rank == 3), None)
        if self._pooled is None and self._hidden is None:
            raise WeightsError(f"{path}: not a text embedding model: no output of rank 2 or 3")

    def embedding(self, ids: NDArray[np.int64], mode: Literal["mean", "cls"]) -> Vectors:
        """The unit vector of one text, shape (dimensions,), from token ids (1, tokens)."""
        import numpy as np

        if self._pooled is not None:
            vector = self._run(self._pooled, ids)[0]
        else:
            hidden = self.tokens(ids)
            vector = hidden[0] if mode == "cls" else hidden.mean(axis=0)
        length = float(np.linalg.norm(vector)) or 1.0
        return np.asarray(vector / np.float32(length), np.float32)

    def tokens(self, ids: NDArray[np.int64]) -> Vectors:
        """The vectors of one text's tokens, shape (tokens, dimensions)."""
        if self._hidden is None:
            raise ConfigError("this embedding model has no output with token vectors")
        hidden: Vectors = self._run(self._hidden, ids)[0]
        return hidden

    def _run(self, output: str, ids: NDArray[np.int64]) -> Vectors:
        import numpy as np

        feeds = {"input_ids": ids}
        if "attention_mask" in self._inputs:
            feeds["attention_mask"] = np.ones_like(ids)
        if "token_type_ids" in self._inputs:
            feeds["token_type_ids"] = np.zeros_like(ids)
        result: Vectors = self._session.run([output], feeds)[0]
        return result


def _tokenize(tokenizer: Any, text: str) -> Any:
    try:
        return tokenizer.encode(text, add_special_tokens=False)
    except (UnicodeEncodeError, TypeError):  # lone surrogates, from damaged sources
        whole = text.encode("utf-8", "replace").decode("utf-8")  # '?' for each: offsets stay
        return tokenizer.encode(whole, add_special_tokens=False)


# ---------------------------------------------------------------- by setting


def load_embedder(
    settings: config.Settings, on_progress: OnProgress | None = None, variant: Variant = "int8"
) -> OnnxEmbedder:
    """The embedder that `settings.embedder` names; `variant` only concerns the embedded model.

    Raises ConfigError or WeightsError where a folder is not usable; the embedded model is obtained
    at its first use.
    """
    if settings.embedder == weights.MINILM.name:
        return OnnxEmbedder(
            f"{weights.MINILM.name}/{variant}/{minilm.GRAPH_VERSION}",
            minilm.DIMENSIONS,
            Pooling(max_tokens=minilm.MAX_TOKENS),
            lambda: built(variant, on_progress),
            settings.threads,
        )
    folder = Path(settings.embedder).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"embedder = {settings.embedder!r}: must be {weights.MINILM.name} or a folder with "
            "model.onnx and tokenizer.json"
        )
    return from_folder(folder, settings.threads)


def from_folder(folder: Path, threads: int = 0) -> OnnxEmbedder:
    """An embedder from model.onnx, tokenizer.json and, if there, ragtune.json (see `Pooling`)."""
    for name in ("model.onnx", "tokenizer.json"):
        if not (folder / name).is_file():
            raise WeightsError(f"embedder {folder}: {name} is missing")
    pooling = _pooling(folder / _CONFIG)
    name = f"{folder.name}/{_fingerprint(folder)}"
    probe = OnnxEmbedder(name, 0, pooling, lambda: folder, 1)
    dimensions = probe.embed(["size"]).shape[1]
    return OnnxEmbedder(name, dimensions, pooling, lambda: folder, threads)


def _pooling(path: Path) -> Pooling:
    if not path.exists():
        return Pooling()
    try:
        values = json.loads(path.read_text("utf-8"))
        unknown = set(values) - _CONFIG_KEYS
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: not a JSON object: {error}") from None
    if unknown:
        raise ConfigError(
            f"{path}: unknown key {sorted(unknown)[0]!r}; keys are "
            + ", ".join(sorted(_CONFIG_KEYS))
        )
    pooling = Pooling(
        values.get("max_tokens", 256), values.get("pooling", "mean"), values.get("prefix", "")
    )
    if not isinstance(pooling.max_tokens, int) or pooling.max_tokens < 8:
        raise ConfigError(f"{path}: max_tokens must be a whole number, at least 8")
    if pooling.mode not in ("mean", "cls") or not isinstance(pooling.prefix, str):
        raise ConfigError(f"{path}: pooling must be mean or cls, prefix a text")
    return pooling


def _fingerprint(folder: Path) -> str:
    """Twelve digits that change with the model's files: sizes and 64 samples of each."""
    digest = hashlib.sha256()
    # External data of large models lies beside model.onnx under names that start alike.
    for path in sorted([*folder.glob("model.onnx*"), folder / "tokenizer.json", folder / _CONFIG]):
        if not path.is_file():
            continue
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as stream:
            for position in sorted({size * part // 64 for part in range(64)}):
                stream.seek(position)
                digest.update(stream.read(1 << 16))
    return digest.hexdigest()[:12]


# ---------------------------------------------------------------- the built model

_OPTIMISED = "optimised"  # marks folders whose model.onnx is already fused; holds its size


def built(variant: Variant = "int8", on_progress: OnProgress | None = None) -> Path:
    """The folder with the embedded model's ONNX file and tokenizer, built at the first call."""
    return build_folder(
        _folder_name(variant), lambda source, made: minilm.write(source, made, variant), on_progress
    )


def build_folder(
    name: str, write: Callable[[Path, Path], Path], on_progress: OnProgress | None = None
) -> Path:
    """The cached folder `name` with model.onnx and tokenizer.json, made where it is not whole.

    `write` gets MiniLM's folder and a new one, and builds model.onnx there. The file is optimised
    by the installed ONNX Runtime, so its version is part of the name. Two processes may build at
    once: each in its own folder, and the first rename wins.
    """
    folder = config.home() / "models" / name
    if _whole(folder):
        return folder
    import shutil
    import tempfile

    source = weights.obtain(weights.MINILM.name, on_progress)
    if on_progress is not None:
        on_progress(Progress("build", 0, 1, name))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".build-", dir=folder.parent) as temporary:
            made = Path(temporary) / folder.name
            made.mkdir()
            model = write(source, made)
            shutil.copyfile(source / "tokenizer.json", made / "tokenizer.json")
            (made / _OPTIMISED).write_text(str(model.stat().st_size), "utf-8")
            for path in made.iterdir():
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
            if folder.exists() and not _whole(folder):
                folder.rename(Path(temporary) / "damaged")
            if not folder.exists():
                made.rename(folder)
    except OSError as error:
        if not _whole(folder):  # otherwise another process was faster
            raise WeightsError(f"cannot build {name} in {folder.parent}: {said(error)}") from None
    if on_progress is not None:
        on_progress(Progress("build", 1, 1, name))
    return folder


def _folder_name(variant: str) -> str:
    import onnxruntime

    runtime = f"onnxruntime-{onnxruntime.__version__}"
    return f"{weights.MINILM.name}-{variant}-{minilm.GRAPH_VERSION}-{runtime}"


def _whole(folder: Path) -> bool:
    try:
        size = int((folder / _OPTIMISED).read_text("utf-8"))
        return (folder / "model.onnx").stat().st_size == size and (
            folder / "tokenizer.json"
        ).is_file()
    except (OSError, ValueError):
        return False
