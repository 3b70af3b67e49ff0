"""The static files of the web page: read once, compressed once, named by their content.

`/static/VERSION/NAME`: VERSION is a hash over all files, so that browsers keep them for good and
an update is a new address. Modules import each other by relative paths and stay within a version.
`texts.LANGUAGE.js` is made from the catalogue `texts.toml`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from ragtune.server.problems import Problem

WEB = Path(__file__).parent / "web"
LANGUAGES = ("en", "de")
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_IMPORT = re.compile(r'^(?:import|export)[^;]*?from "\./([\w.-]+)";', re.MULTILINE)
KEEP = "public, max-age=31536000, immutable"


def catalogue() -> dict[str, dict[str, str]]:
    """The texts by language: key "screen.name" → text."""
    raw = tomllib.loads((WEB / "texts.toml").read_text("utf-8"))
    found: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
    for group, entries in raw.items():
        for name, texts in entries.items():
            for language in LANGUAGES:
                found[language][f"{group}.{name}"] = texts[language]
    return found


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    type: str
    plain: bytes
    packed: bytes


class Assets:
    """All static files in memory (about 100 KB)."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = {
            name: Asset(_TYPES[Path(name).suffix], data, gzip.compress(data, 9, mtime=0))
            for name, data in sorted(files.items())
        }
        digest = hashlib.sha256()
        for name, data in sorted(files.items()):
            digest.update(name.encode() + b"\0" + data + b"\0")
        self.version = digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """The address of a file. Raises KeyError where there is none."""
        assert self._files[name]
        return f"/static/{self.version}/{name}"

    def modules(self, name: str) -> list[str]:
        """The module `name` and all that it imports, so that a page can load them at once."""
        found: list[str] = []
        left = [name]
        while left:
            one = left.pop(0)
            if one not in found:
                found.append(one)
                left += _IMPORT.findall(self._files[one].plain.decode())
        return found

    def response(self, request: Request, version: str, name: str) -> Response:
        """The file, compressed where the browser takes that. Raises Problem 404."""
        asset = self._files.get(name)
        if asset is None:
            raise Problem(404, "no such file")
        headers = {"Cache-Control": KEEP if version == self.version else "no-cache"}
        return packed(request, asset.plain, asset.type, headers, asset.packed)


def packed(
    request: Request,
    plain: bytes,
    type: str,
    headers: Mapping[str, str],
    ready: bytes | None = None,
    status: int = 200,
) -> Response:
    """A response with gzip where the browser takes it."""
    sent = {**headers, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        sent["Content-Encoding"] = "gzip"
        plain = ready or gzip.compress(plain, 6, mtime=0)
    return Response(plain, status, sent, type)


@cache
def load() -> Assets:
    """The files of the package."""
    files = {p.name: p.read_bytes() for p in (WEB / "static").iterdir() if p.suffix in _TYPES}
    for language, texts in catalogue().items():
        body = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
        files[f"texts.{language}.js"] = f"export default {body};\n".encode()
    return Assets(files)
