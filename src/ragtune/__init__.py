"""Ask your documents privately, with citations that open at the exact passage."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragtune.errors import RagtuneError
    from ragtune.types import Answer, Citation, Document, Evidence, Filter, Hit, Place, Token
    from ragtune.workspace import Workspace, init, open

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "Citation",
    "Document",
    "Evidence",
    "Filter",
    "Hit",
    "Place",
    "RagtuneError",
    "Token",
    "Workspace",
    "init",
    "open",
]


def __getattr__(name: str) -> object:
    """Loads a public name at its first use, so that `ragtune --help` answers at once."""
    import importlib

    if name not in __all__:
        raise AttributeError(f"module 'ragtune' has no attribute {name!r}")
    for module in ("workspace", "types", "errors"):
        found = importlib.import_module(f"ragtune.{module}")
        if hasattr(found, name):
            return getattr(found, name)
    raise AttributeError(name)
