"""Who asks: the one function that turns a request into a principal, and sessions of browsers.

    Authorization: Bearer TOKEN          programs (and MCP clients)
    cookie ragtune_PORT                  browsers, after POST /api/session with the link's code

A token is never in a URL that is sent: the printed link holds a code behind `#`, which browsers
keep to themselves; the page sends it once and gets a cookie that scripts cannot read.
"""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from ragtune.server.options import Options
from ragtune.server.problems import Problem

Role = Literal["reader", "editor", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
SESSION_SECONDS = 30 * 86_400
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
CSRF_HEADER = "x-ragtune"  # a page of another site cannot send it without being asked first (CORS)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. A role includes those before it; `groups` say which documents they see."""

    name: str
    role: Role = "reader"
    groups: tuple[str, ...] = ()

    def may(self, role: Role) -> bool:
        """Whether this principal has `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


OWNER = Principal("owner", "admin")  # who started the server, or runs `ragtune mcp`


@dataclass(frozen=True, slots=True)
class _Session:
    principal: Principal
    ends: float


class Access:
    """Tokens and sessions of one server, in memory: a restart signs everyone out."""

    def __init__(self, token: str, options: Options) -> None:
        self._token = token or secrets.token_urlsafe(32)  # an empty one would let everyone in
        self._options = options
        self._sessions: dict[str, _Session] = {}
        self._codes: dict[str, Principal] = {}
        self.cookie = f"ragtune_{options.port}"  # cookies of one host are shared by all its ports

    def principal(self, connection: HTTPConnection) -> Principal:
        """Who makes this request. Raises Problem 401 or 403.

        The only way in: every route and every MCP call goes through it.
        """
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme:
            if scheme.lower() == "bearer" and (found := self._of_token(token.strip())):
                return found
            raise unauthorized("the token is not valid")
        session = self._sessions.get(connection.cookies.get(self.cookie, ""))
        if session is None or session.ends < time.time():
            raise unauthorized(
                "sign in: send a bearer token, or open the link that the server printed"
            )
        self._refuse_forged(connection)
        return session.principal

    def _of_token(self, token: str) -> Principal | None:
        if hmac.compare_digest(token.encode(), self._token.encode()):
            return OWNER
        return None

    def _refuse_forged(self, connection: HTTPConnection) -> None:
        """Raises Problem 403 for an unsafe request that a page of another site may have made."""
        if connection.scope.get("method") not in UNSAFE:
            return
        if CSRF_HEADER not in connection.headers or not self.same_origin(connection):
            raise Problem(403, f"requests of a signed-in page need the header {CSRF_HEADER}: 1")

    def same_origin(self, connection: HTTPConnection) -> bool:
        """Whether the request comes from a page of this server (or from no page)."""
        origin = connection.headers.get("origin")
        if origin is not None:
            return urlsplit(origin).netloc == connection.headers.get("host")
        return connection.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")

    # ------------------------------------------------------------ signing in

    def code(self, principal: Principal = OWNER) -> str:
        """A new code for a sign-in link; it works once."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = principal
        return code

    def sign_in(self, secret: str) -> str | None:
        """The id of a new session for a link's code or a token; None where it is neither."""
        principal = self._codes.pop(secret, None) or self._of_token(secret)
        if principal is None:
            return None
        now = time.time()
        self._sessions = {k: s for k, s in self._sessions.items() if s.ends > now}
        id = secrets.token_urlsafe(32)
        self._sessions[id] = _Session(principal, now + SESSION_SECONDS)
        return id

    def sign_out(self, connection: HTTPConnection) -> None:
        """Ends the request's session."""
        self._sessions.pop(connection.cookies.get(self.cookie, ""), None)


def unauthorized(detail: str) -> Problem:
    """Problem 401."""
    return Problem(401, detail, {"WWW-Authenticate": 'Bearer realm="ragtune"'})
