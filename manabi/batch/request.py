"""What a batch is asked to do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manabi.errors import InvalidInputError
from manabi.method import Method


@dataclass(frozen=True)
class BatchRequest:
    """The arguments of ``manabi batch``.

    Attributes:
        method: name of the method.
        source: folder with a file or a sub-folder per case, or a CSV with a row per case.
        output: folder of the results; continued where it holds a batch of the same request.
        settings: ``key=value`` texts, as ``manabi run`` takes them.
        patterns: glob pattern within a case's folder, per input name.
        series: series UID or number in DICOM folders, per input name.
        bundle: model to use: installed name or folder.
        device: as ``manabi run`` takes it.
        precision: arithmetic of the networks.
        seed: of every case, so that a case's result is that of ``manabi run`` with this seed.
        memory_limit_mb: memory that inference may plan with.
        image_format: ``nifti``, ``nrrd`` or ``dicom``.
        workers: processes side by side.
        overwrite: begin anew where the output holds a batch.
        keep_names: name the results' folders after the sources, which may hold patients' names.
    """

    method: str
    source: Path
    output: Path
    settings: tuple[str, ...] = ()
    patterns: Mapping[str, str] = field(default_factory=dict)
    series: Mapping[str, str] = field(default_factory=dict)
    bundle: str | None = None
    device: str = "auto"
    precision: str = "auto"
    seed: int = 0
    memory_limit_mb: float | None = None
    image_format: str = "nifti"
    workers: int = 1
    overwrite: bool = False
    keep_names: bool = False

    def check(self, method: Method[Any]) -> None:
        """Refuse what no case could be run with.

        Raises:
            InvalidInputError: for unknown parameters, input names or formats, or no worker.
            ModelNotFoundError: where the bundle that was named is not there.
        """
        from manabi.io.results import SUFFIX

        method.parameters_type.parse(list(self.settings))
        names = [spec.name for spec in method.inputs]
        unknown = sorted({*self.patterns, *self.series} - set(names))
        if unknown:
            raise InvalidInputError(f"{method.title} has no input {', '.join(unknown)}. It takes {', '.join(names)}.")
        for name, pattern in self.patterns.items():
            check_pattern(name, pattern)
        if self.image_format not in (*SUFFIX, "dicom"):
            raise InvalidInputError(f"Unknown image format {self.image_format!r}. Choose nifti, nrrd or dicom.")
        if self.workers < 1:
            raise InvalidInputError(f"A batch needs at least one worker; got {self.workers}.")
        if self.bundle is not None:
            from manabi.store import BundleStore

            BundleStore().get(self.bundle, method=method.name)

    def record(self, method: Method[Any]) -> dict[str, Any]:
        """What decides about the numbers of the results; a batch is only continued under the same record."""
        return {
            "method": self.method,
            "parameters": method.parameters_type.parse(list(self.settings)).recorded(),
            "bundle": self.bundle,
            "precision": self.precision,
            "seed": self.seed,
            "image_format": self.image_format,
            "series": dict(self.series),
            "keep_names": self.keep_names,
        }

    def for_child(self) -> dict[str, Any]:
        """What a worker process must know, as JSON values."""
        context = {
            "device": self.device, "precision": self.precision, "seed": self.seed, "bundle": self.bundle,
            "memory_limit_mb": self.memory_limit_mb,
        }  # fmt: skip
        common = {"method": self.method, "image_format": self.image_format, "series": dict(self.series)}
        return {**common, "context": context}


def check_pattern(name: str, pattern: str) -> None:
    """Raise InvalidInputError for what is no glob pattern within a folder."""
    try:
        next(Path(os.devnull).glob(pattern), None)
    except (ValueError, NotImplementedError, IndexError) as error:
        raise InvalidInputError(
            f"The pattern {pattern!r} of {name} is none for files in a case's folder ({str(error).rstrip('.')}). "
            f"Give one such as: --pattern '{name}=**/*.nii.gz'"
        ) from error
