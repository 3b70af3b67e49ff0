"""The keyword index's files as tantivy lays them: looked at before they are trusted."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from ragtune.store.vectors import DamagedError

SEAL = "seal.json"


def remove_unborn(folder: Path) -> None:
    """Removes lists of deletions that a killed writer left behind.

    tantivy numbers them by operation, counts on from the last commit, and refuses to write over
    the file that is in its way.
    """
    meta = json.loads((folder / "meta.json").read_bytes())
    for segment in meta["segments"]:
        name = segment["segment_id"].replace("-", "")
        live = (segment["deletes"] or {}).get("opstamp", -1)
        for file in folder.glob(f"{name}.*.del"):
            if int(file.name.split(".")[1]) > live:
                file.unlink()


def check_files(folder: Path, checked: Mapping[str, int]) -> dict[str, int]:
    """Compares each live file, but for those `checked` before, with the CRC-32 behind it.

    Returns the live files' names and checksums. A tantivy file ends in a JSON footer with the
    checksum of what is in front of it, the footer's length, and a magic number. The seal may be
    older than the files, then it says nothing about the newer ones. Raises DamagedError, OSError.
    """
    try:
        sealed = dict(json.loads((folder / SEAL).read_bytes()))
    except (OSError, ValueError, TypeError):
        sealed = {}
    try:
        meta = json.loads((folder / "meta.json").read_bytes())
        segments = [segment["segment_id"].replace("-", "") for segment in meta["segments"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DamagedError("the keyword index's meta.json is damaged") from None
    names = {
        entry.name for entry in os.scandir(folder) if entry.name.split(".")[0] in set(segments)
    }
    for segment in segments:
        for kind in ("idx", "term", "fast", "fieldnorm"):
            if f"{segment}.{kind}" not in names:
                raise DamagedError(f"the keyword index lacks {segment}.{kind}")
    found = {name: checked[name] for name in names if name in checked}
    for name in names - found.keys():
        raw = (folder / name).read_bytes()
        length = int.from_bytes(raw[-8:-4], "little")
        try:
            crc = int(json.loads(raw[-8 - length : -8])["crc"])
        except (ValueError, KeyError, TypeError):
            raise DamagedError(f"the keyword index's {name} is damaged") from None
        if zlib.crc32(memoryview(raw)[: -8 - length]) != crc or sealed.get(name, crc) != crc:
            raise DamagedError(f"the keyword index's {name} is damaged")
        found[name] = crc
    return found
