"""The page's router, in Node, on the questions that Python's router judges: the same decisions."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ragtune.demo import SAMPLE
from ragtune.export.browser import models, write
from ragtune.models import embed
from ragtune.models.router import FOLDER, OnnxRouter, load_router
from ragtune.route.graph import Variant
from ragtune.route.questions import Question
from ragtune.route.train import train

pytestmark = pytest.mark.integration

TOLERANCE = 1e-3  # of a probability
RUN = """
import { readFileSync } from 'node:fs';
const [js, folder] = process.argv.slice(2);
const { Encoder, relaxed } = await import(`${js}/encoder.js`);
const { Embedder, Tokenizer } = await import(`${js}/models.js`);
const { Router } = await import(`${js}/router.js`);
const json = (name) => JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf-8'));
const weights = new Uint8Array(readFileSync(`${folder}/weights.bin`));
const networks = json('networks');
const code = await WebAssembly.compile(
  readFileSync(`${js}/../encoder/${relaxed() ? 'relaxed' : 'plain'}.wasm`));
const encoder = await Encoder.create(code, weights, networks.embedder);
const embedder = new Embedder(encoder, new Tokenizer(json('vocabulary')), 256);
const router = new Router({
  weights, network: networks.router, encoder, embedder, passport: json('passport'),
});
const found = [];
for (const text of json('questions')) {
  const judged = await router.judge(text);
  found.push({ intents: judged.intents, known: judged.known, score: judged.score });
}
console.log(JSON.stringify(found));
"""


def rows(name: str) -> list[Question]:
    lines = (SAMPLE.parent / f"{name}.jsonl").read_text("utf-8").splitlines()
    made = map(json.loads, lines)
    return [Question(r["question"], r["evidence"][0]["document"]) for r in made if r["evidence"]]


def judged(router: OnnxRouter, asked: list[str], folder: Path) -> Any:
    """What the page's code makes of `asked`."""
    files = {"embedder": embed.built() / "model.onnx", "router": router.folder / "router.onnx"}
    shared = models.share(files)
    (folder / "weights.bin").write_bytes(shared.weights)
    for name, value in {
        "networks": shared.networks, "questions": asked,
        "passport": models.passport(router.folder),
        "vocabulary": models.vocabulary(embed.built() / "tokenizer.json"),
    }.items():  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(value), "utf-8")
    (folder / "run.mjs").write_text(RUN, "utf-8")
    (folder / "js").mkdir()
    for path in (write.OWN / "js").glob("*.js"):
        shutil.copyfile(path, folder / "js" / path.name)
    shutil.copytree(write.OWN / "encoder", folder / "encoder")
    (folder / "package.json").write_text('{"type": "module"}')
    command = ["node", str(folder / "run.mjs"), str(folder / "js"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
@pytest.mark.parametrize("variant", ["full", "small"])
def test_the_page_judges_as_python_does(variant: Variant, tmp_path: Path) -> None:
    train(rows("heldout"), tmp_path / "data", threads=1, variant=variant)
    router = load_router(tmp_path / "data")
    assert router is not None
    assert router.folder.name == FOLDER
    lines = (SAMPLE.parent / "unanswerable.jsonl").read_text("utf-8").splitlines()
    asked = [question.text for question in rows("train")]
    asked += [json.loads(line)["question"] for line in lines]
    there = judged(router, asked, tmp_path)
    furthest, sides = 0.0, 0
    for text, found in zip(asked, there, strict=True):
        here = router.judge(text)
        (first, p), (_, second) = here.intents[:2]
        if p - second > TOLERANCE:  # no tie
            assert found["intents"][0][0] == first, text
        sides += here.known == found["known"]
        theirs = dict(found["intents"])
        furthest = max(furthest, *(abs(p - theirs[name]) for name, p in here.intents))
    assert furthest <= TOLERANCE
    assert sides >= 0.99 * len(asked), "the same side of the threshold"
