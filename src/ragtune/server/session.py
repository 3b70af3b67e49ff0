"""Signing a browser in and out, and the probes of whoever watches the server."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from ragtune.server import bodies
from ragtune.server.access import SESSION_SECONDS, unauthorized
from ragtune.server.context import Admin, Server, Signed
from ragtune.server.problems import Problem

router = APIRouter()


@router.post("/api/session", tags=["session"], status_code=201)
async def sign_in(body: bodies.SignIn, request: Request) -> Response:
    """Exchanges the code of the printed link (once), or a token, for a session cookie."""
    server: Server = request.app.state.server
    access = server.access
    if not access.same_origin(request):
        raise Problem(403, "only a page of this server may sign in")
    if body.secret is not None:
        principal = access.of_secret(body.secret)
    else:
        name = body.name or ""
        access.may_try(name)
        principal = await server.work.sign_in.run(access.of_password, name, body.password or "")
        if principal is not None:
            access.tried_well(name)
    if principal is None:
        access.audit.write((body.name or "?")[:100], "sign in", 401)
        raise unauthorized(
            "this link was used already, or the token is not valid" if body.secret
            else "name or password is wrong"
        )  # fmt: skip
    session = access.begin(principal, request)
    access.audit.write(principal.name, "sign in", 201)
    response = JSONResponse({"signed_in": True}, 201)
    response.set_cookie(
        access.cookie, session, max_age=SESSION_SECONDS, path="/",
        secure=server.options.secure, httponly=True, samesite="strict",
    )  # fmt: skip
    return response


@router.get("/api/session", tags=["session"])
async def who(call: Signed) -> Response:
    """Who is signed in."""
    principal = call.principal
    return JSONResponse(
        {"name": principal.name, "role": principal.role, "groups": list(principal.groups)}
    )


@router.delete("/api/session", tags=["session"], status_code=204)
async def sign_out(request: Request, call: Signed) -> Response:
    """Ends this browser's session."""
    call.server.access.sign_out(request)
    response = Response(status_code=204)
    secure = call.server.options.secure
    response.delete_cookie(
        call.server.access.cookie, path="/", secure=secure, httponly=True, samesite="strict"
    )
    return response


@router.get("/healthz", tags=["operation"])
async def healthz() -> Response:
    """The process lives."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", tags=["operation"])
async def readyz(request: Request) -> Response:
    """Models are loaded, and it is not stopping: 200; otherwise 503."""
    server: Server = request.app.state.server
    if server.stopping.is_set() or server.ready:
        raise Problem(503, server.ready or "the server is stopping", {"Retry-After": "2"})
    return JSONResponse({"status": "ready"})


@router.get("/metrics", tags=["operation"])
async def metrics(call: Admin) -> Response:
    """Prometheus metrics."""
    return Response(call.server.metrics.text(), media_type="text/plain; version=0.0.4")
