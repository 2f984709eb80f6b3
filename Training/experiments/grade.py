"""Why a cross-validated AUC of .90 became .75: ``python -m Training experiment grade --size quick|full``.

Nakamoto et al. (2019, doi:10.1038/s41598-019-55922-0) graded gliomas (III against IV) from CE-T1 and T2: 157 patients,
selection by Wilcoxon-Mann-Whitney, lasso, leave-one-out: mean AUC .902; 67 independent patients: .747. We do not know
where they selected. Here studies of that size are simulated; in each, a pipeline that selects on all patients before it
cross-validates, one that does everything inside (:func:`manabi.radiomics.cohort.validate.evaluate`), and independent
patients. Features come from rendered gliomas (:class:`manabi.phantoms.tumour.TumourPhantom`), and are made up with less
in common, since the leak grows with the number of independent features. Settings: ``--set experiment.X=``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.io.atomic import atomic_file
from manabi.parameters import Parameters
from manabi.phantoms.tumour_surrogate import Surrogate, made_up
from manabi.provenance import package_versions
from manabi.radiomics.cohort.parallel import run_tasks
from Training.config import read_sections
from Training.experiments import grade_report
from Training.experiments.grade_pipeline import Job, simulate
from Training.experiments.survival_bench import finite, mean
from Training.experiments.survival_features import GLIOMA_DRIVERS, Rows, extracted, glioma_truth, learn

RESULTS = "results.json"
FEATURES = 2 * 744


@dataclass(frozen=True)
class Settings(Parameters):
    """How much is simulated."""

    simulations: int = field(default=200, metadata={"low": 2, "help": "studies of each kind"})
    phantoms: int = field(default=224, metadata={"low": 0, "help": "rendered to learn features from; 0: made up only"})
    features: int = field(default=FEATURES, metadata={"low": 200, "help": "of the made-up kind (two images)"})
    common: float = field(
        default=0.0, metadata={"low": 0.0, "high": 1.0, "help": "variance that ten made-up features have in common"}
    )
    keep: int = field(default=50, metadata={"low": 1, "help": "features that selection keeps"})
    repeats: int = field(default=4, metadata={"low": 1, "help": "of the honest cross-validation"})
    seed: int = field(default=2019, metadata={"low": 0})
    workers: int = field(default=0, metadata={"low": 0, "help": "processes; 0: as many as processors"})


QUICK = ("experiment.simulations=12", "experiment.phantoms=60", "experiment.repeats=1")
TYPES: dict[str, type[Parameters]] = {"experiment": Settings}


def run(
    output: Path, size: str, overrides: Sequence[str], resume: bool = True, cache: Path | None = None
) -> dict[str, Any]:
    """Run the experiment; writes results.json, grade.md and a figure to ``output``.

    With ``resume`` an arm that was finished with the same settings is kept.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    given = [text for text in overrides if not text.startswith("training.")]
    settings: Settings = read_sections(None, [*(QUICK if size == "quick" else ()), *given], TYPES)["experiment"]
    arms = {}
    for name, surrogate, signal in surrogates(settings, (cache or output / "cache") / "features"):
        job = Job(surrogate, settings.seed, keep=settings.keep, repeats=settings.repeats, signal=signal)
        arms[name] = _arm(job, settings, output / "arms" / f"{name.replace(' ', '_')}.json", resume)
    results = {"arms": arms, "about": {"size": size, "experiment": settings.to_dict(), "versions": package_versions()}}
    with atomic_file(output / RESULTS, overwrite=True) as aside:
        aside.write_text(json.dumps(finite(results), indent=1) + "\n", encoding="utf-8")
    page = grade_report.write_page(json.loads((output / RESULTS).read_text(encoding="utf-8")), output)
    return {"results": str(output / RESULTS), "report": str(page)}


def surrogates(settings: Settings, cache: Path) -> list[tuple[str, Surrogate, bool]]:
    """Kinds of features: name, what draws them, whether they know the grade."""
    rng = np.random.default_rng([settings.seed, 7])
    less = made_up(rng, settings.features, settings.features // 10, GLIOMA_DRIVERS, settings.common)
    out = [("less in common", less, True), ("nothing to find", less, False)]
    if settings.phantoms:
        rows = Rows(settings.seed, {"modality": "mr"}, cache)
        found = extracted(rows, settings.phantoms, Context(), settings.workers or None)
        out.insert(0, ("rendered gliomas", learn(found, GLIOMA_DRIVERS, glioma_truth), True))
    return out


def _arm(job: Job, settings: Settings, place: Path, resume: bool) -> dict[str, Any]:
    """One kind of features: every simulation, or what an earlier call made with the same settings."""
    same = {k: v for k, v in settings.to_dict().items() if k != "workers"}
    if resume and place.is_file():
        found = json.loads(place.read_text(encoding="utf-8"))
        if found["settings"] == same:
            return found["arm"]
    rows = run_tasks(_numbered, job, list(range(settings.simulations)), Context(), settings.workers or None)
    ordered = [row for _, row in sorted(rows, key=lambda pair: pair[0])]
    arm = summary({key: np.array([row[key] for row in ordered]) for key in ordered[0]}, len(job.surrogate.names))
    place.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(place, overwrite=True) as aside:
        aside.write_text(json.dumps({"settings": same, "arm": arm}), encoding="utf-8")
    return arm


def _numbered(job: Job, index: int) -> tuple[int, dict[str, float]]:
    return index, simulate(job, index)


def summary(found: dict[str, np.ndarray], features: int) -> dict[str, Any]:
    """Means with intervals and spreads over simulations; how far each estimate is from the independent patients."""
    out: dict[str, Any] = {"features": features, "simulations": len(found["leaky"])}
    for key, values in found.items():
        out[key] = {"mean": mean(values), "sd": float(values.std(ddof=1)),
                    "spread": [float(q) for q in np.quantile(values, [0.025, 0.975])]}  # fmt: skip
    out["leak"] = mean(found["leaky"] - found["leaky_independent"])
    out["optimism"] = mean(found["honest"] - found["independent"])
    out["gap_as_source"] = float((found["leaky"] - found["leaky_independent"] >= 0.155).mean())
    out["values"] = {key: [round(float(v), 4) for v in values] for key, values in found.items()}
    return out
