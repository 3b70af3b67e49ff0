"""llama.cpp in this process, set up so that it opens no port, prints nothing and mixes nothing up.

Adapters: one base in memory, each request says which adapter works (`lora`). Two ways in which one
adapter's work reached another's answer were reproduced (DESIGN: adapters): a request without
`lora` goes on with the keys and values that the adapter before it computed, and the host's prompt
cache does not look at adapters at all. Hence `scales` on every request, and no such cache.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ragtune.errors import GenerationError
from ragtune.models import gguf_file


def load(model: Path, adapters: Sequence[Path], context_tokens: int, threads: int) -> Any:
    """An xllamacpp.Server with one slot; no adapter works until a request says so.

    `threads` 0 means one per core. Raises GenerationError for files that do not load.
    """
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx = context_tokens
    params.n_parallel = 1
    params.cache_ram_mib = 0  # that cache mixes adapters up; the slot's own cache stays
    params.fit_params = False  # would change the context window in silence
    params.warmup = False
    params.verbosity = -1  # llama.cpp would write to stderr
    params.ui = False
    params.endpoint_slots = False
    params.offline = True
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = threads or os.cpu_count() or 1
        cpu.poll = 0  # waiting threads sleep instead of spinning: kinder on a busy machine
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(path), 0.0) for path in adapters]
    # The server object always listens. On a socket in a private folder that is removed at once
    # nobody can reach it, unlike a TCP port.
    private = Path(tempfile.mkdtemp(prefix="ragtune-"))
    try:
        params.hostnames = [str(private / "unused.sock")]
        return xllamacpp.Server(params)
    except RuntimeError:  # its reason goes to the log that is switched off
        missing = [str(path) for path in (model, *adapters) if not path.is_file()]
        what = missing[0] if missing else " with adapter ".join(map(str, (model, *adapters)))
        reason = "no such file" if missing else "not a GGUF that llama.cpp can load, or damaged"
        raise GenerationError(f"model {what} does not load: {reason}") from None
    finally:
        shutil.rmtree(private, ignore_errors=True)


def scales(count: int, chosen: int | None) -> list[dict[str, float]]:
    """`lora` of a request to a server with `count` adapters: all of them, only `chosen` at work."""
    return [{"id": number, "scale": float(number == chosen)} for number in range(count)]


class Teacher:
    """Next-token distributions of a model after given tokens (teacher forcing)."""

    def __init__(
        self, model: Path, adapter: Path | None = None, context_tokens: int = 2048, threads: int = 0
    ) -> None:
        self._count = 0 if adapter is None else 1
        # llama.cpp withholds the probabilities of a step whose token is half a character. So every
        # step is made to choose the end of the turn; the probabilities are those before that.
        end = gguf_file.read(model).values.get("tokenizer.ggml.eos_token_id", 0)
        self._choose = [[int(end), 1e4]]
        adapters = () if adapter is None else (adapter,)
        self._server = load(model, adapters, context_tokens, threads)

    def top(self, ids: Sequence[int], count: int, adapt: bool = True) -> dict[int, float]:
        """The `count` likeliest tokens after `ids`, with their natural log-probabilities.

        `adapt` False switches the adapter off. What `ids` share with the call before is not
        evaluated again. Raises GenerationError.
        """
        request = {
            "prompt": list(ids),
            "max_tokens": 1,
            "n_probs": count,
            "temperature": 0.0,
            "cache_prompt": True,
            "logit_bias": self._choose,
            "lora": scales(self._count, 0 if adapt else None),
        }
        reply = self._server.handle_completions(request)
        try:
            content = reply["choices"][0]["logprobs"]["content"]
            return {int(t["id"]): float(t["logprob"]) for t in content[0]["top_logprobs"]}
        except (KeyError, IndexError, TypeError):
            said = " ".join(str(reply).split())[:200]
            raise GenerationError(f"llama.cpp gives no probabilities: {said}") from None
