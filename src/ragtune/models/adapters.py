"""The registry of tuned adapters: one folder each, with a passport; which one is in use.

    .ragtune/adapters/
      active.json          {"adapter": "crew-2", "previous": ["crew-1", null]}
      crew-2/
        passport.json      what it was made from and how, its scores; written last
        adapter.gguf       what llama.cpp loads beside the base
        peft/              adapter_config.json, adapter_model.safetensors
        curve.png, log.jsonl, samples.json

A folder without a passport is a run that has not ended: nothing serves it. A folder whose name
begins with a dot is being made or removed. The adapter that ships with ragtune stands beside these
under the name `grounded`.

Functions take `root`, the workspace's data folder. Names come from people and files: none is used
in a path before `check_name` has seen it.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ragtune.errors import RagtuneError, TuneError
from ragtune.models import weights
from ragtune.types import Adapter

FOLDER = "adapters"  # in the workspace's data folder
FILE, PASSPORT, ACTIVE = "adapter.gguf", "passport.json", "active.json"
BUILT_IN = "grounded"
BASE = "base"  # what `use` calls the base without an adapter
_DATA = Path(__file__).parent.parent / "data"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
_HISTORY = 50  # former choices that are kept for rollback


@dataclass(frozen=True, slots=True)
class Passport:
    """Everything that says what an adapter is and lets one make it again.

    `curve` holds (step, training loss, held-out loss or None); `scores` figures with their names
    as shown; `split` numbers of examples; `parity` what the exported file was checked for.
    """

    name: str
    mode: Literal["answers", "grounded"]
    base: str
    base_sha256: str
    data_sha256: str
    template_sha256: str
    sha256: str  # of adapter.gguf
    created: str  # ISO 8601, UTC
    seed: int
    sentences: int = 1
    fixed: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    split: Mapping[str, int] = field(default_factory=dict)
    curve: tuple[tuple[int, float, float | None], ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    parity: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def write_passport(folder: Path, passport: Passport) -> None:
    """Puts the passport into `folder`, whole or not at all."""
    path = folder / PASSPORT
    made = folder / (PASSPORT + ".new")
    made.write_text(json.dumps(asdict(passport), indent=1, ensure_ascii=False) + "\n", "utf-8")
    made.replace(path)


def read_passport(folder: Path) -> Passport:
    """The passport in `folder`. Raises TuneError where there is none or it is damaged."""
    path = folder / PASSPORT
    try:
        values = json.loads(path.read_text("utf-8"))
        values["fixed"] = tuple(values.get("fixed", ()))
        values["notes"] = tuple(values.get("notes", ()))
        values["curve"] = tuple(
            (int(step), float(loss), None if held is None else float(held))
            for step, loss, held in values.get("curve", ())
        )
        passport = Passport(**values)
        _check_types(passport)
        return passport
    except OSError:
        raise TuneError(f"no trained model in {folder}: see `ragtune models`") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise TuneError(f"{path} is damaged: {error}: `ragtune models rm` removes it") from None


def _check_types(passport: Passport) -> None:
    """Raises ValueError where a value is of another kind than the fields say."""
    texts = ("name", "base", "base_sha256", "data_sha256", "template_sha256", "sha256", "created")
    right = all(isinstance(getattr(passport, name), str) for name in texts)
    right = right and passport.mode in ("answers", "grounded")
    right = right and isinstance(passport.seed, int) and isinstance(passport.sentences, int)
    right = right and all(isinstance(text, str) for text in (*passport.fixed, *passport.notes))
    for mapping in (passport.split, passport.scores, passport.parity):
        right = right and isinstance(mapping, dict)
        right = right and all(isinstance(value, int | float) for value in mapping.values())
    right = right and isinstance(passport.settings, dict) and isinstance(passport.versions, dict)
    if not right:
        raise ValueError("values of the wrong kind")


def adapter(folder: Path) -> Adapter:
    """What serving needs of the adapter in `folder`. Raises TuneError for a damaged one."""
    passport = read_passport(folder)
    path = folder / FILE
    try:
        same = weights.sha256(path) == passport.sha256
    except RagtuneError:
        raise TuneError(f"{path} is missing: `ragtune models rm {passport.name}`") from None
    if not same:
        raise TuneError(f"{path} is not the file that was trained: tune again")
    return Adapter(
        passport.name,
        str(path),
        passport.mode,
        passport.base_sha256,
        passport.sentences,
        passport.fixed,
    )


# ---------------------------------------------------------------- the registry


@dataclass(frozen=True, slots=True)
class Listed:
    """An adapter in the registry; `passport` is None where `problem` says why."""

    name: str
    folder: Path
    passport: Passport | None
    problem: str = ""
    built_in: bool = False
    active: bool = False


def check_name(name: str) -> str:
    """`name`, if an adapter may be called so: letters, digits, and . _ - inside. TuneError."""
    if not _NAME.fullmatch(name) or name in (BASE, ACTIVE):
        raise TuneError(
            f"{name!r} cannot be a model's name: use up to 64 letters, digits, '.', '_' and '-', "
            f"and not {BASE!r}"
        )
    return name


def list_adapters(root: Path) -> list[Listed]:
    """Every adapter, newest last, with what is wrong with those that cannot be served."""
    in_use = active(root)
    found = []
    for folder in _folders(root):
        built_in = folder.parent != root / FOLDER
        name = BUILT_IN if built_in else folder.name
        try:
            passport = _complete(folder, name)
            found.append(Listed(name, folder, passport, "", built_in, name == in_use))
        except TuneError as error:
            unfinished = not (folder / PASSPORT).exists()
            problem = "not finished: nothing serves it" if unfinished else str(error)
            found.append(Listed(name, folder, None, problem, built_in, name == in_use))
    return sorted(found, key=lambda one: (one.passport.created if one.passport else "", one.name))


def find(root: Path, name: str) -> Listed:
    """The adapter of this name. Raises TuneError where there is none, or it is damaged."""
    check_name(name)
    for one in list_adapters(root):
        if one.name == name:
            if one.passport is None:
                raise TuneError(f"model {name!r} cannot be used: {one.problem}")
            return one
    names = [one.name for one in list_adapters(root)]
    known = ", ".join(names[-8:]) if names else "none yet: `ragtune tune` makes one"
    raise TuneError(f"no model {name!r} in this workspace; there are: {known}")


class Adapters(Mapping[str, Adapter]):
    """The workspace's adapters as they are at each moment, for serving.

    Looking one up raises TuneError where it is damaged.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def __getitem__(self, name: str) -> Adapter:
        if name not in self:
            raise KeyError(name)
        return adapter(find(self._root, name).folder)

    def __contains__(self, name: object) -> bool:
        return any(name == one for one in self)

    def __iter__(self) -> Iterator[str]:
        here = self._root / FOLDER
        for folder in _folders(self._root):
            if (folder / PASSPORT).is_file():
                yield folder.name if folder.parent == here else BUILT_IN

    def __len__(self) -> int:
        return sum(1 for _ in self)


def active(root: Path) -> str | None:
    """The name of the adapter in use; None for the base, also where the note is damaged."""
    name = _state(root)[-1]
    return name if name is not None and (_folder(root, name) / PASSPORT).is_file() else None


def same_base(one: Listed, base_gguf: Path) -> None:
    """Raises TuneError where `one` was trained on another base: it would write nonsense."""
    if one.passport is None:
        raise TuneError(f"model {one.name!r} cannot be used: {one.problem}")
    if weights.sha256(base_gguf) != one.passport.base_sha256:
        raise TuneError(
            f"model {one.name!r} was trained on another base than {base_gguf.name}: set `model` to "
            f"{one.passport.base}"
        )


def use(root: Path, name: str | None, base_gguf: Path | None = None) -> None:
    """Takes adapter `name` into use, or the base (None or "base").

    Raises TuneError, also where it does not belong to `base_gguf`, the base that is served.
    """
    wanted = None if name in (None, BASE) else find(root, str(name)).name
    if wanted is not None:
        _usable(root, wanted, base_gguf)
    history = _state(root)
    if history[-1] != wanted:
        _write_state(root, [*history, wanted])


def _usable(root: Path, name: str, base_gguf: Path | None) -> None:
    adapter(_folder(root, name))
    if base_gguf is not None:
        same_base(find(root, name), base_gguf)


def use_previous(root: Path, base_gguf: Path | None = None) -> str | None:
    """Goes back to what was in use before; its name, None for the base.

    What was removed since is skipped. Raises TuneError where nothing was in use before, and as
    `use` does.
    """
    history = _state(root)
    while len(history) > 1:
        history.pop()
        wanted = history[-1]
        if wanted is None or (_folder(root, wanted) / PASSPORT).is_file():
            if wanted is not None:
                _usable(root, wanted, base_gguf)
            _write_state(root, history)
            return wanted
    raise TuneError("no model was in use before this one: `ragtune models use NAME`")


def remove(root: Path, name: str, force: bool = False) -> None:
    """Deletes an adapter, whole at once. The one in use only with `force`, then the base is used.

    Raises TuneError.
    """
    check_name(name)
    folder = root / FOLDER / name
    if name == BUILT_IN and not folder.exists():
        raise TuneError(f"{name!r} comes with ragtune and cannot be removed")
    if folder.is_symlink() or not folder.is_dir():
        find(root, name)  # says which there are
        raise TuneError(f"{folder} is no folder of ragtune's: remove it by hand")
    if active(root) == name:
        if not force:
            raise TuneError(
                f"model {name!r} is in use: `ragtune models use base` first, or --force"
            )
        use(root, None)
    gone = folder.with_name(f".gone-{secrets.token_hex(4)}")
    try:
        folder.rename(gone)
    except OSError as error:
        raise TuneError(f"cannot remove {folder}: {error.strerror}") from None
    _sweep(root)


def free_name(root: Path, wanted: str) -> str:
    """`wanted`, or with the first number behind it that is not taken: crew, crew-2, crew-3."""
    check_name(wanted)
    number = 1
    name = wanted
    while name == BUILT_IN or (root / FOLDER / name).exists():
        number += 1
        name = f"{wanted}-{number}"
    return check_name(name)


def register(root: Path, folder: Path, name: str) -> Path:
    """Puts a finished run into the registry in one rename; its new folder.

    `folder` holds adapter.gguf and the passport with this name, on the same file system. Raises
    TuneError where it is not complete or the name is taken.
    """
    check_name(name)
    _complete(folder, name)
    adapter(folder)
    target = root / FOLDER / name
    if folder == target:
        return target
    if name == BUILT_IN or target.exists():
        raise TuneError(f"there is a model {name!r} already: choose another --name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
    except OSError as error:
        raise TuneError(f"cannot put {folder} into {target}: {error.strerror}") from None
    _sweep(root)
    return target


def _folder(root: Path, name: str) -> Path:
    """Where the adapter of this (checked) name is kept."""
    own = root / FOLDER / name
    return _DATA / BUILT_IN if name == BUILT_IN and not own.exists() else own


def _folders(root: Path) -> Iterator[Path]:
    shipped = _folder(root, BUILT_IN)
    if shipped.parent == _DATA and (shipped / PASSPORT).is_file():
        yield shipped
    with contextlib.suppress(OSError):
        for folder in sorted((root / FOLDER).iterdir()):
            if folder.is_dir() and not folder.is_symlink() and _NAME.fullmatch(folder.name):
                yield folder


def _complete(folder: Path, name: str) -> Passport:
    passport = read_passport(folder)
    if passport.name != name:
        raise TuneError(f"{folder} holds the model {passport.name!r}: rename one of them")
    if not (folder / FILE).is_file():
        raise TuneError(f"{folder / FILE} is missing: `ragtune models rm {name}`")
    return passport


def _state(root: Path) -> list[str | None]:
    """What was in use, the present last; never empty."""
    try:
        values = json.loads((root / FOLDER / ACTIVE).read_text("utf-8"))
        history = [*values["previous"], values["adapter"]]
    except (OSError, ValueError, KeyError, TypeError):
        return [None]
    return [one if isinstance(one, str) and _NAME.fullmatch(one) else None for one in history]


def _write_state(root: Path, history: list[str | None]) -> None:
    path = root / FOLDER / ACTIVE
    made = path.with_name(f".{ACTIVE}.{secrets.token_hex(4)}")
    value = {"adapter": history[-1], "previous": history[:-1][-_HISTORY:]}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(json.dumps(value) + "\n", "utf-8")
        made.replace(path)
    except OSError as error:
        raise TuneError(f"cannot write {path}: {error.strerror}") from None


def _sweep(root: Path) -> None:
    """Deletes what was removed, also by a process that was killed while it did."""
    for gone in (root / FOLDER).glob(".gone-*"):
        shutil.rmtree(gone, ignore_errors=True)
