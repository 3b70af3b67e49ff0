"""Signing a browser in and out, and the probes of whoever watches the server."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from ragtune.server import bodies, oidc
from ragtune.server.access import SESSION_SECONDS, Principal, unauthorized
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
    access.audit.write(principal.name, "sign in", 201)
    return _begin(server, principal, request, _who(principal, 201))


def _who(one: Principal, status: int = 200) -> Response:
    return JSONResponse({"name": one.name, "role": one.role, "groups": list(one.groups)}, status)


def _begin(server: Server, who: Principal, request: Request, response: Response) -> Response:
    """`response`, with the cookie of a new session."""
    response.set_cookie(
        server.access.cookie, server.access.begin(who, request), max_age=SESSION_SECONDS, path="/",
        secure=server.options.secure, httponly=True, samesite="strict",
    )  # fmt: skip
    return response


# ---------------------------------------------------------------- through a login provider


def _logins(server: Server) -> oidc.Logins:
    if server.logins is None:
        raise Problem(404, "no login provider is set up: ragtune serve --oidc")
    return server.logins


@router.get("/sign-in", include_in_schema=False)
async def provider_begin(request: Request) -> Response:
    """Sends the browser to the login provider."""
    server: Server = request.app.state.server
    logins = _logins(server)
    scheme = "https" if server.options.secure else "http"
    callback = f"{scheme}://{request.headers['host']}/sign-in/callback"
    url, browser = await server.work.sign_in.run(logins.begin, callback)
    response = RedirectResponse(url, 303)
    # Lax, unlike the session's: the browser comes back from the provider's site.
    response.set_cookie(
        server.access.cookie + "_oidc", browser, max_age=int(oidc.BEGUN_SECONDS), path="/",
        secure=server.options.secure, httponly=True, samesite="lax",
    )  # fmt: skip
    return response


@router.get("/sign-in/callback", include_in_schema=False)
async def provider_end(
    request: Request,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    iss: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """Begins the session of whom the login provider vouches for."""
    server: Server = request.app.state.server
    access, logins = server.access, _logins(server)
    browser = request.cookies.get(access.cookie + "_oidc", "")

    def finish() -> Principal:
        return oidc.principal(access.users, logins.finish(state, code, iss, browser))

    try:
        who = await server.work.sign_in.run(finish)
    except Problem as problem:
        access.audit.write("?", "sign in by provider", problem.status_code)
        raise
    access.audit.write(who.name, "sign in by provider", 200)
    # A redirect would belong to the provider's navigation, which strict cookies are not sent with.
    page = HTMLResponse('<!doctype html><meta http-equiv="refresh" content="0;url=/">'
                        '<title>ragtune</title><a href="/">ragtune</a>')  # fmt: skip
    page.delete_cookie(access.cookie + "_oidc", path="/")
    return _begin(server, who, request, page)


@router.get("/api/session", tags=["session"])
async def who(call: Signed) -> Response:
    """Who is signed in."""
    return _who(call.principal)


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
