"""One stored file of test vectors, and both runtimes: ONNX Runtime here, the page in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.browser_router import JUDGE, by_name

import router_vectors
from browsing import hosted, opened
from ragtune import workspace
from ragtune.config import DATA_FOLDER
from ragtune.export.browser import write
from ragtune.export.browser.preview import server
from ragtune.models.router import OnnxRouter
from router_vectors import TOLERANCE

pytestmark = pytest.mark.integration


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
    for expected, got in zip(values["vectors"], found, strict=True):
        chances = by_name(got, values["intents"])
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
def page(root: Path, chromium: Any) -> Iterator[Any]:
    with workspace.open(root) as exporting:
        write.export(exporting.system, exporting.settings, root / "page", store=exporting.store)
    with hosted(server(root / "page")) as address, opened(chromium, address) as ready:
        yield ready


@pytest.mark.parametrize("variant", ["relaxed", "plain"])
def test_the_page(values: dict[str, Any], page: Any, variant: str) -> None:
    texts = [row["text"] for row in values["vectors"]]
    compare(values, page.evaluate(JUDGE, [texts, variant]))
