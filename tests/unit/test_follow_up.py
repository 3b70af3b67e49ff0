import pytest

from ragtune.follow_up import in_context

TOPIC = "How much is refunded for a night in a hotel?"


@pytest.mark.parametrize(
    "question", ["And for meals?", "What about trains?", "Why?", "Is that per night?", "and abroad"]
)
def test_follow_ups_are_searched_with_their_topic(question: str) -> None:
    assert in_context(question, [TOPIC]) == f"{TOPIC} {question}"
    assert in_context(question, [TOPIC, "And in Berlin?"]) == f"{TOPIC} {question}"


@pytest.mark.parametrize(
    "question",
    ["Who approves the purchase of a new laptop?", "Which warranty does the Falcon 200 have?"],
)
def test_a_new_topic_stands_alone(question: str) -> None:
    assert in_context(question, [TOPIC]) == question


def test_without_history_nothing_changes() -> None:
    assert in_context("And for meals?", []) == "And for meals?"
