"""What a server says where something is wrong: one line that names it and what to do."""

import asyncio
import json
import logging
import socket

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ragtune.server import app, bodies, problems
from ragtune.server.oidc import Logins
from ragtune.server.options import Provider

JSON = {"Content-Type": "application/json"}


def test_a_body_that_is_no_json_is_said_to_be_none() -> None:
    served = FastAPI()
    problems.install(served)

    @served.post("/ask")
    def ask(body: bodies.SignIn) -> str:
        return body.secret or ""

    with TestClient(served) as client:
        broken = client.post("/ask", content='{"secret": ', headers=JSON)
        assert broken.status_code == 422
        (found,) = broken.json()["errors"]
        assert found["field"] == "body"
        assert found["message"].startswith("not JSON at character 11: ")
        other = client.post("/ask", content=json.dumps({"secrets": "x"}), headers=JSON)
        assert "body.secrets" in {e["field"] for e in other.json()["errors"]}


def test_a_login_provider_that_is_away_is_said_at_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        issuer = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with caplog.at_level(logging.ERROR):
            asyncio.run(app._reach(Logins(Provider(issuer, "ragtune", "", ""))))
    (line,) = [r.getMessage() for r in caplog.records if r.name == "ragtune.server"]
    assert "127.0.0.1 did not answer" in line
    assert "nobody can sign in" in line
