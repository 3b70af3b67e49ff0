"""The router's ONNX file: a trunk that reads a question, and the learned head on top of it.

    input_ids ─▶ trunk ─▶ features ──┬──▶ regression ─▶ log p ───────────────┐
                  ├──▶ embedding ──┐ │                                      ├─▶ logits, score
                  └──▶ hidden ─▶ layer ─┴─▶ similarities ─▶ max by intent ──┘

Two trunks. "full" is the embedder's own graph with the same int8 weights, but activations in two
digits of fixed steps (`quantize`), so that every processor and the page give the same
probabilities; its `embedding` is therefore nearly retrieval's, not quite. Its features are four
poolings of token vectors from the bottom, the middle and the top of the network, since wording
tells intents apart that mean nearly the same. To them comes what a last layer of the router's own
makes of `hidden` (`tune`). "small" adds up one stored vector a token, made by showing MiniLM each
token alone (after model2vec), weighted by rarity: some fifteen times as fast and a few points less
accurate.

A trunk is built once and kept in the user's cache; a router holds a copy of it. The file uses
standard operators and two of ONNX Runtime's that it has everywhere (MultiHeadAttention,
MatMulIntegerToFloat), and is not fused for one version of it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ragtune import config
from ragtune.errors import WeightsError, said
from ragtune.models import minilm, quantize, runtime, weights
from ragtune.route.head import SCORE_NEAR, Head
from ragtune.types import OnProgress, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

Variant = Literal["full", "small"]
VERSION = 3  # of the trunks: raise it whenever a feature would change
SMALL_WIDTH = 256
_LAST = 5  # the number of the layer that is trained on
_BATCH = 128
HALF = 0.5**0.5  # makes two unit vectors side by side one
ASKED = 1 / 128  # step of the first digit of a question's vector
# The embedding at full weight, wording less; found on training questions held out.
_POOLED = (("ReduceMax", "layer5.out", 0.5), ("ReduceMean", "embedded.norm", 0.6),
           ("ReduceMean", "layer2.out", 0.6))  # fmt: skip


def trunk(variant: Variant, on_progress: OnProgress | None = None) -> Path:
    """The folder with trunk.onnx and tokenizer.json, built at the first call.

    The graph has the outputs `embedding` (batch, D), unit rows, and `features` (batch, F); the full
    one also `hidden` (batch, tokens, D), what the layer below the last gives.
    """
    folder = config.home() / "models" / f"router-{variant}-{minilm.GRAPH_VERSION}.{VERSION}"
    if (folder / "trunk.onnx").is_file() and (folder / "tokenizer.json").is_file():
        return folder
    source = weights.obtain(weights.MINILM.name, on_progress)
    if on_progress is not None:
        on_progress(Progress("build", 0, 1, f"router, {variant}"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".build-", dir=folder.parent) as temporary:
            made = Path(temporary) / folder.name
            made.mkdir()
            shutil.copyfile(source / "tokenizer.json", made / "tokenizer.json")
            if variant == "full":
                _full(source, made / "trunk.onnx")
            else:
                _small(trunk("full", on_progress), made / "trunk.onnx")
            if not folder.exists():
                made.rename(folder)
    except OSError as error:
        if not (folder / "trunk.onnx").is_file():  # otherwise another process was faster
            raise WeightsError(
                f"cannot build the router in {folder.parent}: {said(error)}"
            ) from None
    if on_progress is not None:
        on_progress(Progress("build", 1, 1, f"router, {variant}"))
    return folder


def _full(source: Path, target: Path) -> None:
    from onnx import helper

    model = minilm.build(source / "model.safetensors")
    graph = model.graph
    parts = ["embedding"]
    for number, (kind, tensor, weight) in enumerate(_POOLED):
        name = f"pooled{number}"
        graph.initializer.append(_constant(f"{name}.weight", np.array(weight, np.float32)))
        graph.node.extend(
            [
                helper.make_node(kind, [tensor, "one"], [f"{name}.raw"], keepdims=0),
                helper.make_node(
                    "LpNormalization", [f"{name}.raw"], [f"{name}.unit"], axis=-1, p=2
                ),
                helper.make_node("Mul", [f"{name}.unit", f"{name}.weight"], [name]),
            ]
        )
        parts.append(name)
    graph.node.append(helper.make_node("Concat", parts, ["features"], axis=-1))
    graph.node.append(helper.make_node("Identity", [f"layer{_LAST - 1}.out"], ["hidden"]))
    del graph.output[:]
    hidden = helper.make_tensor_value_info("hidden", 1, ["batch", "tokens", minilm.DIMENSIONS])
    graph.output.extend([_value("embedding", "D"), _value("features", "F"), hidden])
    tokenizer = runtime.tokenizer(source / "tokenizer.json")
    tokenizer.enable_truncation(minilm.MAX_TOKENS)
    ids = [list(tokenizer.encode(text).ids) for text in quantize.TEXTS]
    quantize.quantize(model, [{"input_ids": np.array([i], np.int64)} for i in ids], target, 2)


def _small(full: Path, target: Path) -> None:
    """One int8 row a token with its own scale; a question's rows are added and made unit length."""
    import onnx
    from onnx import TensorProto, helper

    tokenizer = runtime.tokenizer(full / "tokenizer.json")
    size = tokenizer.get_vocab_size()
    start, end = tokenizer.post_process(tokenizer.encode("", add_special_tokens=False)).ids
    session = runtime.session(full / "trunk.onnx")
    rows: list[NDArray[np.float32]] = []
    for first in range(0, size, _BATCH):
        tokens = np.arange(first, min(first + _BATCH, size), dtype=np.int64)
        framed = np.stack([np.full_like(tokens, start), tokens, np.full_like(tokens, end)], axis=1)
        rows.append(session.run(["embedding"], {"input_ids": framed})[0])
    table = np.concatenate(rows)
    table -= table.mean(0)
    _, directions = np.linalg.eigh(table.T @ table)
    table = table @ directions[:, ::-1][:, :SMALL_WIDTH]
    # WordPiece ids follow frequency; the first 1,996 are signs and reserved.
    ids = np.arange(size)
    table *= np.log1p(np.where(ids < 1996, ids % 997 + 1, ids - 1995))[:, None]
    table[[start, end]] = 0
    scales = np.maximum(np.abs(table).max(1, keepdims=True), 1e-6) / 127
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows.int8"], axis=0),
        helper.make_node("Cast", ["rows.int8"], ["rows"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["scales", "input_ids"], ["rows.scale"], axis=0),
        helper.make_node("Mul", ["rows", "rows.scale"], ["vectors"]),
        helper.make_node("ReduceSum", ["vectors", "one"], ["sum"], keepdims=0),
        helper.make_node("ReduceL2", ["sum", "one"], ["length"], keepdims=1),
        helper.make_node("Max", ["length", "tiny"], ["length.safe"]),
        helper.make_node("Div", ["sum", "length.safe"], ["embedding"]),
        helper.make_node("Identity", ["embedding"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "router-small",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])],
        [_value("embedding", "D"), _value("features", "F")],
        [
            _constant("table", np.round(table / scales).astype(np.int8)),
            _constant("scales", scales.astype(np.float32)),
            _constant("one", np.array([1], np.int64)),
            _constant("tiny", np.array(1e-9, np.float32)),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9),
              target)  # fmt: skip


def last_layer() -> dict[str, NDArray[np.float32]]:
    """The weights that the router's own layer starts from, named as in `tune`."""
    from safetensors.numpy import load_file

    prefix = f"encoder.layer.{_LAST}."
    stored = load_file(weights.obtain(weights.MINILM.name) / "model.safetensors")
    return {
        name.removeprefix(prefix): value
        for name, value in stored.items()
        if name.startswith(prefix)
    }


def write_layer(
    layer: Mapping[str, NDArray[np.float32]], hidden: Sequence[NDArray[Any]], target: Path
) -> None:
    """Writes the router's own layer as an int8 graph from `hidden` to `tuned` (batch, D).

    `hidden` are some of its inputs, (tokens, D) each, to take ranges from.
    """
    named = {f"encoder.layer.{_LAST}.{name}": value for name, value in layer.items()}
    model = minilm.layer_of(named, _LAST, "tuned")
    quantize.quantize(model, [{"hidden": h[None].astype(np.float32)} for h in hidden], target, 2)


def attach(trunk_file: Path, head: Head, target: Path, layer_file: Path | None = None) -> None:
    """Writes trunk, own layer and head as one graph. One question a run: the batch must be 1.

    Outputs: `embedding` (1, D); `logits` (1, K), whose softmax are the probabilities; `score` (1,);
    `similarities` (1, n), the cosines to the training questions.
    """
    import onnx
    from onnx import helper

    model = onnx.load(trunk_file)
    graph = model.graph
    views = {"features": "features", "examples": "embedding"}
    if layer_file is not None:
        _join(graph, layer_file)
        views = {"features": "features.all", "examples": "embedding.all"}
    step = max(float(np.abs(head.examples).max()), 1e-6) / 127
    examples = np.round(head.examples / step).astype(np.int8).T
    count = len(head.typical)
    constants: dict[str, NDArray[Any]] = {
        "head.weights": head.weights,
        "head.bias": head.bias,
        "head.examples": examples,
        "head.first.step": np.array(ASKED, np.float32),
        "head.second.step": np.array(ASKED / 256, np.float32),
        "head.steps": np.array([[step * ASKED, step * ASKED / 256]], np.float32),
        "head.zero": np.array(128, np.uint8),
        "head.intents": head.intents.astype(np.int64)[None],
        "head.none": np.full((1, count), -1, np.float32),
        "head.linear": np.array(head.mix.linear, np.float32),
        "head.near": np.array(head.mix.near, np.float32),
        "head.typical": head.typical.astype(np.float32)[None],
        "head.nearness": np.array(SCORE_NEAR, np.float32),
        "head.axis": np.array([1], np.int64),
        "head.begin": np.array([0], np.int64),
        "head.count": np.array([count], np.int64),
    }
    for name, value in constants.items():
        graph.initializer.append(_constant(name, value))

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        graph.node.append(
            helper.make_node(kind, inputs, [output], name=f"{output}.node", **attributes)
        )

    node("Gemm", [views["features"], "head.weights", "head.bias"], "linear.raw")
    node("LogSoftmax", ["linear.raw"], "linear.all", axis=-1)
    # What is left of 1 is out of scope, where such questions were learned.
    node("Slice", ["linear.all", "head.begin", "head.count", "head.axis"], "linear")
    # Integers all the way: made floats at each question, 10,000 examples would take 5 ms. Two
    # digits, as in `quantize`; a unit vector's values need no other range.
    node("QuantizeLinear", [views["examples"], "head.first.step", "head.zero"], "asked.first")
    node("DequantizeLinear", ["asked.first", "head.first.step", "head.zero"], "asked.told")
    node("Sub", [views["examples"], "asked.told"], "asked.rest")
    node("QuantizeLinear", ["asked.rest", "head.second.step", "head.zero"], "asked.second")
    node("Concat", ["asked.first", "asked.second"], "asked.int8", axis=0)
    node("MatMulInteger", ["asked.int8", "head.examples", "head.zero"], "similarities.int32")
    node("Cast", ["similarities.int32"], "similarities.whole", to=1)
    node("MatMul", ["head.steps", "similarities.whole"], "similarities")
    inputs = ["head.none", "head.intents", "similarities"]
    node("ScatterElements", inputs, "near", axis=1, reduction="max")
    node("Mul", ["linear", "head.linear"], "linear.part")
    node("Mul", ["near", "head.near"], "near.part")
    node("Add", ["linear.part", "near.part"], "logits")
    node("ArgMax", ["logits"], "best", axis=1, keepdims=1)
    node("GatherElements", ["near", "best"], "near.best", axis=1)
    node("GatherElements", ["head.typical", "best"], "typical.best", axis=1)
    node("Sub", ["near.best", "typical.best"], "nearness")
    node("Mul", ["nearness", "head.nearness"], "nearness.part")
    node("ReduceMax", ["linear", "head.axis"], "linear.best", keepdims=1)
    node("Add", ["linear.best", "nearness.part"], "score.column")
    node("Squeeze", ["score.column", "head.axis"], "score")
    del graph.output[:]
    graph.output.extend(
        [
            _value("embedding", "D"),
            _value("logits", count),
            helper.make_tensor_value_info("score", 1, ["batch"]),
            _value("similarities", len(head.examples)),
        ]
    )
    onnx.save(model, target)
    with target.open("rb") as stream:
        os.fsync(stream.fileno())


def _join(graph: Any, layer_file: Path) -> None:
    """Adds the own layer, and its views beside the trunk's: `features.all`, `embedding.all`."""
    import onnx
    from onnx import compose, helper

    layer = compose.add_prefix(onnx.load(layer_file), "own.").graph
    graph.node.append(helper.make_node("Identity", ["hidden"], [layer.input[0].name]))
    graph.node.extend(layer.node)
    graph.initializer.extend(layer.initializer)
    graph.initializer.append(_constant("own.half", np.array(HALF, np.float32)))
    tuned = layer.output[0].name
    graph.node.extend(
        [
            helper.make_node("Concat", [tuned, "features"], ["features.all"], axis=-1),
            helper.make_node("Concat", [tuned, "embedding"], ["embedding.both"], axis=-1),
            helper.make_node("Mul", ["embedding.both", "own.half"], ["embedding.all"]),
        ]
    )


def _constant(name: str, value: NDArray[Any]) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(value), name)


def _value(name: str, width: int | str) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
