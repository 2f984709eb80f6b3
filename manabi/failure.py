"""An error as data: what the command line prints under ``--json`` and what the worker sends to its client."""

from __future__ import annotations

import errno
from dataclasses import asdict, dataclass
from typing import Any

from manabi import errors
from manabi.errors import DependencyError, ManabiError

OUT_OF_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM, errno.EMFILE}
PLACE_ERRORS = (FileNotFoundError, PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True)
class Failure:
    """Why something did not succeed.

    Attributes:
        type: the error's class name.
        message: what was expected, what came, what to do.
        exit_code: 1 unexpected, 2 bad input or usage, 3 model, 4 resources, 130 cancelled.
    """

    type: str
    message: str
    exit_code: int

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure that an exception stands for."""
        return cls(type(error).__name__, str(error) or type(error).__name__, exit_code_of(error))

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Failure:
        """The failure from :meth:`to_dict`."""
        return cls(str(record["type"]), str(record["message"]), int(record["exit_code"]))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def to_error(self) -> ManabiError:
        """The exception to raise on this side of a process boundary; its ``exit_code`` is kept."""
        kind = getattr(errors, self.type, None)
        if isinstance(kind, type) and issubclass(kind, ManabiError):
            return kind(self.message)
        error = ManabiError(f"{self.type}: {self.message}")
        error.exit_code = self.exit_code
        return error


def exit_code_of(error: BaseException) -> int:
    """The status that a process ends with after this error."""
    if isinstance(error, ManabiError):
        return 4 if _is_out_of_space(error.__cause__) else error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, MemoryError) or _is_out_of_space(error):
        return 4
    if isinstance(error, ModuleNotFoundError):
        return DependencyError.exit_code
    if isinstance(error, PLACE_ERRORS):
        return 2
    return 1


def _is_out_of_space(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in OUT_OF_SPACE
