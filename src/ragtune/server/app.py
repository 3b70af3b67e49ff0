"""The application: `create_app(workspace, token)` is all that a test or another server needs."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from ragtune import config
from ragtune.errors import RagtuneError
from ragtune.ingest.still import Still, available
from ragtune.server import (
    api,
    api_documents,
    api_examples,
    api_jobs,
    api_models,
    context,
    mcp,
    openai,
    pages,
    problems,
    responses,
    session,
)
from ragtune.server.access import Access
from ragtune.server.context import Server
from ragtune.server.middleware import Outermost
from ragtune.server.oidc import Logins
from ragtune.server.options import Options
from ragtune.workspace import Workspace

log = logging.getLogger("ragtune.server")


def create_app(workspace: Workspace, token: str, options: Options | None = None) -> FastAPI:
    """The application over `workspace`; `app.state.server` is its Server.

    `token` is what programs send as bearer token. The caller opens the workspace and closes it.
    """
    options = options or Options()
    access = Access(token, options, workspace.root / config.DATA_FOLDER)
    server = context.make(workspace, access, options)

    tools = mcp.Endpoint(server)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stop = threading.Event()
        tasks = [asyncio.create_task(_load(server)), asyncio.create_task(api_jobs.run_jobs(server))]
        if server.logins is not None:
            tasks.append(asyncio.create_task(_reach(server.logins)))
        if options.watch:
            # With the watcher, which looks at all files every ten minutes, whatever the kernel says
            if available():
                workspace.freshness.still = Still(workspace.root, workspace.settings)
            thread = threading.Thread(target=_watch, args=(workspace, stop), name="ragtune-watch")
            thread.start()
        try:
            async with tools.running():
                yield
        finally:
            server.stopping.set()
            stop.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if options.watch:
                await asyncio.to_thread(thread.join, 10.0)
                if (still := workspace.freshness.still) is not None:
                    still.close()
                    workspace.freshness.still = None
            server.work.close()

    app = FastAPI(
        title="ragtune", version="1", docs_url=None, redoc_url=None, lifespan=lifespan,
        openapi_url="/api/openapi.json",
        # FastAPI's own would record what was sent; ours does not
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )  # fmt: skip
    app.state.server = server
    problems.install(app)
    for part in (
        session, api, api_documents, api_examples, api_jobs, api_models, openai,
        responses, pages,
    ):  # fmt: skip
        app.include_router(part.router)
    if options.origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=options.origins, allow_credentials=False,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type"], expose_headers=["X-Request-ID"],
        )  # fmt: skip
    app.add_middleware(Outermost, server=server)
    app.router.routes.append(Route(mcp.PATH, tools, include_in_schema=False))

    return app


async def _load(server: Server) -> None:
    """Loads what a question needs, so that the first one does not wait for it."""
    try:
        await server.work.search.run(_warm, server.workspace)
        server.ready = ""
    except RagtuneError as error:
        server.ready = str(error)
        log.error("not ready: %s", error)


async def _reach(logins: Logins) -> None:
    """Says at the start, not only to the first who wants to sign in, that the provider is away."""
    if trouble := await asyncio.to_thread(logins.trouble):
        log.error("%s: nobody can sign in through it until it does", trouble)


def _warm(workspace: Workspace) -> None:
    system = workspace.system
    system.store.search("warm", system.embedder.embed(["warm"])[0], 1)
    if system.reader is not None:
        system.reader.read("warm", ["warm"])


def _watch(workspace: Workspace, stop: threading.Event) -> None:
    try:
        workspace.watch(stop, lambda report: log.info("folders: %s changes", _changes(report)))
    except Exception:
        log.exception("the folders are no longer watched")


def _changes(report: object) -> int:
    return sum(len(getattr(report, n)) for n in ("added", "changed", "moved", "deleted"))
