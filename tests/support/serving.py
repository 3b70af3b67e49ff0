"""Starting a real server process over a workspace."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import httpx

from ragtune.workspace import Workspace

TOKEN = "a-token-of-this-test-only"


@dataclass(frozen=True)
class Served:
    url: str
    code: str
    process: "subprocess.Popen[str]"

    def client(self, **headers: str) -> httpx.Client:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.Client(base_url=self.url, headers={**bearer, **headers}, timeout=60)


def start(workspace: Workspace, *options: str) -> Served:
    command = [sys.executable, "-m", "ragtune.cli", "serve", "--port", "0", "--json", *options]
    process = subprocess.Popen(
        [*command, "-w", str(workspace.root)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "RAGTUNE_TOKEN": TOKEN},
    )
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    return Served(said["url"], said["link"].partition("#token=")[2], process)


def ready(running: Served) -> Served:
    """The server, once it can answer."""
    with httpx.Client(base_url=running.url, transport=httpx.HTTPTransport(retries=5)) as client:
        for _ in range(300):
            if client.get("/readyz").status_code == 200:
                return running
            time.sleep(0.1)
    raise AssertionError("the server does not become ready")


def stop(running: Served) -> None:
    """Ends the server; it exits with 0."""
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0
