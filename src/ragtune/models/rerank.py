"""An optional cross-encoder: reads query and text together, in ONNX Runtime, from a local folder.

The folder holds model.onnx (inputs as of BERT: `input_ids`, and `attention_mask` and
`token_type_ids` where it has them; first output one logit a pair, or two of which the second
means "relevant") and tokenizer.json, as `optimum-cli export onnx --task text-classification`
writes them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ragtune import config
from ragtune.errors import WeightsError

_MAX_TOKENS = 512  # the window of BERT-like models; of a longer pair, the text loses its end


class OnnxReranker:
    """A cross-encoder from `folder`; loads at the first call, thread-safe.

    Pairs are run one at a time, without padding, over `threads` threads (0: one a core), so that a
    score depends on its pair only.
    """

    def __init__(self, folder: Path, threads: int = 0, max_tokens: int = _MAX_TOKENS) -> None:
        self.folder = folder
        self._threads = threads or os.cpu_count() or 1
        self._max_tokens = max_tokens
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None  # session, tokenizer

    def score(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """One logit a text, in the order of `texts`, larger is better. Raises WeightsError."""
        session, tokenizer = self._ready()
        names = [value.name for value in session.get_inputs()]

        def one(text: str) -> float:
            import numpy as np

            encoding = tokenizer.encode(_valid(query), _valid(text))
            columns = {
                "input_ids": encoding.ids,
                "attention_mask": encoding.attention_mask,
                "token_type_ids": encoding.type_ids,
            }
            feeds = {name: np.array([columns[name]], np.int64) for name in names}
            return float(np.asarray(session.run(None, feeds)[0]).reshape(-1)[-1])

        if len(texts) < 2 or self._threads == 1:
            return [one(text) for text in texts]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(self._threads, len(texts))) as pool:
            return list(pool.map(one, texts))

    def _ready(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None:
                from ragtune.models import runtime

                session = runtime.session(self.folder / "model.onnx")
                tokenizer = runtime.tokenizer(self.folder / "tokenizer.json")
                unknown = {value.name for value in session.get_inputs()} - set(runtime.INPUTS)
                if unknown:
                    raise WeightsError(
                        f"reranker {self.folder}: not a cross-encoder: inputs {sorted(unknown)}"
                    )
                # The longer of the two is cut first: the text, in all but odd cases.
                tokenizer.enable_truncation(self._max_tokens, strategy="longest_first")
                self._loaded = (session, tokenizer)
            return self._loaded


def _valid(text: str) -> str:
    """`text` with lone surrogates, from damaged sources, as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def load_reranker(settings: config.Settings) -> OnnxReranker | None:
    """The cross-encoder in folder `settings.reranker`; None when that is empty.

    Raises WeightsError where files are missing.
    """
    if not settings.reranker:
        return None
    folder = Path(settings.reranker).expanduser()
    for name in ("model.onnx", "tokenizer.json"):
        if not (folder / name).is_file():
            raise WeightsError(f"reranker {folder}: {name} is missing")
    return OnnxReranker(folder, settings.threads)
