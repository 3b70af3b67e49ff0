"""Every error that ragtune raises on purpose.

    RagtuneError                  one line for a person: what is wrong and what to do
    ├── ConfigError               ragtune.toml, an option or an environment variable
    ├── WorkspaceError            no workspace here, damaged, locked for too long, disk full
    ├── DocumentError             a file or row that cannot be read: quarantined, the rest goes on
    ├── WeightsError              model weights missing, not the published ones, not obtainable
    ├── GenerationError           the language model failed or its endpoint does not answer
    └── TuneError                 training data or a training run is wrong, or too large for here

The command line prints `str(error)` and exits with code 2 (`ConfigError`) or 1.
"""

from __future__ import annotations


class RagtuneError(Exception):
    """Base of all errors with a message written for the person who reads it."""


class ConfigError(RagtuneError):
    """A setting, an option or an environment variable is wrong."""


class WorkspaceError(RagtuneError):
    """The workspace is missing, damaged, locked or cannot be written."""


class DocumentError(RagtuneError):
    """A source cannot be read; the message is the reason shown by `ragtune status`."""


class WeightsError(RagtuneError):
    """Model weights are missing, damaged or cannot be obtained."""


class GenerationError(RagtuneError):
    """The language model failed or its endpoint does not answer."""


class TuneError(RagtuneError):
    """Examples cannot be trained on, a run cannot go on, or an export is not what was trained."""


def said(error: Exception) -> str:
    """What an error says, for a message that names the file: without number and path."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
