"""Processes of the speed benchmark: workers, whole commands, and waiting for a quiet machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORKER = (sys.executable, "-m", "benchmarks.peers_worker")
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
}


class Worker:
    """A process of peers_worker.py: orders in, replies out, its memory watched."""

    def __init__(self, name: str, task: str, work: Path, folder: Path, *more: str) -> None:
        arguments = [*WORKER, name, task, str(work), str(folder), *more]
        self._errors = (work / "errors.txt").open("w+")
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=os.environ | OFFLINE,
        )
        self.tree_mb = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self._process.poll() is None:
            self.tree_mb = max(self.tree_mb, resident(self._process.pid) / 1e6)
            time.sleep(0.05)

    def reply(self) -> dict[str, Any]:
        """The next reply. Raises RuntimeError with what the process said last."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise RuntimeError(self._errors.read()[-2000:])
        value: dict[str, Any] = json.loads(line)
        return value

    def order(self, **order: Any) -> dict[str, Any]:
        """Sends an order and waits for the reply."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self.reply()

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._errors.close()


def resident(pid: int) -> int:
    """Bytes resident of a process and of all its children (pages they share count twice)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
    except (OSError, IndexError):  # it has just ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(resident(int(child)) for child in children)


class Quiet:
    """Waits before each timed piece of work until other programs leave the machine alone.

    A busy machine is not only slow: it is unfair, since libraries whose threads wait for each
    other lose most. There are `patience` seconds of waiting for a whole run; then it goes on.
    """

    def __init__(self, patience: float) -> None:
        self.left = patience
        self.waited = 0.0
        self.shares: list[float] = []  # of all cores' time, before each piece of work

    def wait(self) -> None:
        """Returns once under a tenth of the machine is in use."""
        while True:
            before = _ticks()
            time.sleep(1)
            busy, all_ = (after - old for after, old in zip(_ticks(), before, strict=True))
            share = busy / max(all_, 1)
            if share < 0.1 or self.left <= 0:
                self.shares.append(share)
                return
            time.sleep(2)
            self.left -= 3
            self.waited += 3


def _ticks() -> tuple[int, int]:
    """Busy and all, of all cores since the start of the machine."""
    fields = [int(n) for n in Path("/proc/stat").read_text("utf-8").split("\n")[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def timed(command: Sequence[str]) -> float:
    """Seconds of a whole command. Raises RuntimeError where it fails."""
    started = time.perf_counter()
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=ROOT, env=os.environ | OFFLINE
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr[-2000:]}")
    return seconds
