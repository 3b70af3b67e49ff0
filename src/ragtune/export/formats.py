"""A tuned model for those who serve it: GGUF, Ollama, safetensors, PEFT.

An adapter for llama.cpp is the PEFT folder with other names; it needs the base beside it. All other
formats are made from that file, so that they hold what was checked and served, not another
copy: `gguf` and `safetensors` merged with the base, `peft` for vLLM and further training,
`ollama` a folder for `ollama create`. Each carries a README.md and a parity.json; those of a GGUF
file lie beside it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragtune.config import Settings
from ragtune.errors import TuneError
from ragtune.export import readme, report, served
from ragtune.export.report import Exported, Part
from ragtune.export.served import Compared, LlamaRuntime, Recorded
from ragtune.models import adapters
from ragtune.tune import convert, merge, ollama, parity
from ragtune.tune.export import PARITY
from ragtune.tune.parity import Parity
from ragtune.tune.whole import whole, whole_folder
from ragtune.types import Message, OnProgress, Progress

if TYPE_CHECKING:
    from ragtune.models.adapters import Listed, Passport
    from ragtune.tune.convert import Base, Lora

Format = Literal["gguf", "safetensors", "peft", "ollama"]
Type = Literal["q8_0", "q4_0", "f16", "adapter"]


def export(
    one: Listed,
    base_gguf: Path,
    kind: Format,
    out: Path,
    type_: Type = "q8_0",
    recorded: Callable[[], Recorded] | None = None,
    on_progress: OnProgress | None = None,
    threads: int = 0,
) -> Exported:
    """Writes adapter `one` to `out` in another format, compared with what was trained.

    `gguf` is one file (`type_` "adapter": for llama-server beside the base; otherwise merged), the
    other formats are folders. `out` must not exist; it appears whole, and only when the export is
    within the tolerance. `recorded` asks the workspace, with which a GGUF is compared too. Raises
    TuneError.
    """
    adapters.same_base(one, base_gguf)
    assert one.passport is not None  # same_base
    if kind not in ("gguf", "ollama"):
        type_ = "f16"
    elif kind == "ollama" and type_ == "adapter":
        raise TuneError("ollama needs the merged model: --type q8_0, q4_0 or f16")
    say = on_progress or (lambda _: None)
    with _place(kind, out) as (made, beside):
        say(Progress("export", 0, 3, "read"))
        base = convert.read_base(base_gguf)
        adapter = convert.read_adapter(one.folder / adapters.FILE, base)
        say(Progress("export", 1, 3, "write"))
        model = _write(kind, type_, base, adapter, one, made)
        say(Progress("export", 2, 3, "compare"))
        asked = recorded() if recorded is not None and kind in ("gguf", "ollama") else None
        found = _compared(kind, type_, one, base_gguf, model, asked, on_progress, threads)
        limit = "safetensors" if kind == "safetensors" else type_
        part = Part("generator", type_, "none needed", report.size(made), _PEFT, {}, {})
        if found is not None:
            served.gate(found, limit)
            part = report.generator(limit, one.name, report.size(made), found)
        questions = asked.questions if asked else None
        report.write(beside(report.FILE), kind, [part], questions)
        sample = list(asked.prompts[0][0]) if asked and asked.prompts else []
        text = _readme(kind, type_, out.name, part, one, asked, sample)
        beside("README.md").write_text(text, "utf-8")
    say(Progress("export", 3, 3))
    return Exported(
        str(out), kind, type_, report.size(out), found.trained if found else None, (part,), (),
        questions,
    )  # fmt: skip


_PEFT = "the adapter's very matrices, read back and compared number by number"


@contextmanager
def _place(kind: Format, out: Path) -> Iterator[tuple[Path, Callable[[str], Path]]]:
    """What to write to, and where what goes with it belongs: all of it appears, or nothing."""
    if kind != "gguf":
        with whole_folder(out) as folder:
            yield folder, lambda name: folder / name
        return
    sides = {name: out.with_name(f"{out.stem}.{name}") for name in (report.FILE, "README.md")}
    for path in (out, *sides.values()):
        if path.exists():
            raise TuneError(f"{path} exists already: name another place, or remove it")
    told, card = sides.values()
    with whole(out) as file, whole(told) as report_file, whole(card) as readme_file:
        # entered first, it appears last
        yield file, {report.FILE: report_file, "README.md": readme_file}.__getitem__


def _write(kind: Format, type_: Type, base: Base, adapter: Lora, one: Listed, made: Path) -> Path:
    """Writes the format to `made`; the file or folder that a runtime is given."""
    passport = one.passport
    assert passport is not None
    if kind == "peft":
        write_peft(base, adapter, passport, made)
        _same(adapter, convert.read_peft(made, base))
    elif kind == "safetensors":
        merge.write_safetensors(base, adapter, made)
        merge.write_tokenizer(base, made)
    elif kind == "ollama":
        write_ollama(base, adapter, passport, made, _merged(type_))
        return made / ollama.MODEL
    elif type_ == "adapter":
        shutil.copyfile(one.folder / adapters.FILE, made)
    else:
        merge.write_gguf(base, adapter, made, _merged(type_), passport.name)
    return made


def _compared(
    kind: Format, type_: Type, one: Listed, base_gguf: Path, model: Path,
    asked: Recorded | None, on_progress: OnProgress | None, threads: int,
) -> Compared | None:  # fmt: skip
    """The export against the trainer, and against the workspace where that was asked."""
    if kind == "peft":
        return None
    assert one.passport is not None
    effect = float(one.passport.parity.get("effect", 0.0))
    trained: Parity
    if kind == "safetensors":
        import transformers

        trained = parity.measure_folder(parity.read_reference(one.folder / PARITY), model, effect)
        name = f"transformers {transformers.__version__}"
        return Compared(name, trained, None, None, 0, None)
    alone = type_ == "adapter"
    file, beside = (base_gguf, model) if alone else (model, None)
    if asked is not None:
        return served.compare(asked, LlamaRuntime(file, beside, asked.settings), on_progress)
    runtime = LlamaRuntime(file, beside, Settings(threads=threads))
    return served.compare(served.trainer_only(one), runtime, on_progress)


def _merged(type_: Type) -> merge.MergedType:
    if type_ == "adapter":
        raise TuneError("an adapter alone is no merged model: --type q8_0, q4_0 or f16")
    return type_


def _readme(
    kind: Format, type_: Type, name: str, part: Part, one: Listed, asked: Recorded | None,
    sample: list[Message],
) -> str:  # fmt: skip
    questions = asked.questions if asked else None
    if kind == "gguf":
        return readme.gguf(name, part, one, questions, type_ == "adapter", sample)
    if kind == "ollama":
        return readme.ollama(part, one, questions, sample)
    assert one.passport is not None
    card = model_card(one.passport, kind)
    return f"{card}\n{readme.measured([part], None)}\n\n{readme.prompts(one, sample)}\n"


# ---------------------------------------------------------------- folders


def write_peft(base: Base, adapter: Lora, passport: Passport, folder: Path) -> None:
    """Writes the adapter to `folder` as PEFT and vLLM load it."""
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
    config: dict[str, Any] = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": adapter.rank, "lora_alpha": alpha,
        "lora_dropout": 0.0, "bias": "none", "target_modules": modules, "inference_mode": True,
        "base_model_name_or_path": passport.base,
    }  # fmt: skip
    (folder / convert.CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def model_card(passport: Passport, kind: Format) -> str:
    """What it is, which base it belongs to, what it was trained on."""
    scores = "".join(f"- {name}: {value:g}\n" for name, value in passport.scores.items())
    what = "A LoRA adapter over" if kind == "peft" else "Merged with"
    return f"""---
base_model: {json.dumps(passport.base)}
library_name: {"peft" if kind == "peft" else "transformers"}
---
# {passport.name}

{what} `{passport.base}` (GGUF with SHA-256 `{passport.base_sha256}`), mode
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


def _same(adapter: Lora, written: Lora) -> None:
    """Raises TuneError unless what was written reads as the same matrices."""
    import numpy as np

    same = adapter.scale == written.scale and adapter.pairs.keys() == written.pairs.keys()
    for name, pair in adapter.pairs.items():
        same = same and all(map(np.array_equal, pair, written.pairs[name]))
    if not same:
        raise TuneError("the PEFT folder does not read as what was written: check the disk")
