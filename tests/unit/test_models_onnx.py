"""Embedders and rerankers from a folder: tiny graphs made here stand in for real models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune.config import Settings
from ragtune.errors import ConfigError, WeightsError
from ragtune.models.embed import from_folder, load_embedder
from ragtune.models.fakes import HashEmbedder
from ragtune.models.rerank import OnnxReranker, load_reranker

WORDS = ["[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "query", ":"]
TABLE = np.random.default_rng(0).normal(size=(len(WORDS), 6)).astype(np.float32)


def _tokenizer(path: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(
        models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    tokenizer.enable_padding(length=32)  # as published files often have it; must be ignored
    tokenizer.save(str(path))


def _save(path: Path, nodes: list[Any], output: str, shape: list[Any], inputs: list[str]) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "n"]) for n in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(TABLE, "table"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
        ],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def _embedding_model(folder: Path, pooled: bool = False) -> Path:
    from onnx import helper

    folder.mkdir(exist_ok=True)
    _tokenizer(folder / "tokenizer.json")
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["hidden"])]
    if pooled:
        nodes.append(helper.make_node("ReduceMax", ["hidden", "axis"], ["out"], keepdims=0))
    shape = ["batch", 6] if pooled else ["batch", "n", 6]
    _save(folder / "model.onnx", nodes, "out" if pooled else "hidden", shape, ["input_ids"])
    return folder


def _unit(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(vector / np.linalg.norm(vector))


def test_mean_pooling_over_special_tokens_too(tmp_path: Path) -> None:
    embedder = from_folder(_embedding_model(tmp_path / "m"))
    assert (embedder.dimensions, embedder.max_tokens) == (6, 256)
    vectors = embedder.embed(["red Blue", "green", ""])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[0], _unit(TABLE[[1, 3, 5, 2]].mean(0)), rtol=1e-5)
    np.testing.assert_allclose(vectors[2], _unit(TABLE[[1, 2]].mean(0)), rtol=1e-5)
    assert embedder.embed([]).shape == (0, 6)
    assert embedder.count_tokens("red red blue") == 3
    assert embedder.count_tokens("red " * 1000) == 1000


def test_config_cls_prefix_and_window(tmp_path: Path) -> None:
    folder = _embedding_model(tmp_path / "m")
    plain = from_folder(folder)
    settings = {"pooling": "cls", "prefix": "query: ", "max_tokens": 8}
    (folder / "ragtune.json").write_text(json.dumps(settings))
    embedder = from_folder(folder)
    assert embedder.name != plain.name
    assert embedder.max_tokens == 8
    np.testing.assert_allclose(embedder.embed(["red"])[0], _unit(TABLE[1]), rtol=1e-5)
    vectors, spans = embedder.embed_tokens("red blue " * 10)
    assert len(vectors) == 4  # of 8: two special, two of the prefix
    assert spans == [(0, 3), (4, 8), (9, 12), (13, 17)]


def test_an_output_of_rank_two_is_taken_as_it_is(tmp_path: Path) -> None:
    embedder = from_folder(_embedding_model(tmp_path / "m", pooled=True))
    expected = _unit(TABLE[[1, 3, 5, 2]].max(0))
    np.testing.assert_allclose(embedder.embed(["red blue"])[0], expected, rtol=1e-5)
    with pytest.raises(ConfigError, match="no output with token vectors"):
        embedder.embed_tokens("red")


def test_the_name_changes_with_the_files(tmp_path: Path) -> None:
    mean = from_folder(_embedding_model(tmp_path / "a")).name
    assert from_folder(_embedding_model(tmp_path / "b")).name.split("/")[1] == mean.split("/")[1]
    assert from_folder(_embedding_model(tmp_path / "a", pooled=True)).name != mean


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a JSON object"),
        ('{"poling": "cls"}', "unknown key 'poling'"),
        ('{"pooling": "max"}', "mean or cls"),
        ('{"max_tokens": 2}', "at least 8"),
    ],
)
def test_a_wrong_config_says_so(tmp_path: Path, text: str, message: str) -> None:
    folder = _embedding_model(tmp_path / "m")
    (folder / "ragtune.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        from_folder(folder)


def test_wrong_folders_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be all-minilm-l6-v2 or a folder"):
        load_embedder(replace(Settings(), embedder=str(tmp_path / "none")))
    with pytest.raises(WeightsError, match=r"model\.onnx is missing"):
        load_embedder(replace(Settings(), embedder=str(tmp_path)))
    folder = _embedding_model(tmp_path / "m")
    (folder / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="does not load"):
        load_embedder(replace(Settings(), embedder=str(folder)))
    _embedding_model(folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(WeightsError, match="is not a tokenizer"):
        load_embedder(replace(Settings(), embedder=str(folder)))


def test_the_embedded_model_loads_nothing_until_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGTUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAGTUNE_OFFLINE", "1")
    embedder = load_embedder(Settings())
    assert (embedder.dimensions, embedder.max_tokens) == (384, 256)
    assert embedder.name == "all-minilm-l6-v2/int8/2"
    with pytest.raises(WeightsError, match="RAGTUNE_OFFLINE"):
        embedder.embed(["text"])


# ---------------------------------------------------------------- reranker


def _reranker(folder: Path, inputs: tuple[str, ...] = ("input_ids", "token_type_ids")) -> Path:
    """Scores a pair by the sum of its token ids where the type is 1, that is by the text."""
    from onnx import TensorProto, helper

    folder.mkdir()
    _tokenizer(folder / "tokenizer.json")
    nodes = [
        helper.make_node("Mul", list(inputs), ["kept"]),
        helper.make_node("ReduceSum", ["kept", "axis"], ["sum"], keepdims=1),
        helper.make_node("Cast", ["sum"], ["logits"], to=TensorProto.FLOAT),
    ]
    _save(folder / "model.onnx", nodes, "logits", ["batch", 1], list(inputs))
    return folder


def test_reranker_scores_in_order(tmp_path: Path) -> None:
    reranker = OnnxReranker(_reranker(tmp_path / "r"), threads=2)
    texts = ["red", "blue blue", "", "green \ud800"]
    assert list(reranker.score("query", texts)) == [3 + 2, 5 + 5 + 2, 2, 4 + 0 + 2]
    assert reranker.score("query", []) == []
    # longer than the window: cut, not an error, also where the query is the long one
    assert reranker.score("query", ["red " * 2000])[0] < 3 * 512
    assert len(reranker.score("query " * 2000, ["red"])) == 1


def test_reranker_by_setting(tmp_path: Path) -> None:
    assert load_reranker(Settings()) is None
    with pytest.raises(WeightsError, match=r"model\.onnx is missing"):
        load_reranker(replace(Settings(), reranker=str(tmp_path)))
    folder = _reranker(tmp_path / "r")
    loaded = load_reranker(replace(Settings(), reranker=str(folder)))
    assert loaded is not None
    assert list(loaded.score("query", ["blue"])) == [7]
    odd = OnnxReranker(_reranker(tmp_path / "odd", ("input_ids", "pixels")))
    with pytest.raises(WeightsError, match="pixels"):
        odd.score("query", ["red"])


# ---------------------------------------------------------------- the fake embedder


@given(st.lists(st.text(), max_size=8))
def test_hash_embedder_keeps_the_contract(texts: list[str]) -> None:
    embedder = HashEmbedder()
    vectors = embedder.embed(texts)
    assert vectors.shape == (len(texts), 64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    for row, text in zip(vectors, texts, strict=True):
        np.testing.assert_array_equal(row, embedder.embed([text])[0])


def test_hash_embedder_finds_shared_words() -> None:
    question, near, far = HashEmbedder().embed(
        ["how long is the notice period", "The notice period is long.", "Lunch costs 9 euros."]
    )
    assert question @ near > question @ far
