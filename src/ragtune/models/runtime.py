"""ONNX Runtime sessions and tokenizers as every model here uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragtune.errors import WeightsError

INPUTS = ("input_ids", "attention_mask", "token_type_ids")  # what a BERT-like graph may ask for


def options() -> Any:
    """Session options for one text at a time on one core; parallelism is one text a thread."""
    import onnxruntime

    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = 1
    chosen.inter_op_num_threads = 1
    chosen.log_severity_level = 3  # errors only: the library never prints
    # Measured on int8 graphs: with this fusion the int8 products lose their own, 5-8% slower.
    chosen.add_session_config_entry(
        "optimization.disable_specified_optimizers", "SkipLayerNormFusion"
    )
    return chosen


def session(path: Path, *, optimised: bool = False) -> Any:
    """An inference session on the CPU; `optimised` says that the file's fusions are done.

    Raises WeightsError for a file that does not load.
    """
    import onnxruntime

    chosen = options()
    if optimised:
        chosen.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(path, chosen, providers=["CPUExecutionProvider"])
    except Exception as error:  # a dozen error classes without a common base
        reason = str(error).splitlines()[0][:200]
        raise WeightsError(f"{path} does not load in ONNX Runtime: {reason}") from None


def tokenizer(path: Path) -> Any:
    """The tokenizer of a tokenizer.json, without the padding and truncation stored in it.

    Raises WeightsError for a file that is none.
    """
    from tokenizers import Tokenizer

    try:
        loaded = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise WeightsError(f"{path} is not a tokenizer: {error}") from None
    loaded.no_padding()
    loaded.no_truncation()
    return loaded
