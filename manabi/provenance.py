"""Where a result came from: enough to repeat it, and nothing that names a patient."""

from __future__ import annotations

import datetime
import hashlib
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

import manabi

if TYPE_CHECKING:
    from manabi.context import Context
    from manabi.method import Method
    from manabi.parameters import Parameters
    from manabi.result import Result
    from manabi.volume import Volume

PACKAGES = ("torch", "monai", "numpy", "SimpleITK", "pydicom", "scikit-image", "scipy")
REQUIRED = (
    "manabi", "method", "inputs", "bundle", "parameters", "seed", "device", "precision", "versions", "started_utc",
    "duration_s", "warnings",
)  # fmt: skip
"""Keys every provenance record has."""


def pixel_sha256(array: np.ndarray) -> str:
    """SHA-256 of dtype, shape and values; the same image gives the same digest whatever file held it."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape results; absent ones are left out."""
    versions = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        if name.lower() in sys.modules or name in sys.modules or name.replace("-", "_") in sys.modules:
            versions[name] = metadata.version(name)
    if "skimage" in sys.modules:
        versions["scikit-image"] = metadata.version("scikit-image")
    return versions


def provenance(
    method: Method[Any],
    inputs: Mapping[str, Volume],
    parameters: Parameters,
    context: Context,
    result: Result,
    duration_s: float,
) -> dict[str, Any]:
    """The record that goes with every output; see :data:`REQUIRED` for its keys."""
    started = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=duration_s)
    return {
        "manabi": manabi.__version__,
        "method": method.name,
        "source": method.source,
        "inputs": {name: _input_record(volume) for name, volume in inputs.items()},
        "bundle": context.used_bundle,
        "parameters": parameters.recorded(),
        "seed": context.seed,
        "device": context.used_device or "cpu",
        "precision": context.used_precision or context.precision,
        "versions": package_versions(),
        "started_utc": started.isoformat(timespec="seconds"),
        "duration_s": round(duration_s, 3),
        "warnings": list(result.warnings),
    }


def _input_record(volume: Volume) -> dict[str, Any]:
    return {
        "pixel_sha256": pixel_sha256(volume.array),
        "shape": list(volume.shape),
        "spacing_mm": [round(float(s), 6) for s in volume.spacing_mm],
        "modality": volume.modality,
        "units": volume.units,
    }
