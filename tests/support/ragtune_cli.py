"""The command line as a process, for tests."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

RAGTUNE = [str(Path(sys.executable).parent / "ragtune")]


def run(*words: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RAGTUNE, *words], cwd=cwd, input=stdin, capture_output=True, text=True, check=False
    )


def run_json(*words: str, cwd: Path, stdin: str = "") -> dict[str, Any]:
    done = run(*words, "--json", cwd=cwd, stdin=stdin)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = done.stdout.splitlines()
    value: dict[str, Any] = json.loads(line)
    return value
