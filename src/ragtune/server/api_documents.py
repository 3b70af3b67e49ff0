"""Changing documents and opening their places, under /api: uploads, delete, citations, pages."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from ragtune import places
from ragtune.errors import DocumentError
from ragtune.ingest.files import GoneError, read_file
from ragtune.ingest.remove import remove
from ragtune.ingest.sources import Item, Stat, below, path_of
from ragtune.server import bodies, opening, pdf_page, uploads
from ragtune.server.context import Call, Editor, Server, Signed
from ragtune.server.pictures import Picture
from ragtune.server.problems import Problem
from ragtune.server.uploads import Stored
from ragtune.status import CONTAINERS
from ragtune.types import Citation, Document, Place
from ragtune.workspace import Workspace

router = APIRouter(prefix="/api", tags=["documents"])

FILES = 500  # of one request
Wait = Annotated[bool, Query(description="answer when they can be asked about, not at once")]
_BODY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "properties": {
    "files": {"type": "array", "items": {"type": "string", "format": "binary"}}}}}  # fmt: skip


# ---------------------------------------------------------------- uploads


@router.put(
    "/files/{path:path}", status_code=201,
    openapi_extra={"requestBody": {"content": {"application/octet-stream": _BODY}}},
    responses={200: {"description": "The same bytes were there already."}},
)  # fmt: skip
async def put_file(path: str, request: Request, call: Editor, wait: Wait = True) -> Response:
    """Keeps the body as a file of this path and indexes it; the same bytes again change nothing."""
    store = call.server.uploads
    _may_write(call, store.parts(path))  # before a byte is read
    with store.arriving() as arriving:
        async for chunk in request.stream():
            await asyncio.to_thread(arriving.write, chunk)
        stored = await call.work.other.run(store.place, path, arriving)
    (made,) = await _indexed(call, [stored], wait)
    return JSONResponse(made, 201 if stored.created else 200)


@router.post(
    "/files", status_code=201,
    openapi_extra={"requestBody": {"content": {"multipart/form-data": _FORM}}},
)  # fmt: skip
async def post_files(request: Request, call: Editor, wait: Wait = True) -> Response:
    """Keeps the files of a form; a file's name may be a path, as of a folder that was dropped.

    All names are looked at before anything is kept.
    """
    store = call.server.uploads
    kept: list[Stored] = []
    async with request.form(max_files=FILES, max_fields=0) as form:
        files = [f for _, f in form.multi_items() if isinstance(f, UploadFile)]
        if not files:
            raise Problem(400, "there is no file in the form")
        for file in files:
            _may_write(call, store.parts(file.filename or ""))
        for file in files:
            with store.arriving() as arriving:
                await call.work.other.run(arriving.copy, file.file)
                name = file.filename or ""
                kept.append(await call.work.other.run(store.place, name, arriving))
    return JSONResponse({"files": await _indexed(call, kept, wait)}, 201)


def _may_write(call: Call, parts: Sequence[str]) -> None:
    """Raises Problem 403 where the editor could not see the file: it would replace another's."""
    call.notes["document"] = uri = "/".join((uploads.FOLDER, *parts))
    if not call.view.may_replace(uri):
        raise Problem(403, "this folder is not yours to see")


async def _indexed(call: Call, stored: Sequence[Stored], wait: bool) -> list[dict[str, Any]]:
    """Indexes uploaded files; what became of each."""
    server = call.server
    indexing = call.work.index.run(_index, server, [s.path for s in stored])
    if wait:
        await indexing
    else:
        task = asyncio.create_task(indexing)
        server.tasks.add(task)
        task.add_done_callback(server.tasks.discard)
    return await call.work.other.run(_states, server.workspace, stored, wait)


def _index(server: Server, paths: Sequence[Path]) -> None:
    workspace, folder = server.workspace, server.uploads.folder
    known = any(below(uploads.FOLDER, source.uri) for source in workspace.store.sources())
    workspace.add(paths if known else [folder])


def _states(workspace: Workspace, stored: Sequence[Stored], looked: bool) -> list[dict[str, Any]]:
    made = []
    for one in stored:
        info = workspace.store.info(one.uri) if looked else None
        if info is not None and info.error is None and info.type in CONTAINERS:
            info = None  # its own entry holds nothing
        state, error, passages = "waiting", None, 0
        left_out: tuple[str, ...] = ()
        if info is not None:
            state, error, passages = info.state, info.error, info.passages
            left_out = info.left_out
        elif looked:  # an archive: its members are the documents
            members = [i for i in workspace.documents() if below(i.uri, one.uri)]
            state = "indexed" if members else "quarantined"
            error = None if members else "nothing in it could be read"
            passages = sum(i.passages for i in members)
            left_out = tuple(note for i in members for note in i.left_out)
        made.append({
            "uri": one.uri, "sha256": one.sha256, "size": one.size, "created": one.created,
            "state": state, "error": error, "passages": passages, "left_out": left_out,
        })  # fmt: skip
    return made


@router.delete("/documents", status_code=204)
async def delete(
    call: Editor, uri: Annotated[str, Query(min_length=1, max_length=2000)]
) -> Response:
    """Takes a document out of the index, and deletes it where it was uploaded.

    Other files stay where they are, and are not read again before `ragtune add` names them.
    """

    def work() -> None:
        call.notes["document"] = uri
        call.view.info(uri)
        if not call.view.may_replace(uri):
            raise Problem(403, "some of what is in this file is not yours to see")
        workspace = call.server.workspace
        call.server.uploads.delete(uri)
        remove([uri], workspace.store, workspace.settings, workspace.root, cwd=str(workspace.root))

    await call.work.index.run(work)
    return Response(status_code=204)


# ---------------------------------------------------------------- places


@router.post("/citation")
async def citation(body: bodies.Cited, call: Signed) -> Response:
    """Whether a citation still says what it said, and its place as it is now.

    `state` is `current`, `moved` (`open` shows where to) or `stale` (`open` is null).
    """
    given = Citation(0, body.uri, body.quote, body.start, body.end, Place(""), body.sha256)

    def work() -> dict[str, Any]:
        state = call.view.check(given)
        if state == "stale":
            return {"state": state, "open": None}
        document = call.view.document(body.uri)
        start = body.start if state == "current" else _nearest(document, body.quote, body.start)
        if start < 0:  # it changed a moment ago
            return {"state": "stale", "open": None}
        end = start + len(body.quote)
        return {"state": state, "open": opening.window(document, start, end, body.around)}

    return JSONResponse(await call.work.other.run(work))


def _nearest(document: Document, quote: str, at: int) -> int:
    """Where `quote` stands in the text, nearest to `at`; -1 where it does not."""
    before, behind = document.text.rfind(quote, 0, at + len(quote)), document.text.find(quote, at)
    found = [n for n in (before, behind) if n >= 0]
    return min(found, key=lambda n: abs(n - at)) if found else -1


@router.get("/page.png", responses={200: {"content": {"image/png": {}}}})
async def page_image(
    call: Signed,
    request: Request,
    uri: Annotated[str, Query(min_length=1, max_length=2000)],
    page: Annotated[int, Query(ge=0, le=100_000, description="0: where the passage is")] = 0,
    start: Annotated[int, Query(ge=0)] = 0,
    end: Annotated[int, Query(ge=0, description="0: no passage is boxed")] = 0,
    width: Annotated[int, Query(ge=200, le=2400, description="pixels")] = 1000,
) -> Response:
    """A page of a PDF as a picture, with the passage from `start` to `end` boxed.

    The header `X-Pages` says how many pages there are, and `X-Box-Top` where the box begins, as a
    share of the picture's height.
    """

    call.notes["document"] = uri

    def work() -> tuple[Picture | None, str]:
        document = call.view.document(uri)
        if document.type != "pdf":
            raise Problem(404, "only pages of PDF files are shown as pictures")
        at, boxes = _boxes(document, page, start, end)
        key = f"{document.sha256} {at} {boxes} {width}"
        tag = f'"{hashlib.sha256(key.encode()).hexdigest()[:32]}"'
        if request.headers.get("if-none-match") == tag:
            return None, tag
        made = call.server.pictures.get(key)
        if made is None:
            settings = call.server.workspace.settings
            top, _, member = uri.partition("!/")
            data = _source(call.server.workspace, call.view.document(top) if member else document)
            made = pdf_page.draw(data, at, boxes, width, settings, member)
            call.server.pictures.put(key, made)
        return made, tag

    picture, tag = await call.work.pictures.run(work)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if picture is None:
        return Response(status_code=304, headers=headers)
    headers |= {"X-Pages": str(picture.pages), "X-Box-Top": f"{picture.top:.4f}"}
    return Response(picture.png, headers=headers, media_type="image/png")


def _boxes(
    document: Document, page: int, start: int, end: int
) -> tuple[int, list[tuple[float, float, float, float]]]:
    """Which page, and the boxes of the passage on it."""
    if not end:
        return page or 1, []
    if not start < end <= len(document.text):
        raise Problem(400, f"start and end must be in order, up to {len(document.text)}")
    boxes = places.place(document, start, end).boxes
    at = page or (boxes[0][0] if boxes else places.place(document, start, end).page) or 1
    return at, [box[1:] for box in boxes if box[0] == at]


def _source(workspace: Workspace, document: Document) -> bytes:
    """The bytes that were indexed. Raises DocumentError where the file is another by now."""
    path = path_of(document.uri, str(workspace.root))
    nothing = Stat(0, 0, 0, 0)
    try:
        content = read_file(Item(document.uri, path, nothing), workspace.settings.max_file_mb)
    except (GoneError, OSError):
        raise DocumentError("the file is not there any more") from None
    if content.sha256 != document.sha256:
        raise DocumentError("the file has changed: ask again")
    return content.data
