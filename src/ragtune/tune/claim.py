"""The folder of a run that has not ended: whose it is, whether it goes on, what is left of it.

.ragtune/adapters/
  .run-crew/        run.json: data, mode, settings, file; checkpoint.pt; …
  .lock-crew        held (`flock`) while a process tunes `crew`
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune.errors import TuneError
from ragtune.models import adapters
from ragtune.store.lock import WriteLock
from ragtune.tune.steps import TuneSettings
from ragtune.tune.train import CHECKPOINT

if TYPE_CHECKING:
    from ragtune.tune.prepare import Mode, Prepared

RUN = ".run-"  # a folder of the registry that is not yet a model
LOCK = ".lock-"
ABOUT = "run.json"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that has not ended. `running`: a process is at it now. `resume`: how to go on."""

    name: str
    mode: str
    file: str
    running: bool
    checkpoint: bool
    resume: str


@contextmanager
def running(root: Path, name: str) -> Iterator[None]:
    """Holds the name while a run of it goes on. Raises TuneError where another process does."""
    folder = root / adapters.FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = WriteLock(folder / (LOCK + name))
        taken = lock.acquire(wait=False)
    except OSError as error:
        raise TuneError(f"cannot write {folder}: {error.strerror}") from None
    if not taken:
        raise TuneError(
            f"a tuning of {name!r} is going on in another process: wait for it, or choose another "
            "--name"
        )
    try:
        yield
    finally:
        lock.release()


def claim(
    folder: Path, file: Path, mode: Mode, made: Prepared, settings: TuneSettings,
    resume: bool, restart: bool,
) -> None:  # fmt: skip
    """Makes the run's folder; one that is there is gone on with, or must be given up first.

    Raises TuneError where `resume` finds nothing to go on with, or another run, and where an
    interrupted run would be lost.
    """
    same = replace(settings, minutes=0.0, threads=0)  # may differ from one part to the next
    about = {"data_sha256": made.sha256, "mode": mode, "settings": asdict(same)}
    told = folder / ABOUT
    name = folder.name.removeprefix(RUN)
    if resume:
        stopped = folder.with_name(name)  # registered as far as it had come
        if not told.is_file() and (stopped / CHECKPOINT).is_file():
            served = shutil.ignore_patterns(adapters.PASSPORT, adapters.FILE)
            shutil.copytree(stopped, folder, ignore=served, dirs_exist_ok=True)
        earlier = _about(folder)
        if earlier is None:
            raise TuneError(f"no interrupted run of {name!r}: leave --resume away")
        if {k: v for k, v in earlier.items() if k in about} != json.loads(json.dumps(about)):
            raise TuneError(
                "the interrupted run had other examples or settings: leave --resume away to start "
                "anew"
            )
        return
    if (folder / CHECKPOINT).is_file() and not restart:
        raise TuneError(
            f"an interrupted run of {name!r} is there: --resume goes on with it, --restart deletes "
            "it"
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    told.write_text(json.dumps({**about, "file": str(file)}), "utf-8")


def unfinished(root: Path) -> list[Unfinished]:
    """The runs of this workspace that have not ended, by name."""
    found = []
    for folder in sorted((root / adapters.FOLDER).glob(f"{RUN}*")):
        about = _about(folder)
        if about is None or folder.is_symlink():
            continue
        name = folder.name.removeprefix(RUN)
        mode, file = str(about.get("mode", "")), str(about.get("file", "FILE"))
        there = (folder / CHECKPOINT).is_file()
        goes_on = "--resume" if there else "--restart"
        command = f"ragtune tune {shlex.quote(file)} --name {name} --mode {mode} {goes_on}"
        settings = about.get("settings")
        command += _options(settings if isinstance(settings, dict) else {})
        found.append(Unfinished(name, mode, file, _held(root, name), there, command))
    return found


def _held(root: Path, name: str) -> bool:
    path = root / adapters.FOLDER / (LOCK + name)
    if not path.exists():
        return False
    lock = WriteLock(path)
    if not lock.acquire(wait=False):
        return True
    lock.release()
    return False


def _options(settings: Mapping[str, Any]) -> str:
    """The options that were given: a run only goes on with the same."""
    usual = asdict(TuneSettings())
    named = ("epochs", "rank", "learning_rate", "batch", "max_tokens", "kl", "seed")
    given = [n for n in named if n in settings and settings[n] != usual[n]]
    return "".join(f" --{n.replace('_', '-')} {settings[n]}" for n in given)


def _about(folder: Path) -> dict[str, Any] | None:
    try:
        values = json.loads((folder / ABOUT).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None
