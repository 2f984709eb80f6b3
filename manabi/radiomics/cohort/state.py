"""Fitted models as plain numbers and text: no pickle, so that reading one runs no code.

Frozen dataclasses become a tree: arrays go into a flat dictionary under dotted names, everything else into one JSON
text. Only the classes listed here are ever made from it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from manabi.errors import CorruptModelError

TEXT = "structure"
KINDS = "biuf"


def pack(value: object) -> dict[str, np.ndarray | str]:
    """A fitted dataclass as arrays by dotted name and one JSON text under ``structure``."""
    arrays: dict[str, np.ndarray | str] = {}
    structure = _pack(value, "model", arrays)
    return {**arrays, TEXT: json.dumps(structure, allow_nan=False, ensure_ascii=False)}


def _pack(value: Any, name: str, arrays: dict[str, np.ndarray | str]) -> Any:
    if dataclasses.is_dataclass(value):
        parts = {f.name: _pack(getattr(value, f.name), f"{name}.{f.name}", arrays) for f in dataclasses.fields(value)}
        return {"class": type(value).__name__, "parts": parts}
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in KINDS:
            raise TypeError(f"{name}: an array of numbers was expected; got {value.dtype}.")
        arrays[name] = value.copy()
        return {"array": name}
    if isinstance(value, (list, tuple)):
        return {"items": [_pack(item, f"{name}.{k}", arrays) for k, item in enumerate(value)]}
    if isinstance(value, Mapping):
        return {"table": [[str(key), _pack(item, f"{name}.{key}", arrays)] for key, item in value.items()]}
    return value.item() if isinstance(value, np.generic) else value


def unpack(state: Mapping[str, np.ndarray | str], classes: Mapping[str, type]) -> Any:
    """Back from :func:`pack`.

    Args:
        state: arrays and the structure.
        classes: the classes that may be made, by name.

    Raises:
        CorruptModelError: something is missing, or not what it should be.
    """
    try:
        return _unpack(json.loads(str(state[TEXT])), state, classes)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptModelError(
            f"The fitted model cannot be read: {type(error).__name__} ({error}). It is incomplete, was altered, or was "
            "made by another version; fit it again."
        ) from error


def _unpack(node: Any, state: Mapping[str, np.ndarray | str], classes: Mapping[str, type]) -> Any:
    if not isinstance(node, dict):
        return node
    if "array" in node:
        array = np.asarray(state[node["array"]])
        if array.dtype.kind not in KINDS:
            raise TypeError(f"{node['array']} is no array of numbers")
        return array
    if "items" in node:
        return tuple(_unpack(item, state, classes) for item in node["items"])
    if "table" in node:
        return {key: _unpack(item, state, classes) for key, item in node["table"]}
    return classes[node["class"]](**{key: _unpack(item, state, classes) for key, item in node["parts"].items()})
