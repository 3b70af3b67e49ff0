"""Ask your documents privately, with citations that open at the exact passage."""

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
