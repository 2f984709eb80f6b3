"""MVCTConvert as the panel sees it, without a network; loaded by worker and batch processes by name."""

from __future__ import annotations

import time

import numpy as np

from manabi.method import Method
from manabi.mvct.hu_check import COLUMNS
from manabi.mvct.method import MVCTConvert
from manabi.mvct.parameters import MVCTParameters
from manabi.result import Code, Labelmap, Plot, Result, Segment, Table
from manabi.volume import SYNTHETIC, Volume

NAMES = {"quick-mvct": "Quick", "doubtful-mvct": "Doubtful", "useless-mvct": "Useless", "slow-mvct": "Slow"}
REGISTERED = ",".join(f"{name}=mvct_panel_methods:{cls}" for name, cls in NAMES.items())
CUT = ("flag", "Truncated field of view", "the body is cut in 7 of 12 slices.", "Do not contour near the edge.", 1.2)
ODD = ("refuse", "Out of the training range", "noise is 190, in training 50 ± 9.", "Train on your own.", 15.6)
REASON, WORST = (f"{row[1]}: {row[2]} {row[3]}" for row in (CUT, ODD))
DO_NOT_USE = "Do not use: the conversion is not reliable on this image, for the reasons that follow."
NOTE = "Bundle mvct-default 1.0.0: trained on simulated data; for research use."
TISSUES = (("fat", -72.0, 40.0), ("muscle", 43.0, 30.0), ("bone", 780.0, 100.0))
CODES = {"fat": "55603005", "muscle": "91727004", "bone": "272673000"}


class Quick(Method[MVCTParameters]):
    """A result of the right shape in a moment; what it is follows from the input and the parameters."""

    name = "quick-mvct"
    title = "MVCTConvert"
    summary = "a quick stand-in"
    source = "no study"
    inputs = MVCTConvert.inputs
    parameters_type = MVCTParameters
    phantom = "head_neck"
    alert_prefixes = MVCTConvert.alert_prefixes
    level, rows, said = "ok", (), ()

    def _run(self, inputs, parameters, context):
        for step in range(4):
            context.progress(step / 4, f"Slices {step} of 4")
        image = inputs["ct"]
        before = np.asarray(image.array, np.float32)
        body = before > -500
        change = np.where(body, 1.5 * before - 10.0, before) - before
        after = before + parameters.strength * change
        volumes = {"converted": np.rint(after).astype(np.int16), "difference": after - before}
        if parameters.uncertainty != "none":
            volumes["uncertainty"] = np.where(body, 4.0 + np.abs(change) / 4.0, 0.0).astype(np.float32)
        if parameters.residual:
            volumes["residual"] = np.where(body, np.abs(change) / 3.0, 0.0).astype(np.float32)
        volumes["gradient_difference"] = np.gradient(change, axis=2).astype(np.float32)
        result = Result(volumes={
            name: Volume(array, image.ijk_to_ras, "CT", "HU", name, source=image.source, caution=SYNTHETIC)
            for name, array in volumes.items()
        })  # fmt: skip
        images = {"input": before, "converted": after}
        if "reference" in inputs:
            images["reference"] = np.asarray(inputs["reference"].array, np.float32)
        self._fill(result, images, image, body)
        result.warnings.extend([NOTE, *self.said])
        return result

    def _fill(self, result, images, volume, body):
        """Labels, tables and chart; the last of the images says where the tissues are."""
        after = images["converted"]
        labels = np.zeros(body.shape, np.uint8)
        for n, (low, high) in enumerate(((-500.0, 0.0), (0.0, 200.0), (200.0, np.inf)), 1):
            labels[body & (after > low) & (after <= high)] = n
        segments = [Segment(n, name, (0.2 * n, 0.5, 0.3), Code(CODES[name], "SCT", name.capitalize()))
                    for n, (name, _, _) in enumerate(TISSUES, 1)]  # fmt: skip
        whole = Segment(1, "body", (0.8, 0.7, 0.5), Code("38266002", "SCT", "Entire body"))
        result.labelmaps["tissues"] = Labelmap(volume.like(labels, source=None), tuple(segments))
        result.labelmaps["body"] = Labelmap(volume.like(body.astype(np.uint8), source=None), (whole,))
        rows = []
        for image, hu in images.items():
            for n, (tissue, expected, tolerance) in enumerate(TISSUES, 1):
                off = float(hu[labels == n].mean()) - expected
                within = "yes" if abs(off) <= tolerance else "no"
                rows.append((image, tissue, expected + off, expected, tolerance, off, int((labels == n).sum()), within))
        result.tables["hu_check"] = Table(("image", *COLUMNS), tuple(rows))
        noise = [float(hu[labels == 2].std()) for hu in images.values()]
        contrast = [float(hu[labels == 2].mean() - hu[labels == 1].mean()) / sd
                    for hu, sd in zip(images.values(), noise, strict=True)]  # fmt: skip
        result.tables["quality"] = Table(("measure", "unit", *images), (
            ("noise in soft tissue", "HU", *noise), ("contrast to noise, muscle-fat", "", *contrast),
        ))  # fmt: skip
        places = [-100.0, 0.0, 100.0, 500.0]
        series = {name: (places, [0.1 + 0.1 * n, 0.5, 0.3, 0.1]) for n, name in enumerate(images)}
        result.plots["histogram"] = Plot("HU", "HU", "share", series)
        result.measurements |= {"verdict": self.level, "water_thickness_change_percent_right_left": -0.4,
                                "water_thickness_change_percent_front_back": 0.1}  # fmt: skip
        if self.rows:
            result.tables["checks"] = Table(("level", "what", "found", "what_to_do", "score"), self.rows)

    def draw(self, inputs, result, folder):
        return []


class Doubtful(Quick):
    """A result to look at first."""

    name = "doubtful-mvct"
    level, rows, said = "flag", (CUT,), (REASON,)


class Useless(Quick):
    """A result that should not be used."""

    name = "useless-mvct"
    level, rows, said = "refuse", (ODD, CUT), (DO_NOT_USE, WORST, REASON)


class Slow(Quick):
    """Takes its time."""

    name = "slow-mvct"

    def _run(self, inputs, parameters, context):
        for step in range(200):
            context.progress(step / 200, f"Slices {step} of 200")
            context.check_cancelled()
            time.sleep(0.05)
        return super()._run(inputs, parameters, context)
