"""Adapters over the real base: switched per request, no leak from one to another; the gate."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import numpy as np
import pytest

from ragtune.config import Settings
from ragtune.errors import GenerationError
from ragtune.models import adapters, generate, weights
from ragtune.models.generate import EmbeddedGenerator
from ragtune.tune import convert, export
from ragtune.types import Adapter, Generation, Message

pytestmark = pytest.mark.integration

SETTINGS = Settings(context_tokens=512, threads=1)
SHARED = Message("system", "You answer questions about the handbook of a company. " * 4)
QUESTIONS = ("How many days of leave do I get?", "Who approves my travel?")


def base() -> Path:
    return generate.base_file(SETTINGS)


def peft(folder: Path, seed: int, strength: float = 0.15) -> Path:
    """A random adapter, strong enough to change every answer."""
    from safetensors.numpy import save_file

    shape = convert.read_base(base())
    draw = np.random.default_rng(seed)
    tensors = {}
    for name, part in convert.PARTS.items():
        for layer in range(shape.layers):
            rows, columns = shape.shape(f"blk.{layer}.{part}.weight")
            stem = f"base_model.model.model.layers.{layer}.{name}.lora_"
            tensors[f"{stem}A.weight"] = draw.standard_normal((8, columns)) / columns**0.5
            tensors[f"{stem}B.weight"] = draw.standard_normal((rows, 8)) * strength
    folder.mkdir(parents=True)
    small = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    save_file(small, folder / convert.WEIGHTS)
    config = {"peft_type": "LORA", "r": 8, "lora_alpha": 8}
    (folder / convert.CONFIG).write_text(json.dumps(config))
    return folder


def served(folder: Path, name: str, seed: int) -> Adapter:
    out = export.gguf_adapter(peft(folder / name, seed), base(), folder / f"{name}.gguf")
    return Adapter(name, str(out), "answers", weights.sha256(base()))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Adapter]:
    folder = tmp_path_factory.mktemp("adapters")
    return {name: served(folder, name, seed) for seed, name in enumerate(("crew", "legal"))}


def generator(known: dict[str, Adapter]) -> EmbeddedGenerator:
    made = generate.load_generator(SETTINGS, adapters=known)
    assert isinstance(made, EmbeddedGenerator)
    return made


def text(made: EmbeddedGenerator, question: str, adapter: str | None) -> str:
    messages = [SHARED, Message("user", question)]
    stream = made.stream(messages, Generation(max_tokens=6, adapter=adapter))
    return "".join(token.text for token in stream)


def test_interleaved_requests_equal_fresh_ones(two: dict[str, Adapter]) -> None:
    kinds = [(q, a) for q in QUESTIONS for a in (None, *two)]
    # What a model that never saw another adapter writes: at first, and going on from its own work
    # (a prompt whose beginning is there already is computed in other portions, and rounds so).
    fresh: dict[tuple[str, str | None], set[str]] = {kind: set() for kind in kinds}
    for adapter in (None, *two):
        for first, second in (QUESTIONS, QUESTIONS[::-1]):
            alone = generator(two)
            for question in (first, first, second, second, first):
                fresh[question, adapter].add(text(alone, question, adapter))
    for question in QUESTIONS:  # adapters do make a difference here
        assert sum(len(fresh[question, a]) for a in (None, *two)) == len(
            set().union(*(fresh[question, a] for a in (None, *two)))
        )
    made = generator(two)
    wrong: list[tuple[object, str]] = []

    def ask(order: list[tuple[str, str | None]]) -> None:
        for kind in order:
            found = text(made, *kind)
            if found not in fresh[kind]:
                wrong.append((kind, found))

    # Each kind after each other kind, the same prompt under another adapter above all.
    orders = [kinds * 2 for _ in range(3)]
    for number, order in enumerate(orders):
        random.Random(number).shuffle(order)
    threads = [threading.Thread(target=ask, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_adapter_that_appears_or_changes_is_used_at_once(
    two: dict[str, Adapter], tmp_path: Path
) -> None:
    known = {"crew": two["crew"]}
    made = generator(known)
    before = text(made, QUESTIONS[0], "crew")
    with pytest.raises(GenerationError, match="no adapter 'new'"):
        text(made, QUESTIONS[0], "new")
    known["new"] = served(tmp_path, "new", 7)
    new = text(made, QUESTIONS[0], "new")
    assert new != before
    Path(known["new"].path).write_bytes(Path(two["crew"].path).read_bytes())  # trained again
    assert text(made, QUESTIONS[0], "new") == before
    del known["new"]
    with pytest.raises(GenerationError, match="no adapter 'new'"):
        text(made, QUESTIONS[0], "new")
    assert text(made, QUESTIONS[0], "crew") == before


def test_an_adapter_over_another_base_is_refused(two: dict[str, Adapter]) -> None:
    crew = two["crew"]
    wrong = Adapter("crew", crew.path, "answers", "0" * 64)
    with pytest.raises(GenerationError, match="trained on another base"):
        text(generator({"crew": wrong}), QUESTIONS[0], "crew")


def test_the_shipped_adapter_fits_the_default_base(tmp_path: Path) -> None:
    shipped = adapters.Adapters(tmp_path).get(adapters.BUILT_IN)
    if shipped is None:
        pytest.skip("none is shipped in this version")
    assert text(generator({shipped.name: shipped}), QUESTIONS[0], shipped.name)
