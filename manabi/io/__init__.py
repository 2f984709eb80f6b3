"""Reading and writing images and results. Nothing is imported until it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "read_volume": "manabi.io.files",
    "write_volume": "manabi.io.files",
    "read_radiograph": "manabi.io.radiograph",
    "atomic_file": "manabi.io.atomic",
    "atomic_folder": "manabi.io.atomic",
    "write_result": "manabi.io.results",
    "read_result_json": "manabi.io.results",
    "to_json": "manabi.io.results",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public function from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
