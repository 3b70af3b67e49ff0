"""The passages, questions and vectors that every system of the speed benchmark works on.

Real passages of 120 to 176 MiniLM tokens from three public sets (a company handbook, SQuAD
paragraphs, SciFact abstracts). What is missing to the wanted number is made of halves: the
beginning of one real passage and the end of another, chosen with a fixed seed, so every passage is
distinct and has real sentences in it. The vector of such a passage is the mean of its two origins'
vectors, not its own embedding: embedding 85,000 more texts would take long and change no timing.
Everything is made once per work folder and kept there.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED = 20261123
LEAST, MOST = 120, 176  # tokens of a passage, without special tokens
QUESTIONS = 200
CLAIMS = 60  # of these, from SciFact; the others mostly from SQuAD
WARMING = 20  # further questions, asked before any is timed
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKUP = re.compile(r"[#*`_|>{}]+|<[^>]*>|https?://\S+")


def bench() -> Path:
    """The folder with the public data sets: RAGTUNE_BENCH, by default ../shared/bench."""
    default = Path(__file__).resolve().parents[2] / "shared" / "bench"
    return Path(os.environ.get("RAGTUNE_BENCH") or default)


def passages(count: int, work: Path) -> list[str]:
    """The first `count` passages: the real ones, mixed, then those made of halves."""
    texts = real(work)
    if count > len(texts):
        texts = texts + [text for text, _, _ in _halves(texts, count - len(texts), work)]
    return texts[:count]


def questions(rounds: int = 1) -> tuple[list[list[str]], list[str]]:
    """QUESTIONS a round, and WARMING others for before; all real, none twice.

    Each round has its own: caches of what was asked before are no speed.
    """
    squad = json.loads((bench() / "squad" / "dev-v2.0.reconstructed.json").read_text("utf-8"))
    found = [
        item["question"].strip()
        for article in squad["data"]
        for paragraph in article["paragraphs"]
        for item in paragraph["qas"]
        if not item["is_impossible"]
    ]
    claims = [row["text"] for row in _jsonl(bench() / "scifact" / "queries.test.jsonl")]
    kite = bench() / "sourcegraph_kite" / "queries" / "sourcegraph.json"
    company = [row["query"] for row in json.loads(kite.read_text("utf-8"))]
    chance = random.Random(SEED)
    chosen = company + chance.sample(sorted(set(claims)), CLAIMS * rounds)
    rest = QUESTIONS * rounds + WARMING - len(chosen)
    chosen += chance.sample(sorted(set(found)), rest)
    chance.shuffle(chosen)
    parts = [chosen[n * QUESTIONS : (n + 1) * QUESTIONS] for n in range(rounds)]
    return parts, chosen[QUESTIONS * rounds :]


def vectors(count: int, work: Path) -> NDArray[Any]:
    """Unit vectors (fp32) of the first `count` passages, by ragtune's embedder; minutes once.

    Every system gets the same ones, so it does not matter to a comparison whose they are.
    """
    import numpy as np

    texts = real(work)
    rows = _embedded(texts, work)
    if count > len(texts):
        pairs = [(a, b) for _, a, b in _halves(texts, count - len(texts), work)]
        first, second = np.array(pairs).T
        mixed = rows[first] + rows[second]
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        rows = np.concatenate([rows, mixed])
    return rows[:count]


def _embedded(texts: list[str], work: Path) -> NDArray[Any]:
    import numpy as np

    path = work / "vectors.npy"
    done: NDArray[Any] = np.load(path) if path.exists() else np.empty((0, 384), np.float32)
    if len(done) < len(texts):
        from ragtune.config import Settings
        from ragtune.models.embed import load_embedder

        embedder = load_embedder(Settings())
        for start in range(len(done), len(texts), 1000):  # kept as it goes: can be interrupted
            done = np.concatenate([done, embedder.embed(texts[start : start + 1000])])
            np.save(path.with_name("part.npy"), done)
            path.with_name("part.npy").replace(path)
    return done[: len(texts)]


# ---------------------------------------------------------------- making them


def real(work: Path) -> list[str]:
    """All real passages, mixed."""
    path = work / "real.json"
    if path.exists():
        kept: list[str] = json.loads(path.read_text("utf-8"))
        return kept

    tokenizer = _tokenizer()
    found: set[str] = set()
    for text in _texts():
        parts = [part for part in _END.split(text) if part.strip()]
        encoded = tokenizer.encode_batch(parts, add_special_tokens=False)
        found.update(_grouped(iter((p, len(e.ids)) for p, e in zip(parts, encoded, strict=True))))
    made = sorted(found)
    random.Random(SEED).shuffle(made)
    path.write_text(json.dumps(made), "utf-8")
    return made


def _halves(texts: list[str], count: int, work: Path) -> list[tuple[str, int, int]]:
    """Texts of two real passages' halves, cut between sentences or words, with their numbers."""
    path = work / "halves.json"
    pairs: list[tuple[int, int]] = json.loads(path.read_text("utf-8")) if path.exists() else []
    parts = [_cut(text) for text in texts]
    if len(pairs) < count:
        pairs = _pairs(texts, parts, count)
        path.write_text(json.dumps(pairs), "utf-8")
    return [(f"{parts[a][0]} {parts[b][1]}", a, b) for a, b in pairs[:count]]


def _pairs(texts: list[str], parts: list[tuple[str, str]], count: int) -> list[tuple[int, int]]:
    tokenizer = _tokenizer()

    def sizes(some: Iterable[str]) -> list[int]:
        return [len(e.ids) for e in tokenizer.encode_batch(list(some), add_special_tokens=False)]

    begins, ends = sizes(a for a, _ in parts), sizes(b for _, b in parts)
    chance = random.Random(SEED)
    seen = set(texts)
    pairs: list[tuple[int, int]] = []
    while len(pairs) < count:
        a, b = chance.randrange(len(texts)), chance.randrange(len(texts))
        text = f"{parts[a][0]} {parts[b][1]}"
        if a != b and LEAST <= begins[a] + ends[b] <= MOST and text not in seen:
            seen.add(text)
            pairs.append((a, b))
    return pairs


def _tokenizer() -> Any:
    from tokenizers import Tokenizer

    from ragtune.models import weights

    tokenizer = Tokenizer.from_file(str(weights.obtain(weights.MINILM.name) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _cut(text: str) -> tuple[str, str]:
    """Two parts, at the sentence or else the word end that is nearest to the middle."""
    ends = [m.start() for m in _END.finditer(text)] or [m.start() for m in re.finditer(" ", text)]
    at = min(ends, key=lambda place: abs(place - len(text) // 2))
    return text[:at], text[at + 1 :]


def _grouped(sized: Iterator[tuple[str, int]]) -> list[str]:
    """Runs of sentences of LEAST to MOST tokens; what does not fit is left out."""
    groups: list[str] = []
    run: list[str] = []
    total = 0
    for part, size in sized:
        if total + size > MOST:
            run, total = [], 0
        if size <= MOST:
            run.append(part)
            total += size
        if total >= LEAST:
            groups.append(" ".join(run))
            run, total = [], 0
    return groups


def _texts() -> Iterator[str]:
    """Documents as one line of plain words each: every system gets exactly the same."""
    for path in sorted((bench() / "sourcegraph_kite" / "handbook" / "content").rglob("*.md")):
        plain = _MARKUP.sub(" ", _LINK.sub(r"\1", path.read_text("utf-8", "replace")))
        yield " ".join(plain.split())
    squad = json.loads((bench() / "squad" / "dev-v2.0.reconstructed.json").read_text("utf-8"))
    for article in squad["data"]:
        for paragraph in article["paragraphs"]:
            yield " ".join(paragraph["context"].split())
    for row in _jsonl(bench() / "scifact" / "corpus.jsonl"):
        yield " ".join(str(row["text"]).split())


def _jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", type=int, default=100_000)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    print(len(passages(arguments.size, arguments.work)), "passages")
    print(vectors(arguments.size, arguments.work).shape, "vectors")
