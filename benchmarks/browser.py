"""The exported page in Chromium against Python: bytes, time a question by stage, the same answers.

    python -m benchmarks.browser               into benchmarks/results/browser.md and .json
    python -m benchmarks.browser --build DIR   only makes the workspaces, for a run with --from DIR

Two workspaces: the sample company with its own questions, and the first 2,000 paragraphs of SQuAD
v1.1's development articles with 200 questions on them. Each has a router that learned from other
questions of these sets which document they are about. Every question is asked of the page's worker
and of `Workspace.ask`. The peer is ONNX Runtime's WebAssembly build on the same int8 file, in the
same browser and run. Needs Debian's chromium and, for the peer, an npm registry.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks import machine
from benchmarks.browser_report import report
from benchmarks.browser_router import JUDGE, by_name
from benchmarks.retrieval_data import BENCH
from playwright.sync_api import sync_playwright

from ragtune import demo, workspace
from ragtune.config import DATA_FOLDER
from ragtune.export.browser import vendor, write
from ragtune.export.browser.preview import server
from ragtune.models import embed
from ragtune.models.router import load_router
from ragtune.route.questions import Question
from ragtune.route.train import train
from ragtune.workspace import Workspace

RESULTS = Path(__file__).parent / "results"
PASSAGES = 2000
QUESTIONS = 200
TAUGHT = 2000  # questions that a router learns from, at most
ROUNDS = 12
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
WORKER = """() => new Promise((ready) => {
  const worker = new Worker('worker.js', { type: 'module' });
  const waiting = new Map();
  let last = 0;
  worker.onmessage = ({ data }) => {
    if (data.type === 'ready') ready();
    waiting.get(data.id)?.(data);
  };
  window.put = (question) => new Promise((resolve) => {
    waiting.set(++last, resolve);
    worker.postMessage({ type: 'ask', id: last, question });
  });
})"""
# Milliseconds a run of `tokens` tokens: the page's encoder, and its vectors for cosine.
ENCODER = """async () => {
  const at = (path) => import(new URL(path, location.href).href);
  const { load } = await at('load.js');
  const { parts } = await load(location.href, () => {});
  const json = (name) => JSON.parse(new TextDecoder().decode(parts[name]));
  const { Encoder } = await at('js/encoder.js');
  const { Embedder, Tokenizer } = await at('js/models.js');
  const network = async (variant) => Encoder.create(
    await WebAssembly.compile(parts[`encoder-${variant}.wasm`]), parts['weights.bin'],
    json('networks.json').embedder);
  window.networks = { relaxed: await network('relaxed'), plain: await network('plain') };
  window.stepped = networks.relaxed.stepped(json('networks.json').router.values);
  window.embedder = new Embedder(networks.relaxed, new Tokenizer(json('vocabulary.json')), 256);
  window.timed = async (run, tokens, times) => {
    const ids = Array.from({ length: tokens }, (_, n) => 2000 + ((n * 37) % 20000));
    const took = [];
    for (let i = 0; i < times; i++) {
      const started = performance.now();
      await run(ids);
      took.push(performance.now() - started);
    }
    return took;
  };
}"""
PEER = """async () => {
  const ort = await import(new URL('peer/ort.wasm.min.mjs', location.href).href);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = new URL('peer/', location.href).href;
  const session = await ort.InferenceSession.create('peer/model.onnx',
    { graphOptimizationLevel: 'disabled' });
  window.peer = (ids) => session.run({ input_ids: new ort.Tensor(
    'int64', BigInt64Array.from(ids, BigInt), [1, ids.length]) }, ['embedding']);
}"""


def company(root: Path) -> list[str]:
    """The sample company in a workspace with a router; the questions to ask."""
    shutil.copytree(demo.SAMPLE, root / "company")
    with workspace.init(root) as opened:
        opened.add([root / "company"])
    rows: list[tuple[str, str]] = []
    for name in ("heldout", "train", "unanswerable"):
        lines = (demo.SAMPLE.parent / f"{name}.jsonl").read_text("utf-8").splitlines()
        for row in map(json.loads, lines):
            rows.append(
                (row["question"], row["evidence"][0]["document"] if row.get("evidence") else "")
            )
    asked = random.Random(0).sample([question for question, _ in rows], QUESTIONS)
    teach(root, [Question(*row) for row in rows if row[1]], asked)
    return asked


def teach(root: Path, rows: list[Question], asked: list[str]) -> None:
    """Gives the workspace in `root` a router that learned from others than the `asked`."""
    others = [row for row in rows if row.text not in set(asked)]
    taught = random.Random(1).sample(others, min(TAUGHT, len(others)))
    train(taught, root / DATA_FOLDER, threads=1)


def squad(root: Path) -> list[str]:
    """One file an article, a section a paragraph, until there are PASSAGES passages."""
    data = json.loads((BENCH / "squad/dev-v1.1.reconstructed.json").read_text("utf-8"))["data"]
    (root / "articles").mkdir()
    rows: list[Question] = []
    count = 0
    for number, article in enumerate(data):
        texts = []
        for paragraph in article["paragraphs"]:
            if count == PASSAGES:
                break
            count += 1
            texts.append(paragraph["context"])
            rows += [Question(q["question"].strip(), f"{number:03}") for q in paragraph["qas"]]
        if texts:
            title = article.get("title", f"Article {number}").replace("_", " ")
            text = f"# {title}\n\n" + "\n\n".join(texts) + "\n"
            (root / "articles" / f"{number:03}.md").write_text(text, "utf-8")
    with workspace.init(root) as opened:
        opened.add([root / "articles"])
    asked = random.Random(0).sample(sorted({row.text for row in rows}), QUESTIONS)
    teach(root, rows, asked)
    return asked


KINDS = {"sample company": company, "SQuAD": squad}


def build(folder: Path) -> None:
    """Makes the workspaces, with the questions that they will be asked."""
    for make in KINDS.values():
        root = folder / make.__name__
        root.mkdir(parents=True)
        (root / "asked.json").write_text(json.dumps(make(root)), "utf-8")


def compare(opened: Workspace, asked: list[str], browser: Any, folder: Path) -> dict[str, Any]:
    """Asks both and counts what is equal; bytes and times."""
    started = time.perf_counter()
    made = write.export(
        opened.system, opened.settings, folder / "page", store=opened.store, title="Benchmark"
    )
    exporting = time.perf_counter() - started
    running = server(made.path)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    before = memory(browser)
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{running.server_address[1]}/")
    page.wait_for_selector("html[data-ready]", timeout=120_000)
    held = memory(browser) - before
    page.evaluate(WORKER)
    there = [page.evaluate("q => put(q)", question)["answer"] for question in asked]
    judged = page.evaluate(JUDGE, [asked, "relaxed"])
    page.close()
    running.shutdown()
    running.server_close()
    here = [opened.ask(question, answer="quote") for question in asked]
    top = top_set = status = quote = cited = phrase = 0
    for mine, theirs in zip(here, there, strict=True):
        hits = [(h.uri, h.text) for h in mine.hits[:5]]
        found = [(h["uri"], h["text"]) for h in theirs["hits"][:5]]
        top += hits == found
        top_set += len({h[1] for h in hits} & {h[1] for h in found})
        status += mine.status == theirs["status"]
        first = [(c.uri, c.quote) for c in mine.citations[:1]]
        other = [(c["uri"], c["quote"]) for c in theirs["citations"][:1]]
        quote += first == other
        if first and other:
            cited += 1
            mine_first, c = mine.citations[0], theirs["citations"][0]
            phrase += _phrase(
                mine_first.quote, mine_first.start, mine_first.phrase_start, mine_first.phrase_end
            ) == _phrase(c["quote"], c["start"], c["phrase_start"], c["phrase_end"])
    stages = {
        name: [answer["timings"][name] for answer in there]
        for name in ("route", "search", "evidence", "total")
    }
    stages["route and search"] = [
        sum(pair) for pair in zip(stages["route"], stages["search"], strict=True)
    ]
    native = [answer.timings["total"] * 1000 for answer in here]
    return {
        "documents": made.documents, "passages": made.passages, "sentences": made.sentences,
        "questions": len(asked), "download": made.download, "parts": dict(made.parts),
        "export_s": exporting, "same_status": status, "same_first_quote": quote,
        "same_top5": top, "top5_shared": top_set / (5 * len(asked)),
        "both_cited": cited, "same_phrase": phrase,
        "ms": {n: [statistics.median(v), float(np.quantile(v, 0.95))] for n, v in stages.items()},
        "python_ms": [statistics.median(native), float(np.quantile(native, 0.95))],
        "memory": held, "router": same_router(opened, asked, judged),
    }  # fmt: skip


def memory(browser: Any) -> int:
    """Bytes of memory of their own that the browser's pages and workers hold."""
    found = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    total = 0
    for process in found:
        if process["type"] == "renderer":
            status = Path(f"/proc/{process['id']}/status").read_text("ascii")
            total += 1024 * int(status.split("RssAnon:")[1].split()[0])
    return total


def same_router(opened: Workspace, asked: list[str], there: list[dict[str, Any]]) -> dict[str, Any]:
    """The page's judgements beside Python's."""
    router = load_router(opened.root / DATA_FOLDER)
    assert router is not None
    labels = sides = 0
    off, native = [], []
    router.judge("?")
    for question, theirs in zip(asked, there, strict=True):
        started = time.perf_counter()
        mine = router.judge(question)
        native.append(1000 * (time.perf_counter() - started))
        chances = by_name(theirs, router.passport.intents)
        labels += mine.intents[0][0] == next(iter(chances))
        sides += mine.known == theirs["known"]
        off.append(max(abs(p - chances[name]) for name, p in mine.intents))
    ms = [row["ms"] for row in there]
    return {
        "intents": len(router.passport.intents), "examples": router.passport.questions,
        "same_intent": labels, "same_side": sides,
        "probability_off": {"max": max(off), "mean": statistics.mean(off)},
        "ms": [statistics.median(ms), float(np.quantile(ms, 0.95))],
        "python_ms": [statistics.median(native), float(np.quantile(native, 0.95))],
    }  # fmt: skip


def _phrase(quote: str, start: int, low: int, high: int) -> str:
    return quote[low - start : high - start] if high else ""


def speed(page_folder: Path, browser: Any, asked: list[str]) -> dict[str, Any]:
    """The encoder beside ONNX Runtime, and its vectors beside Python's."""
    peer = page_folder / "peer"
    peer.mkdir()
    library = vendor.obtain(vendor.ORT) / "dist"
    for file in library.iterdir():
        shutil.copyfile(file, peer / file.name)
    shutil.copyfile(embed.built() / "model.onnx", peer / "model.onnx")
    running = server(page_folder)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{running.server_address[1]}/")
    page.wait_for_selector("html[data-ready]", timeout=120_000)
    page.evaluate(ENCODER)
    run = """async (texts) => {
      const all = [];
      for (const text of texts) all.push([...await embedder.embed(text)]);
      return all;
    }"""
    vectors = np.array(page.evaluate(run, asked))
    from ragtune.config import Settings

    cosines = (vectors * embed.load_embedder(Settings()).embed(asked)).sum(axis=1)
    page.evaluate(PEER)
    runs = {
        "encoder, relaxed SIMD": "networks.relaxed.hidden(ids)",
        "in two digits, for the router": "networks.relaxed.states(ids, [6], null, stepped)",
        "encoder, plain SIMD": "networks.plain.hidden(ids)",
        "onnxruntime-web": "peer(ids)",
    }
    # In turns, since others use the machine too; the quickest run says most of the code.
    table: dict[str, dict[int, list[float]]] = {name: {} for name in runs}
    for tokens in (12, 70, 150):
        took: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(ROUNDS):
            for name, call in runs.items():
                took[name] += page.evaluate(f"timed((ids) => {call}, {tokens}, 5)")
        for name, times in took.items():
            table[name][tokens] = [min(times), statistics.median(times)]
    page.close()
    running.shutdown()
    return {
        "ms": table,
        "cosine": {
            "mean": float(cosines.mean()), "min": float(cosines.min()),
            "below_.999": float((cosines < 0.999).mean()), "texts": len(asked),
        },
    }  # fmt: skip


def main() -> None:
    """Runs everything and writes the result files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, metavar="DIR", help="only make the workspaces there")
    parser.add_argument("--from", type=Path, metavar="DIR", dest="made", help="measure with those")
    options = parser.parse_args()
    if options.build:
        build(options.build)
        return
    about = machine.describe("playwright")
    results: dict[str, Any] = {"about": about, "workspaces": {}}
    with tempfile.TemporaryDirectory() as inside, sync_playwright() as playwright:
        if options.made is None:
            build(Path(inside))
        chromium = shutil.which("chromium") or "/usr/bin/chromium"
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        results["browser"] = f"Chromium {browser.version}"
        for name, make in KINDS.items():
            root = (options.made or Path(inside)) / make.__name__
            asked = json.loads((root / "asked.json").read_text("utf-8"))
            with workspace.open(root) as opened:
                found = compare(opened, asked, browser, root)
            results["workspaces"][name] = found
            print(name, json.dumps(found, indent=1), flush=True)
        results["encoder"] = speed(root / "page", browser, asked)
        browser.close()
    RESULTS.joinpath("browser.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    text = report(results, __doc__ or "", 5 * ROUNDS)
    RESULTS.joinpath("browser.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
