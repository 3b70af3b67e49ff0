"""Examples and feedback under /api: the table of training examples, its checks, corrections."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from ragtune.errors import TuneError
from ragtune.server import bodies, examples
from ragtune.server.context import Call, Editor, Signed
from ragtune.server.examples import Examples, Row
from ragtune.server.problems import Problem
from ragtune.tune.examples import read_examples

router = APIRouter(prefix="/api", tags=["examples"])

IMPORTED = (".jsonl", ".json", ".csv", ".tsv")  # what is read here; other formats by ragtune tune
_CHECK_SECONDS = 120.0


def of(call: Call) -> Examples:
    """The workspace's examples."""
    return call.server.examples


@router.get("/examples")
async def listed(
    call: Editor,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str, Query(max_length=64, description="`next` of the page before")] = "",
    q: Annotated[str, Query(max_length=200, description="only rows that hold these words")] = "",
) -> Response:
    """The examples in the order of the file, a page at a time."""
    rows: Sequence[Row] = await call.work.other.run(of(call).rows.all)
    wanted = q.casefold().split()
    if wanted:
        rows = [r for r in rows if all(w in json.dumps(r, ensure_ascii=False).casefold()
                                       for w in wanted)]  # fmt: skip
    at = 0
    if after:
        at = next((n + 1 for n, row in enumerate(rows) if row["id"] == after), len(rows))
    page = rows[at : at + limit]
    more = page[-1]["id"] if at + limit < len(rows) else None
    return JSONResponse({"examples": page, "total": len(rows), "next": more})


@router.post("/examples", status_code=201, responses={200: {"description": "It was there."}})
async def add(body: bodies.Example, call: Editor) -> Response:
    """Adds an example; the same question and answer again change nothing."""
    row = body.row(examples.identity(body.question, body.answer))
    added = await call.work.other.run(of(call).rows.add, [row])
    if not added:
        row = await call.work.other.run(of(call).rows.get, row["id"])
    return JSONResponse(row, 201 if added else 200)


@router.put("/examples/{id}")
async def edit(id: str, body: bodies.Example, call: Editor) -> Response:
    """Replaces an example in its place."""
    return JSONResponse(await call.work.other.run(of(call).rows.put, id, body.row(id)))


@router.delete("/examples/{id}", status_code=204)
async def delete(id: str, call: Editor) -> Response:
    """Deletes an example."""
    await call.work.other.run(of(call).rows.remove, id)
    return Response(status_code=204)


@router.post(
    "/examples/import",
    openapi_extra={"requestBody": {"content": {"application/octet-stream": {
        "schema": {"type": "string", "format": "binary"}}}}},
)  # fmt: skip
async def take_in(
    request: Request,
    call: Editor,
    name: Annotated[str, Query(max_length=200, description="the file's name: its format")],
) -> Response:
    """Adds the examples of a file (the body), in any shape that `ragtune tune` reads."""
    ending = Path(name).suffix.lower()
    if ending not in IMPORTED:
        raise Problem(400, f"name must end with {', '.join(IMPORTED)}")
    data = await request.body()

    def work() -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="ragtune-import-") as folder:
            path = Path(folder) / f"examples{ending}"
            path.write_bytes(data)
            try:
                found = read_examples(path)
            except TuneError as error:
                raise Problem(422, str(error).replace(str(path), "the file")) from None
        added = of(call).rows.add([examples.row_of(e) for e in found.examples])
        left = [{"row": row, "reason": reason} for row, reason in found.left_out[:100]]
        return {"added": len(added), "known": len(found.examples) - len(added), "left_out": left}

    return JSONResponse(await call.work.other.run(work))


@router.post("/examples/check")
async def check(body: bodies.CheckExamples, call: Editor) -> Response:
    """What is wrong with the examples, and how a model sees some of them, token by token.

    As `ragtune examples check --json`, which it runs: the tokenizer stays out of this process.
    """

    def work() -> Any:
        rows = of(call).trainable()
        if body.ids:
            rows = [row for row in rows if row["id"] in set(body.ids)]
        if not rows:
            raise Problem(404, "no such example")
        said = run_check(call.server.workspace.root, rows, body.show)
        ids = [row["id"] for row in rows]
        for view in said.get("preview", ()):
            view["id"] = ids[view["row"] - 1]
        said.pop("file", None)
        return said

    return JSONResponse(await call.work.other.run(work))


def run_check(root: Path, rows: Sequence[Row], show: int) -> Any:
    """The object of `ragtune examples check` on these rows. Raises Problem."""
    with tempfile.TemporaryDirectory(prefix="ragtune-check-") as folder:
        path = Path(folder) / examples.FILE
        path.write_text(examples.lines(rows), "utf-8")
        command = [sys.executable, "-P", "-m", "ragtune.cli", "examples", "check", str(path),
                   "--json", f"--show={show}", f"--workspace={root}"]  # fmt: skip
        try:
            done = subprocess.run(  # noqa: S603 - ours
                command, capture_output=True, timeout=_CHECK_SECONDS, cwd=root,
                stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
            said = json.loads(done.stdout.decode("utf-8").splitlines()[-1])
        except subprocess.TimeoutExpired:
            raise Problem(503, "the check took too long", {"Retry-After": "60"}) from None
        except (ValueError, IndexError):
            raise Problem(500, "the check failed") from None
    if "error" in said:
        raise Problem(422, str(said["error"]).replace(str(path), "the examples"))
    return said


# ---------------------------------------------------------------- feedback


@router.post("/feedback", status_code=201, responses={200: {"description": "It was replaced."}})
async def feedback(body: bodies.Feedback, call: Signed) -> Response:
    """Keeps what a person says about an answer; a correction becomes an example.

    Said again about the same answer, it replaces what was said before. What a reader corrects
    waits for an editor: `"reviewed": false`.
    """
    name = call.principal.name
    id = examples.identity(name, body.question, body.answer)
    row = {"id": id, "by": name, "at": round(time.time(), 3), **body.model_dump()}
    wanted = body.correction or (body.answer if body.keep and body.thumb == "up" else None)

    def work() -> tuple[bool, str | None]:
        new = of(call).feedback.set(row)
        if wanted is None:
            return new, None
        made = bodies.Example(
            question=body.question, answer=wanted, evidence=body.evidence,
            reviewed=call.principal.may("editor"),
        )  # fmt: skip
        example = examples.identity(body.question, wanted)
        of(call).rows.add([made.row(example)])
        return new, example

    new, example = await call.work.other.run(work)
    return JSONResponse({"id": id, "example": example}, 201 if new else 200)


@router.get("/feedback")
async def all_feedback(
    call: Editor,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """What people said, newest first."""
    rows = list(reversed(await call.work.other.run(of(call).feedback.all)))
    at = next((n + 1 for n, row in enumerate(rows) if row["id"] == after), 0) if after else 0
    page = rows[at : at + limit]
    more = page[-1]["id"] if at + limit < len(rows) else None
    return JSONResponse({"feedback": page, "total": len(rows), "next": more})
