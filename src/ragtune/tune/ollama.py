"""A Modelfile for Ollama that prompts a merged model exactly as it was trained.

Ollama renders prompts with a Go template of its own, not with the chat template in the GGUF file;
most tuned models that answer badly there are prompted otherwise than they were trained. So the
base's chat template is rendered here on sample conversations, and only a base whose template
writes ChatML as `TEMPLATE` does gets a Modelfile.
Source: https://github.com/ollama/ollama/blob/main/docs/modelfile.md and docs/template.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragtune import prompting
from ragtune.errors import TuneError
from ragtune.models import gguf_file
from ragtune.types import Message

if TYPE_CHECKING:
    from ragtune.models.adapters import Passport
    from ragtune.models.gguf_file import GgufFile

MODEL = "model.gguf"
END = "<|im_end|>"
# `.Messages` holds the system message too. A conversation that ends with the assistant goes on
# there; every other one opens the assistant's turn.
TEMPLATE = """\
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 -}}
<|im_start|>{{ .Role }}
{{ .Content }}
{{- if not (and $last (eq .Role "assistant")) }}<|im_end|>
{{ end }}
{{- if and $last (ne .Role "assistant") }}<|im_start|>assistant
{{ end }}
{{- end }}"""


def modelfile(base: GgufFile, passport: Passport) -> str:
    """The text of a Modelfile beside `MODEL`. Raises TuneError where it could not be right."""
    template = str(base.values.get("tokenizer.chat_template", ""))
    system = prompting.SYSTEM if passport.mode == "grounded" else prompting.CLOSED
    check(base, template, system)
    return "\n".join([
        f"# {passport.name}: ragtune, over {passport.base}",
        f"FROM ./{MODEL}",
        f'TEMPLATE """{TEMPLATE}"""',
        f'PARAMETER stop "{END}"',
        'PARAMETER stop "<|im_start|>"',
        "PARAMETER temperature 0",
        f'SYSTEM """{system}"""',
    ]) + "\n"  # fmt: skip


def chatml(messages: Sequence[Message]) -> str:
    """What `TEMPLATE` renders for a conversation that ends with the user."""
    turns = [f"<|im_start|>{m.role}\n{m.content}{END}\n" for m in messages]
    return "".join(turns) + "<|im_start|>assistant\n"


def check(base: GgufFile, template: str, system: str) -> None:
    """Raises TuneError where the base's own template writes anything but ChatML."""
    first = [Message("system", system)]
    talk = [Message("user", "How?\n\n- so"), Message("assistant", "Yes."), Message("user", " {x} ")]
    right = all(
        render(template, first + talk[:length]) == chatml(first + talk[:length])
        for length in (1, 3)
    )
    tokens = gguf_file.strings(base.entries["tokenizer.ggml.tokens"])
    end = int(base.values.get("tokenizer.ggml.eos_token_id", -1))
    if not right or not 0 <= end < len(tokens) or tokens[end] != END:
        raise TuneError(
            "the base does not speak ChatML, the only form that the Modelfile knows: export gguf "
            "and write its Modelfile by hand"
        )


def render(template: str, messages: Sequence[Message]) -> str:
    """What a chat template (Jinja, from a GGUF file: not trusted) makes of `messages`."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    turns = [{"role": m.role, "content": m.content} for m in messages]
    try:
        # as transformers and llama.cpp render
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        return environment.from_string(template).render(
            messages=turns, add_generation_prompt=True, bos_token="", eos_token=END
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise TuneError(f"the chat template of the base does not render: {error}") from None
