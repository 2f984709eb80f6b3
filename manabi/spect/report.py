"""Everything measured on one scan before and after denoising: binding ratios, noise, grades, alerts, tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.result import Cell, Labelmap, Plot, Table
from manabi.spect import noise as noise_of
from manabi.spect.grade import MEANINGS, Graded, Norms, grade_binding, load_norms
from manabi.spect.localise import Localisation, localise
from manabi.spect.quantify import Binding, binding_table, measure, regions, voxel_ml
from manabi.spect.template import REGIONS, SIDES
from manabi.volume import Volume

NO_STRIATUM = 0.2
"""Below this share of variance explained by the striatal template the image is unlike a DAT scan (our choice)."""


MARKS = ("normal mean", "normal mean - SD", "normal mean + SD")
"""Series of the chart that are normal values."""


@dataclass(frozen=True)
class Study:
    """A measured scan; ``found`` is where its striatum lies."""

    before: Binding
    after: Binding
    noise: noise_of.BindingNoise
    grades: dict[str, dict[str, Graded]]
    norms: Norms
    labelmap: Labelmap
    explained: float
    found: Localisation | None = None

    def shifts(self) -> list[noise_of.Shift]:
        """The change of each region's binding ratio against its noise."""
        return noise_of.shifts(self.before, self.after, self.noise)

    def alerts(self, limit: float) -> list[str]:
        """Over-correction alerts above ``limit`` standard errors."""
        return noise_of.alerts(self.shifts(), self.before, self.after, self.noise, limit)

    def tables(self) -> dict[str, Table]:
        """``binding_ratios``, ``changes`` and ``grades``."""
        return {
            "binding_ratios": binding_table({"input": self.before, "denoised": self.after}),
            "changes": self._changes(),
            "grades": self._grades(),
        }

    def _changes(self) -> Table:
        columns = ("structure", "side", "sbr_input", "sbr_denoised", "change_percent", "noise_sd", "change_in_noise_sd")
        rows: list[tuple[Cell, ...]] = [
            (
                *c.region,
                round(c.before, 4),
                round(c.after, 4),
                round(100 * (c.after / c.before - 1), 2) if c.before > 0.05 else None,
                round(c.sd, 4),
                round(c.z, 3),
            )
            for c in self.shifts()
        ]
        return Table(columns, tuple(rows))

    def _grades(self) -> Table:
        columns = ("image", "side", "grade", "meaning", "probability", "p1", "p2", "p3", "p4", "putamen_z", "caudate_z")
        rows: list[tuple[Cell, ...]] = []
        for image, sides in self.grades.items():
            for side in SIDES:
                g = sides[side]
                chances = [round(g.probabilities[n], 4) for n in (1, 2, 3, 4)]
                z = (round(g.putamen_z, 3), round(g.caudate_z, 3))
                rows.append((image, side, g.grade, MEANINGS[g.grade], round(g.probability, 4), *chances, *z))
        return Table(columns, tuple(rows))

    def measurements(self) -> dict[str, Cell]:
        """The few numbers a reader looks at first."""
        values: dict[str, Cell] = {}
        for image, binding in (("input", self.before), ("denoised", self.after)):
            for structure, side in REGIONS:
                values[f"sbr_{structure}_{side}_{image}"] = round(binding.sbr[structure, side], 4)
            for side in SIDES:
                values[f"southampton_sbr_{side}_{image}"] = round(binding.southampton[side], 4)
                values[f"grade_{side}_{image}"] = self.grades[image][side].grade
                values[f"grade_probability_{side}_{image}"] = round(self.grades[image][side].probability, 4)
            for name in ("putamen", "caudate"):
                percent = getattr(binding, f"{name}_asymmetry_percent")
                values[f"{name}_asymmetry_percent_{image}"] = None if percent is None else round(percent, 2)
        values["largest_change_in_noise_sd"] = round(max(abs(c.z) for c in self.shifts()), 3)
        values["striatal_pattern_explained"] = round(self.explained, 4)
        return values


def study(
    before: Volume,
    after: Volume,
    reference: str = "occipital",
    norms_file: str | None = None,
    age_years: float | None = None,
    context: Context | None = None,
) -> Study:
    """Measure a scan before and after denoising, with the regions found on the scan itself.

    What is measured before thus does not depend on what the denoiser did.

    Args:
        before: the scan, counts.
        after: the denoised scan on the same grid.
        reference: ``occipital`` or ``whole_brain``.
        norms_file: JSON with normal values; the shipped ones by default.
        age_years: for age-adjusted grades.
        context: progress and cancellation.

    Raises:
        InvalidInputError: when no striatum or no reference region is in the image.
        CancelledError: when the context was cancelled.
    """
    context = context or Context()
    norms = load_norms(norms_file)
    context.progress(0.0, "Finding the striatum")
    found = localise(before)
    if found.cut and found.explained < NO_STRIATUM:
        raise InvalidInputError(
            "The image ends within the brain, and no striatum was recognised in it. Export all slices of the head."
        )
    context.progress(0.6, "Measuring binding ratios")
    places = regions(before, found)
    size = voxel_ml(after)
    raw = measure(before.array, places, size, reference)
    clean = measure(after.array, places, size, reference)
    context.progress(0.8, "Measuring their noise")
    noise = noise_of.binding_noise(np.asarray(before.array, float) - after.array, places, raw)
    raw, clean = noise_of.with_noise(raw, noise), noise_of.with_noise(clean, noise)
    grades = {"input": grade_binding(raw, norms, age_years), "denoised": grade_binding(clean, norms, age_years)}
    return Study(raw, clean, noise, grades, norms, places.labelmap(after), found.explained, found)


def chart(ratios: Mapping[str, Mapping[tuple[str, str], float]], norms: Norms, age_years: float | None = None) -> Plot:
    """Binding ratios as bars under each region, with the normal mean and one standard deviation around it.

    Args:
        ratios: per image (``before``, ``after`` and the like), per (structure, side).
        norms: normal values; age-adjusted where both ages are known.
        age_years: of the patient.
    """
    places = [float(n) for n in range(len(REGIONS))]
    means = [norms.mean_at(structure, age_years) for structure, _ in REGIONS]
    spread = [norms.sd[structure] for structure, _ in REGIONS]
    bars = {image: (places, [round(sbr[region], 4) for region in REGIONS]) for image, sbr in ratios.items()}
    levels = {
        name: (places, [round(mean + sign * sd, 4) for mean, sd in zip(means, spread, strict=True)])
        for name, sign in zip(MARKS, (0, -1, 1), strict=True)
    }
    names = tuple(f"{structure.capitalize()} {side}" for structure, side in REGIONS)
    labels = ("Specific binding ratio", "region", "specific binding ratio")
    return Plot(*labels, {**bars, **levels}, "bar", names, MARKS)
