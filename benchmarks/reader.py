"""Trains the shipped reader (`make reader`).

    python -m benchmarks.reader [--to FILE] [--rounds N] [--start N]

Two rounds over the same questions, each with its own choice of negatives and its own decay of the
rate; every round starts from the delta that the one before wrote. One thread and a fixed seed:
the same machine makes the same file. What it is trained on: `reader_data.py`. What it reaches:
`answering.py`, and results/reader.md.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from benchmarks import reader_data as data
from safetensors.numpy import load_file

from ragtune.models import reader as serving
from ragtune.models import runtime, weights
from ragtune.tune import reader_train as training

SPANS = {"policy": 0.3, "company": 0.5}  # their gold spans are longer than an answer
ROUNDS = (
    training.ReaderSettings(rate=2e-4, epochs=1.0, seed=1, spans=SPANS, repeat={"company": 4}),
    training.ReaderSettings(
        rate=1.4e-4, epochs=0.8, seed=2, spans=SPANS, repeat={"company": 6, "squad near-miss": 2}
    ),
)


def train(target: Path, start: int, end: int) -> None:
    """Trains rounds `start` to `end`, writing a whole delta after each."""
    import torch

    torch.set_num_threads(1)
    source = weights.obtain(weights.MINILM.name)
    base = load_file(source / "model.safetensors")
    tokenizer = runtime.tokenizer(source / "tokenizer.json")
    tasks = data.stored("train")
    print(Counter(task.kind for task in tasks), flush=True)
    for number in range(start, end):
        settings = ROUNDS[number]
        began, used = time.perf_counter(), time.process_time()
        now, heads = base, None
        if number:
            packed = serving.load_delta(target)
            now = serving.apply(base, packed)
            heads = {name: packed[name] for name in serving.HEADS}

        def show(step: training.ReaderStep, number: int = number) -> None:
            print(
                f"round {number + 1} {step.step}/{step.steps} support {step.support:.3f} "
                f"choice {step.choice:.3f} span {step.span:.3f} {step.tokens_per_second:.0f} t/s",
                flush=True,
            )

        now, heads = training.train_reader(now, tasks, tokenizer, settings, show, heads)
        serving.save_delta(target, serving.pack(base, now, heads))
        seconds, core = time.perf_counter() - began, time.process_time() - used
        print(f"{seconds:.0f} s, {core:.0f} s of a core, {target.stat().st_size} bytes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--to", type=Path, default=serving.shipped(), help="the file to write")
    parser.add_argument("--start", type=int, default=0, help="the first round, counted from 0")
    parser.add_argument("--rounds", type=int, default=len(ROUNDS), help="the last round")
    arguments = parser.parse_args()
    train(arguments.to, arguments.start, arguments.rounds)


if __name__ == "__main__":
    main()
