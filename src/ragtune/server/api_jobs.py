"""Jobs under /api: tuning and comparison runs, their progress as events, their reports."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import FileResponse, JSONResponse, Response

from ragtune.server import bodies, examples, sse
from ragtune.server.context import Call, Editor, Server
from ragtune.server.jobs import LIVE, Job, Kind, told
from ragtune.server.problems import Problem, request_id
from ragtune.tune import extra

router = APIRouter(prefix="/api", tags=["jobs"])

_LOOK = 0.3  # seconds between two looks at what a job says
_IDLE = 5.0  # and at whether another server has left a job behind
# A report holds texts of documents and models: whatever is in it, it does nothing.
_REPORT_CSP = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
_REPORT_FILES = ("report.html", "report.md", "answers.csv", "results.json")
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]


async def run_jobs(server: Server) -> None:
    """Starts and settles jobs as long as the server runs; they outlive it."""
    while True:
        live = await asyncio.to_thread(server.jobs.tick)
        server.wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wake.wait(), _LOOK if live else _IDLE)


@router.post("/tunes", status_code=202)
async def tune(body: bodies.Tune, call: Editor, key: Key = "") -> Response:
    """Begins a tuning on the examples as they are now."""
    extra.require()

    def add() -> tuple[Job, bool]:
        rows = call.server.examples.trainable()
        return _add(call, "tune", body, {examples.FILE: examples.lines(rows)}, key)

    return await _accepted(call, *await call.work.other.run(add))


@router.post("/compares", status_code=202)
async def compare(body: bodies.Compare, call: Editor, key: Key = "") -> Response:
    """Begins a comparison, by default on a part of the examples."""

    def add() -> tuple[Job, bool]:
        files = {}
        if body.questions:
            questions = [q.model_dump() for q in body.questions]
            files["questions.jsonl"] = examples.lines(questions)
        rows = call.server.examples.trainable(none=bool(body.questions))
        if body.questions and set(body.arms) == {"quote"}:
            rows = []  # it neither learns nor writes: the examples would say nothing about it
        if rows:
            files[examples.FILE] = examples.lines(rows)
        return _add(call, "compare", body, files, key)

    return await _accepted(call, *await call.work.other.run(add))


def _add(
    call: Call, kind: Kind, body: bodies.Body, files: Mapping[str, str], key: str
) -> tuple[Job, bool]:
    asked = body.model_dump(exclude_none=True, exclude={"questions"})
    return call.jobs.add(kind, call.principal.name, asked, files, key)


async def _accepted(call: Call, job: Job, new: bool) -> Response:
    call.server.wake.set()
    location = {"Location": f"/api/jobs/{job.id}"}
    return JSONResponse(job.public(), 202 if new else 200, location)


@router.get("/jobs")
async def listed(
    call: Editor,
    kind: Literal["tune", "compare"] | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: Annotated[str, Query(max_length=64, description="`next` of the page before")] = "",
) -> Response:
    """The jobs, newest first."""
    found = [j for j in await call.work.other.run(call.jobs.all) if kind in (None, j.kind)]
    at = next((n + 1 for n, job in enumerate(found) if job.id == after), 0) if after else 0
    page = found[at : at + limit]
    more = page[-1].id if at + limit < len(found) else None
    return JSONResponse({"jobs": [j.public() for j in page], "total": len(found), "next": more})


@router.get("/jobs/{id}")
async def one(id: str, call: Editor) -> Response:
    """A job, with its result where it is done."""
    job = await call.work.other.run(call.jobs.get, id)
    result = await call.work.other.run(call.jobs.result, job)
    report = (call.jobs.folder(id) / "report" / "report.html").is_file()
    return JSONResponse({**job.public(), "result": _without_paths(result), "report": report})


def _without_paths(result: Any) -> Any:
    """A result without where on this machine its files are."""
    if not isinstance(result, dict):
        return result
    return {k: v for k, v in result.items() if k not in ("folder", "files", "path")}


@router.delete("/jobs/{id}")
async def end(id: str, call: Editor) -> Response:
    """Cancels a job that waits or runs; deletes one that has ended."""
    job = await call.work.other.run(call.jobs.get, id)
    if job.state not in LIVE:
        await call.work.other.run(call.jobs.remove, id)
        return Response(status_code=204)
    return JSONResponse((await call.work.other.run(call.jobs.cancel, id)).public())


@router.post("/jobs/{id}/resume", status_code=202)
async def resume(id: str, call: Editor) -> Response:
    """Goes on with a job that was interrupted, cancelled or failed."""
    return await _accepted(call, await call.work.other.run(call.jobs.resume, id), True)


@router.get("/jobs/{id}/events")
async def events(
    id: str,
    call: Editor,
    request: Request,
    last: Annotated[str, Header(alias="Last-Event-ID", max_length=20)] = "",
    after: Annotated[int, Query(ge=0, description="as Last-Event-ID")] = 0,
) -> Response:
    """What a job tells, from its beginning or behind an event: `job`, `progress`, `step`, `note`.

    `end` is the last one. An event's id says how far it goes, also for another server.
    """
    await call.work.other.run(call.jobs.get, id)
    start = int(last) if last.isascii() and last.isdigit() else after
    chunks = _events(call, id, start)
    return await sse.response(chunks, call.server.options, request_id(request))


async def _events(call: Call, id: str, at: int) -> AsyncIterator[bytes]:
    shown: Job | None = None
    folder, stopping = call.jobs.folder(id), call.server.stopping
    while True:
        job = await asyncio.to_thread(call.jobs.get, id)  # before what it said: nothing is missed
        said, behind = await asyncio.to_thread(told, folder, at)
        if shown is None:
            shown = job
            yield sse.event("job", job.public(), str(at))
        for offset, name, value in said:
            yield sse.event(name, value, str(offset))
        if job != shown:
            shown = job
            yield sse.event("job", job.public(), str(behind))
        if behind == at and job.state not in LIVE:
            yield sse.event("end", {"state": job.state}, str(behind))
            return
        if behind == at:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _LOOK)
            if stopping.is_set():  # the client comes back with the id it has
                return
        at = behind


@router.get("/jobs/{id}/report")
async def report(id: str, call: Editor) -> Response:
    """The report of a comparison as a page that can do nothing."""
    return await file(id, "report.html", call)


@router.get("/jobs/{id}/report/{name}")
async def file(id: str, name: str, call: Editor) -> Response:
    """A file of a comparison's report."""
    await call.work.other.run(call.jobs.get, id)
    path = call.jobs.folder(id) / "report" / name
    if name not in _REPORT_FILES or not path.is_file():
        raise Problem(404, "no such report")
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    headers = {"Content-Security-Policy": _REPORT_CSP, "X-Frame-Options": "SAMEORIGIN"}
    if name != "report.html":
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return FileResponse(path, media_type=kind, headers=headers)
