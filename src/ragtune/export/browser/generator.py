"""The optional generator in the page: wllama with the workspace's language model as GGUF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragtune.config import Settings
from ragtune.errors import ConfigError
from ragtune.types import OnProgress, System


def write(
    folder: Path,
    system: System,
    settings: Settings,
    adapter: str | None,
    on_progress: OnProgress | None,
) -> dict[str, Any]:
    """Puts model and library into `folder`; what the manifest says of them."""
    raise ConfigError("no generator yet")
