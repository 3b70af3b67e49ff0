"""What a figure was measured on: machine, versions, commit; the header of every result file.

from benchmarks.machine import describe, markdown

about = describe("numpy", "onnxruntime")   # goes into the JSON as it is
print(markdown(about))                     # a few lines for the Markdown file
"""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# The instruction sets that decide how fast int8 and fp32 products are.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm", "sve")
PACKAGES = ("ragtune", "numpy", "onnxruntime", "tokenizers", "tantivy", "numkong", "xllamacpp")


def describe(*packages: str) -> dict[str, Any]:
    """The machine, now, with the versions of ragtune's main parts and of `packages`."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu(),
        "instructions": [name for name in _FLAGS if name in _cpu_flags()],
        "cores": _cores(),
        "memory_gib": round(_memory() / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "virtual": "hypervisor" in _cpu_flags(),
        "python": platform.python_version(),
        "load_1min": round(os.getloadavg()[0], 2),
        "commit": _commit(),
        "versions": {name: _version(name) for name in dict.fromkeys((*PACKAGES, *packages))},
    }


def markdown(about: dict[str, Any]) -> str:
    """`about` as a short list for the head of a result file."""
    kind = "virtual machine" if about["virtual"] else "machine"
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items() if number)
    return "\n".join(
        [
            f"- {about['date']}, commit {about['commit']}",
            f"- {about['cpu']} ({', '.join(about['instructions']) or 'no SIMD flags known'}), "
            f"{about['cores']} cores, {about['memory_gib']} GiB, {about['kernel']}, {kind}; "
            f"load before the run {about['load_1min']}",
            f"- Python {about['python']}: {versions}",
        ]
    )


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return ""


def _cpu() -> str:
    for line in _cpuinfo().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _cpu_flags() -> frozenset[str]:
    for line in _cpuinfo().splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()


def _cores() -> int:
    """Cores that this process may use: a container can have fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "../src")
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    print(markdown(describe()))
