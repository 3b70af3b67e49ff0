"""Rows of a file of examples, or of a split of a dataset folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ragtune.errors import TuneError
from ragtune.tune.row_files import Row, Rows, bounded, loads, read_file

_SPLITS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation",
           "val": "validation", "dev": "validation", "eval": "validation", "test": "test",
           "testing": "test", "heldout": "test"}  # fmt: skip
_DATA = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".jsonl.gz",
         ".json.gz", ".csv.gz")  # fmt: skip


def read_rows(path: Path, split: str = "") -> Rows:
    """The rows of a file, or of one split of a dataset folder. Raises TuneError.

    `split` names one of a folder's splits; the default is "train", or the first there is.
    """
    try:
        if path.is_dir():
            return _folder(path, split)
        if not path.exists():
            raise TuneError(f"{path}: no such file")
        if not path.is_file():
            raise TuneError(f"{path}: neither a file nor a folder")
        if split:
            raise TuneError(f"{path}: a file has no splits; leave --split out")
        return read_file(path)
    except OSError as error:
        raise TuneError(f"{path}: cannot be read: {error.strerror or error}") from None


def _folder(path: Path, split: str) -> Rows:
    splits = _splits(path)
    if not splits:
        raise TuneError(
            f"{path}: no examples in this folder: expected a dataset saved with save_to_disk, or "
            "files as train.jsonl, validation.csv, data/test-00000-of-00001.parquet"
        )
    ordered = sorted(splits, key=lambda s: (s != "train", s))
    wanted = _SPLITS.get(split, split) if split not in splits else split
    if split and wanted not in splits:
        raise TuneError(f"{path}: no split {split!r}; there are {', '.join(ordered)}")
    wanted = wanted or ordered[0]
    rows: list[Row] = []
    bad: list[tuple[int, str]] = []
    formats: list[str] = []
    for file in splits[wanted]:
        part = read_file(file)
        formats.append(part.format)
        base = len(rows) + len(bad)
        rows += part.rows
        bad += [(base + n, f"{file.name}, {part.unit} {at}: {why}")
                for n, (at, why) in enumerate(part.bad, len(part.rows) + 1)]  # fmt: skip
        bounded(path, len(rows))
    taken = {number for number, _ in bad}
    numbers = [n for n in range(1, len(rows) + len(bad) + 1) if n not in taken]
    format = f"folder of {', '.join(sorted(set(formats)))}"
    return Rows(format, "row", rows, numbers, bad, tuple(ordered), wanted)


def _splits(path: Path) -> dict[str, list[Path]]:
    """The files of each split of a dataset folder, of the layouts that Hugging Face documents."""
    if (path / "dataset_dict.json").is_file():  # DatasetDict.save_to_disk
        named = _small_json(path / "dataset_dict.json").get("splits")
        names = [n for n in named if isinstance(n, str)] if isinstance(named, list) else []
        return {n: _saved(path / n) for n in names if re.fullmatch(r"[\w.\-]*\w", n)}
    if (path / "state.json").is_file():  # Dataset.save_to_disk
        split = _small_json(path / "state.json").get("_split")
        return {split if isinstance(split, str) and split else "train": _saved(path)}
    root = path.resolve()
    files = [
        file
        for file in sorted([*path.glob("*"), *path.glob("*/*"), *path.glob("*/*/*")])
        if file.name.endswith(_DATA)
        and file.name not in ("dataset_info.json", "dataset_infos.json")
        and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
        and file.is_file() and file.resolve().is_relative_to(root)
    ]  # fmt: skip
    found: dict[str, list[Path]] = {}
    for file in files:
        words = [w for part in file.relative_to(path).parts[::-1]
                 for w in re.split(r"[^a-z]+", part.lower())]  # fmt: skip
        split = next((_SPLITS[w] for w in words if w in _SPLITS), "")
        found.setdefault(split, []).append(file)
    if "" in found:  # files without a split's name are the training data where nothing else is
        rest = found.pop("")
        if "train" not in found:
            found["train"] = rest
    return found


def _saved(folder: Path) -> list[Path]:
    state = _small_json(folder / "state.json")
    files = []
    for item in state.get("_data_files") or ():
        name = item.get("filename") if isinstance(item, dict) else None
        if not isinstance(name, str) or not re.fullmatch(r"[\w.\-]+\.arrow", name):
            raise TuneError(f"{folder}: state.json names the data file {str(name)[:60]!r}")
        files.append(folder / name)
    if state.get("_indices_data_files"):
        raise TuneError(
            f"{folder}: saved with an index of rows: save it again after flatten_indices()"
        )
    return files


def _small_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > 1 << 24:
            raise ValueError("too large")
        value = loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise TuneError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TuneError(f"{path}: {error}") from None
    if not isinstance(value, dict):
        raise TuneError(f"{path}: not a JSON object")
    return value
