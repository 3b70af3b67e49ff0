"""A small web server for an exported folder, with the headers that a real one should send."""

from __future__ import annotations

import functools
import http.server
import json
import socket
import sys
from pathlib import Path
from typing import Any

from ragtune.errors import ConfigError, said
from ragtune.export.browser.write import MANIFEST, is_export, policy

# Threads in WebAssembly need an isolated page.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "ragtune-preview"
    sys_version = ""
    policy = ""

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", f"{self.policy}; frame-ancestors 'none'")
        # Files under data/ are named by their content; the rest is asked for again.
        kept = self.path.startswith(("/data/", "/generator/"))
        self.send_header("Cache-Control", "max-age=31536000, immutable" if kept else "no-cache")
        super().end_headers()

    def guess_type(self, path: Any) -> str:
        return TYPES.get(Path(str(path)).suffix, "application/octet-stream")

    def list_directory(self, path: Any) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a page that was closed
            super().handle_error(request, client_address)


class _Server6(_Server):
    address_family = socket.AF_INET6


def server(folder: Path, host: str = "127.0.0.1", port: int = 0) -> http.server.HTTPServer:
    """A server of the exported `folder`, bound and not yet running; port 0 takes a free one.

    Raises ConfigError for a folder that is no export and for a port that is taken.
    """
    if not is_export(folder):
        raise ConfigError(f"{folder} is no export: `ragtune export browser {folder}` makes one")
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    kind_of = type("_Handler", (_Handler,), {"policy": policy(bool(manifest.get("generator")))})
    handler = functools.partial(kind_of, directory=str(folder.resolve()))
    kind = _Server6 if ":" in host else _Server
    try:
        return kind((host, port), handler)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {said(error)}") from None
