"""Generators without weights: an endpoint in this process, and what needs no model."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ragtune.config import Settings
from ragtune.errors import ConfigError, GenerationError, RagtuneError
from ragtune.models.fakes import ScriptedGenerator
from ragtune.models.generate import EmbeddedGenerator, OpenAIGenerator, load_generator
from ragtune.types import Generation, Message, Token

ASK = [Message("system", "Be brief."), Message("user", "Hi")]
KEY = "sk-very-secret-0123"


class Endpoint:
    """A real HTTP server on a free port: answers as told, keeps what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.lists: dict[str, Any] = {}  # what a GET of a path gives
        self.wait: threading.Event | None = None  # before the body's second half
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.broken_pipe = threading.Event()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(endpoint.lists.get(self.path, {})).encode()
                self.send_response(200 if self.path in endpoint.lists else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.requests.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(endpoint.status)
                for name, value in endpoint.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                half = len(endpoint.body) // 2 if endpoint.wait else len(endpoint.body)
                try:
                    self.wfile.write(endpoint.body[:half])
                    self.wfile.flush()
                    if endpoint.wait:
                        endpoint.wait.wait(10)
                        for _ in range(100):  # the first writes after a close still succeed
                            self.wfile.write(endpoint.body[half:])
                            self.wfile.flush()
                except OSError:
                    endpoint.broken_pipe.set()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def say(self, *pieces: str, end: str = "data: [DONE]\n\n") -> None:
        chunks = [{"choices": [{"delta": {"role": "assistant", "content": None}}]}]
        chunks += [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
        lines = [": a comment\n\n", *(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks), end]
        self.body = "".join(lines).encode()


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("TEST_KEY", KEY)
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


def _text(generator: OpenAIGenerator, generation: Generation | None = None) -> str:
    return "".join(t.text for t in generator.stream(ASK, generation or Generation()))


def _generator(endpoint: Endpoint) -> OpenAIGenerator:
    return OpenAIGenerator("some-model", endpoint.url, "TEST_KEY")


def test_streams_what_the_endpoint_says(endpoint: Endpoint) -> None:
    endpoint.say("Good", " day", ", Zoë.")
    tokens = list(_generator(endpoint).stream(ASK, Generation(max_tokens=9)))
    assert tokens == [Token("Good"), Token(" day"), Token(", Zoë.")]
    path, headers, request = endpoint.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert request == {
        "model": "some-model",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "max_tokens": 9,
        "temperature": 0.0,
        "stream": True,
    }


def test_settings_arrive_and_no_key_sends_none(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_KEY")
    endpoint.say("x")
    assert _text(_generator(endpoint), Generation(temperature=0.7, seed=5)) == "x"
    _, headers, request = endpoint.requests[0]
    assert "Authorization" not in headers
    assert (request["temperature"], request["seed"]) == (0.7, 5)


def test_pieces_arrive_before_the_end_and_closing_closes_the_connection(
    endpoint: Endpoint,
) -> None:
    endpoint.say(*(f"{n} " * 50 for n in range(400)))
    endpoint.wait = threading.Event()
    stream = _generator(endpoint).stream(ASK, Generation())
    assert next(stream).text.startswith("0")
    assert not endpoint.wait.is_set()  # the server has not sent the rest yet
    stream.close()  # type: ignore[attr-defined]
    endpoint.wait.set()
    assert endpoint.broken_pipe.wait(10)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, b'{"error": {"message": "bad key sk-very-secret-0123"}}', "variable TEST_KEY"),
        (403, b"", "variable TEST_KEY"),
        (404, b'{"error": {"message": "model not found,\\ntry pulling it"}}', "no model 'some-mod"),
        (404, b"404 page not found", "page not found"),
        (500, b'{"error": "out of memory"}', "HTTP 500: out of memory"),
        (500, b"\xff\xfe", "HTTP 500"),
        (429, b"[]", "HTTP 429"),
        (200, b'data: {"choices": [{"del\n\n', "malformed stream"),
        (200, b"data: 5\n\n", "malformed stream"),
        (200, b'data: {"error": {"message": "slot busy"}}\n\n', "slot busy"),
        (200, b'{"choices": [{"message": {"content": "whole"}}]}', "not a stream"),
        (200, b'data: {"choices": [{"delta": {"content": "half"}}]}\n\n', "in the middle"),
        (200, b"", "in the middle"),
    ],
)
def test_failures_are_one_clear_line(
    endpoint: Endpoint, status: int, body: bytes, message: str
) -> None:
    endpoint.status, endpoint.body = status, body
    with pytest.raises(GenerationError, match=message) as caught:
        _text(_generator(endpoint))
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_stream_may_end_with_a_finish_reason_only(endpoint: Endpoint) -> None:
    finish = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    endpoint.say("ok", end=f"data: {json.dumps(finish)}\n\ndata: {json.dumps({'choices': []})}\n\n")
    assert _text(_generator(endpoint)) == "ok"


def test_the_key_does_not_follow_a_redirect(endpoint: Endpoint) -> None:
    other = Endpoint()
    endpoint.status = 307
    endpoint.headers = {"Location": f"{other.url}/chat/completions"}
    with pytest.raises(GenerationError, match=r"redirects to http://127\.0\.0\.1"):
        _text(_generator(endpoint))
    assert other.requests == []
    other.server.shutdown()
    other.server.server_close()


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(GenerationError, match=r"cannot reach .*is the server running"):
        _text(OpenAIGenerator("m", url, "TEST_KEY"))


@pytest.mark.parametrize("key", ["sk-one\nX-Evil: 1", "schlüssel"])
def test_a_key_that_cannot_be_one_is_not_echoed(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("TEST_KEY", key)
    with pytest.raises(ConfigError, match="TEST_KEY") as caught:
        _text(_generator(endpoint))
    assert key[:6] not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://x/v1", "127.0.0.1:8080", "", "http://me:secret@x/v1"])
def test_a_wrong_base_url(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url") as caught:
        OpenAIGenerator("m", url)
    assert "secret" not in str(caught.value)


def test_two_threads_share_an_endpoint(endpoint: Endpoint) -> None:
    endpoint.say("a", "b")
    generator = _generator(endpoint)
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(_text(generator))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert results == ["ab", "ab"]


# ---------------------------------------------------------------- embedded, without a model


def test_generators_by_setting(tmp_path: Path) -> None:
    assert isinstance(load_generator(Settings()), EmbeddedGenerator)
    assert load_generator(Settings()).name == "smollm2-135m-instruct"
    assert load_generator(replace(Settings(), model="/models/Big.Q8_0.gguf")).name == "Big.Q8_0"
    endpoint = load_generator(replace(Settings(), generator="openai", model="llama3.2"))
    assert isinstance(endpoint, OpenAIGenerator)
    assert endpoint.name == "llama3.2"


def test_a_model_that_is_not_there_or_none_is_one_clear_line(tmp_path: Path) -> None:
    def fails(model: Path) -> str:
        generator = load_generator(replace(Settings(), model=str(model)))
        with pytest.raises(RagtuneError) as caught:
            next(generator.stream(ASK, Generation()))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "neither an existing path nor" in fails(tmp_path / "none.gguf")
    assert "0 GGUF files" in fails(tmp_path)
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"x" * 100)
    assert "not a GGUF that llama.cpp can load" in fails(tmp_path)


def test_an_unknown_adapter_is_an_error_not_ignored() -> None:
    generator = EmbeddedGenerator("m", lambda: Path("/never"))
    with pytest.raises(GenerationError, match="no adapter 'voice'"):
        next(generator.stream(ASK, Generation(adapter="voice")))


def test_an_adapter_of_vllm_is_a_model_of_its_name(endpoint: Endpoint) -> None:
    endpoint.say("Hello.")
    endpoint.lists["/v1/models"] = {"data": [{"id": "big"}, {"id": "crew"}]}
    generator = OpenAIGenerator("big", endpoint.url, "TEST_KEY")
    for adapter in ("crew", None):
        assert list(generator.stream(ASK, Generation(adapter=adapter))) == [Token("Hello.")]
    assert [sent["model"] for _, _, sent in endpoint.requests] == ["crew", "big"]
    assert all("lora" not in sent for _, _, sent in endpoint.requests)
    with pytest.raises(GenerationError, match="no adapter 'other': it offers big, crew"):
        list(generator.stream(ASK, Generation(adapter="other")))


def test_an_adapter_of_llama_server_is_chosen_by_the_whole_list(endpoint: Endpoint) -> None:
    endpoint.say("Hello.")
    endpoint.lists["/v1/models"] = {"data": [{"id": "base.gguf"}]}
    endpoint.lists["/lora-adapters"] = [
        {"id": 0, "path": "/x/adapters/legal/adapter.gguf", "scale": 1.0},
        {"id": 1, "path": "crew.gguf", "scale": 1.0},
    ]
    generator = OpenAIGenerator("big", endpoint.url, "TEST_KEY")
    for adapter in ("crew", "legal", None):
        list(generator.stream(ASK, Generation(adapter=adapter)))
    scales = [[one["scale"] for one in sent["lora"]] for _, _, sent in endpoint.requests]
    assert scales == [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    with pytest.raises(GenerationError, match="no adapter 'other'"):
        list(generator.stream(ASK, Generation(adapter="other")))


def test_an_endpoint_without_lists_is_asked_by_name(endpoint: Endpoint) -> None:
    endpoint.say("Hello.")
    generator = OpenAIGenerator("big", endpoint.url, "TEST_KEY")
    list(generator.stream(ASK, Generation(adapter="ft:crew")))
    assert endpoint.requests[0][2]["model"] == "ft:crew"


def test_scripted_generator() -> None:
    scripted = ScriptedGenerator(["One two. ", GenerationError("broken"), ""])
    assert "".join(t.text for t in scripted.stream(ASK, Generation(seed=3))) == "One two. "
    assert scripted.prompts == [tuple(ASK)]
    assert scripted.generations == [Generation(seed=3)]
    with pytest.raises(GenerationError, match="broken"):
        list(scripted.stream(ASK, Generation()))
    assert list(scripted.stream(ASK, Generation())) == []
    with pytest.raises(GenerationError, match="no reply left"):
        list(scripted.stream(ASK, Generation()))
