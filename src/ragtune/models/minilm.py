"""all-MiniLM-L6-v2 as ONNX, built from its safetensors: fp32, and int8 for daily use.

The graph takes one text at a time (`input_ids`, int64, shape (batch, tokens)) and no attention
mask: texts are never padded, since with dynamic int8 the activations' scales would otherwise be
shared between texts and a text's vector would depend on its neighbours. Rows of one batch must
have the same length. Outputs: `embedding` (batch, 384), the mean of the token vectors brought to
unit length, as sentence-transformers defines this model; `tokens` (batch, tokens, 384), the last
hidden state.

Architecture after "Attention is all you need" and BERT (6 post-norm layers, 12 heads, exact GELU).
`quantize` makes the int8 variant.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragtune.models import quantize, runtime

if TYPE_CHECKING:
    from numpy.typing import NDArray

GRAPH_VERSION = 2  # part of the embedder's name: raise it whenever vectors would change
DIMENSIONS = 384
MAX_TOKENS = 256
_LAYERS = 6
_HEADS = 12
_EPSILON = 1e-12
_RUNTIME = "com.microsoft"  # domain of the operators that only ONNX Runtime has


class _Graph:
    """Collects nodes and constants; a node's first output doubles as its name."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(
        self,
        kind: str,
        inputs: list[str],
        outputs: str | list[str],
        attributes: dict[str, Any] | None = None,
    ) -> str:
        from onnx import helper

        names = [outputs] if isinstance(outputs, str) else outputs
        node = helper.make_node(kind, inputs, names, name=f"{names[0]}.node", **(attributes or {}))
        self.nodes.append(node)
        return names[0]

    def linear(self, x: str, weight: NDArray[Any], bias: NDArray[Any], out: str) -> str:
        """x @ weight.T + bias; `weight` as PyTorch stores it, (out, in)."""
        self.node("MatMul", [x, self.constant(f"{out}.weight", weight.T)], f"{out}.product")
        return self.node("Add", [f"{out}.product", self.constant(f"{out}.bias", bias)], out)

    def norm(self, x: str, weight: NDArray[Any], bias: NDArray[Any], out: str) -> str:
        inputs = [x, self.constant(f"{out}.scale", weight), self.constant(f"{out}.shift", bias)]
        return self.node("LayerNormalization", inputs, out, {"axis": -1, "epsilon": _EPSILON})


def build(safetensors: Path) -> Any:
    """The fp32 graph as an onnx ModelProto (90 MB), from the published safetensors."""
    from safetensors.numpy import load_file

    return graph_of(load_file(safetensors))


def graph_of(weights: Mapping[str, NDArray[Any]], *, pairs: bool = False) -> Any:
    """The fp32 graph with these weights (named as in the published safetensors).

    `pairs`: a graph for two texts read together, with the second input `token_type_ids` (float32,
    shape (batch, tokens), 0 or 1) and without the pooled `embedding`.
    """
    from onnx import TensorProto, helper

    graph = _Graph()
    hidden = _embeddings(graph, weights, pairs)
    for layer in range(_LAYERS):
        hidden = _layer(graph, weights, layer, hidden)
    graph.node("Identity", [hidden], "tokens")
    shape: list[str | int | None] = ["batch", "tokens_count"]
    size: list[str | int | None] = [DIMENSIONS]
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, shape)]
    outputs = [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, shape + size)]
    if pairs:
        inputs.append(helper.make_tensor_value_info("token_type_ids", TensorProto.FLOAT, shape))
    else:
        graph.node("ReduceMean", ["tokens", "one"], "mean", {"keepdims": 0})
        graph.node("LpNormalization", ["mean"], "embedding", {"axis": -1, "p": 2})
        pooled = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, shape[:1] + size)
        outputs.insert(0, pooled)
    body = helper.make_graph(graph.nodes, "all-minilm-l6-v2", inputs, outputs, graph.constants)
    # Opset 20 is the first with Gelu; IR 9 is what runtimes of that age read.
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(_RUNTIME, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=9)


def layer_of(weights: Mapping[str, NDArray[Any]], number: int, pooled: str) -> Any:
    """One layer alone, fp32: `hidden` (batch, tokens, 384) to `pooled`, its unit mean (batch, 384).

    `weights` are named as in the published safetensors; the layer's number is theirs.
    """
    from onnx import TensorProto, helper

    graph = _Graph()
    one = graph.constant("one", np.array([1], np.int64))
    out = _layer(graph, weights, number, "hidden")
    graph.node("ReduceMean", [out, one], "mean", {"keepdims": 0})
    graph.node("LpNormalization", ["mean"], pooled, {"axis": -1, "p": 2})
    shape: list[str | int | None] = ["batch", "tokens", DIMENSIONS]
    inputs = [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info(pooled, TensorProto.FLOAT, [shape[0], DIMENSIONS])]
    body = helper.make_graph(graph.nodes, f"layer{number}", inputs, outputs, graph.constants)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(_RUNTIME, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=9)


def _embeddings(graph: _Graph, weights: Mapping[str, NDArray[Any]], pairs: bool) -> str:
    """Word + position + token type, normalised. Type 0 and the positions never vary: one constant.

    Type 1, where there are pairs, is type 0 and the difference of the two.
    """
    zero = graph.constant("zero", np.array([0], np.int64))
    graph.constant("one", np.array([1], np.int64))
    words = graph.constant("words", weights["embeddings.word_embeddings.weight"])
    positions = graph.constant(
        "positions",
        weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
        + weights["embeddings.token_type_embeddings.weight"][0],
    )
    graph.node("Gather", [words, "input_ids"], "word", {"axis": 0})
    graph.node("Shape", ["input_ids"], "length", {"start": 1, "end": 2})
    graph.node("Slice", [positions, zero, "length", zero], "position")
    graph.node("Add", ["word", "position"], "embedded" if not pairs else "placed")
    if pairs:
        types = weights["embeddings.token_type_embeddings.weight"]
        difference = graph.constant("type.difference", types[1] - types[0])
        last = graph.constant("last", np.array([-1], np.int64))
        graph.node("Unsqueeze", ["token_type_ids", last], "second")
        graph.node("Mul", ["second", difference], "type")
        graph.node("Add", ["placed", "type"], "embedded")
    return graph.norm(
        "embedded",
        weights["embeddings.LayerNorm.weight"],
        weights["embeddings.LayerNorm.bias"],
        "embedded.norm",
    )


def _layer(graph: _Graph, weights: Mapping[str, NDArray[Any]], layer: int, x: str) -> str:
    """One encoder layer: self-attention and a feed-forward part, each added and normalised."""

    def get(key: str) -> tuple[NDArray[Any], NDArray[Any]]:
        prefix = f"encoder.layer.{layer}.{key}"
        return weights[f"{prefix}.weight"], weights[f"{prefix}.bias"]

    n = f"layer{layer}"
    projections = [get(f"attention.self.{part}") for part in ("query", "key", "value")]
    # One product for all three reads and quantizes `x` once.
    stacked = [np.concatenate(list(parts)) for parts in zip(*projections, strict=True)]
    graph.linear(x, stacked[0], stacked[1], f"{n}.qkv")
    parts = [f"{n}.q", f"{n}.k", f"{n}.v"]
    graph.node("Split", [f"{n}.qkv"], parts, {"axis": -1, "num_outputs": 3})
    # ONNX Runtime's own operator, also in its browser build: 6% faster than the same in pieces.
    graph.node(
        "MultiHeadAttention", parts, f"{n}.context", {"num_heads": _HEADS, "domain": _RUNTIME}
    )
    attended = graph.linear(f"{n}.context", *get("attention.output.dense"), f"{n}.attended")
    graph.node("Add", [attended, x], f"{n}.attended.sum")
    middle = graph.norm(f"{n}.attended.sum", *get("attention.output.LayerNorm"), f"{n}.middle")
    graph.linear(middle, *get("intermediate.dense"), f"{n}.wide")
    graph.node("Gelu", [f"{n}.wide"], f"{n}.wide.gelu")
    narrow = graph.linear(f"{n}.wide.gelu", *get("output.dense"), f"{n}.narrow")
    graph.node("Add", [narrow, middle], f"{n}.sum")
    return graph.norm(f"{n}.sum", *get("output.LayerNorm"), f"{n}.out")


def optimise(model: Path, target: Path) -> None:
    """Writes `model` with ONNX Runtime's graph fusions applied, so that loading skips them."""
    import onnxruntime

    options = runtime.options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def write(source: Path, folder: Path, variant: str) -> Path:
    """Builds `variant` ("int8" or "fp32") into `folder`; the path of its model.onnx.

    `source` is the folder with model.safetensors and tokenizer.json. The file is optimised for the
    ONNX Runtime of this machine.
    """
    import tempfile

    target = folder / "model.onnx"
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        plain = Path(temporary) / "plain.onnx"
        write_plain(source, plain, variant)
        optimise(plain, target)
    return target


def write_plain(source: Path, target: Path, variant: str) -> None:
    """Builds `variant` as any ONNX Runtime loads it, on any processor: `target` is the file."""
    import onnx

    model = build(source / "model.safetensors")
    if variant == "int8":
        tokenizer = runtime.tokenizer(source / "tokenizer.json")
        tokenizer.enable_truncation(MAX_TOKENS)
        ids = [tokenizer.encode(text).ids for text in quantize.TEXTS]
        quantize.quantize(model, [{"input_ids": np.array([i], np.int64)} for i in ids], target)
    else:
        onnx.save(model, target)
