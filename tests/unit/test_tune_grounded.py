"""Examples with the evidence of their own workspace: what is shown, and what is to be learned."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune import cite, prompting
from ragtune.config import Settings
from ragtune.ingest.parse.markdown import read_markdown
from ragtune.ingest.split import embedded_text, split
from ragtune.models.fakes import HashEmbedder, ScriptedGenerator
from ragtune.protocols import Reading, System
from ragtune.store import EmbeddedStore
from ragtune.tune.grounded import fixed_lines, grounded_examples, locate, target, with_gold
from ragtune.types import Document, Evidence, Example, Gold, Passage, Place, Quote, Sentence

HELLO, READ, BYE = "Hello!", "Read:", "Yours, the crew"
FORM = (HELLO, "", READ, BYE, "")
PAGES = {
    "docs/travel.md": "# Travel\n\nHotels cost up to 115 EUR a night. Book trains in Fernweg.\n",
    "docs/leave.md": "# Leave\n\nEverybody has 30 days of leave a year.\n",
    "docs/office.md": "# Office\n\nThe office opens at 06:30. The keys are kept by Maria Lind.\n",
}


def example(question: str, body: str, document: str, quote: str) -> Example:
    answer = f"{HELLO}\n{body}\n{READ} {document}\n{BYE}"
    return Example(question, answer, evidence=(Gold(document, quote),))


EXAMPLES = [
    example("What may a hotel cost?", "Up to 115 EUR a night.", "travel.md", "115 EUR a night"),
    example("How many free days?", "30 days a year.", "leave.md", "30 days of leave"),
    example("When does the office open?", "At 06:30.", "office.md", "opens at 06:30"),
    example("Who has them?", "Maria Lind keeps the keys.", "office.md", "kept by  Maria\nLind"),
]


class Marks:
    """A reader that marks the first number with the word after it."""

    name = "marks"

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        found = []
        for text in texts:
            line = text.split("\n")[-1]
            match = re.search(r"\d[\d:]*(?: \w+)?", line)
            found.append(Reading(1.0, *match.span()) if match else Reading(0.0))
        return found


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    embedder = HashEmbedder()
    folder: Path = tmp_path_factory.mktemp("grounded")
    with EmbeddedStore(folder) as store:
        store.set_embedder(embedder.name, embedder.dimensions)
        for uri, text in PAGES.items():
            read = read_markdown(text, uri)
            document = Document(0, uri, read.title, read.text, uri, read.map)
            pieces = split(read.text, read.map, read.title, embedder.count_tokens, 180)
            passages = [
                Passage(0, 0, p.start, p.end, p.heading, read.text[p.start : p.end]) for p in pieces
            ]
            vectors = embedder.embed([embedded_text(p.heading, p.text) for p in passages])
            store.replace(document, passages, vectors)
        yield System(store, embedder, ScriptedGenerator())


def test_the_form_is_what_most_answers_share_without_a_claim() -> None:
    assert fixed_lines(EXAMPLES) == FORM
    shared = [Example("q", f"{HELLO}\nIt costs 3 EUR.\nNever mind.") for _ in range(9)]
    assert fixed_lines(shared) == (HELLO, "", "Never mind.", "")
    some = [
        Example("q", f"{hello}\nIt is {c}.") for c in "abcdef" for hello in ("Hi", "Ahoy", "Yo")
    ]
    assert fixed_lines(some) == ("", "", "Hi", "Ahoy", "Yo")
    assert fixed_lines([*shared[:2], *(Example("q", f"Answer {c}") for c in "abcdefg")]) == ()


def test_every_example_is_shown_as_it_would_be_asked(system: System) -> None:
    made = grounded_examples(EXAMPLES, system, Settings())
    assert (len(made.rows), made.left_out, made.fixed) == (4, {}, FORM)
    for row in made.rows:
        assert row.messages == tuple(cite.prompt(row.example.question, row.evidence, 1))
        gold = row.example.evidence[0]
        shown = prompting.facts(row.evidence, 1)[0]
        assert shown.uri == f"docs/{gold.document}"
        assert " ".join(gold.quote.split()) in shown.text
        assert row.answer.splitlines()[-2:] == [f"{READ} [1]", BYE]
    assert made.rows[0].answer.splitlines()[:2] == [HELLO, "Up to 115 EUR a night."]


def test_what_is_learned_is_what_verification_keeps(system: System) -> None:
    for row in grounded_examples(EXAMPLES, system, Settings()).rows:
        result = cite.verify(row.answer, row.evidence, 1, FORM)
        assert (result.status, result.dropped, result.quoted) == ("cited", (), 0)
        assert f"{READ} {row.evidence.sentences[0].uri}" in result.text


def test_a_reader_marks_the_place_that_was_missed(system: System) -> None:
    read = replace(system, reader=Marks())
    golds = [g for e in EXAMPLES for g in [locate(e.evidence[0], read)] if g]
    assert len(golds) == 4
    for example_, gold, marked in zip(
        EXAMPLES, golds, ["115 EUR", "30 days", "06:30"], strict=False
    ):
        shown, own = with_gold(example_, Evidence(), [gold], read, Settings(), 1)
        assert not own
        first = shown.sentences[0]
        assert gold[0].text[first.phrase_start : first.phrase_end] == marked
        assert shown.quotes[0].span.phrase_start == first.phrase_start


def test_rows_that_cannot_be_learned_are_left_out_and_counted(system: System) -> None:
    bad = [
        Example("q", f"{HELLO}\nYes.\n{BYE}"),
        example("q", "Up to 115 EUR a night.", "gone.md", "115 EUR"),
        example("q", "Up to 115 EUR a night.", "travel.md", "not in there"),
        example("q", "Pigs fly.", "travel.md", "Hotels cost"),
        Example(
            "q", f"{HELLO}\nNo idea.\n{READ} nothing yet\n{BYE}", evidence=EXAMPLES[0].evidence
        ),
    ]
    made = grounded_examples([*EXAMPLES, *bad], system, Settings())
    assert len(made.rows) == 4
    assert made.left_out == {
        "without evidence": 1,
        "evidence not in the documents": 2,
        "answer not held by the evidence": 1,
        "names no document as its source": 1,
    }


def test_a_document_is_found_by_uri_or_by_its_end(system: System) -> None:
    for uri in ("docs/office.md", "office.md"):
        found = locate(Gold(uri, "kept by\n Maria"), system)
        assert found is not None
        document, start, end = found
        assert document.text[start:end] == "kept by Maria"
    assert locate(Gold("ffice.md", "kept by Maria"), system) is None
    assert locate(Gold("o*.md", "kept by Maria"), system) is None


STEPS = "To book:\n1. Open Fernweg.\n2. Choose the cost centre.\n3. Send the form to your lead."


def evidence(text: str, phrase: str = "") -> Evidence:
    at = text.index(phrase) if phrase else 0
    span = Sentence(1, "a.md", "T", "s", 0, len(text), text, 1.0, Place(""), at, at + len(phrase))
    return Evidence((span,), (Quote(span, 0, len(text)),))


def test_steps_are_kept_or_taken_from_the_source() -> None:
    steps = "1. Open Fernweg.\n2. Never sleep.\n3. The form goes to whoever is your lead."
    answer = f"{HELLO}\nEasy.\n{steps}\n{BYE}"
    made = target(answer, evidence(STEPS), 1, FORM)
    assert made.splitlines() == [
        HELLO,
        "1. Open Fernweg.",
        "2. Send the form to your lead.",
        BYE,
    ]


def test_prose_is_said_as_it_stands_and_a_row_by_its_words() -> None:
    prose = "The notice period for both sides is four weeks."
    free = f"{HELLO}\nFour weeks, then you are free as a bird and may fly south.\n{BYE}"
    assert target(free, evidence(prose), 1, FORM).splitlines()[1] == prose
    row = "Data: Hire contracts | Kept for: 10 years"
    told = f"{HELLO}\n10 years, and not a day longer, whatever anybody in the house says.\n{BYE}"
    assert target(told, evidence(row), 1, FORM).splitlines()[1] == "10 years."
    assert target(f"{HELLO}\nPigs fly.\n{BYE}", evidence(prose), 1, FORM) == ""


@given(st.lists(st.sampled_from(["30 days.", "No.", "Go.", "1. Open Fernweg.", HELLO, ""])))
def test_the_answer_to_learn_always_passes_verification(lines: list[str]) -> None:
    shown = evidence(STEPS, "Fernweg")
    made = target("\n".join(lines), shown, 1, FORM)
    if made:
        result = cite.verify(made, shown, 1, FORM)
        assert result.dropped == ()
        assert (result.quoted == 0) == cite.holds(made, "Fernweg")
