"""ONNX exports of the sample company, run as a device runs them: the workspace's own results."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragtune import config, demo
from ragtune.errors import TuneError
from ragtune.export import check, folder
from ragtune.export.folder import Plan, export_onnx
from ragtune.models import adapters
from ragtune.models.router import OnnxRouter, load_router
from ragtune.route.synthesise import synthesise
from ragtune.route.train import train
from ragtune.workspace import Workspace

pytestmark = pytest.mark.integration

BUILDER = importlib.util.find_spec("onnxruntime_genai") is not None
# A device's loop, without ragtune and without check.py: onnxruntime, tokenizers, numpy.
PLAIN = """
import json, sys
import numpy as np, onnxruntime, tokenizers
folder, questions = sys.argv[1], json.load(sys.stdin)
assert "ragtune" not in sys.modules
def load(part, file):
    tokenizer = tokenizers.Tokenizer.from_file(f"{folder}/{part}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    session = onnxruntime.InferenceSession(f"{folder}/{part}/{file}")
    return lambda text: session.run(None, {
        "input_ids": np.array([tokenizer.encode(text).ids], np.int64)}), session
embed, session = load("embedder", "model.onnx")
names = [o.name for o in session.get_outputs()]
vectors = [embed(q)[names.index("embedding")][0].tolist() for q in questions]
route, session = load("router", "router.onnx")
names = [o.name for o in session.get_outputs()]
routed = []
for q in questions:
    out = route(q)
    logits, score = out[names.index("logits")][0], out[names.index("score")][0]
    routed.append([int(logits.argmax()), float(score)])
json.dump({"vectors": vectors, "routed": routed}, sys.stdout)
"""


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """Eight of the sample's held-out questions."""
    rows = (demo.SAMPLE.parent / "heldout.jsonl").read_text("utf-8").splitlines()
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(rows[::11][:8]) + "\n", "utf-8")
    return path


def run_alone(folder: Path, *words: str, stdin: str = "") -> str:
    """Python where ragtune cannot be imported from a source tree."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, input=stdin, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_embedder_reader_and_router_run_without_ragtune(
    own_company: Workspace, examples: Path, tmp_path: Path
) -> None:
    found = own_company.documents()
    documents = [d for i in found if (d := own_company.store.get(i.uri)) is not None]
    data = own_company.root / config.DATA_FOLDER
    train(synthesise(documents), data, threads=1)
    own_company.close()  # the router is loaded anew
    out = tmp_path / "phone"
    made = export_onnx(own_company, Plan(out, questions=examples))
    assert [part.part for part in made.parts] == ["embedder", "reader", "router"]
    assert made.notes == (
        "without the generator: no tuned model in use: `--what generator` exports the base",
    )
    told = json.loads((out / "parity.json").read_text("utf-8"))
    assert told["questions"] == {"asked": 8, "from": "questions.jsonl"}
    for part in told["parts"]:
        assert set(part["required"]) <= set(part["figures"])
    assert "ok" in run_alone(out, "check.py")

    questions = ["How many days of annual leave do I get?", "who won the world cup", "x" * 900]
    said = json.loads(run_alone(out, "-c", PLAIN, str(out), stdin=json.dumps(questions)))
    ours = own_company.system.embedder.embed(questions)
    assert (np.array(said["vectors"]) * ours).sum(axis=1).min() > 0.999
    router = load_router(data)
    assert isinstance(router, OnnxRouter)
    about = json.loads((out / "router" / "model.json").read_text("utf-8"))
    for question, (best, score) in zip(questions, said["routed"], strict=True):
        judged = router.judge(question)
        assert about["intents"][best] == judged.intents[0][0]
        # a default session fuses otherwise; check.py takes the options of model.json
        assert score == pytest.approx(judged.score, abs=0.1)
        if abs(judged.score - about["threshold"]) > 0.1:
            assert (score >= about["threshold"]) == judged.known


def test_one_that_is_not_the_workspaces_is_not_kept(
    company: Workspace, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = check.Embedder.embed

    def wrong(self: Any, text: str) -> Any:
        return np.roll(right(self, text), 1)

    monkeypatch.setattr(check.Embedder, "embed", wrong)
    with pytest.raises(TuneError, match=r"embedder .* not the workspace's: cosine"):
        export_onnx(company, Plan(tmp_path / "out", what=("embedder",), questions=examples))
    assert [p.name for p in tmp_path.iterdir()] == ["questions.jsonl"]


@pytest.mark.skipif(not BUILDER, reason="needs the extra: export")
def test_the_generator_is_built_in_int8_and_answers_as_the_workspace(
    company: Workspace, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real base with the adapter that ships, about 40 s."""
    one = adapters.find(company.root / config.DATA_FOLDER, adapters.BUILT_IN)
    monkeypatch.setattr(folder, "_CASES", 1)
    out = tmp_path / "phone"
    made = export_onnx(company, Plan(out, one, ("generator",), "int8", examples))
    (part,) = made.parts
    assert part.runtime.startswith("onnxruntime-genai")
    assert part.figures["agreement_trainer"] >= 0.95
    assert part.figures["prompts_tokenized_as_trained"] == 1.0
    assert part.figures["same_answers"] >= 0.6  # of 8 questions
    assert made.bytes < 300e6
    assert "ok" in run_alone(out, "check.py")
    text = (out / "README.md").read_text("utf-8")
    code = text.split("```python\n")[1].split("```")[0]  # as written, in the export's folder
    prompt = json.loads((out / "checks.json").read_text("utf-8"))["generator"][0]
    said = run_alone(out, "-c", code)
    assert said.strip()
    assert prompt["messages"][0]["content"] in text
