"""The embedded generator with the real base model, and the endpoint client against llama.cpp."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragtune.config import Settings
from ragtune.errors import GenerationError
from ragtune.models import weights
from ragtune.models.generate import EmbeddedGenerator, OpenAIGenerator, load_generator
from ragtune.types import Generation, Message

pytestmark = pytest.mark.integration

SHARED = Message("system", "You answer questions about the handbook of a company. " * 12)


def _ask(question: str) -> list[Message]:
    return [SHARED, Message("user", question)]


@pytest.fixture(scope="module")
def generator() -> EmbeddedGenerator:
    made = load_generator(Settings(context_tokens=1024))
    assert isinstance(made, EmbeddedGenerator)
    return made


def _text(generator: EmbeddedGenerator, question: str, max_tokens: int = 24) -> str:
    stream = generator.stream(_ask(question), Generation(max_tokens=max_tokens))
    return "".join(token.text for token in stream)


def test_greedy_text_streams_in_pieces_and_stops_by_itself(generator: EmbeddedGenerator) -> None:
    ask = [Message("user", "What is the capital of France? One word.")]
    pieces = [token.text for token in generator.stream(ask, Generation(max_tokens=100))]
    assert len(pieces) > 1
    text = "".join(pieces)
    assert "Paris" in text
    assert "<|im_end|>" not in text
    assert len(pieces) < 100
    again = "".join(token.text for token in generator.stream(ask, Generation(max_tokens=100)))
    assert again == text


def test_the_shared_prefix_is_evaluated_once(
    generator: EmbeddedGenerator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="ragtune"):
        _text(generator, "How many days off do I get?", 2)
        _text(generator, "Who approves travel?", 2)
    evaluated, cached = (int(caplog.records[-1].args[n]) for n in (1, 2))  # type: ignore
    assert cached > 100
    assert evaluated < 30


def test_closing_the_stream_stops_decoding(generator: EmbeddedGenerator) -> None:
    stream = generator.stream(_ask("Tell a very long story."), Generation(max_tokens=900))
    assert next(stream).text
    stream.close()  # type: ignore[attr-defined]
    names = [thread.name for thread in threading.enumerate()]
    assert "ragtune-generate" not in names
    start = time.perf_counter()
    _text(generator, "Hello?", 2)  # would wait for the only slot
    assert time.perf_counter() - start < 5


def test_a_prompt_that_does_not_fit_is_one_clear_line(generator: EmbeddedGenerator) -> None:
    with pytest.raises(GenerationError, match=r"window of model .* is 1024") as caught:
        _text(generator, "word " * 3000)
    assert "\n" not in str(caught.value)
    assert _text(generator, "Hello?", 2)  # and the model goes on working


def test_two_threads(generator: EmbeddedGenerator) -> None:
    questions = ["What is a contract?", "What is an invoice?"]
    alone = [_text(generator, question) for question in questions]
    results: dict[int, str] = {}

    def run(number: int) -> None:
        results[number] = _text(generator, questions[number])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[0], results[1]] == alone


def test_nothing_is_printed_and_no_port_is_open(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = _listening()
    generator = load_generator(Settings(context_tokens=512))
    assert next(generator.stream([Message("user", "Hi")], Generation(max_tokens=2))).text
    assert _listening() == before
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def _listening() -> set[str]:
    """The TCP sockets on which this process listens (Linux)."""
    if not os.path.isdir("/proc/self/net"):
        pytest.skip("needs /proc")
    mine = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            mine.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            continue
    found = set()
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if os.path.exists(table) else ():
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in mine:
                found.add(fields[1])
    return found


# ---------------------------------------------------------------- llama.cpp as an endpoint


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(next(weights.obtain("smollm2-135m-instruct").glob("*.gguf")))
    params.n_ctx, params.n_parallel, params.verbosity = 512, 1, -1
    params.api_keys = ["right"]
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


def test_a_real_endpoint(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = OpenAIGenerator("smollm2", address, "TEST_KEY")
    ask = [Message("user", "What is the capital of France? One word.")]

    def answer(messages: list[Message]) -> str:
        return "".join(t.text for t in client.stream(messages, Generation(max_tokens=30)))

    monkeypatch.setenv("TEST_KEY", "wrong")
    with pytest.raises(GenerationError, match="variable TEST_KEY"):
        answer(ask)
    monkeypatch.setenv("TEST_KEY", "right")
    assert "Paris" in answer(ask)
    with pytest.raises(GenerationError, match="context size"):
        answer([Message("user", "word " * 2000)])
