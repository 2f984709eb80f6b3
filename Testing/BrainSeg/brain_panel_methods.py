"""BrainSeg as the panel sees it, without a network; loaded by worker and batch processes by name."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from manabi.brain.structures import LABELS, STRUCTURES, segments
from manabi.errors import InvalidInputError
from manabi.geometry import closest_axes
from manabi.method import InputSpec, Method
from manabi.parameters import Parameters
from manabi.result import Code, Labelmap, Plot, Result, Segment, Table

NAMES = {"quick-brain": "Quick", "slow-brain": "Slow"}
REGISTERED = ",".join(f"{name}=brain_panel_methods:{cls}" for name, cls in NAMES.items())
PLANES = ("sagittal", "coronal", "axial")
LAYERS = (("encoder 1", 16, 1.0), ("encoder 2", 32, 0.5), ("decoder 1", 16, 1.0))


@dataclass(frozen=True)
class QuickParameters(Parameters):
    """Those of BrainSeg."""

    task: Literal["structures", "propagate", "contrast", "features"] = "structures"
    structures: str = "all"
    propagate_axis: Literal["auto", "axial", "coronal", "sagittal"] = "auto"
    propagate_mode: Literal["keep", "cleanse"] = "keep"
    layer: str = ""
    structure: str = "cerebrum"
    count: int = 8
    min_confidence: float = 0.6
    fine: bool = True


class Quick(Method[QuickParameters]):
    """Results of the right shape in a moment; what they are follows from inputs and parameters."""

    name = "quick-brain"
    title = "BrainSeg"
    summary = "a quick stand-in"
    source = "no study"
    inputs = (
        InputSpec("image", "MR of the head", ("MR",)),
        InputSpec("second", "another contrast", ("MR",), optional=True),
        InputSpec("painted", "painted slices", ("SEG",), optional=True),
        InputSpec("start", "automatic result", ("SEG",), optional=True),
    )
    parameters_type = QuickParameters
    phantom = "brain"
    alert_prefixes = ("Check", "Not like the training images", "The field of view", "Synthetic image")

    def _run(self, inputs, parameters, context):
        context.progress(0.5, "Looking")
        return getattr(self, f"_{parameters.task}")(inputs, parameters)

    def _structures(self, inputs, parameters):
        image = inputs["image"]
        wanted = STRUCTURES if parameters.structures == "all" else tuple(parameters.structures.split(","))
        labels = _brain(image, wanted)
        rows = []
        ml = float(np.prod(image.spacing_mm)) / 1000.0
        for label in LABELS:
            if label.structure in wanted:
                sure = 0.4 if label.structure == "vessels" else 0.93
                rows.append((label.structure, label.side, int((labels == label.value).sum()) * ml, sure, None))
                if label.side == "right":
                    left, right = rows[-2][2], rows[-1][2]
                    differ = 200.0 * (right - left) / (right + left)
                    rows.append((label.structure, "both", left + right, sure, differ))
        measured = {f"{name}{'' if side in ('', 'both') else '_' + side}_ml": volume
                    for name, side, volume, _, _ in rows}  # fmt: skip
        columns = ("structure", "side", "volume_ml", "confidence", "left_right_difference_percent")
        unsure = [f"Check the {row[0]}: the confidence is only {row[3]:.0%}." for row in rows
                  if row[1] in ("", "both") and row[3] < parameters.min_confidence]  # fmt: skip
        names = tuple(f"{row[1]} {row[0]}".strip() for row in rows)
        chart = Plot("Volumes", "structure", "mL", {"volume": ([float(n) for n in range(len(rows))],
                     [row[2] for row in rows])}, "bar", names)  # fmt: skip
        return Result(
            labelmaps={"structures": Labelmap(image.like(labels, modality="SEG", source=None), segments())},
            volumes={"confidence": image.like(np.full(image.shape, 0.9, np.float32))},
            tables={"volumes": Table(columns, tuple(rows))}, plots={"volumes": chart},
            measurements={**measured, "quality": "check" if unsure else "no flag"}, warnings=unsure,
        )  # fmt: skip

    def _propagate(self, inputs, parameters):
        painted = inputs.get("painted")
        if painted is None:
            raise InvalidInputError("expected painted slices; got none. Paint some.")
        array = np.asarray(painted.array)
        axis = 2 - closest_axes(painted.grid.directions)[0][PLANES.index(parameters.propagate_axis)]
        turned = np.moveaxis(array, axis, 0)
        known = np.flatnonzero(turned.any(axis=(1, 2)))
        out = np.zeros_like(turned)
        for k in range(known[0], known[-1] + 1):
            out[k] = turned[known[np.abs(known - k).argmin()]]
        if parameters.propagate_mode == "cleanse":
            out[:, :, 1:] *= (out[:, :, :-1] > 0).astype(out.dtype)
        out = np.moveaxis(out, 0, axis)
        numbers = [int(n) for n in np.unique(array) if n]
        segs = tuple(Segment(n, f"label {n}", (1.0, 0.0, 0.0), Code("1", "99X", "x")) for n in numbers)
        scores = Table(("label", "axis", "slice", "left_out_dice"),
                       tuple((1, axis, int(k), float("nan") if k == known[0] else 0.9) for k in known))  # fmt: skip
        table = Table(("label", "volume_ml", "left_out_dice"), tuple((n, 1.0, 0.9) for n in numbers))
        began = inputs.get("start")
        return Result(
            labelmaps={"propagated": Labelmap(painted.like(out, source=None), segs)},
            volumes={"uncertainty": inputs["image"].like((np.asarray(out) > 0).astype(np.float32) * 0.3)},
            tables={"labels": table, "slices": scores},
            measurements={"seen": int((array > 0).sum()), "start": 0 if began is None else int(began.array.sum())},
        )  # fmt: skip

    def _contrast(self, inputs, parameters):
        image = inputs["image"]
        array = np.asarray(image.array, np.float32)
        return Result(
            volumes={"synthetic_mra": image.like(array.max() - array),
                     "unknowable": image.like((array > array.mean()).astype(np.float32))},
            warnings=["Synthetic image: computed, not acquired."],
        )  # fmt: skip

    def _features(self, inputs, parameters):
        if not parameters.layer:
            return Result(tables={"layers": Table(("layer", "channels", "scale"), LAYERS)})
        image = inputs["image"]
        array = np.asarray(image.array, np.float32)
        maps = {f"feature_{n:02d}": image.like(array * n) for n in range(1, parameters.count + 1)}
        rows = tuple((n, 3 * n, 1.0 / n) for n in range(1, parameters.count + 1))
        return Result(volumes=maps, tables={"features": Table(("rank", "channel", "contribution"), rows)})

    def draw(self, inputs, result, folder):
        return []


class Slow(Quick):
    """Takes its time."""

    name = "slow-brain"

    def _run(self, inputs, parameters, context):
        for step in range(200):
            context.progress(step / 200, f"Step {step}")
            context.check_cancelled()
            time.sleep(0.05)
        return super()._run(inputs, parameters, context)


def _brain(image, wanted):
    """Blocks: cerebrum above, cerebellum below, brainstem between, ventricles and vessels inside; left is left."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in image.shape), indexing="ij")
    ijk = np.stack([i, j, k], axis=-1).astype(float)
    ras = ijk @ image.ijk_to_ras[:3, :3].T + image.ijk_to_ras[:3, 3]
    middle = image.grid.corners_ras().mean(axis=0)
    x, y, z = (ras[..., n] - middle[n] for n in range(3))
    labels = np.zeros(image.shape, np.uint8)
    inside = np.sqrt((x / 1.0) ** 2 + y**2 + z**2)
    by_name = {(label.structure, label.side): label.value for label in LABELS}
    for name, where in (("cerebrum", (inside < 30) & (z > -8)), ("cerebellum", (inside < 30) & (z <= -8) & (y < 0))):
        if name in wanted:
            labels[where & (x < 0)] = by_name[name, "left"]
            labels[where & (x >= 0)] = by_name[name, "right"]
    for name, where in (("brainstem", (inside < 30) & (z <= -8) & (y >= 0)), ("ventricles", inside < 9),
                        ("vessels", (np.abs(x) < 3) & (np.abs(z + 8) < 3) & (inside < 25))):  # fmt: skip
        if name in wanted:
            labels[where] = by_name[name, ""]
    return labels
