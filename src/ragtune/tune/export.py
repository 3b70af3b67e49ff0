"""What was trained, in the formats of those who serve it.

An adapter for llama.cpp is the PEFT folder with other names; it needs the base beside it. All other
formats are made from that file, so that they hold what was checked and served, not another
copy: `gguf` and `safetensors` merged with the base, `peft` for vLLM and further training,
`ollama` a folder for `ollama create`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragtune.errors import TuneError
from ragtune.models import adapters, gguf_file, weights
from ragtune.tune import convert, merge, ollama, parity
from ragtune.tune.parity import Parity
from ragtune.types import OnProgress, Progress

if TYPE_CHECKING:
    from ragtune.models.adapters import Listed, Passport
    from ragtune.tune.chat import Encoded
    from ragtune.tune.convert import Base, Lora

AdapterType = Literal["f16", "q8_0"]
Format = Literal["gguf", "safetensors", "peft", "ollama"]
Type = Literal["q8_0", "q4_0", "f16", "adapter"]
PARITY = "parity.json"  # beside adapter.gguf: what the trainer's model says
_F16, _Q8_0 = 1, 8  # ggml's numbers


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export made: bytes in all, and how near it is to what was trained.

    `parity` is None for a PEFT folder, which holds the same numbers.
    """

    path: str
    format: Format
    type: Type
    bytes: int
    parity: Parity | None


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


def write_peft(base: Base, adapter: Lora, passport: Passport, folder: Path) -> None:
    """Writes the adapter to `folder` as PEFT and vLLM load it, with a README that names its base.

    The README says which base it needs and what it was trained on.
    """
    import numpy as np
    from safetensors.numpy import save_file

    theirs = {ours: name for name, ours in convert.PARTS.items()}
    tensors = {}
    for name, (a, b) in adapter.pairs.items():
        _, layer, part, _ = name.split(".")
        stem = f"base_model.model.model.layers.{layer}.{theirs[part]}"
        tensors[f"{stem}.lora_A.weight"] = np.ascontiguousarray(a)
        tensors[f"{stem}.lora_B.weight"] = np.ascontiguousarray(convert.unpermute(b, name, base))
    save_file(tensors, folder / convert.WEIGHTS, metadata={"format": "pt"})
    alpha = int(adapter.alpha) if adapter.alpha == int(adapter.alpha) else adapter.alpha
    modules = sorted({name.split(".")[-3] for name in tensors})
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": adapter.rank, "lora_alpha": alpha,
        "lora_dropout": 0.0, "bias": "none", "target_modules": modules, "inference_mode": True,
        "base_model_name_or_path": passport.base,
    }  # fmt: skip
    (folder / convert.CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    (folder / "README.md").write_text(readme(passport), "utf-8")


def readme(passport: Passport) -> str:
    """The model card of an exported adapter."""
    scores = "".join(f"- {name}: {value:g}\n" for name, value in passport.scores.items())
    return f"""---
base_model: {json.dumps(passport.base)}
library_name: peft
---
# {passport.name}

A LoRA adapter over `{passport.base}` (GGUF with SHA-256 `{passport.base_sha256}`), mode
`{passport.mode}`, trained on data with SHA-256 `{passport.data_sha256}` on {passport.created}.
It works with that base only, in that base's chat template.

{scores}"""


def write_ollama(
    base: Base, adapter: Lora, passport: Passport, folder: Path, kind: merge.MergedType
) -> None:
    """Writes model.gguf (merged) and a Modelfile: `ollama create NAME -f Modelfile` there."""
    text = ollama.modelfile(base.file, passport)
    merge.write_gguf(base, adapter, folder / ollama.MODEL, kind, passport.name)
    (folder / "Modelfile").write_text(text, "utf-8")


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


def export(
    one: Listed,
    base_gguf: Path,
    kind: Format,
    out: Path,
    type_: Type = "q8_0",
    on_progress: OnProgress | None = None,
    threads: int = 0,
) -> Exported:
    """Writes adapter `one` to `out` in another format, compared with what was trained.

    `gguf` is one file (`type_` "adapter": for llama-server beside the base; otherwise merged), the
    other formats are folders. `out` must not exist; it appears whole, and only when the export is
    within the tolerance. Raises TuneError.
    """
    passport = one.passport
    if passport is None:
        raise TuneError(f"model {one.name!r} cannot be exported: {one.problem}")
    if weights.sha256(base_gguf) != passport.base_sha256:
        raise TuneError(
            f"model {one.name!r} was trained on another base than {base_gguf.name}: set `model` to "
            f"{passport.base}"
        )
    if kind not in ("gguf", "ollama"):
        type_ = "f16"
    elif kind == "ollama" and type_ == "adapter":
        raise TuneError("ollama needs the merged model: --type q8_0, q4_0 or f16")
    if kind == "gguf" and out.exists():
        raise TuneError(f"{out} exists already: name another place, or remove it")
    say = on_progress or (lambda _: None)
    say(Progress("export", 0, 3, "read"))
    base = convert.read_base(base_gguf)
    adapter = convert.read_adapter(one.folder / adapters.FILE, base)
    found: Parity | None = None
    with (whole if kind == "gguf" else whole_folder)(out) as made:
        say(Progress("export", 1, 3, "write"))
        if kind == "peft":
            write_peft(base, adapter, passport, made)
            _same(adapter, convert.read_peft(made, base))
        elif kind == "safetensors":
            merge.write_safetensors(base, adapter, made)
            merge.write_tokenizer(base, made)
        elif kind == "ollama":
            write_ollama(base, adapter, passport, made, _merged(type_))
        elif type_ == "adapter":
            shutil.copyfile(one.folder / adapters.FILE, made)
        else:
            merge.write_gguf(base, adapter, made, _merged(type_), passport.name)
        say(Progress("export", 2, 3, "compare"))
        if kind != "peft":
            made_from = parity.read_reference(one.folder / PARITY)
            effect = float(passport.parity.get("effect", 0.0))
            if kind == "safetensors":
                found = parity.measure_folder(made_from, made, effect)
            elif type_ == "adapter":
                found = parity.measure(made_from, base_gguf, made, threads=threads)
            else:
                model = made / ollama.MODEL if kind == "ollama" else made
                found = parity.measure(made_from, model, effect=effect, threads=threads)
            parity.gate(found, kind if kind == "safetensors" else type_)
    say(Progress("export", 3, 3))
    size = sum(file.stat().st_size for file in (out, *out.rglob("*")) if file.is_file())
    return Exported(str(out), kind, type_, size, found)


def _merged(type_: Type) -> merge.MergedType:
    if type_ == "adapter":
        raise TuneError("an adapter alone is no merged model: --type q8_0, q4_0 or f16")
    return type_


def _same(adapter: Lora, written: Lora) -> None:
    """Raises TuneError unless what was written reads as the same matrices."""
    import numpy as np

    same = adapter.scale == written.scale and adapter.pairs.keys() == written.pairs.keys()
    for name, pair in adapter.pairs.items():
        same = same and all(map(np.array_equal, pair, written.pairs[name]))
    if not same:
        raise TuneError("the PEFT folder does not read as what was written: check the disk")


# ---------------------------------------------------------------- whole or not at all


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A path beside `out` to write a file to; it becomes `out` at the end, and only then."""
    made = _beside(out)
    try:
        yield made
        with made.open("rb") as written:
            os.fsync(written.fileno())
        made.replace(out)
    except OSError as error:
        raise _cannot(out, error) from None
    finally:
        made.unlink(missing_ok=True)


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` to fill; it becomes `out` at the end, which must not exist before."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise TuneError(f"{out} exists already: name another place, or remove it")
    made = _beside(out)
    try:
        made.mkdir()
        yield made
        made.replace(out)
    except OSError as error:
        raise _cannot(out, error) from None
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _beside(out: Path) -> Path:
    """A new name in the folder of `out`, which is made if it is not there."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot(out, error) from None
    return out.parent / f".{out.name}.{secrets.token_hex(4)}"


def _cannot(out: Path, error: OSError) -> TuneError:
    return TuneError(f"cannot write {out}: {error.strerror or error}")
