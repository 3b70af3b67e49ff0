import pytest

from ragtune.follow_up import readings

TOPIC = "How much is refunded for a night in a hotel?"


@pytest.mark.parametrize("question", ["And for meals?", "What about trains?", "Why?", "and abroad"])
def test_short_follow_ups_are_searched_with_their_topic(question: str) -> None:
    assert readings(question, [TOPIC]) == (f"{TOPIC} {question}",)
    assert readings(question, [TOPIC, "And in Berlin?"]) == (f"{TOPIC} {question}",)


def test_a_pronoun_refers_back() -> None:
    assert readings("Is that per night?", [TOPIC]) == (f"{TOPIC} Is that per night?",)


def test_what_could_stand_alone_is_tried_alone_first() -> None:
    question = "And when does the office in Bonn open?"
    assert readings(question, [TOPIC]) == (
        "when does the office in Bonn open?",
        f"{TOPIC} {question}",
    )


@pytest.mark.parametrize(
    "question",
    [
        "Who approves the purchase of a new laptop?",
        "Which warranty does the Falcon 200 have?",
        "Why does the pump stop after an hour?",
    ],
)
def test_a_new_topic_stands_alone(question: str) -> None:
    assert readings(question, [TOPIC]) == (question,)


def test_without_history_nothing_changes() -> None:
    assert readings("And for meals?", []) == ("And for meals?",)
