"""The models for the page: what is in several ONNX files, over one file of weights.

Embedder, reader and router are MiniLM with the same word embeddings and mostly the same lower
layers, int8 to the byte. So every constant is stored once, by content, in `weights.bin`. The page
has code of its own for their graphs (js/encoder.js, js/reader.js, js/router.js), and only needs to
know where each constant is. The router's activations have two digits and the others' one: that is
another computation with the same weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragtune.errors import ConfigError, WeightsError
from ragtune.protocols import System
from ragtune.types import OnProgress

WEIGHTS = "weights.bin"
PARTS = ("qkv", "attended", "wide", "narrow")
OWN, HEAD = "own.", "head."  # prefixes of what is only the router's


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
    """`weights` of all models; `networks`: for each model, where in `weights` its constants are
    ("tensors": offset, length, shape, type) and those of one number ("values")."""

    weights: bytes
    networks: Mapping[str, dict[str, Any]]


def share(files: Mapping[str, Path]) -> Shared:
    """Puts the constants of the ONNX `files` into one file, each once.

    Raises WeightsError for a model that is not the one which the page has code for.
    """
    import onnx
    from onnx import numpy_helper

    weights = bytearray()
    places: dict[bytes, int] = {}
    networks: dict[str, dict[str, Any]] = {}
    for name, path in files.items():
        arrays = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
        tensors: dict[str, Any] = {}
        for key, array in arrays.items():
            if array.size == 1:
                continue
            raw = array.tobytes()
            digest = hashlib.sha256(raw).digest()
            if digest not in places:
                weights += b"\0" * (-len(weights) % 16)
                places[digest] = len(weights)
                weights += raw
            where = {"offset": places[digest], "length": len(raw)}
            tensors[key] = {**where, "shape": array.shape, "type": array.dtype.name}
        values = {key: array.item() for key, array in arrays.items() if array.size == 1}
        networks[name] = {"tensors": tensors, "values": values}
        _check(name, path, networks[name])
    if f"{OWN}half" in networks.get("router", {}).get("values", {}):
        networks["router"] = _beside(networks["embedder"], networks["router"], files["router"])
    return Shared(bytes(weights), networks)


def _check(name: str, path: Path, network: Mapping[str, Any]) -> None:
    """Raises WeightsError where a constant is missing that the page's code for `name` reads."""
    tensors, values = network["tensors"], network["values"]
    wanted = [f"{HEAD}weights", f"{HEAD}examples"] if name == "router" else []
    if "table" not in tensors:  # the small router's, which reads no MiniLM
        wanted += ["words_quantized", "positions", "embedded.norm.scale"]
        wanted += [f"layer{n}.{part}.weight_quantized" for n in range(6) for part in PARTS]
        if name == "router":
            wanted += [f"{OWN}layer5.{part}.weight_quantized" for part in PARTS]
    if missing := [key for key in wanted if key not in tensors]:
        raise WeightsError(f"{path} is not the int8 file that the page can run: no {missing[0]}")
    steps = [f"{HEAD}second.step"] if name == "router" else []
    if name == "router" and "table" not in tensors:
        steps += [f"layer{n}.{part}.product.step" for n in range(6) for part in PARTS]
        steps += [f"{OWN}layer5.{part}.product.step" for part in PARTS]
    if any(step not in values for step in steps):
        raise WeightsError(f"{path} is of an earlier ragtune: `ragtune route train` again")


def _beside(embedder: dict[str, Any], router: dict[str, Any], path: Path) -> dict[str, Any]:
    """The router's own constants; MiniLM's are the embedder's, which the page reads them with."""
    own: dict[str, Any] = {}
    for name, place in router["tensors"].items():
        if name.startswith((OWN, HEAD)):
            own[name] = place
        elif embedder["tensors"].get(name) != place:
            raise WeightsError(f"{path} reads with another MiniLM: `ragtune route train` again")
    return {"tensors": own, "values": router["values"]}


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


def unnamed(folder: Path) -> dict[str, Any]:
    """As `passport`, with numbers for the intents' names, which the page never shows.

    A router that was trained on the workspace has documents' titles for names, also of those that
    stay at home.
    """
    made = passport(folder)
    number = {name: str(n) for n, name in enumerate(made["intents"])}
    targets = {number.get(name, name): target for name, target in made["targets"].items()}
    return made | {"intents": list(number.values()), "targets": targets}
