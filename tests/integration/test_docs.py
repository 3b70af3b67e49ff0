"""What the README and docs show is run here, as written, on the sample company."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ragtune import demo

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home folder with the documents that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(demo.SAMPLE, tmp_path / "handbook")
    rows = (demo.SAMPLE.parent / "train.jsonl").read_text("utf-8").splitlines()
    (tmp_path / "examples.jsonl").write_text("\n".join(rows[::12]) + "\n", "utf-8")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python(page: Path, folder: Path) -> None:
    for code in blocks(page, "python"):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_console(page: Path, folder: Path) -> None:
    """Lines that begin with "$ " are typed one after another; what they print is not compared."""
    here = folder
    bin_folder = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": bin_folder + os.pathsep + os.environ["PATH"]}
    for block in blocks(page, "console"):
        for line in re.findall(r"^\$ (.*)$", block, re.M):
            words = shlex.split(line, comments=True)
            if words[0] == "cd":
                here = here / words[1]
                continue
            assert words[0] == "ragtune", f"{page.name}: {line}"
            done = subprocess.run(
                words, cwd=here, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            assert done.stdout.strip(), line


def test_the_readme_shows_the_api_in_under_15_lines() -> None:
    (code,) = blocks(ROOT / "README.md", "python")
    assert len(code.splitlines()) < 15
