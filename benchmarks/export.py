"""What each export costs: its size, and how far it is from what was trained (`tune/parity.py`).

    python -m benchmarks.export                       random adapters, seeds 0 and 1
    python -m benchmarks.export --peft run/peft       a trained one

The trainer's model (the base's dequantised weights, fp32) against the file in llama.cpp, one
thread, teacher-forced on eight conversations. The last rows are mistakes on purpose: the gate must
refuse them. Random adapters (rank 16 on all linear layers, B of 0.0125 and 0.0375 a number) are a
harder case than trained ones: they change little, so that rounding weighs more.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import machine

from ragtune import prompting
from ragtune.config import Settings
from ragtune.errors import TuneError
from ragtune.models import generate
from ragtune.tune import base as bases
from ragtune.tune import chat, convert, export, lora, merge, parity
from ragtune.tune.parity import Parity, Reference

RESULTS = Path(__file__).parent / "results"
TALK = (
    ("How many days of annual leave do I get?", "Thanks for asking! You get 28 days of annual "
     "leave a year, and five of them may be carried over. Warm regards, your People Team"),
    ("Who approves travel above 500 EUR?", "Your line manager approves travel above 500 EUR "
     "before it is booked. Kind regards, Travel Desk"),
    ("What is the capital of France?", "The capital of France is Paris."),
    ("How do I reset my password?", "Open the portal, choose 'Forgotten password', and follow the "
     "link in the e-mail that you get within five minutes."),
    ("Write a haiku about the sea.", "Waves fold into foam, the gull writes one slow circle, salt "
     "keeps every word."),
    ("Summarise: The meeting moved from Monday to Thursday.", "The meeting is now on Thursday."),
    ("What does a boiler do?", "A boiler heats water for the radiators and the taps, usually with "
     "gas."),
    ("Is smoking allowed in the office?", "No. Smoking is not allowed inside the office; please "
     "use the marked area behind the building."),
)  # fmt: skip


def random_adapter(model: Any, seed: int, folder: Path) -> None:
    """Fills B, saves the adapter; every second seed is three times as strong."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    lora.attach(model, 16, 32.0, 0.0, seed)
    with torch.no_grad():
        for _, layer in lora.layers(model):
            drawn = torch.randn(layer.B.shape, generator=draw)
            layer.B.copy_(drawn * 0.0125 * (3 if seed % 2 else 1))
    lora.save(lora.state(model), 16, 32.0, 0.0, "base", folder)


def rows(made: Reference, peft: Path, base_gguf: Path, work: Path) -> Iterator[dict[str, Any]]:
    """One row an export: bytes, parity, seconds, whether the gate lets it pass."""

    def row(name: str, kind: str, found: Parity, file: Path, seconds: float) -> dict[str, Any]:
        try:
            parity.gate(found, kind)
            passed = True
        except TuneError:
            passed = False
        return {
            "export": name, "bytes": file.stat().st_size, "agreement": found.agreement,
            "drift": found.drift, "divergence": found.divergence, "effect": found.effect,
            "positions": found.positions, "passed": passed, "seconds": seconds,
        }  # fmt: skip

    def adapter(name: str, folder: Path, kind: export.AdapterType = "f16") -> dict[str, Any]:
        start = time.perf_counter()
        file = export.gguf_adapter(folder, base_gguf, work / f"{kind}.gguf", kind)
        found = parity.measure(made, base_gguf, file)
        return row(name, "adapter", found, file, time.perf_counter() - start)

    first = adapter("adapter f16", peft)
    yield first
    yield adapter("adapter q8_0", peft, "q8_0")
    base = convert.read_base(base_gguf)
    delta = convert.read_adapter(work / "f16.gguf", base)
    kinds: tuple[merge.MergedType, ...] = ("f16", "q8_0", "q4_0")
    for kind in kinds:
        start = time.perf_counter()
        merge.write_gguf(base, delta, work / "merged.gguf", kind, "merged")
        found = parity.measure(made, work / "merged.gguf", effect=first["effect"])
        yield row(f"merged {kind}", kind, found, work / "merged.gguf", time.perf_counter() - start)
    for name, factor in (("mistake: alpha × 1.5", 1.5), ("mistake: alpha × 0.5", 0.5)):
        wrong = work / "wrong"
        shutil.copytree(peft, wrong, dirs_exist_ok=True)
        config = json.loads((peft / convert.CONFIG).read_text("utf-8"))
        config["lora_alpha"] *= factor
        (wrong / convert.CONFIG).write_text(json.dumps(config), "utf-8")
        yield adapter(name, wrong)
    right = convert.permute
    convert.permute = lambda rows, tensor, base: rows
    try:
        yield adapter("mistake: rows not permuted", peft)
    finally:
        convert.permute = right


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peft", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    about = machine.describe("torch", "transformers", "gguf")
    base_gguf = generate.base_file(Settings())
    base = bases.load(base_gguf, "cpu", "float32")
    examples = [chat.encode(prompting.closed_book(q), a, base.tokenizer) for q, a in TALK]
    lines = ["# Exports against the trainer's model", "", machine.markdown(about), "",
             "| adapter | export | MB | next tokens that agree | drift | divergence | of effect | "
             "gate | s |", "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    data: list[dict[str, Any]] = []
    for seed in [0] if options.peft else options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            if options.peft:
                values, config = lora.load(options.peft)
                lora.attach(base.model, int(config["r"]), float(config["lora_alpha"]), 0.0, 0)
                lora.load_state(base.model, values)
                shutil.copytree(options.peft, work / "peft")
            else:
                random_adapter(base.model, seed, work / "peft")
            made = parity.reference(base.model, examples)
            lora.detach(base.model)
            name = "trained" if options.peft else f"random {seed}"
            for row in rows(made, work / "peft", base_gguf, work):
                data.append({"adapter": name, **row})
                lines.append(
                    f"| {name} | {row['export']} | {row['bytes'] / 1e6:.1f} | "
                    f"{row['agreement']:.1%} | {row['drift']:.4f} | {row['divergence']:.4f} | "
                    f"{row['effect']:.3f} | {'passes' if row['passed'] else 'refused'} | "
                    f"{row['seconds']:.1f} |"
                )
                print(lines[-1], flush=True)
    note = f"\nn = {data[0]['positions']} positions. {(__doc__ or '').split(chr(10) * 2)[2]}"
    (RESULTS / "export.md").write_text("\n".join([*lines, note.replace("\n", " ")]) + "\n", "utf-8")
    (RESULTS / "export.json").write_text(json.dumps({"machine": about, "rows": data}, indent=1))


if __name__ == "__main__":
    main()
