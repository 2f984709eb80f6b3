"""From bands of levels to features: what is counted once for several families, and on which thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.texture import choose, glcm, gldm, gldzm, glrlm, glszm, mcc, ngldm, ngtdm
from manabi.radiomics.texture.catalogue import IBSI, PYRADIOMICS, names
from manabi.radiomics.texture.cells import Cells, Engine, Neighbourhood, joined
from manabi.radiomics.texture.grid import Grid, Offset, Plan, grid, plan, too_many
from manabi.radiomics.texture.options import TextureOptions
from manabi.radiomics.threads import mapping

_MOST_PAIRED_LEVELS = 16_383
_PYRADIOMICS_EPS = float(np.spacing(1))


@dataclass(frozen=True)
class Work:
    """One band, ready to be counted."""

    engine: Engine
    grid: Grid
    plan: Plan
    options: TextureOptions
    border: np.ndarray | None

    @property
    def eps(self) -> float:
        """What pyradiomics adds inside logarithms; IBSI adds nothing."""
        return _PYRADIOMICS_EPS if self.options.mode == "pyradiomics" else 0.0

    @property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """Start and stop of what is counted together."""
        return self.grid.parts if self.plan.per_slice else ((0, self.grid.index.size),)

    def wanted(self, family: str) -> tuple[str, ...]:
        """The names of a family's features in this mode."""
        table = IBSI if self.options.mode == "ibsi" else PYRADIOMICS
        return tuple(table[family])


def compute(
    bands: Mapping[str, np.ndarray],
    spacing_mm: Sequence[float],
    options: TextureOptions,
    shape_mask: np.ndarray | None,
    engine: str | None,
    threads: int | None,
) -> dict[str, dict[str, float]]:
    """See ``manabi.radiomics.texture.features_of_bands``."""
    _check(bands, spacing_mm, shape_mask)
    values = sum(int(np.count_nonzero(levels)) for levels in bands.values())
    module = choose.engine(engine, values)
    scheme = plan(options)
    measured = "gldzm" in options.families
    shared = _border(shape_mask, scheme) if measured and shape_mask is not None else None

    def prepare(levels: np.ndarray) -> Work:
        """The grid of one band, with the distances of its voxels."""
        own, inside = grid(levels, options.distance), np.asarray(levels) > 0
        border = shared if shared is not None or not measured else _border(inside, scheme)
        return Work(module, own, scheme, options, None if border is None else border[inside])

    with mapping(threads, values) as each:
        works = list(each(prepare, bands.values()))
        jobs = [(work, job) for job in _jobs(options) for work in works]
        found = list(each(lambda pair: pair[1](pair[0]), jobs))
    order = names(options.mode, options.families)
    result: dict[str, dict[str, float]] = {}
    for number, name in enumerate(bands):
        merged = {key: value for part in found[number :: len(works)] for key, value in part.items()}
        result[name] = {key: merged[key] for key in order}
    return result


def _check(bands: Mapping[str, np.ndarray], spacing_mm: Sequence[float], shape_mask: np.ndarray | None) -> None:
    if len(spacing_mm) != 3 or not all(s > 0 for s in spacing_mm):
        raise InvalidInputError(f"spacing_mm is three positive numbers (slice, row, column); got {tuple(spacing_mm)}.")
    shapes = {np.shape(levels) for levels in bands.values()}
    if shape_mask is not None:
        shapes.add(np.shape(shape_mask))
    if len(shapes) > 1:
        raise InvalidInputError(f"All bands and the shape_mask have the same shape; got {sorted(shapes)}.")


def _border(mask: np.ndarray, scheme: Plan) -> np.ndarray:
    return gldzm.border_distance(mask, all(offset[0] == 0 for offset in scheme.behind))


def _jobs(options: TextureOptions) -> list[Callable[[Work], dict[str, float]]]:
    """The counting that the families need; the longest first."""
    jobs = ((_cooccurrence, {"glcm"}), (_run_lengths, {"glrlm"}), (_zones, {"glszm", "gldzm"}))
    around = (_neighbourhood, {"ngtdm", "gldm", "ngldm"})
    return [job for job, families in (*jobs, around) if families & set(options.families)]


def _cooccurrence(work: Work) -> dict[str, float]:
    if work.grid.n_levels > _MOST_PAIRED_LEVELS:
        raise too_many(work.grid.n_levels, _MOST_PAIRED_LEVELS)
    cells = _counted(work.engine.pairs, work, work.plan.pairs)
    wanted = [name for name in work.wanted("glcm") if name != "MCC"]
    values = glcm.named(wanted, cells, work.options.n_levels or work.grid.n_levels, work.eps)
    if work.options.mode == "pyradiomics":
        values["glcm_MCC"] = mcc.coefficient(cells, work.grid.present())
    return values


def _run_lengths(work: Work) -> dict[str, float]:
    cells = _counted(work.engine.runs, work, work.plan.runs)
    if work.options.mode == "pyradiomics":
        cells = glrlm.without_lone(cells, work.grid, work.plan.runs)
    return glrlm.named(work.wanted("glrlm"), cells, work.eps)


def _zones(work: Work) -> dict[str, float]:
    border = work.border if work.border is not None else np.ones(work.grid.index.size, np.int32)
    zones = work.engine.zones(work.grid, work.plan.behind, border)
    starts = np.array([start for start, _ in work.parts])
    matrix = np.searchsorted(starts, zones.first, "right") - 1
    voxels = np.array([stop - start for start, stop in work.parts], np.float64)
    values: dict[str, float] = {}
    for family, named in (("glszm", glszm.named), ("gldzm", gldzm.named)):
        if family in work.options.families:
            values |= named(work.wanted(family), zones, matrix, voxels, work.eps)
    return values


def _neighbourhood(work: Work) -> dict[str, float]:
    steps = work.grid.steps(work.plan.around)
    around: list[Neighbourhood] = [
        work.engine.around(work.grid, steps, work.options.alpha, slice(*part)) for part in work.parts
    ]
    values: dict[str, float] = {}
    if "ngtdm" in work.options.families:
        values |= ngtdm.named(work.wanted("ngtdm"), around, work.options.mode == "pyradiomics")
    for family, named in (("gldm", gldm.named), ("ngldm", ngldm.named)):
        if family in work.options.families:
            values |= named(work.wanted(family), around, work.eps)
    return values


def _counted(count: Callable[..., Cells], work: Work, offsets: tuple[Offset, ...]) -> Cells:
    """The cells of every part, with the matrices numbered through."""
    steps, slots = work.grid.steps(offsets), work.plan.slots(offsets)
    n_slots = int(slots.max()) + 1
    found = []
    for number, part in enumerate(work.parts):
        cells = count(work.grid, steps, slots, slice(*part))
        total = (number + 1) * n_slots
        found.append(Cells(cells.matrix + number * n_slots, cells.row, cells.column, cells.count, total))
    return joined(found)
