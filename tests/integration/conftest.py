"""The sample company in a workspace, indexed once with the real model."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

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
