"""The ONNX models for the page: several graphs over one file of weights.

Embedder, reader and router are MiniLM with the same word embeddings and mostly the same lower
layers, int8 to the byte. So every constant is stored once, by content, in `weights.bin`, and the
graphs refer to it as external data, which ONNX Runtime reads in the browser too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragtune.errors import ConfigError
from ragtune.types import OnProgress, System

WEIGHTS = "weights.bin"
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


def share(files: Mapping[str, Path]) -> tuple[bytes, dict[str, bytes]]:
    """The shared weights, and each graph with its constants pointing into them."""
    import onnx
    from onnx import numpy_helper

    weights = bytearray()
    places: dict[bytes, tuple[int, int]] = {}
    graphs: dict[str, bytes] = {}
    for name, path in files.items():
        model = onnx.load(path)
        for tensor in model.graph.initializer:
            raw = numpy_helper.to_array(tensor).tobytes()
            if len(raw) < SMALL:
                continue
            key = hashlib.sha256(raw).digest()
            if key not in places:
                weights += b"\0" * (-len(weights) % 16)
                places[key] = (len(weights), len(raw))
                weights += raw
            _refer(tensor, *places[key])
        graphs[name] = model.SerializeToString()
    return bytes(weights), graphs


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
