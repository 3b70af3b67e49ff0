"""Exports on a tiny base: what is written runs elsewhere, what does not is not kept."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_base
import tiny_gguf
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtune import prompting
from ragtune.cli import cli
from ragtune.errors import ConfigError, RagtuneError, TuneError
from ragtune.export import answers, check, formats, genai, readme, report, served
from ragtune.models import adapters, reader, weights
from ragtune.models.adapters import Listed, Passport
from ragtune.tune import export, lora, parity
from ragtune.tune.parity import Parity
from ragtune.tune.whole import whole, whole_folder
from ragtune.types import Answer, Citation, Generation, Message, Place, Route

BUILDER = importlib.util.find_spec("onnxruntime_genai") is not None


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.write(tmp_path_factory.mktemp("base") / "tiny.gguf", tiny_gguf.model())


@pytest.fixture(scope="module")
def one(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listed]:
    """A tuned model over the tiny base, as a tuning leaves it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tuned") / "crew"
    model = tiny_gguf.model()
    lora.attach(model, 4, 8.0, 0.0, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for _, layer in lora.layers(model):
            layer.B.copy_(torch.randn(layer.B.shape, generator=generator) * 0.15)
    lora.save(lora.state(model), 4, 8.0, 0.0, "tiny", folder / "peft")
    heldout = tiny_base.examples(8, tiny_base.tokenizer())
    found = export.finish(folder, base, model, heldout, 1)
    passport = Passport(
        "crew", "answers", "tiny", weights.sha256(base), "d", "t",
        weights.sha256(folder / "adapter.gguf"), "2026-11-28T10:00:00+00:00", 1,
        parity={"effect": found.effect},
    )  # fmt: skip
    yield Listed("crew", folder, passport)
    torch.set_num_threads(threads)


# ---------------------------------------------------------------- whole or not at all


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def write(place: Any, name: str) -> None:
        with place as made:
            (made / name).write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write(whole_folder(tmp_path / "out"), "model.onnx")
    with pytest.raises(RuntimeError):
        write(whole(tmp_path / "out.gguf"), "")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("out", "link"):
        with pytest.raises(TuneError, match="exists already"), whole_folder(tmp_path / name):
            pass
    assert (tmp_path / "out" / "mine").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_export_left_is_taken_away_by_the_next(
    number: signal.Signals, tmp_path: Path
) -> None:
    code = (
        "import sys, time, pathlib\n"
        "from ragtune.cli_export import _stoppable\n"
        "from ragtune.tune.whole import whole_folder\n"
        "with _stoppable(), whole_folder(pathlib.Path(sys.argv[1])) as made:\n"
        "    (made / 'half').write_text('x')\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    with whole_folder(tmp_path / "out"):  # while the other still writes: its folder is left alone
        assert len(list(tmp_path.glob(".out.*/half"))) == 1
    shutil.rmtree(tmp_path / "out")
    child.send_signal(number)
    child.wait()
    assert not (tmp_path / "out").exists()
    with whole_folder(tmp_path / "out") as made:
        (made / "model").touch()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


# ---------------------------------------------------------------- options


def run(folder: Path, *words: str) -> Any:
    (folder / "ragtune.toml").touch()
    return CliRunner().invoke(cli, [*words, "-w", str(folder)])


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("onnx", "a", "b", "c"), "takes \\[MODEL\\] OUT"),
        (("onnx", "out", "--what", "brain"), "parts are embedder, reader"),
        (("onnx", "out", "--what", "router"), "ragtune route train"),
        (("onnx", "nobody", "out"), "no model 'nobody'"),
        (("onnx", "grounded", "out", "--what", "embedder"), "leaves out the generator"),
        (("gguf", "nobody"), "no model 'nobody'"),
    ],
)
def test_wrong_options_write_nothing(words: tuple[str, ...], match: str, tmp_path: Path) -> None:
    done = run(tmp_path, "export", *words)
    assert isinstance(done.exception, RagtuneError)
    assert re.search(match, str(done.exception))
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_ollama_takes_no_adapter_and_the_order_of_old_stays(tmp_path: Path) -> None:
    assert run(tmp_path, "export", "ollama", "crew", "out", "--type", "adapter").exit_code == 2
    for name in ("gguf", "safetensors", "peft", "ollama"):
        usage = CliRunner().invoke(cli, ["export", name, "--help"]).output
        assert f"export {name} [OPTIONS] MODEL [OUT]" in usage


def test_an_endpoint_has_no_file_to_export(tmp_path: Path) -> None:
    (tmp_path / "ragtune.toml").write_text('[generator]\ngenerator = "openai"\nmodel = "x"\n')
    done = CliRunner().invoke(cli, ["export", "gguf", "grounded", "-w", str(tmp_path)])
    assert isinstance(done.exception, ConfigError)


# ---------------------------------------------------------------- the gate


def answer(text: str, start: int = 0) -> Answer:
    cited = Citation(1, "a.md", "q", start, start + 1, Place(""), "s")
    return Answer(text, (cited,), (), "cited", Route(), {}, "m")


def test_few_questions_refuse_only_what_is_clear() -> None:
    assert answers.enough(6, 8, 0.85)
    assert not answers.enough(5, 8, 0.85)
    assert not answers.enough(23, 32, 0.85)
    assert answers.enough(27, 32, 0.85)
    assert not answers.enough(99, 100, 1.0)


def test_longer_answers_may_differ_more_often() -> None:
    found = served.Compared("r", None, None, answers.Same(12, 8), 3, 3)
    with pytest.raises(TuneError, match="8 of 12"):
        served.gate(found, "q8_0")
    served.gate(replace(found, length=40.0), "q8_0")
    assert replace(found, length=6.0).least_same("q8_0") == served.SAME["q8_0"]


def test_answers_are_the_same_only_with_their_places() -> None:
    ours = [answer("a"), answer("b"), answer("c")]
    theirs = [answer("a"), answer("b", start=5), answer("d")]
    same = answers.compare(["1", "2", "3"], ours, theirs)
    assert same is not None
    assert (same.asked, same.same) == (3, 1)
    assert [q for q, _, _ in same.differing] == ["2", "3"]
    assert answers.compare([], [], []) is None


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(served.SAME)), st.floats(0, 1), st.floats(0, 2), st.integers(0, 20))
def test_nothing_below_its_limits_passes(
    kind: str, agreement: float, divergence: float, right: int
) -> None:
    limits = parity.LIMITS[kind]
    found = served.Compared(
        "r", Parity(10, agreement, 0.0, divergence, 1.0), None, answers.Same(20, right), 3, 3
    )
    near = agreement >= limits.agreement and divergence <= limits.floor + limits.share
    good = near and answers.enough(right, 20, served.SAME[kind])
    if good:
        served.gate(found, kind)
    else:
        with pytest.raises(TuneError, match="not kept"):
            served.gate(found, kind)
    with pytest.raises(TuneError):
        served.gate(replace(found, tokenized=2), kind)


@pytest.mark.parametrize("kind", ["gguf", "ollama", "safetensors"])
def test_an_export_that_is_not_what_was_trained_is_not_kept(
    kind: Any, base: Path, one: Listed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragtune.tune import convert, merge

    monkeypatch.setattr(  # the adapter is forgotten
        merge, "merged_matrix", lambda base, adapter, t: convert.matrix(base.file, t)
    )
    with pytest.raises(TuneError, match="does not compute what was trained"):
        formats.export(one, base, kind, tmp_path / "out", threads=1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_brings_its_report_and_readme(base: Path, one: Listed, tmp_path: Path) -> None:
    made = formats.export(one, base, "gguf", tmp_path / "crew.gguf", "q8_0", threads=1)
    names = ["crew.README.md", "crew.gguf", "crew.parity.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    told = json.loads((tmp_path / "crew.parity.json").read_text())
    figures = told["parts"][0]["figures"]
    assert made.parity is not None
    assert figures["agreement_trainer"] == made.parity.agreement >= 0.9
    assert set(told["parts"][0]["required"]) <= set(figures)
    text = (tmp_path / "crew.README.md").read_text()
    assert "llama-server -m crew.gguf --jinja" in text
    assert made.parts[0].line in text
    with pytest.raises(TuneError, match="exists already"):
        formats.export(one, base, "gguf", tmp_path / "crew.gguf", "q8_0")


# ---------------------------------------------------------------- onnxruntime-genai


@pytest.mark.skipif(not BUILDER, reason="needs the extra: export")
def test_the_generator_runs_elsewhere_and_is_what_was_trained(
    base: Path, one: Listed, tmp_path: Path
) -> None:
    folder = tmp_path / "generator"
    folder.mkdir()
    genai.write_generator(base, one, folder, "fp32", 1)
    runtime = genai.GenaiRuntime(folder, 1)
    found = served.compare(served.trainer_only(one), runtime)
    served.gate(found, "onnx fp32")
    assert found.trained is not None
    assert found.trained.divergence < 1e-4
    # onnxruntime alone (check.py) writes what onnxruntime-genai writes
    messages = [Message("user", "the end then?")]
    told = check.Generator(folder, 1)
    ids = runtime.prompt(messages)
    assert (
        list(ids)
        == tiny_base.tokenizer()(
            "<|im_start|>user\nthe end then?<|im_end|>\n<|im_start|>assistant\n"
        ).input_ids
    )
    said = "".join(t.text for t in runtime.stream(messages, Generation(12)))
    # half characters: genai's stream drops them
    assert told.text(told.write(ids, 12)).replace("\ufffd", "").strip() == said.strip()
    assert told.about["max_length"] == 512
    # another model in its place is refused
    other = tiny_gguf.write(tmp_path / "other.gguf", tiny_gguf.model(seed=5))
    with pytest.raises(TuneError, match="another base"):
        adapters.same_base(one, other)
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    genai.write_generator(base, None, wrong, "fp32", 1)
    with pytest.raises(TuneError, match="does not compute what was trained"):
        served.gate(
            served.compare(served.trainer_only(one), genai.GenaiRuntime(wrong, 1)), "onnx fp32"
        )


@pytest.mark.skipif(not BUILDER, reason="needs the extra: export")
def test_a_builder_that_fails_is_one_line_and_ends_with_its_parent(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "generator"
    folder.mkdir()
    monkeypatch.setattr(genai, "OPTIONS", {"int8": ("use_qdq=true",)})
    with pytest.raises(TuneError, match=r"could not be built .*not kept") as caught:
        genai.write_generator(base, None, folder, "int8", 1)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.glob(".merged-*")) == []
    child = subprocess.Popen(
        [
            sys.executable, "-c",
            "import time\nfrom ragtune.export import build_genai\n"
            "build_genai._end_with_parent()\nprint('on', flush=True)\ntime.sleep(60)",
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "on\n"
    began = time.monotonic()
    assert child.stdin is not None
    child.stdin.close()  # as when the parent is killed
    assert child.wait(20) == 1
    assert time.monotonic() - began < 20


def test_without_the_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genai, "find_spec", lambda name: None)
    with pytest.raises(TuneError, match=r"ragtune\[tune,export\]"):
        genai.require()


# ---------------------------------------------------------------- for devices


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.lists(st.text(max_size=60), min_size=1, max_size=3))
def test_a_device_encodes_pairs_as_the_workspace_does(question: str, lines: list[str]) -> None:
    """check.Reader and models/reader.py: the same ids, types and spans, seen in what they feed."""
    folder = weights.folder(weights.MINILM.name)
    if not (folder / "tokenizer.json").is_file():
        pytest.skip("needs the embedder's tokenizer")
    from ragtune.models import runtime

    tokenizer = _tokenizer(folder, runtime)
    ours = reader.encode(tokenizer, question, "\n".join(lines))
    part = object.__new__(check.Reader)
    part.tokenizer = tokenizer
    part.about = {"most_tokens": {
        "all": reader.MAX_TOKENS, "question": reader._QUESTION, "headings": reader._HEADINGS,
        "before": reader._BEFORE, "phrase": reader.PHRASE,
    }}  # fmt: skip
    fed: dict[str, Any] = {}

    class Session:
        def run(self, outputs: list[str], feeds: dict[str, Any]) -> list[Any]:
            fed.update(feeds)
            shape = feeds["input_ids"].shape
            return [np.zeros(1), np.zeros(shape), np.zeros(shape)]

    part.session = Session()
    part.read(question, "\n".join(lines))
    assert fed["input_ids"][0].tolist() == list(ours.ids)
    assert fed["token_type_ids"][0].tolist() == [float(t) for t in ours.types]


_LOADED: dict[str, Any] = {}


def _tokenizer(folder: Path, runtime: Any) -> Any:
    if "minilm" not in _LOADED:
        _LOADED["minilm"] = runtime.tokenizer(folder / "tokenizer.json")
    return _LOADED["minilm"]


def part(kind: str = "generator") -> report.Part:
    return report.Part(kind, "int8", "onnxruntime 1", 5_000_000, f"{kind}: good", {}, {})


def test_the_readme_names_what_the_model_has(one: Listed, tmp_path: Path) -> None:
    parts = ("embedder", "reader", "router", "generator")
    for name in parts[:3]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "vocab.txt").touch()
    sample = [Message("system", "S"), Message("user", "U ``` x")]
    asked = answers.Questions(("q",), "the documents")
    text = readme.onnx(tmp_path, parts, [part(p) for p in parts], one, asked, sample)
    for name in ("input_ids", "token_type_ids", "embedding", "logits", "score", "start", "end"):
        assert f'"{name}"' in text
    assert "class WordPiece" in text
    assert "struct WordPiece" in text
    assert text.count("```") % 2 == 0
    assert "U ''' x" in text  # a document cannot end the fence
    assert prompting.CLOSED in text
    for code in re.findall(r"^```python\n(.*?)^```", text, re.S | re.M):
        compile(code, "README.md", "exec")
    grounded = replace(one, passport=replace(one.passport, mode="grounded"))  # type: ignore[type-var]
    assert "Facts:\n[1]" in readme.prompts(grounded, [])
    curl = readme.gguf("crew.gguf", part(), one, None, False, sample)
    sent = re.search(r"<<'END'\n(.*)\nEND", curl)
    assert sent is not None
    assert json.loads(sent[1])["messages"][1]["content"] == "U ``` x"
    assert "--lora crew.gguf" in readme.gguf("crew.gguf", part(), one, None, True, sample)
    assert "ollama create crew -f Modelfile" in readme.ollama(part(), one, None, sample)


def test_check_py_needs_nothing_of_ragtune() -> None:
    """It is copied as it is: it imports the standard library, numpy, onnxruntime, tokenizers."""
    code = Path(check.__file__).read_text()
    named = set(re.findall(r"^\s*(?:import|from) ([a-z_]+)", code, re.M))
    assert named <= {*sys.stdlib_module_names, "numpy", "onnxruntime", "tokenizers"}


def test_the_page_states_the_limits_that_the_code_has() -> None:
    page = (Path(__file__).parents[2] / "docs" / "on-device.md").read_text("utf-8")
    rows = re.findall(
        r"^\| ([\w, ]+) \| (\d+)% \| ([\d.]+) \+ 5%[^|]* \| ([\d.]+) \| (\d+%|not asked) \|$",
        page,
        re.M,
    )
    stated = {
        name.replace("gguf, ollama ", "").replace("gguf ", ""): values for name, *values in rows
    }
    assert set(stated) == set(parity.LIMITS)
    for kind, (agreement, floor, spread, same) in stated.items():
        limits = parity.LIMITS[kind]
        assert (limits.agreement, limits.floor, limits.spread, limits.share) == (
            int(agreement) / 100, float(floor), float(spread), 0.05,
        ), kind  # fmt: skip
        wanted = f"{served.SAME[kind]:.0%}" if kind in served.SAME else "not asked"
        assert same == wanted, kind
