"""The tiny base as a GGUF file, written with the gguf package: an independent way of doing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny_base

NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def model(seed: int = 0) -> Any:
    """The tiny base with weights so large that its next tokens differ: mistakes must show."""
    import torch

    made = tiny_base.base(seed=seed).model
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if weight.dim() == 2:
                drawn = torch.randn(weight.shape, generator=generator)
                scale = 0.35 if "embed" in name else 1.2 / weight.shape[1] ** 0.5
                weight.copy_((drawn * scale).half().float())  # f16 in the file is exact
    return made


def write(path: Path, made: Any, template: str | None = tiny_base.CHATML) -> Path:
    """Writes `made` as f16; rows of q and k as llama.cpp orders them: each head's halves zipped."""
    import gguf
    import numpy as np

    config = made.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    tokenizer = tiny_base.tokenizer()
    tokens = [tokenizer.convert_ids_to_tokens(i) for i in range(len(tokenizer))]
    tokens += [f"[PAD{i}]" for i in range(len(tokens), config.vocab_size)]
    special = set(tiny_base.SPECIAL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([
        gguf.TokenType.CONTROL if t in special
        else gguf.TokenType.UNUSED if t.startswith("[PAD") else gguf.TokenType.NORMAL
        for t in tokens
    ])  # fmt: skip
    merges = tokenizer.backend_tokenizer.to_str()
    import json

    writer.add_token_merges([" ".join(pair) for pair in json.loads(merges)["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
    for name, tensor in made.state_dict().items():
        weights = tensor.float().numpy()
        if name == "model.embed_tokens.weight":
            target = "token_embd.weight"
        elif name == "model.norm.weight":
            target = "output_norm.weight"
        elif name == "lm_head.weight":
            continue  # tied
        else:
            _, _, layer, rest = name.split(".", 3)
            part = NAMES[rest.removesuffix(".weight")]
            target = f"blk.{layer}.{part}.weight"
            heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
            if part in heads:
                half = config.head_dim // 2
                order = [
                    head * config.head_dim + side * half + pair
                    for head in range(heads[part]) for pair in range(half) for side in (0, 1)
                ]  # fmt: skip
                weights = weights[order]
        kind = np.float32 if weights.ndim == 1 else np.float16
        writer.add_tensor(target, np.ascontiguousarray(weights, kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
