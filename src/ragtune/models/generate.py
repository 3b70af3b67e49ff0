"""Writing text: llama.cpp in this process, or any OpenAI-compatible endpoint.

Both stream pieces as they come, decode greedily by default, and turn every failure into a
one-line GenerationError. The generators open nothing and load nothing until the first `stream`.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ragtune import config
from ragtune.errors import ConfigError, GenerationError
from ragtune.models import weights
from ragtune.types import Generation, Generator, Message, OnProgress, Token

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("ragtune")

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 300.0  # a large model on a busy machine may think this long between two tokens
_STOP_SECONDS = 5.0  # how long closing a stream waits for the decoder to notice


class EmbeddedGenerator:
    """A GGUF model in llama.cpp inside this process; loads at the first `stream`, thread-safe.

    One slot: requests of several threads run one after the other, and what a request shares with
    the one before it at its beginning is not evaluated again. `locate` gives the GGUF file and is
    called once. `adapters` are LoRA files in GGUF by name, for `Generation.adapter`.
    """

    def __init__(
        self,
        name: str,
        locate: Callable[[], Path],
        context_tokens: int = 4096,
        threads: int = 0,
        adapters: Mapping[str, Path] | None = None,
    ) -> None:
        self.name = name
        self._locate = locate
        self._context_tokens = context_tokens
        self._threads = threads
        self._adapters = dict(adapters or {})
        self._lock = threading.Lock()
        self._server: Any = None

    def stream(self, messages: Sequence[Message], generation: Generation) -> Iterator[Token]:
        """The reply, piece by piece; closing the iterator stops decoding.

        Raises GenerationError, for a prompt larger than the context window too, and WeightsError
        where the model cannot be obtained.
        """
        if generation.adapter is not None and generation.adapter not in self._adapters:
            # llama.cpp ignores an adapter that it does not know and answers without one
            raise GenerationError(f"model {self.name} has no adapter {generation.adapter!r}")
        server = self._ready()
        request = {
            "messages": _as_json(messages),
            "max_tokens": generation.max_tokens,
            "temperature": generation.temperature,
            "seed": generation.seed,
            "stream": True,
            "cache_prompt": True,
            # The whole list every time: a request without it continues on the cache that another
            # adapter has filled.
            "lora": [
                {"id": number, "scale": 1.0 if name == generation.adapter else 0.0}
                for number, name in enumerate(self._adapters)
            ],
        }
        arrived: queue.SimpleQueue[dict[str, Any] | BaseException | None] = queue.SimpleQueue()
        cancelled = threading.Event()

        def receive(chunk: dict[str, Any]) -> bool:
            arrived.put(chunk)
            return cancelled.is_set()  # true stops the decoder

        def run() -> None:
            try:
                server.handle_chat_completions(request, receive)
                arrived.put(None)
            except BaseException as error:
                arrived.put(error)

        worker = threading.Thread(target=run, name="ragtune-generate", daemon=True)
        worker.start()
        try:
            while (chunk := arrived.get()) is not None:
                if isinstance(chunk, BaseException):
                    raise GenerationError(f"model {self.name} failed: {_one_line(chunk)}")
                text = self._text(chunk)
                if text:
                    yield Token(text)
        finally:
            cancelled.set()
            worker.join(_STOP_SECONDS)

    def _text(self, chunk: dict[str, Any]) -> str:
        """What a chunk adds to the reply. Raises GenerationError for an error chunk."""
        if "error" in chunk or "choices" not in chunk:
            error = chunk.get("error", chunk)
            if error.get("type") == "exceed_context_size_error":
                raise GenerationError(
                    f"the prompt has {error.get('n_prompt_tokens')} tokens, the window of model "
                    f"{self.name} is {error.get('n_ctx')}: raise context_tokens or give it less"
                )
            raise GenerationError(f"model {self.name} failed: {_one_line(error.get('message'))}")
        if timings := chunk.get("timings"):
            log.debug(
                "model %s: %s prompt tokens evaluated, %s from the cache, %s written",
                self.name,
                timings.get("prompt_n"),
                timings.get("cache_n"),
                timings.get("predicted_n"),
            )
        choices = chunk["choices"]
        return (choices[0]["delta"].get("content") or "") if choices else ""

    def _ready(self) -> Any:
        with self._lock:
            if self._server is None:
                self._server = self._load(self._locate())
            return self._server

    def _load(self, model: Path) -> Any:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        params.n_ctx = self._context_tokens
        params.n_parallel = 1
        params.cache_ram_mib = 0  # that cache mixes adapters up; the slot's own cache stays
        params.fit_params = False  # would change the context window in silence
        params.warmup = False
        params.verbosity = -1  # llama.cpp would write to stderr
        params.ui = False
        params.endpoint_slots = False
        params.offline = True
        for cpu in (params.cpuparams, params.cpuparams_batch):
            cpu.n_threads = self._threads or os.cpu_count() or 1
            cpu.poll = 0  # waiting threads sleep instead of spinning: kinder on a busy machine
        params.lora_adapters = [
            xllamacpp.CommonAdapterLoraInfo(str(path), 0.0) for path in self._adapters.values()
        ]
        # The server object always listens. On a socket in a private folder that is removed at
        # once nobody can reach it, unlike a TCP port.
        private = Path(tempfile.mkdtemp(prefix="ragtune-"))
        try:
            params.hostnames = [str(private / "unused.sock")]
            return xllamacpp.Server(params)
        except RuntimeError:  # its reason goes to the log that is switched off
            missing = [str(p) for p in (model, *self._adapters.values()) if not p.is_file()]
            reason = "no such file" if missing else "not a GGUF that llama.cpp can load, or damaged"
            raise GenerationError(
                f"model {self.name} does not load: {missing[0] if missing else model}: {reason}"
            ) from None
        finally:
            shutil.rmtree(private, ignore_errors=True)


class OpenAIGenerator:
    """A model behind an OpenAI-compatible endpoint (Ollama, llama-server, vLLM, a cloud).

    The key is read from environment variable `api_key_env` at each call and appears in no message.
    Redirects are not followed: they could carry the key to another host.
    """

    def __init__(self, name: str, base_url: str, api_key_env: str = "OPENAI_API_KEY") -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ConfigError(
                f"base_url = {parts._replace(netloc=parts.hostname or '').geturl()!r}: must be "
                "like http://127.0.0.1:11434/v1, without a user name or password in it"
            )
        self.name = name
        self._host = parts.hostname
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._api_key_env = api_key_env
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def stream(self, messages: Sequence[Message], generation: Generation) -> Iterator[Token]:
        """The reply, piece by piece; closing the iterator closes the connection.

        Raises GenerationError for whatever goes wrong, ConfigError for a key that cannot be one.
        """
        import httpx

        if generation.adapter is not None:
            raise GenerationError("adapters need the embedded generator, not an endpoint")
        request: dict[str, Any] = {
            "model": self.name,
            "messages": _as_json(messages),
            "max_tokens": generation.max_tokens,
            "temperature": generation.temperature,
            "stream": True,
        }
        if generation.temperature > 0:  # greedy needs none, and not every endpoint knows it
            request["seed"] = generation.seed
        try:
            with self._ready().stream(
                "POST", self._url, json=request, headers=self._headers()
            ) as response:
                if response.status_code != 200:
                    response.read()
                    raise GenerationError(self._refused(response))
                yield from self._pieces(response.iter_lines())
        except httpx.ConnectError as error:
            raise GenerationError(
                f"cannot reach {self._url}: {_one_line(error)}: is the server running, and "
                "base_url right?"
            ) from None
        except httpx.TimeoutException:
            raise GenerationError(f"{self._url} did not answer in time") from None
        except (httpx.HTTPError, httpx.StreamError, UnicodeDecodeError) as error:
            raise GenerationError(f"{self._url}: {_one_line(error)}") from None

    def _pieces(self, lines: Iterator[str]) -> Iterator[Token]:
        """Tokens from the lines of a stream of server-sent events."""
        ended = False
        for line in lines:
            if not line.startswith("data:"):
                if line.startswith("{"):  # an error, or a whole reply, instead of events
                    raise GenerationError(f"{self._url}: not a stream: {_one_line(line)}")
                continue  # blank lines, comments, other fields
            data = line[5:].strip()
            if data == "[DONE]":
                return
            try:
                chunk = json.loads(data)
                if chunk.get("error"):
                    error = chunk["error"]
                    message = error.get("message") if isinstance(error, dict) else error
                    raise GenerationError(f"{self._url}: {_one_line(message)}")
                for choice in chunk.get("choices") or ():  # usage chunks have none
                    ended = ended or bool(choice.get("finish_reason"))
                    text = (choice.get("delta") or {}).get("content")
                    if text:
                        yield Token(str(text))
            except (ValueError, AttributeError, TypeError):
                raise GenerationError(f"{self._url}: malformed stream: {_one_line(data)}") from None
        if not ended:
            raise GenerationError(f"{self._url}: the stream ended in the middle of the answer")

    def _refused(self, response: httpx.Response) -> str:
        status = response.status_code
        if status in (401, 403):
            return (
                f"{self._url} refuses the key (HTTP {status}): "
                f"put a valid one into environment variable {self._api_key_env}"
            )
        if response.is_redirect:
            location = urlsplit(response.headers.get("location", ""))
            where = f"{location.scheme}://{location.hostname}" if location.hostname else "elsewhere"
            return f"{self._url} redirects to {where}: set base_url to the final address"
        try:
            body = response.json()
            error = body.get("error", body)
            said = error.get("message", error) if isinstance(error, dict) else error
        except (ValueError, AttributeError):
            said = response.text
        if status == 404:
            return f"no model {self.name!r} at {self._url} (HTTP 404): {_one_line(said)}"
        return f"{self._url}: HTTP {status}: {_one_line(said)}"

    def _headers(self) -> dict[str, str]:
        key = (config.secret(self._api_key_env) or "").strip()
        if not key:
            return {}
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(f"environment variable {self._api_key_env} does not hold a valid key")
        return {"Authorization": f"Bearer {key}"}

    def _ready(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._client is None:
                self._client = httpx.Client(
                    timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
                    follow_redirects=False,
                    # a company's proxy settings are for the outside, not for this machine
                    trust_env=self._host not in ("localhost", "127.0.0.1", "::1"),
                )
            return self._client


def _as_json(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _one_line(value: object) -> str:
    return " ".join(str(value).split())[:200] or type(value).__name__


# ---------------------------------------------------------------- by setting


def load_generator(settings: config.Settings, on_progress: OnProgress | None = None) -> Generator:
    """The generator that `settings.generator` and `settings.model` name; nothing loads yet."""
    return _GENERATORS[settings.generator](settings, on_progress)


def _embedded(settings: config.Settings, on_progress: OnProgress | None) -> Generator:
    known = settings.model in weights.CATALOGUE
    return EmbeddedGenerator(
        settings.model if known else Path(settings.model).stem,
        lambda: _gguf(weights.locate(settings.model, on_progress)),
        settings.context_tokens,
        settings.threads,
    )


def _openai(settings: config.Settings, on_progress: OnProgress | None) -> Generator:
    return OpenAIGenerator(settings.model, settings.base_url, settings.api_key_env)


_GENERATORS: dict[str, Callable[[config.Settings, OnProgress | None], Generator]] = {
    "embedded": _embedded,
    "openai": _openai,
}


def _gguf(path: Path) -> Path:
    """The GGUF file that `path` is, or the only one in the folder that it is."""
    if path.is_file():
        return path
    files = sorted(path.glob("*.gguf"))
    if len(files) != 1:
        raise ConfigError(f"model {path}: {len(files)} GGUF files in this folder: name one")
    return files[0]
