"""Embedder, reader and router as folders that a device runs with ONNX Runtime alone.

    embedder/  model.onnx   input_ids ─▶ embedding
    reader/    model.onnx   input_ids, token_type_ids ─▶ score, start, end
    router/    router.onnx  input_ids ─▶ logits, score
    and in each: tokenizer.json, vocab.txt, model.json (names, types, shapes, limits, thresholds)

The graphs are those of the workspace without the optimisations for one machine's ONNX Runtime, so
that any version from 1.17 on loads them on any processor. The reader's heads, which ragtune
computes in numpy, are put into its graph.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragtune import config
from ragtune.errors import TuneError
from ragtune.models import embed, minilm, router, weights
from ragtune.models import reader as readers

if TYPE_CHECKING:
    from ragtune.config import Settings
    from ragtune.types import OnProgress

Precision = Literal["int8", "fp32", "int4"]
ABOUT = "model.json"
# As the workspace's own sessions (models/runtime.py): int8 products keep their fusions, and give
# the workspace's very numbers.
SESSION = {"optimization.disable_specified_optimizers": "SkipLayerNormFusion"}


def small(precision: Precision) -> Literal["int8", "fp32"]:
    """The precision of MiniLM's graphs: int4 is for generators, here it becomes int8."""
    return "fp32" if precision == "fp32" else "int8"


def write_embedder(
    settings: Settings, folder: Path, precision: Precision, on_progress: OnProgress | None = None
) -> None:
    """The workspace's embedder. One that is a folder of the user's is copied as it is."""
    if settings.embedder != weights.MINILM.name:
        _copy_embedder(Path(settings.embedder).expanduser(), folder)
        return
    source = weights.obtain(weights.MINILM.name, on_progress)
    minilm.write_plain(source, folder / "model.onnx", small(precision))
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    _vocabulary(folder)
    about(folder, {
        "part": "embedder",
        "model": weights.MINILM.name,
        "licence": weights.MINILM.licence,
        "precision": small(precision),
        "output": "embedding",
        "pooling": "graph",
        "max_tokens": minilm.MAX_TOKENS,
        "prefix": "",
        "dimensions": minilm.DIMENSIONS,
    })  # fmt: skip


def _copy_embedder(source: Path, folder: Path) -> None:
    found = embed.from_folder(source, 1)
    pooling = embed._pooling(source / embed._CONFIG)
    for path in [*source.glob("model.onnx*"), source / "tokenizer.json"]:
        shutil.copyfile(path, folder / path.name)
    outputs = {value["name"]: value["shape"] for value in _values(folder / "model.onnx")[1]}
    pooled = next((name for name, shape in outputs.items() if len(shape) == 2), None)
    hidden = next((name for name, shape in outputs.items() if len(shape) == 3), None)
    _vocabulary(folder)
    about(folder, {
        "part": "embedder",
        "model": source.name,
        "licence": "that of the model you chose",
        "precision": "as given",
        "output": pooled or hidden,
        "pooling": "graph" if pooled else pooling.mode,
        "max_tokens": pooling.max_tokens,
        "prefix": pooling.prefix,
        "dimensions": found.dimensions,
    })  # fmt: skip


def write_reader(
    settings: Settings,
    data_folder: Path,
    folder: Path,
    precision: Precision,
    on_progress: OnProgress | None = None,
) -> None:
    """The workspace's reader (its own where it was tuned), its heads in the graph."""
    own = readers.load_reader(settings, data_folder / readers.FOLDER)
    if own is None:
        raise TuneError('this workspace uses no reader (reader = "off"): leave it out of --what')
    source = weights.obtain(weights.MINILM.name, on_progress)
    target = folder / "model.onnx"
    readers.write_plain(source, own.delta, target, small(precision))
    _with_heads(target, readers.load_delta(own.delta))
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    _vocabulary(folder)
    tuned = own.delta.parent == data_folder / readers.FOLDER
    about(folder, {
        "part": "reader",
        "model": f"{weights.MINILM.name} + {own.name}",
        "tuned": tuned,
        "licence": weights.MINILM.licence + " (weights); the trained delta: see ragtune's "
        "data/reader/ABOUT.md" * (not tuned),
        "precision": small(precision),
        "input": "[CLS] question [SEP] headings, sentence before [SEP] text [SEP]",
        "most_tokens": {
            "all": readers.MAX_TOKENS,
            "question": readers._QUESTION,
            "headings": readers._HEADINGS,
            "before": readers._BEFORE,
            "phrase": readers.PHRASE,
        },
        "threshold": 0.0,
        "threshold_means": "score is a logit: above 0 the text answers more likely than not",
    })  # fmt: skip


def _with_heads(path: Path, delta: Mapping[str, Any]) -> None:
    """Puts score, start and end after the graph's `tokens`, in fp32."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    heads = np.stack([delta[n] for n in ("support.first", "support.mean", "start", "end")], axis=1)
    for name, value in (
        ("heads", heads.astype(np.float32)),
        ("heads.bias", np.asarray(delta["support.bias"], np.float32).reshape(1)),
        ("heads.last", np.array([-1], np.int64)),
        ("heads.along", np.array([1], np.int64)),
        ("heads.zero", np.array(0, np.int64)),
    ):
        graph.initializer.append(numpy_helper.from_array(value, name))
    parts = ["head.first", "head.mean", "head.start", "head.end"]
    nodes = [
        helper.make_node("MatMul", ["tokens", "heads"], ["head.all"]),
        helper.make_node("Split", ["head.all"], parts, axis=-1, num_outputs=4),
        *(
            helper.make_node("Squeeze", [part, "heads.last"], [f"{part}.flat"])
            for part in parts[:2]
        ),
        helper.make_node("Squeeze", ["head.start", "heads.last"], ["start"]),
        helper.make_node("Squeeze", ["head.end", "heads.last"], ["end"]),
        helper.make_node("Gather", ["head.first.flat", "heads.zero"], ["head.cls"], axis=1),
        helper.make_node(
            "ReduceMean", ["head.mean.flat", "heads.along"], ["head.average"], keepdims=0
        ),
        helper.make_node("Add", ["head.cls", "head.average"], ["head.sum"]),
        helper.make_node("Add", ["head.sum", "heads.bias"], ["score"]),
    ]
    for number, node in enumerate(nodes):
        node.name = f"heads.{number}"
    graph.node.extend(nodes)
    del graph.output[:]
    shape = ["batch", "tokens_count"]
    graph.output.extend([
        helper.make_tensor_value_info("score", TensorProto.FLOAT, shape[:1]),
        helper.make_tensor_value_info("start", TensorProto.FLOAT, shape),
        helper.make_tensor_value_info("end", TensorProto.FLOAT, shape),
    ])  # fmt: skip
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_router(data_folder: Path, folder: Path) -> None:
    """The workspace's router, as it was trained, with where each intent goes."""
    source = data_folder / router.FOLDER
    passport = router.read_passport(source)
    targets = router.read_routes(source / router.ROUTES, passport.intents)
    for name in ("router.onnx", "tokenizer.json"):
        try:
            shutil.copyfile(source / name, folder / name)
        except OSError:
            raise TuneError(f"{source / name} is missing: `ragtune route train`") from None
    if weights.sha256(folder / "router.onnx") != passport.sha256:
        raise TuneError(f"{source}: router.onnx is not what was trained: `ragtune route train`")
    _vocabulary(folder)
    safe = router.Target()
    about(folder, {
        "part": "router",
        "model": f"{passport.variant}, trained {passport.created}",
        "licence": weights.MINILM.licence,
        "precision": "as trained",
        "intents": list(passport.intents),
        "threshold": passport.threshold,
        "threshold_means": "a question is known when score reaches it; otherwise: unsure",
        "routes": {i: asdict(targets.get(i, safe)) for i in passport.intents},
        "unsure": asdict(targets.get(router.UNSURE, safe)),
        "max_characters": router.MAX_CHARACTERS,
        "max_tokens": router.MAX_TOKENS,
        "figures": dict(passport.figures),
    }, "router.onnx")  # fmt: skip


def has_router(data_folder: Path) -> bool:
    """Whether this workspace has trained one."""
    return (data_folder / router.FOLDER / "router.json").is_file()


def data_folder(root: Path) -> Path:
    """Where a workspace keeps what it makes."""
    return root / config.DATA_FOLDER


# ---------------------------------------------------------------- what a device must know


def about(folder: Path, values: dict[str, Any], file: str = "model.onnx") -> None:
    """Writes model.json: `values`, and the inputs and outputs of the graph."""
    inputs, outputs = _values(folder / file)
    if values["part"] != "generator":
        values = {**values, "session": SESSION}
    whole = {**values, "file": file, "inputs": inputs, "outputs": outputs}
    text = json.dumps(whole, indent=1, ensure_ascii=False)
    (folder / ABOUT).write_text(text + "\n", "utf-8")


def _values(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Inputs and outputs of the graph: name, type, shape (texts are free dimensions)."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    names = {onnx.TensorProto.INT64: "int64", onnx.TensorProto.FLOAT: "float32"}

    def of(values: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": value.name,
                "type": names.get(value.type.tensor_type.elem_type, "other"),
                "shape": [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim],
            }
            for value in values
        ]

    constants = {tensor.name for tensor in graph.initializer}
    return of([v for v in graph.input if v.name not in constants]), of(graph.output)


def _vocabulary(folder: Path) -> None:
    """vocab.txt beside a WordPiece tokenizer.json: a line a token, as BERT tokenizers read it."""
    model = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]
    if model.get("type") == "WordPiece":
        ranked = sorted(model["vocab"].items(), key=lambda pair: int(pair[1]))
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token, _ in ranked), "utf-8")
