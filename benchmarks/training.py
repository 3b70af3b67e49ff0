"""Training an adapter: ours against TRL's SFTTrainer, in alternating fresh processes.

    python -m benchmarks.training                    all, into benchmarks/results/training.*
    python -m benchmarks.training --sets sample --rounds 1 --examples 80

Same base (the embedded GGUF, dequantised once to a Hugging Face folder), examples, order of
magnitude of everything that matters: LoRA on all linear layers (rank 16, alpha 32), batch 8,
AdamW at 3e-4 with a cosine, loss on the answers only, bfloat16 base, the same threads. TRL runs
twice: as it comes (gradient checkpointing on) and with checkpointing off, which is faster. Speed
counts the real tokens of the examples, padding is not counted, nor is a shared prefix counted less
than once an example. Each run is a process of its own; its peak is the resident size. The held-out
loss of every adapter is measured afterwards by one function, plain PEFT, one example at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.retrieval_data import BENCH

import ragtune
from ragtune.config import Settings
from ragtune.types import Message

RESULTS = Path(__file__).parent / "results"
SAMPLE = Path(ragtune.__file__).parent / "sample"
TRAINERS = ("ragtune", "trl", "trl, no checkpointing")
RANK, ALPHA, RATE, BATCH, SEED, MOST = 16, 32.0, 3e-4, 8, 0, 1024
SYSTEM = (
    "You answer with the help of the numbered evidence. Say only what the evidence says, in one "
    "sentence, and give the number of the evidence in brackets."
)
Conversation = tuple[list[Message], str]


# ---------------------------------------------------------------- examples


def sample(name: str) -> list[Conversation]:
    """The sample company, closed book: about 100 tokens an example."""
    lines = (SAMPLE / f"{name}.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [([Message("user", row["question"])], row["answer"]) for row in rows]


def squad(name: str) -> list[Conversation]:
    """Three paragraphs as evidence, one of them gold: about 500 tokens an example."""
    found = json.loads((BENCH / "squad" / "dev-v1.1.reconstructed.json").read_text("utf-8"))
    articles = sorted(found["data"], key=lambda article: str(article["title"]))
    chosen = articles[:-8] if name == "train" else articles[-8:]
    made = []
    for article in chosen:
        paragraphs = article["paragraphs"]
        for number in range(0, len(paragraphs) - 3, 3):
            shown = [p["context"] for p in paragraphs[number : number + 3]]
            gold = number // 3 % 3
            asked = paragraphs[number + gold]["qas"]
            if not asked or sum(map(len, shown)) > 2700:
                continue
            lines = "\n".join(f"[{i}] {text}" for i, text in enumerate(shown, start=1))
            answer = f"It is {asked[0]['answers'][0]['text']} [{gold + 1}]."
            turn = f"Evidence:\n{lines}\n\nQuestion: {asked[0]['question']}"
            made.append(([Message("system", SYSTEM), Message("user", turn)], answer))
    return made


SETS = {"sample": sample, "squad": squad}


def examples(kind: str, name: str, most: int) -> list[Conversation]:
    """`most` conversations spread over the whole set."""
    found = SETS[kind](name)
    step = max(1, len(found) // most)
    return found[::step][:most]


# ---------------------------------------------------------------- one run


def run_ours(base: Path, kind: str, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Our trainer on the examples; tokens, seconds."""
    from ragtune.tune import base as bases
    from ragtune.tune import chat, train
    from ragtune.tune.steps import TuneSettings

    loaded = bases.load(base)
    chosen = examples(kind, "train", options.examples)
    made = [chat.encode(m, a, loaded.tokenizer, MOST) for m, a in chosen]
    settings = TuneSettings(
        rank=RANK, alpha=ALPHA, learning_rate=RATE, batch=BATCH, seed=SEED,
        epochs=options.epochs, threads=options.threads, max_tokens=MOST,
    )  # fmt: skip
    cpu, wall = time.process_time(), time.perf_counter()
    train.train(loaded, made, [], settings, folder)
    return figures(cpu, wall, options.epochs * sum(len(e.ids) for e in made))


def run_trl(
    base: Path, kind: str, options: argparse.Namespace, folder: Path, checkpointing: bool
) -> dict[str, float]:
    """TRL's SFTTrainer on the same examples; tokens, seconds."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from ragtune.tune import chat, lora

    torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    chosen = examples(kind, "train", options.examples)
    rows = [
        {
            "prompt": [{"role": x.role, "content": x.content} for x in messages],
            "completion": [{"role": "assistant", "content": answer}],
        }
        for messages, answer in chosen
    ]
    tokens = sum(len(chat.encode(m, a, tokenizer, MOST).ids) for m, a in chosen)
    settings = SFTConfig(
        output_dir=str(folder / "out"), per_device_train_batch_size=BATCH,
        num_train_epochs=options.epochs, learning_rate=RATE, lr_scheduler_type="cosine",
        warmup_steps=0.05, completion_only_loss=True, max_length=MOST, bf16=True, use_cpu=True,
        gradient_checkpointing=checkpointing, seed=SEED, save_strategy="no", report_to="none",
        logging_steps=10, disable_tqdm=True,
    )  # fmt: skip
    trainer = SFTTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=RANK,
            lora_alpha=int(ALPHA),
            lora_dropout=0.0,
            target_modules=list(lora.LAYERS),
            task_type="CAUSAL_LM",
        ),
    )
    cpu, wall = time.process_time(), time.perf_counter()
    trainer.train()
    found = figures(cpu, wall, options.epochs * tokens)
    trainer.model.save_pretrained(folder / "peft")
    return found


def figures(cpu: float, wall: float, tokens: int) -> dict[str, float]:
    return {
        "tokens": tokens,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "load": os.getloadavg()[0],
    }


def heldout(base: Path, kind: str, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Nats a trained token of the held-out examples: plain PEFT, float32, one at a time."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ragtune.tune import chat

    torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(base)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(plain, folder / "peft").eval()
    sums = {"adapter": 0.0, "base": 0.0}
    count = 0
    with torch.inference_mode():
        for messages, answer in examples(kind, "heldout", options.heldout):
            example = chat.encode(messages, answer, tokenizer, MOST)
            ids = torch.tensor([example.ids])
            first = example.trained.index(True)
            count += len(example.ids) - first
            for name in sums:
                if name == "base":
                    with model.disable_adapter():
                        logits = model(ids).logits[0, first - 1 : -1]
                else:
                    logits = model(ids).logits[0, first - 1 : -1]
                sums[name] += torch.nn.functional.cross_entropy(
                    logits, ids[0, first:], reduction="sum"
                ).item()
    return {f"heldout_{name}": total / count for name, total in sums.items()}


# ---------------------------------------------------------------- all runs


def dense(folder: Path) -> Path:
    """The embedded base as a Hugging Face folder that both trainers load."""
    if not (folder / "model.safetensors").is_file():
        from ragtune.tune import base as bases

        loaded = bases.load(bases.locate(Settings()), dtype="float32")
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
    return folder


def separately(arguments: Sequence[str]) -> dict[str, float]:
    """One run in a fresh process: its figures."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", *arguments],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def all_runs(options: argparse.Namespace) -> list[dict[str, Any]]:
    base = dense(options.base)
    rows = []
    shared = [
        "--base", str(base), "--examples", str(options.examples), "--heldout",
        str(options.heldout), "--epochs", str(options.epochs), "--threads", str(options.threads),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        for number in range(options.rounds):
            for kind in options.sets:
                for trainer in options.trainers:
                    folder = str(Path(place) / f"{kind}-{trainer}-{number}".replace(" ", ""))
                    what = ["--one", trainer, "--sets", kind, "--folder", folder, *shared]
                    row = {"set": kind, "trainer": trainer, "round": number, **separately(what)}
                    if number == 0:
                        row |= separately([*what, "--score"])
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    return rows


def report(rows: list[dict[str, Any]], about: dict[str, Any], options: argparse.Namespace) -> str:
    lines = [
        "# Training: tokens a second, memory, held-out loss", "", machine.markdown(about), "",
        f"{options.examples} examples, {options.epochs} epochs, {options.threads} threads, "
        f"{options.rounds} rounds, alternating; medians. `python -m benchmarks.training`; what is "
        "counted stands in that file.", "",
        "| set | trainer | tokens/s | tokens/s of CPU time | peak MiB | held-out loss (base) "
        "| load |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for kind in options.sets:
        speeds = {}
        for trainer in options.trainers:
            chosen = [r for r in rows if r["set"] == kind and r["trainer"] == trainer]
            wall = statistics.median(r["tokens"] / r["seconds"] for r in chosen)
            cpu = statistics.median(r["tokens"] / r["cpu_seconds"] for r in chosen)
            speeds[trainer] = (wall, cpu)
            lines.append(
                f"| {kind} | {trainer} | {wall:.0f} | {cpu:.0f} "
                f"| {max(r['peak_mib'] for r in chosen):.0f} "
                f"| {chosen[0]['heldout_adapter']:.4f} ({chosen[0]['heldout_base']:.3f}) "
                f"| {min(r['load'] for r in chosen):.1f}–{max(r['load'] for r in chosen):.1f} |"
            )
        for trainer in options.trainers[1:]:
            wall, cpu = (a / b for a, b in zip(speeds["ragtune"], speeds[trainer], strict=True))
            lines.append(f"| {kind} | ratio to {trainer} | **{wall:.2f}** | {cpu:.2f} | | | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--trainers", nargs="+", default=list(TRAINERS), choices=TRAINERS)
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--heldout", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--base", type=Path, default=Path(tempfile.gettempdir()) / "ragtune-dense")
    parser.add_argument("--one", choices=TRAINERS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--score", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.one:
        kind = options.sets[0]
        if options.score:
            found = heldout(options.base, kind, options, options.folder)
        elif options.one == "ragtune":
            found = run_ours(options.base, kind, options, options.folder)
        else:
            found = run_trl(options.base, kind, options, options.folder, options.one == "trl")
        print(json.dumps(found))
        return
    about = machine.describe("torch", "transformers", "peft", "trl")
    rows = all_runs(options)
    text = report(rows, about, options)
    (options.out / "training.json").write_text(
        json.dumps({"about": about, "rows": rows}, indent=1) + "\n", "utf-8"
    )
    (options.out / "training.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
