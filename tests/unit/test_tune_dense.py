"""Loading a base: a Llama GGUF written here, files that are none, memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_gguf
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragtune.config import Settings
from ragtune.errors import TuneError
from ragtune.tune import base as bases
from ragtune.tune import dense


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base as a GGUF; its weights are exact in it."""
    return tiny_gguf.write(tmp_path_factory.mktemp("gguf") / "tiny.gguf", tiny_gguf.model())


def test_a_llama_gguf_becomes_the_model_it_was(written: Path) -> None:
    original = tiny_gguf.model()
    found = dense.header(written)
    assert dense.is_plain_llama(found)
    assert found.parameters == sum(p.numel() for p in original.parameters())
    assert bases.weight_bytes(written, "bfloat16") == 2 * found.parameters
    model = dense.llama(found, "float32")
    ids = torch.arange(40)[None]
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, original(ids).logits, rtol=1e-5, atol=1e-6)
    half = dense.llama(found, "bfloat16")
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert half.model.rotary_emb.inv_freq.dtype == torch.float32
    assert torch.get_default_dtype() == torch.float32


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.integers(0, 4000), at=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_damaged_header_is_one_line(
    written: Path, tmp_path: Path, cut: int, at: int, byte: int
) -> None:
    whole = bytearray(written.read_bytes()[:6000])
    whole[at] = byte
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(whole[:cut])
    with pytest.raises(TuneError, match="not a GGUF file that can be read"):
        dense.header(bad)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_text("hello", "utf-8")
    with pytest.raises(TuneError, match="not a GGUF"):
        bases.load(path)
    with pytest.raises(TuneError, match="no safetensors"):
        bases.load(tmp_path)


def test_too_little_memory_to_load(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "available_bytes", lambda device: 1000)
    with pytest.raises(TuneError, match=r"loading the base needs .* take a smaller base"):
        bases.load(written)


def test_a_model_behind_an_endpoint_cannot_be_trained() -> None:
    with pytest.raises(TuneError, match="served by an endpoint"):
        bases.locate(Settings(generator="openai", model="llama3"))


def test_a_gpu_that_is_not_there() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(TuneError, match="finds no GPU"):
        bases.choose_device("cuda")
    assert bases.choose_device("auto") == "cpu"
    assert bases.choose_dtype("float32", "cpu") == "float32"
