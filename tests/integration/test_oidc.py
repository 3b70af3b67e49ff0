"""Signing in through a real OpenID Connect provider, with a real server and a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey

from login_provider import CLIENT, SECRET, LoginProvider
from ragtune import config, workspace
from ragtune.server.database import Database
from ragtune.server.users import Users
from serving import Served, ready, start, stop

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def provider() -> Iterator[LoginProvider]:
    made = LoginProvider()
    yield made
    made.close()


@pytest.fixture(scope="module")
def served(
    provider: LoginProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, Users]]:
    root = tmp_path_factory.mktemp("oidc")
    with workspace.init(root) as opened:
        users = Users(Database(root / config.DATA_FOLDER))
        os.environ["RAGTUNE_OIDC_SECRET"] = SECRET
        options = ["--oidc", provider.issuer, "--oidc-client", CLIENT, "--oidc-groups", "groups"]
        running = ready(start(opened, "--no-watch", *options))
        del os.environ["RAGTUNE_OIDC_SECRET"]
        yield running, users
        stop(running)


@pytest.fixture(autouse=True)
def honest(provider: LoginProvider) -> None:
    provider.spoil, provider.signing = {}, provider.key
    provider.claims = {"sub": "1", "preferred_username": "ann", "groups": ["hr", "/team one"]}


def sign_in(running: Served) -> tuple[httpx.Client, httpx.Response]:
    """A browser's way: to the provider and back."""
    browser = httpx.Client(base_url=running.url, timeout=30)
    to = browser.get("/sign-in")
    assert to.status_code == 303
    back = httpx.get(to.headers["location"])
    return browser, browser.get(back.headers["location"])


def test_who_the_provider_knows_is_signed_in_with_their_groups(
    served: tuple[Served, Users], provider: LoginProvider
) -> None:
    running, users = served
    browser, page = sign_in(running)
    assert page.status_code == 200
    who = browser.get("/api/session").json()
    assert who == {"name": "ann", "role": "reader", "groups": ["hr", "team-one"]}
    users.change("ann", role="editor")
    provider.claims |= {"preferred_username": "ann-renamed", "groups": []}
    browser, _ = sign_in(running)  # the same person, whatever they are called now
    assert browser.get("/api/session").json() == {"name": "ann", "role": "editor", "groups": []}


def test_a_reply_is_taken_once_and_only_from_the_browser_that_began(
    served: tuple[Served, Users],
) -> None:
    running, _ = served
    browser = httpx.Client(base_url=running.url)
    to = browser.get("/sign-in").headers["location"]
    back = httpx.get(to).headers["location"]
    assert httpx.get(back).status_code == 401  # another browser: a forged sign-in
    assert browser.get(back).status_code == 401  # and then it is spent
    to = browser.get("/sign-in").headers["location"]
    back = httpx.get(to).headers["location"]
    assert browser.get(back).status_code == 200
    assert browser.get(back).status_code == 401
    assert browser.get("/sign-in/callback?state=made-up&code=x").status_code == 401
    state = parse_qs(urlsplit(browser.get("/sign-in").headers["location"]).query)["state"][0]
    refused = browser.get(f"/sign-in/callback?state={state}&error=access_denied")
    assert refused.status_code in (401, 502)
    assert "ragtune" not in refused.cookies


@pytest.mark.parametrize(
    "spoil",
    [
        {"aud": "another-program"},
        {"aud": [CLIENT, "another-program"]},
        {"aud": [CLIENT, "another-program"], "azp": "another-program"},
        {"iss": "https://elsewhere.example"},
        {"nonce": "of another sign-in"},
        {"exp": int(time.time()) - 600},
        {"sub": None},
    ],
)
def test_a_token_that_does_not_hold_signs_nobody_in(
    served: tuple[Served, Users], provider: LoginProvider, spoil: dict[str, object]
) -> None:
    provider.spoil = spoil
    browser, page = sign_in(served[0])
    assert page.status_code == 401
    assert browser.get("/api/session").status_code == 401


def test_a_token_signed_with_another_key_signs_nobody_in(
    served: tuple[Served, Users], provider: LoginProvider
) -> None:
    provider.signing = RSAKey.generate_key(2048, {"kid": "one"})
    assert sign_in(served[0])[1].status_code == 401


def test_no_local_user_is_taken_over_and_a_disabled_one_stays_out(
    served: tuple[Served, Users], provider: LoginProvider
) -> None:
    running, users = served
    users.add("bob")
    provider.claims = {"sub": "2", "preferred_username": "bob"}
    assert sign_in(running)[1].status_code == 403
    provider.claims = {"sub": "3", "preferred_username": "owner"}
    assert sign_in(running)[1].status_code == 403
    provider.claims = {"sub": "4", "preferred_username": "eve"}
    browser, _ = sign_in(running)
    users.change("eve", disabled=True)
    assert browser.get("/api/session").status_code == 401
    assert sign_in(running)[1].status_code == 403


def test_a_provider_that_cannot_be_trusted_is_refused(provider: LoginProvider) -> None:
    for options, said in (
        (["--oidc", "http://login.example", "--oidc-client", "x"], "https"),
        (["--oidc", provider.issuer], "--oidc-client"),
        (["--oidc", "", "--oidc-client", "x"], "https"),
        (["--oidc-client", "x"], "--oidc ISSUER"),
    ):
        command = [sys.executable, "-m", "ragtune.cli", "serve", "--port", "0", *options]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert found.returncode != 0
        assert said in found.stderr
        assert "Traceback" not in found.stderr


def test_a_person_signs_in_with_a_click(served: tuple[Served, Users]) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    running, _ = served
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        browser = started.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(locale="en")
        page.goto(running.url)
        page.get_by_role("link", name="Sign in with 127.0.0.1").click()
        page.locator("#sign-out").wait_for(state="attached")
        assert urlsplit(page.url).path == "/"
        assert "ann" in page.content()
        browser.close()
