"""A real server process over the sample company, and the clients that people use with it."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ragtune.workspace import Workspace
from serving import TOKEN, Served, ready, start, stop

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def served(company: Workspace) -> Iterator[Served]:
    running = ready(start(company, "--no-watch"))
    yield running
    stop(running)


def test_nothing_without_signing_in(served: Served) -> None:
    schema = served.client().get("/api/openapi.json").json()
    open_to_all = {"/healthz", "/readyz"}
    for path, methods in schema["paths"].items():
        for method in methods:
            answer = httpx.request(method, served.url + re.sub(r"\{[^}]*\}", "x", path), json={})
            if path in open_to_all:
                assert answer.status_code == 200
            else:
                expected = {422} if path == "/api/session" and method == "post" else {401}
                assert answer.status_code in expected, (method, path, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
    assert httpx.post(served.url + "/mcp", json={}).status_code == 401


def test_a_link_signs_in_once_and_a_forged_request_is_refused(served: Served) -> None:
    with httpx.Client(base_url=served.url) as browser:
        first = browser.post("/api/session", json={"secret": served.code})
        assert first.status_code == 201
        cookie = first.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert (
            httpx.post(served.url + "/api/session", json={"secret": served.code}).status_code == 401
        )

        assert browser.get("/api/status").status_code == 200
        ask = {"query": "leave"}
        assert browser.post("/api/search", json=ask).status_code == 403
        own = {"X-Ragtune": "1", "Origin": served.url}
        assert browser.post("/api/search", json=ask, headers=own).status_code == 200
        other = {"X-Ragtune": "1", "Origin": "http://evil.example"}
        assert browser.post("/api/search", json=ask, headers=other).status_code == 403
        assert browser.delete("/api/session", headers=own).status_code == 204
        assert browser.get("/api/status").status_code == 401


def test_another_host_name_is_refused(served: Served) -> None:
    assert httpx.get(served.url + "/healthz", headers={"Host": "evil.example"}).status_code == 421


def test_too_much_is_refused(served: Served) -> None:
    with served.client() as client:
        assert client.post("/api/search", json={"query": "x" * 5000}).status_code == 422
        assert client.post("/api/search", json={"query": "x", "more": 1}).status_code == 422
        assert client.post("/api/search", content=b"x" * (2 << 20)).status_code == 413

        def endless() -> Iterator[bytes]:
            for _ in range(100):
                yield b"x" * 65536

        assert client.post("/api/search", content=endless()).status_code == 413


def test_ask_streams_evidence_first_and_the_citation_opens(served: Served) -> None:
    with served.client() as client:
        question = {"question": "How many days of annual leave do full-time crew have?"}
        events = []
        with client.stream("POST", "/api/ask", json=question) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            name = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    events.append((name, json.loads(line[6:])))
        assert [e[0] for e in events] == ["evidence", "answer"]
        citation = events[-1][1]["citations"][0]
        span = {k: citation[k] for k in ("uri", "start", "end")}
        opened = client.get("/api/document", params=span).json()
        assert opened["text"] == citation["quote"]
        assert opened["sha256"] == citation["sha256"]
        assert client.get("/api/document", params={"uri": "../ragtune.toml"}).status_code == 404
        assert client.get("/api/document", params={"uri": "/etc/passwd"}).status_code == 404


def test_pages_of_documents_hold_each_once(served: Served) -> None:
    with served.client() as client:
        seen: list[str] = []
        after = ""
        while True:
            page = client.get("/api/documents", params={"limit": 40, "after": after}).json()
            seen += [d["uri"] for d in page["documents"]]
            if not page["next"]:
                break
            after = page["next"]
        assert len(seen) == len(set(seen)) == page["total"]


def test_the_official_openai_client(served: Served) -> None:
    from openai import NotFoundError, OpenAI

    client = OpenAI(base_url=served.url + "/v1", api_key=TOKEN)
    assert client.models.list().data[0].id == "ragtune"
    asked = "How many days of annual leave do full-time crew have?"
    answer = client.chat.completions.create(
        model="ragtune", messages=[{"role": "user", "content": asked}]
    )
    message = answer.choices[0].message
    assert "30 working days" in (message.content or "")
    assert message.annotations
    for note in message.annotations:
        at = note.url_citation
        assert (message.content or "")[at.start_index : at.end_index].startswith("[")
    text, notes = "", None
    for chunk in client.chat.completions.create(
        model="ragtune/quote",
        messages=[{"role": "user", "content": asked}],
        stream=True,
        stream_options={"include_usage": True},
    ):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            notes = getattr(choice.delta, "annotations", None) or notes
    assert chunk.usage is not None
    assert text == message.content
    assert notes is not None
    assert len(notes) == len(message.annotations)
    deltas = [
        choice.delta.content
        for chunk in client.chat.completions.create(
            model="ragtune/base",
            messages=[{"role": "user", "content": "Describe a heater in two long sentences."}],
            stream=True,
        )
        for choice in chunk.choices
        if choice.delta.content
    ]
    assert len(deltas) > 2  # as it is written, and not in one piece
    one = client.embeddings.create(model=client.models.list().data[-1].id, input="leave")
    two = client.embeddings.create(model=one.model, input=["leave", "pay"], encoding_format="float")
    assert one.data[0].embedding == pytest.approx(two.data[0].embedding, abs=1e-6)
    with pytest.raises(NotFoundError):
        client.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "x"}])


def test_the_official_openai_client_gets_responses(served: Served) -> None:
    from openai import BadRequestError, OpenAI

    client = OpenAI(base_url=served.url + "/v1", api_key=TOKEN)
    asked = "How many days of annual leave do full-time crew have?"
    made = client.responses.create(model="ragtune/quote", input=asked, instructions="Be brief.")
    assert made.status == "completed"
    assert "30 working days" in made.output_text
    message = made.output[0]
    assert message.type == "message"
    part = message.content[0]
    assert part.type == "output_text"
    assert part.annotations
    for note in part.annotations:
        assert note.type == "url_citation"
        assert made.output_text[note.start_index : note.end_index].startswith("[")
        assert note.url.startswith(served.url + "/open?")

    kinds: list[str] = []
    text, notes, last = "", [], None
    for event in client.responses.create(
        model="ragtune/quote",
        input=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": asked}]},
        ],
        stream=True,
    ):
        assert event.sequence_number == len(kinds)
        kinds.append(event.type)
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.output_text.annotation.added":
            notes.append(event.annotation)
        elif event.type == "response.completed":
            last = event.response
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert last is not None
    assert text == last.output_text == made.output_text
    assert len(notes) == len(part.annotations)
    with client.responses.stream(model="ragtune/quote", input=asked) as stream:
        assert stream.get_final_response().output_text == text
    for refused in ({"previous_response_id": made.id}, {"background": True}):
        with pytest.raises(BadRequestError):
            client.responses.create(input=asked, model="ragtune", **refused)
    with pytest.raises(BadRequestError, match="no message of the user"):
        client.responses.create(input=[{"role": "assistant", "content": "x"}], model="ragtune")


def test_the_official_mcp_client_over_http_and_stdio(served: Served, company: Workspace) -> None:
    import httpx2
    from mcp import Client, StdioServerParameters
    from mcp.client.streamable_http import streamable_http_client

    async def use(client: Client) -> None:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names == {"search", "ask", "open_citation", "list_documents"}
        asked = {"question": "How many days of annual leave do full-time crew have?"}
        answer = await client.call_tool("ask", asked)
        said = answer.structured_content
        assert said is not None
        citation = said["citations"][0]
        span = {k: citation[k] for k in ("uri", "start", "end")}
        opened = await client.call_tool("open_citation", {**span, "around": 0})
        assert (opened.structured_content or {})["text"] == citation["quote"]
        wrong = await client.call_tool("open_citation", {"uri": "/etc/passwd"})
        assert wrong.is_error

    async def both() -> None:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            httpx2.AsyncClient(headers=bearer) as http,
            Client(streamable_http_client(served.url + "/mcp", http_client=http)) as client,
        ):
            await use(client)
        arguments = ["-m", "ragtune.cli", "mcp", "-w", str(company.root)]
        local = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
        async with Client(local) as client:
            await use(client)

    asyncio.run(both())


def test_llm_asks_as_people_do_in_a_terminal(served: Served, tmp_path: Path) -> None:
    settings = f"- model_id: company\n  model_name: ragtune\n  api_base: {served.url}/v1\n"
    (tmp_path / "extra-openai-models.yaml").write_text(settings + "  api_key_name: company\n")
    (tmp_path / "keys.json").write_text(json.dumps({"company": TOKEN}))
    done = subprocess.run(
        [sys.executable, "-m", "llm", "-m", "company",
         "How many days of annual leave do full-time crew have?"],
        env={**os.environ, "LLM_USER_PATH": str(tmp_path)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "30 working days" in done.stdout, done.stderr


def test_more_than_one_choice_is_refused_clearly(served: Served) -> None:
    chat = {"messages": [{"role": "user", "content": "leave?"}], "n": 2}
    with served.client() as client:
        refused = client.post("/v1/chat/completions", json=chat)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "n"


def test_a_stop_lets_a_stream_end_and_takes_nothing_new(company: Workspace) -> None:
    running = ready(start(company, "--no-watch"))
    written = {"question": "How many days of annual leave do full-time crew have?",
               "model": "ragtune/rag"}  # fmt: skip
    with running.client() as client, client.stream("POST", "/api/ask", json=written) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: evidence"
        running.process.send_signal(signal.SIGTERM)
        names = [line[7:] for line in lines if line.startswith("event: ")]
        assert names[-1] == "answer"
    assert running.process.wait(30) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(running.url + "/healthz")
