"""The metrics agree with their references, and hold what they promise."""

from __future__ import annotations

import random
import re
import string
from collections import Counter

import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from ragtune.compare import metrics

WORDS = """the a an An The hotel costs 115 EUR 20.50 per night, night. (night) it's U.S. co-op don't
up to-day naïve Straße 3,5 % "quoted" – dash e-mail x y z""".split()
CASES = 1_500


def texts(random_: random.Random, count: int = CASES) -> list[tuple[str, list[str]]]:
    """Answers with one to three golds, often near to each other."""
    found = []
    for _ in range(count):
        gold = [" ".join(random_.choices(WORDS, k=random_.randint(1, 14)))
                for _ in range(random_.randint(1, 3))]  # fmt: skip
        answer = random_.choice(gold).split()
        for _ in range(random_.randint(0, 6)):
            at = random_.randrange(len(answer) + 1)
            answer[at : at + random_.randint(0, 1)] = random_.choices(
                WORDS, k=random_.randint(0, 2)
            )
        found.append((" ".join(answer), gold))
    return found


# The reference of SQuAD v1.1 (evaluate-v1.1.py, MIT), word for word but for the types.


def normalize_answer(s: str) -> str:
    def remove_articles(text: str) -> str:
        return re.sub(r"\b(a|an|the)\b", " ", text)

    def white_space_fix(text: str) -> str:
        return " ".join(text.split())

    def remove_punc(text: str) -> str:
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)

    def lower(text: str) -> str:
        return text.lower()

    return white_space_fix(remove_articles(remove_punc(lower(s))))


def f1_score(prediction: str, ground_truth: str) -> float:
    prediction_tokens = normalize_answer(prediction).split()
    ground_truth_tokens = normalize_answer(ground_truth).split()
    common = Counter(prediction_tokens) & Counter(ground_truth_tokens)
    num_same = sum(common.values())
    if num_same == 0:
        return 0
    precision = 1.0 * num_same / len(prediction_tokens)
    recall = 1.0 * num_same / len(ground_truth_tokens)
    return (2 * precision * recall) / (precision + recall)


def test_exact_match_and_f1_are_those_of_squad() -> None:
    seen = Counter[str]()
    for answer, golds in texts(random.Random(1)):
        exact = max(normalize_answer(answer) == normalize_answer(g) for g in golds)
        f1 = max(f1_score(answer, g) for g in golds)
        assert metrics.exact_match(answer, golds) == exact
        assert abs(metrics.token_f1(answer, golds) - f1) < 1e-6
        seen["exact" if exact else "part" if 0 < f1 < 1 else "none" if f1 == 0 else "all"] += 1
    assert min(seen["exact"], seen["part"], seen["none"]) > 5, seen


def test_rouge_l_is_that_of_the_package() -> None:
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    for answer, golds in texts(random.Random(2)):
        theirs = max(scorer.score(g, answer)["rougeL"].fmeasure for g in golds)
        assert abs(metrics.rouge_l(answer, golds) - theirs) < 1e-6


def test_reciprocal_rank_is_that_of_pytrec_eval() -> None:
    random_ = random.Random(3)
    for _ in range(1_000):
        hits = [("d", 100 * i, 100 * i + 60) for i in range(random_.randint(1, 12))]
        gold = [[("d", 100 * random_.randrange(15) + 10, 0)] for _ in range(random_.randint(1, 3))]
        gold = [[(u, s, s + 20) for u, s, _ in places] for places in gold]
        judged = {"q": {f"h{i}": int(any(metrics.overlap(h, g) for p in gold for g in p))
                        for i, h in enumerate(hits)}}  # fmt: skip
        run = {"q": {f"h{i}": float(len(hits) - i) for i in range(len(hits))}}
        theirs = pytrec_eval.RelevanceEvaluator(judged, {"recip_rank"}).evaluate(run)
        assert abs(metrics.reciprocal_rank(hits, gold) - theirs["q"]["recip_rank"]) < 1e-6


@given(st.text(max_size=60), st.text(max_size=60))
def test_measures_are_shares_and_an_answer_equals_itself(one: str, other: str) -> None:
    for measure in (metrics.exact_match, metrics.token_f1, metrics.rouge_l):
        assert 0.0 <= measure(one, [other]) <= 1.0
        assert measure(one, [other, one]) >= measure(one, [other])
    if metrics.normalize(one):
        assert metrics.exact_match(one, [one]) == metrics.token_f1(one, [one]) == 1.0
    assert abs(metrics.token_f1(one, [other]) - metrics.token_f1(other, [one])) < 1e-12


def test_terms_are_whole_words_and_whole_numbers() -> None:
    assert metrics.contains("It costs 0.10 EUR.", "0.10")
    assert metrics.contains("It costs 5.", "5")
    assert metrics.contains("TWO  days", "two days")
    assert metrics.contains("Höhe – 4 m", "höhe - 4")
    assert not metrics.contains("It costs 10.10 EUR", "0.10")
    assert not metrics.contains("4.5 hours", "4")
    assert not metrics.contains("4.5 hours", "5")
    assert not metrics.contains("1,200 EUR", "200")
    assert not metrics.contains("forty", "for")
    assert not metrics.contains("anything", "")


def test_right_needs_a_gold_every_must_and_no_must_not() -> None:
    assert metrics.right("115 EUR a night", ["115 EUR", "115"]) == 1.0
    assert metrics.right("115 EUR a night", ["115"], must=["night", "breakfast"]) == 0.0
    assert metrics.right("115 EUR, not 145", ["115"], must_not=["145"]) == 0.0
    assert metrics.right("the hotel costs 115", [], reference="hotel costs 115 EUR") == 1.0
    assert metrics.right("something else", [], reference="hotel costs 115 EUR") == 0.0
    assert metrics.right("", ["115"]) == 0.0


def test_declining_is_told_from_answering() -> None:
    for text in ("", "The documents do not answer this question.", "I don't know.",
                 "I cannot find that.", "That is not specified in the policy.",
                 "Das weiß ich nicht."):  # fmt: skip
        assert metrics.declines(text), text
    for text in ("115 EUR a night.", "You may not smoke.", "Dogs do not have to be registered."):
        assert not metrics.declines(text), text
    assert metrics.declines("Nope, ask the Bench.", ["^Nope"])
    assert not metrics.declines("I don't know it by heart. " + "But it costs 115 EUR. " * 10)


SPANS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(1, 20)).map(
        lambda s: (s[0], s[1], s[1] + s[2])
    ),
    max_size=5,
)


@given(SPANS, st.lists(SPANS, max_size=4))
def test_citing_the_gold_is_perfect_and_nothing_is_outside_0_to_1(
    cited: list[metrics.Span], gold: list[list[metrics.Span]]
) -> None:
    gold = [places for places in gold if places]
    assert 0 <= metrics.citation_precision(cited, gold) <= 1
    assert 0 <= metrics.citation_recall(cited, gold) <= 1
    perfect = [places[0] for places in gold]
    if gold:
        assert metrics.citation_precision(perfect, gold) == 1
        assert metrics.citation_recall(perfect, gold) == 1
        assert metrics.citation_recall([*perfect, *cited], gold) == 1
    assert metrics.citation_recall([("other", 0, 99)], gold) == 0


@given(st.text("ab \n", max_size=40), st.data())
def test_a_quote_is_found_where_it_stands(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    quote = text[start : data.draw(st.integers(start, len(text)))]
    places = metrics.places_of(quote.replace(" ", "\n "), "d", text)
    assert bool(places) == bool(quote.split())
    assert all(text[s:e].split() == quote.split() for _, s, e in places)
