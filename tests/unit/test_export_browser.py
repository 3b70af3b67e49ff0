"""What the export writes and leaves out, without models or a browser."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune.config import Settings
from ragtune.errors import ConfigError, WeightsError, WorkspaceError
from ragtune.export.browser import index, models, vendor, write
from ragtune.export.browser.names import names
from ragtune.export.browser.preview import server
from ragtune.ingest.sources import Source
from ragtune.models.fakes import HashEmbedder
from ragtune.protocols import System
from ragtune.store import EmbeddedStore
from ragtune.store.fake import document
from ragtune.types import Filter

SECRET = "zanzibar"


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    """Two documents that may leave, one that may not, one that was deleted."""
    made = EmbeddedStore(tmp_path / "data")
    embedder = HashEmbedder()
    for uri, texts in (
        ("policies/a.md", ["Hotels cost 115 EUR 🌊 a night. Trains are paid.", "Second class."]),
        ("policies/b.md", ["The office opens at nine."]),
        ("private/c.md", [f"The password is {SECRET}."]),
        ("policies/d.md", [f"It was {SECRET} before."]),
    ):
        found, passages, _ = document(uri, texts)
        made.replace(found, passages, embedder.embed([p.text for p in passages]))
    made.delete(["policies/d.md"])
    return made


@pytest.fixture
def small(store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes an export with a stand-in for the 23 MB model."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    big = np.arange(1024, dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "big"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1024])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1024])],
        [numpy_helper.from_array(big, "big")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab": {"[UNK]": 100, "a": 1037}}}')
    monkeypatch.setattr(models, "chosen", lambda *_: {"embedder": tmp_path / "model.onnx"})
    monkeypatch.setattr(models, "_check", lambda *_: None)
    system = System(store, HashEmbedder(), SimpleNamespace())

    def export(target: Path, **options: Any) -> write.Exported:
        return write.export(system, Settings(), target, store=store, **options)

    return export


def everything(folder: Path) -> bytes:
    """All files of an export, the compressed ones unpacked."""
    import gzip

    found = b""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            raw = path.read_bytes()
            found += path.name.encode() + raw
            found += gzip.decompress(raw) if path.parent.name == "data" else b""
    return found


def test_only_what_was_chosen_is_in_it(small: Any, tmp_path: Path) -> None:
    made = small(tmp_path / "page", where=Filter(path=("policies/*",)))
    assert (made.documents, made.passages) == (2, 3)
    whole = everything(made.path)
    assert SECRET.encode() not in whole
    assert b"private/c.md" not in whole
    assert b"policies/d.md" not in whole
    assert "115 EUR 🌊".encode() in whole
    assert SECRET.encode() in everything(small(tmp_path / "all").path), "the search itself works"


def test_documents_from_elsewhere_are_named_without_their_path() -> None:
    sources = [
        Source("path", "."), Source("path", "/home/kim/handbook"), Source("path", "/srv/handbook"),
        Source("path", "/home/kim/one.md"), Source("glob", "/home/kim/notes/*.md"),
    ]  # fmt: skip
    expected = {
        "policies/a.md": "policies/a.md",
        "hire.db#items/id=1": "hire.db#items/id=1",
        "sqlite:///shop.db#items/id=1": "sqlite:///shop.db#items/id=1",
        "/home/kim/handbook/b/c.md": "handbook/b/c.md",
        "/home/kim/handbook/old.zip!/x/y.md": "handbook/old.zip!/x/y.md",
        "/srv/handbook/b/c.md": "handbook (2)/b/c.md",
        "/home/kim/one.md": "one.md",
        "/home/kim/notes/n.md": "notes/n.md",
        "/home/kim/gone/by.md": "by.md",
        "sqlite:////home/kim/shop.db#items/id=3": "shop.db#items/id=3",
        "postgresql://db.local/shop#items/id=3": "shop (2)#items/id=3",
        "mysql://db.local/shop#items/id=3": "shop#items/id=3",
    }
    assert names(expected, sources) == expected
    taken = names(["handbook/a.md", "/srv/handbook/a.md"], sources)
    assert list(taken.values()) == ["handbook/a.md", "handbook (2)/a.md"]


@given(st.lists(st.text("ab/!#: ", min_size=1, max_size=12), unique=True, max_size=8))
def test_no_two_documents_have_one_name(paths: list[str]) -> None:
    uris = [*paths, *("/" + p.lstrip("/") for p in paths), *(f"pg://{p}" for p in paths)]
    sources = [Source("path", f"/{p.strip('/')}") for p in paths[::2]]
    found = names(uris, sources)
    assert set(found) == set(uris)
    assert len(set(found.values())) == len(found)


def test_the_manifest_is_true(small: Any, tmp_path: Path) -> None:
    made = small(tmp_path / "page", title="T & <U>")
    manifest = json.loads((made.path / "manifest.json").read_text("utf-8"))
    assert manifest["title"] == "T & <U>"
    for file in manifest["data"]:
        raw = (made.path / file["path"]).read_bytes()
        assert len(raw) == file["bytes"]
        assert hashlib.sha256(raw).hexdigest() == file["sha256"]
        assert file["sha256"][:10] in file["path"]
    for name in manifest["shell"]:
        assert name == "./" or (made.path / name).is_file()
    on_disk = sum(p.stat().st_size for p in made.path.rglob("*") if p.is_file())
    assert made.download == on_disk
    page = (made.path / "index.html").read_text("utf-8")
    assert "<title>T &amp; &lt;U&gt;</title>" in page
    assert "{{" not in page + (made.path / "sw.js").read_text("utf-8")
    assert json.loads((made.path / "app.webmanifest").read_text("utf-8"))["name"] == "T & <U>"
    assert "unsafe-inline" not in page
    assert page.count("<script") == page.count('<script type="module" src=')


def test_an_export_replaces_only_an_export(small: Any, tmp_path: Path) -> None:
    first = small(tmp_path / "page")
    versions = [(first.path / "sw.js").read_bytes()]
    versions.append((small(tmp_path / "page", title="New").path / "sw.js").read_bytes())
    assert versions[0] != versions[1], "browsers see a new service worker"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="no earlier export"):
        small(mine)
    assert (mine / "thesis.txt").read_text() == "years of work"
    with pytest.raises(WorkspaceError, match="no document to export"):
        small(tmp_path / "none", where=Filter(path=("nowhere/*",)))
    assert not (tmp_path / "none").exists()
    assert not list(tmp_path.glob(".page-*"))


def test_offsets_count_as_javascript_does(store: EmbeddedStore) -> None:
    made = index.build(store, HashEmbedder()).content
    stored = next(d for d in made["documents"] if d["uri"] == "policies/a.md")
    wide = stored["text"].encode("utf-16-le")
    units = [stored["units"][n : n + 3] for n in range(0, len(stored["units"]), 3)]
    texts = [wide[2 * start : 2 * end].decode("utf-16-le") for start, end, _ in units]
    assert texts[0] == "Hotels cost 115 EUR 🌊 a night."
    assert "Trains are paid." in texts


def test_postings_are_the_passages_terms(store: EmbeddedStore) -> None:
    made = index.build(store, HashEmbedder(), Filter(path=("policies/*",))).content
    assert made["terms"]["hotel"] == [0, 1]
    assert made["terms"]["offic"] == [2, 1]
    assert len(made["lengths"]) == 3
    assert made["total"] == sum(made["lengths"])


@given(st.integers(0, 2**31 - 1))
def test_a_length_is_kept_as_lucene_keeps_it(length: int) -> None:
    kept = index.kept_length(length)
    assert kept <= length
    assert index.kept_length(kept) == kept
    assert length - kept <= length / 8
    if length <= 40:
        assert kept == length


def save(path: Path, **arrays: Any) -> Path:
    """An ONNX file with these constants and nothing else."""
    import onnx
    from onnx import helper, numpy_helper

    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], constants)), path)
    return path


def test_constants_are_stored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_check", lambda *_: None)
    same, other = np.ones((32, 32), np.float32), np.arange(7, dtype=np.int8)
    scale = np.array(0.5, np.float32)
    one = save(tmp_path / "one.onnx", weight=same)
    two = save(tmp_path / "two.onnx", first=other, second=same, scale=scale)
    shared = models.share({"one": one, "two": two})
    assert shared.weights == same.tobytes() + other.tobytes()
    place = shared.networks["one"]["tensors"]["weight"]
    assert shared.networks["two"]["tensors"]["second"] == place
    at = shared.networks["two"]["tensors"]["first"]
    found = np.frombuffer(shared.weights, at["type"], 7, at["offset"])
    assert (found == other).all()
    assert shared.networks["two"]["values"] == {"scale": 0.5}


def test_a_model_that_the_page_has_no_code_for_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "model.onnx", words=np.ones((2, 3), np.float32))
    with pytest.raises(WeightsError, match="not the int8 file that the page can run"):
        models.share({"embedder": path})


def test_a_router_of_another_minilm_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would read with weights that it was not trained on."""
    monkeypatch.setattr(models, "_check", lambda *_: None)
    ours, head = np.zeros(8, np.int8), np.ones(3, np.float32)
    own = {"own.half": np.array(0.7, np.float32), "head.bias": head}
    embedder = save(tmp_path / "embedder.onnx", layer=ours)
    router = save(tmp_path / "router.onnx", layer=ours, **own)
    found = models.share({"embedder": embedder, "router": router}).networks["router"]
    assert set(found["tensors"]) == {"head.bias"}
    save(router, layer=ours + 1, **own)
    with pytest.raises(WeightsError, match="route train"):
        models.share({"embedder": embedder, "router": router})


def test_a_router_trained_by_an_earlier_version_is_refused(tmp_path: Path) -> None:
    """It has activations in one digit, and would give other probabilities than in Python."""
    some = np.ones((2, 3), np.float32)
    held = {"table": some, "head.weights": some, "head.examples": some}
    router = save(tmp_path / "router.onnx", **held)
    with pytest.raises(WeightsError, match="earlier ragtune: `ragtune route train` again"):
        models.share({"router": router})
    save(router, **held, **{"head.second.step": np.array(0.1, np.float32)})
    assert "table" in models.share({"router": router}).networks["router"]["tensors"]


# ---------------------------------------------------------------- libraries


def package(tmp_path: Path, content: bytes = b"export {}") -> tuple[vendor.Package, Path]:
    folder = tmp_path / "source" / "package"
    folder.mkdir(parents=True)
    (folder / "a.mjs").write_bytes(content)
    tarball = tmp_path / "a.tgz"
    with tarfile.open(tarball, "w:gz") as archive:
        archive.add(folder, "package")
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    return vendor.Package("@a/b", "1.0.0", "MIT", f"sha512-{digest}", 10, ("a.mjs",)), tarball


def test_a_library_is_checked_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTUNE_HOME", str(tmp_path / "home"))
    pinned, tarball = package(tmp_path)
    monkeypatch.setattr(vendor, "_fetch", lambda *_: tarball)
    folder = vendor.obtain(pinned)
    assert (folder / "a.mjs").read_bytes() == b"export {}"
    monkeypatch.setattr(vendor, "_fetch", lambda *_: pytest.fail("it is there already"))
    assert vendor.obtain(pinned) == folder
    with tarball.open("ab") as stream:
        stream.write(b"!")
    with pytest.raises(WeightsError, match="not the published file"):
        vendor.check(pinned, tarball)


def test_offline_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTUNE_HOME", str(tmp_path))
    monkeypatch.setenv("RAGTUNE_OFFLINE", "1")
    with pytest.raises(WeightsError, match="RAGTUNE_OFFLINE") as caught:
        vendor.obtain(vendor.ORT)
    assert "\n" not in str(caught.value)


def test_no_registry_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTUNE_HOME", str(tmp_path))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(WeightsError, match="npm registry") as caught:
        vendor.obtain(vendor.ORT)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "npm").iterdir())


# ---------------------------------------------------------------- preview


@pytest.fixture
def preview(small: Any, tmp_path: Path) -> Iterator[Any]:
    running = server(small(tmp_path / "page").path)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running.server_address[1]
    running.shutdown()
    running.server_close()


def get(port: int, path: str, method: str = "GET") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    return connection.getresponse()


def test_preview_isolates_the_page(preview: int) -> None:
    answer = get(preview, "/")
    assert answer.status == 200
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    policy = answer.headers["Content-Security-Policy"]
    assert "connect-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert get(preview, "/js/ask.js").headers["Content-Type"].startswith("text/javascript")


@pytest.mark.parametrize("path", ["/../data/ragtune.db", "/%2e%2e/model.onnx", "/js/", "/none"])
def test_preview_serves_nothing_else(preview: int, path: str) -> None:
    assert get(preview, path).status == 404


def test_preview_only_reads(preview: int) -> None:
    assert get(preview, "/index.html", "POST").status == 501


def test_preview_wants_an_export(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no export"):
        server(tmp_path)
