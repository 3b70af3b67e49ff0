"""A small OpenID Connect provider in this process: it signs in whoever `claims` says, at once."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "ragtune-test", "a-secret-of-this-test"


class LoginProvider:
    """Set `claims` to say who signs in; `spoil` changes what the ID token says."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.signing = self.key
        self.claims: dict[str, Any] = {"sub": "1", "preferred_username": "ann"}
        self.spoil: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300,
                  "nonce": asked["nonce"], **self.claims, **self.spoil}  # fmt: skip
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.signing)

    def _handler(provider) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def _send(self, body: Any, status: int = 200) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                at = urlsplit(self.path)
                if at.path == "/.well-known/openid-configuration":
                    issuer = provider.issuer
                    self._send({"issuer": issuer, "authorization_endpoint": f"{issuer}/authorize",
                                "token_endpoint": f"{issuer}/token",
                                "jwks_uri": f"{issuer}/keys"})  # fmt: skip
                elif at.path == "/keys":
                    self._send({"keys": [provider.key.as_dict(private=False)]})
                elif at.path == "/authorize":
                    asked = {k: v[0] for k, v in parse_qs(at.query).items()}
                    assert asked["client_id"] == CLIENT
                    assert asked["code_challenge_method"] == "S256"
                    code = base64.urlsafe_b64encode(hashlib.sha256(at.query.encode()).digest())
                    provider.codes[code.decode()] = asked
                    given = {"code": code.decode(), "state": asked["state"], "iss": provider.issuer}
                    self.send_response(302)
                    self.send_header("Location", f"{asked['redirect_uri']}?{urlencode(given)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                form = {k: v[0] for k, v in parse_qs(self.rfile.read(length).decode()).items()}
                asked = provider.codes.pop(form["code"], None)
                digest = hashlib.sha256(form["code_verifier"].encode()).digest()
                challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
                if (
                    asked is None or form["client_secret"] != SECRET
                    or asked["code_challenge"] != challenge
                    or asked["redirect_uri"] != form["redirect_uri"]
                ):  # fmt: skip
                    self._send({"error": "invalid_grant"}, 400)
                    return
                self._send({"id_token": provider._token(asked), "access_token": "unused",
                            "token_type": "Bearer"})  # fmt: skip

        return Handler
