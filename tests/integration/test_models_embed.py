"""The embedded embedder against an independent forward pass in numpy, with the real weights."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragtune.config import Settings
from ragtune.models import weights
from ragtune.models.embed import OnnxEmbedder, built, load_embedder

pytestmark = pytest.mark.integration

TEXTS = [
    "How many vacation days do I get?",
    "Employees are entitled to 28 days of paid leave per calendar year.",
    "Travel policy > Meals: the daily allowance is 45.00 EUR in Germany and 60.00 EUR abroad.",
    "def main(argv: list[str]) -> int: return 0",
    "The quick brown fox jumps over the lazy dog.",
    "Der Kündigungsschutz beträgt drei Monate zum Quartalsende.",
    "La garantie couvre les pièces et la main-d'œuvre pendant deux ans.",
    "保証期間は二年間です。",
    "Товар можно вернуть в течение 14 дней.",
    "1,234.56 | 2,345.67 | 3,456.78 | n/a",
    "Q3 revenue rose 12% year over year to $4.2 million, driven by services.",
    "WARNING: do not immerse the appliance in water!!!",
    "x",
    "",
    "???",
    "Dear Ms Novak,\n\nthank you for your order no. 4711.\n\nKind regards",
    "The Treaty of Westphalia, signed in 1648, ended the Thirty Years' War in the Empire.",
    "Photosynthesis converts light energy into chemical energy stored in glucose.",
    "Which firmware fixes error E-23 on the PX-200 pump?",
    "Firmware 2.4.1 fixes error E-23; PX-200 and PX-210 pumps update over USB.",
    "He did not sign the contract.",
    "He signed the contract.",
    "SELECT name FROM customers WHERE id = 3;",
    "https://example.com/docs/install?os=linux#step-2",
    "Step 1: unplug the unit. Step 2: remove the four screws. Step 3: lift the cover.",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "The board approved the minutes of the meeting of 3 March unanimously.",
    "who is allowed to approve invoices above 10,000 euros",
    "Invoices above EUR 10,000 need two signatures, one of them by a managing director.",
    "Free shipping from 50 euros; express delivery costs 9.90.",
    "🙂 thanks a lot 👍",
    "Data is retained for ten years and then destroyed.",
    "In the beginning God created the heaven and the earth.",
    "Machine learning models can overfit when the training set is small.",
    "Passwords must have at least 14 characters and be changed after an incident.",
    "The mitochondrion is the powerhouse of the cell, as every pupil knows. " * 3,
]


_POINTS = np.linspace(-6, 6, 24_001)  # linear in between: wrong by less than 1e-7
_ERF = np.array([math.erf(point) for point in _POINTS])


@cache
def _reference_parts() -> tuple[dict[str, NDArray[np.float32]], Any]:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = weights.obtain("all-minilm-l6-v2")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    return load_file(folder / "model.safetensors"), tokenizer


def _reference(text: str) -> NDArray[np.float64]:
    """BERT's forward pass as in its paper, in double precision, mean-pooled and normalised."""
    w, tokenizer = _reference_parts()

    def norm(x: NDArray[Any], key: str) -> NDArray[Any]:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-12)
        return np.asarray(x * w[f"{key}.weight"] + w[f"{key}.bias"])

    def linear(x: NDArray[Any], key: str) -> NDArray[Any]:
        return np.asarray(x @ w[f"{key}.weight"].T.astype(np.float64) + w[f"{key}.bias"])

    ids = tokenizer.encode(text).ids
    x = w["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = x + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for n in range(6):
        layer = f"encoder.layer.{n}"
        q, k, v = (
            linear(x, f"{layer}.attention.self.{part}").reshape(len(ids), 12, 32).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = q @ k.swapaxes(1, 2) / math.sqrt(32)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        joined = mixed.swapaxes(0, 1).reshape(len(ids), 384)
        attended = linear(joined, f"{layer}.attention.output.dense")
        x = norm(x + attended, f"{layer}.attention.output.LayerNorm")
        wide = linear(x, f"{layer}.intermediate.dense")
        wide = wide * 0.5 * (1 + np.interp(wide / math.sqrt(2), _POINTS, _ERF))
        x = norm(x + linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    pooled = x.mean(0)
    return np.asarray(pooled / np.linalg.norm(pooled))


@cache
def _references() -> NDArray[np.float64]:
    return np.stack([_reference(text) for text in TEXTS])


@cache
def _embedder() -> OnnxEmbedder:
    return load_embedder(Settings(threads=2))


def test_fp32_is_the_model() -> None:
    vectors = load_embedder(Settings(threads=2), variant="fp32").embed(TEXTS)
    assert (vectors * _references()).sum(1).min() >= 0.9999


def test_int8_stays_true_to_it() -> None:
    vectors = _embedder().embed(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    cosines = (vectors * _references()).sum(1)
    assert cosines.mean() >= 0.994
    worded = [len(text.split()) > 1 for text in TEXTS]  # a lone sign means nothing to the model
    assert cosines[worded].min() >= 0.985
    assert cosines.min() >= 0.96


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=60) | st.sampled_from(TEXTS), min_size=1, max_size=6))
def test_a_vector_depends_on_its_text_only(texts: list[str]) -> None:
    together = _embedder().embed(texts)
    for row, text in zip(together, texts, strict=True):
        np.testing.assert_array_equal(row, _embedder().embed([text])[0])


def test_texts_are_cut_at_the_window() -> None:
    embedder = _embedder()
    long = "word " * 254
    assert embedder.count_tokens(long) == 254
    inside, beyond = embedder.embed([long, long + "completely different ending " * 50])
    np.testing.assert_array_equal(inside, beyond)
    shorter, _ = embedder.embed(["word " * 253, ""])
    assert not np.array_equal(shorter, inside)


@given(st.text(max_size=200))
@settings(max_examples=50, deadline=None)
def test_any_text_can_be_counted_and_embedded(text: str) -> None:
    assert _embedder().count_tokens(text) >= 0
    assert np.isfinite(_embedder().embed([text])).all()


def test_token_vectors_and_their_places() -> None:
    text = "Zoë's travel  policy"
    vectors, spans = _embedder().embed_tokens(text)
    assert [text[start:end] for start, end in spans] == ["Zoë", "'", "s", "travel", "policy"]
    assert vectors.shape == (5, 384)
    assert _embedder().embed_tokens("")[0].shape == (0, 384)


def test_many_threads_share_one_embedder() -> None:
    embedder = load_embedder(Settings(threads=2))
    expected = _embedder().embed(TEXTS[:6])
    results: list[NDArray[np.float32]] = []
    threads = [
        threading.Thread(target=lambda: results.append(embedder.embed(TEXTS[:6]))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, expected)


@pytest.fixture
def home_with_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that has the weights but nothing built from them."""
    (tmp_path / "weights").mkdir()
    source = weights.obtain("all-minilm-l6-v2")
    (tmp_path / "weights" / source.name).symlink_to(source)
    monkeypatch.setenv("RAGTUNE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.unlink(),
    ],
)
def test_a_damaged_build_is_built_again(
    home_with_weights: Path, damage: Callable[[Path], None]
) -> None:
    first = built()
    vector = load_embedder(Settings()).embed(["text"])
    assert os.listdir(home_with_weights / "models") == [first.name]
    damage(first / "model.onnx")
    np.testing.assert_array_equal(load_embedder(Settings()).embed(["text"]), vector)
    assert os.listdir(home_with_weights / "models") == [first.name]
