"""The fixture ``slicer_app``; nothing of Slicer or Qt is imported before a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def slicer_app(tmp_path: Path) -> Iterator[Any]:
    """The booted stand-in (the package :mod:`slicer_standin`), empty.

    The test fails for everything that would fail, block or print an error in Slicer meanwhile.
    """
    import slicer_standin

    try:
        slicer_standin.boot()
    except ImportError as error:
        if "cannot open shared object" not in str(error):
            raise
        pytest.skip(f"Qt or VTK lacks a library of the system, which its package manager has: {error}")
    slicer_standin.reset()
    slicer_standin.use_settings(tmp_path / "settings" / "Slicer.ini")
    yield slicer_standin
    slicer_standin.close_modules()
    found = slicer_standin.problems()
    slicer_standin.reset()
    assert not found, "\n".join(found)
