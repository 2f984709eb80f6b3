"""Arrays handed between processes: one ``.npy`` file each, in a private folder, read back by memory map."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from manabi.errors import InvalidInputError

FOLDER_PREFIX = "manabi-worker-"


def private_folder() -> Path:
    """A new folder that only this user can open (mode 0700), below the system's temporary folder."""
    return Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))


def write_array(folder: Path, stem: str, array: np.ndarray) -> str:
    """Write an array once, C-ordered, as ``stem.npy``; returns the file's name."""
    name = f"{stem}.npy"
    np.save(folder / name, np.ascontiguousarray(array), allow_pickle=False)
    return name


def map_array(folder: Path, name: str) -> np.ndarray:
    """The array in ``folder/name``, mapped read-only; nothing is read until it is used.

    Raises:
        InvalidInputError: when the name leads out of the folder, or the file is absent, truncated or not an array.
    """
    path = folder / name
    if path.name != name:
        raise InvalidInputError("An array is named by a file in the request's own folder, without any path.")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InvalidInputError(f"The array file {name} is not in the request's folder.") from None
    except (ValueError, EOFError, OSError) as error:
        raise InvalidInputError(f"The array file {name} cannot be read: {error}") from error


def read_array(folder: Path, name: str) -> np.ndarray:
    """A copy in memory of the array in ``folder/name``, so that the file can be removed."""
    return np.array(map_array(folder, name), subok=False)
