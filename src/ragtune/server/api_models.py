"""Tuned models under /api: the registry with its passports, which one is in use, roll back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from ragtune import config
from ragtune.models import adapters
from ragtune.render import jsonable
from ragtune.server import bodies
from ragtune.server.context import Call, Editor, Signed

router = APIRouter(prefix="/api/adapters", tags=["models"])


def _shown(listed: adapters.Listed) -> dict[str, Any]:
    return {
        "name": listed.name, "active": listed.active, "built_in": listed.built_in,
        "problem": listed.problem, "passport": jsonable(listed.passport),
    }  # fmt: skip


def _registry(call: Call) -> dict[str, Any]:
    root = call.server.workspace.root / config.DATA_FOLDER
    found = adapters.list_adapters(root)
    return {"active": adapters.active(root), "adapters": [_shown(one) for one in found]}


@router.get("")
async def listed(call: Signed) -> Response:
    """The tuned models with their passports, newest last."""
    return JSONResponse(await call.work.other.run(_registry, call))


@router.post("/use")
async def use(body: bodies.Use, call: Editor) -> Response:
    """Which model writes from now on: a tuned one, or "base"."""

    def work() -> dict[str, Any]:
        adapters.use(call.server.workspace.root / config.DATA_FOLDER, body.name)
        return _registry(call)

    return JSONResponse(await call.work.other.run(work))


@router.post("/rollback")
async def rollback(call: Editor) -> Response:
    """Back to what was in use before."""

    def work() -> dict[str, Any]:
        adapters.use_previous(call.server.workspace.root / config.DATA_FOLDER)
        return _registry(call)

    return JSONResponse(await call.work.other.run(work))


@router.delete("/{name}", status_code=204)
async def delete(name: str, call: Editor) -> Response:
    """Deletes a tuned model that is not in use."""
    root = call.server.workspace.root / config.DATA_FOLDER
    await call.work.other.run(adapters.remove, root, name)
    return Response(status_code=204)
