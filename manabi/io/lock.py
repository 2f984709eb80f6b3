"""A lock on a place on disk that ends with its process, however that ends."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from manabi.errors import InvalidInputError

TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


@contextmanager
def locked(path: Path, what: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock file ``path`` within the block; it stays, empty, afterwards.

    A file system without locks is used without one.

    Args:
        path: the lock file; made where it is not there.
        what: what the other process does that may hold it, as the beginning of a sentence.
        wait_s: how long to wait for that.

    Raises:
        InvalidInputError: where another process holds it.
    """
    deadline = time.monotonic() + wait_s
    with path.open("a") as file:
        while not _is_mine(file):
            if time.monotonic() >= deadline:
                raise InvalidInputError(f"{what} in {path.parent}. Wait until it has ended, or choose another folder.")
            time.sleep(0.1)
        yield


def _is_mine(file: IO[str]) -> bool:
    """Try to lock an open file; True where it is locked now, or where the file system has no locks."""
    try:
        _lock(file)
    except OSError as error:
        return error.errno not in TAKEN
    return True


def _lock(file: IO[str]) -> None:
    """Lock an open file; the lock goes when the file is closed."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
