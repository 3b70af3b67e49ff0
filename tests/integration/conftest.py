"""The sample company in a workspace, indexed once with the real model; and behind a server."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import browsing
from ragtune import demo, workspace
from ragtune.workspace import Workspace

# A shell's background job ignores Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace with the whole sample company; tests must not change it."""
    root = tmp_path_factory.mktemp("company-workspace")
    shutil.copytree(demo.SAMPLE, root / "company")
    with workspace.init(root) as opened:
        report = opened.add([root / "company"])
        assert not report.failed
        yield opened


@pytest.fixture
def own_company(company: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of that workspace that a test may change."""
    root = tmp_path / "workspace"
    shutil.copytree(company.root, root)
    with workspace.open(root) as opened:
        yield opened


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Debian's Chromium; skips where there is none."""
    with browsing.browser() as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browsing.Site]:
    """A server over the sample company with some examples."""
    root = tmp_path_factory.mktemp("web-workspace")
    shutil.copytree(demo.SAMPLE, root / "company")
    with workspace.init(root) as opened:
        opened.add([root / "company"])
    rows = (demo.SAMPLE.parent / "train.jsonl").read_text("utf-8").splitlines()[::16]
    given = [json.dumps({**json.loads(row), "id": f"e{n}"}) for n, row in enumerate(rows)]
    (root / ".ragtune" / "examples.jsonl").write_text("\n".join(given) + "\n", "utf-8")
    with browsing.serving(root) as served:
        yield served
