"""The web page: a screen an address, rendered here; what a screen shows comes from /api.

A screen's HTML holds texts and structure only, nothing of the workspace, so that it can be looked
at without care. Scripts put answers and documents into text nodes. Language and theme are cookies
that say nothing about anybody.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from ragtune.server import assets
from ragtune.server.access import OWNER
from ragtune.server.assets import LANGUAGES
from ragtune.server.problems import Problem

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

    from ragtune.server.access import Principal
    from ragtune.server.context import Server

router = APIRouter(include_in_schema=False)

SCREENS = {
    "ask": "/",
    "side": "/side-by-side",
    "documents": "/documents",
    "train": "/train",
    "compare": "/compare",
}
START = "/start"
THEMES = ("auto", "light", "dark")
_YEAR = 365 * 86_400


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(assets.WEB / "templates"),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def _render(request: Request, template: str, status: int = 200, **given: Any) -> Response:
    static = assets.load()
    language = _language(request)
    texts = assets.catalogue()[language]
    theme = request.cookies.get("ragtune_theme", "auto")

    def text(key: str, **values: object) -> str:
        said = texts[key]
        for name, value in values.items():
            said = said.replace("{" + name + "}", str(value))
        return said

    modules = static.modules(f"{template}.js")
    if "dom.js" in modules:  # the largest first: they come in turns
        modules.insert(0, f"texts.{language}.js")
    html = _templates().get_template(f"{template}.html").render(
        t=text, language=language, languages=LANGUAGES, themes=THEMES, screens=SCREENS,
        theme=theme if theme in THEMES else "auto", screen=template, url=static.url,
        shown="compare" if template == "report" else template,
        modules=modules, path=request.url.path, **given,
    )  # fmt: skip
    headers = {"Cache-Control": "no-store", "Content-Language": language}
    return assets.packed(request, html.encode(), "text/html; charset=utf-8", headers, status=status)


def _language(request: Request) -> str:
    """The language that was chosen, or the first that the browser asks for and we have."""
    chosen = request.cookies.get("ragtune_lang", "")
    if chosen in LANGUAGES:
        return chosen
    asked = request.headers.get("accept-language", "")
    for part in asked.split(","):
        language = re.split(r"[-;]", part.strip().lower(), maxsplit=1)[0]
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]


def _signed_in(request: Request) -> Principal | None:
    """Who asks for a page; None: show the sign-in page. Raises Problem for a forged request."""
    server: Server = request.app.state.server
    try:
        return server.access.principal(request)
    except Problem as problem:
        if problem.status_code != 401:
            raise
        return None


def _sign_in(request: Request) -> Response:
    server: Server = request.app.state.server
    provider = server.options.provider
    host = urlsplit(provider.issuer).hostname if provider else ""
    # A browser logs an error for a page of status 401; programs should see that they are strangers.
    status = 200 if "text/html" in request.headers.get("accept", "") else 401
    return _render(request, "signin", status, provider=host)


def _shown(template: str) -> Callable[[Request], Any]:
    async def show(request: Request) -> Response:
        server: Server = request.app.state.server
        principal = _signed_in(request)
        if principal is None:
            return _sign_in(request)
        given = _prices(server, _language(request)) if template == "side" else {}
        return _render(request, template, principal=principal, **given)

    return show


async def _start(request: Request) -> Response:
    """Where the printed link leads: the first screen, which signs the owner in while it loads.

    Open to all, as it holds nothing: without the link's code its script goes to the sign-in page.
    """
    return _render(request, "ask", principal=OWNER)


async def _report(request: Request, job: str) -> Response:
    """A comparison's report, made again from its results under this page's style."""
    server: Server = request.app.state.server
    principal = _signed_in(request)
    if principal is None:
        return _sign_in(request)
    if not principal.may("editor"):
        raise Problem(403, "this needs the role editor")
    body = await server.work.other.run(_report_body, server, job)
    return _render(request, "report", principal=principal, job=job, body=body)


def _report_body(server: Server, job: str) -> Markup:
    from markupsafe import Markup

    from ragtune.compare import report

    path = server.jobs.folder(server.jobs.get(job).id) / "report" / "results.json"
    if not path.is_file():
        raise Problem(404, "no such report")
    return Markup(report.body(json.loads(path.read_text("utf-8"))))  # noqa: S704 - all escaped there


def _prices(server: Server, language: str) -> dict[str, Any]:
    """What an hour of a core costs, as a comparison has it, and how many cores an answer takes."""
    from ragtune.compare.cost import read_prices

    prices = read_prices()
    shown = str(prices.cpu_hour).replace(".", "," if language == "de" else ".")
    return {"cpu_hour": prices.cpu_hour, "price": shown, "currency": prices.currency,
            "threads": server.workspace.settings.threads or os.cpu_count() or 1}  # fmt: skip


for _name, _path in SCREENS.items():
    router.add_api_route(_path, _shown(_name), methods=["GET"], response_model=None)
router.add_api_route(START, _start, methods=["GET"], response_model=None)
router.add_api_route("/compare/{job}", _report, methods=["GET"], response_model=None)
router.add_api_route("/open", _shown("open"), methods=["GET"], response_model=None)


@router.get("/preferences")
async def preferences(back: str = "/", lang: str = "", theme: str = "") -> Response:
    """Keeps a language or a theme and goes back to the screen."""
    known = back in SCREENS.values() or re.fullmatch(r"/compare/[A-Za-z0-9_-]{1,64}", back)
    response = RedirectResponse(back if known else "/", 303)
    if lang in LANGUAGES:
        response.set_cookie("ragtune_lang", lang, max_age=_YEAR, httponly=True, samesite="lax")
    if theme in THEMES:
        response.set_cookie("ragtune_theme", theme, max_age=_YEAR, httponly=True, samesite="lax")
    return response


@router.get("/static/{version}/{name}")
async def static(request: Request, version: str, name: str) -> Response:
    """A static file."""
    return assets.load().response(request, version, name)
