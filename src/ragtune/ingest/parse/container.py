"""ZIP files and XML opened safely: limits on what they unpack to, no entities, no network.

Office files, EPUB and OpenDocument are ZIP files full of XML; all of them come through here.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ragtune.errors import DocumentError

MAX_MEMBERS = 20_000
MAX_TOTAL = 1 << 30  # bytes unpacked, all members together
MAX_MEMBER = 512 << 20
MAX_RATIO = 200  # looked at above 64 MiB only: small files of zeros are harmless


class Archive:
    """A ZIP file whose declared sizes were checked; reads are bounded by them."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._zip = archive
        self.infos = [i for i in archive.infolist() if not i.is_dir()]
        self.names = {info.filename for info in self.infos}

    def read(self, name: str, limit: int = MAX_MEMBER) -> bytes:
        """A member's bytes. Raises DocumentError when it is missing, damaged or encrypted."""
        try:
            info = self._zip.getinfo(name)
        except KeyError:
            raise DocumentError(f"damaged: part {name} is missing") from None
        if info.flag_bits & 1:
            raise DocumentError("encrypted: save it without a password")
        if info.file_size > limit:
            raise DocumentError(f"part {name} unpacks to more than {limit >> 20} MiB")
        try:
            with self._zip.open(info) as member:
                data = member.read(info.file_size + 1)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ) as error:
            raise DocumentError(f"damaged: part {name} cannot be unpacked ({error})") from None
        if len(data) > info.file_size:
            raise DocumentError(f"damaged: part {name} is larger than it says")
        return data

    def get(self, name: str) -> bytes | None:
        """A member's bytes, or None when there is no such member."""
        return self.read(name) if name in self.names else None


@contextmanager
def open_zip(data: bytes) -> Iterator[Archive]:
    """Opens a ZIP file held in memory. Raises DocumentError: damaged, or a zip bomb."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise DocumentError(f"damaged ZIP container: {str(error)[:100]}") from None
    with archive:
        infos = archive.infolist()
        total = sum(info.file_size for info in infos)
        if len(infos) > MAX_MEMBERS:
            raise DocumentError(f"holds more than {MAX_MEMBERS} files: unpack it into a folder")
        if total > MAX_TOTAL:
            raise DocumentError(f"unpacks to more than {MAX_TOTAL >> 20} MiB: unpack it yourself")
        if total > 64 << 20 and total > MAX_RATIO * len(data):
            raise DocumentError(
                f"a zip bomb: {len(data) >> 10} KiB that unpack to {total >> 20} MiB"
            )
        yield Archive(archive)


def parse_xml(data: bytes, what: str = "XML") -> Any:
    """The root element (lxml). Entities are not expanded, nothing is loaded from elsewhere.

    Raises DocumentError when the XML is malformed beyond repair.
    """
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        lenient = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            recover=True,
        )
        try:
            root = etree.fromstring(data, lenient)
        except (etree.XMLSyntaxError, ValueError):
            root = None
        if root is None or len(root) == 0:
            raise DocumentError(f"malformed {what}: {str(error)[:120]}") from None
    return root
