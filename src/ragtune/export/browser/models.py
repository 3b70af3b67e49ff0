"""The ONNX models for the page: several graphs over one file of weights.

Embedder, reader and router are MiniLM with the same word embeddings and mostly the same lower
layers, int8 to the byte. So every constant is stored once, by content, in `weights.bin`, and the
graphs refer to it as external data, which ONNX Runtime reads in the browser too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragtune.errors import ConfigError, WeightsError
from ragtune.types import OnProgress, System

WEIGHTS = "weights.bin"
ENCODED = ("embedder", "reader")  # run by encoder/encoder.c, without ONNX Runtime
PARTS = ("qkv", "attended", "wide", "narrow")
SMALL = 1024  # bytes; a smaller constant stays in its graph


def chosen(system: System, on_progress: OnProgress | None = None) -> dict[str, Path]:
    """The model files that the page needs, by name: embedder, and reader and router if there.

    Raises ConfigError for a workspace that uses models which the page cannot run.
    """
    from ragtune.models import embed, minilm, reader, weights
    from ragtune.models.router import OnnxRouter

    name = f"{weights.MINILM.name}/int8/{minilm.GRAPH_VERSION}"
    if system.embedder.name != name:
        raise ConfigError(
            f"the page runs the embedder {weights.MINILM.name} in int8, and this workspace uses "
            f"{system.embedder.name}: set embedder in ragtune.toml and sync"
        )
    if system.reranker is not None:
        raise ConfigError("the page has no reranker: export with --set 'reranker=\"\"'")
    files = {"embedder": embed.built("int8", on_progress) / "model.onnx"}
    if isinstance(system.reader, reader.OnnxReader):
        files["reader"] = reader.built(system.reader.delta, on_progress) / "model.onnx"
    if isinstance(system.router, OnnxRouter):
        files["router"] = system.router.folder / "router.onnx"
    return files


@dataclass(frozen=True, slots=True)
class Shared:
    """`weights` of all models; `graphs`: ONNX files that refer into them; `networks`: for the
    page's own encoder, where in `weights` each tensor of a MiniLM stands."""

    weights: bytes
    graphs: Mapping[str, bytes]
    networks: Mapping[str, dict[str, Any]]


def share(files: Mapping[str, Path]) -> Shared:
    """Puts the constants of the ONNX `files` into one file, each once."""
    import onnx
    from onnx import numpy_helper

    weights = bytearray()
    places: dict[bytes, tuple[int, int]] = {}
    graphs: dict[str, bytes] = {}
    networks: dict[str, dict[str, Any]] = {}
    for name, path in files.items():
        model = onnx.load(path)
        tensors: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            raw = array.tobytes()
            if array.size == 1:
                values[tensor.name] = array.item()
            if len(raw) < SMALL:
                continue
            key = hashlib.sha256(raw).digest()
            if key not in places:
                weights += b"\0" * (-len(weights) % 16)
                places[key] = (len(weights), len(raw))
                weights += raw
            offset, length = places[key]
            tensors[tensor.name] = {"offset": offset, "length": length, "shape": array.shape}
            _refer(tensor, offset, length)
        if name in ENCODED:
            networks[name] = _network(path, tensors, values)
        else:
            graphs[name] = model.SerializeToString()
    return Shared(bytes(weights), graphs, networks)


def _network(path: Path, tensors: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What js/encoder.js needs to know of MiniLM's file, by the names that minilm.py gives."""
    wanted = ["words_quantized", "positions", "embedded.norm.scale"]
    wanted += [f"layer{n}.{part}.weight_quantized" for n in range(6) for part in PARTS]
    if missing := [name for name in wanted if name not in tensors]:
        raise WeightsError(f"{path} is not the int8 file that the page can run: no {missing[0]}")
    return {
        "tensors": tensors,
        "words_scale": values["words_scale"],
        "words_zero": values["words_zero_point"],
    }


def _refer(tensor: Any, offset: int, length: int) -> None:
    """Makes `tensor` refer to that part of the shared file."""
    from onnx import TensorProto

    for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"):
        tensor.ClearField(field)
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def vocabulary(tokenizer: Path) -> dict[str, int]:
    """The word pieces of a BERT tokenizer.json: all that the page's tokenizer needs of it."""
    pieces: dict[str, int] = json.loads(tokenizer.read_text("utf-8"))["model"]["vocab"]
    return pieces


def heads(delta: Path) -> dict[str, list[float]]:
    """The reader's heads, which stand beside its graph."""
    from ragtune.models.reader import HEADS, load_delta

    tensors = load_delta(delta)
    return {
        name.removeprefix("support."): [float(v) for v in tensors[name].ravel()] for name in HEADS
    }


def passport(folder: Path) -> dict[str, Any]:
    """What the page needs of router.json and routes.toml."""
    from ragtune.models import router

    read = router.read_passport(folder)
    targets = router.read_routes(folder / router.ROUTES, read.intents)
    return {
        "intents": read.intents,
        "threshold": read.threshold,
        "max_characters": read.max_characters,
        "max_tokens": read.max_tokens,
        "targets": {n: {"way": t.way, "reply": t.reply} for n, t in targets.items()},
    }
