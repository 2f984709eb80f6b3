"""Features of rendered phantoms, extracted once and kept; and the surrogate that is learned from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.io.atomic import atomic_file
from manabi.phantoms.base import case_rng
from manabi.phantoms.tumour import TumourPhantom
from manabi.phantoms.tumour_parameters import TumourParameters
from manabi.phantoms.tumour_surrogate import LUNG_DRIVERS, Surrogate, made_up
from manabi.phantoms.tumour_survival import CENTRES
from manabi.radiomics.cohort.parallel import run_tasks
from manabi.radiomics.extract import extract, versions
from manabi.radiomics.presets import preset
from manabi.radiomics.settings import ExtractionSettings

GLIOMA_DRIVERS = ("z", "v", "enhancement", "necrosis", *(f"centre_{name}" for name in CENTRES[1:]))


def extraction(modality: str) -> ExtractionSettings:
    """The source's 744 features at 1 mm; MR is scaled to its own mean and deviation first (our choices)."""
    scale = 100.0 if modality == "mr" else None
    return replace(preset("paper-744"), resample_mm=1.0, interpolator="cubic", normalise_scale=scale)


@dataclass(frozen=True, eq=False)
class Rows:
    """Phantoms whose features are wanted.

    Attributes:
        seed: case ``i`` is drawn from ``case_rng(seed, i)``.
        choices: of the phantom.
        folder: one JSON file per case.
    """

    seed: int
    choices: Mapping[str, Any]
    folder: Path

    def parameters(self, index: int) -> TumourParameters:
        """A case's parameters."""
        return TumourPhantom().sample_parameters(case_rng(self.seed, index), **self.choices)


@dataclass(frozen=True, eq=False)
class Extracted:
    """Features of phantoms, and what they were made from.

    Attributes:
        names: of the p features; with two images, each name begins with the image's.
        values: ``(n, p)``.
        cases: parameters of the n phantoms.
    """

    names: tuple[str, ...]
    values: np.ndarray
    cases: tuple[TumourParameters, ...]


def extracted(rows: Rows, count: int, context: Context, workers: int | None) -> Extracted:
    """Features of the first ``count`` phantoms; what the folder holds is read. Undefined features are left out."""
    modality = str(rows.choices.get("modality", "ct"))
    text = json.dumps([rows.seed, dict(rows.choices), extraction(modality).to_dict(), versions()], sort_keys=True)
    kept = replace(rows, folder=rows.folder / hashlib.sha256(text.encode()).hexdigest()[:16])
    kept.folder.mkdir(parents=True, exist_ok=True)
    missing = [n for n in range(count) if not _file(kept, n).is_file()]
    run_tasks(make_row, kept, missing, context, workers) if missing else None
    found = [json.loads(_file(kept, n).read_text(encoding="utf-8")) for n in range(count)]
    names = list(found[0])
    values = np.array([[np.nan if row[name] is None else row[name] for name in names] for row in found], float)
    usable = np.isfinite(values).all(axis=0)
    return Extracted(tuple(np.array(names)[usable]), values[:, usable], tuple(map(kept.parameters, range(count))))


def make_row(rows: Rows, index: int) -> None:
    """Render a phantom and write its features."""
    parameters = rows.parameters(index)
    case = TumourPhantom().render(parameters)
    settings = extraction(parameters.modality)
    record: dict[str, float | None] = {}
    for image, volume in case.volumes.items():
        found = extract(volume, case.labelmaps["tumour"], settings)
        prefix = f"{image} " if len(case.volumes) > 1 else ""
        pairs = zip(found.names, found.values, strict=True)
        record |= {prefix + name: float(value) if np.isfinite(value) else None for name, value in pairs}
    with atomic_file(_file(rows, index), overwrite=True) as aside:
        aside.write_text(json.dumps(record), encoding="utf-8")


def _file(rows: Rows, index: int) -> Path:
    return rows.folder / f"case-{index:04d}.json"


# --- drivers ----------------------------------------------------------------------------------------------------------


def lung_truth(cases: Sequence[TumourParameters]) -> np.ndarray:
    """``(n, 5)`` values of the drivers of a lung tumour's features."""
    return np.array([[c.patient.z, c.patient.v, *_centre(c)] for c in cases], float)


def glioma_truth(cases: Sequence[TumourParameters]) -> np.ndarray:
    """``(n, 7)`` values of :data:`GLIOMA_DRIVERS`; enhancement as its logarithm."""
    rows = [[c.patient.z, c.patient.v, np.log(c.glioma.enhancement), c.glioma.necrosis, *_centre(c)] for c in cases]
    return np.array(rows, float)


def _centre(case: TumourParameters) -> list[bool]:
    return [case.scan.centre == name for name in CENTRES[1:]]


Truth = Callable[[Sequence[TumourParameters]], np.ndarray]


def learn(found: Extracted, drivers: Sequence[str], truth: Truth) -> Surrogate:
    """The surrogate of extracted features."""
    return Surrogate.fit(found.names, found.values, drivers, truth(found.cases))


def lung_surrogate(seed: int, count: int, folder: Path, context: Context, workers: int | None) -> Surrogate:
    """Learned from ``count`` rendered lung tumours; made up where ``count`` is 0."""
    if not count:
        return made_up(np.random.default_rng([seed, 77]))
    return learn(extracted(Rows(seed, {}, folder), count, context, workers), LUNG_DRIVERS, lung_truth)
