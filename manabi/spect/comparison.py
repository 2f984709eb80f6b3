"""Holding a short scan and its denoised image against the full-time scan of the same patient.

Counts need no common scale: image scores divide each image by its maximum, as the source does, or by its mean in the
brain, so that 25 minutes with five times the counts of 5 minutes are no error; binding ratios are ratios. Regions are
those found on the short scan, the same for every image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.result import Cell, Table
from manabi.spect import paper
from manabi.spect.localise import Localisation, brain_mask, localise
from manabi.spect.quantify import Regions, measure, regions, voxel_ml
from manabi.spect.template import REGIONS
from manabi.volume import Volume

SLICE_SCORES = ("ssim", "psnr_db", "nrmse")
REGION_SCORES = ("nrmse_brain", "nrmse_striatum")
RATIOS = tuple(f"sbr_{structure}_{side}" for structure, side in REGIONS)
LEAST_COVER = 0.98
"""Share of the short scan's brain that the full-time scan must hold (our choice)."""
LEAST_SHARED = 0.25
"""Share of the short scan's brain in which the full-time scan must show a head, too; more is motion (our choice)."""
MOVED_MM = 12.0
"""Striata that lie farther apart are told: the fit scatters by up to 5 mm on simulated short scans (our choice)."""


def demo_tables(images: Mapping[str, Volume]) -> dict[str, Table]:
    """Specific binding ratios of every image, and their likeness to the last one.

    Args:
        images: input, output and reference on one grid, in this order, by what a reader calls them.
    """
    scan = next(iter(images.values()))
    places = regions(scan, localise(scan))
    binding = {name: measure(volume.array, places, voxel_ml(volume)).sbr for name, volume in images.items()}
    rows: list[tuple[Cell, ...]] = [
        (f"{structure} {side}", *(sbr[structure, side] for sbr in binding.values())) for structure, side in REGIONS
    ]
    scores = slice_scores(images)
    likeness: list[tuple[Cell, ...]] = [(name, s["ssim"], s["psnr_db"]) for name, s in scores.items()]
    return {
        "Specific binding ratio": Table(("region", *images), tuple(rows)),
        "Likeness to the last image, five slices": Table(("image", "ssim", "psnr_db"), tuple(likeness)),
    }


def comparison(
    images: Mapping[str, Volume],
    found: Localisation | None,
    reference: str = "occipital",
    context: Context | None = None,
) -> Table:
    """One row per image: its likeness to the last one, and its binding ratios.

    Args:
        images: short, denoised and full-time scan on one grid, in this order.
        found: the striatum on the short scan; None leaves out what needs regions.
        reference: region of the binding ratios.
        context: is warned of what cannot be computed.
    """
    rows: dict[str, dict[str, Cell]] = {name: {} for name in images}
    try:
        _add(rows, slice_scores(images))
    except InvalidInputError as error:
        (context or Context()).warn(f"SSIM and PSNR against the full-time scan were not computed: {error}")
    scan = next(iter(images.values()))
    places = None if found is None else regions(scan, found)
    brain = brain_mask(scan) if found is None else found.brain
    _add(rows, _region_scores(images, brain, places))
    if places is None:
        return _table(rows, (*SLICE_SCORES, REGION_SCORES[0]))
    for name, volume in images.items():
        sbr = measure(volume.array, places, voxel_ml(volume), reference).sbr
        rows[name].update(zip(RATIOS, (sbr[region] for region in REGIONS), strict=True))
    return _table(rows, (*SLICE_SCORES, *REGION_SCORES, *RATIOS))


def _add(rows: dict[str, dict[str, Cell]], scores: Mapping[str, Mapping[str, float]]) -> None:
    for name, found in scores.items():
        rows[name].update(found)


def slice_table(images: Mapping[str, np.ndarray]) -> Table:
    """The scores of five-slice images ``(5, 64, 64)`` from 0 to 1 against the last of them."""
    reference, others = _split(images)
    return _table({**_scored(others, reference), list(images)[-1]: {}}, SLICE_SCORES)


def slice_scores(images: Mapping[str, Volume]) -> dict[str, dict[str, float]]:
    """Scores of every image but the last against the last, on five slices, as the source computes them.

    Five central 64×64 slices around the reference's hottest one, each divided by its maximum; SSIM in scikit-image's
    default convention, PSNR in dB for a range of 1, NRMSE over the reference's root mean square; means over the slices.
    """
    straight = {name: paper.straighten(volume) for name, volume in images.items()}
    reference = list(straight.values())[-1]
    middle = paper.hottest_slice(paper.to_8bit(np.asarray(reference.array, float)))
    slices = {name: paper.paper_images(volume, middle).images for name, volume in straight.items()}
    target, others = _split(slices)
    return _scored(others, target)


def _split(images: Mapping[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    *names, last = images
    return images[last], {name: images[name] for name in names}


def _scored(images: Mapping[str, np.ndarray], target: np.ndarray) -> dict[str, dict[str, float]]:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    def mean(metric: Callable[..., float], image: np.ndarray, **options: float) -> float:
        with np.errstate(divide="ignore"):  # the PSNR of equal slices is infinite
            return float(np.mean([metric(a, b, **options) for a, b in zip(target, image, strict=True)]))

    return {
        name: {
            "ssim": mean(structural_similarity, image, data_range=1.0),
            "psnr_db": mean(peak_signal_noise_ratio, image, data_range=1.0),
            "nrmse": mean(nrmse, image),
        }
        for name, image in images.items()
    }


def nrmse(reference: np.ndarray, image: np.ndarray) -> float:
    """Root mean square error over the root mean square of the reference; NaN for an empty one."""
    norm = float(np.linalg.norm(reference))
    return float(np.linalg.norm(np.subtract(reference, image))) / norm if norm else math.nan


def _region_scores(
    images: Mapping[str, Volume], brain: np.ndarray, places: Regions | None
) -> dict[str, dict[str, float]]:
    """NRMSE over the voxels of brain and striatum, each image divided by its mean in the brain."""
    masks = {"nrmse_brain": brain}
    if places is not None:
        masks["nrmse_striatum"] = np.maximum.reduce(list(places.structures.values())) >= 0.5
    scaled = {name: _per_brain_mean(volume, brain) for name, volume in images.items()}
    target, others = _split(scaled)
    return {
        name: {key: nrmse(target[mask], image[mask]) for key, mask in masks.items()} for name, image in others.items()
    }


def _per_brain_mean(volume: Volume, brain: np.ndarray) -> np.ndarray:
    values = np.asarray(volume.array, float)
    mean = float(values[brain].mean())
    if mean <= 0:
        raise InvalidInputError("One image has no counts where the other one has its brain. Check the series.")
    return values / mean


def _table(rows: Mapping[str, Mapping[str, Cell]], columns: tuple[str, ...]) -> Table:
    def cell(value: Cell) -> Cell:
        return round(value, 4) if isinstance(value, float) and math.isfinite(value) else None

    cells = [(name, *(cell(row.get(column)) for column in columns)) for name, row in rows.items()]
    return Table(("image", *columns), tuple(cells))


# --- the full-time scan ------------------------------------------------------------------------------------------


def on_grid(full: Volume, scan: Volume, context: Context) -> Volume:
    """The full-time scan on the short scan's grid: reordered without loss, or resampled with a warning.

    Whatever would make the comparison impossible is found here, before the short scan is denoised.

    Raises:
        InvalidInputError: where it does not hold the short scan's brain, as when it is of another session, or shows no
            head there.
    """
    try:
        brain = brain_mask(scan)
    except InvalidInputError:  # that is said of the short scan, where it matters
        brain = np.zeros(scan.shape, bool)
    placed = _placed(full, scan, brain, context)
    _check_head(placed, brain)
    return placed


def _placed(full: Volume, scan: Volume, brain: np.ndarray, context: Context) -> Volume:
    if full.grid.same_as(scan.grid):
        return full
    turned = full.reoriented_like(scan.grid)
    if turned.grid.same_as(scan.grid):
        return turned
    _check_cover(full, scan, brain)
    context.warn("The full-time scan lies on another grid; it was resampled to the short scan's for the comparison.")
    return full.resampled(scan.grid)


def _check_head(full: Volume, brain: np.ndarray) -> None:
    """Refuse a scan without a head, or without counts, where the short scan has its brain."""
    if not brain.any():
        return
    if np.asarray(full.array)[brain].mean() <= 0:
        raise InvalidInputError(
            "full_time: the full-time scan has no counts where the short scan has its brain. Choose the scan of the "
            "same patient and session, exported with its counts."
        )
    try:
        head = brain_mask(full)
    except InvalidInputError as error:
        raise InvalidInputError(f"full_time: {error}") from error
    shared = float(head[brain].mean())
    if shared < LEAST_SHARED:
        raise InvalidInputError(
            f"full_time: the full-time scan shows a head in {100 * shared:.0f} % of the place where the short scan has "
            "its brain; expected nearly all of it. Choose the scan of the same patient and session, without hot spots "
            "at its edge."
        )


def _check_cover(full: Volume, scan: Volume, brain: np.ndarray) -> None:
    if not brain.any():
        return
    k, j, i = np.nonzero(brain)
    index = full.grid.ijk_of(scan.grid.ras_of(np.stack([i, j, k], -1)))
    size = np.array(full.shape[::-1])
    inside = ((index >= -0.5) & (index <= size - 0.5)).all(-1)
    if inside.mean() < LEAST_COVER:
        raise InvalidInputError(
            f"full_time: the full-time scan holds {100 * inside.mean():.0f} % of the brain in the short scan; expected "
            "all of it. Choose the scan of the same patient and session, or register it to the short scan first."
        )


def check_moved(full: Volume, found: Localisation, context: Context) -> None:
    """Warn where the striatum lies elsewhere in the full-time scan, as after motion between the two."""
    there = localise(full).pose.centre_mm
    apart = float(np.linalg.norm(np.subtract(there, found.pose.centre_mm)))
    if apart > MOVED_MM:
        context.warn(
            f"The striatum lies {apart:.0f} mm apart in the short and the full-time scan. Nothing is registered here: "
            "the comparison is right only for a patient who did not move."
        )
