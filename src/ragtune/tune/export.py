"""What was trained, in the formats of those who serve it.

An adapter for llama.cpp is the PEFT folder with other names; it needs the base beside it. A merged
model is base and adapter in one file. Everything is computed with numpy from the base's own GGUF
file: what is served is what was trained on, not another copy of the base.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from ragtune.errors import TuneError
from ragtune.tune import lora

AdapterType = Literal["f16", "q8_0"]


def gguf_adapter(peft_folder: Path, base_gguf: Path, out: Path, kind: AdapterType = "f16") -> Path:
    """Writes the PEFT adapter as a LoRA file for llama.cpp (GGUF, `general.type` "adapter").

    `out` appears whole or not at all. In q8_0 a matrix whose rows are no multiple of 32 long (all
    of B at rank 16) stays f16. Raises TuneError where adapter and base do not match.
    """
    import gguf
    import numpy as np

    base = lora.read_base(base_gguf)
    adapter = lora.read_peft(peft_folder, base)
    with whole(out) as made:
        writer = gguf.GGUFWriter(made, base.architecture)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, adapter.alpha)
        for name, pair in adapter.pairs.items():
            for letter, matrix in zip("ab", pair, strict=True):
                tensor = f"{name}.lora_{letter}"
                if kind == "q8_0" and matrix.shape[1] % 32 == 0:
                    q8_0 = gguf.GGMLQuantizationType.Q8_0
                    writer.add_tensor(tensor, gguf.quantize(matrix, q8_0), raw_dtype=q8_0)
                else:
                    if np.abs(matrix).max() > np.finfo(np.float16).max:
                        raise TuneError(f"{tensor} is too large for f16: the training diverged")
                    writer.add_tensor(tensor, np.ascontiguousarray(matrix, np.float16))
        _write(writer)
    return out


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A path beside `out` to write a file to; it becomes `out` at the end, and only then."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    except OSError as error:
        raise TuneError(f"cannot write {out}: {error.strerror}") from None
    os.close(number)
    made = Path(name)
    try:
        yield made
        made.chmod(0o666 & ~_umask())
        with made.open("rb") as written:
            os.fsync(written.fileno())
        made.replace(out)
    except OSError as error:
        raise TuneError(f"cannot write {out}: {error.strerror}") from None
    finally:
        made.unlink(missing_ok=True)


def _umask() -> int:
    """What the user takes from new files; mkstemp takes more."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _write(writer: object) -> None:
    writer.write_header_to_file()  # type: ignore[attr-defined]
    writer.write_kv_data_to_file()  # type: ignore[attr-defined]
    writer.write_tensors_to_file()  # type: ignore[attr-defined]
    writer.close()  # type: ignore[attr-defined]
