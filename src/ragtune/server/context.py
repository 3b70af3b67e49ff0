"""What a handler gets: `call: Signed` (or `Editor`, `Admin`) as its parameter.

async def search(body: Search, call: Signed) -> dict[str, Any]:
    hits = await call.work.search.run(call.view.search, body.query, body.k)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.types import Scope

from ragtune.server.access import Access, Principal, Role
from ragtune.server.examples import Examples
from ragtune.server.jobs import Jobs
from ragtune.server.metrics import Metrics
from ragtune.server.oidc import Logins
from ragtune.server.options import Options
from ragtune.server.pictures import Pictures
from ragtune.server.problems import Problem
from ragtune.server.scope import View
from ragtune.server.uploads import Uploads
from ragtune.server.work import Work
from ragtune.workspace import Workspace


@dataclass(slots=True)
class Server:
    """Everything that one server holds; `request.app.state.server`."""

    workspace: Workspace
    options: Options
    access: Access
    work: Work
    jobs: Jobs
    metrics: Metrics
    examples: Examples
    uploads: Uploads
    logins: Logins | None
    pictures: Pictures = field(default_factory=Pictures)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)  # indexing that nobody waits for
    wake: asyncio.Event = field(default_factory=asyncio.Event)  # there is a new job
    stopping: asyncio.Event = field(default_factory=asyncio.Event)  # streams without an end end
    ready: str = "the models are loading"  # empty: ready


def make(workspace: Workspace, access: Access, options: Options) -> Server:
    """A server over `workspace`."""
    work = Work(options.limits)
    root = workspace.root
    uploads = Uploads(root, workspace.settings, options.limits.upload_bytes)
    logins = None if options.provider is None else Logins(options.provider)
    return Server(workspace, options, access, work, Jobs(root), Metrics(work), Examples(root),
                  uploads, logins)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks, what they see, and the server."""

    principal: Principal
    view: View
    server: Server
    notes: dict[str, Any] = field(default_factory=dict)  # what the audit log says beside the route

    @property
    def work(self) -> Work:
        """The lanes that the library is called in."""
        return self.server.work

    @property
    def jobs(self) -> Jobs:
        """Tuning and comparison runs."""
        return self.server.jobs


_bearer = HTTPBearer(auto_error=False, description="The token that `ragtune serve` prints")


# What is made of documents (examples name passages, reports quote them) is for those from whom no
# document is hidden: it does not say of which it is made.
WHOLE = ("/api/examples", "/api/jobs", "/api/tunes", "/api/compares")


def of(server: Server, principal: Principal, scope: Scope | None = None) -> Call:
    """The call of a principal; `scope` is its request's."""
    view = View(server.workspace, principal, server.access.users.visibility(principal))
    notes = {} if scope is None else scope.setdefault("ragtune.notes", {})
    notes["who"] = (principal.key and f"{principal.name} (key {principal.key})") or principal.name
    return Call(principal, view, server, notes)


def enter(server: Server, principal: Principal, scope: Scope) -> None:
    """Counts a request against the limits of its key until it ends. Raises Problem 429."""
    release = server.access.quotas.enter(principal)
    scope.setdefault("ragtune.ending", []).append(release)


def _needs(role: Role) -> Callable[..., Call]:
    async def call(request: Request, _: Annotated[object, Depends(_bearer)]) -> Call:
        server: Server = request.app.state.server
        principal = server.access.principal(request)
        if not principal.may(role):
            raise Problem(403, f"this needs the role {role}")
        enter(server, principal, request.scope)
        made = of(server, principal, request.scope)
        path = request.url.path
        if not made.view.whole and (
            path.startswith(WHOLE) or (path == "/api/feedback" and request.method == "GET")
        ):
            raise Problem(403, "this is for those who may see all documents")
        return made

    return call  # type: ignore[return-value]


Signed = Annotated[Call, Depends(_needs("reader"))]
Editor = Annotated[Call, Depends(_needs("editor"))]
Admin = Annotated[Call, Depends(_needs("admin"))]
