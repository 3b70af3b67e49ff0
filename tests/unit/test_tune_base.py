"""Loading a base: a Llama GGUF written here, files that are none, memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import tiny_base
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragtune.config import Settings
from ragtune.errors import TuneError
from ragtune.tune import base as bases
from ragtune.tune import gguf_file

NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def permuted(weight: Any, heads: int) -> Any:
    """As llama.cpp's convert_hf_to_gguf.py does (LlamaModel.permute)."""
    return (
        weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
        .swapaxes(1, 2)
        .reshape(weight.shape)
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base as a GGUF with float32 tensors."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    model = tiny_base.base().model
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_token_list([f"t{i}" for i in range(config.vocab_size)])
    for name, value in model.state_dict().items():
        parts = name.split(".")
        weight = value.float().numpy()
        if name == "lm_head.weight":
            continue
        if parts[1] == "layers":
            inner = NAMES[".".join(parts[3:-1])]
            if inner in ("attn_q", "attn_k"):
                heads = config.num_attention_heads
                weight = permuted(
                    weight, heads if inner == "attn_q" else config.num_key_value_heads
                )
            writer.add_tensor(f"blk.{parts[2]}.{inner}.weight", np.ascontiguousarray(weight))
        else:
            plain = {"embed_tokens": "token_embd", "norm": "output_norm"}[parts[1]]
            writer.add_tensor(f"{plain}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_llama_gguf_becomes_the_model_it_was(written: Path) -> None:
    original = tiny_base.base().model
    found = gguf_file.header(written)
    assert gguf_file.is_plain_llama(found)
    assert found.parameters == sum(p.numel() for p in original.parameters())
    assert bases.weight_bytes(written, "bfloat16") == 2 * found.parameters
    model = gguf_file.llama(written, found, "float32")
    ids = torch.arange(40)[None]
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, original(ids).logits, rtol=1e-5, atol=1e-6)
    half = gguf_file.llama(written, found, "bfloat16")
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
        gguf_file.header(bad)


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
