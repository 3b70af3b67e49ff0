"""The check of written text: supported claims stay with their source, everything else goes."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtune import cite
from ragtune.types import Document, Evidence, Place, Quote, Sentence, SourceMap

TEXT = (
    "Employees get 30 days of leave a year, but contractors do not. "
    "Leave must be requested two weeks before it starts. "
    "The Falcon 200 weighs 12 kg and costs 349.00 EUR. "
    "Meals are refunded up to 28 EUR a day. "
    "Nordlift supplies the cables to Brandt. "
    "Dogs are not allowed in the Hamburg workshop."
)


def sentence(part: str, title: str = "Handbook", document: int = 1) -> Sentence:
    start = TEXT.index(part)
    end = start + len(part)
    return Sentence(
        document, "handbook.md", title, "a" * 64, start, end, part, 1.0, Place("line 1", (title,))
    )


SOURCES = (
    *(sentence(part.strip() + ".") for part in TEXT.split(". ")[:-1]),
    sentence("Dogs are not allowed in the Hamburg workshop."),
)
EVIDENCE = Evidence(sentences=SOURCES, supported=True)


@pytest.mark.parametrize(
    "claim",
    [
        "Employees get 30 days of leave a year.",
        "You must request leave two weeks before it starts.",
        "The Falcon 200 weighs 12 kg.",
        "It costs 349 EUR.",
        "Meals are refunded up to 28 EUR a day.",
        "Dogs are not allowed in the Hamburg workshop.",
    ],
)
def test_true_claims_are_kept_with_their_source(claim: str) -> None:
    result = cite.verify(claim, EVIDENCE, 6)
    assert result.status == "cited"
    assert result.text == f"{claim} [1]"
    citation = result.citations[0]
    assert TEXT[citation.start : citation.end] == citation.quote


@pytest.mark.parametrize(
    "claim",
    [
        "Employees get 31 days of leave a year.",  # number
        "Employees get 30 weeks of leave a year.",  # unit
        "Contractors get 30 days of leave a year.",  # negation in the clause
        "Dogs are allowed in the Hamburg workshop.",  # negation
        "Dogs are not allowed in the Berlin workshop.",  # name
        "Brandt supplies the cables to Nordlift.",  # roles swapped
        "Leave must be requested two weeks after it starts.",  # before, after
        "The Falcon 200 weighs 200 kg.",  # a number of the name as a value
        "The Falcon 210 weighs 12 kg.",  # near-identical product
        "Everybody gets a company car and a golden watch.",  # nothing of it
        "Meals are refunded at least 28 EUR a day.",
        "30",  # claims nothing
        "Meals are refunded up to 28 EUR a week.",  # rate
        "Meals are refunded with 28 EUR an hour.",
        "The handbook covers employees.",  # nothing but the heading
    ],
)
def test_false_claims_are_dropped(claim: str) -> None:
    result = cite.verify(claim, EVIDENCE, 6)
    assert (result.text, result.status, result.dropped) == ("", "uncited", (claim,))


def test_partly_supported_text_keeps_only_what_is_supported() -> None:
    written = "Meals are refunded up to 28 EUR a day [3]. Drinks are free. Dogs bark [9]."
    result = cite.verify(written, EVIDENCE, 6)
    assert result.status == "partly_cited"
    assert result.text == "Meals are refunded up to 28 EUR a day. [1]"
    assert result.dropped == ("Drinks are free.", "Dogs bark.")


def test_what_is_copied_from_the_form_of_the_prompt_is_no_claim() -> None:
    written = "1. Handbook: Meals are refunded up to 28 EUR a day. [2]\n2. It costs 349 EUR."
    result = cite.verify(written, EVIDENCE, 6)
    assert result.status == "cited"
    assert result.text.splitlines() == [
        "Meals are refunded up to 28 EUR a day. [1]",
        "It costs 349 EUR. [2]",
    ]


def test_a_claim_may_rest_on_two_sentences_of_one_document() -> None:
    claim = "Meals are refunded up to 28 EUR a day and leave must be requested two weeks before."
    assert len(cite.supporting(claim, SOURCES)) == 2
    elsewhere = tuple(replace(s, document=i) for i, s in enumerate(SOURCES))
    assert cite.supporting(claim, elsewhere) == ()


def test_only_what_the_model_saw_can_be_cited() -> None:
    assert cite.verify("Employees get 30 days of leave a year.", EVIDENCE, 1).citations
    assert not cite.verify("Meals are refunded up to 28 EUR a day.", EVIDENCE, 1).citations


def test_the_prompt_numbers_the_evidence_and_keeps_it_on_lines() -> None:
    messages = cite.prompt("What\ndoes it weigh?", EVIDENCE, 3)
    assert [m.role for m in messages] == ["system", "user"]
    lines = messages[1].content.splitlines()
    assert lines[1].startswith("[1] Handbook: Employees get")
    assert lines[-1] == "Question: What does it weigh?"


def test_quotes_are_verbatim_with_markers() -> None:
    span = SOURCES[2]
    found = replace(EVIDENCE, quotes=(Quote(span, span.start, span.end), Quote(SOURCES[3], 0, 0)))
    result = cite.quote(found)
    assert result.text == f"{SOURCES[2].text} [1]\n\n{SOURCES[3].text} [2]"
    assert [c.quote for c in result.citations] == [SOURCES[2].text, SOURCES[3].text]


def test_a_citation_turns_stale_when_its_source_changes() -> None:
    citation = cite.verify("It costs 349 EUR.", EVIDENCE, 6).citations[0]
    document = Document(1, "handbook.md", "Handbook", TEXT, "a" * 64, SourceMap())
    assert cite.state(citation, document) == "current"
    assert cite.state(citation, replace(document, text="New. " + TEXT, sha256="b")) == "moved"
    changed = replace(document, text=TEXT.replace("349.00", "399.00"), sha256="c")
    assert cite.state(citation, changed) == "stale"
    assert cite.state(citation, None) == "stale"


@given(st.text(max_size=400))
def test_whatever_is_written_every_kept_sentence_is_cited_verbatim(written: str) -> None:
    result = cite.verify(written, EVIDENCE, 6)
    for citation in result.citations:
        assert TEXT[citation.start : citation.end] == citation.quote
        assert f"[{citation.marker}]" in result.text
    assert bool(result.text) == bool(result.citations)


@given(st.sampled_from(SOURCES), st.integers(0, 10**6))
def test_a_changed_number_is_never_supported(source: Sentence, number: int) -> None:
    from ragtune import words

    for old in words.numbers(source.text):
        if str(number) not in words.numbers(TEXT) and old in source.text:
            claim = source.text.replace(old, str(number), 1)
            assert cite.supporting(claim, SOURCES) == ()


WORDS = [
    *"Employees get 30 days of leave a year. Meals are refunded up to 28 EUR a day. Dogs are not "
    "allowed in the Hamburg workshop. The Falcon 200 weighs 12 kg and costs 349.00 EUR.".split(),
    "approx.", "e.g.", "No.", "5.", "Yes,", "[1]", "(2)", "Source:", "handbook.md", "Handbook:",
    "don't", '"Meals', 'day."', "?", "!", "...", "\n", "\n", "\u2028",
    "Employees get 30 days of leave a year.", "Meals are refunded up to 28 EUR a day.",
    "Dogs are not allowed in the Hamburg workshop.", "Leave must be requested two weeks before it "
    "starts.", "The Falcon 200 weighs 12 kg.",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=40), st.data())
@settings(max_examples=400, deadline=None)
def test_what_is_settled_is_never_withdrawn(parts: list[str], data: st.DataObject) -> None:
    written = " ".join(parts).replace("\n ", "\n")
    cut = data.draw(st.integers(0, len(written)))
    early, late = (cite.settled(written[:n], EVIDENCE, 6) for n in (cut, len(written)))
    assert early <= late
    whole = cite.verify(written, EVIDENCE, 6).text
    assert whole.startswith(cite.verify(written[:early], EVIDENCE, 6).text)
    for fixed in ((), ("Source:",)):
        assert cite.unsourced(written, fixed).startswith(cite.told(written[:cut], fixed))


def test_sentences_are_settled_one_after_another() -> None:
    written = "Employees get 30 days of leave a year. Meals are refunded up to 28 EUR a day. "
    written += "Dogs are not allowed in the Hamburg workshop."
    seen = {cite.settled(written[:n], EVIDENCE, 6) for n in range(len(written))}
    assert sorted(seen) == [0, written.index("Meals"), written.index("Dogs")]
    line = "Dogs are welcome.\n"
    assert cite.settled(line, EVIDENCE, 6) == len(line)
    assert cite.verify(line, EVIDENCE, 6).text == ""  # settled, and not said
    naming = "Dogs are not allowed in the Hamburg workshop.\nSource: handbook.md\nMore."
    assert cite.settled(naming, EVIDENCE, 6) == naming.index("Source")
