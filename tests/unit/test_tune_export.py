"""Export on a tiny random base: the same numbers everywhere, or no file at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import tiny_base
import tiny_gguf
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtune import prompting
from ragtune.errors import TuneError, WeightsError
from ragtune.export import formats
from ragtune.models import adapters, gguf_file, weights
from ragtune.models.adapters import Listed, Passport
from ragtune.tune import convert, export, lora, ollama, parity
from ragtune.tune.chat import Encoded
from ragtune.tune.parity import Parity
from ragtune.types import Message


@dataclass(frozen=True)
class Tuned:
    """The tiny base, tuned: the trainer's model, its PEFT folder, the base's GGUF, held out."""

    model: Any
    peft: Path
    base: Path
    heldout: list[Encoded]


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAGTUNE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuned]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tuned")
    model = tiny_gguf.model()
    base = tiny_gguf.write(folder / "tiny.gguf", model)
    lora.attach(model, 4, 8.0, 0.0, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for _, layer in lora.layers(model):
            layer.B.copy_(torch.randn(layer.B.shape, generator=generator) * 0.15)
    lora.save(lora.state(model), 4, 8.0, 0.0, "tiny", folder / "peft")
    yield Tuned(model, folder / "peft", base, tiny_base.examples(8, tiny_base.tokenizer()))
    torch.set_num_threads(threads)


@pytest.fixture
def run(tuned: Tuned, tmp_path: Path) -> Path:
    """The folder of a run, as the trainer leaves it."""
    shutil.copytree(tuned.peft, tmp_path / "run" / "peft")
    return tmp_path / "run"


@pytest.fixture
def one(tuned: Tuned, run: Path) -> Listed:
    """The run, finished and with its passport."""
    found = export.finish(run, tuned.base, tuned.model, tuned.heldout)
    passport = Passport(
        "crew", "answers", "tiny", weights.sha256(tuned.base), "d", "t",
        weights.sha256(run / "adapter.gguf"), "2026-11-23T10:00:00+00:00", 1,
        parity={"effect": found.effect},
    )  # fmt: skip
    return Listed("crew", run, passport)


def logits(model: Any, example: Encoded) -> Any:
    with torch.inference_mode():
        return model(input_ids=torch.tensor([example.ids])).logits[0].float().numpy()


# ---------------------------------------------------------------- the gate


def test_what_llama_cpp_serves_is_what_was_trained(tuned: Tuned, run: Path) -> None:
    found = export.finish(run, tuned.base, tuned.model, tuned.heldout)
    assert found.agreement > 0.95
    assert found.divergence < 0.002
    assert found.effect > 0.5  # and tuning had changed the model: else this would say nothing
    kept = parity.read_reference(run / export.PARITY)
    again = parity.reference(tuned.model, tuned.heldout)
    assert [ids for ids, _ in kept.sequences] == [ids for ids, _ in again.sequences]


def change_alpha(run: Path, alpha: float) -> None:
    path = run / "peft" / convert.CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | {"lora_alpha": alpha}))


@pytest.mark.parametrize("mistake", ["alpha", "permutation", "base", "lost matrix"])
def test_a_mistake_is_refused(
    mistake: str, tuned: Tuned, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tuned.base
    if mistake == "alpha":
        change_alpha(run, 8.0 * 1.5)
    elif mistake == "permutation":
        monkeypatch.setattr(convert, "permute", lambda rows, tensor, base: rows)
    elif mistake == "base":
        base = tiny_gguf.write(tmp_path / "other.gguf", tiny_gguf.model(seed=5))
    else:
        from safetensors.numpy import load_file, save_file

        path = run / "peft" / convert.WEIGHTS
        tensors = {k: v for k, v in load_file(path).items() if "layers.1.mlp" not in k}
        save_file(tensors, path)
    with pytest.raises(TuneError, match="does not compute what was trained"):
        export.finish(run, base, tuned.model, tuned.heldout)
    assert sorted(p.name for p in run.iterdir()) == ["peft"]


def test_a_gate_lets_nothing_unmeasured_pass() -> None:
    nan = float("nan")
    for found in (Parity(1, nan, 0, 0, 1), Parity(1, 1, 0, nan, 1), Parity(1, 1, 0, 0, nan),
                  Parity(1, 1, 0, 0, 1, nan)):  # fmt: skip
        for kind in parity.LIMITS:
            with pytest.raises(TuneError):
                parity.gate(found, kind)
        parity.gate(Parity(1, 1.0, 0.0, 0.0, 0.0), "adapter")


# ---------------------------------------------------------------- what does not fit


def test_an_adapter_that_does_not_fit_writes_nothing(tuned: Tuned, run: Path) -> None:
    from safetensors.numpy import load_file, save_file

    good = load_file(run / "peft" / convert.WEIGHTS)
    config = (run / "peft" / convert.CONFIG).read_text()
    name = next(key for key in good if "q_proj.lora_B" in key)

    def refused(match: str) -> None:
        with pytest.raises(TuneError, match=match) as caught:
            export.gguf_adapter(run / "peft", tuned.base, run / "out.gguf")
        assert "\n" not in str(caught.value)
        assert sorted(p.name for p in run.iterdir()) == ["peft"]

    for wrong, match in (
        ({name: np.zeros((32, 4), np.float32)}, "does not fit tiny.gguf"),
        ({name: np.full_like(good[name], np.nan)}, "not finite"),
        ({name: np.full_like(good[name], 1e9)}, "too large for f16"),
        ({"base_model.model.lm_head.lora_A.weight": good[name]}, "no adapter for"),
    ):
        save_file(good | wrong, run / "peft" / convert.WEIGHTS)
        refused(match)
    (run / "peft" / convert.WEIGHTS).write_bytes(b"\xff" * 40)
    refused("is damaged")
    for wrong_config, match in (
        ({"use_dora": True}, "use_dora"),
        ({"r": 0}, "no LoRA"),
        ({"peft_type": "IA3"}, "not of a LoRA"),
    ):
        (run / "peft" / convert.CONFIG).write_text(json.dumps(json.loads(config) | wrong_config))
        refused(match)
    (run / "peft" / convert.CONFIG).unlink()
    refused("is missing")


def test_another_base_is_refused_before_any_work(one: Listed, tmp_path: Path) -> None:
    other = tiny_gguf.write(tmp_path / "other.gguf", tiny_gguf.model(seed=5))
    with pytest.raises(TuneError, match="trained on another base"):
        formats.export(one, other, "gguf", tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize("kind", ["f16", "q8_0", "adapter"])
def test_gguf(kind: Any, tuned: Tuned, one: Listed, tmp_path: Path) -> None:
    made = formats.export(one, tuned.base, "gguf", tmp_path / "out.gguf", kind)
    assert made.parity is not None
    assert made.parity.agreement > 0.9
    assert made.bytes == (tmp_path / "out.gguf").stat().st_size
    if kind != "adapter":  # read by the gguf package: metadata is the base's, types as asked
        base, merged = gguf.GGUFReader(tuned.base), gguf.GGUFReader(tmp_path / "out.gguf")
        keys = {k for k in base.fields if not k.startswith("GGUF.")} - {"general.name"}
        for key in keys:
            assert merged.fields[key].contents() == base.fields[key].contents(), key
        assert merged.fields["general.name"].contents() == "crew"
        types = {t.tensor_type.name for t in merged.tensors if len(t.shape) == 2}
        assert types == {kind.upper()}
    with pytest.raises(TuneError, match="exists already"):
        formats.export(one, tuned.base, "gguf", tmp_path / "out.gguf", kind)


def test_safetensors_is_what_transformers_computes(
    tuned: Tuned, one: Listed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    out = tmp_path / "merged"
    made = formats.export(one, tuned.base, "safetensors", out)
    assert made.parity is not None
    assert made.parity.divergence < 1e-3
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    for example in tuned.heldout[:3]:
        assert np.abs(logits(model, example) - logits(tuned.model, example)).max() < 0.05
    assert GenerationConfig.from_pretrained(out).eos_token_id == 2
    tokenizer = AutoTokenizer.from_pretrained(out)
    text = "<|im_start|>user\nthe end then<|im_end|>\n"
    ids = tokenizer(text).input_ids
    assert ids == tiny_base.tokenizer()(text).input_ids
    assert tokenizer.chat_template == tiny_base.CHATML


def test_peft_folder_is_the_same_adapter(tuned: Tuned, one: Listed, tmp_path: Path) -> None:
    from peft import PeftModel

    assert one.passport is not None
    out = tmp_path / "peft-out"
    formats.export(one, tuned.base, "peft", out)
    model = PeftModel.from_pretrained(tiny_gguf.model(), out).eval()
    for example in tuned.heldout[:3]:
        assert np.abs(logits(model, example) - logits(tuned.model, example)).max() < 0.05
    card = (out / "README.md").read_text()
    assert 'base_model: "tiny"' in card
    assert one.passport.base_sha256 in card


def test_ollama_prompts_as_it_was_trained(tuned: Tuned, one: Listed, tmp_path: Path) -> None:
    out = tmp_path / "ollama"
    formats.export(one, tuned.base, "ollama", out)
    lines = (out / "Modelfile").read_text()
    assert (out / "model.gguf").is_file()
    assert "\nFROM ./model.gguf\n" in lines
    assert 'PARAMETER stop "<|im_end|>"\n' in lines
    assert f'SYSTEM """{prompting.CLOSED}"""' in lines
    # Go's text/template by hand: {{- and -}} take the white space before and after them.
    talk = [Message("system", "S"), Message("user", "U"), Message("assistant", "A"),
            Message("user", "V\n ")]  # fmt: skip
    expected = (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n"
        "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV\n <|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert ollama.chatml(talk) == expected
    assert go(ollama.TEMPLATE, talk) == expected
    assert go(ollama.TEMPLATE, talk[:3]).endswith("<|im_start|>assistant\nA")


def go(template: str, messages: list[Message]) -> str:
    """What Go's text/template makes of the one form that `TEMPLATE` has.

    Only this form: a loop over messages, with `if` on whether the message is the last and who
    speaks. Trimming is Go's; the conditions are taken by their text.
    """
    import re

    template = re.sub(r"\s*\{\{- ", "{{", template)
    template = re.sub(r" -\}\}\s*", "}}", template)
    pieces = re.split(r"(\{\{.*?\}\})", template)
    written = []
    for number, message in enumerate(messages):
        last = number == len(messages) - 1
        truth = {
            'if not (and $last (eq .Role "assistant"))': not (last and message.role == "assistant"),
            'if and $last (ne .Role "assistant")': last and message.role != "assistant",
        }
        shown = [True]
        for piece in pieces:
            inner = piece.strip("{} ") if piece.startswith("{{") else None
            if inner is None:
                written.append(piece if all(shown) else "")
            elif inner in truth:
                shown.append(truth[inner])
            elif inner == "end":
                shown.pop()
            elif inner in (".Role", ".Content"):
                written.append(message.role if inner == ".Role" else message.content)
            else:
                assert inner.startswith(("range $i, $_ := .Messages", "$last :=")), inner
    return "".join(written)


def test_a_base_that_speaks_otherwise_gets_no_modelfile(
    tuned: Tuned, one: Listed, tmp_path: Path
) -> None:
    assert one.passport is not None
    other = tiny_base.CHATML.replace("'\n' + message", "': ' + message")
    base = tiny_gguf.write(tmp_path / "colon.gguf", tiny_gguf.model(), other)
    passport = replace(one.passport, base_sha256=weights.sha256(base))
    with pytest.raises(TuneError, match="does not speak ChatML"):
        formats.export(replace(one, passport=passport), base, "ollama", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


# ---------------------------------------------------------------- files


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(1, 3))
def test_rows_change_places_and_back(heads: int, kv: int, half: int, wide: int) -> None:
    file = gguf_file.GgufFile(Path("x"), {}, {}, {}, 0)
    base = convert.Base(file, 1, heads, kv)
    for tensor, count in (("attn_q", heads), ("attn_k", kv), ("ffn_up", 1)):
        name = f"blk.0.{tensor}.weight"
        rows = np.arange(count * 2 * half * wide, dtype=np.float32).reshape(-1, wide)
        moved = convert.permute(rows, name, base)
        assert np.array_equal(convert.unpermute(moved, name, base), rows)
        assert sorted(moved[:, 0]) == sorted(rows[:, 0])
        if tensor == "ffn_up":
            assert np.array_equal(moved, rows)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_gguf_is_one_line(tmp_path_factory: Any, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.gguf"
    if not path.exists():
        tiny_gguf.write(path, tiny_gguf.model())
    whole = path.read_bytes()
    header = whole.index(b"blk.0.attn_k.weight") + 200
    cut = data.draw(st.integers(0, header))
    bad = bytearray(whole[:cut] if data.draw(st.booleans()) else whole)
    for _ in range(data.draw(st.integers(1, 8))):
        if bad:
            at = data.draw(st.integers(0, min(len(bad), header) - 1))
            bad[at] = data.draw(st.integers(0, 255))
    damaged = path.with_name("damaged.gguf")
    damaged.write_bytes(bad)
    try:
        base = convert.read_base(damaged)
        for tensor in base.file.tensors.values():
            convert.matrix(base.file, tensor)
        said = ""
    except (TuneError, WeightsError) as error:
        said = str(error)
    assert "\n" not in said


def test_the_registry_takes_what_was_finished(one: Listed, tmp_path: Path) -> None:
    assert one.passport is not None
    adapters.write_passport(one.folder, one.passport)
    adapters.register(tmp_path / "data", one.folder, "crew")
    found = adapters.find(tmp_path / "data", "crew")
    assert found.passport == one.passport
    assert adapters.Adapters(tmp_path / "data")["crew"].base_sha256 == one.passport.base_sha256
