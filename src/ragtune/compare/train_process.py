"""The process in which a comparison trains one adapter: a request on stdin, JSON lines on stdout.

It ends when its parent does, however that ends; the checkpoint is then gone on with.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any


def serve() -> None:
    """Trains what the request names and tells progress, then the result or the error."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)  # what libraries print must not reach the pipe

    def tell(row: dict[str, Any]) -> None:
        replies.write(json.dumps(row, ensure_ascii=False) + "\n")
        replies.flush()

    from ragtune.errors import RagtuneError

    try:
        tell({"made": _train(request, tell)})
    except RagtuneError as error:
        tell({"error": str(error)})
    except MemoryError:
        tell({"error": "there is too little memory to train"})
    except Exception as error:
        tell({"error": f"training failed: {type(error).__name__}: {error}"})


def _train(request: dict[str, Any], tell: Any) -> dict[str, Any]:
    from ragtune import workspace
    from ragtune.config import DATA_FOLDER
    from ragtune.errors import TuneError
    from ragtune.tune.claim import unfinished
    from ragtune.tune.run import Plan, tune
    from ragtune.tune.steps import TuneSettings

    started = time.perf_counter()
    settings = replace(
        TuneSettings(), seed=request["seed"], minutes=request["minutes"],
        threads=request["settings"]["threads"],
    )  # fmt: skip
    with workspace.open(request["root"], request["settings"]) as opened:
        begun = {run.name for run in unfinished(opened.root / DATA_FOLDER)}
        plan = Plan(
            Path(request["file"]), request["name"], request["mode"], settings=settings,
            samples=0, probes=False, resume=request["name"] in begun,
        )  # fmt: skip
        try:
            made = tune(plan, opened, lambda step: tell(asdict(step)))
        except TuneError:
            if not plan.resume:
                raise
            again = replace(plan, resume=False, restart=True)
            made = tune(again, opened, lambda step: tell(asdict(step)))
    return {
        "adapter": made.name, "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time(), "peak_mb": made.peak_bytes / 2**20,
    }  # fmt: skip


def _end_with_parent() -> None:
    sys.stdin.read()  # returns when the parent has closed it, or is gone
    os._exit(1)


if __name__ == "__main__":
    serve()
