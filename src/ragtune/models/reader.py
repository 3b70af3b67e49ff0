"""The reader: all-MiniLM-L6-v2 made to read a question and a text together (a cross-encoder).

    [CLS] question [SEP] headings [SEP] text [SEP]      types 0 … 0 1 … 1
      │                                 │
      └─ support: does the text answer  └─ start, end: with which words

It is shipped as a delta to the embedder's weights (`data/reader/delta.safetensors`): the upper
layers' changes in int8, a scale a row, and the heads. The sum of both becomes an int8 ONNX file in
the cache at first use, built as the embedder's is. A workspace's own delta takes its place.

Heads as in BERT (Devlin et al., 1810.04805): a score from the first token and the mean of all, and
the span of the best start and end.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune import config
from ragtune.errors import ConfigError, WeightsError
from ragtune.protocols import Reading
from ragtune.types import OnProgress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

GRAPH_VERSION = 1
DELTA = "delta.safetensors"
FOLDER = "reader"  # a workspace's own reader, in its data folder
MAX_TOKENS = 160
_QUESTION, _HEADINGS, _BEFORE = 48, 20, 20  # tokens of each part, at most
PHRASE = 24  # tokens of a marked phrase, at most
_CLS, _SEP = 101, 102
HEADS = ("support.first", "support.mean", "support.bias", "start", "end")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A pair as the model gets it: token ids, types (0: question and headings, 1: text).

    `first` is the first token of the text and `spans` the offsets of its tokens in its last line.
    """

    ids: tuple[int, ...]
    types: tuple[int, ...]
    first: int
    spans: tuple[tuple[int, int], ...]


def encode(tokenizer: Any, question: str, text: str) -> Encoded:
    """The pair's tokens. Of `text` the last line is read; lines before it are its headings.

    Long parts lose their beginning, the last line its end, so that all fits MAX_TOKENS.
    """
    context, _, line = text.rpartition("\n")
    headings, _, before = context.partition("\n")
    ids = [_CLS, *_ids(tokenizer, question)[-_QUESTION:], _SEP]
    ids += _ids(tokenizer, headings)[-_HEADINGS:] + _ids(tokenizer, before)[-_BEFORE:]
    ids.append(_SEP)
    read = _tokenize(tokenizer, line)
    room = MAX_TOKENS - len(ids) - 1
    spans = tuple(read.offsets[:room])
    first = len(ids)
    ids += [*read.ids[:room], _SEP]
    return Encoded(tuple(ids), (0,) * first + (1,) * (len(ids) - first), first, spans)


def feeds(pair: Encoded) -> dict[str, NDArray[Any]]:
    """The graph's inputs for one pair."""
    import numpy as np

    return {
        "input_ids": np.array([pair.ids], np.int64),
        "token_type_ids": np.array([pair.types], np.float32),
    }


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(_tokenize(tokenizer, text).ids) if text else []


def _tokenize(tokenizer: Any, text: str) -> Any:
    # Lone surrogates, from damaged sources, become one question mark each: offsets stay.
    valid = text.encode("utf-8", "replace").decode("utf-8")
    return tokenizer.encode(valid, add_special_tokens=False)


# ---------------------------------------------------------------- reading


class OnnxReader:
    """The reader in ONNX Runtime; loads at the first call, thread-safe.

    `delta` is the file with the trained difference. Pairs are run one at a time, unpadded, over
    `threads` threads (0: one a core): a reading depends on its pair only.
    """

    def __init__(self, delta: Path, threads: int = 0, on_progress: OnProgress | None = None):
        self.delta = delta
        self.name = f"reader/{_digest(delta)}"
        self._threads = threads or os.cpu_count() or 1
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any, dict[str, Floats]] | None = None

    def read(self, question: str, texts: Sequence[str]) -> Sequence[Reading]:
        """One reading a text: `score` is a logit, 0 as likely an answer as not.

        Lines of a text before its last are its headings: read along, never marked, and not
        counted in offsets. Raises
        WeightsError where the model cannot be obtained or loaded.
        """
        session, tokenizer, heads = self._ready()

        def one(text: str) -> Reading:
            pair = encode(tokenizer, question, text)
            hidden: Floats = session.run(["tokens"], feeds(pair))[0][0]
            return reading(hidden, pair, heads)

        if len(texts) < 2 or self._threads == 1:
            return [one(text) for text in texts]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(self._threads, len(texts))) as pool:
            return list(pool.map(one, texts))

    def _ready(self) -> tuple[Any, Any, dict[str, Floats]]:
        with self._lock:
            if self._loaded is None:
                from ragtune.models import runtime

                folder = built(self.delta, self._on_progress)
                heads = {n: v for n, v in load_delta(self.delta).items() if n in HEADS}
                self._loaded = (
                    runtime.session(folder / "model.onnx", optimised=True),
                    runtime.tokenizer(folder / "tokenizer.json"),
                    heads,
                )
            return self._loaded


def reading(hidden: Floats, pair: Encoded, heads: Mapping[str, Floats]) -> Reading:
    """The heads' answer for one pair; `hidden` has shape (tokens, 384)."""
    score = (
        hidden[0] @ heads["support.first"]
        + hidden.mean(axis=0) @ heads["support.mean"]
        + heads["support.bias"][0]
    )
    text = hidden[pair.first : pair.first + len(pair.spans)]
    span = best_span(text @ heads["start"], text @ heads["end"])
    if span is None:
        return Reading(float(score))
    return Reading(float(score), pair.spans[span[0]][0], pair.spans[span[1]][1])


def best_span(starts: Floats, ends: Floats) -> tuple[int, int] | None:
    """First and last token with the largest sum, at most PHRASE tokens; None without tokens."""
    import numpy as np

    if not len(starts):
        return None
    sums = starts[:, None] + ends[None, :]
    low, high = np.indices(sums.shape)
    sums = np.where((high >= low) & (high < low + PHRASE), sums, -np.inf)
    first, last = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(first), int(last)


# ---------------------------------------------------------------- the delta


def shipped() -> Path:
    """The delta that comes with the package."""
    return Path(str(files("ragtune").joinpath("data/reader", DELTA)))


def load_reader(
    settings: config.Settings, folder: Path | None = None, on_progress: OnProgress | None = None
) -> OnnxReader | None:
    """The reader that `settings.reader` names; None for "off".

    "on" takes the delta in `folder` (a workspace's own) where there is one, else the shipped one.
    It only fits the embedded MiniLM's weights, which it obtains at first use. Raises ConfigError
    for a path that is no delta.
    """
    if settings.reader == "off":
        return None
    delta = shipped()
    if settings.reader != "on":
        delta = Path(settings.reader).expanduser()
        delta = delta / DELTA if delta.is_dir() else delta
        if not delta.is_file():
            raise ConfigError(
                f"reader = {settings.reader!r}: must be on, off, or a folder with {DELTA}"
            )
    elif folder is not None and (folder / DELTA).is_file():
        delta = folder / DELTA
    return OnnxReader(delta, settings.threads, on_progress)


def apply(base: Mapping[str, Floats], delta: Mapping[str, Any]) -> dict[str, Floats]:
    """MiniLM's weights with the trained difference added. Raises WeightsError on other shapes."""
    import numpy as np

    whole = dict(base)
    for name, change in delta.items():
        if name in HEADS or name.endswith(":scale"):
            continue
        if name not in base or base[name].shape != change.shape:
            raise WeightsError(f"the reader's delta does not fit these weights: {name}")
        step = np.asarray(change, np.float32)
        scale = delta.get(f"{name}:scale")
        if scale is not None:
            step = step * np.asarray(scale, np.float32)[:, None]
        whole[name] = (base[name] + step).astype(np.float32)
    return whole


def pack(
    base: Mapping[str, Floats], trained: Mapping[str, Floats], heads: Mapping[str, Floats]
) -> dict[str, NDArray[Any]]:
    """The delta's tensors: matrices in int8 with a scale a row, the rest in fp32."""
    import numpy as np

    packed: dict[str, NDArray[Any]] = {n: np.asarray(heads[n], np.float32) for n in HEADS}
    for name, value in trained.items():
        change = value - base[name]
        if not change.any():
            continue
        if change.ndim < 2:
            packed[name] = change.astype(np.float32)
            continue
        scale = np.maximum(np.abs(change).max(axis=1) / 127, 1e-12)
        packed[name] = np.round(change / scale[:, None]).astype(np.int8)
        packed[f"{name}:scale"] = scale.astype(np.float32)
    return packed


def load_delta(path: Path) -> dict[str, Any]:
    """The tensors of a delta. Raises WeightsError for a file that is none."""
    from safetensors.numpy import load_file

    try:
        tensors = dict(load_file(path))
    except Exception as error:  # a damaged file: the library's own class, without a base
        raise WeightsError(f"{path} is not a reader's delta: {error}") from None
    missing = [name for name in HEADS if name not in tensors]
    if missing:
        raise WeightsError(f"{path} is not a reader's delta: {missing[0]} is missing")
    return tensors


def save_delta(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Writes `pack`ed tensors as a whole file."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    save_file(dict(tensors), temporary)
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.replace(path)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise WeightsError(f"cannot read the reader's delta {path}: {error.strerror}") from None


# ---------------------------------------------------------------- the built model


def built(delta: Path, on_progress: OnProgress | None = None) -> Path:
    """The cached folder with the reader's int8 ONNX file and tokenizer, built at the first call."""
    import onnxruntime

    from ragtune.models import embed

    name = f"reader-{_digest(delta)}-{GRAPH_VERSION}-onnxruntime-{onnxruntime.__version__}"
    return embed.build_folder(name, lambda source, made: write(source, delta, made), on_progress)


def write(source: Path, delta: Path, folder: Path) -> Path:
    """Builds the int8 model.onnx into `folder`; `source` holds MiniLM's files.

    The file is optimised for the ONNX Runtime of this machine.
    """
    import tempfile

    from ragtune.models import minilm

    target = folder / "model.onnx"
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        plain = Path(temporary) / "plain.onnx"
        write_plain(source, delta, plain)
        minilm.optimise(plain, target)
    return target


def write_plain(source: Path, delta: Path, target: Path, variant: str = "int8") -> None:
    """Builds `variant` ("int8" or "fp32") as any ONNX Runtime loads it: `target` is the file.

    Its output is `tokens`; the heads of `delta` are not in it.
    """
    import onnx
    from safetensors.numpy import load_file

    from ragtune.models import minilm, quantize, runtime

    model = minilm.graph_of(
        apply(load_file(source / "model.safetensors"), load_delta(delta)), pairs=True
    )
    if variant != "int8":
        onnx.save(model, target)
        return
    tokenizer = runtime.tokenizer(source / "tokenizer.json")
    texts = quantize.TEXTS
    pairs = [encode(tokenizer, q, t) for q in texts[:4] for t in texts[4:]]
    quantize.quantize(model, [feeds(pair) for pair in pairs], target)
