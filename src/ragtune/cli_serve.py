"""`ragtune serve` and `ragtune mcp`: the workspace for browsers and programs."""

from __future__ import annotations

import ipaddress
import logging
import sys

import click

from ragtune import config
from ragtune.console import common, open_workspace, out
from ragtune.errors import ConfigError

_SHORTEST = 16  # characters of a token that people choose


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8733, show_default=True,
              help="0 takes a free one.")  # fmt: skip
@click.option("--watch/--no-watch", default=True, help="Keep the index equal to the folders.")
@click.option("--behind-tls", metavar="NAME", multiple=True,
              help="The host name under which a TLS proxy in front of it is reached.")  # fmt: skip
@click.option("--oidc", metavar="ISSUER",
              help="Let people sign in through this OpenID Connect provider (the secret: "
              "RAGTUNE_OIDC_SECRET).")  # fmt: skip
@click.option("--oidc-client", metavar="ID", default="", help="What the provider knows this by.")
@click.option("--oidc-groups", metavar="CLAIM", default="",
              help="The claim that lists a person's groups; else they are kept here.")  # fmt: skip
@click.option("--log", "log_level", type=click.Choice(["error", "info", "debug"]), default="error",
              show_default=True, help="info: a JSON line a request, without texts.")  # fmt: skip
@common
def serve(
    host: str, port: int, watch: bool, behind_tls: tuple[str, ...], oidc: str | None,
    oidc_client: str, oidc_groups: str, log_level: str,
    workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Serve the web page, an OpenAI-compatible API and MCP over the workspace."""
    import secrets

    given = _check(host, behind_tls)
    _extra(oidc is not None)
    from ragtune.server import run, tracing
    from ragtune.server.app import create_app
    from ragtune.server.oidc import check
    from ragtune.server.options import Options, Provider

    provider = None
    if oidc is None and (oidc_client or oidc_groups):
        raise ConfigError("--oidc-client and --oidc-groups need --oidc ISSUER")
    if oidc is not None:
        secret = config.secret("RAGTUNE_OIDC_SECRET") or ""
        provider = Provider(oidc, oidc_client, secret, oidc_groups)
        check(provider)
    logging.basicConfig(stream=sys.stderr, level=log_level.upper(), format="%(message)s")
    tracing.setup()
    with open_workspace(workspace) as opened:
        listening = run.listen(host, port)
        port = listening.getsockname()[1]
        names = (*Options().hosts, host if ":" not in host else f"[{host}]", *behind_tls)
        options = Options(host, port, names, bool(behind_tls), watch, provider=provider)
        token = given or secrets.token_urlsafe(32)
        app = create_app(opened, token, options)
        at = f"https://{behind_tls[0]}" if behind_tls else f"http://{_shown(host)}:{port}"
        link = f"{at}/start#token={app.state.server.access.code()}"
        said = {"url": at, "link": link, "token": None if given else token}
        out(as_json, said, [
            f"Open    {link}",
            "        (this link signs one browser in, once)",
            f"API     {at}/v1   key: " + ("from RAGTUNE_TOKEN" if given else token),
            "Ctrl-C stops.",
        ])  # fmt: skip
        sys.stdout.flush()
        run.serve(app, listening)


@click.command()
@common
def mcp(workspace: str | None, as_json: bool) -> None:
    """Serve the workspace to an MCP client over standard input and output."""
    import asyncio

    _extra()
    from ragtune.server.mcp import over_stdio

    with open_workspace(workspace) as opened:
        asyncio.run(over_stdio(opened))


def _check(host: str, behind_tls: tuple[str, ...]) -> str | None:
    """The token that RAGTUNE_TOKEN holds, if any. Raises ConfigError."""
    token = config.secret("RAGTUNE_TOKEN")
    if token is not None and (len(token) < _SHORTEST or not token.isascii() or " " in token):
        raise ConfigError(f"RAGTUNE_TOKEN must be at least {_SHORTEST} ASCII characters, no spaces")
    if not _loopback(host) and not (behind_tls and token):
        raise ConfigError(
            f"--host {host} is open to others: set RAGTUNE_TOKEN, put a TLS proxy in front and "
            "name it with --behind-tls NAME"
        )
    return token


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _extra(oidc: bool = False) -> None:
    import importlib.util

    if oidc and importlib.util.find_spec("joserfc") is None:
        raise ConfigError("--oidc needs a further package: pip install 'ragtune[serve,oidc]'")
    if any(importlib.util.find_spec(n) is None for n in ("fastapi", "uvicorn", "mcp")):
        raise ConfigError("serving needs further packages: pip install 'ragtune[serve]'")
