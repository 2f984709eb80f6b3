"""Grade 1 to 4 of each striatum from its binding ratios, with the probability of each grade.

The grades are those of the source's readers: 4 normal, 3 putamen mildly reduced, 2 putamen severely reduced, 1 putamen
and caudate severely reduced. The rule from z scores is our choice (the source's readers graded by eye): 4 where the
putamen's z > -2, 3 where it lies between -4 and -2, below that 2 where the caudate's z > -2 and 1 otherwise.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from manabi.errors import InvalidInputError
from manabi.spect.quantify import Binding
from manabi.spect.template import SIDES

GRADES = (1, 2, 3, 4)
MEANINGS = {
    4: "normal",
    3: "putamen mildly reduced",
    2: "putamen severely reduced",
    1: "putamen and caudate severely reduced",
}
AGE_DECLINE = 0.063
"""Fall of the normal binding ratio per decade (Japan, N=256: Matsuda et al. 2018, 10.1007/s00259-018-3976-5)."""
SHIPPED_NORMS = Path(__file__).with_name("norms.json")


@dataclass(frozen=True)
class Norms:
    """Normal binding ratios.

    Attributes:
        mean: per structure.
        sd: per structure.
        source: what they were measured on; shown with every grade.
        age_years: age to which they apply, or None where they hold for no age in particular.
        mild_z: the putamen is normal above this z.
        severe_z: the putamen is severely reduced below this z.
        caudate_z: the caudate is reduced at or below this z.
    """

    mean: dict[str, float]
    sd: dict[str, float]
    source: str
    age_years: float | None = None
    mild_z: float = -2.0
    severe_z: float = -4.0
    caudate_z: float = -2.0

    def mean_at(self, structure: str, age_years: float | None = None) -> float:
        """The normal mean; age-adjusted where both ages are known."""
        mean = self.mean[structure]
        if age_years is not None and self.age_years is not None:
            mean *= (1.0 - AGE_DECLINE) ** ((age_years - self.age_years) / 10.0)
        return mean

    def z(self, structure: str, sbr: float, age_years: float | None = None) -> float:
        """Standard deviations from normal; age-adjusted where both ages are known."""
        return (sbr - self.mean_at(structure, age_years)) / self.sd[structure]


def load_norms(path: str | None = None) -> Norms:
    """Norms from a JSON file with the fields of :class:`Norms`; the shipped ones by default.

    Raises:
        InvalidInputError: for a file that cannot be read as norms.
    """
    file = Path(path) if path else SHIPPED_NORMS
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        known = {k: record[k] for k in Norms.__dataclass_fields__ if k in record}
        norms = Norms(**known)
        if not all(0 < value[s] < math.inf for value in (norms.mean, norms.sd) for s in ("caudate", "putamen")):
            raise ValueError("means and deviations must be positive numbers")
        if not all(math.isfinite(v) for v in (norms.age_years or 0, norms.mild_z, norms.severe_z, norms.caudate_z)):
            raise ValueError("age and z scores must be numbers")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"The norms file {file.name} cannot be used ({error}). It must be JSON with mean, sd (for caudate and "
            "putamen) and source."
        ) from error
    return norms


def grade_of(putamen_z: float, caudate_z: float, norms: Norms) -> int:
    """The grade of one striatum."""
    if putamen_z > norms.mild_z:
        return 4
    if putamen_z > norms.severe_z:
        return 3
    return 2 if caudate_z > norms.caudate_z else 1


def grade_probabilities(
    putamen_z: float, caudate_z: float, putamen_sd: float, caudate_sd: float, norms: Norms
) -> dict[int, float]:
    """Probability of each grade when the z scores carry Gaussian noise of the given standard deviations."""
    normal = _above(putamen_z, norms.mild_z, putamen_sd)
    not_severe = _above(putamen_z, norms.severe_z, putamen_sd)
    caudate_spared = _above(caudate_z, norms.caudate_z, caudate_sd)
    severe = 1.0 - not_severe
    return {4: normal, 3: not_severe - normal, 2: severe * caudate_spared, 1: severe * (1.0 - caudate_spared)}


def _above(value: float, limit: float, sd: float) -> float:
    """P(value + noise > limit)."""
    if sd <= 0:
        return float(value > limit)
    return 0.5 * math.erfc((limit - value) / (sd * math.sqrt(2.0)))


@dataclass(frozen=True)
class Graded:
    """Grade of one striatum, and how sure it is."""

    grade: int
    probabilities: dict[int, float]
    putamen_z: float
    caudate_z: float

    @property
    def probability(self) -> float:
        """Probability of the grade given."""
        return self.probabilities[self.grade]


def grade_binding(binding: Binding, norms: Norms, age_years: float | None = None) -> dict[str, Graded]:
    """Grade both striata of a measured image; the noise is that of ``binding.sd``."""
    graded = {}
    for side in SIDES:
        z = {s: norms.z(s, binding.sbr[s, side], age_years) for s in ("putamen", "caudate")}
        sd = {s: binding.sd.get((s, side), 0.0) / norms.sd[s] for s in ("putamen", "caudate")}
        chances = grade_probabilities(z["putamen"], z["caudate"], sd["putamen"], sd["caudate"], norms)
        graded[side] = Graded(grade_of(z["putamen"], z["caudate"], norms), chances, z["putamen"], z["caudate"])
    return graded
