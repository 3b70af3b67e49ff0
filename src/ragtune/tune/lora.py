"""Low-rank adaptation (Hu et al., 2106.09685) of the linear layers of a frozen model.

y = W x + (alpha / rank) B A x, with W frozen, A of shape (rank, in) and B of shape (out, rank).
Parameters are float32 whatever W is in. Files are in the format of the PEFT library.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune.errors import TuneError

if TYPE_CHECKING:
    import torch

LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_PREFIX = "base_model.model."


def attach(model: Any, rank: int, alpha: float, dropout: float, seed: int) -> int:
    """Puts an adapter on every linear layer inside `model`'s blocks; how many parameters it has.

    B starts at zero, so nothing changes until it is trained. A is drawn from `seed` (Kaiming
    uniform, as PEFT does). Raises TuneError where the model has none of the known layers.
    """
    import torch

    from ragtune.tune.network import LoraLinear

    if any(True for _ in layers(model)):
        raise TuneError("this model has an adapter already")
    generator = torch.Generator().manual_seed(seed)
    found = [
        (parent, name, child)
        for _, parent in model.named_modules()
        for name, child in parent.named_children()
        if name in LAYERS and isinstance(child, torch.nn.Linear)
    ]
    if not found:
        raise TuneError(
            "this base has no linear layers of the names " + ", ".join(LAYERS) + ": take another"
        )
    for parent, name, child in found:
        setattr(parent, name, LoraLinear(child, rank, alpha, dropout, generator))
    return sum(p.numel() for p in parameters(model))


def detach(model: Any) -> None:
    """Gives `model` its plain linear layers back."""
    from ragtune.tune.network import LoraLinear

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoraLinear):
                setattr(parent, name, child.base)


@contextlib.contextmanager
def switched_off(model: Any) -> Iterator[None]:
    """Inside, `model` is the plain base."""
    found = [layer for _, layer in layers(model)]
    before = [layer.on for layer in found]
    for layer in found:
        layer.on = False
    try:
        yield
    finally:
        for layer, on in zip(found, before, strict=True):
            layer.on = on


def layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Every adapted layer with its name inside `model`, in the model's order."""
    from ragtune.tune.network import LoraLinear

    for name, module in model.named_modules():
        if isinstance(module, LoraLinear):
            yield name, module


def parameters(model: Any) -> list[torch.nn.Parameter]:
    """What is trained: A and B of every layer, in the model's order."""
    return [p for _, layer in layers(model) for p in (layer.A, layer.B)]


def state(model: Any) -> dict[str, torch.Tensor]:
    """A copy of the adapter on the CPU, under the names that PEFT uses."""
    copies = {}
    for name, layer in layers(model):
        for letter in ("A", "B"):
            weight = getattr(layer, letter).detach().to("cpu").clone()
            copies[f"{_PREFIX}{name}.lora_{letter}.weight"] = weight
    return copies


def load_state(model: Any, values: dict[str, torch.Tensor]) -> None:
    """Fills the adapter of `model`. Raises TuneError where names or shapes are others."""
    import torch

    expected = state(model)
    if {k: v.shape for k, v in values.items()} != {k: v.shape for k, v in expected.items()}:
        raise TuneError("this adapter was made for another base or another rank")
    with torch.no_grad():
        for name, layer in layers(model):
            for letter in ("A", "B"):
                getattr(layer, letter).copy_(values[f"{_PREFIX}{name}.lora_{letter}.weight"])


def save(
    values: dict[str, torch.Tensor],
    rank: int,
    alpha: float,
    dropout: float,
    base: str,
    folder: Path,
) -> None:
    """Writes a PEFT adapter folder: adapter_model.safetensors and adapter_config.json.

    The weights are replaced in one rename; the configuration is the same at every call.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "target_modules": sorted({key.split(".")[-3] for key in values}),
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
    }
    made = folder / "adapter_config.json.new"
    made.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    made.replace(folder / "adapter_config.json")
    made = folder / "adapter_model.safetensors.new"
    save_file(dict(sorted(values.items())), made, metadata={"format": "pt"})
    made.replace(folder / "adapter_model.safetensors")


def load(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and configuration of a PEFT adapter folder. Raises TuneError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        settings = json.loads((folder / "adapter_config.json").read_text("utf-8"))
        return load_file(folder / "adapter_model.safetensors"), settings
    except (OSError, ValueError, SafetensorError) as error:
        raise TuneError(f"{folder} holds no adapter that can be read: {error}") from None
