"""How repeatable features are when images and masks are perturbed: features of every perturbation, and their ICC."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.radiomics.perturb import Perturbation, PerturbationPlan, perturb, perturbations
from manabi.radiomics.stability_icc import ICC, Form, icc
from manabi.radiomics.stability_table import StabilityTable, classes
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.radiomics.settings import ExtractionSettings

__all__ = [
    "ICC",
    "RepeatedFeatures",
    "StabilityCase",
    "StabilityTable",
    "classes",
    "icc",
    "repeat_features",
    "stability",
]

Features = Callable[[Volume, Volume], Mapping[str, float]]
"""From an image and a mask (1 inside) to values by name."""


@dataclass(frozen=True, eq=False)
class StabilityCase:
    """A patient's image and mask.

    Attributes:
        name: tells patients apart and steers the random numbers; appears in no message.
        volume: image.
        mask: labels on the image's grid.
        label: the region.
    """

    name: str
    volume: Volume
    mask: Volume
    label: int = 1


@dataclass(frozen=True, eq=False)
class RepeatedFeatures:
    """Features of every patient under every perturbation.

    Attributes:
        patients: names, in the order of the array.
        names: of the features.
        values: ``(n_patients, n_repeats, n_features)``, NaN where a perturbation or a feature failed. Its
            rows of training patients are what a stability filter within a cross-validation computes the ICC of.
        plan: what was done.
        seed: the plan was drawn with.
        warnings: what failed.
    """

    patients: tuple[str, ...]
    names: tuple[str, ...]
    values: np.ndarray
    plan: PerturbationPlan
    seed: int
    warnings: tuple[str, ...] = ()

    def aligned(self, patients: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """``(len(patients), n_repeats, len(names))``: the array in the order of a cohort; NaN for what is not here."""
        rows = {name: index for index, name in enumerate(self.patients)}
        columns = {name: index for index, name in enumerate(self.names)}
        values = np.full((len(patients), self.values.shape[1], len(names)), np.nan)
        there = [(i, rows[name]) for i, name in enumerate(patients) if name in rows]
        known = [(i, columns[name]) for i, name in enumerate(names) if name in columns]
        if there and known:
            (to_row, from_row), (to_column, from_column) = zip(*there, strict=True), zip(*known, strict=True)
            picked = self.values[list(from_row)][:, :, list(from_column)]
            values[np.ix_(to_row, range(values.shape[1]), to_column)] = picked
        return values


def repeat_features(
    cases: Iterable[StabilityCase],
    settings: ExtractionSettings | None = None,
    plan: PerturbationPlan | None = None,
    context: Context | None = None,
    features: Features | None = None,
) -> RepeatedFeatures:
    """Features of all perturbations of all patients.

    Turns, shifts and volumes of the n-th perturbation are the same for all patients; noise, contours and ties are drawn
    for each patient by itself, from its name and the seed, so that the order of the patients does not matter. No
    outcome is looked at; the array may be made once for a cohort, but only training rows may choose features.

    Args:
        cases: taken one at a time, so that a generator may load them.
        settings: of the extraction, where ``features`` is None; None is the preset ``default``.
        plan: None is the default plan.
        context: progress, cancellation and seed.
        features: another way to compute features than :func:`manabi.radiomics.extract.extract`.

    Raises:
        InvalidInputError: no cases, two of one name, or nothing at all could be computed.
        CancelledError: on request.
    """
    plan, context = plan or PerturbationPlan(), context or Context()
    compute = features or extractor(settings)
    drawn = perturbations(plan, context.seed)
    total = len(cases) if isinstance(cases, Sized) else 0
    rows: dict[str, list[Mapping[str, float]]] = {}
    failures: list[str] = []
    for case in cases:
        if case.name in rows:
            raise InvalidInputError("Two cases have the same name. Give every patient (or tumour) its own.")
        context.progress(len(rows) / total if total else 0.0, f"case {len(rows) + 1}")
        rows[case.name] = [_features_of(case, change, compute, context, failures) for change in drawn]
    names, values = _array(rows, len(drawn), failures)
    if failures:
        context.warn(_summary(failures, values.shape[0] * values.shape[1]))
    return RepeatedFeatures(tuple(rows), names, values, plan, context.seed, tuple(dict.fromkeys(failures)))


def stability(
    cases: Iterable[StabilityCase],
    settings: ExtractionSettings | None = None,
    plan: PerturbationPlan | None = None,
    context: Context | None = None,
    features: Features | None = None,
    form: Form = "1,1",
) -> StabilityTable:
    """Perturb, extract and compute the ICC of every feature with its interval; see :func:`repeat_features`.

    For a report, or for features chosen on patients who are not modelled; within a model the ICC is computed on
    training patients.

    Args:
        cases: at least 3 patients; see :func:`repeat_features` for the rest.
        settings: of the extraction.
        plan: None is the default plan.
        context: progress, cancellation and seed.
        features: another way to compute features.
        form: of the ICC; Zwanenburg 2019 takes ``1,1``.
    """
    found = repeat_features(cases, settings, plan, context, features)
    about: dict[str, Any] = {"plan": asdict(found.plan), "seed": found.seed}
    if features is None and settings is not None:
        about["settings"] = settings.to_dict()
    return StabilityTable.of(found.names, found.values, form, found.warnings, **about)


def extractor(settings: ExtractionSettings | None) -> Features:
    """:func:`manabi.radiomics.extract.extract` with settings, as a function from image and mask to values by name."""
    from manabi.radiomics.extract import extract

    def features(volume: Volume, mask: Volume) -> Mapping[str, float]:
        """Values by name."""
        found = extract(volume, mask, settings)
        return dict(zip(found.names, found.values, strict=True))

    return features


def _features_of(
    case: StabilityCase, change: Perturbation, compute: Features, context: Context, failures: list[str]
) -> Mapping[str, float]:
    """Features of one perturbation; none, and a note, where it cannot be done."""
    context.check_cancelled()
    own = replace(change, seed=(change.seed + zlib.crc32(case.name.encode())) % 2**32)
    try:
        return compute(*perturb(case.volume, case.mask, own, case.label))
    except InvalidInputError as error:
        failures.append(str(error))
        return {}


def _array(
    rows: dict[str, list[Mapping[str, float]]], repeats: int, failures: list[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Names in the order in which they first came, and the array; infinite values become NaN."""
    if not rows:
        raise InvalidInputError("There are no cases. Give at least 3 patients.")
    names = tuple(dict.fromkeys(name for row in rows.values() for found in row for name in found))
    if not names:
        why = failures[0] if failures else "the extraction gave no features."
        raise InvalidInputError(f"No feature could be computed of any perturbation: {why}")
    values = np.full((len(rows), repeats, len(names)), np.nan)
    place = {name: index for index, name in enumerate(names)}
    for i, row in enumerate(rows.values()):
        for j, found in enumerate(row):
            for name, value in found.items():
                values[i, j, place[name]] = value
    values[~np.isfinite(values)] = np.nan
    return names, values


def _summary(failures: list[str], tries: int) -> str:
    """One sentence about what failed."""
    return f"{len(failures)} of {tries} perturbations could not be measured and are left out: {failures[0]}"
