"""The exported page in Debian's Chromium, with the real models: the same answers, and offline."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browsing import hosted, opened
from ragtune import retrieve, words
from ragtune.errors import WeightsError
from ragtune.export.browser import vendor, write
from ragtune.export.browser.preview import server
from ragtune.models.runtime import tokenizer
from ragtune.store.lexical import analyzer
from ragtune.types import Answer, Filter
from ragtune.workspace import Workspace

pytestmark = pytest.mark.integration

AXE = vendor.Package(
    "axe-core", "4.14.1", "MPL-2.0",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    708_405, ("axe.min.js",),
)  # fmt: skip
HOSTILE = (
    "# Storm <svg onload='window.pwned = 1'> pumps <script>window.pwned = 1</script>\n\n"
    "The Albatross pump <img src=x onerror='window.pwned = 1'> moves 900 litres 🌊 a minute "
    "<b>at most</b>.\n"
)
# Opens the parts of the page as modules, without the page: `parts` for the other expressions.
OPEN = """async () => {
  const at = (path) => import(new URL(path, location.href).href);
  const { load } = await at('load.js');
  const { parts } = await load(location.href, () => {});
  const json = (name) => JSON.parse(new TextDecoder().decode(parts[name]));
  const { Store, analyze } = await at('js/store.js');
  const { Encoder } = await at('js/encoder.js');
  const { Embedder, Tokenizer } = await at('js/models.js');
  const { Reader } = await at('js/reader.js');
  const index = json('index.json');
  const networks = json('networks.json');
  const tokenizer = new Tokenizer(json('vocabulary.json'));
  const network = async (name, variant = 'relaxed') => Encoder.create(
    await WebAssembly.compile(parts[`encoder-${variant}.wasm`]), parts['weights.bin'],
    networks[name]);
  window.parts = {
    index, tokenizer, analyze, network, store: new Store(index, parts['vectors.bin']),
    words: await at('js/words.js'), retrieve: await at('js/retrieve.js'),
    embedder: new Embedder(await network('embedder'), tokenizer, index.max_tokens),
    reader: new Reader(await network('reader'), tokenizer, index.heads),
  };
}"""


@pytest.fixture(scope="module")
def exported(company: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample company as a page, its router and a document's markup left aside."""
    target = tmp_path_factory.mktemp("export") / "page"
    write.export(
        company.system, company.settings, target, store=company.store,
        title="Tarnhagen <b>& Co</b>", examples=("Which compressor sits in a Kondor 210?",),
    )  # fmt: skip
    return target


@pytest.fixture(scope="module")
def url(exported: Path) -> Iterator[str]:
    with hosted(server(exported)) as address:
        yield address


@pytest.fixture(scope="module")
def parts(chromium: Any, url: str) -> Iterator[Any]:
    """A page with the port's modules in `window.parts`."""
    with opened(chromium, url) as page:
        page.evaluate(OPEN)
        yield page


def ask(page: Any, question: str) -> Any:
    """Puts the question as a person does; the newest answer's element."""
    page.fill("#question", question)
    page.press("#question", "Enter")
    return page.wait_for_selector("#answers > .answer:first-child:not([aria-busy])")


def questions(name: str, step: int = 1) -> list[str]:
    from ragtune.demo import SAMPLE

    lines = (SAMPLE.parent / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines][::step]


def headings(company: Workspace) -> list[str]:
    """The questions of a FAQ as it puts them: an answer stands right behind."""
    faq = company.store.get("company/support/faq.html")
    assert faq is not None
    spans = [faq.text[block.start : block.end] for block in faq.map.blocks]
    return [text for text in spans if text.endswith("?")]


# ---------------------------------------------------------------- the port is the same


def test_words_are_the_same(parts: Any, company: Workspace) -> None:
    texts = [company.document(i.uri).text for i in company.documents()]
    texts += [
        "Straße ΣΊΣΥΦΟΣ’s don't 1.234,5 3:30 twenty-one X200 ǅ ﬁne 東京 naïve",
        "I Am. the 2nd",
    ]
    for function in ("tokens", "content", "numbers", "names"):
        here = [getattr(words, function)(text) for text in texts]
        there = parts.evaluate(f"texts => texts.map(parts.words.{function})", texts)
        assert there == here, function
    analyse = analyzer().analyze
    there = parts.evaluate("texts => texts.map(parts.analyze)", texts)
    assert there == [analyse(text) for text in texts]


def test_tokens_and_their_places_are_the_same(parts: Any, company: Workspace) -> None:
    from ragtune.models import embed

    known = tokenizer(embed.built() / "tokenizer.json")
    texts = [company.document(i.uri).text for i in company.documents()]
    texts += [
        "Ünïcode\u00a0[SEP] 東京タワー don\u2019t\ufffd x" * 3,
        "a" * 300,
        "\u200bzero\tİstanbul",
    ]
    there = parts.evaluate("texts => texts.map((t) => parts.tokenizer.tokenize(t))", texts)
    for text, found in zip(texts, there, strict=True):
        if max(text, default="") > "\uffff":
            continue  # offsets there count UTF-16 units
        encoding = known.encode(text, add_special_tokens=False)
        assert found["ids"] == encoding.ids
        offsets = list(zip(found["starts"], found["ends"], strict=True))
        assert offsets == encoding.offsets


def test_vectors_and_readings_are_the_same(parts: Any, company: Workspace) -> None:
    asked = [*questions("heldout", 3), *questions("unanswerable", 3)]
    here = company.system.embedder.embed(asked)
    embed = "qs => Promise.all(qs.map(async (q) => [...await parts.embedder.embed(q)]))"
    there = np.array(parts.evaluate(embed, asked))
    cosines = (here * there).sum(axis=1)
    # Rounding to int8 makes a last digit's difference grow: one question can fall a little below.
    assert cosines.mean() >= 0.999
    assert cosines.min() >= 0.995
    assert company.system.reader is not None
    text = "Hotels\nHotel costs are reimbursed up to 115 EUR a night, breakfast included."
    for question in ("how much can my hotel cost", "who pays for breakfast?"):
        mine = company.system.reader.read(question, [text])[0]
        theirs = parts.evaluate("([q, t]) => parts.reader.read(q, [t])", [question, text])[0]
        assert theirs["score"] == pytest.approx(mine.score, abs=0.3)
        assert (theirs["start"], theirs["end"]) == (mine.start, mine.end)


def test_the_encoder_without_relaxed_simd_gives_the_same(parts: Any) -> None:
    ids = [101, 2129, 2116, 2420, 1997, 2681, 2079, 1045, 2131, 1029, 102]
    run = """async ([ids, variant]) => {
      const network = await parts.network('embedder', variant);
      return [...await network.hidden(ids)];
    }"""
    assert parts.evaluate(run, [ids, "plain"]) == parts.evaluate(run, [ids, "relaxed"])


def test_keyword_scores_are_tantivys(parts: Any, company: Workspace) -> None:
    for question in questions("heldout", 9):
        there = dict(parts.evaluate("q => parts.store.lexical(q, 1000)", question))
        found = company.store.search(question, None, 1000).lexical
        ids = sorted(p.id for i in company.documents() for p in company.store.passages_of(i.uri))
        here = {ids.index(number): score for number, score in found}
        assert there.keys() == here.keys()
        for number, score in here.items():
            # The workspace's index still counts replaced stamps as documents.
            assert there[number] == pytest.approx(score, rel=0.02)


def test_search_is_the_same_for_the_same_vector(parts: Any, company: Workspace) -> None:
    run = """async ([question, vector]) => {
      const system = { store: parts.store, embedder: { embed: async () => vector } };
      const hits = await parts.retrieve.search(question, system, parts.index.settings);
      return hits.map((hit) => [hit.id, hit.text, hit.score, hit.heading]);
    }"""
    ids = sorted(p.id for i in company.documents() for p in company.store.passages_of(i.uri))
    spans: list[bool] = []
    for question in questions("train", 12):
        vector = company.system.embedder.embed([question])[0]
        there = parts.evaluate(run, [question, vector.tolist()])
        here = retrieve.search(question, company.system, company.settings)
        scores = [hit.score for hit in here]
        for n, hit in enumerate(here[:5]):
            gaps = [abs(hit.score - other) for m, other in enumerate(scores) if m != n]
            if min(gaps) < 0.02:
                continue  # stored vectors are int8: near ties may change places
            assert there[n][0] == ids.index(hit.passage.id)
            assert there[n][2] == pytest.approx(hit.score, abs=0.01)
            spans.append([there[n][1], there[n][3]] == [hit.text, hit.passage.heading])
    assert len(spans) > 50
    assert sum(spans) >= 0.97 * len(spans), "what joins a segment hangs on near ties too"


def test_answers_are_the_same(chromium: Any, url: str, company: Workspace) -> None:
    asked = [*questions("heldout", 3), *questions("unanswerable", 4), *headings(company)]
    same = 0
    with opened(chromium, url) as page:
        page.evaluate("""() => {
          const worker = new Worker('worker.js', { type: 'module' });
          const waiting = new Map();
          worker.onmessage = ({ data }) => waiting.get(data.id)?.(data);
          window.put = (question) => new Promise((resolve) => {
            waiting.set(question, resolve);
            worker.postMessage({ type: 'ask', id: question, question });
          });
        }""")
        for question in asked:
            there = page.evaluate("q => put(q)", question)["answer"]
            here = company.ask(question)
            same += (
                _quoted(here) == [(c["uri"], c["quote"], c["place"]) for c in there["citations"]]
                and here.status == there["status"]
            )
    # Status, quotes and places; int8 rounding moves what is nearly tied (benchmarks: browser.md).
    assert same >= 0.9 * len(asked)


def _quoted(answer: Answer) -> list[tuple[str, str, str]]:
    return [(c.uri, c.quote, c.place.label) for c in answer.citations]


# ---------------------------------------------------------------- the page


def test_it_answers_without_a_network(chromium: Any, exported: Path) -> None:
    """After one visit the server may be gone: reloaded and asked, service worker and all."""
    with hosted(server(exported)) as address:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        page.wait_for_function("document.getElementById('state').textContent.includes('without')")
        sent: list[str] = []
        context.on("request", lambda request: sent.append(request.url))
        ask(page, "Which compressor sits in a Kondor 210?")
        assert page.query_selector(".quote mark.phrase")
        assert not sent, "no request after load"
    context.set_offline(True)  # and the server is gone
    page.reload()
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    assert ask(page, "Which compressor sits in a Kondor 210?").query_selector(".quote mark.phrase")
    context.close()


def test_a_plain_server_will_do(chromium: Any, exported: Path) -> None:
    """Without headers from the server the service worker isolates the page at its next load."""

    class Plain(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    plain = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Plain, directory=str(exported))
    )
    with hosted(plain) as address, opened(chromium, address) as page:
        assert page.evaluate("crossOriginIsolated") is False
        page.wait_for_function("navigator.serviceWorker.controller")
        page.reload()
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        assert page.evaluate("crossOriginIsolated") is True


def test_a_citation_opens_at_its_place(chromium: Any, url: str) -> None:
    with opened(chromium, url, viewport={"width": 1000, "height": 700}) as page:
        answer = ask(page, "Which compressor sits in a Kondor 210?")
        quote = answer.query_selector("blockquote").text_content()
        answer.query_selector(".source").click()
        page.wait_for_selector("#viewer[open] .cited")
        cited = page.query_selector_all("#viewer .cited")
        assert "".join("".join(c.text_content() for c in cited).split()) == "".join(quote.split())
        box, sheet = cited[0].bounding_box(), page.query_selector("#viewer-text").bounding_box()
        assert sheet["y"] <= box["y"] < sheet["y"] + sheet["height"]
        page.keyboard.press("Escape")
        assert not page.query_selector("#viewer[open]")
        assert page.evaluate("document.activeElement.className") == "source"


def test_it_can_be_used_by_keyboard_alone(chromium: Any, url: str) -> None:
    with opened(chromium, url) as page:
        assert page.evaluate("document.activeElement.id") == "question"
        page.keyboard.type("Which compressor sits in a Kondor 210?")
        page.keyboard.press("Enter")
        page.wait_for_selector(".answer:not([aria-busy]) .source")
        for _ in range(6):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.className") == "source":
                break
        page.keyboard.press("Enter")
        page.wait_for_selector("#viewer[open] .cited")


def test_it_declines(chromium: Any, url: str) -> None:
    with opened(chromium, url) as page:
        answer = ask(page, "What is the capital of Mongolia?")
        assert "do not answer" in answer.text_content()
        assert not answer.query_selector("blockquote")


def test_documents_are_never_html(chromium: Any, own_company: Workspace, tmp_path: Path) -> None:
    """Markup in a document, its title, the page's title or a question is text."""
    path = own_company.root / "storm.md"
    path.write_text(HOSTILE, "utf-8")
    own_company.add([path])
    target = tmp_path / "page"
    write.export(
        own_company.system, own_company.settings, target, store=own_company.store,
        title="<script>window.pwned = 1</script>", where=Filter(path=("storm.md",)),
        examples=("<img src=x onerror='window.pwned = 1'>",),
    )  # fmt: skip
    with hosted(server(target)) as address, opened(chromium, address) as page:
        answer = ask(page, "How many litres does the Albatross pump move? <i>now</i>")
        assert "<img src=x" in answer.query_selector("blockquote").text_content()
        assert "🌊 a minute" in answer.query_selector("blockquote").text_content()
        answer.query_selector(".source").click()
        page.wait_for_selector("#viewer[open] .cited")
        assert "<svg onload" in page.text_content("#viewer-text")
        assert page.query_selector("#title").text_content().startswith("<script>")
        assert page.evaluate("window.pwned") is None
        assert not page.query_selector_all(
            "main img, main script, #viewer img, #viewer script, #viewer-text svg, i, b"
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_is_accessible(chromium: Any, url: str, scheme: str) -> None:
    try:
        axe = (vendor.obtain(AXE) / "axe.min.js").read_text("utf-8")
    except (WeightsError, AssertionError) as error:
        pytest.skip(f"needs axe-core: {error}")
    options = {"viewport": {"width": 360, "height": 740}, "color_scheme": scheme, "locale": "de-DE"}
    with opened(chromium, url, **options) as page:
        assert page.get_attribute("html", "lang") == "de"

        def sound() -> None:
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, "it scrolls sideways"
            found = page.evaluate("async () => (await axe.run()).violations")
            assert [(v["id"], v["nodes"][0]["html"]) for v in found] == []

        page.evaluate(axe)
        sound()
        answer = ask(page, "Called out till midnight. When do I start tomorrow?")
        answer.query_selector("summary").click()
        ask(page, "What is the capital of Mongolia?")
        sound()
        page.query_selector(".source").click()
        page.wait_for_selector("#viewer[open] .cited")
        sound()


def test_the_router_is_in_the_page(chromium: Any, own_company: Workspace, tmp_path: Path) -> None:
    from ragtune.models.router import FOLDER, ROUTES, load_router
    from ragtune.route.questions import Question
    from ragtune.route.train import train

    data = own_company.root / ".ragtune"
    rows = [Question(q, "work") for q in questions("train", 6)]
    asked = ("When do you open", "Opening hours", "Are you open", "Until when are you there")
    rows += [Question(f"{a} {b}", "hours") for a in asked for b in ("today?", "on Sunday?", "now?")]
    train(rows, data, threads=1)
    (data / FOLDER / ROUTES).write_text(
        '[routes]\n"hours" = { reply = "We are open from 9 to 5." }\n', "utf-8"
    )
    router = load_router(data)
    assert router is not None
    own_company.close()  # opens again with its router
    write.export(
        own_company.system, own_company.settings, tmp_path / "page", store=own_company.store,
        where=Filter(path=("*handbook*",)),
    )  # fmt: skip
    assert not (tmp_path / "page/vendor").exists(), "the page has its own code for the router"
    with hosted(server(tmp_path / "page")) as address, opened(chromium, address) as page:
        question = "are you open on Saturday?"
        answer = ask(page, question).text_content()
        assert router.route(question).reply == "We are open from 9 to 5."
        assert "We are open from 9 to 5." in answer
        assert "We are open" not in ask(page, "How many days of leave do I get?").text_content()


def test_written_sentences_are_checked_as_in_python(parts: Any) -> None:
    from ragtune import claims
    from ragtune.demo import SAMPLE

    lines = (SAMPLE.parent / "train.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row.get("evidence")][::3]
    cases: list[tuple[str, str, str, str]] = []
    for n, row in enumerate(rows):
        for m in (n, (n + 7) % len(rows)):  # its own source, and another's
            source = rows[m]["evidence"][0]
            for claim in [*row["answer"].splitlines(), source["quote"].split(",")[0]]:
                answers = row.get("answers") or [""]
                cases.append((claim, source["quote"], source["document"], answers[0]))
    here = [claims.supports(*case) for case in cases]
    assert 0.1 < sum(here) / len(here) < 0.9
    there = parts.evaluate(
        """async (cases) => {
          const { supports } = await import(new URL('js/claims.js', location.href).href);
          return cases.map((one) => supports(...one));
        }""",
        cases,
    )
    assert there == here


def test_the_commands(own_company: Workspace, tmp_path: Path) -> None:
    """`export browser` and `preview` as a person runs them; Ctrl-C ends the latter quietly."""
    import os
    import signal
    import subprocess
    import sys
    import urllib.request

    run = [sys.executable, "-m", "ragtune.cli"]
    target = tmp_path / "page"
    command = ["export", "browser", str(target), "--path", "*handbook*", "--json"]
    done = subprocess.run(
        [*run, *command, "-w", str(own_company.root)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["documents"] > 0
    assert made["download"] == sum(made["parts"].values())
    with subprocess.Popen(
        [*run, "preview", str(target), "--port", "0", "--json"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as preview:  # fmt: skip
        assert preview.stdout is not None
        url = json.loads(preview.stdout.readline())["url"]
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.status == 200
        preview.send_signal(signal.SIGINT)
        assert preview.wait(10) == 0


def test_no_path_of_this_machine_is_in_it(tmp_path: Path) -> None:
    """Documents, a database and a router from outside the workspace; all files are searched."""
    import gzip
    import sqlite3
    from contextlib import closing

    from click.testing import CliRunner

    from ragtune.cli import cli
    from ragtune.demo import SAMPLE

    home = tmp_path / "home-of-kim"
    shutil.copytree(SAMPLE / "policies", home / "policies")
    with closing(sqlite3.connect(home / "shop.db")) as db:
        db.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
        db.execute("INSERT INTO items (name) VALUES ('a hammer for nails')")
        db.commit()
    root = home / "ws"

    def run(*words: str) -> None:
        done = CliRunner().invoke(cli, [*words, "-w", str(root)])
        assert done.exit_code == 0, done.output

    run("init")
    run("add", str(home / "policies"), f"sqlite:///{home / 'shop.db'}")
    run("route", "train")
    run("export", "browser", str(tmp_path / "page"))
    whole = b""
    for path in sorted((tmp_path / "page").rglob("*")):
        if path.is_file():
            raw = path.read_bytes()
            whole += raw + (gzip.decompress(raw) if path.parent.name == "data" else b"")
    assert b'"shop.db#items/id=1"' in whole
    assert b'"policies/company-cars.txt"' in whole
    assert b"home-of-kim" not in whole
    assert str(tmp_path).encode() not in whole


def test_what_is_withdrawn_leaves_the_browser(
    chromium: Any, company: Workspace, tmp_path: Path
) -> None:
    """A new export in the same place: the next load has it, and nothing of the old is kept."""

    def export(pattern: str) -> set[str]:
        write.export(
            company.system, company.settings, tmp_path / "page", store=company.store,
            where=Filter(path=(pattern,)),
        )  # fmt: skip
        manifest = json.loads((tmp_path / "page" / "manifest.json").read_text("utf-8"))
        return {file["path"] for file in manifest["data"]}

    kept = """async () => {
      const cache = await caches.open('ragtune-data');
      return (await cache.keys()).map((key) => new URL(key.url).pathname.slice(1));
    }"""
    first = export("*policies*")
    # The preview holds the folder's path, so that it serves what stands there now.
    with hosted(server(tmp_path / "page")) as address, opened(chromium, address) as page:
        page.wait_for_function("navigator.serviceWorker.controller")
        assert set(page.evaluate(kept)) == first
        second = export("*handbook*")
        assert first != second
        page.reload()
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        assert set(page.evaluate(kept)) == second
        listed = page.evaluate("document.getElementById('documents').textContent")
        assert "handbook" in listed
        assert "policies/" not in listed
