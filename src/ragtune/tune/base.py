"""The base model as something that can be trained: dense weights and its tokenizer.

The base is the GGUF that the workspace serves (`settings.model`), dequantised, so that an adapter
is trained on the very weights that it is served with; or a Hugging Face folder (safetensors) for
bases that are served elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ragtune import config
from ragtune.errors import RagtuneError, TuneError
from ragtune.models import generate, weights
from ragtune.tune import dense
from ragtune.types import OnProgress, Progress

Device = Literal["auto", "cpu", "cuda"]
Dtype = Literal["auto", "float32", "bfloat16"]
GIB = 2**30
_RUNTIME_BYTES = 900 * 2**20  # torch, transformers and Python themselves


@dataclass(frozen=True, slots=True)
class Base:
    """A loaded base: the torch model (weights frozen), its tokenizer, where both came from.

    `sha256` is of the GGUF file, or of all the files of a Hugging Face folder that define it.
    """

    name: str
    path: Path  # GGUF file or Hugging Face folder
    sha256: str
    model: Any  # transformers causal language model
    tokenizer: Any
    device: str
    dtype: str


def locate(settings: config.Settings, on_progress: OnProgress | None = None) -> Path:
    """The GGUF file or Hugging Face folder that `settings.model` names; obtained if need be.

    Raises TuneError where the setting names a model behind an endpoint.
    """
    if settings.generator != "embedded":
        raise TuneError(
            f"model {settings.model!r} is served by an endpoint: to train, set generator = "
            '"embedded" and model to a GGUF file or a Hugging Face folder'
        )
    path = weights.locate(settings.model, on_progress)
    if path.is_dir() and (path / "config.json").is_file():
        return path
    return generate._gguf(path)


def sha256(path: Path) -> str:
    """Identifies the base in `path`: the file's SHA-256, or that of a folder's model files."""
    if path.is_file():
        return _file_sha256(path)
    whole = hashlib.sha256()
    for file in sorted(
        [*path.glob("*.safetensors"), path / "config.json", path / "tokenizer.json"]
    ):
        if file.is_file():
            whole.update(f"{file.name} {_file_sha256(file)}\n".encode())
    return whole.hexdigest()


def load_tokenizer(path: Path) -> Any:
    """The tokenizer of the base in `path`, with the chat template. Raises TuneError."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    # AutoTokenizer would read a GGUF's whole vocabulary once more, for the name of a class
    kind = PreTrainedTokenizerFast if path.is_file() else AutoTokenizer
    with _quiet(), _explained(path):
        return kind.from_pretrained(**_source(path))


def load(
    path: Path,
    device: Device = "auto",
    dtype: Dtype = "auto",
    on_progress: OnProgress | None = None,
) -> Base:
    """The base in `path`, its weights frozen, on the GPU where there is one.

    `dtype` "auto" is bfloat16 on a GPU that computes in it and on a CPU with instructions for it,
    float32 elsewhere. Raises TuneError, before loading, where memory does not suffice.
    """

    if on_progress is not None:
        on_progress(Progress("load base", 0, 3, "weights"))
    where = choose_device(device)
    kind = choose_dtype(dtype, where)
    size = weight_bytes(path, kind)
    require(size * 2 if where == "cpu" else size, where, "loading the base", "a smaller base")
    with _quiet(), _explained(path):
        model = _model(path, kind)
    model.requires_grad_(False)
    model.eval()
    model.config.use_cache = False
    if where != "cpu":
        model.to(where)
    if on_progress is not None:
        on_progress(Progress("load base", 1, 3, "tokenizer"))
    tokenizer = load_tokenizer(path)
    if on_progress is not None:
        on_progress(Progress("load base", 2, 3, "hash"))
    name = path.name if path.is_dir() else path.stem
    base = Base(name, path, sha256(path), model, tokenizer, where, kind)
    if on_progress is not None:
        on_progress(Progress("load base", 3, 3))
    return base


def _model(path: Path, dtype: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"dtype": getattr(torch, dtype)}
    if path.is_file():
        found = dense.header(path)
        if dense.is_plain_llama(found):
            return dense.llama(found, dtype)
        from transformers import GgufConfig

        options["quantization_config"] = GgufConfig(dequantize=True)
    return AutoModelForCausalLM.from_pretrained(**_source(path), **options)


def choose_device(device: Device) -> str:
    """ "cuda" or "cpu". Raises TuneError where a GPU is asked for and there is none."""
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise TuneError('device = "cuda", but torch finds no GPU: use device = "auto" or "cpu"')
    return "cuda" if there and device != "cpu" else "cpu"


def choose_dtype(dtype: Dtype, device: str) -> str:
    """In what the frozen base computes; the adapter's own weights are always float32."""
    import torch

    if dtype != "auto":
        return dtype
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if _cpu_bfloat16() else "float32"


def _cpu_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware; emulated it is slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags or " bf16" in flags


# ---------------------------------------------------------------- memory


def weight_bytes(path: Path, dtype: str) -> int:
    """Bytes of the dense weights in memory, read from the file's header only."""
    item = 2 if dtype == "bfloat16" else 4
    if path.is_file():
        return dense.header(path).parameters * item
    total = 0
    for file in path.glob("*.safetensors"):
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        header.pop("__metadata__", None)
        total += sum(math.prod(entry["shape"]) for entry in header.values())
    if not total:
        raise TuneError(f"{path}: no safetensors weights in this folder")
    return total * item


def available_bytes(device: str) -> int:
    """Memory that a process may still take: of the GPU, or of this machine and its container."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    limits = [_meminfo(), _cgroup_free()]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else 1 << 62


def _meminfo() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def _cgroup_free() -> int | None:
    """What a container's limit leaves (cgroup v2, then v1); None without a limit."""
    root = Path("/sys/fs/cgroup")
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return max(
                0, int((root / limit).read_text("ascii")) - int((root / used).read_text("ascii"))
            )
        except (OSError, ValueError):
            continue
    return None


def require(need: int, device: str, what: str, instead: str) -> None:
    """Raises TuneError unless `need` bytes are there, saying what would fit."""
    there = available_bytes(device)
    if need > there:
        raise TuneError(
            f"{what} needs {need / GIB:.1f} GiB, {there / GIB:.1f} GiB of "
            f"{'GPU ' if device == 'cuda' else ''}memory are free: take {instead}, or close "
            "other programs"
        )


# ---------------------------------------------------------------- files


def _source(path: Path) -> dict[str, Any]:
    if path.is_file():
        return {
            "pretrained_model_name_or_path": str(path.parent),
            "gguf_file": path.name,
            "local_files_only": True,
        }
    return {"pretrained_model_name_or_path": str(path), "local_files_only": True}


def _file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever a library raises on a damaged or unknown model becomes one line."""
    try:
        yield
    except RagtuneError:
        raise
    except MemoryError:
        raise TuneError(f"{path}: not enough memory to load it") from None
    except Exception as error:
        said = " ".join(str(error).split())[:160]
        raise TuneError(
            f"{path} does not load for training: {said}: take a GGUF or Hugging Face folder of "
            "a model that transformers knows"
        ) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no advice of transformers on stderr."""
    from transformers.utils import logging as theirs

    bars, level = theirs.is_progress_bar_enabled(), theirs.get_verbosity()
    theirs.disable_progress_bar()
    theirs.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        theirs.set_verbosity(level)
        if bars:
            theirs.enable_progress_bar()
