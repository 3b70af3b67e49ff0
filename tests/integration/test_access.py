"""Who sees what: every document holds a word of its own, and nobody may learn another's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragtune import workspace
from ragtune.errors import DocumentError
from ragtune.types import Answer, Evidence
from ragtune.workspace import Workspace

pytest.importorskip("fastapi")
pytest.importorskip("argon2")

import httpx

from ragtune import config
from ragtune.server.database import Database
from ragtune.server.scope import View
from ragtune.server.users import OWNER, Principal, Users
from ragtune.visibility import Visibility, folder_key, rules_of
from serving import Served, ready, start, stop

pytestmark = pytest.mark.integration

FOLDERS = ("open", "hr", "hr/pay", "hr/forms", "sales", "legal/cases")
EACH = 10  # documents in each folder
SYLLABLES = "ba be bi bo bu da de di do du ka ke ki ko ku la le li lo lu ma me mi mo mu".split()
GROUPS: tuple[tuple[str, ...], ...] = (
    (), ("hr",), ("pay",), ("sales",), ("legal",), ("hr", "pay"), ("sales", "legal"),
    ("hr", "pay", "sales", "legal"),
)  # fmt: skip
RULES: tuple[tuple[bool, tuple[tuple[str, tuple[str, ...]], ...]], ...] = (
    (True, ()),
    (True, (("hr", ("hr",)), ("hr/pay", ("pay",)), ("sales", ("sales",)), ("legal", ("legal",)))),
    (True, (("hr", ()), ("hr/forms", ("hr", "sales")), ("legal/cases", ("legal",)))),
    (False, (("open", ("hr", "sales")), ("hr/pay", ("pay",)), ("sales", ("sales",)))),
)


def word(number: int) -> str:
    """A word that no other document has."""
    n = len(SYLLABLES)
    return "za" + SYLLABLES[number // n % n] + SYLLABLES[number % n] + "xq"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    root = tmp_path_factory.mktemp("access")
    for number in range(EACH * len(FOLDERS)):
        place = root / "docs" / FOLDERS[number // EACH]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"note-{number}.md").write_text(
            f"# Note {word(number)}\n\nThe code of {word(number)} is kept in the blue cabinet.\n"
        )
    with workspace.init(root) as opened:
        opened.add([root / "docs"])
        yield opened


def seen_by(groups: tuple[str, ...], everyone: bool, rules: object, uri: str) -> bool:
    """What the rules mean, said again in the plainest way: the longest folder decides."""
    inside = uri.removeprefix("docs/")
    best: tuple[str, tuple[str, ...]] | None = None
    for name, allowed in rules:  # type: ignore[attr-defined]
        if inside.startswith(name + "/") and (best is None or len(name) > len(best[0])):
            best = (name, allowed)
    return everyone if best is None else bool(set(best[1]) & set(groups))


def test_ten_thousand_cases_leak_nothing(folder: Workspace) -> None:
    uris = sorted(d.uri for d in folder.documents())
    words = {uri: word(int(uri.rpartition("-")[2].removesuffix(".md"))) for uri in uris}
    cases = leaks = 0
    for everyone, rules in RULES:
        made = rules_of((folder_key("docs/" + name), allowed) for name, allowed in rules)
        for groups in GROUPS:
            visible = Visibility(frozenset(groups), made, everyone)
            view = View(folder, Principal("someone", "reader", groups), visible)
            mine = {u for u in uris if seen_by(groups, everyone, rules, u)}
            hidden = [words[u] for u in uris if u not in mine]

            def tells(text: str, hidden: list[str] = hidden) -> int:
                return sum(w in text for w in hidden)

            assert {d.uri for d in view.documents()} == mine
            for uri in uris:
                for path in (view.info, view.document, view.passages):
                    if uri in mine:
                        assert path(uri)
                    else:
                        with pytest.raises(DocumentError, match="no such document"):
                            path(uri)
                    cases += 1
                assert view.sees(uri) == (uri in mine)
                hits = view.search(f"code of {words[uri]}", 5)
                leaks += sum(h.uri not in mine or tells(h.text) for h in hits)
                assert (words[uri] in " ".join(h.text for h in hits)) == (uri in mine)
                cases += 2
            for uri in uris[::4]:
                for event in view.ask_stream(f"Where is the code of {words[uri]} kept?"):
                    if isinstance(event, Evidence):
                        leaks += sum(tells(s.text) for s in event.sentences)
                        leaks += sum(h.uri not in mine for h in event.hits)
                    elif isinstance(event, Answer):
                        leaks += tells(event.text)
                        leaks += sum(c.uri not in mine for c in event.citations)
                cases += 1
    assert leaks == 0
    assert cases >= 10_000


# ---------------------------------------------------------------- over HTTP


@pytest.fixture(scope="module")
def served(folder: Workspace) -> Iterator[tuple[Served, Users]]:
    database = Database(folder.root / config.DATA_FOLDER)
    users = Users(database)
    users.add("ann", "reader", ["hr"])
    users.add("eve", "reader", ["sales"])
    users.add("ed", "editor", ["sales"])
    users.set_rule("docs/hr", ["hr"])
    users.set_rule("docs/sales", ["sales"])
    running = ready(start(folder, "--no-watch"))
    yield running, users
    stop(running)
    database.close()


def as_(served: Served, key: str) -> httpx.Client:
    return httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)


def test_over_http_nobody_learns_of_what_is_hidden(
    served: tuple[Served, Users], tmp_path: Path
) -> None:
    running, users = served
    secret = word(EACH)  # in hr
    uri = f"docs/hr/note-{EACH}.md"
    with as_(running, users.add_key("ann")) as ann, as_(running, users.add_key("eve")) as eve:
        assert secret in ann.get("/api/document", params={"uri": uri}).text
        missing = eve.get("/api/document", params={"uri": "docs/hr/never-there.md"})
        hidden = eve.get("/api/document", params={"uri": uri})
        assert hidden.status_code == missing.status_code == 404
        assert hidden.json()["detail"] == missing.json()["detail"]
        for client, sees in ((ann, True), (eve, False)):
            listed = client.get("/api/documents", params={"limit": 100})
            found = client.post("/api/search", json={"query": f"code of {secret}"})
            asked = client.post(
                "/api/ask", json={"question": f"Where is the code of {secret}?", "stream": False}
            )
            chat = client.post("/v1/chat/completions", json={
                "model": "ragtune/quote",
                "messages": [{"role": "user", "content": f"Where is the code of {secret} kept?"}],
            })  # fmt: skip
            assert (uri in listed.text) == sees
            for reply in (found, asked, chat):
                assert reply.status_code == 200, reply.text
                told = reply.text.replace(f"code of {secret}", "")
                assert (secret in told) == sees
        assert eve.get("/metrics").status_code == 403
        assert eve.get("/api/examples").status_code == 403
        for open_to_none in ("/api/documents", "/api/search", "/metrics", "/v1/models"):
            assert httpx.get(running.url + open_to_none).status_code in (401, 405)


def test_an_editor_changes_only_what_he_sees(served: tuple[Served, Users]) -> None:
    running, users = served
    rules = (
        ("team", ("sales",)),
        ("team/pay", ("pay",)),
        ("shared", ()),
        ("team/pay/open", ("sales",)),
    )
    for inside, allowed in rules:
        users.set_rule(f"uploads/{inside}", allowed)
    folders = (
        "",
        "plain/",
        "team/",
        "Team/",
        "team/pay/",
        "team/pay/open/",
        "shared/",
        "shared/in/",
    )
    editors: dict[str, tuple[str, ...]] = {
        "sam": ("sales",),
        "pat": ("pay",),
        "kim": ("sales", "pay"),
        "lee": (),
    }
    cases = 0
    with running.client() as owner:
        for folder in folders:
            put = owner.put(f"/api/files/{folder}kept.md", content=b"# Kept\n\nAs it was.\n")
            assert put.status_code == 201
        for name, groups in editors.items():
            users.add(name, "editor", groups)
            with as_(running, users.add_key(name)) as editor:
                for folder in folders:
                    mine = seen_by(groups, True, rules, "docs/" + folder.lower() + "x")
                    kept = f"uploads/{folder}kept.md"
                    uri = f"uploads/{folder}{name}.md"
                    body = f"# Note\n\nBy {name}.\n".encode()
                    put = editor.put(f"/api/files/{folder}{name}.md", content=body)
                    assert put.status_code == (201 if mine else 403), (name, folder, put.text)
                    form = {"files": (f"{folder}{name}-2.md", body)}
                    assert editor.post("/api/files", files=form).status_code == (
                        201 if mine else 403
                    )
                    for there in (uri, kept):
                        found = owner.get("/api/document", params={"uri": there})
                        assert found.status_code == (200 if mine or there == kept else 404)
                    if not mine:  # neither replaced nor deleted, nor told that it is there
                        put = editor.put(f"/api/files/{folder}kept.md", content=b"mine now")
                        never = editor.put(f"/api/files/{folder}never.md", content=b"mine now")
                        assert put.status_code == never.status_code == 403
                        assert put.json()["detail"] == never.json()["detail"]
                        gone = editor.delete("/api/documents", params={"uri": kept})
                        never = editor.delete(
                            "/api/documents", params={"uri": f"uploads/{folder}never.md"}
                        )
                        assert gone.status_code == never.status_code == 404
                        assert gone.json()["detail"] == never.json()["detail"]
                        told = owner.get("/api/document", params={"uri": kept}).json()["text"]
                        assert "As it was." in told
                    else:
                        assert (
                            editor.delete("/api/documents", params={"uri": uri}).status_code == 204
                        )
                        assert owner.get("/api/document", params={"uri": uri}).status_code == 404
                    cases += 1
    assert cases == len(folders) * len(editors)


def test_a_disabled_user_and_key_stop_at_once(served: tuple[Served, Users]) -> None:
    running, users = served
    key = users.add_key("ed", "bot")
    with as_(running, key) as ed:
        assert ed.get("/api/documents").status_code == 200
        users.disable_key(key.split("_")[1])
        assert ed.get("/api/documents").status_code == 401
    other = users.add_key("ed")
    with as_(running, other) as ed:
        assert ed.get("/api/documents").status_code == 200
        users.change("ed", disabled=True)
        assert ed.get("/api/documents").status_code == 401


def test_a_password_signs_in_and_too_many_wrong_ones_wait(served: tuple[Served, Users]) -> None:
    running, users = served
    users.set_password("eve", "a long enough password")
    with httpx.Client(base_url=running.url, headers={"Origin": running.url}) as browser:
        good = {"name": "eve", "password": "a long enough password"}
        assert browser.post("/api/session", json=good).status_code == 201
        assert browser.get("/api/session").json()["name"] == "eve"
        # what changes something needs the header that other sites cannot send
        assert browser.delete("/api/session").status_code == 403
        assert browser.delete("/api/session", headers={"X-Ragtune": "1"}).status_code == 204
        tries = [
            browser.post("/api/session", json={"name": "ann", "password": f"wrong {n} wrong"})
            for n in range(7)
        ]
        assert tries[0].status_code == 401
        assert tries[-1].status_code == 429
        assert int(tries[-1].headers["Retry-After"]) >= 1
    assert OWNER.may("admin")
