"""What changes a workspace through the server: uploads, examples, feedback, models, jobs."""

import io
import json
import os
import shutil
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ragtune import demo, workspace
from ragtune.workspace import Workspace
from serving import Served, ready, start, stop

pytestmark = pytest.mark.integration

TEXT = b"# Zeppelin hangar\n\nThe hangar gate opens at 04:45 for crews with a blue badge.\n"
ASKED = {"question": "When does the hangar gate open?", "stream": False}


@pytest.fixture(scope="module")
def own(company: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("served") / "workspace"
    shutil.copytree(company.root, root)
    return workspace.open(root)


@pytest.fixture(scope="module")
def served(own: Workspace) -> Iterator[Served]:
    running = ready(start(own))
    yield running
    stop(running)


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as opened:
        yield opened


def test_an_uploaded_file_answers_is_cited_and_is_gone_when_deleted(
    client: httpx.Client, own: Workspace
) -> None:
    first = client.put("/api/files/site/hangar.md", content=TEXT)
    assert first.status_code == 201, first.text
    assert first.json()["state"] == "indexed"
    again = client.put("/api/files/site/hangar.md", content=TEXT)
    assert (again.status_code, again.json()["created"]) == (200, False)

    (cited,) = client.post("/api/ask", json=ASKED).json()["citations"]
    assert "04:45" in cited["quote"]
    given = {k: cited[k] for k in ("uri", "start", "end", "quote", "sha256")}
    assert client.post("/api/citation", json=given).json()["state"] == "current"
    client.put("/api/files/site/hangar.md", content=b"# New head\n\nNot that.\n\n" + TEXT)
    moved = client.post("/api/citation", json=given).json()
    assert moved["state"] == "moved"
    assert moved["open"]["text"] == cited["quote"]
    client.put("/api/files/site/hangar.md", content=TEXT.replace(b"04:45", b"05:15"))
    assert client.post("/api/citation", json=given).json() == {"state": "stale", "open": None}

    uri = {"uri": "uploads/site/hangar.md"}
    assert client.delete("/api/documents", params=uri).status_code == 204
    assert not (own.root / "uploads/site").exists()
    hits = client.post("/api/search", json={"query": ASKED["question"]}).json()["hits"]
    assert uri["uri"] not in {hit["uri"] for hit in hits}
    assert client.delete("/api/documents", params=uri).status_code == 404
    assert client.put("/api/files/site/hangar.md", content=TEXT).json()["state"] == "indexed"


def test_an_edit_is_true_for_the_very_next_question(client: httpx.Client, own: Workspace) -> None:
    """Also while the watcher is taking the same edit in."""
    file = own.root / "company" / "kite.md"
    for number, wait in enumerate((0, 0, 0.08, 0.1, 0.12, 0.14, 0.16, 0.2)):
        file.write_text(f"# Kite depot\n\nThe kite depot keeps {600 + number} kites.\n")
        time.sleep(wait)
        hits = client.post("/api/search", json={"query": "kites in the kite depot"}).json()["hits"]
        assert f"{600 + number} kites" in hits[0]["text"], (number, wait)
    file.unlink()
    hits = client.post("/api/search", json={"query": "kites in the kite depot"}).json()["hits"]
    assert all("kites" not in hit["text"] for hit in hits)


def test_a_folder_is_uploaded_as_a_form_and_a_bad_file_says_why(client: httpx.Client) -> None:
    files = [
        ("files", ("folder/deep/one.md", b"# One\n\nThe spare key hangs in the boathouse.\n")),
        ("files", ("folder/broken.pdf", b"%PDF-1.7 nothing")),
    ]
    one, broken = client.post("/api/files", files=files).json()["files"]
    assert (one["uri"], one["state"]) == ("uploads/folder/deep/one.md", "indexed")
    assert broken["state"] == "quarantined"
    assert "damaged" in broken["error"]


def test_an_uploaded_archive_counts_as_what_is_in_it(client: httpx.Client) -> None:
    before = client.get("/api/status").json()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.md", "# Oars\n\nThe oars stand behind the door.\n")
        archive.writestr("b.md", "# Sails\n\nThe sails hang in the loft.\n")
    stored = client.put("/api/files/boats.zip", content=packed.getvalue()).json()
    assert (stored["state"], stored["passages"]) == ("indexed", 2)
    now = client.get("/api/status").json()
    assert now["documents"] == before["documents"] + 2
    assert now["containers"]["archive"] == before["containers"]["archive"] + 1


BAD_NAMES = ("../x.md", "a/../../x.md", "/etc/x.md", "a//b.md", ".hidden.md", "a/.ragtune/x.md",
             "nul\0.md", "line\nbreak.md", "x" * 300, "/".join("abcdefghijklmnopqrst"))  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_lead_elsewhere_are_refused(
    client: httpx.Client, own: Workspace, name: str
) -> None:
    before = sorted(own.root.rglob("*.md"))
    url = "/api/files/" + "".join(f"%{byte:02X}" for byte in name.encode())
    assert client.put(url, content=TEXT).status_code in (400, 404)
    form = client.post("/api/files", files=[("files", (name, TEXT))])
    assert form.status_code in (201, 400)  # the client itself takes some names apart
    if form.status_code == 400:
        assert sorted(own.root.rglob("*.md")) == before
    assert not (own.root / "x.md").exists()


def test_no_link_is_followed(client: httpx.Client, own: Workspace, tmp_path: Path) -> None:
    uploads = own.root / "uploads"
    uploads.mkdir(exist_ok=True)
    (tmp_path / "secret.md").write_bytes(TEXT)
    (uploads / "out").symlink_to(tmp_path)
    (uploads / "file.md").symlink_to(tmp_path / "secret.md")
    assert client.put("/api/files/out/new.md", content=b"x").status_code == 409
    assert client.put("/api/files/file.md", content=b"x").status_code == 409
    assert (tmp_path / "secret.md").read_bytes() == TEXT
    assert not (tmp_path / "new.md").exists()


def test_a_page_of_a_pdf_shows_the_passage(client: httpx.Client) -> None:
    question = {"question": "What does a hotel cost per night at most?", "stream": False}
    cited = client.post("/api/ask", json=question).json()["citations"]
    pdf = next(c for c in cited if c["uri"].endswith(".pdf"))
    span = {k: pdf[k] for k in ("uri", "start", "end")}
    boxed = client.get("/api/page.png", params=span)
    assert boxed.headers["content-type"] == "image/png"
    page = boxed.headers["x-pages"]
    plain = client.get("/api/page.png", params={"uri": pdf["uri"], "page": pdf["place"]["page"]})
    assert plain.content[:8] == boxed.content[:8] == b"\x89PNG\r\n\x1a\n"
    assert plain.content != boxed.content
    same = client.get(
        "/api/page.png", params=span, headers={"If-None-Match": boxed.headers["etag"]}
    )
    assert same.status_code == 304
    beyond = client.get("/api/page.png", params={"uri": pdf["uri"], "page": int(page) + 1})
    assert beyond.status_code == 404
    assert client.get("/api/page.png", params={"uri": "../x.pdf"}).status_code == 404


def test_a_page_of_a_pdf_in_an_archive_is_the_same_picture(
    client: httpx.Client, own: Workspace
) -> None:
    uri = "company/policies/travel-policy.pdf"
    pdf = (own.root / uri).read_bytes()
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("travel.pdf", pdf)
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("notes.txt", "Not a picture.")
        archive.writestr("rules/travel.pdf", pdf)
        archive.writestr("more.zip", inner.getvalue())
    assert client.put("/api/files/both.zip", content=outer.getvalue()).json()["error"] is None

    text = client.get("/api/document", params={"uri": uri}).json()["text"]
    start = text.index("Hotel costs are reimbursed")
    span = {"start": start, "end": start + 60, "width": 600}
    alone = client.get("/api/page.png", params={"uri": uri, **span})
    assert 0.2 < float(alone.headers["x-box-top"]) < 0.8
    for member in ("rules/travel.pdf", "more.zip!/travel.pdf"):
        found = client.get("/api/page.png", params={"uri": f"uploads/both.zip!/{member}", **span})
        assert (found.status_code, found.content == alone.content) == (200, True)
        assert found.headers["x-box-top"] == alone.headers["x-box-top"]
    for name in ("notes.txt", "rules/none.pdf", "../travel.pdf"):
        params = {"uri": f"uploads/both.zip!/{name}"}
        assert client.get("/api/page.png", params=params).status_code == 404
    client.delete("/api/documents", params={"uri": "uploads/both.zip"})


def test_examples_and_corrections(client: httpx.Client) -> None:
    data = (demo.SAMPLE.parent / "train.jsonl").read_bytes()
    params = {"name": "train.jsonl"}
    first = client.post("/api/examples/import", params=params, content=data).json()
    assert first["added"] > 100
    again = client.post("/api/examples/import", params=params, content=data).json()
    assert (again["added"], again["known"]) == (0, first["added"])

    one = {"question": "Who waters the plants?", "answer": "The night crew."}
    made = client.post("/api/examples", json=one)
    assert made.status_code == 201
    assert client.post("/api/examples", json=one).status_code == 200
    url = f"/api/examples/{made.json()['id']}"
    assert client.put(url, json={**one, "answer": "The day crew."}).json()["answer"][4] == "d"
    assert client.delete(url).status_code == 204
    assert client.delete(url).status_code == 404

    said = {"question": "When is lunch?", "answer": "At one.", "thumb": "down"}
    corrected = {**said, "correction": "At noon."}
    assert client.post("/api/feedback", json=said).json()["example"] is None
    second = client.post("/api/feedback", json=corrected)
    assert second.status_code == 200
    found = client.get("/api/examples", params={"q": "lunch noon"}).json()["examples"]
    assert [f["id"] for f in found] == [second.json()["example"]]
    assert client.get("/api/feedback").json()["total"] == 1

    seen: list[str] = []
    after = ""
    while after is not None:
        page = client.get("/api/examples", params={"limit": 150, "after": after}).json()
        seen += [row["id"] for row in page["examples"]]
        after = page["next"]
    assert len(seen) == len(set(seen)) == page["total"] == first["added"] + 1
    checked = client.post("/api/examples/check", json={"ids": seen[:3], "show": 1}).json()
    assert checked["preview"][0]["id"] in seen[:3]
    text = "".join(p["text"] for p in checked["preview"][0]["pieces"] if p["trained"])
    assert found[0]["answer"] not in text
    assert checked["report"]["examples"] == 3


def test_models_are_used_and_rolled_back(client: httpx.Client) -> None:
    def active(path: str, **body: str) -> Any:
        return client.post(path, json=body).json()["active"]

    assert active("/api/adapters/use", name="grounded") == "grounded"
    assert active("/api/adapters/use", name="base") is None
    assert active("/api/adapters/rollback") == "grounded"
    assert active("/api/adapters/rollback") is None
    assert client.post("/api/adapters/use", json={"name": "nothing"}).status_code == 409
    assert client.post("/api/adapters/use", json={"name": "../x"}).status_code == 422


def events(client: httpx.Client, id: str, after: int = 0) -> Iterator[tuple[int, str, Any]]:
    with client.stream("GET", f"/api/jobs/{id}/events", params={"after": after}) as stream:
        at, name = 0, ""
        for line in stream.iter_lines():
            key, _, value = line.partition(": ")
            if key == "id":
                at = int(value)
            elif key == "event":
                name = value
            elif key == "data":
                yield at, name, json.loads(value)


QUESTION = {"question": "How many days of leave do full-time crew have?",
            "answers": ["30 working days"]}  # fmt: skip


def test_a_comparison_runs_survives_a_new_server_and_reports(own: Workspace) -> None:
    running = ready(start(own, "--no-watch"))
    wanted = {"questions": [QUESTION], "arms": ["quote"]}
    key = {"Idempotency-Key": "once"}
    with running.client() as client:
        job = client.post("/api/compares", json=wanted, headers=key)
        assert job.status_code == 202
        id = job.json()["id"]
        assert client.post("/api/compares", json=wanted, headers=key).json()["id"] == id
        for _, name, value in events(client, id):
            if name == "job" and value["state"] == "running":
                break
    running.process.kill()
    running.process.wait()
    running = ready(start(own, "--no-watch"))
    try:
        with running.client() as client:
            told = list(events(client, id))
            assert [name for _, name, _ in told][-1] == "end"
            assert "progress" in [name for _, name, _ in told]
            last = max(at for at, _, _ in told)
            assert [name for _, name, _ in events(client, id, last)] == ["job", "end"]
            done = client.get(f"/api/jobs/{id}").json()
            assert done["state"] == "done", done
            assert done["result"]["arms"].keys() == {"quote"}
            report = client.get(f"/api/jobs/{id}/report")
            assert "sandbox;" in report.headers["content-security-policy"]
            assert "<h1" in report.text
            assert client.get(f"/api/jobs/{id}/report/journal.jsonl").status_code == 404
            assert client.delete(f"/api/jobs/{id}").status_code == 204
            assert client.get(f"/api/jobs/{id}").status_code == 404
    finally:
        stop(running)


def test_a_tuning_is_cancelled_and_one_that_was_killed_can_go_on(
    client: httpx.Client, own: Workspace
) -> None:
    pytest.importorskip("torch")
    for number in range(8):
        example = {"question": f"What is rule {number}?", "answer": f"Rule {number} is kindness."}
        client.post("/api/examples", json=example)
    asked = {"name": "quick", "mode": "answers", "epochs": 1, "samples": 0}
    id = client.post("/api/tunes", json=asked).json()["id"]
    for _, name, _ in events(client, id):
        if name == "progress":
            break
    assert client.delete(f"/api/jobs/{id}").json()["state"] == "cancelled"
    assert client.get("/api/adapters").json()["adapters"][-1]["name"] == "grounded"

    assert client.post(f"/api/jobs/{id}/resume").status_code == 202
    for _, name, value in events(client, id):
        if name == "job" and value["state"] == "running":
            break
    job = json.loads((own.root / ".ragtune/jobs" / id / "job.json").read_text("utf-8"))
    os.kill(job["process"], signal.SIGKILL)
    *_, (_, name, value) = events(client, id)
    assert (name, value["state"]) == ("end", "interrupted")
