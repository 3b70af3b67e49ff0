"""Who asks: the one function that turns a request into a principal, and signing in.

    Authorization: Bearer TOKEN          the owner's token, or a user's key (`ragtune users key`)
    cookie                               browsers, after POST /api/session with the link's code, a
                                         token, or name and password

A token is never in a URL that is sent: the printed link holds a code behind `#`, which browsers
keep to themselves; the page sends it once and gets a cookie that scripts cannot read. Users,
sessions and rules are asked of the database with each request, so what is taken away is gone.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from ragtune.server.audit import Audit
from ragtune.server.database import Database
from ragtune.server.options import Options
from ragtune.server.problems import Problem
from ragtune.server.quotas import Quotas
from ragtune.server.users import (
    OWNER,
    ROLES,
    SESSION_SECONDS,
    Principal,
    Role,
    Users,
)

__all__ = ["OWNER", "ROLES", "SESSION_SECONDS", "Access", "Principal", "Role", "unauthorized"]

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
CSRF_HEADER = "x-ragtune"  # a page of another site cannot send it without being asked first (CORS)
CODE_SECONDS = 3600  # how long the printed link signs in
TRIES, TRY_AGAIN = 5, 30.0  # wrong passwords for a name; then one in so many seconds
ALL_TRIES = 60  # wrong passwords a minute for all names together
NAMES = 10_000  # names whose wrong passwords are counted


class Access:
    """Tokens and sessions of one server."""

    def __init__(self, token: str, options: Options, folder: Path) -> None:
        self._token = token or secrets.token_urlsafe(32)  # an empty one would let everyone in
        self._options = options
        self._codes: dict[str, float] = {}
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._all_failed: list[float] = []
        self.database = Database(folder)
        self.users = Users(self.database)
        self.audit = Audit(self.database)
        self.quotas = Quotas(self.database, options.limits)
        # Cookies of one host are shared by all its ports; __Host- binds one to host and HTTPS.
        prefix = "__Host-" if options.secure else ""
        self.cookie = f"{prefix}ragtune_{options.port}"

    def principal(self, connection: HTTPConnection) -> Principal:
        """Who makes this request. Raises Problem 401 or 403.

        The only way in: every route and every MCP call goes through it.
        """
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme:
            if scheme.lower() == "bearer" and (found := self._of_token(token.strip())):
                return found
            raise unauthorized("the token is not valid")
        found = self.users.of_session(connection.cookies.get(self.cookie, ""))
        if found is None:
            raise unauthorized(
                "sign in: send a bearer token, or open the link that the server printed"
            )
        self._refuse_forged(connection)
        return found

    def _of_token(self, token: str) -> Principal | None:
        if hmac.compare_digest(token.encode(), self._token.encode()):
            return OWNER
        return self.users.of_key(token)

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

    def code(self) -> str:
        """A new code for the owner's sign-in link; it works once, for an hour."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = time.time() + CODE_SECONDS
        return code

    def of_secret(self, secret: str) -> Principal | None:
        """Who signs in with a link's code or a token; None where it is neither."""
        ends = self._codes.pop(secret, 0.0)
        return OWNER if ends > time.time() else self._of_token(secret)

    def of_password(self, name: str, password: str) -> Principal | None:
        """Who signs in with name and password; slow, so call it by a lane. See `may_try`."""
        return self.users.check_password(name, password)

    def may_try(self, name: str) -> None:
        """Raises Problem 429 where too many wrong passwords came for a name, or for all."""
        now = time.monotonic()
        count, last = self._failed.get(name, (0, 0.0))
        wait = TRY_AGAIN - (now - last) if count >= TRIES else 0.0
        self._all_failed = [t for t in self._all_failed if now - t < 60]
        if len(self._all_failed) >= ALL_TRIES:
            wait = max(wait, 60 - (now - self._all_failed[0]))
        if wait > 0:
            seconds = str(max(1, round(wait + 0.5)))
            raise Problem(429, f"too many tries: wait {seconds} s", {"Retry-After": seconds})
        # Counted before the answer is known, so that tries at the same moment count too.
        self._failed[name] = (count + 1, now)
        self._failed.move_to_end(name)
        self._all_failed.append(now)
        if len(self._failed) > NAMES:
            self._failed.popitem(last=False)

    def tried_well(self, name: str) -> None:
        """Forgets the wrong passwords of a name that has signed in."""
        self._failed.pop(name, None)
        if self._all_failed:
            self._all_failed.pop()

    def begin(self, principal: Principal, connection: HTTPConnection) -> str:
        """The id of a new session; the browser's old one ends."""
        self.sign_out(connection)
        return self.users.begin_session(principal.name)

    def sign_out(self, connection: HTTPConnection) -> None:
        """Ends the request's session."""
        if id := connection.cookies.get(self.cookie, ""):
            self.users.end_session(id)


def unauthorized(detail: str) -> Problem:
    """Problem 401."""
    return Problem(401, detail, {"WWW-Authenticate": 'Bearer realm="ragtune"'})
