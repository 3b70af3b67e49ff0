"""Shared test vectors of the router: texts, and what every runtime must make of them.

    PYTHONPATH=src:tests/support python -m router_vectors      writes tests/data/router_vectors.json

What is learned is stored with them (a few kilobytes: a head for five of the sample's documents, in
8 and 16 bits), and the layer of the router's own is MiniLM's, untrained: so the router is made of
the same numbers on every machine, which training is not. Write them again only when the graph is
meant to give something else; a test that fails for another reason has found something.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragtune.demo import SAMPLE
from ragtune.models.router import FOLDER, OnnxRouter, Passport
from ragtune.route import graph, head, judge, train

FILE = Path(__file__).parents[1] / "data" / "router_vectors.json"
TOLERANCE = 1e-3  # of a probability
INTENTS, EXAMPLES = 5, 6
THRESHOLD = -1.5  # about half of the texts are known
LONG = "Our depot in the north is closed on the second Tuesday of every month, so please call. "
TEXTS = (
    "", " ", "?", "ok", "\u200b", "a", "...", "OVERTIME!!!", "overtime", "over time", "2024",
    "How do I book a hotel for next week's trip to Ghent?",
    "who signs off my travel costs",
    "Can I carry over unused leave into March, and who has to agree to it?",
    "what is the warranty on the compressor of a Kondor 210 and does it cover labour",
    "My laptop was stolen on the train. Whom do I tell first?",
    "Wie viele Urlaubstage habe ich im ersten Jahr?",
    "Combien de jours de congé puis-je reporter ?",
    "¿Quién paga el hotel si pierdo el último tren?",
    "Ile dni urlopu mi przysługuje, jeśli pracuję na pół etatu?",
    "Сколько дней отпуска мне положено?",
    "Πόσες ημέρες άδειας έχω;",
    "כמה ימי חופשה יש לי?",
    "كم يوم إجازة لدي هذا العام؟",
    "मुझे कितने दिन की छुट्टी मिलती है?",
    "ฉันลาพักร้อนได้กี่วัน",
    "東京の倉庫は何時に開きますか。",
    "휴가는 며칠인가요?",
    "naïve café straße ﬁne ǅ İstanbul x\u0301y\u0308",
    "🌊", "🏖️🏖️🏖️ when? 😀👩‍👩‍👧‍👦", "[CLS] [SEP] [MASK] [UNK] ##ing",
    "SELECT * FROM leave WHERE days > 20; -- <script>alert('x')</script>",
    "error 0x80070057 at C:\\temp\\a.b, see https://example.org/a/b?c=1#d",
    "leave " * 40, "0" * 300, "a b " * 300, "休" * 400,
    LONG * 3, LONG * 40,  # the last has more characters and tokens than are read
)  # fmt: skip


def stored() -> dict[str, Any]:
    """The committed file: "head", "intents" and "vectors"."""
    found: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return found


def build(values: dict[str, Any], data_folder: Path) -> OnnxRouter:
    """The router of a stored head, in `data_folder`/router."""
    packed = values["head"]
    learned = head.Head(
        weights=_unpack(packed["weights"], np.float16, (-1, len(values["intents"]))),
        bias=np.array(packed["bias"], np.float32),
        mix=head.Mix(*packed["mix"]),
        examples=_unpack(packed["examples"], np.int8, (len(packed["of"]), -1)) * packed["step"],
        intents=np.array(packed["of"], np.int64),
        typical=np.array(packed["typical"], np.float32),
        threshold=packed["threshold"],
        held_out={},
    )
    folder = data_folder / FOLDER
    folder.mkdir(parents=True)
    trunk = graph.trunk("full")
    with tempfile.TemporaryDirectory() as temporary:
        layer = Path(temporary) / "layer.onnx"
        _write_layer(trunk, layer)
        graph.attach(trunk / "trunk.onnx", learned, folder / "router.onnx", layer)
    shutil.copyfile(trunk / "tokenizer.json", folder / "tokenizer.json")
    passport = Passport(tuple(values["intents"]), learned.threshold, "full", 0, "", "")
    (folder / "router.json").write_text(json.dumps(asdict(passport)), "utf-8")
    return OnnxRouter(folder)


def _write_layer(trunk: Path, target: Path) -> None:
    """MiniLM's last layer, with ranges of the first texts that say something."""
    seen = train.read(trunk, TEXTS[11:29], threads=1)
    graph.write_layer(graph.last_layer(), seen.hidden, target)


def learn() -> dict[str, Any]:
    """A head for the documents that most questions of the sample are about."""
    lines = (SAMPLE.parent / "heldout.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["evidence"]]
    about = [row["evidence"][0]["document"] for row in rows]
    names = sorted(name for name, _ in Counter(about).most_common(INTENTS))
    picked = [
        (row["question"], names.index(name))
        for row, name in zip(rows, about, strict=True)
        if name in names
    ]
    labels = np.array([label for _, label in picked], np.int64)
    trunk = graph.trunk("full")
    with tempfile.TemporaryDirectory() as temporary:
        layer = Path(temporary) / "layer.onnx"
        _write_layer(trunk, layer)
        view = train.beside(layer, train.read(trunk, [text for text, _ in picked], threads=1), 1)
    learned = head.fit(lambda _: view, labels, np.zeros(len(labels), np.bool_))
    kept = [n for k in range(len(names)) for n in np.flatnonzero(learned.intents == k)[:EXAMPLES]]
    learned = head.with_examples(learned, kept)
    step = float(np.abs(learned.examples).max()) / 127
    return {
        "intents": names,
        "head": {
            "weights": _pack(learned.weights.astype(np.float16)),
            "bias": [round(float(v), 6) for v in learned.bias],
            "mix": [round(learned.mix.linear, 4), round(learned.mix.near, 4)],
            "examples": _pack(np.round(learned.examples / step).astype(np.int8)),
            "step": step,
            "of": learned.intents.tolist(),
            "typical": [round(float(v), 6) for v in learned.typical],
            "threshold": THRESHOLD,
        },
    }


def _pack(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _unpack(text: str, kind: type, shape: tuple[int, int]) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape).astype(np.float32)


def main() -> None:
    values = learn()
    lines = (SAMPLE.parent / "train.jsonl").read_text("utf-8").splitlines()
    texts = [*TEXTS, *(json.loads(line)["question"] for line in lines[::6])]
    with tempfile.TemporaryDirectory() as temporary:
        found = judge.vectors(build(values, Path(temporary)), texts)
    vectors: Any = found["vectors"]
    for row in vectors:
        first, second = sorted(row["probabilities"])[-2:][::-1]
        if first - second < 4 * TOLERANCE:
            print("left out, a tie:", repr(row["text"][:60]))
    vectors = [v for v in vectors if np.diff(sorted(v["probabilities"])[-2:])[0] >= 4 * TOLERANCE]
    FILE.parent.mkdir(exist_ok=True)
    head_text = json.dumps({"intents": values["intents"], "head": values["head"]}, indent=1)
    rows = ",\n".join(f"  {json.dumps(row)}" for row in vectors)
    FILE.write_text(f'{head_text[:-2]},\n "vectors": [\n{rows}\n ]\n}}\n', "utf-8")
    print(len(vectors), "vectors,", FILE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
