"""A trained PEFT folder in the terms of llama.cpp: its matrices by GGUF tensor name.

Hugging Face and llama.cpp keep the rows of a Llama's query and key projections in different order:
rotary embedding turns pairs of dimensions, Hugging Face pairs the first half of a head with the
second, llama.cpp neighbours (`permute` in llama.cpp's convert_hf_to_gguf.py). What is added to
those matrices has to change places with them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune.errors import TuneError

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
_PAIR = re.compile(r"base_model\.model\.model\.layers\.(\d+)\.(\w+\.\w+)\.lora_([AB])\.weight")
# Options of PEFT that change what is computed; llama.cpp knows none of them.
_UNKNOWN_TO_LLAMA_CPP = (
    "use_dora", "fan_in_fan_out", "modules_to_save", "alpha_pattern", "rank_pattern", "lora_bias",
    "trainable_token_indices", "target_parameters", "use_qalora", "layer_replication",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Base:
    """What export needs to know of a base GGUF: its shape, and each tensor's (rows, columns)."""

    path: Path
    architecture: str
    layers: int
    heads: int
    heads_kv: int
    shapes: Mapping[str, tuple[int, ...]]


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


def open_gguf(path: Path) -> Any:
    """A gguf.GGUFReader on `path`. Raises TuneError for what is no GGUF file."""
    import gguf

    try:
        return gguf.GGUFReader(path)
    except Exception as error:  # ValueError, IndexError, OverflowError, KeyError … of a parser
        raise TuneError(
            f"{path} is not a GGUF file that can be read: {_line(error)}: name the base model's "
            "GGUF in `model`"
        ) from None


def read_base(path: Path, reader: Any = None) -> Base:
    """The shape of the Llama in a GGUF file. Raises TuneError for other architectures."""
    reader = reader or open_gguf(path)

    def value(key: str) -> Any:
        found = reader.get_field(key)
        return None if found is None else found.contents()

    architecture = str(value("general.architecture"))
    if architecture != "llama" or value("general.type") == "adapter":
        raise TuneError(
            f"{path} holds {architecture!r}, not a model of the llama architecture (Llama, "
            "SmolLM, Mistral): only these can be tuned here"
        )
    heads = int(value("llama.attention.head_count"))
    return Base(
        path,
        architecture,
        int(value("llama.block_count")),
        heads,
        int(value("llama.attention.head_count_kv") or heads),
        {t.name: tuple(int(n) for n in reversed(t.shape)) for t in reader.tensors},
    )


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
    if not halves:
        raise TuneError(f"{folder / WEIGHTS} holds no adapter: train again")
    pairs = {}
    for name, half in sorted(halves.items()):
        wanted = base.shapes.get(name, (0, 0))
        shapes = tuple(half[letter].shape if letter in half else () for letter in "AB")
        if shapes != ((rank, wanted[-1]), (wanted[0], rank)):
            raise TuneError(
                f"the adapter in {folder} does not fit {base.path.name}: {name} is "
                f"{' × '.join(map(str, wanted))}, the adapter has {shapes[0]} and {shapes[1]}: "
                "use the base that it was trained on"
            )
        if not (np.isfinite(half["A"]).all() and np.isfinite(half["B"]).all()):
            raise TuneError(f"{folder / WEIGHTS}: {name} holds numbers that are not finite")
        pairs[name] = (half["A"], permute(half["B"], name, base))
    return Lora(alpha, rank, pairs)


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
