"""Checkpoints: written aside and renamed, so that a kill at any moment leaves the last whole one.

A checkpoint holds tensors and plain values only and is read with ``weights_only=True``: opening one from elsewhere
runs no code.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from manabi.bundle import MALFORMED
from manabi.errors import CorruptModelError, InvalidInputError
from manabi.io.atomic import atomic_file

FORMAT = 1


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` with torch to ``path``; an interrupted write leaves the former file untouched."""
    with atomic_file(path, overwrite=True) as aside:
        torch.save({"format": FORMAT, **content}, aside)


def write_text(path: Path, text: str) -> None:
    """Write a text file in the same way."""
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text(text, encoding="utf-8", newline="")


def remove_strays(folder: Path) -> None:
    """Remove what a kill in the middle of a write left in a folder of checkpoints."""
    for path in folder.glob(".manabi-*"):
        path.unlink(missing_ok=True)


def load_checkpoint(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a checkpoint; raises CorruptModelError for a damaged file or one that is not ours."""
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (*MALFORMED, OSError, pickle.UnpicklingError) as error:
        raise CorruptModelError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}). Delete it, or train with --fresh."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CorruptModelError(f"{path} is not a checkpoint of this version (format {FORMAT}).")
    return content


# --- what a run is --------------------------------------------------------------------------------------------------


def identity_hash(identity: Mapping[str, Any]) -> str:
    """SHA-256 of everything that shapes the weights."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def require_same_run(stored: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    """Raise InvalidInputError, saying what differs, when a checkpoint is of another run."""
    before, now = _flat(stored), _flat(wanted)
    keys = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
    if keys:
        changes = "; ".join(f"{k}: {before.get(k, 'absent')!r} there, {now.get(k, 'absent')!r} here" for k in keys)
        raise InvalidInputError(
            f"{path} is of a run with other settings ({changes}). "
            "Give the same settings, choose another --output, or start anew with --fresh."
        )


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys, as they read back from JSON."""
    flat: dict[str, Any] = {}
    for key, item in json.loads(json.dumps(value)).items():
        if isinstance(item, dict) and item:
            flat.update(_flat(item, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = item
    return flat


# --- generators -----------------------------------------------------------------------------------------------------


def seed_all(seed: int, *more: int) -> None:
    """Seed Python's, NumPy's and torch's global generators from a sequence of numbers."""
    words = np.random.SeedSequence([seed, *more]).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    torch.manual_seed(int(words[2]))


def generator_states() -> dict[str, Any]:
    """The states of all global generators, as tensors and plain values."""
    kind, numbers, kept = random.getstate()
    legacy: Any = np.random.get_state(legacy=False)
    return {
        "python": [kind, list(numbers), kept],
        "numpy": {**legacy, "state": {**legacy["state"], "key": torch.from_numpy(legacy["state"]["key"].astype(int))}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def restore_generators(states: Mapping[str, Any]) -> None:
    """Put all global generators into stored states."""
    kind, numbers, kept = states["python"]
    random.setstate((kind, tuple(numbers), kept))
    numpy_state = states["numpy"]
    key = numpy_state["state"]["key"].cpu().numpy().astype(np.uint32)
    np.random.set_state({**numpy_state, "state": {**numpy_state["state"], "key": key}})
    torch.set_rng_state(states["torch"].cpu())
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
    if torch.backends.mps.is_available() and states["mps"] is not None:
        torch.mps.set_rng_state(states["mps"].cpu())
