"""The web page in Debian's Chromium, with the real server behind it: what its tests share."""

import asyncio
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TOKEN = "a-token-of-this-test-only"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A server: its address, the link that it printed, the folder of its workspace."""

    url: str
    link: str
    root: Path


@contextmanager
def serving(root: Path) -> Iterator[Site]:
    """`ragtune serve` over the workspace in `root`; it ends with 0."""
    command = [sys.executable, "-m", "ragtune.cli", "serve", "--port", "0", "--json"]
    process = subprocess.Popen(
        [*command, "-w", str(root)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "RAGTUNE_TOKEN": TOKEN},
    )  # fmt: skip
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    yield Site(said["url"], said["link"], root)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium; skips where it, or Playwright, is not there."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()
    # The loop that playwright leaves behind in this thread is not pytest's to keep.
    asyncio.set_event_loop(None)


@contextmanager
def person(chromium: Any, site: Site, path: str = "/", **given: Any) -> Iterator[Any]:
    """A signed-in page at `path`; whatever it asks of another host, or breaks, fails the test."""
    context = chromium.new_context(locale=given.pop("locale", "en-GB"), **given)
    page = context.new_page()
    outside: list[str] = []
    broken: list[str] = []
    page.on("request", lambda r: outside.append(r.url) if not r.url.startswith(site.url) else None)
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda m: broken.append(m.text) if "Security Policy" in m.text else None)
    page.goto(f"{site.url}/start#token={TOKEN}")
    page.wait_for_selector("#send:enabled")
    page.locator("#status", has_text=re.compile(r"\d")).wait_for(state="attached")  # signed in
    if path != "/":
        page.goto(site.url + path)
    page.set_default_timeout(60_000)
    yield page
    context.close()
    assert not outside
    assert not broken


def ask(page: Any, question: str, model: str = "ragtune") -> Any:
    """Asks and waits for the answer; its turn."""
    if model != "ragtune":
        page.wait_for_selector(f"#model option[value='{model}']", state="attached")
        page.select_option("#model", model)
    page.fill("#question", question)
    page.keyboard.press("Enter")
    turn = page.locator(".turn", has_text=question).last
    turn.locator(".tools").wait_for()
    return turn


@contextmanager
def hosted(running: http.server.HTTPServer) -> Iterator[str]:
    """The address of a server of files, as `ragtune preview` is one, while it runs."""
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}/"
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


@contextmanager
def opened(chromium: Any, url: str, **options: Any) -> Iterator[Any]:
    """An exported page that is ready; fails on errors in its console."""
    context = chromium.new_context(**options)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.goto(url)
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    yield page
    context.close()
    assert not problems
