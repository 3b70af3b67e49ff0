"""Two int8 digits in place of one: nearly the float product, and the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ragtune.models import quantize, runtime

RNG = np.random.default_rng(3)
WEIGHTS = RNG.normal(size=(32, 24)).astype(np.float32)
BIAS = RNG.normal(size=24).astype(np.float32)


def model() -> Any:
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"], name="product.node"),
        helper.make_node("Add", ["product", "bias"], ["y"], name="y.node"),
    ]
    made = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "tokens", 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "tokens", 24])],
        [numpy_helper.from_array(WEIGHTS, "weight"), numpy_helper.from_array(BIAS, "bias")],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=9)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The same layer with one digit and with two."""
    folder = tmp_path_factory.mktemp("quantized")
    seen = RNG.normal(size=(1, 40, 32)).astype(np.float32)
    for digits in (1, 2):
        quantize.quantize(model(), [{"x": seen}], folder / f"{digits}.onnx", digits)
    return {digits: folder / f"{digits}.onnx" for digits in (1, 2)}


def constants(path: Path) -> dict[str, NDArray[Any]]:
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def run(path: Path, x: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = runtime.session(path).run(["y"], {"x": x})[0]
    return found


def expected(path: Path, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """The product of unrounded activations with the file's weights."""
    held = constants(path)
    weights = held["weight_quantized"].astype(np.float64) * held["weight_scale"]
    smooth = held["product.node.smoothed.by"].astype(np.float64)
    found: NDArray[np.float64] = (x * smooth) @ weights + BIAS
    return found


def test_the_weights_are_the_same(files: dict[int, Path]) -> None:
    one, two = constants(files[1]), constants(files[2])
    assert {"weight_quantized", "weight_scale", "bias"} <= one.keys()
    assert all((two[name] == value).all() for name, value in one.items())
    assert {"product.step", "product.fine", "digits.zero", "digits.base"} == two.keys() - one.keys()


def test_two_digits_are_hundreds_of_times_nearer(files: dict[int, Path]) -> None:
    x = RNG.normal(size=(1, 60, 32)).astype(np.float32)
    off = [float(np.abs(run(files[n], x) - expected(files[n], x)).mean()) for n in (1, 2)]
    assert off[0] > 100 * off[1]


def test_a_text_does_not_depend_on_its_neighbours(files: dict[int, Path]) -> None:
    x = RNG.normal(size=(1, 8, 32)).astype(np.float32)
    larger = np.concatenate([x, 1.5 * x[:, :1]], axis=1)
    assert (run(files[2], larger)[:, :8] == run(files[2], x)).all()
    assert (run(files[1], larger)[:, :8] != run(files[1], x)).any(), "a dynamic scale does"


def test_what_is_out_of_range_is_cut(files: dict[int, Path]) -> None:
    far = np.full((1, 1, 32), 1e4, np.float32)
    most = 127.5 * float(constants(files[2])["product.step"])
    near = (far * 0 + most) / constants(files[2])["product.node.smoothed.by"]
    assert np.allclose(run(files[2], far), expected(files[2], near.astype(np.float32)), atol=0.05)
