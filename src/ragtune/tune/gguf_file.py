"""A GGUF file as dense weights, fast: what a Llama base needs and no more.

transformers reads any GGUF, but walks the vocabulary several times (half a minute for 135M
parameters); this reads a header once. Format: ggml-org/ggml, docs/gguf.md. Bases of other
architectures go through transformers (`base.load`).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ragtune.errors import TuneError

_NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9
_MOST = 1 << 26  # no length in a sound header is beyond this
_BLOCKS = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}  # fmt: skip
_ENDS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor's blocks stand in the file; `shape` as torch has it (rows first)."""

    name: str
    shape: tuple[int, ...]
    kind: int  # ggml type
    offset: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF says about itself. Arrays of the metadata are left out."""

    metadata: Mapping[str, Any]
    tensors: tuple[Tensor, ...]

    @property
    def parameters(self) -> int:
        """How many numbers all tensors hold."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)


def header(path: Path) -> Header:
    """Reads the header of the GGUF in `path`. Raises TuneError where it is none."""
    try:
        with path.open("rb") as stream:
            return _header(stream)
    except (OSError, struct.error, UnicodeDecodeError, KeyError, ValueError) as error:
        raise TuneError(f"{path} is not a GGUF file that can be read: {error}") from None


def _header(stream: BinaryIO) -> Header:
    if stream.read(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version, tensors, pairs = _read(stream, "<IQQ")
    if version not in (2, 3) or max(tensors, pairs) > _MOST:
        raise ValueError(f"version {version}")
    metadata = {}
    for _ in range(pairs):
        key = _string(stream)
        value = _value(stream, _read(stream, "<I")[0])
        if value is not None:
            metadata[key] = value
    found = []
    for _ in range(tensors):
        name = _string(stream)
        count = _read(stream, "<I")[0]
        if count > 4:
            raise ValueError(f"tensor {name} has {count} dimensions")
        sizes = _read(stream, f"<{count}Q")
        kind, offset = _read(stream, "<IQ")
        found.append((name, tuple(reversed(sizes)), kind, offset))
    step = int(metadata.get("general.alignment", 32))
    start = -(-stream.tell() // step) * step
    return Header(metadata, tuple(Tensor(n, s, k, start + o) for n, s, k, o in found))


def _value(stream: BinaryIO, kind: int) -> Any:
    """A value of the metadata; None for an array, which is passed over."""
    if kind == _STRING:
        return _string(stream)
    if kind != _ARRAY:
        return _read(stream, "<" + _NUMBERS[kind])[0]
    inner, count = _read(stream, "<IQ")
    if count > _MOST:
        raise ValueError(f"an array of {count} values")
    if inner in _NUMBERS:
        stream.seek(count * struct.calcsize(_NUMBERS[inner]), 1)
    else:
        for _ in range(count):
            _value(stream, inner)
    return None


def _string(stream: BinaryIO) -> str:
    (size,) = _read(stream, "<Q")
    if size > _MOST:
        raise ValueError(f"a text of {size} bytes")
    return stream.read(size).decode("utf-8", "replace")


def _read(stream: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, stream.read(struct.calcsize(form)))


# ---------------------------------------------------------------- Llama


def is_plain_llama(found: Header) -> bool:
    """Whether `llama` below knows all that the file holds: no biases, experts, scaled RoPE."""
    known = {name for name, _ in _names(found)}
    return found.metadata.get("general.architecture") == "llama" and len(known) == len(
        found.tensors
    )


def llama(path: Path, found: Header, dtype: str) -> Any:
    """The transformers model with the weights of a plain Llama GGUF, dequantised.

    Exactly what transformers' own reading gives (tests/integration/test_tune_base.py).
    """
    import numpy as np
    import torch
    from gguf import quants
    from gguf.constants import GGMLQuantizationType
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
    blob = np.memmap(path, dtype=np.uint8, mode="r")
    with torch.no_grad():
        for name, tensor in _names(found):
            quant = GGMLQuantizationType(tensor.kind)
            rows, columns = math.prod(tensor.shape[:-1]), tensor.shape[-1]
            block, size = quants.GGML_QUANT_SIZES[quant]
            length = rows * (columns // block * size)
            raw = np.asarray(blob[tensor.offset : tensor.offset + length]).reshape(rows, -1)
            values = quants.dequantize(raw, quant).reshape(tensor.shape)
            if ".q_proj" in name or ".k_proj" in name:
                heads = config.num_attention_heads
                values = _unpermuted(
                    values, heads if "q_proj" in name else config.num_key_value_heads
                )
            places[name].copy_(torch.from_numpy(np.array(values)))
    return model.eval()


def _unpermuted(values: Any, heads: int) -> Any:
    """Rows as transformers has them: llama.cpp keeps the two halves of RoPE interleaved."""
    half = values.shape[0] // heads // 2
    return values.reshape(heads, half, 2, -1).swapaxes(1, 2).reshape(values.shape)


def _config(found: Header) -> Any:
    from transformers import LlamaConfig

    def of(key: str, instead: Any = None) -> Any:
        return found.metadata.get(f"llama.{key}", instead)

    shapes = {tensor.name: tensor.shape for tensor in found.tensors}
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
        bos_token_id=found.metadata.get("tokenizer.ggml.bos_token_id"),
        eos_token_id=found.metadata.get("tokenizer.ggml.eos_token_id"),
        pad_token_id=found.metadata.get("tokenizer.ggml.padding_token_id"),
    )


def _names(found: Header) -> Iterator[tuple[str, Tensor]]:
    """Tensors with the names that transformers uses; those that are not known are left out."""
    for tensor in found.tensors:
        parts = tensor.name.split(".")
        if parts[-1] != "weight":
            continue
        if len(parts) == 2 and parts[0] in _ENDS:
            yield f"{_ENDS[parts[0]]}.weight", tensor
        elif len(parts) == 4 and parts[0] == "blk" and parts[2] in _BLOCKS:
            yield f"model.layers.{parts[1]}.{_BLOCKS[parts[2]]}.weight", tensor
