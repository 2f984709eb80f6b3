"""What the parts of the survival experiment share: settings, where features come from, simulated cohorts, intervals."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.parameters import Parameters
from manabi.phantoms.tumour_surrogate import Surrogate, lung_drivers
from manabi.phantoms.tumour_survival import OutcomeModel, SimulatedCohort, draw_patients, follow
from manabi.radiomics.cohort.parallel import run_tasks
from manabi.radiomics.cohort.plan import Plan
from manabi.radiomics.cohort.scores_data import Followup
from manabi.radiomics.cohort.table import Cohort
from Training.experiments.slices_scores import wilson

PARTS = ("coverage", "concordance", "null", "volume", "source", "batch", "delta")


@dataclass(frozen=True)
class Settings(Parameters):
    """How much is simulated."""

    parts: str = field(default="all", metadata={"help": f"all, or some of {', '.join(PARTS)} with commas"})
    patients: int = field(default=358, metadata={"low": 60, "help": "of a cohort (source: 358 tumours)"})
    training: int = field(default=250, metadata={"low": 30, "help": "of them to train (source: 250, and 108 to test)"})
    cohorts: int = field(default=2000, metadata={"low": 2, "help": "cohorts of the quick statistics"})
    nested: int = field(default=100, metadata={"low": 2, "help": "cohorts that are cross-validated"})
    nested_features: int = field(default=0, metadata={"low": 0, "help": "features in them, evenly taken; 0: all"})
    repeats: int = field(default=2, metadata={"low": 1, "help": "of the cross-validation"})
    permutations: int = field(default=99, metadata={"low": 19, "help": "of the outcome, in a permutation test"})
    delta_studies: int = field(default=200, metadata={"low": 2, "help": "studies of changes of each kind"})
    delta_permutations: int = field(
        default=99, metadata={"low": 0, "help": "of the outcome of a study of changes; 0: none"}
    )
    phantoms: int = field(default=358, metadata={"low": 0, "help": "rendered to learn features from; 0: made up"})
    seed: int = field(default=2035, metadata={"low": 0})
    workers: int = field(default=0, metadata={"low": 0, "help": "processes; 0: as many as processors"})


@dataclass(frozen=True, eq=False)
class Bench:
    """Settings, features and where results are kept.

    Attributes:
        settings: how much is simulated.
        surrogate: draws features.
        folder: one JSON file per finished part.
        resume: whether finished parts are taken from there.
        context: progress and cancellation.
    """

    settings: Settings
    surrogate: Surrogate
    folder: Path
    resume: bool = True
    context: Context = field(default_factory=Context)

    def map(self, function: Callable[[Any, int], dict[str, float]], job: Job, count: int) -> dict[str, np.ndarray]:
        """One row of numbers for each of ``count`` cohorts, as columns."""
        rows = run_tasks(_numbered, (function, job), list(range(count)), self.context, self.settings.workers or None)
        ordered = [row for _, row in sorted(rows, key=lambda pair: pair[0])]
        return {key: np.array([row[key] for row in ordered], float) for key in ordered[0]}

    def kept(self, name: str, make: Callable[[Bench], dict[str, Any]]) -> dict[str, Any]:
        """The results of a part: from its file where it was made with the same settings and features, or made now."""
        place, digest = self.folder / f"{name}.json", self.digest(name == "delta")
        if self.resume and place.is_file():
            found = json.loads(place.read_text(encoding="utf-8"))
            if found["digest"] == digest:
                return found["results"]
        results = make(self)
        with atomic_file(place, overwrite=True) as aside:
            aside.write_text(json.dumps({"digest": digest, "results": results}, indent=1), encoding="utf-8")
        return results

    def digest(self, changes: bool = False) -> str:
        """Changes with the settings that change numbers (those of the studies of changes on request), and features."""
        left = ("parts", "workers") if changes else ("parts", "workers", "delta_studies", "delta_permutations")
        chosen = {k: v for k, v in self.settings.to_dict().items() if k not in left}
        arrays = (self.surrogate.effects, self.surrogate.factors, self.surrogate.own)
        text = json.dumps(chosen, sort_keys=True) + "".join(self.surrogate.names)
        return hashlib.sha256(text.encode() + b"".join(a.tobytes() for a in arrays)).hexdigest()


def _numbered(job: tuple[Callable[[Any, int], Any], Any], index: int) -> tuple[int, Any]:
    function, inner = job
    return index, function(inner, index)


def listed(text: str) -> list[str]:
    """Parts to run; raises InvalidInputError for one that there is not."""
    names = list(PARTS) if text == "all" else [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in PARTS]
    if unknown or not names:
        raise InvalidInputError(f"parts are all, or some of {', '.join(PARTS)}; got {text!r}.")
    return names


# --- cohorts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Job:
    """What the cohorts of one question share.

    Attributes:
        surrogate: draws features.
        model: of the outcome.
        patients: of a cohort.
        training: of them to train.
        seed: cohort ``i`` is drawn from ``[seed, stream, i]``.
        stream: a number of the question's own.
        one_centre: whether all patients come from the first centre.
        plan: of a cross-validation, or None.
        permutations: of a permutation test.
    """

    surrogate: Surrogate
    model: OutcomeModel
    patients: int
    training: int
    seed: int
    stream: int
    one_centre: bool = True
    plan: Plan | None = None
    permutations: int = 0

    def draw(self, index: int) -> tuple[SimulatedCohort, np.ndarray]:
        """A cohort and its features ``(n, p)``."""
        rng = np.random.default_rng([self.seed, self.stream, index])
        people = draw_patients(rng, self.patients)
        if self.one_centre:
            people = replace(people, centre=np.zeros(self.patients, int))
        cohort = follow(rng, people, self.model)
        return cohort, self.surrogate.draw(rng, lung_drivers(people))


def thinned(surrogate: Surrogate, count: int) -> Surrogate:
    """Evenly taken features of a surrogate; 0 for all."""
    total = len(surrogate.names)
    if not count or count >= total:
        return surrogate
    rows = np.linspace(0, total - 1, count).round().astype(int)
    return replace(surrogate, names=tuple(surrogate.names[r] for r in rows), effects=surrogate.effects[:, rows],
                   factors=surrogate.factors[:, rows], own=surrogate.own[rows])  # fmt: skip


def as_cohort(cohort: SimulatedCohort, names: Sequence[str], features: np.ndarray) -> Cohort:
    """The table that is validated: features, volume, centre and outcome; the truth stays out."""
    people = cohort.patients
    return Cohort(
        patients=tuple(str(n) for n in range(len(features))), feature_names=tuple(names), features=features,
        volume_ml=people.volume_ml, time_days=cohort.time_days, event=cohort.event,
        centre=tuple(str(c) for c in people.centre),
    )  # fmt: skip


def followup(cohort: SimulatedCohort, rows: np.ndarray | None = None) -> Followup:
    """Times and events for the scores, of some rows or all."""
    whole = Followup(cohort.time_days, cohort.event, unit="days")
    return whole if rows is None else whole.take(rows)


# --- intervals --------------------------------------------------------------------------------------------------------


def mean(values: np.ndarray) -> list[float]:
    """Mean over cohorts with Student's 95 % interval; what is not a number is left out."""
    usable = np.asarray(values, float)
    usable = usable[np.isfinite(usable)]
    if len(usable) < 2:
        return [float("nan")] * 3
    value, error = float(usable.mean()), float(usable.std(ddof=1)) / math.sqrt(len(usable))
    half = float(stats.t.ppf(0.975, len(usable) - 1)) * error
    return [value, value - half, value + half]


def rate(hits: np.ndarray) -> list[float]:
    """Share of cohorts in which something happened, with Wilson's 95 % interval."""
    found = wilson(int(np.asarray(hits, bool).sum()), len(hits))
    return [found.value, found.low, found.high]


def finite(value: Any) -> Any:
    """JSON has no NaN: what is not a number becomes null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
