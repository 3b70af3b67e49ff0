"""The one place where a conversation and its answer become tokens and a loss mask.

The base's own chat template renders the prompt, as llama.cpp does when it serves. Only the answer
and the end-of-turn token after it are trained. What people wrote never becomes a control token:
"<|im_end|>" inside a question is text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ragtune.errors import TuneError
from ragtune.types import Message

# Tokens at which llama.cpp stops by itself, besides the EOS and EOT that a GGUF names
# (llama.cpp, src/llama-vocab.cpp, `special_eog_ids`).
_ENDS = (
    "<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>",
    "</s>", "<EOT>", "<|return|>", "<|call|>", "[EOT]", "<|end_of_text|>", "<turn|>",
)  # fmt: skip
_PROBE = (Message("user", "u"),)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of prompt and answer; `trained[i]` says whether token i counts in the loss."""

    ids: tuple[int, ...]
    trained: tuple[bool, ...]

    @property
    def prompt(self) -> tuple[int, ...]:
        """What the model is given when it serves: everything before the first trained token."""
        return self.ids[: self.trained.index(True)]

    @property
    def answer(self) -> tuple[int, ...]:
        """What the model shall write, the end-of-turn token included."""
        return self.ids[self.trained.index(True) :]


class TooLongError(TuneError):
    """An example needs more tokens than `max_tokens`."""


def template_sha256(tokenizer: Any) -> str:
    """Identifies the chat template that an adapter was trained with."""
    return hashlib.sha256(_template(tokenizer).encode()).hexdigest()


def end_of_turn(tokenizer: Any) -> int:
    """The token that ends an answer in this base's template.

    Raises TuneError where the template cannot be trained with: ask before all work.
    """
    return encode(_PROBE, "a", tokenizer).ids[-1]


def encode(
    messages: Sequence[Message], answer: str, tokenizer: Any, max_tokens: int | None = None
) -> Encoded:
    """`messages` as prompt and `answer` as what is trained, in the base's own chat template.

    `tokenizer` is a transformers tokenizer with a chat template. The prompt's tokens are those that
    llama.cpp evaluates for the same messages (tests/integration/test_tune_chat.py), except that
    the text of a special token inside a message stays text. Nothing is ever cut off: more than
    `max_tokens` raises TooLongError. Raises TuneError for an empty answer, roles that the
    template refuses, and a template that does not end the answer with a token at which serving
    stops.
    """
    if not answer.strip():
        raise TuneError("an example has an empty answer: nothing could be trained")
    if not messages or messages[-1].role != "user":
        raise TuneError("an example must end with a user's message before the answer")
    prompt, before, end = _rendered(messages, answer, tokenizer)
    ids = _with_bos(_tokens(prompt, tokenizer), tokenizer)
    trained = [*_tokens(before, tokenizer), end]
    if len(trained) < 2:
        raise TuneError(f"answer {answer[:40]!r} has no token: nothing could be trained")
    if max_tokens is not None and len(ids) + len(trained) > max_tokens:
        raise TooLongError(
            f"an example has {len(ids) + len(trained)} tokens, at most {max_tokens} are trained: "
            "shorten it or raise max_tokens"
        )
    return Encoded((*ids, *trained), (False,) * len(ids) + (True,) * len(trained))


def encode_all(
    conversations: Sequence[tuple[Sequence[Message], str]], tokenizer: Any, max_tokens: int
) -> tuple[list[Encoded | None], str]:
    """Every conversation encoded, None where it is too long, and a line about those.

    Raises TuneError when all are too long.
    """
    made: list[Encoded | None] = []
    for messages, answer in conversations:
        try:
            made.append(encode(messages, answer, tokenizer, max_tokens))
        except TooLongError:
            made.append(None)
    left_out = sum(x is None for x in made)
    if made and left_out == len(made):
        raise TuneError(
            f"all {len(made)} examples are longer than {max_tokens} tokens: raise max_tokens"
        )
    note = f"{left_out} of {len(made)} examples left out: longer than {max_tokens} tokens"
    return made, note if left_out else ""


def encode_prompt(messages: Sequence[Message], tokenizer: Any) -> tuple[int, ...]:
    """The tokens of `messages` and of the start of the answer, as serving evaluates them."""
    return tuple(_with_bos(_tokens(_rendered(messages, "a", tokenizer)[0], tokenizer), tokenizer))


# ---------------------------------------------------------------- rendering


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    written: bool  # by a person: no control token in it


def _rendered(
    messages: Sequence[Message], answer: str, tokenizer: Any
) -> tuple[list[_Piece], list[_Piece], int]:
    """Pieces of the prompt, pieces of the answer, and the end-of-turn token's id."""
    contents = [*(message.content for message in messages), answer]
    marks = _marks(contents)
    turns = [{"role": m.role, "content": mark} for m, mark in zip(messages, marks, strict=False)]
    whole = _apply([*turns, {"role": "assistant", "content": marks[-1]}], tokenizer, False)
    start = _apply(turns, tokenizer, True)
    before, found, after = whole.partition(marks[-1])
    if not found or not before.startswith(start):
        raise TuneError(
            "the chat template of this base writes an answer in training otherwise than it asks "
            "for one in serving: take a base with a plain chat template"
        )
    by_mark = dict(zip(marks, contents, strict=True))
    prompt = _pieces(start, by_mark)
    _same_as_direct(prompt, messages, tokenizer)
    end_text, end = _first_special(after, tokenizer)
    if end is None or after[: after.find(end_text)].strip():
        raise TuneError(
            "the chat template of this base puts no end-of-turn token after an answer: the tuned "
            "model would never stop; take the instruct version of the base"
        )
    if end != tokenizer.eos_token_id and end_text not in _ENDS:
        raise TuneError(
            f"the chat template ends an answer by {end_text!r}, at which serving does not stop "
            f"(EOS is {tokenizer.eos_token!r}): take the instruct version of the base"
        )
    between = _Piece(before[len(start) :], False)
    return (
        prompt,
        [between, _Piece(answer, True), _Piece(after[: after.find(end_text)], False)],
        end,
    )


def _marks(contents: Sequence[str]) -> list[str]:
    """One text a content that stands for it and occurs in none; a template leaves it as it is."""
    salt = 0
    while any(f"\ue000{salt}:" in content for content in contents):
        salt += 1
    return [f"\ue000{salt}:{number}\ue001" for number in range(len(contents))]


def _pieces(rendered: str, by_mark: dict[str, str]) -> list[_Piece]:
    pieces, rest = [], rendered
    while rest:
        position = rest.find("\ue000")
        mark = rest[position : rest.find("\ue001", position) + 1] if position >= 0 else ""
        if mark not in by_mark:
            pieces.append(_Piece(rest, False))
            break
        pieces += [_Piece(rest[:position], False), _Piece(by_mark[mark], True)]
        rest = rest[position + len(mark) :]
    return pieces


def _same_as_direct(prompt: list[_Piece], messages: Sequence[Message], tokenizer: Any) -> None:
    """Raises TuneError where the template changes contents: serving would see others."""
    turns = [{"role": m.role, "content": m.content} for m in messages]
    if "".join(piece.text for piece in prompt) != _apply(turns, tokenizer, True):
        raise TuneError(
            "the chat template of this base changes what messages say (it may trim white space): "
            "strip the texts of the examples first"
        )


def _apply(turns: list[dict[str, str]], tokenizer: Any, ask: bool) -> str:
    from jinja2.exceptions import TemplateError

    _template(tokenizer)
    try:
        rendered: str = tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=ask
        )
    except TemplateError as error:
        raise TuneError(f"the chat template of this base refuses a conversation: {error}") from None
    return rendered


def _template(tokenizer: Any) -> str:
    template = tokenizer.chat_template
    if not isinstance(template, str) or not template:
        raise TuneError("this base has no chat template: take its instruct version")
    return template


# ---------------------------------------------------------------- tokens


def _tokens(pieces: Sequence[_Piece], tokenizer: Any) -> list[int]:
    """Token ids: special tokens only where the template wrote them.

    Between two special tokens the text of several pieces is one text, because the tokenizer may
    merge across their borders (a line break of the template and one of the question).
    """
    specials = _specials(tokenizer)
    ids: list[int] = []
    text = ""
    for piece in pieces:
        rest = piece.text
        while not piece.written and rest:
            found, number = _first_special(rest, tokenizer)
            if number is None:
                break
            position = rest.find(found)
            ids += _plain(text + rest[:position], tokenizer)
            ids.append(specials[found])
            text, rest = "", rest[position + len(found) :]
        text += rest
    return ids + _plain(text, tokenizer)


def _with_bos(ids: list[int], tokenizer: Any) -> list[int]:
    """BOS first where the tokenizer adds one and the template has not (llama.cpp does the same)."""
    first = tokenizer("a").input_ids[0]
    if tokenizer.bos_token_id is None or first != tokenizer.bos_token_id or ids[:1] == [first]:
        return ids
    return [first, *ids]


def _plain(text: str, tokenizer: Any) -> list[int]:
    if not text:
        return []
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
    return ids


def _specials(tokenizer: Any) -> dict[str, int]:
    return {
        str(token): number
        for number, token in tokenizer.added_tokens_decoder.items()
        if token.special
    }


def _first_special(text: str, tokenizer: Any) -> tuple[str, int | None]:
    """The special token that comes first in `text`, the longest of those at one place."""
    found = [
        (position, -len(token), token, number)
        for token, number in _specials(tokenizer).items()
        if (position := text.find(token)) >= 0
    ]
    if not found:
        return "", None
    _, _, token, number = min(found)
    return token, number
