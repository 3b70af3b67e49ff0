"""Runs the models of this folder as a device does: onnxruntime, tokenizers and numpy, no more.

    pip install onnxruntime tokenizers
    python check.py

Each part answers the cases in checks.json and is compared with what it answered when it was
exported; exit code 1 where one differs by more than rounding. ragtune compared the export with
the workspace through these same classes, and they are short enough to be written again in Swift or
Kotlin. Offsets are Unicode code points (Swift: `unicodeScalars`, Kotlin: `codePointCount`).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

CLS, SEP = 101, 102  # the reader's pairs: [CLS] question [SEP] headings [SEP] text [SEP]


class Part:
    """A model with its tokenizer and model.json, in a default session on the CPU."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self.about: dict[str, Any] = json.loads((folder / "model.json").read_text("utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        for key, value in self.about.get("session", {}).items():
            options.add_session_config_entry(key, value)
        self.session = onnxruntime.InferenceSession(
            str(folder / self.about["file"]), options, providers=["CPUExecutionProvider"]
        )
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def ids(self, text: str, most: int) -> list[int]:
        """Token ids with the special tokens, cut so that all fit into `most`."""
        encoding = self.tokenizer.encode(_valid(text), add_special_tokens=False)
        encoding.truncate(most - self.tokenizer.num_special_tokens_to_add(False))
        return list(self.tokenizer.post_process(encoding).ids)

    def run(self, outputs: Sequence[str], feeds: dict[str, Any]) -> list[Any]:
        """The graph's outputs of these names."""
        return list(self.session.run(list(outputs), feeds))


class Embedder(Part):
    """Text ─▶ vector of unit length; two texts are as near as the dot product of their vectors."""

    def embed(self, text: str) -> Any:
        """Float32, shape (dimensions,)."""
        ids = np.array([self.ids(self.about["prefix"] + text, self.about["max_tokens"])], np.int64)
        feeds = {"input_ids": ids}
        if "attention_mask" in self.names():
            feeds["attention_mask"] = np.ones_like(ids)
        if "token_type_ids" in self.names():
            feeds["token_type_ids"] = np.zeros_like(ids)
        (found,) = self.run([self.about["output"]], feeds)
        if self.about["pooling"] == "mean":  # otherwise the graph pools by itself
            found = found.mean(axis=1)
        elif self.about["pooling"] == "cls":
            found = found[:, 0]
        vector = found[0] / (np.linalg.norm(found[0]) or 1.0)
        return vector.astype(np.float32)

    def names(self) -> list[str]:
        """What the graph wants to be given."""
        return [value["name"] for value in self.about["inputs"]]


class Reader(Part):
    """Question and text ─▶ does the text answer, and with which words?"""

    def read(self, question: str, text: str) -> tuple[float, int, int]:
        """A logit (0: as likely an answer as not) and the answering words as offsets (0, 0: none).

        Of `text` the last line is read and marked; the lines before it are its headings and the
        sentence before.
        """
        context, _, line = text.rpartition("\n")
        headings, _, before = context.partition("\n")
        most = self.about["most_tokens"]
        ids = [CLS, *self._tokens(question)[-most["question"] :], SEP]
        ids += self._tokens(headings)[-most["headings"] :] + self._tokens(before)[-most["before"] :]
        ids.append(SEP)
        encoded = self.tokenizer.encode(_valid(line), add_special_tokens=False)
        room = most["all"] - len(ids) - 1
        first, spans = len(ids), encoded.offsets[:room]
        ids += [*encoded.ids[:room], SEP]
        types = [0.0] * first + [1.0] * (len(ids) - first)
        score, starts, ends = self.run(
            ["score", "start", "end"],
            {"input_ids": np.array([ids], np.int64), "token_type_ids": np.array([types], "f4")},
        )
        inside = slice(first, first + len(spans))
        span = self._best(starts[0, inside], ends[0, inside], most["phrase"])
        if span is None:
            return float(score[0]), 0, 0
        return float(score[0]), spans[span[0]][0], spans[span[1]][1]

    def _tokens(self, text: str) -> list[int]:
        encoding = self.tokenizer.encode(_valid(text), add_special_tokens=False)
        return list(encoding.ids) if text else []

    @staticmethod
    def _best(starts: Any, ends: Any, most: int) -> tuple[int, int] | None:
        """First and last token with the largest sum, at most `most` tokens."""
        best: tuple[float, int, int] | None = None
        for low in range(len(starts)):
            for high in range(low, min(low + most, len(ends))):
                value = float(starts[low] + ends[high])
                if best is None or value > best[0]:
                    best = (value, low, high)
        return None if best is None else best[1:]


class Router(Part):
    """Question ─▶ intent, its probability, and whether the router knows such questions at all."""

    def route(self, question: str) -> dict[str, Any]:
        """The likeliest intent; `known` False means: go the safe way (`unsure` in model.json)."""
        text = question[: self.about["max_characters"]]
        ids = np.array([self.ids(text, self.about["max_tokens"])], np.int64)
        logits, score = self.run(["logits", "score"], {"input_ids": ids})
        shifted = np.exp(logits[0].astype(np.float64) - float(logits[0].max()))
        chances = shifted / shifted.sum()
        best = int(np.argmax(chances))
        return {
            "intent": self.about["intents"][best],
            "probability": float(chances[best]),
            "probabilities": [float(value) for value in chances],
            "score": float(score[0]),
            "known": float(score[0]) >= self.about["threshold"],
        }


class Generator(Part):
    """Token ids ─▶ token ids, greedily. On a device onnxruntime-genai does this loop."""

    def write(self, ids: Sequence[int], most: int) -> list[int]:
        """What the model writes after `ids`, without the end-of-turn token."""
        shape = self.about
        none = np.zeros((1, shape["kv_heads"], 0, shape["head_size"]), np.float32)
        kept = {
            f"past_key_values.{layer}.{part}": none
            for layer in range(shape["layers"])
            for part in ("key", "value")
        }
        names = [name.replace("past_key_values", "present") for name in kept]
        now: list[int] = list(ids)
        written: list[int] = []
        length = len(now)
        while len(written) < most:
            feeds = {
                "input_ids": np.array([now], np.int64),
                "attention_mask": np.ones((1, length), np.int64),
            }
            wanted = {value["name"] for value in self.about["inputs"]}
            if "position_ids" in wanted:
                feeds["position_ids"] = np.arange(length - len(now), length)[None]
            logits, *state = self.run(["logits", *names], {**feeds, **kept})
            token = int(np.argmax(logits[0, -1]))
            if token in shape["end_tokens"]:
                break
            written.append(token)
            kept = dict(zip(kept, state, strict=True))
            now, length = [token], length + 1
        return written

    def text(self, ids: Sequence[int]) -> str:
        """The text of `ids`."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))


PARTS: dict[str, type[Part]] = {
    "embedder": Embedder,
    "reader": Reader,
    "router": Router,
    "generator": Generator,
}


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates become '?'


# ---------------------------------------------------------------- the cases of checks.json


def answer(part: Part, case: dict[str, Any]) -> Any:
    """What `part` makes of a case."""
    if isinstance(part, Embedder):
        return [round(float(v), 6) for v in part.embed(case["text"])]
    if isinstance(part, Reader):
        return list(part.read(case["question"], case["text"]))
    if isinstance(part, Router):
        found = part.route(case["question"])
        return {key: found[key] for key in ("intent", "known", "probabilities")}
    assert isinstance(part, Generator)
    return part.write(case["ids"], case["most"])


def same(part: Part, found: Any, expected: Any) -> bool:
    """Whether two answers differ by no more than the rounding of another processor."""
    if isinstance(part, Embedder):
        return float(np.dot(found, expected)) >= 0.995
    if isinstance(part, Reader):
        return bool(abs(found[0] - expected[0]) < 0.25 and found[1:] == expected[1:])
    if isinstance(part, Router):
        chances = np.abs(np.array(found["probabilities"]) - np.array(expected["probabilities"]))
        return found["intent"] == expected["intent"] and float(chances.max()) < 0.002
    return bool(found[:8] == expected[:8])  # one rounded tie, and the rest is another text


def main() -> int:
    """Checks every part of the folder that this file lies in."""
    here = Path(__file__).resolve().parent
    cases = json.loads((here / "checks.json").read_text("utf-8"))
    right = True
    for name, its_cases in cases.items():
        part = PARTS[name](here / name)
        began = time.perf_counter()
        good = [same(part, answer(part, case), case["answer"]) for case in its_cases]
        seconds = (time.perf_counter() - began) / max(1, len(good))
        right = right and len(good) > 0 and sum(good) >= 0.9 * len(good)
        print(f"{name}: {sum(good)} of {len(good)} as exported, {1000 * seconds:.1f} ms each")
    print("ok" if right else "NOT what was exported")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
