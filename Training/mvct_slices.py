"""A site's scans as arrays: slices on the network's grid to train on, and pairs of volumes to score on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from manabi.errors import InvalidInputError
from manabi.mvct.prepare import crop_to_body, prepare
from manabi.mvct.tissue_map import body_mask
from manabi.volume import Volume
from Training.mvct_data import TRAINING, DataSettings, Site
from Training.mvct_simulate import to_body
from Training.mvct_sources import SOURCE, Scan


@dataclass(frozen=True)
class TestPair:
    """The two scans of one patient on one grid."""

    __test__ = False

    name: str
    patient: str
    source: Volume
    target: Volume


@dataclass(frozen=True)
class Slices:
    """A scan as the network sees it.

    Attributes:
        name: of the scan.
        patient: whose it is.
        hu: ``(slices, rows, columns)`` float16, cut to the body's box with a margin.
        body: mask of the same shape.
        spacing_mm: along I, J and K.
    """

    name: str
    patient: str
    hu: np.ndarray
    body: np.ndarray
    spacing_mm: np.ndarray


def slices_of(scan: Scan, pixel_mm: float | None) -> Slices:
    """A scan on the network's grid, as :func:`manabi.mvct.prepare.prepare` makes it; slices without a body left out.

    Half precision resolves 1 HU up to 2048 HU and 2 HU beyond, finer than any CT's noise.
    """
    work = prepare(scan.load(), None if pixel_mm is None else (pixel_mm, pixel_mm))
    spacing = np.asarray(work.image.spacing_mm, float)
    body = body_mask(work.hu, spacing)
    if not body.any():
        raise InvalidInputError(f"Scan {scan.name} shows no body: no tissue was found in it. Is it in HU?")
    crop = crop_to_body(body)
    arrays = [np.ascontiguousarray(crop.of(array)[crop.slices]) for array in (work.hu, body)]
    return Slices(scan.name, scan.patient, arrays[0].astype(np.float16), arrays[1], spacing)


def training_slices(site: Site, split: str, domain: str, settings: DataSettings) -> list[Slices]:
    """All scans of a split and domain as slices; those of the training source limited to ``max_slices``."""
    scans = site.of(split, domain)
    if split != TRAINING or domain != SOURCE or not settings.max_slices:
        return [slices_of(scan, settings.pixel_mm) for scan in scans]
    order = np.random.default_rng([settings.seed, len(scans), 1]).permutation(len(scans))
    kept: list[Slices] = []
    left = settings.max_slices
    for position in order:
        if left <= 0:
            break
        kept.append(_first(slices_of(scans[int(position)], settings.pixel_mm), left))
        left -= len(kept[-1].hu)
    return kept


def _first(slices: Slices, count: int) -> Slices:
    """At most ``count`` neighbouring slices from the middle of a scan."""
    low = max((len(slices.hu) - count) // 2, 0)
    part = slice(low, low + count)
    return replace(slices, hu=slices.hu[part], body=slices.body[part])


def load_pairs(site: Site, split: str, most_slices: int = 0) -> list[TestPair]:
    """The pairs of a split as float volumes, axial, cut to the body's box.

    Args:
        site: the data.
        split: whose pairs.
        most_slices: of each, from the middle; 0 takes all.
    """
    pairs = []
    for first, second in site.pairs(split):
        source, target = (_float(scan.load().reoriented()) for scan in (first, second))
        cut = to_body(target, most_slices)
        if cut is not None:
            pairs.append(TestPair(first.pair, first.patient, source.crop_to(cut.grid), cut))
    return pairs


def _float(volume: Volume) -> Volume:
    return volume.like(np.asarray(volume.array, np.float32))
