"""SliceMarker as the panel sees it, without a network; loaded by worker and batch processes by name."""

from __future__ import annotations

import time

import numpy as np

from manabi.errors import InvalidInputError
from manabi.result import Result
from manabi.slices import report, representative
from manabi.slices.method import SliceMarker, instance_uids
from manabi.slices.reading import MARKERS, Found, Reading
from manabi.slices.stack import AxialStack

NAMES = {"quick-slices": "Quick", "cut-slices": "Cut", "slow-slices": "Slow"}
REGISTERED = ",".join(f"{name}=slices_panel_methods:{cls}" for name, cls in NAMES.items())
AT = {"apex": 0.9, "carina": 0.6, "diaphragm": 0.25}
"""Where the markers are, from the lowest slice (0) to the highest (1)."""
SURE = {"apex": 0.97, "carina": 0.42, "diaphragm": 0.88}


def found(marker: str, stack: AxialStack, absent: str = "") -> Found:
    k = round(AT[marker] * (stack.n - 1))
    chances = np.exp(-0.5 * ((np.arange(stack.n) - k) / 1.2) ** 2)
    if absent:
        return Found(marker, None, None, SURE[marker], absent, np.zeros(stack.n))
    return Found(marker, k, float(stack.z_mm[k]), SURE[marker], "", chances / chances.sum())


class Quick(SliceMarker):
    """A result of the right shape in a moment."""

    name = "quick-slices"
    default_bundle = None
    missing = ()

    def _run(self, inputs, parameters, context):
        volume = inputs["ct"]
        context.progress(0.5, "Reading slices")
        if float(np.asarray(volume.array).max()) < -1500:
            raise InvalidInputError("expected a chest; got nothing. Export all slices.")
        stack = AxialStack.of(volume, context)
        one, two, three = (found(m, stack, "above" if m in self.missing else "") for m in MARKERS)
        reading = Reading((one, two, three), stack.z_mm, np.ones(stack.n, bool), np.zeros((stack.n, 3)))
        plan = representative.Plan(parameters.representative, parameters.count, parameters.spacing_mm)
        chosen = representative.choose(reading.levels_mm, stack.z_mm, plan)
        warnings = report.alerts(reading, parameters.min_confidence)
        warnings += representative.choice_notes(reading.levels_mm, stack.z_mm, plan, chosen)
        middle = ((volume.shape[2] - 1) / 2 + 1, (volume.shape[1] - 1) / 2 - 2)
        tables = {
            "markers": report.markers_table(reading, stack, {}),
            "representative": report.slices_table(chosen, stack),
        }
        if parameters.uids:
            uids = instance_uids(volume, stack)
            tables = {key: report.with_uids(table, uids) for key, table in tables.items()}
        return Result(
            volumes={"representative": representative.representative_volume(volume, stack, chosen)},
            landmarks=report.landmarks(reading, stack, middle, {}),
            tables=tables,
            plots={"probability": report.probability_plot(reading)},
            measurements=report.measurements(reading, stack, parameters.min_confidence, warnings),
            warnings=list(warnings),
        )

    def draw(self, inputs, result, folder):
        return []


class Cut(Quick):
    """The image ends below the apex."""

    name = "cut-slices"
    missing = ("apex",)


class Slow(Quick):
    """Takes its time over each case."""

    name = "slow-slices"

    def _run(self, inputs, parameters, context):
        for step in range(200):
            context.progress(step / 200, f"Step {step}")
            context.check_cancelled()
            time.sleep(0.05)
        return super()._run(inputs, parameters, context)
