"""A trained PEFT folder in the terms of llama.cpp: its matrices by GGUF tensor name.

Hugging Face and llama.cpp keep the rows of a Llama's query and key projections in different order:
rotary embedding turns pairs of dimensions, Hugging Face pairs the first half of a head with the
second, llama.cpp neighbours (`permute` in llama.cpp's convert_hf_to_gguf.py). What is added to
those matrices has to change places with them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune.errors import TuneError, WeightsError
from ragtune.models import gguf_file
from ragtune.models.gguf_file import GgufFile, Tensor

if TYPE_CHECKING:  # numpy costs 80 ms to import
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

PARTS = {  # Hugging Face module of a layer → llama.cpp tensor of a block
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_OUTSIDE = {  # llama.cpp's tensors outside the layers → Hugging Face's
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_IN_LAYER = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    **{ours: theirs for theirs, ours in PARTS.items()},
}
_PAIR = re.compile(r"base_model\.model\.model\.layers\.(\d+)\.(\w+\.\w+)\.lora_([AB])\.weight")
# Options of PEFT that change what is computed; llama.cpp knows none of them.
_UNKNOWN_TO_LLAMA_CPP = (
    "use_dora", "fan_in_fan_out", "modules_to_save", "alpha_pattern", "rank_pattern", "lora_bias",
    "trainable_token_indices", "target_parameters", "use_qalora", "layer_replication",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Base:
    """A base model's GGUF file, and what export needs to know of its shape."""

    file: GgufFile
    layers: int
    heads: int
    heads_kv: int

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    def shape(self, tensor: str) -> tuple[int, ...]:
        """(rows, columns) of a tensor; (0, 0) where there is none of this name."""
        found = self.file.tensors.get(tensor)
        return found.shape if found and len(found.shape) == 2 else (0, 0)


@dataclass(frozen=True, slots=True)
class Lora:
    """A low-rank change of some matrices W: W + scale · B A, scale = alpha / rank.

    `pairs` maps a GGUF tensor name to A, shape (rank, columns), and B, shape (rows, rank), rows in
    llama.cpp's order. Source: Hu et al., 2106.09685.
    """

    alpha: float
    rank: int
    pairs: Mapping[str, tuple[Matrix, Matrix]]

    @property
    def scale(self) -> float:
        """What B A is multiplied by."""
        return self.alpha / self.rank


def read_base(path: Path) -> Base:
    """The Llama in a GGUF file. Raises TuneError for other architectures and damaged files."""
    try:
        file = gguf_file.read(path)
    except WeightsError as error:
        raise TuneError(f"{error}: name the base model's GGUF in `model`") from None
    values = file.values
    if values.get("general.architecture") != "llama" or values.get("general.type") == "adapter":
        raise TuneError(
            f"{path} is not a model of the llama architecture (Llama, SmolLM, Mistral): only these "
            "can be tuned here"
        )
    try:
        heads = int(values["llama.attention.head_count"])
        heads_kv = int(values.get("llama.attention.head_count_kv") or heads)
        return Base(file, int(values["llama.block_count"]), heads, heads_kv)
    except (KeyError, TypeError, ValueError):
        raise TuneError(f"{path} does not say how many layers and heads it has") from None


def read_adapter(path: Path, base: Base) -> Lora:
    """The adapter in a GGUF file, as it is served, checked against its base.

    Raises TuneError where the file is no adapter, or not one for `base`.
    """
    try:
        file = gguf_file.read(path)
    except WeightsError as error:
        raise TuneError(str(error)) from None
    if file.values.get("adapter.type") != "lora":
        raise TuneError(f"{path} is not a LoRA adapter")
    halves: dict[str, dict[str, Matrix]] = {}
    for name, tensor in file.tensors.items():
        target, _, letter = name.rpartition(".lora_")
        halves.setdefault(target, {})[letter.upper()] = matrix(file, tensor)
    rank = next((half["A"].shape[0] for half in halves.values() if "A" in half), 0)
    alpha = float(file.values.get("adapter.lora.alpha", 0.0)) or float(rank)
    return Lora(alpha, rank, _checked(halves, rank, base, path))


def matrix(file: GgufFile, tensor: Tensor) -> Matrix:
    """A tensor's numbers as fp32, whatever they are stored in. Raises TuneError."""
    import gguf
    import numpy as np

    try:
        kind = gguf.GGMLQuantizationType(tensor.type)
        return np.asarray(gguf.dequantize(raw(file, tensor), kind), np.float32)
    except (ValueError, KeyError, NotImplementedError):
        raise TuneError(
            f"{file.path}: {tensor.name} is stored as ggml type {tensor.type}, which cannot be "
            "read here: take a q8_0, q4_1 or f16 file of the base"
        ) from None


def raw(file: GgufFile, tensor: Tensor) -> NDArray[np.uint8]:
    """A tensor's bytes as they are stored, a row of the matrix in each row; on disk until read."""
    import gguf
    import numpy as np

    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(tensor.type)]
    *rows, columns = tensor.shape
    wide = columns // block * size
    if columns % block or tensor.start + math.prod(rows) * wide > file.size:
        raise TuneError(f"{file.path} is damaged: {tensor.name} reaches beyond its end")
    return np.memmap(file.path, np.uint8, "r", tensor.start, (*rows, wide))


def read_peft(folder: Path, base: Base) -> Lora:
    """The adapter in a PEFT folder, checked against the base it is meant for.

    Raises TuneError where the folder is incomplete, uses what llama.cpp cannot do, or does not fit
    `base`.
    """
    import numpy as np

    config = _config(folder)
    try:
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
    except (KeyError, TypeError, ValueError):
        raise TuneError(f"{folder / CONFIG} has no rank or alpha: train again") from None
    if rank < 1 or not np.isfinite(alpha):
        raise TuneError(f"{folder / CONFIG}: rank {rank} and alpha {alpha} are no LoRA")
    if config.get("use_rslora"):  # Kalajdzievski, 2312.03732: alpha / sqrt(rank)
        alpha *= rank**0.5
    halves: dict[str, dict[str, Matrix]] = {}
    for name, tensor in load_safetensors(folder / WEIGHTS).items():
        match = _PAIR.fullmatch(name)
        part = PARTS.get(match[2]) if match else None
        if match is None or part is None:
            raise TuneError(
                f"{folder / WEIGHTS}: llama.cpp has no adapter for {name!r}: train the linear "
                "layers only"
            )
        halves.setdefault(f"blk.{int(match[1])}.{part}.weight", {})[match[3]] = tensor
    pairs = _checked(halves, rank, base, folder)
    return Lora(alpha, rank, {n: (a, permute(b, n, base)) for n, (a, b) in pairs.items()})


def _checked(
    halves: Mapping[str, Mapping[str, Matrix]], rank: int, base: Base, where: Path
) -> dict[str, tuple[Matrix, Matrix]]:
    """The pairs of A and B, each of them fit for its matrix in the base. Raises TuneError."""
    import numpy as np

    if not halves or rank < 1:
        raise TuneError(f"{where} holds no adapter: train again")
    pairs = {}
    for name, half in sorted(halves.items()):
        rows, columns = base.shape(name)
        shapes = tuple(half[letter].shape if letter in half else () for letter in "AB")
        if shapes != ((rank, columns), (rows, rank)):
            raise TuneError(
                f"{where} does not fit {base.path.name}: {name} is {rows} × {columns} there, the "
                f"adapter's parts are {shapes[0]} and {shapes[1]}: use the base that it was "
                "trained on"
            )
        if not (np.isfinite(half["A"]).all() and np.isfinite(half["B"]).all()):
            raise TuneError(f"{where}: {name} holds numbers that are not finite: train again")
        pairs[name] = (half["A"], half["B"])
    return pairs


def hugging_face(name: str) -> str | None:
    """The Hugging Face name of a Llama's GGUF tensor; None for one that a plain Llama has not."""
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    block, _, part = name.partition(".")[2].partition(".")
    inner, _, last = part.rpartition(".")
    if not name.startswith("blk.") or not block.isdigit() or last != "weight":
        return None
    return f"model.layers.{block}.{_IN_LAYER[inner]}.weight" if inner in _IN_LAYER else None


def permute(rows: Matrix, tensor: str, base: Base) -> Matrix:
    """`rows` (in Hugging Face's order) in llama.cpp's order for this tensor."""
    heads = _rotated(tensor, base)
    if heads == 0:
        return rows
    split = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return split.swapaxes(1, 2).reshape(rows.shape)


def unpermute(rows: Matrix, tensor: str, base: Base) -> Matrix:
    """The inverse of `permute`."""
    heads = _rotated(tensor, base)
    if heads == 0:
        return rows
    split = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return split.swapaxes(1, 2).reshape(rows.shape)


def _rotated(tensor: str, base: Base) -> int:
    """How many heads of a tensor are rotated; 0 for a tensor without rotary embedding."""
    part = tensor.rsplit(".", 2)[-2]
    return {"attn_q": base.heads, "attn_k": base.heads_kv}.get(part, 0)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text("utf-8"))
    except OSError:
        raise TuneError(f"no trained adapter in {folder}: {CONFIG} is missing") from None
    except ValueError as error:
        raise TuneError(f"{path} is damaged: {error}") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise TuneError(f"{path} is not of a LoRA adapter: only these can be exported")
    used = [key for key in _UNKNOWN_TO_LLAMA_CPP if config.get(key)]
    if config.get("bias", "none") != "none":
        used.append("bias")
    if used:
        raise TuneError(f"{path} uses {', '.join(used)}, which llama.cpp cannot: train without")
    return config


def load_safetensors(path: Path) -> dict[str, Matrix]:
    """The tensors of a safetensors file as fp32; bfloat16, which numpy lacks, is read too."""
    import numpy as np
    from safetensors import SafetensorError, deserialize

    kinds = {"F32": np.float32, "F16": np.float16, "F64": np.float64}
    try:
        stored = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except OSError:
        raise TuneError(f"no trained adapter in {path.parent}: {path.name} is missing") from None
    except SafetensorError as error:
        raise TuneError(f"{path} is damaged: {_line(error)}") from None
    loaded = {}
    for name, entry in stored:
        data, shape, kind = entry["data"], entry["shape"], entry["dtype"]
        if kind == "BF16":  # the upper half of an fp32
            wide = np.frombuffer(data, "<u2").astype(np.uint32) << 16
            loaded[name] = wide.view(np.float32).reshape(shape)
        elif kind in kinds:
            loaded[name] = np.frombuffer(data, kinds[kind]).reshape(shape).astype(np.float32)
        else:
            raise TuneError(f"{path}: {name} holds {kind}, not floating-point numbers")
    return loaded


def _line(value: object) -> str:
    return " ".join(str(value).split())[:200] or type(value).__name__
