"""Training on a tiny random base: exact, the same every time, never lost."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_base
import torch

from ragtune.errors import TuneError
from ragtune.tune import base as bases
from ragtune.tune import lora, memory, network, pack, train
from ragtune.tune.base import Base
from ragtune.tune.chat import Encoded
from ragtune.tune.steps import Step, TuneSettings
from ragtune.types import Progress

SETTINGS = TuneSettings(rank=4, alpha=8, learning_rate=3e-3, epochs=2, batch=4, threads=1)
STEPS = 8  # of 16 examples


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny() -> Base:
    return tiny_base.base()


def weights(folder: Path) -> bytes:
    return (folder / "peft" / "adapter_model.safetensors").read_bytes()


def fill_b(model: Any, seed: int = 1) -> None:
    """B is zero at the start: then A has no gradient and a wrong scale would not show."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, layer in lora.layers(model):
            layer.B.copy_(torch.randn(layer.B.shape, generator=generator) * 0.05)


def peft_model(folder: Path) -> Any:
    from peft import PeftModel

    return PeftModel.from_pretrained(tiny_base.base().model, folder, is_trainable=True)


def peft_loss(model: Any, examples: Sequence[Encoded]) -> torch.Tensor:
    """The plain way: one example at a time, all logits."""
    total = torch.zeros(())
    for example in examples:
        ids = torch.tensor([example.ids])
        labels = torch.tensor([[i if t else -100 for i, t in zip(*_parts(example), strict=True)]])
        logits = model(input_ids=ids).logits[0, :-1].float()
        total = total + torch.nn.functional.cross_entropy(
            logits, labels[0, 1:], ignore_index=-100, reduction="sum"
        )
    return total


def _parts(example: Encoded) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    return example.ids, example.trained


# ---------------------------------------------------------------- exactness


@pytest.mark.parametrize("system", ["You are kind.", "the user and the assistant " * 8])
@pytest.mark.parametrize("most", [40, 200, 5000])
def test_packs_with_shared_prefix_equal_plain_peft(
    tiny: Base, tmp_path: Path, system: str, most: int
) -> None:
    """Loss and every gradient of A and B, against PEFT with one example at a time."""
    examples = tiny_base.examples(9, tiny.tokenizer, system)
    lora.attach(tiny.model, 4, 8.0, 0.0, seed=3)
    fill_b(tiny.model)
    packs = pack.split(examples, most)
    assert (most == 5000) == (len(packs) == 1)
    assert any(p.shared for p in packs) or most == 40
    ours = torch.stack([network.loss_sum(tiny.model, p) for p in packs]).sum()
    ours.backward()
    lora.save(lora.state(tiny.model), 4, 8.0, 0.0, "tiny", tmp_path)
    theirs_model = peft_model(tmp_path)
    theirs = peft_loss(theirs_model, examples)
    theirs.backward()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    gradients = {
        name.replace(".default", ""): p.grad
        for name, p in theirs_model.named_parameters()
        if p.grad is not None
    }
    found = {
        f"base_model.model.{name}.lora_{letter}.weight": getattr(layer, letter).grad
        for name, layer in lora.layers(tiny.model)
        for letter in ("A", "B")
    }
    assert found.keys() == gradients.keys()
    for name, gradient in found.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(gradient, gradients[name], rtol=2e-4, atol=2e-5)


def test_an_adapter_can_be_switched_off_and_taken_away(tiny: Base) -> None:
    examples = tiny_base.examples(3, tiny.tokenizer)
    one = pack.make(examples)
    plain = network.logits(tiny.model, one)
    lora.attach(tiny.model, 4, 8.0, 0.0, seed=3)
    assert torch.equal(network.logits(tiny.model, one), plain), "B is zero at the start"
    fill_b(tiny.model)
    assert not torch.allclose(network.logits(tiny.model, one), plain)
    with lora.switched_off(tiny.model):
        assert torch.equal(network.logits(tiny.model, one), plain)
    lora.detach(tiny.model)
    assert torch.equal(network.logits(tiny.model, one), plain)
    assert not list(lora.layers(tiny.model))


def test_the_written_adapter_is_the_trained_model(tiny: Base, tmp_path: Path) -> None:
    examples = tiny_base.examples(16, tiny.tokenizer)
    done = train.train(tiny, examples[:12], examples[12:], SETTINGS, tmp_path)
    assert done.stopped == "finished"
    assert done.heldout is not None
    assert done.heldout_before is not None
    assert done.heldout < done.heldout_before
    theirs = peft_loss(peft_model(done.peft), examples[12:]).item()
    assert theirs / sum(sum(e.trained) for e in examples[12:]) == pytest.approx(done.heldout, 1e-4)
    ours = network.loss_sum(tiny.model, pack.make(examples[12:])).item()
    assert ours == pytest.approx(theirs, rel=1e-5)


# ---------------------------------------------------------------- the same every time


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_same_seed_same_bytes(tmp_path: Path, dtype: str, dropout: float) -> None:
    settings = replace(SETTINGS, epochs=1, dropout=dropout)
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        tiny = tiny_base.base(dtype)
        examples = tiny_base.examples(16, tiny.tokenizer)
        train.train(
            tiny, examples[:12], examples[12:], replace(settings, seed=seed), tmp_path / name
        )
        found.append(weights(tmp_path / name))
    assert found[0] == found[1]
    assert found[0] != found[2]


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_interrupted_and_resumed_is_never_interrupted(tmp_path: Path, dropout: float) -> None:
    settings = replace(SETTINGS, dropout=dropout)
    tiny = tiny_base.base()
    examples = tiny_base.examples(20, tiny.tokenizer)
    whole = train.train(tiny, examples[:16], examples[16:], settings, tmp_path / "whole")
    assert whole.steps == STEPS
    stop = threading.Event()

    def at_three(step: Step) -> None:
        if step.step == 3:
            stop.set()

    folder = tmp_path / "part"
    again = tiny_base.base()
    part = train.train(
        again, examples[:16], examples[16:], settings, folder, stop=stop, on_step=at_three
    )
    assert (part.stopped, part.steps) == ("interrupted", 3)
    assert "--resume" in part.notes[0]
    assert weights(folder)
    fresh = tiny_base.base()
    rest = train.train(fresh, examples[:16], examples[16:], settings, folder, resume=True)
    assert (rest.stopped, rest.steps) == ("finished", STEPS)
    assert weights(folder) == weights(tmp_path / "whole")
    assert rest.curve == whole.curve
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    once_more = train.train(
        tiny_base.base(), examples[:16], examples[16:], settings, folder, resume=True
    )
    assert (once_more.stopped, once_more.steps) == ("finished", STEPS)  # killed after its end
    assert weights(folder) == weights(tmp_path / "whole")


KILLED = """
import sys
from pathlib import Path
import torch
import tiny_base
from ragtune.tune import train
from test_tune_train import SETTINGS

train._SAVE_SECONDS = 0.0
torch.set_num_threads(1)
tiny = tiny_base.base()
examples = tiny_base.examples(20, tiny.tokenizer)
say = lambda step: print(step.step, flush=True)
train.train(tiny, examples[:16], examples[16:], SETTINGS, Path(sys.argv[1]), on_step=say)
"""


def test_killed_and_resumed_ends_in_the_same_file(tmp_path: Path) -> None:
    tiny = tiny_base.base()
    examples = tiny_base.examples(20, tiny.tokenizer)
    train.train(tiny, examples[:16], examples[16:], SETTINGS, tmp_path / "whole")
    folder = tmp_path / "killed"
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 4:
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert (folder / "checkpoint.pt").exists()
    again = tiny_base.base()
    done = train.train(again, examples[:16], examples[16:], SETTINGS, folder, resume=True)
    assert done.stopped == "finished"
    assert weights(folder) == weights(tmp_path / "whole")


def test_resume_refuses_another_run(tmp_path: Path) -> None:
    tiny = tiny_base.base()
    examples = tiny_base.examples(16, tiny.tokenizer)
    stop = threading.Event()
    with pytest.raises(TuneError, match="nothing to resume"):
        train.train(tiny, examples, [], SETTINGS, tmp_path, resume=True)
    train.train(tiny, examples, [], SETTINGS, tmp_path, stop=stop, on_step=lambda s: stop.set())
    for changed in (replace(SETTINGS, seed=1), replace(SETTINGS, learning_rate=1e-3)):
        with pytest.raises(TuneError, match="other settings"):
            train.train(tiny, examples, [], changed, tmp_path, resume=True)
    with pytest.raises(TuneError, match="other examples"):
        train.train(tiny, examples[:-1], [], SETTINGS, tmp_path, resume=True)
    (tmp_path / "checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(TuneError, match="damaged"):
        train.train(tiny, examples, [], SETTINGS, tmp_path, resume=True)


# ---------------------------------------------------------------- what is kept, when it stops


def test_keeps_the_best_and_stops_early(tmp_path: Path) -> None:
    """Held-out answers that contradict the training: the loss rises again soon."""
    tiny = tiny_base.base()
    made = tiny_base.examples(16, tiny.tokenizer)
    odd = [replace(e, ids=(*e.ids[:-6], 9, 9, 9, 9, 9, e.ids[-1])) for e in made[12:]]
    settings = replace(SETTINGS, learning_rate=3e-2, epochs=40, eval_every=1, patience=3)
    done = train.train(tiny, made[:12], odd, settings, tmp_path)
    assert done.stopped == "early"
    assert done.steps < 120
    held = {step: loss for step, _, loss in done.curve if loss is not None}
    assert done.heldout == min(held.values()) == held[done.best_step]
    assert done.steps == done.best_step + 3
    again = network.loss_sum(tiny.model, pack.make(odd)).item() / sum(sum(e.trained) for e in odd)
    assert again == pytest.approx(done.heldout, rel=1e-4), "the model carries what was kept"


def test_ctrl_c_keeps_what_there_is(tmp_path: Path) -> None:
    tiny = tiny_base.base()

    def interrupt(step: Step) -> None:
        if step.step == 2:
            raise KeyboardInterrupt

    made = tiny_base.examples(16, tiny.tokenizer)
    done = train.train(tiny, made, [], SETTINGS, tmp_path, on_step=interrupt)
    assert (done.stopped, done.steps, done.best_step) == ("interrupted", 2, 2)
    lora.detach(tiny.model)
    assert peft_model(done.peft) is not None


def test_time_budget(tmp_path: Path) -> None:
    tiny = tiny_base.base()
    made = tiny_base.examples(16, tiny.tokenizer)
    done = train.train(tiny, made, [], replace(SETTINGS, minutes=1e-9), tmp_path)
    assert (done.stopped, done.steps) == ("minutes", 1)


def test_a_time_budget_shortens_the_schedule_instead_of_cutting_it(tmp_path: Path) -> None:
    tiny = tiny_base.base()
    made = tiny_base.examples(16, tiny.tokenizer)
    settings = replace(SETTINGS, epochs=20, minutes=1.0, eval_every=4)
    lora.attach(tiny.model, settings.rank, settings.alpha, 0.0, 0)
    loop = train._Loop(tiny, made[:12], made[12:], settings, tmp_path, [], None, None)
    whole = loop.total
    loop.now.step, loop.now.training_seconds = 6, 6.0
    loop._fit(1e6, 0.0)
    assert loop.total == whole  # there is time for all
    loop._fit(22.0, 4.0)  # a second a step, and four for each of the evaluations between them
    assert loop.total == loop.now.total == 6 + int(0.92 * 18 / 2)
    assert loop._rate(loop.total - 1) < 0.1 * settings.learning_rate
    loop._fit(-1.0, 0.0)
    assert loop.total == 7  # the time is up: one step more, which ends the schedule
    lora.detach(tiny.model)


def test_progress_tells_loss_speed_and_time_left(tmp_path: Path) -> None:
    tiny = tiny_base.base()
    made = tiny_base.examples(20, tiny.tokenizer)
    told: list[Progress] = []
    steps: list[Step] = []
    train.train(tiny, made[:16], made[16:], SETTINGS, tmp_path, told.append, on_step=steps.append)
    assert [step.step for step in steps] == list(range(1, STEPS + 1))
    assert steps[1].seconds_left is None
    assert steps[-1].seconds_left == 0
    assert told[-1].done == told[-1].total == STEPS
    assert all(word in told[-1].detail for word in ("loss", "held out", "tokens/s", "left"))


def test_divergence_keeps_near_the_base(tmp_path: Path) -> None:
    drift = []
    for kl in (0.0, 20.0):
        tiny = tiny_base.base()
        made = tiny_base.examples(20, tiny.tokenizer)
        settings = replace(SETTINGS, epochs=6, kl=kl)
        train.train(tiny, made[:16], [], settings, tmp_path / str(kl), general=made[16:])
        with torch.no_grad():
            drift.append(network.divergence(tiny.model, pack.make(made[16:])).item())
    assert 0 < drift[1] < drift[0] / 2


# ---------------------------------------------------------------- hard stops


def test_hard_stops(tiny: Base, tmp_path: Path) -> None:
    good = tiny_base.examples(4, tiny.tokenizer)
    one = good[0]
    silent = replace(one, trained=(False,) * len(one.ids))
    endless = Encoded(one.ids[:-1], one.trained[:-1])
    for examples, settings, says in (
        ([], SETTINGS, "no example"),
        ([*good, silent], SETTINGS, "example 5 has no trained token"),
        ([*good, endless], SETTINGS, "end-of-turn"),
        (good, replace(SETTINGS, batch=0), "above zero"),
    ):
        with pytest.raises(TuneError, match=says):
            train.train(tiny, examples, [], settings, tmp_path / "run")
    assert not (tmp_path / "run").exists(), "nothing half-written"


def test_loss_that_is_no_number(tiny: Base, tmp_path: Path) -> None:
    with torch.no_grad():
        tiny.model.model.norm.weight.fill_(float("inf"))
    with pytest.raises(TuneError, match="lower learning_rate"):
        train.train(tiny, tiny_base.examples(4, tiny.tokenizer), [], SETTINGS, tmp_path)


def test_too_little_memory_is_said_before(
    tiny: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bases, "available_bytes", lambda device: 1 << 20)
    with pytest.raises(
        TuneError, match=r"needs .* GiB, 0.0 GiB of memory are free: take a smaller"
    ):
        train.train(tiny, tiny_base.examples(4, tiny.tokenizer), [], SETTINGS, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_memory_grows_with_what_takes_it(tiny: Base) -> None:
    config = tiny.model.config
    small = memory.training_bytes(config, 4, 512, "bfloat16")
    assert small < memory.training_bytes(config, 8, 512, "bfloat16")
    assert small < memory.training_bytes(config, 4, 1024, "bfloat16")
    assert small < memory.training_bytes(config, 4, 512, "float32")
    assert 0 < bases.available_bytes("cpu") < 1 << 62


# ---------------------------------------------------------------- packs


def test_every_token_of_every_example_is_in_the_packs(tiny: Base) -> None:
    examples = tiny_base.examples(17, tiny.tokenizer)
    for most in (1, 60, 150, 10_000):
        packs = pack.split(examples, most)
        left = iter(examples)
        for one in packs:
            assert len(one.ids) <= most or len(one.spans) == 1
            for start, end in one.spans:
                example = next(left)
                assert (*one.ids[: one.shared], *one.ids[start:end]) == example.ids
                assert one.positions[start:end] == tuple(range(one.shared, len(example.ids)))
        assert next(left, None) is None
        assert sum(p.tokens for p in packs) == sum(len(e.ids) for e in examples)
        targets = list(itertools.chain.from_iterable(p.targets for p in packs))
        assert targets == [i for e in examples for i in e.answer]
