"""One stored file of test vectors, and both runtimes: ONNX Runtime here, the page in Chromium."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import router_vectors
from ragtune import workspace
from ragtune.config import DATA_FOLDER
from ragtune.export.browser import write
from ragtune.export.browser.preview import server
from ragtune.models.router import OnnxRouter
from router_vectors import TOLERANCE

pytestmark = pytest.mark.integration

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
JUDGE = """async ([texts, variant]) => {
  const at = (path) => import(new URL(path, location.href).href);
  const { load } = await at('load.js');
  const { Encoder } = await at('js/encoder.js');
  const { Embedder, Tokenizer } = await at('js/models.js');
  const { Router } = await at('js/router.js');
  const { parts } = await load(location.href, () => {});
  const json = (name) => JSON.parse(new TextDecoder().decode(parts[name]));
  const networks = json('networks.json');
  const encoder = await Encoder.create(
    await WebAssembly.compile(parts[`encoder-${variant}.wasm`]), parts['weights.bin'],
    networks.embedder);
  const router = new Router({
    weights: parts['weights.bin'], network: networks.router, encoder,
    embedder: new Embedder(encoder, new Tokenizer(json('vocabulary.json')), 256),
    passport: json('index.json').router,
  });
  const found = [];
  for (const text of texts) found.push(await router.judge(text));
  return found;
}"""


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return router_vectors.stored()


@pytest.fixture(scope="module")
def root(values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the router of the vectors."""
    root = tmp_path_factory.mktemp("vectors")
    (root / "note.md").write_text("# Depot\n\nThe depot opens at seven.\n", "utf-8")
    with workspace.init(root) as opened:
        opened.add([root / "note.md"])
    router_vectors.build(values, root / DATA_FOLDER)
    return root


def compare(values: dict[str, Any], found: list[dict[str, Any]]) -> float:
    """The largest difference of a probability; labels and sides of the threshold are the same."""
    furthest = 0.0
    threshold = values["head"]["threshold"]
    name_of = {str(n): name for n, name in enumerate(values["intents"])}  # a page has numbers
    for expected, got in zip(values["vectors"], found, strict=True):
        chances = {name_of.get(name, name): p for name, p in got["intents"]}
        assert next(iter(chances)) == expected["intent"], expected["text"]
        if abs(expected["score"] - threshold) > 0.01:
            assert got["known"] == expected["known"], expected["text"]
        for name, p in zip(values["intents"], expected["probabilities"], strict=True):
            furthest = max(furthest, abs(chances[name] - p))
    assert furthest <= TOLERANCE
    return furthest


def test_they_are_of_many_kinds(values: dict[str, Any]) -> None:
    texts = [row["text"] for row in values["vectors"]]
    assert len(texts) >= 90
    assert len({row["intent"] for row in values["vectors"]}) == len(values["intents"])
    assert {row["known"] for row in values["vectors"]} == {True, False}
    assert max(map(len, texts)) > 2000, "longer than what is read"
    assert "" in texts


def test_python(values: dict[str, Any], root: Path) -> None:
    router = OnnxRouter(root / DATA_FOLDER / "router")
    judged = [router.judge(row["text"]) for row in values["vectors"]]
    compare(values, [{"intents": j.intents, "known": j.known} for j in judged])


@pytest.fixture(scope="module")
def page(root: Path) -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    with workspace.open(root) as opened:
        write.export(opened.system, opened.settings, root / "page", store=opened.store)
    running = server(root / "page")
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{running.server_address[1]}/")
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        yield page
        browser.close()
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.mark.parametrize("variant", ["relaxed", "plain"])
def test_the_page(values: dict[str, Any], page: Any, variant: str) -> None:
    texts = [row["text"] for row in values["vectors"]]
    compare(values, page.evaluate(JUDGE, [texts, variant]))
