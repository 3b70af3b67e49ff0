"""Whether the packages of the extra `tune` are here."""

from __future__ import annotations

from importlib.util import find_spec

from ragtune.errors import TuneError

NEEDED = ("torch", "transformers", "peft", "accelerate", "gguf", "jinja2", "matplotlib")


def require() -> None:
    """Raises TuneError with what to install."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise TuneError(
            f"training needs {', '.join(missing)}: pip install 'ragtune[tune]' (without a GPU, "
            "first: pip install torch --index-url https://download.pytorch.org/whl/cpu)"
        )
