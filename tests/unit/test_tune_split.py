"""Hold-out: nothing is lost, nothing stands on both sides."""

from hypothesis import given
from hypothesis import strategies as st

from ragtune.tune.split import LEAST, MOST, hold_out
from ragtune.types import Example, Gold

documents = st.lists(st.sampled_from([f"doc{i}.md" for i in range(30)]), max_size=2)
examples = st.lists(
    st.builds(
        lambda n, docs: Example(
            f"question number {n}", "a", evidence=tuple(Gold(d, "q") for d in docs)
        ),
        st.integers(0, 400),
        documents,
    ),
    min_size=3,
    max_size=120,
)


@given(examples, st.integers(0, 5))
def test_a_split_keeps_every_example_once_and_is_the_same_again(
    rows: list[Example], seed: int
) -> None:
    train, held = hold_out(rows, seed)
    assert sorted(map(id, [*train, *held])) == sorted(map(id, rows))
    assert (train, held) == hold_out(rows, seed)
    assert held
    assert train


def test_no_document_and_no_question_on_both_sides() -> None:
    rows = [
        Example(f"what is item {i // 2} of the list", "a", evidence=(Gold(f"d{i % 40}.md", "q"),))
        for i in range(200)
    ]
    train, held = hold_out(rows, 1)
    assert LEAST <= len(held) <= min(MOST, 40)
    assert not {e.question for e in train} & {e.question for e in held}
    assert not {e.evidence[0] for e in train} & {e.evidence[0] for e in held}


def test_one_document_for_all_still_gives_a_held_out_part() -> None:
    rows = [Example(f"question {i}", "a", evidence=(Gold("only.md", "q"),)) for i in range(40)]
    train, held = hold_out(rows, 0)
    assert len(held) == LEAST
    assert len(train) == 32
