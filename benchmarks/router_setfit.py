"""SetFit on the same weights, for benchmarks/router.py: its contrastive step after the paper.

    python -m benchmarks.router_setfit OUT.json --shots 10 --seed 0 --iterations 5

Written here after "Efficient Few-Shot Learning Without Prompts" (Tunstall et al., 2209.11055), as
the package was not tried: pairs of equal and of different intents, cosine
against 1 and 0 by squared error, one epoch, AdamW 2e-5 with a warm-up of a tenth, batches of 16
pairs, dropout on; then logistic regression on the tuned embeddings. `iterations` is the number of
pairs of each kind made for an example (the package's default is 20). Needs torch, transformers and
scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.router import banking, draw

from ragtune.models import runtime, weights

BATCH = 16
RATE = 2e-5


def model(folder: Path) -> Any:
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
        intermediate_size=1536, max_position_embeddings=512, hidden_act="gelu",
    )  # fmt: skip
    bert = BertModel(config, add_pooling_layer=False)
    stored = load_file(folder / "model.safetensors")
    missing, _ = bert.load_state_dict(stored, strict=False)
    if missing:
        raise SystemExit(f"the weights lack {missing[:3]}")
    return bert


def embed(bert: Any, ids: list[list[int]]) -> Any:
    """Unit rows: the mean of the token vectors."""
    import torch

    width = max(map(len, ids))
    padded = torch.zeros(len(ids), width, dtype=torch.long)
    mask = torch.zeros(len(ids), width)
    for row, tokens in enumerate(ids):
        padded[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    hidden = bert(input_ids=padded, attention_mask=mask).last_hidden_state
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return torch.nn.functional.normalize(mean, dim=-1)


def embed_all(bert: Any, ids: list[list[int]]) -> Any:
    import torch

    bert.eval()
    order = sorted(range(len(ids)), key=lambda n: len(ids[n]))
    rows: dict[int, Any] = {}
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            part = order[start : start + 64]
            for n, row in zip(part, embed(bert, [ids[n] for n in part]).numpy(), strict=True):
                rows[n] = row
    return np.stack([rows[n] for n in range(len(ids))])


def pairs(labels: Any, iterations: int, seed: int) -> list[tuple[int, int, float]]:
    rng = np.random.default_rng(seed)
    made = []
    for n, label in enumerate(labels):
        same = np.flatnonzero(labels == label)
        other = np.flatnonzero(labels != label)
        for _ in range(iterations):
            made.append((n, int(rng.choice(same)), 1.0))
            made.append((n, int(rng.choice(other)), 0.0))
    return [made[n] for n in rng.permutation(len(made))]


def score(bert: Any, ids: Any, labels: Any, test_ids: Any, truth: Any) -> float:
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(C=30, max_iter=200).fit(embed_all(bert, ids), labels)
    return float((head.predict(embed_all(bert, test_ids)) == truth).mean())


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("out", type=Path)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    train, test = banking("train"), banking("test")
    names = sorted({q.intent for q in train})
    every = np.array([names.index(q.intent) for q in train], np.int64)
    rows = draw(every, options.shots, options.seed)
    folder = weights.obtain(weights.MINILM.name)
    tokenizer = runtime.tokenizer(folder / "tokenizer.json")
    ids = [tokenizer.encode(train[n].text).ids[:256] for n in rows]
    test_ids = [tokenizer.encode(q.text).ids[:256] for q in test]
    labels, truth = every[rows], np.array([names.index(q.intent) for q in test], np.int64)
    bert = model(folder)
    name = f"{options.shots} shots, {options.iterations} iterations"
    results: dict[str, Any] = {}
    before = score(bert, ids, labels, test_ids, truth)
    results[f"{options.shots} shots, untuned"] = [{"seed": options.seed, "accuracy": before}]
    started = time.process_time()
    todo = pairs(labels, options.iterations, options.seed)
    steps = (len(todo) + BATCH - 1) // BATCH
    optimiser = torch.optim.AdamW(bert.parameters(), lr=RATE, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda n: min((n + 1) / (0.1 * steps), (steps - n) / (0.9 * steps))
    )
    bert.train()
    for start in range(0, len(todo), BATCH):
        part = todo[start : start + BATCH]
        both = embed(bert, [ids[a] for a, _, _ in part] + [ids[b] for _, b, _ in part])
        wanted = torch.tensor([same for _, _, same in part])
        cosine = (both[: len(part)] * both[len(part) :]).sum(1)
        loss = torch.nn.functional.mse_loss(cosine, wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        plan.step()
        if start // BATCH % 50 == 0:
            seconds = time.process_time() - started
            print(f"{start // BATCH}/{steps} loss {float(loss):.4f}, {seconds:.0f} s", flush=True)
    seconds = time.process_time() - started
    after = score(bert, ids, labels, test_ids, truth)
    results[name] = [{"seed": options.seed, "accuracy": after, "training, CPU s": seconds}]
    options.out.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(results)


if __name__ == "__main__":
    main()
