"""SPECTDenoise as the panel sees it, one class per way of behaving; loaded by worker processes by name."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np

from manabi.errors import InvalidInputError
from manabi.result import Labelmap, Plot, Result, Table
from manabi.spect.method import SPECTDenoise
from manabi.spect.template import REGIONS, segments

NAMES = {"quick-spect": "Quick", "waiting-spect": "Waits", "dying-spect": "Dies", "refusing-spect": "Refuses",
         "alerting-spect": "Alerts", "breaking-spect": "Breaks", "blob-spect": "Blob"}  # fmt: skip
REGISTERED = ",".join(f"{name}=panel_methods:{cls}" for name, cls in NAMES.items())
LAST_WORDS = "the graphics driver fell over"
REASON = "expected a whole head; got half of one. Export all slices."
ALERT = "Over-correction alert: putamen left changed by 9 standard errors. Read the scan that was not denoised."


class Quick(SPECTDenoise):
    """A result of the right shape in a moment; its numbers follow from the input and the parameters."""

    name = "quick-spect"

    def _run(self, inputs, parameters, context):
        image = inputs["spect"]
        for step in range(4):
            context.progress(step / 4, f"Step {step}")
        array = np.asarray(image.array, np.float32)
        after = image.like(array * 0.5 + array.mean() * 0.5)
        labels = np.zeros(image.shape, np.uint8)
        for n in range(len(REGIONS) + 1):
            labels[2:4, 2:4, 3 * n + 1 : 3 * n + 3] = n + 1
        z = float(parameters.alert_z)
        changes = tuple((*region, 2.0, 1.5 + n, None if n == 3 else 5.0, 0.2, z + n - 1.5)
                        for n, region in enumerate(REGIONS))  # fmt: skip
        columns = ("structure", "side", "sbr_input", "sbr_denoised", "change_percent", "noise_sd", "change_in_noise_sd")
        grades = tuple(
            (image_, side, grade, "normal", 0.9) for image_, grade in (("input", 3), ("denoised", 4))
            for side in ("left", "right")
        )  # fmt: skip
        context.warn("Bundle spect-default 1.0.0: trained on simulated data; for research use.")
        return Result(
            volumes={
                "denoised": after, "difference": image.like(after.array - array),
                "uncertainty": image.like(np.sqrt(np.abs(array))),
            },
            labelmaps={"regions": Labelmap(image.like(labels, source=None), segments())},
            tables={
                "changes": Table(columns, changes),
                "grades": Table(("image", "side", "grade", "meaning", "probability"), grades),
            },
            plots={"binding_ratios": Plot("Specific binding ratio", "region", "ratio", {"a": ([0.0], [1.0])}, "bar")},
            measurements={"mean": float(after.array.mean())},
        )  # fmt: skip

    def draw(self, inputs, result, folder):
        return []


class Alerts(Quick):
    """A result that a reader must not trust."""

    name = "alerting-spect"

    def _run(self, inputs, parameters, context):
        result = super()._run(inputs, parameters, context)
        result.warnings.append(ALERT)
        return result


class Blob(Quick):
    """Its one region is the bright half of the image."""

    name = "blob-spect"

    def _run(self, inputs, parameters, context):
        image = inputs["spect"]
        bright = (np.asarray(image.array) > 0.5 * float(image.array.max())).astype(np.uint8)
        region = Labelmap(image.like(bright, source=None), segments()[:1])
        return Result(volumes={"denoised": image.like(np.asarray(image.array))}, labelmaps={"regions": region})


class Waits(SPECTDenoise):
    """Works, with a process of its own, until it is cancelled."""

    name = "waiting-spect"

    def _run(self, inputs, parameters, context):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        try:
            for step in range(6000):
                context.progress(0.25 + step / 12000, f"Waiting beside process {child.pid}")
                context.check_cancelled()
                time.sleep(0.02)
        finally:
            child.kill()
            child.wait()
        raise AssertionError("nobody cancelled")


class Dies(SPECTDenoise):
    """Ends its process."""

    name = "dying-spect"

    def _run(self, inputs, parameters, context):
        context.progress(0.5, "Half way")
        os.write(2, f"{LAST_WORDS}\n".encode())
        os._exit(7)


class Refuses(SPECTDenoise):
    """Refuses its input."""

    name = "refusing-spect"

    def _run(self, inputs, parameters, context):
        raise InvalidInputError(REASON)


class Breaks(SPECTDenoise):
    """Has a bug."""

    name = "breaking-spect"

    def _run(self, inputs, parameters, context):
        return {}["missing"]
