"""The first view of the Ask page on a slow line: bytes, round trips, and when a person can type.

    python -m benchmarks.first_view        # about two minutes; benchmarks/results/first_view.md

The sample company behind `ragtune serve`, in Chromium with a processor four times slower. The line
has 150 ms a round trip and 1.6 Mbit/s down ("slow 4G"), made in two ways: by Chromium itself
(CDP's network conditions, which delay every request but no connection), and by a relay between
browser and server, which delays the opening of connections too and lets all share the line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from ragtune import demo, workspace

RESULTS = Path(__file__).parent / "results"
ROUND_TRIP = 0.150
DOWN, UP = 1.6e6 / 8, 0.75e6 / 8  # bytes a second
SLOWER = 4
TOKEN = "a-token-of-this-benchmark-only"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
# Milliseconds since the first navigation of the tab, over the sign-in page's reload. Typing works
# when the field has the focus and its style; asking works when the page has let Enter through.
WATCH = """
const begun = Number(sessionStorage.begun ?? (sessionStorage.begun = performance.timeOrigin));
const now = () => performance.timeOrigin + performance.now() - begun;
window.seen = { shift: 0 };
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.seen.shift += one.value;
}).observe({ type: 'layout-shift', buffered: true });
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (one.name === 'first-contentful-paint')
    window.seen.paint = performance.timeOrigin + one.startTime - begun;
}).observe({ type: 'paint', buffered: true });
const look = () => {
  const field = document.getElementById('question');
  const styled = field && getComputedStyle(field).resize === 'none';
  if (styled && document.activeElement === field) window.seen.type ??= now();
  const send = document.getElementById('send');
  if (window.seen.type && send && !send.disabled) window.seen.ask ??= now();
  if (!window.seen.ask) requestAnimationFrame(look);
};
look();
"""


@contextmanager
def site() -> Iterator[tuple[int, str]]:
    """A server over the sample company: its port, and the code of the printed link."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(demo.SAMPLE, root / "company")
        with workspace.init(root) as opened:
            opened.add([root / "company"])
        command = [sys.executable, "-m", "ragtune.cli", "serve", "--port", "0", "--json"]
        process = subprocess.Popen(
            [*command, "-w", folder], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "RAGTUNE_TOKEN": TOKEN},
        )  # fmt: skip
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        try:
            yield int(said["url"].rsplit(":", 1)[1]), said["link"].split("#token=")[1]
        finally:
            process.terminate()
            process.wait(60)


# ---------------------------------------------------------------- a slow line


class _Line:
    """One direction of the line: bytes leave it in order, at its rate and after its delay."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free = 0.0

    async def carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opening: float
    ) -> None:
        """All of a connection's bytes; the first wait for its opening (a round trip) too."""
        loop = asyncio.get_running_loop()
        opened = loop.time() + opening
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                at, data = await queue.get()
                await asyncio.sleep(at - loop.time())
                if not data:
                    break
                writer.write(data)
            writer.close()

        task = asyncio.create_task(deliver())
        while True:
            data = await reader.read(1460)
            self._free = max(self._free, loop.time(), opened) + len(data) / self._rate
            queue.put_nowait((self._free + ROUND_TRIP / 2, data))
            if not data:
                break
        await task


@contextmanager
def relay(port: int) -> Iterator[int]:
    """A relay to the server on `port`, in a thread of its own; its port."""
    loop = asyncio.new_event_loop()
    down, up = _Line(DOWN), _Line(UP)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            up.carry(reader, inside[1], ROUND_TRIP), down.carry(inside[0], writer, 0.0),
            return_exceptions=True,
        )  # fmt: skip

    server = loop.run_until_complete(asyncio.start_server(connection, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


# ---------------------------------------------------------------- what is measured


def visit(context: BrowserContext, url: str, slow: bool) -> dict[str, Any]:
    """One visit in a new tab, until the page is quiet."""
    page = context.new_page()
    page.set_default_timeout(20_000)
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    if slow:
        network.send("Network.emulateNetworkConditions", {
            "offline": False, "latency": 1000 * ROUND_TRIP, "downloadThroughput": DOWN,
            "uploadThroughput": UP})  # fmt: skip
    requests: dict[str, dict[str, Any]] = {}

    def begun(event: dict[str, Any]) -> None:
        requests[event["requestId"]] = {"url": event["request"]["url"], "from": event["timestamp"]}

    def ended(event: dict[str, Any]) -> None:
        requests[event["requestId"]].update(to=event["timestamp"], size=event["encodedDataLength"])

    def answered(event: dict[str, Any]) -> None:
        requests[event["requestId"]]["cached"] = event["response"].get("fromDiskCache", False)

    network.on("Network.requestWillBeSent", begun)
    network.on("Network.responseReceived", answered)
    network.on("Network.loadingFinished", ended)
    page.add_init_script(WATCH)
    page.goto(url, wait_until="commit")
    page.wait_for_function("() => window.seen?.ask", polling=100)
    page.keyboard.type("leave")
    page.wait_for_timeout(1000)
    seen = page.evaluate("window.seen")
    assert page.input_value("#question") == "leave"
    page.close()
    done = [r for r in requests.values() if "to" in r and not r.get("cached")]
    return {
        "kb": sum(r["size"] for r in done) / 1000, "requests": len(done), "levels": levels(done),
        "shift": seen["shift"], "paint_ms": seen.get("paint"), "type_ms": seen["type"],
        "ask_ms": seen["ask"], "waterfall": waterfall(done),
    }  # fmt: skip


def levels(done: list[dict[str, Any]]) -> int:
    """How many requests waited for one another: the longest chain of those that follow the end."""
    depth: list[tuple[float, int]] = []
    for one in sorted(done, key=lambda r: r["to"]):
        depth.append((one["to"], 1 + max((n for to, n in depth if to <= one["from"]), default=0)))
    return max(n for _, n in depth)


def waterfall(done: list[dict[str, Any]]) -> list[tuple[int, int, int, str]]:
    """From and to in ms, bytes, path."""
    zero = min(r["from"] for r in done)
    return [
        (round(1000 * (r["from"] - zero)), round(1000 * (r["to"] - zero)), round(r["size"]),
         "/" + r["url"].split("/", 3)[3].split("#")[0])
        for r in sorted(done, key=lambda r: r["from"])
    ]  # fmt: skip


def rounds(browser: Browser, url: str, code: str, slow: bool, count: int) -> dict[str, Any]:
    """`count` times: the link in a new browser, then signed in without and with a cache."""
    found: dict[str, list[dict[str, Any]]] = {"link": [], "signed in": [], "again": []}
    for number in range(count):
        # A link works once; the server's token takes its place, on the same way, in later rounds.
        secret = code if number == 0 else TOKEN
        context = browser.new_context(locale="en-GB")
        found["link"].append(visit(context, f"{url}/start#token={secret}", slow))
        cookies = context.cookies()
        found["again"].append(visit(context, f"{url}/", slow))
        context.close()
        context = browser.new_context(locale="en-GB")
        context.add_cookies(cookies)  # type: ignore[arg-type] # what it gave
        found["signed in"].append(visit(context, f"{url}/", slow))
        context.close()
    return {name: summary(visits) for name, visits in found.items()}


def summary(visits: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians and the worst; the last visit's waterfall."""
    out: dict[str, Any] = {"waterfall": visits[-1]["waterfall"]}
    for key in ("kb", "requests", "levels", "shift"):
        out[key] = max(v[key] for v in visits)
    for key in ("paint_ms", "type_ms", "ask_ms"):
        values = [v[key] for v in visits if v[key] is not None]
        out[key] = {"median": statistics.median(values), "max": max(values)}
    return out


LINES = {"Chromium's own": "by Chromium", "relay": "by a relay", "none": "loopback, not slowed"}
WAYS = {"link": "the printed link, new browser", "signed in": "signed in, nothing kept",
        "again": "signed in, files kept"}  # fmt: skip


def report(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    rows = []
    for line, said in LINES.items():
        for way, told in WAYS.items():
            one = found[line][way]
            times = [f"{one[k]['median']:.0f} ({one[k]['max']:.0f})"
                     for k in ("paint_ms", "type_ms", "ask_ms")]  # fmt: skip
            cells = (said, told, f"{one['kb']:.1f}", one["requests"],
                     one["levels"] if line != "none" else "–",
                     f"{one['shift']:.3f}", *times)  # fmt: skip
            rows.append("| " + " | ".join(str(c) for c in cells) + " |")
    fall = [f"| {a} | {b} | {size} | `{path.rsplit('/', 1)[-1] or '/'}` |"
            for a, b, size, path in found["relay"]["link"]["waterfall"]]  # fmt: skip
    return "\n".join([
        "# The first view", "", (__doc__ or "").split("\n\n")[2].strip(), "",
        machine.markdown(found["about"]), f"- Chromium {found['browser']}, headless", "",
        "Milliseconds since the navigation began, median (slowest) of "
        f"{found['rounds']} visits. *Type*: the question's field is there with its style and has "
        "the focus. *Ask*: Enter is answered (one pressed earlier is kept). *Levels*: the longest "
        "chain of requests that began after another had ended, until the page is quiet.", "",
        "| line | visit | kB | requests | levels | layout shift | paint | type | ask |",
        "|---|---|---|---|---|---|---|---|---|", *rows, "",
        "## The printed link over the relay, request by request", "",
        "| from, ms | to | bytes | what |", "|---|---|---|---|", *fall, "",
    ])  # fmt: skip


def main() -> None:
    """Measures, prints and keeps it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dry", action="store_true", help="print only")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    about = machine.describe("playwright", "uvicorn")
    found: dict[str, Any] = {"about": about, "rounds": given.rounds}
    with site() as (port, code), relay(port) as far, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=FLAGS)
        found["browser"] = browser.version
        for name, at, slow, secret in (
            ("Chromium's own", port, True, code), ("relay", far, False, TOKEN),
            ("none", port, False, TOKEN),
        ):  # fmt: skip
            url = f"http://127.0.0.1:{at}"
            found[name] = rounds(browser, url, secret, slow, given.rounds)
        browser.close()
    print(report(found))
    if not given.dry:
        (RESULTS / "first_view.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        (RESULTS / "first_view.md").write_text(report(found), "utf-8")


if __name__ == "__main__":
    main()
