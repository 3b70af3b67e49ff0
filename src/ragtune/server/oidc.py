"""Signing in through a company's login provider: OpenID Connect, code flow with PKCE.

    /sign-in ─▶ provider ─▶ /sign-in/callback?code&state ─▶ code for ID token ─▶ user, session

Who the provider vouches for becomes a user of this server by the provider's own name for them
(issuer and `sub`, which never changes hands), with the role reader; more is given by `ragtune
users change`. A name that a local user has is not taken over. With a groups claim, their groups are
what the provider says at each sign-in. Sources: OpenID Connect Core 1.0, RFC 7636 (PKCE), RFC 9207
(issuer in the reply), RFC 9700 (best practice).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from ragtune.errors import ConfigError
from ragtune.server.options import Provider
from ragtune.server.problems import Problem
from ragtune.server.users import Principal, Users, plain_name

BEGUN_SECONDS = 600.0  # how long a sign-in at the provider may take
BEGUN = 1000  # sign-ins under way; the oldest is forgotten
DISCOVERED_SECONDS = 3600.0
TIMEOUT = 10.0
LEEWAY = 60  # seconds by which two clocks may differ
ALGORITHMS = ("RS256", "PS256", "ES256")  # signatures by the provider's key, never a shared secret
MOST_GROUPS = 200


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider vouches for. `groups` is None where it says nothing of them."""

    subject: str  # issuer and sub
    name: str
    groups: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class _Begun:
    nonce: str
    verifier: str
    callback: str
    browser: str  # what only the browser that began holds, in a cookie
    ends: float


class Logins:
    """Sign-ins under way with one provider. Its methods block: call them by a lane."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._lock = threading.Lock()
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._known: tuple[float, Mapping[str, Any]] = (0.0, {})

    def trouble(self) -> str:
        """Why nobody could sign in through the provider now; empty where they could."""
        try:
            self._metadata()
        except Problem as problem:
            return str(problem.detail)
        return ""

    def begin(self, callback: str) -> tuple[str, str]:
        """Where to send the browser, and what to give it as a cookie. Raises Problem 502."""
        at = str(self._metadata()["authorization_endpoint"])
        state, nonce, browser, verifier = (secrets.token_urlsafe(32) for _ in range(4))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        with self._lock:
            self._begun[state] = _Begun(
                nonce, verifier, callback, browser, time.time() + BEGUN_SECONDS
            )
            while len(self._begun) > BEGUN:
                self._begun.popitem(last=False)
        asked = {
            "response_type": "code", "client_id": self._provider.client, "redirect_uri": callback,
            "scope": "openid profile email", "state": state, "nonce": nonce,
            "code_challenge": challenge.decode().rstrip("="), "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{at}{'&' if '?' in at else '?'}{urlencode(asked)}", browser

    def finish(self, state: str, code: str, issuer: str | None, browser: str) -> Identity:
        """Who has signed in. Raises Problem 401 or 502; each `state` works once."""
        with self._lock:
            begun = self._begun.pop(state, None)
        if begun is None or begun.ends < time.time():
            raise Problem(401, "this sign-in is too old or was used already: begin again")
        if not secrets.compare_digest(begun.browser.encode(), browser.encode()):
            raise Problem(401, "this sign-in was begun in another browser: begin again")
        if issuer is not None and issuer != self._provider.issuer:
            raise Problem(401, "the reply is another login provider's")
        return self._identity(self._claims(self._id_token(code, begun), begun.nonce))

    # ------------------------------------------------------------ the provider

    def _id_token(self, code: str, begun: _Begun) -> str:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": begun.callback,
            "code_verifier": begun.verifier, "client_id": self._provider.client,
        }  # fmt: skip
        if self._provider.secret:
            form["client_secret"] = self._provider.secret
        reply = self._json("POST", str(self._metadata()["token_endpoint"]), form)
        return str(reply.get("id_token", ""))

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """What the ID token says, once signature, issuer, audience, times and nonce hold."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        keys: Any = self._json("GET", str(self._metadata()["jwks_uri"]))
        client = self._provider.client
        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": self._provider.issuer},
            aud={"essential": True, "value": client},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            claims = jwt.decode(token, KeySet.import_key_set(keys), list(ALGORITHMS)).claims
            registry.validate(claims)
        except (JoseError, ValueError, TypeError, KeyError):
            raise Problem(401, "what the login provider sent does not hold: try again") from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != client:
            raise Problem(401, "what the login provider sent is for another program")
        return dict(claims)

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        name = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])
        claim = self._provider.groups_claim
        groups: tuple[str, ...] | None = None
        if claim:
            said = claims.get(claim)
            listed = said if isinstance(said, list) else []
            groups = tuple(g for g in map(_plain, listed[:MOST_GROUPS]) if g)
        return Identity(f"{self._provider.issuer}#{claims['sub']}", name, groups)

    def _metadata(self) -> Mapping[str, Any]:
        """The provider's addresses (OpenID Connect Discovery 1.0). Raises Problem 502."""
        until, known = self._known
        if time.monotonic() < until:
            return known
        issuer = self._provider.issuer
        found = self._json("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
        wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if found.get("issuer") != issuer or not all(_trusted(str(found.get(w))) for w in wanted):
            raise Problem(502, f"the login provider does not call itself {issuer}, or is not HTTPS")
        self._known = (time.monotonic() + DISCOVERED_SECONDS, found)
        return found

    def _json(self, method: str, url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        import httpx

        try:
            reply = httpx.request(method, url, data=form, timeout=TIMEOUT, follow_redirects=False)
            found = reply.json() if reply.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            found = None
        if not isinstance(found, dict):
            host = urlsplit(url).hostname
            raise Problem(502, f"the login provider at {host} did not answer as expected")
        return found


def principal(users: Users, who: Identity) -> Principal:
    """The user whom `who` is, added if new; groups follow the provider. Raises Problem 403."""
    name = users.of_subject(who.subject)
    try:
        if name is None:
            name = plain_name(who.name)
            users.add(name, "reader", who.groups or (), who.subject)
        elif who.groups is not None:
            users.change(name, groups=who.groups)
    except ConfigError:
        raise Problem(
            403, "your name at the login provider is taken here, or cannot be a name: ask whoever "
            "runs this server"
        ) from None  # fmt: skip
    found = users.principal(name)
    if found is None:
        raise Problem(403, "this user is disabled")
    return found


def check(provider: Provider) -> None:
    """Raises ConfigError for a provider that cannot be trusted with sign-ins."""
    if not _trusted(provider.issuer):
        raise ConfigError(f"--oidc {provider.issuer}: must be an https:// address")
    if not provider.client:
        raise ConfigError("--oidc needs --oidc-client: the id that the provider knows this by")


def _trusted(url: str) -> bool:
    """HTTPS, or this machine."""
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and local))


def _plain(group: object) -> str:
    """A group's name as it is kept; empty for one that cannot be kept."""
    try:
        return plain_name(str(group).strip("/").replace(" ", "-").replace("/", "."))
    except ConfigError:
        return ""
