"""A GGUF file as dense weights, fast: what a Llama base needs and no more.

transformers reads any GGUF, but walks the vocabulary several times (half a minute for 135M
parameters); this reads a header once. Format: ggml-org/ggml, docs/gguf.md. Bases of other
architectures go through transformers (`base.load`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragtune.errors import TuneError, WeightsError
from ragtune.models import gguf_file
from ragtune.models.gguf_file import GgufFile
from ragtune.tune import convert


def header(path: Path) -> GgufFile:
    """The header of the GGUF in `path`. Raises TuneError where it is none."""
    try:
        return gguf_file.read(path)
    except WeightsError as error:
        raise TuneError(f"{path} is not a GGUF file that can be read: {error}") from None


def is_plain_llama(found: GgufFile) -> bool:
    """Whether `llama` below knows all that the file holds: no biases, experts, scaled RoPE."""
    return found.values.get("general.architecture") == "llama" and all(
        convert.hugging_face(name) for name in found.tensors
    )


def llama(found: GgufFile, dtype: str) -> Any:
    """The transformers model with the weights of a plain Llama GGUF, dequantised.

    Exactly what transformers' own reading gives (tests/integration/test_tune_base.py).
    """
    import numpy as np
    import torch
    from transformers import LlamaForCausalLM
    from transformers.initialization import no_init_weights

    config = _config(found)
    kind = getattr(torch, dtype)
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)  # not .to(kind): the frequencies of RoPE stay in float32
    try:
        with no_init_weights():
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    model.tie_weights()
    places = model.state_dict()
    base = convert.Base(
        found, config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads
    )
    with torch.no_grad():
        for name, tensor in found.tensors.items():
            values = convert.unpermute(convert.matrix(found, tensor), name, base)
            places[convert.hugging_face(name)].copy_(torch.from_numpy(np.array(values)))
    return model.eval()


def _config(found: GgufFile) -> Any:
    from transformers import LlamaConfig

    def of(key: str, instead: Any = None) -> Any:
        return found.values.get(f"llama.{key}", instead)

    shapes = {name: tensor.shape for name, tensor in found.tensors.items()}
    heads, hidden = of("attention.head_count"), of("embedding_length")
    if not heads or not hidden or not of("block_count"):
        raise TuneError("this GGUF does not say how its model is built: take another file")
    return LlamaConfig(
        vocab_size=shapes["token_embd.weight"][0],
        hidden_size=hidden,
        intermediate_size=of("feed_forward_length"),
        num_hidden_layers=of("block_count"),
        num_attention_heads=heads,
        num_key_value_heads=of("attention.head_count_kv", heads),
        head_dim=of("attention.key_length") or of("rope.dimension_count") or hidden // heads,
        max_position_embeddings=of("context_length", 2048),
        rms_norm_eps=of("attention.layer_norm_rms_epsilon", 1e-5),
        rope_parameters={"rope_type": "default", "rope_theta": of("rope.freq_base", 10000.0)},
        tie_word_embeddings="output.weight" not in shapes,
        bos_token_id=found.values.get("tokenizer.ggml.bos_token_id"),
        eos_token_id=found.values.get("tokenizer.ggml.eos_token_id"),
        pad_token_id=found.values.get("tokenizer.ggml.padding_token_id"),
    )
