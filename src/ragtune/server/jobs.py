"""Long work (tuning, comparing) as processes of the command line, so that none takes the server.

.ragtune/jobs/
  lock               held while a job is started, ended or settled: several servers may share these
  ID/
    job.json         what was asked for, state, times; replaced as a whole
    lock             held by the job's process: whether it lives, also for a server that came later
    out.txt          standard output: the result as one JSON object
    err.txt          standard error: progress, steps and notes as JSON Lines
    examples.jsonl, questions.jsonl, report/

One runs at a time, the next in the order they were asked for. A job does not end with the server;
one whose process was killed is `interrupted`, and `resume` goes on from its checkpoint or journal.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from ragtune import config
from ragtune.errors import DocumentError, TuneError
from ragtune.models import adapters

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
Kind = Literal["tune", "compare"]

LIVE = ("queued", "running")
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
_STOP_SECONDS = 5.0  # between asking a process to end and ending it
_TAIL = 64 * 1024  # of standard error, when looking for why a process ended
_NICE = 5  # questions are answered first
_RESULT = 16 << 20  # bytes of a result that are read


@dataclass(frozen=True, slots=True)
class Job:
    """One run. `asked` is what the request said; `key` its Idempotency-Key."""

    id: str
    kind: Kind
    owner: str
    state: State
    created: float
    asked: Mapping[str, Any] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    error: str | None = None
    key: str = ""
    process: int = 0

    def public(self) -> dict[str, Any]:
        """The job's JSON object."""
        return {k: v for k, v in asdict(self).items() if k not in ("key", "process")}


class Jobs:
    """The jobs of a workspace. Methods block, and are safe among threads and processes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / config.DATA_FOLDER / "jobs"
        self._started: dict[str, subprocess.Popen[bytes]] = {}  # to be waited for
        self._threads = threading.Lock()

    # ------------------------------------------------------------ looking

    def all(self) -> list[Job]:
        """All jobs, newest first."""
        found = [job for path in self._folder.glob("*/job.json") if (job := _read(path))]
        return sorted(found, key=lambda job: (job.created, job.id), reverse=True)

    def get(self, id: str) -> Job:
        """The job. Raises DocumentError."""
        job = _read(self.folder(id) / "job.json")
        if job is None:
            raise DocumentError("no such job")
        return job

    def folder(self, id: str) -> Path:
        """Its folder. Raises DocumentError for what is no job's id."""
        if not _ID.fullmatch(id):
            raise DocumentError("no such job")
        return self._folder / id

    def result(self, job: Job) -> Any:
        """What a job that is done has printed; None for others."""
        return _printed(self.folder(job.id)) if job.state == "done" else None

    # ------------------------------------------------------------ changing

    def add(
        self, kind: Kind, owner: str, asked: Mapping[str, Any], files: Mapping[str, str], key: str
    ) -> tuple[Job, bool]:
        """A new job at the end of the queue, and True; or that of the same `key`, and False.

        `files` are put into its folder.
        """
        with self._alone():
            if key:
                for job in self.all():
                    if (job.key, job.owner, job.kind) == (key, owner, kind):
                        return job, False
            id = time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(4)
            folder = self.folder(id)
            folder.mkdir(parents=True)
            for name, text in files.items():
                (folder / name).write_text(text, "utf-8")
            job = Job(id, kind, owner, "queued", time.time(), dict(asked), key=key)
            self._write(job)
        return job, True

    def cancel(self, id: str) -> Job:
        """Ends a job; nothing is registered. Raises TuneError for one that has ended."""
        with self._alone():
            job = self._settled(self.get(id))
            if job.state not in LIVE:
                raise TuneError(f"this job is {job.state}: there is nothing to cancel")
            if job.state == "running":
                self._end(job)
            return self._write(replace(job, state="cancelled", ended=time.time(), process=0))

    def remove(self, id: str) -> None:
        """Deletes a job that has ended, with its report. Raises TuneError for one that has not."""
        with self._alone():
            job = self._settled(self.get(id))
            if job.state in LIVE:
                raise TuneError(f"this job is {job.state}: cancel it first")
            shutil.rmtree(self.folder(id))

    def resume(self, id: str) -> Job:
        """Puts a job that was interrupted, cancelled or failed into the queue again."""
        with self._alone():
            job = self._settled(self.get(id))
            if job.state in (*LIVE, "done"):
                raise TuneError(f"this job is {job.state}: there is nothing to go on with")
            return self._write(replace(job, state="queued", ended=None, error=None))

    def tick(self) -> bool:
        """Settles what has ended, starts what is next; whether anything is queued or running."""
        jobs = [job for job in self.all() if job.state in LIVE]
        if not jobs:
            return False
        with self._alone():
            now = [self._settled(job) for job in map(self._again, jobs) if job]
            if not any(job.state == "running" for job in now):
                queued = [job for job in now if job.state == "queued"]
                if queued:
                    self._start(queued[-1])
                return bool(queued)
        return True

    # ------------------------------------------------------------ processes

    def _start(self, job: Job) -> None:
        folder = self.folder(job.id)
        environment = {k: v for k, v in os.environ.items() if k != "RAGTUNE_TOKEN"}
        with (
            (folder / "lock").open("a+b") as lock,
            (folder / "out.txt").open("wb") as out,
            (folder / "err.txt").open("ab") as err,
        ):
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = subprocess.Popen(  # noqa: S603 - ours, and what was asked for is checked
                [sys.executable, "-P", "-m", "ragtune.cli", *self.command(job)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self._root,
                env={**environment, "RAGTUNE_PROGRESS": "json"}, start_new_session=True,
                pass_fds=(lock.fileno(),),
            )  # fmt: skip
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        self._started[job.id] = process
        self._write(replace(job, state="running", started=time.time(), process=process.pid))

    def command(self, job: Job) -> list[str]:
        """The arguments of `ragtune` that the job runs."""
        folder, asked = self.folder(job.id), job.asked
        options = [f"--{name.replace('_', '-')}={value}" for name, value in asked.items()
                   if not isinstance(value, list | bool)]  # fmt: skip
        options += [f"--{name}" for name, value in asked.items() if value is True]
        common = ["--json", "--workspace", str(self._root)]
        if job.kind == "tune":
            run = self._root / config.DATA_FOLDER / adapters.FOLDER / f".run-{asked['name']}"
            if job.started is not None and run.is_dir():
                options = [o for o in options if o != "--restart"]
                options.append("--resume" if (run / "checkpoint.pt").is_file() else "--restart")
            if asked.get("mode") == "reader":
                options = [o for o in options if o.startswith(("--mode=", "--seed="))]
            return ["tune", str(folder / "examples.jsonl"), *options, *common]
        report = folder / "report"
        options += [f"--arms={','.join(asked['arms'])}"] if asked.get("arms") else []
        options += ["--resume"] if (report / "journal.jsonl").is_file() else []
        questions = folder / "questions.jsonl"
        if (folder / "examples.jsonl").is_file():
            options.append(f"--examples={folder / 'examples.jsonl'}")
        given = [str(questions)] if questions.is_file() else []
        return ["compare", *given, f"--out={report}", *options, *common]

    def _settled(self, job: Job) -> Job:
        """`job`, or how it ended where its process is gone."""
        if job.state != "running" or self._lives(job):
            return job
        folder = self.folder(job.id)
        process = self._started.pop(job.id, None)
        code = process.wait() if process is not None else None
        printed = _printed(folder)
        state: State = "interrupted"
        error: str | None = "its process was ended: resume goes on with it"
        if isinstance(printed, dict) and "error" in printed:
            state, error = "failed", str(printed["error"])
        elif isinstance(printed, dict) and not code:
            state, error = "done", None
        elif trouble := _trouble(folder):
            state, error = "failed", trouble
        return self._write(replace(job, state=state, error=error, ended=time.time(), process=0))

    def _lives(self, job: Job) -> bool:
        try:
            with (self.folder(job.id) / "lock").open("a+b") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _end(self, job: Job) -> None:
        """Ends the process and what it started; it must live, so that its number is its own."""
        for sent, patience in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _STOP_SECONDS)):
            if not self._lives(job):
                break
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(job.process, sent)
            until = time.monotonic() + patience
            while self._lives(job) and time.monotonic() < until:
                if process := self._started.get(job.id):
                    process.poll()
                time.sleep(0.02)
        if process := self._started.pop(job.id, None):
            process.poll()

    # ------------------------------------------------------------ files

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the lock of all jobs, among threads and processes."""
        with self._threads:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / "lock").open("a+b") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield

    def _again(self, job: Job) -> Job | None:
        return _read(self.folder(job.id) / "job.json")

    def _write(self, job: Job) -> Job:
        path = self.folder(job.id) / "job.json"
        made = path.with_suffix(".new")
        made.write_text(json.dumps(asdict(job), ensure_ascii=False), "utf-8")
        made.replace(path)
        return job


_NAMES = {f.name for f in fields(Job)}


def _read(path: Path) -> Job | None:
    try:
        raw = json.loads(path.read_text("utf-8"))
        return Job(**{k: v for k, v in raw.items() if k in _NAMES})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _printed(folder: Path) -> Any:
    """The JSON object on standard output; None without a whole one."""
    try:
        with (folder / "out.txt").open("rb") as file:
            lines = file.read(_RESULT).decode("utf-8", "replace").splitlines()
        return json.loads(lines[-1])
    except (OSError, ValueError, IndexError):
        return None


def _trouble(folder: Path) -> str | None:
    """The last line of a traceback at the end of standard error."""
    try:
        with (folder / "err.txt").open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().decode("utf-8", "replace").rstrip().splitlines()
    except OSError:
        return None
    plain = [line for line in lines[-200:] if not line.startswith("{")]
    begins = any(line.startswith("Traceback ") for line in plain)
    return f"it failed unexpectedly: {plain[-1][:300]}" if begins else None


# ---------------------------------------------------------------- what it tells


def told(folder: Path, after: int) -> tuple[list[tuple[int, str, Any]], int]:
    """What a job has said behind the byte `after` of its standard error, and how far that goes.

    Each is (offset behind it, "progress", "step" or "note", its object). Of progress that was
    read at once only the last of each kind of work is given.
    """
    try:
        with (folder / "err.txt").open("rb") as file:
            file.seek(after)
            data = file.read(1 << 20)
    except OSError:
        return [], after
    found: list[tuple[int, str, Any]] = []
    at = after
    for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
        at += len(line)
        try:
            ((name, value),) = json.loads(line).items()
        except (ValueError, AttributeError):
            continue  # a warning of some library
        if name in ("progress", "step", "note"):
            found.append((at, name, value))
    last = {v["what"]: n for n, name, v in found if name == "progress"}
    kept = [one for one in found if one[1] != "progress" or last[one[2]["what"]] == one[0]]
    return kept, at
