"""What a bundle of MVCTConvert must know besides its weights, measured on training and validation patients.

What the inputs were like (for the check of foreign ones), how large the cycle residual and the difference in gradient
usually are, how the uncertainty is to be scaled, what tissues measure on this kVCT, and its histogram.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from manabi.context import Context
from manabi.mvct import pipeline
from manabi.mvct.baselines import Histogram
from manabi.mvct.convert import Settings
from manabi.mvct.features import encoder_features
from manabi.mvct.hu_check import check_hu, expected_hu
from manabi.mvct.metrics import dig
from manabi.mvct.noise_level import mode
from manabi.mvct.ood import fit_reference
from manabi.mvct.parameters import MVCTParameters
from manabi.mvct.pipeline import Model
from manabi.mvct.prepare import prepare
from manabi.mvct.signature import DENSE_PERCENTILE, Signature, signature
from manabi.mvct.tissue_map import TissueMap, body_mask, tissue_map
from manabi.mvct.uncertainty import calibration_factor
from manabi.volume import Volume
from Training.mvct_data import Site
from Training.mvct_evaluate_doubt import spread_and_error
from Training.mvct_simulate import to_body
from Training.mvct_slices import TestPair, load_pairs
from Training.mvct_sources import SOURCE, TARGET, Scan
from Training.mvct_truth import kvct_tissues

MOST_SCANS = 12
"""Training scans that are described, at most; more add time and little knowledge (our choice)."""
FEWEST_IMAGES = 3
PART_SHARE, PART_SLICES = 3, 6
"""Both ends of a scan, a third each and so many slices at least, are described too: a daily scan is often a slab, and a
slab of the skull or the shoulders is unlike a whole neck (our choice)."""
VOXELS = 200_000
"""Voxels of a pair that calibrate the uncertainty, at most."""
DEGREE = 3
AIR_HU = -1000.0
TOLERANCE_SDS = 3.0


@dataclass(frozen=True)
class Seen:
    """One source scan, described and converted.

    Attributes:
        signature: what the input is like.
        features: ``(d,)`` mean of the encoder's latent channels.
        residual_hu: mean absolute cycle residual in the body; nan without a way back.
        dig_a: mean difference in gradient, HU/mm.
    """

    signature: Signature
    features: np.ndarray
    residual_hu: float
    dig_a: float


def facts(site: Site, model: Model, context: Context, most_slices: int = 0) -> dict[str, Any]:
    """The measured part of a bundle's section ``mvct``; what cannot be measured is left out.

    Args:
        site: the data.
        model: the trained converter and how it is applied.
        context: device and precision.
        most_slices: of each scan that are converted, from the middle; 0 takes all.
    """
    found: dict[str, Any] = {}
    training, validation = (site.of(split, SOURCE) for split in ("training", "validation"))
    chosen = [*_thinned(training), *validation]
    seen = [look(scan.load(), model, context, most_slices) for scan in chosen]
    unseen = seen[len(chosen) - len(validation) :] if len(validation) >= FEWEST_IMAGES else seen
    if len(seen) >= FEWEST_IMAGES:
        parts = [part for scan in chosen for part in described_parts(scan.load(), model, context)]
        found["ood"] = _reference([*seen, *parts], unseen).facts()
    residuals = [s.residual_hu for s in unseen if np.isfinite(s.residual_hu)]
    if residuals:
        found["residual"] = {"mean": round(float(np.mean(residuals)), 4), "sd": round(float(np.std(residuals)), 4)}
    found["usual_dig"] = round(float(np.mean([s.dig_a for s in unseen])), 4)
    factor = uncertainty_factor(load_pairs(site, "validation", most_slices), model, context)
    if factor is not None:
        found["uncertainty_calibration"] = round(factor, 4)
    return {**found, **target_facts(site.of("training", TARGET), seen, model.settings)}


def look(volume: Volume, model: Model, context: Context, most_slices: int = 0) -> Seen:
    """Describe one source scan, and convert it or its middle slices."""
    seen = _described(volume, model, context)
    done, inside = _converted(volume, model, context, most_slices)
    residual = float("nan") if done.residual is None else float(np.abs(done.residual[inside]).mean())
    change = dig(done.before, done.after, inside, np.asarray(done.work.straight.spacing_mm, float))
    return replace(seen, residual_hu=residual, dig_a=change.dig_a)


def described_parts(volume: Volume, model: Model, context: Context) -> list[Seen]:
    """Both ends of a source scan that show a body, described, not converted; none where it is too short for parts."""
    whole = volume.reoriented()
    count = whole.shape[0]
    length = max(count // PART_SHARE, PART_SLICES)
    if length >= count:
        return []
    slabs = [_slab(whole, first, length) for first in (0, count - length)]
    return [_described(slab, model, context) for slab in slabs if body_mask(slab.array, slab.spacing_mm).any()]


def _slab(volume: Volume, first: int, length: int) -> Volume:
    matrix = np.array(volume.ijk_to_ras)
    matrix[:, 3] = matrix @ (0.0, 0.0, first, 1.0)
    return replace(volume, array=np.asarray(volume.array)[first : first + length], ijk_to_ras=matrix)


def _described(volume: Volume, model: Model, context: Context) -> Seen:
    work = prepare(volume, model.settings.pixel_mm)
    spacing = np.asarray(work.image.spacing_mm, float)
    tissues = tissue_map(work.hu, spacing, model.settings.kind)
    features = encoder_features(model.network, model.settings, work.hu, tissues.body, context)
    return Seen(signature(work.hu, spacing, tissues), features, float("nan"), float("nan"))


def _converted(
    volume: Volume, model: Model, context: Context, most_slices: int
) -> tuple[pipeline.Conversion, np.ndarray]:
    """A scan converted there and back, and its body on the straight grid."""
    cut = to_body(volume.reoriented(), most_slices)
    work = prepare(volume if cut is None else cut, model.settings.pixel_mm)
    body = body_mask(work.hu, work.image.spacing_mm)
    parameters = MVCTParameters.of({"uncertainty": "none", "residual": True})
    done = pipeline.convert(work, body, model, parameters, context)
    return done, work.mask_to_straight(body)


def uncertainty_factor(pairs: Sequence[TestPair], model: Model, context: Context) -> float | None:
    """What the spread over mirrored copies must be multiplied with to be the error's; None without pairs.

    Raises:
        InvalidInputError: for a baseline, which has no spread.
    """
    spreads, errors = [], []
    for pair in pairs:
        spread, error, inside = spread_and_error(pair, model, context)
        step = max(1, int(inside.sum()) // VOXELS)
        spreads.append(spread[inside][::step])
        errors.append(error[inside][::step])
    return calibration_factor(np.concatenate(spreads), np.concatenate(errors)) if spreads else None


def target_facts(targets: Sequence[Scan], seen: Sequence[Seen], settings: Settings) -> dict[str, Any]:
    """Histogram of the training kVCT, what its tissues measure, and a HU map where physics gives none (cone beam)."""
    total: np.ndarray | None = None
    lines: dict[str, list[float]] = {}
    anchors = []
    for scan in _thinned(targets):
        work = prepare(scan.load(), settings.pixel_mm)
        spacing = np.asarray(work.image.spacing_mm, float)
        tissues = kvct_tissues(work.hu, spacing)
        counts = np.array(Histogram.measured(work.hu[tissues.body], settings.target).counts)
        total = counts if total is None else total + counts
        anchors.append(_of_target(work.hu, tissues))
        for line in check_hu(work.hu, tissues, spacing, expected_hu("kvct")):
            lines.setdefault(line.tissue, []).append(line.measured_hu)
    if total is None:
        return {}
    target = Histogram(settings.target.low, settings.target.high, tuple(float(n) for n in total))
    found: dict[str, Any] = {
        "target_histogram": {**target.to_dict(), "counts": total.astype(int).tolist()},
        "expected_hu": _expected(lines),
    }
    polynomial = _polynomial(seen, anchors) if settings.kind != "mvct" else None
    return found if polynomial is None else {**found, "polynomial": polynomial}


def _expected(lines: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """HU and tolerance of each tissue that three scans show; the tolerance is never tighter than the general one."""
    known = expected_hu("kvct")
    out = {}
    for tissue, values in lines.items():
        if len(values) >= FEWEST_IMAGES:
            tolerance = max(TOLERANCE_SDS * float(np.std(values, ddof=1)), known[tissue][1])
            out[tissue] = [round(float(np.mean(values)), 1), round(tolerance, 1)]
    return out


def _polynomial(seen: Sequence[Seen], targets: Sequence[Sequence[float]]) -> list[float] | None:
    """A polynomial of HU / 1000 through fat, muscle and dense bone of both kinds of scan, and through air.

    Between air and fat a straight line is followed (our choice). None where a tissue is found in no scan.
    """
    points = [_anchors([_of_source(s.signature) for s in seen]), _anchors(targets)]
    if not np.isfinite(points).all():
        return None
    x, y = (np.insert(p, 1, 0.5 * (p[0] + p[1])) for p in points)
    return [round(float(c), 5) for c in np.polynomial.polynomial.polyfit(x / 1000.0, y, DEGREE)]


def _anchors(rows: Sequence[Sequence[float]]) -> np.ndarray:
    """Mean HU of air and of each column's tissue, where scans show it."""
    known = [column[np.isfinite(column)] for column in np.array(rows, float).T]
    return np.array([AIR_HU, *(column.mean() if column.size else np.nan for column in known)])


def _of_source(found: Signature) -> tuple[float, float, float]:
    """HU of fat, muscle and dense bone that a signature holds."""
    muscle = found.numbers["muscle_hu"]
    return muscle - found.numbers["gap_hu"], muscle, found.numbers["dense_hu"]


def _of_target(hu: np.ndarray, tissues: TissueMap) -> tuple[float, float, float]:
    """The same of a kVCT, by its tissues."""
    fat, muscle = (mode(hu[mask]) if (mask := tissues.mask(name)).any() else np.nan for name in ("fat", "muscle"))
    bone = hu[tissues.mask("bone")]
    return fat, muscle, float(np.percentile(bone, DENSE_PERCENTILE)) if bone.size else np.nan


def _reference(seen: Sequence[Seen], unseen: Sequence[Seen]) -> Any:
    """What is usual. Residuals of scans that were trained on are lower than usual: others are taken where they are."""
    other = {id(s) for s in unseen}
    residuals = [s.residual_hu if id(s) in other else float("nan") for s in seen]
    features = np.array([s.features for s in seen])
    return fit_reference(
        [s.signature for s in seen],
        features if features.size else None,
        residuals if np.isfinite(residuals).sum() >= FEWEST_IMAGES else None,
    )


def _thinned(scans: Sequence[Scan]) -> list[Scan]:
    places = np.unique(np.linspace(0, len(scans) - 1, min(MOST_SCANS, len(scans))).astype(int))
    return [scans[int(place)] for place in places]


def half_precision(network: nn.Module) -> nn.Module:
    """The network with its weights rounded to half precision, as a bundle of half the size holds them."""
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().to(tensor.dtype))
    return network
