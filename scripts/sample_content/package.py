"""Zip containers with the same bytes every time (fixed order, dates and attributes)."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from pathlib import Path

STAMP = (2026, 3, 2, 8, 0, 0)
DATE = datetime(*STAMP)


def write_zip(path: Path, members: dict[str, bytes], stored: tuple[str, ...] = ()) -> None:
    """Write `members` in the given order; names in `stored` are left uncompressed."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, STAMP)
            info.external_attr = 0o644 << 16
            info.create_system = 3
            info.compress_type = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, data)


def rezip(path: Path, data: bytes) -> None:
    """Save an office file without the dates its library put into the container."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        write_zip(path, {name: archive.read(name) for name in archive.namelist()})
