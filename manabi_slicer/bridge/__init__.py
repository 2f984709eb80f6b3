"""Nodes of the scene to volumes and results, and back: the only place where they are converted.

Everything lies in the patient to within 1e-6 mm of where it was, parent transforms included. A result enters the scene
whole or not at all, updates the outputs of the run before, can be taken back, and can be read again from a saved scene.
Nothing is imported until it is used: opening a module stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "can_undo": "undoing",
    "find_outputs": "results",
    "inputs_from_nodes": "inputs",
    "labelmap_from_segmentation": "segmentations",
    "read_report": "report",
    "labelmap_to_node": "segmentations",
    "landmark_index": "landmarks",
    "landmark_position": "landmarks",
    "result_from_nodes": "readback",
    "result_to_nodes": "results",
    "segment_names": "segmentations",
    "table_rows": "tables",
    "undo": "undoing",
    "volume_from_node": "volumes",
    "volume_to_node": "volumes",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public function from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
