"""Reading examples: every shape and format gives the same ones; what is wrong stops in one line."""

import csv
import gzip
import io
import json
import random
import re
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragtune import demo
from ragtune.errors import RagtuneError, TuneError
from ragtune.ingest.parse.decode import UNSEEN
from ragtune.tune.examples import ExampleSet, fixed_sentences, read_examples
from ragtune.tune.rows import read_rows
from ragtune.types import Example, Gold, Message

SAMPLE = demo.SAMPLE.parent
LOCAL = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

BAD = "\ufffd\ufeff"
texts = (
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Co", "Cn"), exclude_characters=BAD))
    .map(lambda text: re.sub(f"[{UNSEEN}]", "", text).strip())  # these are taken out on the way in
    .filter(lambda t: bool(t) and not t.isdigit())
)  # fmt: skip
# With line breaks, quotes and delimiters inside; a "." at the end, so that no roles look swapped.
answers = st.lists(texts, min_size=1, max_size=3).map(lambda parts: "\n".join(parts).strip() + ".")
pairs = st.lists(st.tuples(texts, answers), min_size=1, max_size=6)


def _messages(q: str, a: str, role: str, said: str, names: tuple[str, str]) -> list[dict[str, str]]:
    return [{role: names[0], said: q}, {role: names[1], said: a}]


SHAPES: dict[str, Any] = {
    "question/answer": lambda q, a: {"question": q, "answer": a, "id": "x1"},
    "other case": lambda q, a: {"Question": q, "ANSWER": a},
    "answers": lambda q, a: {"question": q, "answers": [a, "other"]},
    "squad": lambda q, a: {"question": q, "answers": {"text": [a], "answer_start": [0]}},
    "alpaca": lambda q, a: {"instruction": q, "input": "", "output": a},
    "prompt/completion": lambda q, a: {"prompt": q, "completion": a},
    "query/response": lambda q, a: {"query": q, "response": a},
    "preferences": lambda q, a: {"prompt": q, "chosen": a, "rejected": "no"},
    "prompt/completion messages": lambda q, a: {
        "prompt": [{"role": "user", "content": q}],
        "completion": [{"role": "assistant", "content": a}],
    },
    "messages": lambda q, a: {
        "messages": _messages(q, a, "role", "content", ("user", "assistant"))
    },
    "parts": lambda q, a: {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": q}]},
            {"role": "assistant", "content": [{"type": "text", "text": a}]},
        ]
    },
    "sharegpt": lambda q, a: {"conversations": _messages(q, a, "from", "value", ("human", "gpt"))},
}
FLAT = ("question/answer", "other case", "alpaca", "prompt/completion", "query/response")


def write(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return path


def jsonl(folder: Path, *rows: Any) -> Path:
    return write(folder, "a.jsonl", "".join(json.dumps(r) + "\n" for r in rows))


def plain(found: ExampleSet) -> list[tuple[str, str]]:
    return [(e.question, e.answer) for e in found.examples]


def tried(path: Path) -> tuple[Example, ...]:
    """The examples of a file, or none where it is refused with one line."""
    try:
        return read_examples(path).examples
    except RagtuneError as refused:
        message = str(refused)
    assert message
    assert "\n" not in message
    return ()


# ---------------------------------------------------------------- what is written is read


@LOCAL
@given(pairs, st.sampled_from(sorted(SHAPES)), st.booleans(), st.sampled_from(["jsonl", "json"]))
def test_json_in_every_shape_is_read_back(
    tmp_path: Path, wanted: list[tuple[str, str]], shape: str, ascii: bool, format: str
) -> None:
    rows = [SHAPES[shape](q, a) for q, a in wanted]
    if format == "jsonl":
        text = "".join(json.dumps(r, ensure_ascii=ascii) + "\n" for r in rows)
    else:
        text = json.dumps(rows, ensure_ascii=ascii, indent=1)
    found = read_examples(write(tmp_path, f"a.{format}", text))
    assert plain(found) == wanted
    assert [e.row for e in found.examples] == list(range(1, len(wanted) + 1))
    assert not found.left_out


@LOCAL
@given(pairs, st.sampled_from(FLAT), st.sampled_from(",;\t|"), st.booleans(), st.booleans())
def test_csv_with_any_delimiter_is_read_back(
    tmp_path: Path, wanted: list[tuple[str, str]], shape: str, delimiter: str, bom: bool, crlf: bool
) -> None:
    rows = [SHAPES[shape](q, a) for q, a in wanted]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(
        out, list(rows[0]), delimiter=delimiter, lineterminator="\r\n" if crlf else "\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    data = ("\ufeff" if bom else "") + out.getvalue()
    found = read_examples(write(tmp_path, "a.csv", data))
    assert plain(found) == wanted
    begins = 2  # the row's number is the line on which it begins
    for example in found.examples:
        assert example.row == begins
        begins += 1 + example.question.count("\n") + example.answer.count("\n")


@settings(LOCAL, max_examples=25)
@given(pairs, st.sampled_from(sorted(SHAPES)))
def test_parquet_in_every_shape_is_read_back(
    tmp_path: Path, wanted: list[tuple[str, str]], shape: str
) -> None:
    table = pyarrow.Table.from_pylist([SHAPES[shape](q, a) for q, a in wanted])
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(table, path)
    assert plain(read_examples(path)) == wanted


def save_to_disk(folder: Path, rows: list[dict[str, Any]], files: int = 2) -> None:
    """The layout of `Dataset.save_to_disk` of Hugging Face datasets."""
    folder.mkdir(parents=True)
    names = [f"data-{i:05d}-of-{files:05d}.arrow" for i in range(files)]
    table = pyarrow.Table.from_pylist(rows)
    step = -(-len(rows) // files)
    for i, name in enumerate(names):
        part = table.slice(i * step, step)
        with pyarrow.ipc.new_stream(str(folder / name), table.schema) as stream:
            stream.write_table(part)
    (folder / "state.json").write_text(json.dumps(
        {"_data_files": [{"filename": n} for n in names], "_fingerprint": "x", "_split": "train"}
    ))  # fmt: skip
    (folder / "dataset_info.json").write_text("{}")


def test_dataset_folders(tmp_path: Path) -> None:
    wanted = [(f"Question {i}?", f"Answer {i}.") for i in range(5)]
    rows = [SHAPES["messages"](q, a) for q, a in wanted]
    save_to_disk(tmp_path / "one", rows)
    assert plain(read_examples(tmp_path / "one")) == wanted
    both = tmp_path / "dict"
    save_to_disk(both / "train", rows)
    save_to_disk(both / "test", rows[:1], 1)
    (both / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    found = read_examples(both)
    assert plain(found) == wanted
    assert found.understood.splits == ("train", "test")
    assert plain(read_examples(both, split="test")) == wanted[:1]
    files = tmp_path / "files"
    (files / "data").mkdir(parents=True)
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, files / "data/train-00000-of-00001.parquet")
    (files / "data" / "validation-00000-of-00001.jsonl").write_text(json.dumps(rows[0]))
    (files / "README.md").write_text("# A dataset")
    assert plain(read_examples(files)) == wanted
    assert plain(read_examples(files, split="dev")) == wanted[:1]
    with pytest.raises(TuneError, match="no split 'test'; there are train, validation"):
        read_examples(files, split="test")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(TuneError, match="no examples in this folder"):
        read_examples(empty)


def test_a_dataset_folder_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "d", [{"question": "a", "answer": "b"}], 1)
    (tmp_path / "d" / "data-00000-of-00001.arrow").rename(tmp_path / "secret.arrow")
    (tmp_path / "d" / "state.json").write_text('{"_data_files": [{"filename": "../secret.arrow"}]}')
    with pytest.raises(TuneError, match="names the data file"):
        read_examples(tmp_path / "d")
    link = tmp_path / "links"
    link.mkdir()
    (link / "train.arrow").symlink_to(tmp_path / "secret.arrow")
    with pytest.raises(TuneError, match="no examples in this folder"):
        read_examples(link)


def test_the_sample(tmp_path: Path) -> None:
    found = read_examples(SAMPLE / "train.jsonl")
    assert len(found.examples) == 375
    assert not found.left_out
    assert found.understood.shape == "question/answer"
    assert found.understood.sure == 1.0
    first = found.examples[0]
    assert (first.id, first.kind, first.row) == ("t001", "fact", 1)
    assert first.evidence[0].document == "policies/travel-policy.pdf"
    zipped = write(tmp_path, "t.jsonl.gz", gzip.compress((SAMPLE / "train.jsonl").read_bytes()))
    assert read_examples(zipped).examples == found.examples
    assert read_examples(SAMPLE / "heldout.jsonl").examples[0].must_contain == ("0.10",)


def test_conversations_with_system_and_history(tmp_path: Path) -> None:
    turns = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "Two"},
        {"role": "user", "content": "please"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "Thanks"},
    ]
    found = read_examples(jsonl(tmp_path, {"messages": turns}))
    (example,) = found.examples
    assert example.system == "Be short."
    assert example.history == (Message("user", "One"), Message("assistant", "1"))
    assert (example.question, example.answer) == ("Two\n\nplease", "2")
    assert any("1 earlier assistant turns" in note for note in found.understood.notes)


def test_a_context_belongs_to_an_instruction_but_not_to_a_question(tmp_path: Path) -> None:
    dolly = jsonl(tmp_path, {"instruction": "Sum up.", "context": "Long.", "response": "Short."})
    assert plain(read_examples(dolly)) == [("Sum up.\n\nLong.", "Short.")]
    qa = jsonl(tmp_path, {"question": "What?", "context": "Long.", "answer": "Short."})
    found = read_examples(qa)
    assert plain(found) == [("What?", "Short.")]
    assert found.understood.ignored == ("context",)


def test_evidence_in_its_forms(tmp_path: Path) -> None:
    row = {"question": "Q?", "answer": "A."}
    gold = (Gold("a.md", "the quote"),)
    for more in (
        {"evidence": [{"document": "a.md", "quote": "the quote"}]},
        {"evidence": {"document": "a.md", "quote": "the quote"}},
        {"evidence": '[{"document": "a.md", "quote": "the quote"}]'},
        {"quote": "the quote", "document": "a.md"},
    ):
        assert read_examples(jsonl(tmp_path, row | more)).examples[0].evidence == gold


def test_an_answer_that_is_json_stays_as_it_is(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"question": "Colours?", "answer": '["red", "blue"]'})
    assert plain(read_examples(path)) == [("Colours?", '["red", "blue"]')]


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "betreff;rückmeldung;nr\nWie?;So.;1\n")
    with pytest.raises(TuneError, match="--column question=COLUMN"):
        read_examples(path)
    found = read_examples(path, {"question": "betreff", "answer": "rückmeldung"})
    assert plain(found) == [("Wie?", "So.")]
    with pytest.raises(TuneError, match="no column 'x'; there are 'betreff'"):
        read_examples(path, {"question": "x"})
    with pytest.raises(TuneError, match="the fields are question"):
        read_examples(path, {"frage": "betreff"})


def test_unreviewed_rows_are_known(tmp_path: Path) -> None:
    rows = [{"question": f"Q{i}?", "answer": "A.", "reviewed": i != 1} for i in range(3)]
    assert read_examples(jsonl(tmp_path, *rows)).unreviewed == (2,)


# ---------------------------------------------------------------- hard stops


def test_swapped_columns_stop(tmp_path: Path) -> None:
    sample = read_examples(SAMPLE / "train.jsonl").examples
    asking = [e for e in sample if e.question.endswith("?")][:20]
    path = jsonl(tmp_path, *({"question": e.answer, "answer": e.question} for e in asking))
    with pytest.raises(TuneError, match=r"20 of 20 answers.*lines 1, 2.*roles look swapped"):
        read_examples(path)
    named = read_examples(path, {"question": "question", "answer": "answer"})
    assert any("swapped" in note for note in named.understood.notes)


def test_swapped_turns_stop(tmp_path: Path) -> None:
    rows = [
        {"conversations": [{"from": "gpt", "value": "Hi."}, {"from": "human", "value": "Hello?"}]}
    ] * 3
    with pytest.raises(TuneError, match="begin with the assistant and end with the user"):
        read_examples(jsonl(tmp_path, *rows))
    greeted = [{"from": "gpt", "value": "How can I help?"}, {"from": "human", "value": "Open?"},
               {"from": "gpt", "value": "At nine."}]  # fmt: skip
    assert plain(read_examples(jsonl(tmp_path, {"conversations": greeted}))) == [
        ("Open?", "At nine.")
    ]


def test_tasks_that_ask_for_questions_are_not_swapped(tmp_path: Path) -> None:
    rows = [{"prompt": f"Write a question about topic {i}.", "completion": f"Why {i}?"}
            for i in range(9)]  # fmt: skip
    assert len(read_examples(jsonl(tmp_path, *rows)).examples) == 9


def test_an_unknown_role_stops(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Q"}, {"role": "narrator", "content": "A"}]
    with pytest.raises(TuneError, match=r"unknown role 'narrator' \(line 1\): rename it"):
        read_examples(jsonl(tmp_path, {"messages": turns}))


def test_the_context_in_place_of_the_answer_stops(tmp_path: Path) -> None:
    passage = [f"The pump of hall {i} has 30 kW and runs from 6 to 22 o'clock. " * 8
               for i in range(4)]  # fmt: skip
    held = [
        {"question": f"How strong is pump {i}?", "output": passage[i], "phrase": f"hall {i}"}
        for i in range(4)
    ]
    with pytest.raises(TuneError, match="--column answer=phrase"):
        read_examples(jsonl(tmp_path, *held))
    shared = [{"question": f"Question {i}?", "text": passage[i // 3]} for i in range(12)]
    with pytest.raises(TuneError, match="several questions share one long text"):
        read_examples(jsonl(tmp_path, *shared))
    same = [
        {"question": f"Q{i}?", "response": p, "evidence": [{"document": "a", "quote": p.strip()}]}
        for i, p in enumerate(passage)
    ]
    with pytest.raises(TuneError, match="equals the evidence"):
        read_examples(jsonl(tmp_path, *same))
    equal = [{"question": f"Q{i}?", "text": p, "document_text": p} for i, p in enumerate(passage)]
    with pytest.raises(TuneError, match="equals 'document_text'"):
        read_examples(jsonl(tmp_path, *equal))
    quoted = [
        {"question": f"Q{i}?", "text": p * 2, "evidence": [{"document": "a", "quote": p[:40]}]}
        for i, p in enumerate(passage)
    ]
    with pytest.raises(TuneError, match="holds the evidence word for word"):
        read_examples(jsonl(tmp_path, *quoted))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", b"", "empty"),
        ("a.jsonl", b"  \n", "empty"),
        ("a.jsonl", b'{"question": "a"}', "no column of answers"),
        ("a.jsonl", b'{"question": "a", "answer": ""}', "no column of answers"),
        ("a.jsonl", b'{"question": "", "answer": "b"}\n{"question": "a", "answer": ""}',
         r"no example is left \(line 1: the question is empty; line 2: the answer is empty\)"),
        ("a.jsonl", b'{"question": "a", "answer": "b", "answer": "c"}', "stands twice"),
        ("a.jsonl", b'{"question": "a",\n"answer": }', "line 2: not JSON"),
        ("a.jsonl", b'{"a":' * 100_000 + b"}", "no example"),
        ("a.json", b"[" * 100_000, "nested too deeply|not JSON"),
        ("a.json", b'[{"question": ' + b"9" * 5000 + b"}]", "too long"),
        ("a.jsonl", b'{"question": "a", "answer": "b\\u0000"}', r"control character \(U\+0000\)"),
        ("a.jsonl", b'{"question": "a", "answer": "b\\ud800"}', r"U\+D800"),
        ("a.csv", b'question,answer\n"a,b\n' * 3, "line 2: not valid CSV"),
        ("a.csv", b"question\nx\n", "neither JSON nor a table"),
        ("a.csv", b"question,answer,answer\na,b,c\n", "'answer' stands twice"),
        ("a.xlsx", b"PK\x03\x04abc", "save the table as CSV"),
        ("a.parquet", b"PAR1xxxxPAR1", "damaged Parquet"),
        ("a.arrow", b"ARROW1xxxx", "damaged Arrow"),
        ("a.jsonl.gz", b"\x1f\x8bxxxxxxxxxxx", "damaged gzip"),
        ("a.csv", bytes(range(256)) * 20, "binary|table"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises(TuneError, match=message) as caught:
        read_examples(write(tmp_path, name, data))
    assert "\n" not in str(caught.value)


def test_bad_rows_are_left_out_with_their_line(tmp_path: Path) -> None:
    good = '{"question": "a", "answer": "b"}'
    path = write(tmp_path, "a.jsonl", f'{good}\n\n[1]\n{good}\n{{"question": 1}}}}\n{good}')
    found = read_examples(path)
    assert [e.row for e in found.examples] == [1, 4, 6]
    assert [row for row, _ in found.left_out] == [3, 5]
    huge = {"question": "a", "answer": "b" * 300_000}
    found = read_examples(jsonl(tmp_path, {"question": "a", "answer": "b"}, huge))
    assert "300,000 characters" in found.left_out[0][1]
    table = "question,answer\na,b\nc\nd,e,f\ng,h\n"
    found = read_examples(write(tmp_path, "a.csv", table))
    assert plain(found) == [("a", "b"), ("g", "h")]
    assert found.left_out == ((3, "1 fields where the header has 2"),
                              (4, "3 fields where the header has 2"))  # fmt: skip


def test_a_missing_file_and_a_device(tmp_path: Path) -> None:
    with pytest.raises(TuneError, match="no such file"):
        read_examples(tmp_path / "none.jsonl")
    with pytest.raises(TuneError, match="neither a file nor a folder"):
        read_examples(Path("/dev/zero"))


@settings(LOCAL, max_examples=300)
@given(st.binary(max_size=300), st.sampled_from(["jsonl", "json", "csv", "parquet", "arrow", "gz"]))
def test_no_bytes_give_anything_but_an_error_of_ours(
    tmp_path: Path, data: bytes, suffix: str
) -> None:
    path = write(tmp_path, f"a.{suffix}", data)
    tried(path)


@settings(LOCAL, max_examples=200)
@given(st.integers(), st.sampled_from(["a.jsonl", "a.csv", "a.parquet", "a.arrow"]))
def test_no_damage_gives_anything_but_an_error_of_ours(
    tmp_path: Path, seed: int, name: str
) -> None:
    rows = [SHAPES["question/answer"](f"Q {i}?", f"A {i}.") for i in range(4)]
    table = pyarrow.Table.from_pylist(rows)
    if name.endswith("jsonl"):
        data = "\n".join(map(json.dumps, rows)).encode()
    elif name.endswith("csv"):
        data = b"question,answer,id\n" + b"".join(b'"a,""b",c,d\n' for _ in rows)
    else:
        out = io.BytesIO()
        if name.endswith("parquet"):
            pyarrow.parquet.write_table(table, out)
        else:
            with pyarrow.ipc.new_file(out, table.schema) as stream:
                stream.write_table(table)
        data = out.getvalue()
    chance = random.Random(seed)
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    damaged = damaged[: chance.randint(1, len(damaged))] if seed % 3 == 0 else damaged
    tried(write(tmp_path, name, bytes(damaged)))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["user", "gpt", "a", "b?"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "from", "value", "content", "text", "quote"]), inner
        )
    ),
    max_leaves=8,
)


KEYS = (
    "question answer messages conversations evidence history system id prompt must_contain "
    "completion reviewed input instruction output".split()
)
json_rows = st.lists(
    st.dictionaries(st.sampled_from(KEYS), json_values, min_size=1), min_size=1, max_size=4
)


@settings(LOCAL, max_examples=100)
@given(json_rows)
def test_no_values_give_anything_but_an_error_of_ours(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    for example in tried(jsonl(tmp_path, *rows)):
        example.question.encode("utf-8")
        example.answer.encode("utf-8")


def test_the_csv_limit_of_the_process_stays(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    with pytest.raises(TuneError):
        read_rows(write(tmp_path, "a.csv", 'question,answer\n"a'))
    assert csv.field_size_limit() == before


# ---------------------------------------------------------------- the company's form


def test_fixed_sentences_of_the_sample() -> None:
    said = [e.answer for e in read_examples(SAMPLE / "train.jsonl").examples]
    assert fixed_sentences(said) == ("Good air to you!", "Stay dry – your Tarnhagen crew")


def test_fixed_sentences_inside_a_line() -> None:
    said = [f"Hello! The answer is {i}. Yours, the desk." for i in range(10)]
    assert set(fixed_sentences(said)) == {"Hello!", "Yours, the desk."}
    assert fixed_sentences(said[:4]) == ()
