"""What serving needs of a trained adapter: its file for llama.cpp, behind the parity gate.

An adapter for llama.cpp is the PEFT folder with other names; it needs the base beside it. The
formats for others are made from that file (`ragtune.export`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragtune.errors import TuneError
from ragtune.models import adapters, gguf_file
from ragtune.tune import convert, parity
from ragtune.tune.parity import Parity
from ragtune.tune.whole import whole

if TYPE_CHECKING:
    from ragtune.tune.chat import Encoded

AdapterType = Literal["f16", "q8_0"]
PARITY = "parity.json"  # beside adapter.gguf: what the trainer's model says
_F16, _Q8_0 = 1, 8  # ggml's numbers


def gguf_adapter(peft_folder: Path, base_gguf: Path, out: Path, kind: AdapterType = "f16") -> Path:
    """Writes the PEFT adapter as a LoRA file for llama.cpp (GGUF, `general.type` "adapter").

    `out` appears whole or not at all. In q8_0 a matrix whose rows are no multiple of 32 long (all
    of B at rank 16) stays f16. Raises TuneError where adapter and base do not match.
    """
    import gguf
    import numpy as np

    base = convert.read_base(base_gguf)
    adapter = convert.read_peft(peft_folder, base)
    entries = [
        gguf_file.entry("general.architecture", "llama"),
        gguf_file.entry("general.type", "adapter"),
        gguf_file.entry("adapter.type", "lora"),
        gguf_file.entry("adapter.lora.alpha", adapter.alpha),
    ]
    tensors, data = [], []
    for name, pair in adapter.pairs.items():
        for letter, matrix in zip("ab", pair, strict=True):
            if np.abs(matrix).max() > np.finfo(np.float16).max:
                raise TuneError(f"{name} is too large for f16: the training diverged")
            small = kind == "q8_0" and matrix.shape[1] % 32 == 0
            type_ = _Q8_0 if small else _F16
            stored = gguf.quantize(matrix, gguf.GGMLQuantizationType(type_))
            tensors.append((f"{name}.lora_{letter}", matrix.shape, type_, stored.nbytes))
            data.append(np.ascontiguousarray(stored))
    with whole(out) as made, made.open("wb") as file:
        gguf_file.write(file, entries, tensors, data)
    return out


# ---------------------------------------------------------------- with the gate


def finish(
    folder: Path, base_gguf: Path, model: Any, heldout: Sequence[Encoded], threads: int = 0
) -> Parity:
    """Makes what serving needs of a run: adapter.gguf from peft/, compared with the trainer.

    `model` is the trainer's model with the adapter at work; it answers the first of `heldout`,
    which is kept in parity.json for later exports. Raises TuneError, and leaves no adapter.gguf,
    where the two differ by more than the tolerance.
    """
    if model.device.type == "cpu":
        model.float()  # computing in bfloat16 drifts five times as far as llama.cpp's rounding does
    made = parity.reference(model, heldout)
    with whole(folder / adapters.FILE) as new:
        gguf_adapter(folder / "peft", base_gguf, new)
        found = parity.measure(made, base_gguf, new, threads=threads)
        parity.gate(found, "adapter")
        parity.write_reference(folder / PARITY, made)
    return found
