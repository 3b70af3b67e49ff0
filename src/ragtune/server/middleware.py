"""Around every request: its id, the log line, limits on the body, security headers, metrics.

One plain ASGI layer, so that streams pass through it untouched.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragtune.server import problems
from ragtune.server.access import UNSAFE
from ragtune.server.audit import OPENING
from ragtune.server.problems import Problem

if TYPE_CHECKING:
    from ragtune.server.context import Server

log = logging.getLogger("ragtune.access")

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
UPLOADS = ("/api/files", "/api/examples/import")  # the only paths whose bodies are files


class Outermost:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self._app = app
        self._server = server
        self._limits = server.options.limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        scope["ragtune.request_id"] = id
        scope["ragtune.notes"], scope["ragtune.ending"] = {}, []
        begun = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = MutableHeaders(scope=message)
                sent["X-Request-ID"] = id
                for name, value in _HEADERS.items():
                    sent.setdefault(name, value)
                if "cache-control" not in sent:
                    sent["Cache-Control"] = "no-store"
                self._server.metrics.seconds.labels(_route(scope)).observe(
                    time.perf_counter() - begun
                )
            await send(message)

        try:
            self._check(headers, scope["path"])
            await self._app(scope, self._limited(receive, scope["path"]), sending)
        except Problem as problem:
            if not status:
                await problems.response(problem, id, scope["path"])(scope, receive, sending)
        finally:
            for end in scope["ragtune.ending"]:
                end()
            route = _route(scope)
            self._audit(scope, route, id, status)
            self._server.metrics.requests.labels(route, scope["method"], str(status)).inc()
            if route not in ("/healthz", "/readyz", "/metrics"):
                _log(scope, route, id, status, time.perf_counter() - begun)

    def _audit(self, scope: Scope, route: str, id: str, status: int) -> None:
        notes = scope["ragtune.notes"]
        who = notes.pop("who", None)
        if who and (scope["method"] in UNSAFE or route in OPENING):
            action = f"{scope['method']} {route if route != 'other' else scope['path'][:100]}"
            self._server.access.audit.write(who, action, status, id, **notes)

    def _check(self, headers: Headers, path: str) -> None:
        host = headers.get("host", "").lower()
        name = re.sub(r":\d+\Z", "", host)
        if name not in self._server.options.hosts:
            raise Problem(421, "this server does not answer for that host name")
        length = headers.get("content-length", "0")
        if not length.isdigit():
            raise Problem(400, "Content-Length is not a number")
        if int(length) > self._most(path):
            raise self._too_large(path)

    def _limited(self, receive: Receive, path: str) -> Receive:
        """`receive` that also counts what comes without a Content-Length."""
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most(path):
                raise self._too_large(path)
            return message

        return limited

    def _most(self, path: str) -> int:
        upload = path.startswith(UPLOADS)
        return self._limits.upload_bytes if upload else self._limits.json_bytes

    def _too_large(self, path: str) -> Problem:
        return Problem(413, f"at most {self._most(path)} bytes are accepted here")


def _route(scope: Scope) -> str:
    """The route's pattern: paths hold names of documents, which are nobody's business."""
    route = scope.get("route")
    return str(getattr(route, "path", "")) or "other"


def _log(scope: Scope, route: str, id: str, status: int, seconds: float) -> None:
    line = {
        "request": id,
        "method": scope["method"],
        "route": route,
        "status": status,
        "ms": round(1000 * seconds, 1),
    }
    log.info("%s", json.dumps(line))
