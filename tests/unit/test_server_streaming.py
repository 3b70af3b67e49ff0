"""The text of an answer as OpenAI's streams send it: in pieces that are never withdrawn."""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator
from typing import Any

from ragtune import ask, cite
from ragtune.ask import Event
from ragtune.server import openai, responses
from ragtune.types import Answer, Evidence, Place, Route, Sentence, Token

TEXT = (
    "Employees get 30 days of leave a year. Meals are refunded up to 28 EUR a day. "
    "Dogs are not allowed in the workshop."
)
SOURCES = tuple(
    Sentence(1, "handbook.md", "Handbook", "a" * 64, TEXT.index(part), TEXT.index(part) + len(part),
             part, 1.0, Place("line 1", ("Handbook",)))
    for part in (f"{part.rstrip('.')}." for part in TEXT.split(". "))
)  # fmt: skip
FOUND = Evidence(sentences=SOURCES, supported=True)
WRITTEN = (
    "Employees get 30 days of leave a year. Dogs are welcome in every workshop of ours. "
    "Meals are refunded up to 28 EUR a day.\nDogs are not allowed in the workshop.\nBye."
)


def events() -> list[Event]:
    """What `ask_stream` yields where a model writes WRITTEN, three characters a token."""

    def writing() -> Generator[Token, None, str]:
        for at in range(0, len(WRITTEN), 3):
            yield Token(WRITTEN[at : at + 3])
        return WRITTEN

    tokens = list(ask._telling(writing(), ask._checker(FOUND, 6)))
    done = cite.verify(WRITTEN, FOUND, 6)
    answer = Answer(done.text, done.citations, (), done.status, Route(), {}, "base", 0.9, WRITTEN)
    return [FOUND, *tokens, answer]


async def later() -> AsyncGenerator[Any]:
    for event in events():
        yield event


def test_tokens_tell_sentence_by_sentence_what_is_checked() -> None:
    *_, answer = events()
    assert isinstance(answer, Answer)
    pieces = [e.checked for e in events() if isinstance(e, Token) and e.checked]
    assert pieces == [
        "Employees get 30 days of leave a year. [1]",
        " Meals are refunded up to 28 EUR a day. [2]",
        "\nDogs are not allowed in the workshop. [3]",
    ]
    assert answer.text == "".join(pieces)
    assert "welcome" not in answer.text


def lines(chunks: list[bytes]) -> list[dict[str, Any]]:
    found = [c.decode().rpartition("data: ")[2].strip() for c in chunks]
    return [json.loads(text) for text in found if text != "[DONE]"]


def test_chat_completions_send_the_pieces_and_the_annotations_last() -> None:
    async def collect() -> list[bytes]:
        return [c async for c in openai._chunks(later(), {"id": "x"}, "http://here", 3)]

    deltas = [c["choices"][0]["delta"] for c in lines(asyncio.run(collect())) if c["choices"]]
    assert next(d["content"] for d in deltas if "content" in d) == ""
    assert len([d for d in deltas if d.get("content")]) == 3
    whole = "".join(d.get("content", "") for d in deltas)
    assert whole == events()[-1].text  # type: ignore[union-attr]
    assert [n["url_citation"]["title"] for n in deltas[-1]["annotations"]] == ["Handbook"] * 3
    for note in deltas[-1]["annotations"]:
        at = note["url_citation"]
        assert whole[at["start_index"] : at["end_index"]] in ("[1]", "[2]", "[3]")


def test_responses_send_the_pieces() -> None:
    async def collect() -> list[bytes]:
        return [c async for c in responses._events(later(), {}, "msg", "http://here", 3)]

    sent = lines(asyncio.run(collect()))
    deltas = [e["delta"] for e in sent if e["type"] == "response.output_text.delta"]
    assert len(deltas) == 3
    (done,) = [e["text"] for e in sent if e["type"] == "response.output_text.done"]
    assert "".join(deltas) == done
    assert [e["sequence_number"] for e in sent] == list(range(len(sent)))
