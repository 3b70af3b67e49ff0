"""Writing text: llama.cpp in this process, or any OpenAI-compatible endpoint.

Both stream pieces as they come, decode greedily by default, and turn every failure into a
one-line GenerationError. The generators open nothing and load nothing until the first `stream`.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ragtune import config
from ragtune.errors import ConfigError, GenerationError
from ragtune.models import llama, weights
from ragtune.protocols import Generator
from ragtune.types import Adapter, Generation, Message, OnProgress, Token

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("ragtune")

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 300.0  # a large model on a busy machine may think this long between two tokens
_STOP_SECONDS = 5.0  # how long closing a stream waits for the decoder to notice


@dataclass(frozen=True, slots=True)
class _File:
    """An adapter file as it was when it was loaded."""

    path: Path
    inode: int
    size: int
    modified: int


class EmbeddedGenerator:
    """A GGUF model in llama.cpp inside this process; loads at the first `stream`, thread-safe.

    One slot: requests of several threads run one after the other, and what a request shares with
    the one before it at its beginning is not evaluated again. `locate` gives the GGUF file and is
    called once. `adapters` are what `Generation.adapter` may name; the mapping is asked anew each
    time, so that one that appears while this runs can be used at once. Each is loaded when it is
    first asked for, which loads the model anew (0.3 s) and keeps it once in memory.
    """

    def __init__(
        self,
        name: str,
        locate: Callable[[], Path],
        context_tokens: int = 4096,
        threads: int = 0,
        adapters: Mapping[str, Adapter] | None = None,
    ) -> None:
        self.name = name
        self._locate = locate
        self._context_tokens = context_tokens
        self._threads = threads
        self._adapters = {} if adapters is None else adapters
        self._lock = threading.Lock()
        self._server: Any = None
        self._model: Path | None = None
        self._loaded: list[_File] = []

    def stream(self, messages: Sequence[Message], generation: Generation) -> Iterator[Token]:
        """The reply, piece by piece; closing the iterator stops decoding.

        Raises GenerationError, for a prompt larger than the context window too, and WeightsError
        where the model cannot be obtained.
        """
        server, lora = self._ready(generation.adapter)
        request = {
            "messages": _as_json(messages),
            "max_tokens": generation.max_tokens,
            "temperature": generation.temperature,
            "seed": generation.seed,
            "stream": True,
            "cache_prompt": True,
            # The whole list every time: a request without it continues on the cache that another
            # adapter has filled.
            "lora": lora,
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

    def _ready(self, name: str | None) -> tuple[Any, list[dict[str, float]]]:
        """The server, with adapter `name` loaded, and the `lora` of a request for it."""
        if name is not None and name not in self._adapters:
            # llama.cpp ignores an adapter that it does not know and answers without one
            raise GenerationError(f"model {self.name} has no adapter {name!r}")
        with self._lock:
            if self._model is None:
                self._model = self._locate()
            wanted = None if name is None else self._file(name, self._model)
            if self._server is None or (wanted is not None and wanted not in self._loaded):
                # An adapter file that was replaced is another one; the old one is let go.
                loaded = [f for f in self._loaded if wanted is None or f.path != wanted.path]
                loaded += [] if wanted is None else [wanted]
                # Streams that are running keep the server that they began with.
                self._server = llama.load(
                    self._model, [f.path for f in loaded], self._context_tokens, self._threads
                )
                self._loaded = loaded
            chosen = None if wanted is None else self._loaded.index(wanted)
            return self._server, llama.scales(len(self._loaded), chosen)

    def _file(self, name: str, model: Path) -> _File:
        """The file of adapter `name`. Raises GenerationError for one that must not be served."""
        adapter = self._adapters[name]
        if adapter.base_sha256 != weights.sha256(model):
            # it would load where the shapes agree, and answer nonsense
            raise GenerationError(
                f"adapter {name!r} was trained on another base than model {self.name}: set model "
                "to that base, or tune again"
            )
        path = Path(adapter.path)
        try:
            state = path.stat()
        except OSError:
            raise GenerationError(f"adapter {name!r}: {path} is missing: tune again") from None
        return _File(path, state.st_ino, state.st_size, state.st_mtime_ns)


class OpenAIGenerator:
    """A model behind an OpenAI-compatible endpoint (Ollama, llama-server, vLLM, a cloud).

    The key is read from environment variable `api_key_env` at each call and appears in no message.
    Redirects are not followed: they could carry the key to another host. `Generation.adapter`
    names an adapter that the server has (vLLM, llama-server).
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
        self._files: list[str] = []  # adapters of a llama-server, once one was asked for

    def stream(self, messages: Sequence[Message], generation: Generation) -> Iterator[Token]:
        """The reply, piece by piece; closing the iterator closes the connection.

        Raises GenerationError for whatever goes wrong, ConfigError for a key that cannot be one.
        """
        import httpx

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
            request |= self._chosen(generation.adapter)
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

    def _chosen(self, adapter: str | None) -> dict[str, Any]:
        """What a request must say so that `adapter`, or none, writes. Raises GenerationError.

        vLLM offers each adapter as a model of its name among `/v1/models`. llama-server lists its
        adapters at `/lora-adapters`, by file, and wants the whole list in each request: a request
        without it goes on with what another adapter computed. An endpoint that lists neither is
        asked for a model of that name.
        Sources: docs.vllm.ai, "LoRA Adapters"; llama.cpp, tools/server/README.md.
        """
        if adapter is None:
            none = llama.scales(len(self._files), None)
            return {"lora": none} if self._files else {}
        models = self._listed("/models")
        entries = models.get("data") if isinstance(models, dict) else None
        names = [str(m.get("id")) for m in entries or () if isinstance(m, dict)]
        if adapter in names:
            return {"model": adapter}
        files = self._listed("/lora-adapters", above=True)
        if isinstance(files, list) and all(isinstance(f, dict) for f in files) and files:
            self._files = [str(f.get("path", "")) for f in files]
            # crew.gguf, or crew/adapter.gguf as ragtune keeps it
            fits = [adapter in Path(f.replace("\\", "/")).with_suffix("").parts[-2:]
                    for f in self._files]  # fmt: skip
            if sum(fits) == 1:
                return {"lora": llama.scales(len(fits), fits.index(True))}
            names += [Path(file).stem for file in self._files]
        if names:
            offers = ", ".join(sorted(set(names)))[:120]
            raise GenerationError(f"{self._url} has no adapter {adapter!r}: it offers {offers}")
        return {"model": adapter}

    def _listed(self, path: str, above: bool = False) -> Any:
        """The JSON at `path` below the base URL (or below what is above /v1); None without one."""
        url = self._url.removesuffix("/chat/completions")
        url = (url.removesuffix("/v1") if above else url) + path
        response = self._ready().get(url, headers=self._headers(), timeout=_CONNECT_SECONDS)
        try:
            return response.json() if response.status_code == 200 else None
        except ValueError:
            return None

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


def load_generator(
    settings: config.Settings,
    on_progress: OnProgress | None = None,
    adapters: Mapping[str, Adapter] | None = None,
) -> Generator:
    """The generator that `settings.generator` and `settings.model` name; nothing loads yet.

    `adapters` are what `Generation.adapter` may name with the embedded generator; an endpoint has
    its own.
    """
    if settings.generator == "openai":
        return OpenAIGenerator(settings.model, settings.base_url, settings.api_key_env)
    known = settings.model in weights.CATALOGUE
    return EmbeddedGenerator(
        settings.model if known else Path(settings.model).stem,
        lambda: base_file(settings, on_progress),
        settings.context_tokens,
        settings.threads,
        adapters,
    )


def base_file(settings: config.Settings, on_progress: OnProgress | None = None) -> Path:
    """The GGUF file that `settings.model` names, obtained if need be.

    Raises WeightsError, or ConfigError for a folder that does not hold exactly one.
    """
    return _gguf(weights.locate(settings.model, on_progress))


def _gguf(path: Path) -> Path:
    """The GGUF file that `path` is, or the only one in the folder that it is."""
    if path.is_file():
        return path
    files = sorted(path.glob("*.gguf"))
    if len(files) != 1:
        raise ConfigError(f"model {path}: {len(files)} GGUF files in this folder: name one")
    return files[0]
