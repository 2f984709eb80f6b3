"""The errors Manabi raises on purpose.

Each also inherits the built-in error that a caller who does not know Manabi would catch. A message says what was
expected, what came, and what to do next. ``exit_code`` is the status the command line ends with.
"""

from __future__ import annotations


class ManabiError(Exception):
    """Base of every error that Manabi raises on purpose."""

    exit_code = 1


class InvalidInputError(ManabiError, ValueError):
    """The input, a parameter or a request is not what the method needs."""

    exit_code = 2


class GeometryError(InvalidInputError):
    """The position or shape of an image in space is missing, contradictory or unsupported."""


class ModelNotFoundError(ManabiError, FileNotFoundError):
    """No bundle of that name is installed."""

    exit_code = 3


class CorruptModelError(ManabiError):
    """A bundle is incomplete, altered, unsafe to load, or not made for this method."""

    exit_code = 3


class DownloadError(ManabiError, ConnectionError):
    """A model could not be downloaded; what has arrived is kept, and the same command continues."""

    exit_code = 3


class DependencyError(ManabiError, ImportError):
    """An optional package is missing; the message names it and how to install it."""

    exit_code = 3


class OutOfMemoryError(ManabiError, MemoryError):
    """No step of the memory ladder made the work fit."""

    exit_code = 4


class WorkerError(ManabiError, RuntimeError):
    """The background worker died or broke the protocol; the message carries its last words."""

    exit_code = 4


class CancelledError(ManabiError):
    """The user cancelled; nothing was written."""

    exit_code = 130
