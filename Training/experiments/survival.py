"""RadiomicsSurvival where the truth is known: ``python -m Training experiment survival --size quick|full``.

Cohorts of simulated lung tumours (:class:`manabi.phantoms.tumour.TumourPhantom`) whose hazard depends on a known
texture and on volume. Parts, each on its own with ``--set experiment.parts=null`` (``coverage``, ``concordance``,
``volume``, ``source``, ``batch``, ``delta``): whether 95 % intervals hold the truth; how much concordance there is and
how much is achieved; whether nothing is found where there is nothing; whether volume passes for texture; how often the
source's p-value comes by chance; what centres do; and what the best of 17 sets of changes in 26 patients is worth.
Features are extracted from rendered phantoms; thousands of cohorts are then drawn with features of the same
correlations (:mod:`manabi.phantoms.tumour_surrogate`). ``quick`` renders fewer phantoms and draws fewer cohorts.
Settings: ``--set experiment.X=`` (:class:`Settings`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from manabi.context import Context
from manabi.io.atomic import atomic_file
from manabi.parameters import Parameters
from manabi.provenance import package_versions
from Training.config import read_sections
from Training.experiments import survival_delta, survival_effects, survival_holdout, survival_nested, survival_report
from Training.experiments.survival_bench import Bench, Settings, finite, listed
from Training.experiments.survival_features import lung_surrogate

logger = logging.getLogger(__name__)

RESULTS = "results.json"
QUICK = (
    "experiment.cohorts=200", "experiment.nested=6", "experiment.repeats=1",
    "experiment.phantoms=60", "experiment.permutations=99",
    "experiment.delta_studies=12", "experiment.delta_permutations=19",
)  # fmt: skip
"""For two processor cores (some minutes); the page says what was run."""
TYPES: dict[str, type[Parameters]] = {"experiment": Settings}


def run(
    output: Path, size: str, overrides: Sequence[str], resume: bool = True, cache: Path | None = None
) -> dict[str, Any]:
    """Run the chosen parts, or go on with them; writes results.json, survival.md and figures to ``output``.

    Parts that an earlier call left in results.json stay there (with ``resume``) whose settings are the same.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    given = [text for text in overrides if not text.startswith("training.")]
    settings: Settings = read_sections(None, [*(QUICK if size == "quick" else ()), *given], TYPES)["experiment"]
    parts, context, workers = listed(settings.parts), Context(), settings.workers or None
    place = (cache or output / "cache") / "features"
    surrogate = lung_surrogate(settings.seed, settings.phantoms, place, context, workers)
    folder = output / "parts"
    folder.mkdir(exist_ok=True)
    bench = Bench(settings, surrogate, folder, resume, context)
    results: dict[str, Any] = {}
    for part in parts:
        logger.info("survival experiment: %s", part)
        results[part] = {k: v for name, make in STEPS[part].items() for k, v in bench.kept(name, make).items()}
    results["about"] = {
        "size": size, "experiment": settings.to_dict(), "features": len(surrogate.names),
        "digest": bench.digest()[:16], "versions": package_versions(),
    }  # fmt: skip
    with atomic_file(output / RESULTS, overwrite=True) as aside:
        aside.write_text(json.dumps(finite(results), indent=1) + "\n", encoding="utf-8")
    page = survival_report.write_page(json.loads((output / RESULTS).read_text(encoding="utf-8")), output)
    return {"results": str(output / RESULTS), "report": str(page)}


STEPS: dict[str, dict[str, Callable[[Bench], dict[str, Any]]]] = {
    "coverage": {"coverage": survival_effects.coverage},
    "concordance": {"concordance": survival_effects.concordance},
    "null": {"null": survival_holdout.null, "null_nested": lambda bench: {"cv": survival_nested.null(bench)}},
    "volume": {"volume": survival_holdout.volume, "volume_nested": lambda bench: {"cv": survival_nested.volume(bench)}},
    "source": {"source": survival_holdout.source},
    "batch": {"batch": survival_nested.batch},
    "delta": {"delta": survival_delta.delta},
}
"""The steps of each part."""
