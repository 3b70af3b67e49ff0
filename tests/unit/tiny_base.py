"""A base with random weights, small enough for a unit test: two blocks, its own tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragtune.tune.base import Base
from ragtune.tune.chat import Encoded, encode
from ragtune.types import Message

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def tokenizer(template: str | None = CHATML) -> Any:
    """Byte level with a few merges, so that borders between texts matter."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(["the user and the assistant\n\n\n\nthen they end it"] * 4, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[2],
        extra_special_tokens=list(SPECIAL),
    )
    if template is not None:
        wrapped.chat_template = template
    return wrapped


def base(dtype: str = "float32", seed: int = 0) -> Base:
    """A random Llama with grouped-query attention and tied embeddings."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=384,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    model = LlamaForCausalLM(config).to(getattr(torch, dtype)).eval().requires_grad_(False)
    return Base("tiny", Path("tiny"), "0" * 64, model, tokenizer(), "cpu", dtype)


def examples(count: int, made: Any, system: str = "You are kind.") -> list[Encoded]:
    """Conversations of several lengths with one system message."""
    return [
        encode(
            [Message("system", system), Message("user", f"ask {'the user ' * (i % 5)}{i}?")],
            f"they say {i * 7 % 13}, " + "then " * (i % 4) + "the end",
            made,
        )
        for i in range(count)
    ]
