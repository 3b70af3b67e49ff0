"""Base and adapter as one model: W + scale · B A, written as GGUF or as a Hugging Face folder.

Computed with numpy, matrix by matrix, from the base's own GGUF file: no second copy of the base, no
torch, and no more memory than a few matrices.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragtune.errors import TuneError
from ragtune.models import gguf_file
from ragtune.models.gguf_file import Tensor
from ragtune.tune import convert
from ragtune.tune.convert import Base, Lora

if TYPE_CHECKING:  # numpy costs 80 ms to import
    from ragtune.tune.convert import Matrix

MergedType = Literal["q8_0", "q4_0", "f16"]
_GGML = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8}
_FILE_TYPE = {"f16": 1, "q4_0": 2, "q8_0": 7}  # `general.file_type`: what most tensors are
_ENDS = ("token_embd.weight", "output.weight")  # the vocabulary's matrices
_SCALING = "llama.rope.scaling."


def merged_matrix(base: Base, adapter: Lora, tensor: Tensor) -> Matrix:
    """A tensor of the merged model as fp32, rows in llama.cpp's order."""
    weights = convert.matrix(base.file, tensor)
    pair = adapter.pairs.get(tensor.name)
    if pair is None:
        return weights
    changed: Matrix = weights + adapter.scale * (pair[1] @ pair[0])
    return changed


def write_gguf(base: Base, adapter: Lora, made: Path, kind: MergedType, name: str) -> None:
    """Writes the merged model to `made`: the base's metadata, its matrices changed, as `kind`.

    In q4_0 the vocabulary's matrices are q8_0: they take part in every token. What the adapter
    does not touch is copied as it is where it has that type already. Vectors (the norms) stay as
    they are.
    """
    import gguf
    import numpy as np

    def type_of(tensor: Tensor) -> int:
        if len(tensor.shape) < 2:
            return tensor.type
        if kind == "f16" or tensor.shape[-1] % 32:
            return _GGML["f16"]
        return _GGML["q8_0" if tensor.name in _ENDS else kind]

    def size_of(tensor: Tensor, type_: int) -> int:
        block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(type_)]
        return math.prod(tensor.shape) // int(block) * int(size)

    def data(tensor: Tensor, type_: int) -> Any:
        if type_ == tensor.type and tensor.name not in adapter.pairs:
            return np.ascontiguousarray(convert.raw(base.file, tensor))
        merged = merged_matrix(base, adapter, tensor)
        if type_ == _GGML["f16"] and np.abs(merged).max() > np.finfo(np.float16).max:
            raise TuneError(f"{tensor.name} is too large for f16: the training diverged")
        return np.ascontiguousarray(gguf.quantize(merged, gguf.GGMLQuantizationType(type_)))

    typed = [(tensor, type_of(tensor)) for tensor in base.file.tensors.values()]
    entries = dict(base.file.entries)
    entries.pop("general.alignment", None)  # ours is the usual one
    entries["general.name"] = gguf_file.entry("general.name", name)
    entries["general.file_type"] = gguf_file.entry("general.file_type", _FILE_TYPE[kind])
    with made.open("wb") as file:
        gguf_file.write(
            file,
            entries.values(),
            [(t.name, t.shape, type_, size_of(t, type_)) for t, type_ in typed],
            (data(tensor, type_) for tensor, type_ in typed),
        )


def write_safetensors(
    base: Base, adapter: Lora, folder: Path, kind: Literal["F16", "F32"] = "F16"
) -> None:
    """Writes the merged model to `folder` as transformers loads it: weights and config.

    Tied embeddings stay tied: without `output.weight` in the base there is no `lm_head.weight`.
    The tokenizer is written by `write_tokenizer`.
    """
    import numpy as np

    tensors = {_hugging_face(name): tensor for name, tensor in base.file.tensors.items()}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in tensors.items():
        size = (2 if kind == "F16" else 4) * math.prod(tensor.shape)
        header[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, tensor in tensors.items():
            rows = convert.unpermute(merged_matrix(base, adapter, tensor), tensor.name, base)
            if kind == "F16" and np.abs(rows).max() > np.finfo(np.float16).max:
                raise TuneError(f"{name} is too large for f16: the training diverged")
            file.write(np.ascontiguousarray(rows, "<f2" if kind == "F16" else "<f4").data)
    for file_name, values in _configs(base, "float16" if kind == "F16" else "float32"):
        (folder / file_name).write_text(json.dumps(values, indent=2) + "\n", "utf-8")


def write_tokenizer(base: Base, folder: Path) -> None:
    """Writes the base's tokenizer and chat template to `folder` (needs transformers)."""
    from ragtune.tune import base as bases

    bases.load_tokenizer(base.path).save_pretrained(folder)


def _hugging_face(name: str) -> str:
    """The Hugging Face name of a Llama's tensor. Raises TuneError for one it has no place for."""
    found = convert.hugging_face(name)
    if found is None:
        raise TuneError(
            f"the base has a tensor {name!r} that a plain Llama in transformers has not: export "
            "gguf instead"
        )
    return found


def _configs(base: Base, dtype: str) -> Iterator[tuple[str, dict[str, Any]]]:
    values = base.file.values
    if values.get(_SCALING + "type", "none") != "none":
        raise TuneError("the base scales its rotary embedding: export gguf instead of safetensors")
    width = int(values["llama.embedding_length"])
    theta = float(values.get("llama.rope.freq_base", 10_000.0))
    special = {
        f"{part}_token_id": int(values[key])
        for part, key in (
            ("bos", "tokenizer.ggml.bos_token_id"),
            ("eos", "tokenizer.ggml.eos_token_id"),
            ("pad", "tokenizer.ggml.padding_token_id"),
        )
        if key in values
    }
    yield (
        "config.json",
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": base.shape("token_embd.weight")[0],
            "hidden_size": width,
            "intermediate_size": int(values["llama.feed_forward_length"]),
            "num_hidden_layers": base.layers,
            "num_attention_heads": base.heads,
            "num_key_value_heads": base.heads_kv,
            "head_dim": int(values.get("llama.attention.key_length", width // base.heads)),
            "max_position_embeddings": int(values["llama.context_length"]),
            "rms_norm_eps": float(values["llama.attention.layer_norm_rms_epsilon"]),
            # transformers 5 reads the second, earlier versions the first
            "rope_theta": theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": theta},
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": "output.weight" not in base.file.tensors,
            "torch_dtype": dtype,
            "dtype": dtype,
            **special,
        },
    )
    yield "generation_config.json", {"do_sample": False, **special}
