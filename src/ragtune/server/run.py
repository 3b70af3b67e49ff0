"""Runs the application with uvicorn until a signal stops it; streams end before it does."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from ragtune.errors import ConfigError
from ragtune.server.context import Server


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ConfigError."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # With the protocol named, asyncio sets TCP_NODELAY on what it accepts. Without, each answer
        # waits 40 ms for an acknowledgement that the other side is delaying.
        opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(2048)
        return opened
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}: choose another --port"
        ) from None


class _Stopping(uvicorn.Server):
    """Tells streams without an end (progress of a job) that it is time to end."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], object]) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: no new requests, and those that run may end; a second Ctrl-C ends them.

        uvicorn would raise the signal again afterwards, and nothing would be closed.
        """
        self._stopping()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def serve(app: FastAPI, opened: socket.socket) -> None:
    """Serves until SIGINT or SIGTERM; a second SIGINT does not wait for streams."""
    server: Server = app.state.server

    async def main() -> None:
        loop = asyncio.get_running_loop()
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=int(server.options.limits.drain_seconds),
            timeout_keep_alive=30, h11_max_incomplete_event_size=64 * 1024,
        )  # fmt: skip
        runner = _Stopping(config, lambda: loop.call_soon_threadsafe(server.stopping.set))
        await runner.serve(sockets=[opened])

    asyncio.run(main())
