"""Normal binding ratios from simulated patients: ``python -m Training.spect_norms --output manabi/spect/norms.json``.

The means are those of normal striata (grade 4) on full-time phantom scans, measured exactly as SPECTDenoise measures
patients; test patients are left out. The spread between people is not what a simulator knows: relative standard
deviations are those published for CT-corrected scans of normal people, worse side (PMC4182457, table 2). A site that
has its own normal values gives them with ``norms=FILE``.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.spect.localise import localise
from manabi.spect.quantify import measure, regions, voxel_ml
from manabi.spect.template import SIDES
from Training.cohort import Cohort, open_cohort
from Training.spect_data import PHANTOM_PAIR, read_pair

logger = logging.getLogger(__name__)

PUBLISHED = {"caudate": (3.15, 0.54), "putamen": (1.89, 0.26)}
"""Mean and standard deviation of normal people, CT attenuation correction, worse side (PMC4182457, table 2)."""
NORMAL = 4


def normal_ratios(cohort: Cohort) -> dict[str, list[float]]:
    """Binding ratios of every normal striatum of the training and validation patients' full scans."""
    found: dict[str, list[float]] = {"caudate": [], "putamen": []}
    for case in (*cohort.split("training"), *cohort.split("validation")):
        truth = case.load().truth
        sides = [side for side in SIDES if truth.get(f"grade_{side}") == NORMAL]
        if not sides:
            continue
        full = read_pair(case).full
        sbr = measure(full.array, regions(full, localise(full)), voxel_ml(full)).sbr
        for structure, values in found.items():
            values.extend(sbr[structure, side] for side in sides)
    return found


def norms(cohort: Cohort, data: str) -> dict[str, object]:
    """The norms file's content; raises InvalidInputError where the cohort holds no normal striatum."""
    ratios = normal_ratios(cohort)
    if not ratios["putamen"]:
        raise InvalidInputError("The cohort holds no striatum of grade 4 with known truth; give a phantom cohort.")
    mean = {s: float(np.mean(values)) for s, values in ratios.items()}
    return {
        "mean": {s: round(m, 4) for s, m in mean.items()},
        "sd": {s: round(mean[s] * PUBLISHED[s][1] / PUBLISHED[s][0], 4) for s in mean},
        "phantom_sd": {s: round(float(np.std(values, ddof=1)), 4) for s, values in ratios.items()},
        "striata": len(ratios["putamen"]),
        "source": (
            f"{len(ratios['putamen'])} normal striata of simulated 25-minute scans ({data}), with the relative spread "
            "published for normal people (PMC4182457)"
        ),
        "made_by": "python -m Training.spect_norms",
    }


def main(
    output: Annotated[Path, typer.Option("--output", help="JSON file to write.")],
    data: Annotated[str, typer.Option("--data", help="phantoms:SEED:COUNT")] = "phantoms:2024:207",
    cache: Annotated[Path, typer.Option("--cache", help="Folder for rendered phantoms.")] = Path("runs/cache"),
) -> None:
    """Measure normal binding ratios on phantoms and write them as a norms file."""
    cohort = open_cohort(data, cache, phantom="striatum", keep=PHANTOM_PAIR)
    content = norms(cohort, data)
    with atomic_file(output, overwrite=True) as aside:
        aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
