"""Evidence: exact spans, quotes that are the unit they belong to, and a support score."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtune import evidence, question, support
from ragtune.config import Settings
from ragtune.protocols import Reading, System
from ragtune.quoting import count_words, grow
from ragtune.types import Block, Document, Evidence, SourceMap
from small import BagOfWords, OneStore, hit, markdown

DEFAULT = Settings()


def select(
    asked: str, documents: Sequence[Document], with_: Settings = DEFAULT, hits: int = 9
) -> Evidence:
    system = System(OneStore(documents), BagOfWords(), None)  # type: ignore[arg-type]
    return evidence.select(asked, [hit(d) for d in documents][:hits], system, with_)


MANUAL = markdown(
    """# Dryer manual

The dryer is made of steel. It holds 12 litres of water. The cable is 3 metres long.

## Cleaning the filter

Clean the filter every week. To clean the filter:

1. Switch the dryer off.
2. Take out the filter.
3. Rinse it with warm water.
4. Let it dry and put it back.

Never use soap.

## Prices

| Model | Price | Weight |
|---|---|---|
| Merle 80 | 344 EUR | 20 kg |
| Kondor 150 | 612 EUR | 44 kg |

## Questions

### How do I reset the alarm?

Hold the red button for five seconds. The lamp goes out.
"""
)


def test_a_fact_is_quoted_as_its_sentence() -> None:
    found = select("How long is the cable?", [MANUAL])
    assert found.quotes[0].span.text == "The cable is 3 metres long."
    assert found.sentences[0].text == "The cable is 3 metres long."


def test_a_sentence_that_points_back_brings_the_one_before() -> None:
    quote = select("How many litres of water does it hold?", [MANUAL]).quotes[0]
    assert quote.span.text == "The dryer is made of steel. It holds 12 litres of water."
    key = MANUAL.text[quote.key_start : quote.key_end]
    assert key == "It holds 12 litres of water."


def test_a_how_to_is_quoted_with_all_its_steps() -> None:
    quote = select("How do I rinse and clean the filter with warm water?", [MANUAL]).quotes[0]
    for part in ("Switch the dryer off", "Take out", "Rinse it", "put it back", "To clean"):
        assert part in quote.span.text
    assert "Dryer manual" not in quote.span.text
    assert "Merle" not in quote.span.text


def test_a_row_is_quoted_with_its_header() -> None:
    quote = select("What is the price of the Kondor 150?", [MANUAL]).quotes[0]
    assert "Price" in quote.span.text
    assert "Kondor 150" in MANUAL.text[quote.key_start : quote.key_end]


def test_a_question_as_heading_brings_the_answer_below_it() -> None:
    found = select("How do I reset the alarm?", [MANUAL])
    quote = found.quotes[0]
    assert MANUAL.text[quote.key_start : quote.key_end].startswith("Hold the red button")
    assert not any(s.text.endswith("?") for s in found.sentences)


def test_a_heading_is_never_evidence() -> None:
    headings = {MANUAL.text[b.start : b.end] for b in MANUAL.map.blocks if b.kind == "heading"}
    found = select("cleaning the filter", [MANUAL])
    assert not headings & {s.text for s in found.sentences}


def test_an_answer_in_two_places_gives_two_quotes() -> None:
    other = markdown("# Guarantee\n\nThe guarantee of the dryer is two years.", 2, "b.md")
    third = markdown("# Hire\n\nHired dryers have a guarantee of one year.", 3, "c.md")
    found = select("How long is the guarantee of a dryer?", [other, third])
    assert {q.span.uri for q in found.quotes} == {"b.md", "c.md"}


def test_the_same_words_are_not_quoted_twice() -> None:
    copy = replace(MANUAL, id=2, uri="copy.md")
    found = select("How long is the cable?", [MANUAL, copy])
    said = [q.span.text for q in found.quotes]
    assert len(said) == len(set(said))


def test_texts_that_repeat_the_question_are_not_the_only_ones_heard() -> None:
    asks = "How long is the cable of the dryer?"
    lies = [
        markdown(f"{asks} The cable of the dryer is {n} metres long.", id, f"lie{id}.md")
        for id, n in ((2, 70), (3, 80), (4, 90))
    ]
    found = select(asks, [*lies, MANUAL])
    assert [q.span.uri for q in found.quotes][1:] == ["a.md"]
    assert "3 metres" in found.quotes[1].span.text
    one = select(asks, [*lies, MANUAL], replace(DEFAULT, quotes=1))
    assert len(one.quotes) == 1
    other = select("cable length of dryer", [*lies, MANUAL])  # repeated by none
    assert all(q.span.score >= other.quotes[0].span.score - evidence.CLOSE for q in other.quotes)


def test_at_most_half_of_what_is_read_repeats_the_question() -> None:
    asks = "How long is the cable of the dryer?"
    lies = [markdown(f"{asks} It is {n} metres long.", n, f"lie{n}.md") for n in range(2, 9)]
    read: list[str] = []

    class Reader:
        name = "shared words"

        def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
            read.extend(texts)
            return [Reading(1.0) for _ in texts]

    documents = [*lies, MANUAL]
    system = System(OneStore(documents), BagOfWords(), None, reader=Reader())  # type: ignore[arg-type]
    found = evidence.select(asks, [hit(d) for d in documents], system, DEFAULT)
    assert len(read) == evidence.READ
    assert sum("It is" in text for text in read) == evidence.READ // 2
    assert "3 metres" in found.quotes[1].span.text


def test_only_a_whole_question_is_repeated() -> None:
    def marked(question: str, text: str) -> bool:
        document = markdown(text, 1, "a.md")
        system = System(OneStore([document]), BagOfWords(), None)  # type: ignore[arg-type]
        _, _, answers = evidence.ranked(question, [hit(document)], system)
        return any(unit.echo for unit in answers)

    assert marked("Where is the red key?", "# Where is the red key?\n\nIn the drawer.")
    assert marked("where is the RED key", "They ask: where is the red key? In the drawer.")
    assert marked("Wo ist der Schlüssel?", "Wo ist der Schlüssel? In der Lade.")
    assert not marked("Where is the red key?", "The red key is where the blue key is.")
    assert not marked("The red key?", "# The red key?\n\nIn the drawer.")  # stands anywhere
    assert not marked("Where is the red key?", "# Where is the red keyring?\n\nIn the drawer.")


def test_settings_bound_the_quotes() -> None:
    short = replace(DEFAULT, quotes=1, quote_words=8)
    found = select("How do I clean the filter?", [MANUAL], short)
    assert len(found.quotes) == 1
    assert count_words(found.quotes[0].span.text) <= 8


def test_hits_of_a_changed_document_are_left_out() -> None:
    stale = hit(MANUAL)
    now = replace(MANUAL, text=MANUAL.text.replace("steel", "brass"))
    system = System(OneStore([now]), BagOfWords(), None)  # type: ignore[arg-type]
    found = evidence.select("What is it made of?", [stale], system, DEFAULT)
    assert found == Evidence()


def test_nothing_found_supports_nothing() -> None:
    assert select("Anything?", []) == Evidence()


def test_threshold_of_settings_then_workspace_then_shipped() -> None:
    asked = "How long is the cable?"
    assert select(asked, [MANUAL], replace(DEFAULT, threshold=0.0)).supported
    assert not select(asked, [MANUAL], replace(DEFAULT, threshold=1.0)).supported
    system = System(OneStore([MANUAL]), BagOfWords(), None, calibration={"threshold": 0.9999})  # type: ignore[arg-type]
    assert not evidence.select(asked, [hit(MANUAL)], system, DEFAULT).supported
    found = select(asked, [MANUAL])
    assert found.supported == (found.support >= support.threshold())


def test_support_is_larger_where_the_answer_is() -> None:
    with_answer = select("How long is the cable?", [MANUAL]).support
    without = select("Who founded the city of Warsaw?", [MANUAL]).support
    assert 0 <= without < with_answer <= 1


@pytest.mark.parametrize("name", support.NAMES)
def test_a_better_feature_never_lowers_the_score(name: str) -> None:
    low = dict.fromkeys(support.NAMES, 0.5)
    assert support.score({**low, name: 0.9}) >= support.score(low)


TEXTS = st.lists(
    st.sampled_from(["- ", "1. ", "# ", "", "| a | b |\n", "\n"]).flatmap(
        lambda mark: st.text("abc .?:\nÄ1", min_size=1, max_size=40).map(lambda t: mark + t)
    ),
    min_size=1,
    max_size=12,
).map("\n".join)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.text("abc ?1", min_size=1, max_size=20), st.integers(1, 40))
def test_quotes_are_exact_bounded_and_apart(text: str, asked: str, limit: int) -> None:
    document = markdown(text)
    if not document.text.strip():
        return
    found = select(asked, [document], replace(DEFAULT, quotes=3, quote_words=max(5, limit)))
    taken: list[tuple[int, int]] = []
    for quote in found.quotes:
        span = quote.span
        assert document.text[span.start : span.end] == span.text
        assert span.start <= quote.key_start < quote.key_end <= span.end
        assert count_words(span.text) <= max(5, limit)
        assert all(span.end <= start or end <= span.start for start, end in taken)
        taken.append((span.start, span.end))
    for sentence in found.sentences:
        assert document.text[sentence.start : sentence.end] == sentence.text
    scores = [s.score for s in found.sentences]
    assert scores == sorted(scores, reverse=True)


def test_growth_works_without_blocks() -> None:
    text = "One. Two is here.\n\nThree."
    document = Document(1, "a.txt", "a", text, "", SourceMap())
    assert grow(document, (5, 17), "fact", 50, {}) == (5, 17)
    assert grow(document, (5, 17), "explain", 50, {}) == (0, len(text))


def test_growth_stays_out_of_other_quotes() -> None:
    text = "One two. Three four. Five six."
    document = Document(1, "a", "a", text, "", SourceMap((Block(0, len(text), "paragraph"),)))
    assert grow(document, (9, 20), "explain", 50, {}, [(0, 8)]) == (9, len(text))


@pytest.mark.parametrize(
    ("text", "form", "kind"),
    [
        ("How many days of leave do I get?", "fact", "number"),
        ("When does the yard open?", "fact", "time"),
        ("Who signs the contract?", "fact", "name"),
        ("What is the limit for hotels?", "fact", "any"),
        ("How do I book a trip?", "explain", "any"),
        ("What should I do after an accident?", "explain", "any"),
        ("Can I bring my dog?", "explain", "any"),
        ("Wie lange dauert es?", "explain", "any"),
    ],
)
def test_form_and_expected_type(text: str, form: str, kind: str) -> None:
    assert question.form(text) == form
    assert question.expected(text) == kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Which costs are not paid?", True),
        ("What did the company never sell?", True),
        ("Why can't I log in?", False),
        ("The lamp does not go out. What do I do?", False),
        ("What do we not pay?", False),
        ("Who pays?", False),
    ],
)
def test_denies(text: str, expected: bool) -> None:
    assert question.denies(text) is expected
