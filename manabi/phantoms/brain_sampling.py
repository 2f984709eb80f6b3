"""Drawing a head: ranges are our choice where no source is named, wide enough that real adults lie within."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.phantoms.brain import ANATOMIES, PATHOLOGIES, BrainParameters, Protocols, Scan
from manabi.phantoms.brain_anatomy import Anatomy
from manabi.phantoms.brain_contrast import CONTRASTS, drawn
from manabi.phantoms.brain_faults import Faults
from manabi.phantoms.brain_grid import check
from manabi.phantoms.brain_pose import Pose
from manabi.phantoms.brain_vessels import Vessels, sample_vessels

PARTS: tuple[tuple[str, type], ...] = (
    ("scan", Scan), ("anatomy", Anatomy), ("pose", Pose), ("vessels", Vessels), ("faults", Faults),
)  # fmt: skip
FOR_ALL = ("noise_percent", "inhomogeneity_percent", "blur_voxels")
"""Fields of every contrast's sequence."""
SLAB = ("heavy_t2", "tof")
"""Contrasts that are taken of a slab around the circle of Willis."""
PLAIN = ("vessel_seed", "tissue_spread", "tissue_seed", "same_grid")


def sample(rng: np.random.Generator, choices: Mapping[str, Any]) -> BrainParameters:
    """Draw one head; see :meth:`manabi.phantoms.brain.BrainPhantom.sample_parameters`.

    Fixing a value does not change what is drawn for the others, except where they depend on it.
    """
    given = {name: _plain(value) for name, value in choices.items() if value is not None}
    contrasts = _contrasts(given.pop("contrasts", ("t1",)))
    head = str(given.pop("head", ""))
    source = given.pop("anatomy", "labels" if head else "parametric")
    pathology = given.pop("pathology", None)
    for name, value, known in (("anatomy", source, ANATOMIES), ("pathology", pathology or "normal", PATHOLOGIES)):
        if value not in known:
            raise InvalidInputError(f"{name} must be one of {', '.join(known)}; got {value!r}.")
    ill = rng.random() < 0.15 and source == "parametric"
    pathology = pathology or ("hydrocephalus" if ill else "normal")
    pose = _pose(rng, source)
    sound = _anatomy(rng)
    swollen = _hydrocephalus(rng, sound)
    scans = _scan(rng, pose), _slab(rng, pose)
    case = BrainParameters(
        contrasts=contrasts, pathology=pathology, source=source, head=head,
        anatomy=swollen if pathology == "hydrocephalus" else sound, pose=pose,
        vessels=sample_vessels(rng), vessel_seed=_seed(rng), tissue_spread=0.05, tissue_seed=_seed(rng),
        protocols=Protocols(**{name: drawn(name, rng) for name in CONTRASTS}),
        scan=scans[1] if set(contrasts) <= set(SLAB) else scans[0], angio=scans[1], faults=_faults(rng),
    )  # fmt: skip
    case = _fixed(case, given)
    check(case)
    return case


def _plain(value: Any) -> Any:
    return tuple(_plain(v) for v in value) if isinstance(value, list | tuple) else value


def _contrasts(value: Any) -> tuple[str, ...]:
    return tuple(value.split(",")) if isinstance(value, str) else tuple(value)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _three(rng: np.random.Generator, low: float, high: float) -> tuple[float, float, float]:
    a, b, c = rng.uniform(low, high, 3).tolist()
    return a, b, c


def _pose(rng: np.random.Generator, source: str) -> Pose:
    """SynthSeg's ranges for a label map; narrower ones for the parametric head, which varies by itself."""
    turn, shear = _three(rng, -15.0, 15.0), _three(rng, -0.012, 0.012)
    size, axes = float(rng.uniform(-1, 1)), rng.uniform(-1, 1, 3)
    elastic = float(rng.uniform(0.0, 1.0))
    if source == "labels":
        a, b, c = (1.0 + 0.2 * (0.6 * size + 0.4 * axes)).tolist()
        return Pose(turn, (a, b, c), shear, _three(rng, -8.0, 8.0), 4.0 * elastic, _seed(rng))
    a, b, c = (0.98 + 0.04 * size + 0.03 * axes).tolist()
    turn = (turn[0] * 0.7, turn[1] * 0.7, turn[2] * 0.7)
    return Pose(turn, (a, b, c), shear, _three(rng, -8.0, 8.0), 2.5 * elastic, _seed(rng))


def _anatomy(rng: np.random.Generator) -> Anatomy:
    return Anatomy(
        ventricle=float(rng.uniform(0.8, 1.5)),
        sulcus_mm=float(rng.uniform(1.2, 2.4)),
        cortex_mm=float(rng.uniform(2.4, 3.0)),
        fold_mm=float(rng.uniform(20.0, 25.0)),
        skull_mm=float(rng.uniform(5.0, 8.5)),
        scalp_mm=float(rng.uniform(4.0, 9.0)),
        fold_seed=_seed(rng),
    )


def _hydrocephalus(rng: np.random.Generator, anatomy: Anatomy) -> Anatomy:
    """Wide ventricles, and sulci that they have pressed shut."""
    return replace(anatomy, ventricle=float(rng.uniform(2.2, 3.1)), sulcus_mm=float(rng.uniform(0.4, 0.9)))


def _scan(rng: np.random.Generator, pose: Pose) -> Scan:
    voxel = float(rng.uniform(0.9, 1.15))
    x, y, z = (np.array(Scan.field_mm) * np.array(pose.scale)).tolist()
    return Scan(
        voxel_mm=voxel,
        slice_mm=voxel * float(rng.uniform(1.0, 1.3)),
        plane=str(rng.choice(("axial", "sagittal", "coronal"), p=(0.6, 0.25, 0.15))),
        tilt_deg=_tilt(rng),
        field_mm=(x, y, z),
        offset_mm=_three(rng, -5.0, 5.0),
    )


def _slab(rng: np.random.Generator, pose: Pose) -> Scan:
    voxel = float(rng.uniform(0.55, 0.8))
    dx, dy, dz = _three(rng, -5.0, 5.0)
    return Scan(
        voxel_mm=voxel,
        slice_mm=float(rng.uniform(0.6, 1.0)),
        tilt_deg=_tilt(rng),
        field_mm=(170.0 * pose.scale[0], 200.0 * pose.scale[1], float(rng.uniform(70.0, 105.0))),
        offset_mm=(dx, dy, -12.0 + dz),
    )


def _tilt(rng: np.random.Generator) -> tuple[float, float, float]:
    oblique, turn = rng.random() < 0.4, _three(rng, -10.0, 10.0)
    return turn if oblique else (0.0, 0.0, 0.0)


def _faults(rng: np.random.Generator) -> Faults:
    return Faults(
        keep=float(rng.choice((0.1, 0.2, 0.33, 0.5))),
        edge_px=int(rng.integers(1, 4)),
        shift_px=int(rng.integers(0, 3)),
        leaks=int(rng.integers(0, 4)),
        fault_seed=_seed(rng),
    )


def _fixed(case: BrainParameters, given: dict[str, Any]) -> BrainParameters:
    """The case with chosen fields, wherever they live."""
    changes: dict[str, Any] = {}
    painted = given.pop("faults", None)
    for part, kind in PARTS:
        values = {f.name: given.pop(f.name) for f in fields(kind) if f.name in given}
        if part == "scan" and "voxel_mm" in values:
            values.setdefault("slice_mm", values["voxel_mm"])
        if part == "faults":
            changes["painted"] = bool(values) if painted is None else bool(painted)
        changes[part] = replace(getattr(case, part), **values)
        if part == "scan":
            changes["angio"] = replace(case.angio, **{n: v for n, v in values.items() if n in ("voxel_mm", "slice_mm")})
    every = {name: float(given.pop(name)) for name in FOR_ALL if name in given}
    changes["protocols"] = Protocols(**{n: replace(getattr(case.protocols, n), **every) for n in CONTRASTS})
    changes.update({name: given.pop(name) for name in PLAIN if name in given})
    if given:
        raise InvalidInputError(f"The brain phantom has no {', '.join(sorted(given))}.")
    return replace(case, **changes)
