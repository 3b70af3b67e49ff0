"""Errors as `application/problem+json` (RFC 9457); below /v1 with OpenAI's `error` object too.

A problem never repeats what was sent, and an unexpected error says only its request's id: what
happened is in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ragtune import errors
from ragtune.errors import RagtuneError

log = logging.getLogger("ragtune.server")

CONTENT_TYPE = "application/problem+json"


class Problem(HTTPException):
    """An answer that is an error: `detail` is one line for a person, `members` go beside it."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.members = members


def busy(retry_after: float, status: int = 503) -> Problem:
    """Too much is waiting: come back in `retry_after` seconds."""
    seconds = max(1, round(retry_after))
    detail = f"too many requests are waiting: try again in {seconds} s"
    return Problem(status, detail, {"Retry-After": str(seconds)})


def of(error: Exception) -> Problem:
    """What `error` is to a client."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(error.status_code, str(error.detail), error.headers)
    if isinstance(error, RagtuneError):
        status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 500)
        return Problem(status, str(error))
    return Problem(500, "an unexpected error: the server's log has it under this request id")


_STATUS: Mapping[type[RagtuneError], int] = {
    errors.ConfigError: 400,
    errors.DocumentError: 404,
    errors.TuneError: 409,
    errors.GenerationError: 502,
    errors.WorkspaceError: 503,
    errors.WeightsError: 503,
}


def body(problem: Problem, request_id: str, openai: bool = False) -> dict[str, Any]:
    """The problem's JSON object."""
    status = problem.status_code
    made: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": str(problem.detail),
        "request_id": request_id,
        **problem.members,
    }
    if openai:
        made["error"] = {
            "message": made["detail"],
            "type": _openai_type(status),
            "param": problem.members.get("param"),
            "code": problem.members.get("code"),
        }
    return made


def _openai_type(status: int) -> str:
    if status == 401:
        return "authentication_error"
    if status == 403:
        return "permission_error"
    if status in (429, 503):
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"


def response(problem: Problem, request_id: str, path: str) -> JSONResponse:
    """The problem as a response to a request for `path`."""
    content = body(problem, request_id, path.startswith("/v1/"))
    return JSONResponse(content, problem.status_code, problem.headers, CONTENT_TYPE)


def install(app: FastAPI) -> None:
    """Makes every error of `app` a problem."""

    async def known(request: Request, error: Exception) -> Response:
        problem = of(error)
        if problem.status_code == 500:
            log.error("unexpected error", exc_info=error, extra={"request": request_id(request)})
        return response(problem, request_id(request), request.url.path)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [_finding(e) for e in error.errors()[:20]]
        said = "; ".join(f"{e['field']}: {e['message']}" for e in found[:3])
        problem = Problem(422, said or "the request is not valid", errors=found)
        return response(problem, request_id(request), request.url.path)

    app.add_exception_handler(RequestValidationError, invalid)
    for kind in (HTTPException, RagtuneError, Exception):
        app.add_exception_handler(kind, known)


def _finding(error: Mapping[str, Any]) -> dict[str, str]:
    """Which field is wrong and why; of a body that is no JSON, where it ends to be some."""
    if error["type"] == "json_invalid":
        why = str(error.get("ctx", {}).get("error", "it cannot be read"))
        return {"field": "body", "message": f"not JSON at character {error['loc'][-1]}: {why}"}
    return {"field": ".".join(map(str, error["loc"])), "message": str(error["msg"])}


def request_id(request: Request) -> str:
    """The id that `middleware.Outermost` gave the request."""
    return str(request.scope.get("ragtune.request_id", ""))
