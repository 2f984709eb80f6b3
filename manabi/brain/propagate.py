"""Paint a few slices of a structure; get the whole volume, and a map of where it is uncertain.

The source (Sugino T et al., "Label cleansing and propagation", CARS 2020; the study of Med Phys 2021;48:7215,
10.1002/mp.15192) trains a network on a non-adjacent subset of labelled slices and lets it predict all slices: the
prediction fills the missing ones (propagation) and smooths the noisy ones (cleansing). Here this is a tool for one
image and the user's own slices, of any structure. All below is our choice: a small 2.5-D U-Net learns on the painted
slices of this very image to correct a prior, the interpolation of shapes between slices
(:mod:`manabi.brain.between`); every prior that it learns from leaves out the slice to be predicted. The members of an
ensemble leave out different slices, so every painted slice is predicted once by a member that has not seen it: that is
the accuracy that is reported, and what the probabilities are calibrated on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from manabi.brain.propagate_input import PaintedSlice, Task, as_given, prepare
from manabi.context import Context
from manabi.parameters import Parameters
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.brain.propagate_frame import Frame
    from manabi.brain.propagate_predict import Calibration, HeldOut
    from manabi.brain.propagate_samples import Sampler

LOW_DICE = 0.8
"""Left-out slices below this are worth a warning (our choice)."""


@dataclass(frozen=True)
class PropagateSettings(Parameters):
    """How labels are propagated; the defaults take under a minute on two cores for a structure of 10 cm at 1 mm."""

    mode: Literal["keep", "cleanse"] = field(
        default="keep", metadata={"help": "keep painted slices as they are, or rebuild them too"}
    )
    axis: int | None = field(
        default=None, metadata={"help": "array axis that slices were painted along; none: found", "low": 0, "high": 2}
    )
    reach_mm: float | None = field(
        default=None,
        metadata={"help": "predict so far beyond the outermost slices; none: the gap", "low": 0.0, "high": 500.0},
    )
    members: int = field(default=3, metadata={"help": "networks in the ensemble", "low": 2, "high": 10})
    steps: int = field(default=50, metadata={"help": "training steps of each member", "low": 1, "high": 5000})
    batch: int = field(default=8, metadata={"help": "slices per step", "low": 1, "high": 64})
    max_pixels: int = field(
        default=14_000, metadata={"help": "in a slice; larger structures get larger pixels", "low": 256, "high": 10**6}
    )
    learner: Literal["2.5d", "3d"] = field(default="2.5d", metadata={"help": "slices with neighbours, or slabs"})
    prior: bool = field(default=True, metadata={"help": "begin from the interpolation of shapes"})


@dataclass(frozen=True)
class SliceScore:
    """How well a painted slice is found from the others: an honest estimate, since slices between are nearer to paint.

    Attributes:
        axis: array axis of the user's image.
        index: of the slice along it.
        label: value in the label map.
        dice: of the prediction by a network that has not learned from the slice, against the slice as painted.
        dice_shape: of the interpolation of shapes (and of the start) alone.
        distance_mm: how far the nearest slice lay that was used.
    """

    axis: int
    index: int
    label: int
    dice: float
    dice_shape: float
    distance_mm: float


@dataclass(frozen=True, eq=False)
class Propagated:
    """What came of it.

    Attributes:
        labels: on the image's grid, dtype of the painted labels.
        uncertainty: float32 from 0 (sure, painted, or beyond the reach) to 1 (a coin could decide).
        painted_slices: that were used, axes and indices of the user's array.
        axis: array axis with the most painted slices.
        scores: per painted slice and label.
        warnings: what the user should know.
    """

    labels: Volume
    uncertainty: Volume
    painted_slices: tuple[PaintedSlice, ...]
    axis: int
    scores: tuple[SliceScore, ...]
    warnings: tuple[str, ...]


def propagate(
    image: Volume, painted: Volume, settings: PropagateSettings | None = None, context: Context | None = None, *,
    labels: Sequence[int] | None = None, slices: Sequence[PaintedSlice] | None = None,
    protected: Volume | None = None, start: Volume | None = None,
) -> Propagated:  # fmt: skip
    """Propagate painted slices through the volume.

    Args:
        image: that was painted on, any orientation and spacing.
        painted: integer labels on the image's grid.
        settings: see :class:`PropagateSettings`.
        context: device, seed, progress, cancellation.
        labels: values to propagate; None takes all. Voxels of other labels stay as they are.
        slices: the painted slices, as axis and index of the array; None finds them. Name them where an empty slice is
            meant to be empty, or where other slices hold labels that are to be replaced.
        protected: voxels that must stay as they are, non-zero.
        start: an automatic result to be corrected: a label map, or for one label probabilities. The painted slices
            teach where it is wrong, and the whole of it is predicted anew.

    Raises:
        GeometryError: when a label map lies on another grid.
        InvalidInputError: when nothing is painted, or there is nothing to learn from.
        CancelledError: when the context was cancelled.
    """
    settings, context = settings or PropagateSettings(), context or Context()
    context.progress(0.0, "Looking at the painted slices")
    task = prepare(image, painted, labels, slices, settings.axis, protected, start)
    return _Run(task, settings, context).result(image, painted)


class _Run:
    """One run, from the checked task to the result."""

    def __init__(self, task: Task, settings: PropagateSettings, context: Context) -> None:
        from manabi.brain.propagate_frame import frame_of
        from manabi.brain.propagate_samples import Sampler
        from manabi.device import choose_device

        self.task, self.settings, self.context = task, settings, context
        self.frame: Frame = frame_of(task, settings.reach_mm, settings.max_pixels)
        self.alone = len(task.slices) == 1
        prior = settings.prior and not self.alone
        self.sampler: Sampler = Sampler(self.frame, 3 if settings.learner == "3d" else 2, prior)
        self.device = choose_device(context.device).device
        context.used_device = self.device

    def result(self, image: Volume, painted: Volume) -> Propagated:
        """Train, score, predict, and put everything back on the image's grid."""
        from manabi.brain.propagate_ensemble import train_ensemble
        from manabi.brain.propagate_predict import TRUSTS, calibrate, fade, predict_frame, put_back, to_image

        with self.context.span(0.01, 0.8) as context:
            members, held = train_ensemble(self.sampler, self.settings, context, self.device)
        calibration = calibrate(held, self.context.seed, TRUSTS if self.sampler.prior else (1.0,))
        with self.context.span(0.8, 0.98) as context:
            p = predict_frame(members, self.sampler, calibration, self.device, context)
        if self.alone:
            fade(self.frame, p)
        if self.settings.mode == "cleanse":
            put_back(self.frame, self.sampler, held, calibration, p)
        labels, uncertainty = self._placed(*to_image(self.frame, p))
        self.context.progress(1.0, "Done")
        scores = self._scores(held, calibration)
        straight = painted.reoriented()
        found = straight.like(labels).reoriented_like(image.grid).array
        unsure = straight.like(uncertainty).reoriented_like(image.grid).array
        given = tuple(sorted(as_given(s, self.task.grid) for s in self.task.slices))
        most = max(range(3), key=lambda a: sum(s.axis == a for s in given))
        return Propagated(
            painted.like(found), image.like(unsure, name="uncertainty", units=None, source=None), given, most, scores,
            self._warnings(scores, labels),
        )  # fmt: skip

    def _placed(self, classes: np.ndarray, doubt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels and uncertainty of the whole canonical array; what must not change is as it was."""
        from manabi.brain.propagate_frame import painted_planes

        task, box = self.task, self.frame.box
        values = np.array([0, *task.labels]).astype(task.painted.dtype)
        mine = np.isin(task.painted, task.labels)
        labels = np.where(mine, 0, task.painted).astype(task.painted.dtype)
        labels[box] = np.where(task.blocked[box], labels[box], values[classes])
        uncertainty = np.zeros(labels.shape, np.float32)
        uncertainty[box] = doubt
        planes = painted_planes(task.slices, labels.shape)
        kept = task.blocked | planes if self.settings.mode == "keep" else task.blocked
        labels = _joined(labels, planes, task) if task.start is None else labels
        labels[kept] = task.painted[kept]
        uncertainty[kept] = 0
        return labels, uncertainty

    def _scores(self, held: Sequence[HeldOut], calibration: Calibration) -> tuple[SliceScore, ...]:
        """Dice of every left-out slice and label, in the user's axes."""
        from manabi.brain.propagate_predict import dice

        out = []
        for one in held:
            number, position = self.sampler.items[one.item]
            view = self.frame.views[number]
            place = PaintedSlice(view.axis, view.slices[position] + self.frame.box[view.axis].start)
            given = as_given(place, self.task.grid)
            found = calibration.probabilities(one.prior, one.correction).argmax(0)
            alone = one.prior.argmax(0)
            for k, label in enumerate(self.task.labels, 1):
                score = dice(found == k, one.truth == k)
                if score is not None:
                    shape = dice(alone == k, one.truth == k) or 0.0
                    distance = one.distance * self.frame.pixel_mm
                    out.append(SliceScore(*given, label, score, shape, distance))
        return tuple(sorted(out, key=lambda s: (s.axis, s.index, s.label)))

    def _warnings(self, scores: Sequence[SliceScore], labels: np.ndarray) -> tuple[str, ...]:
        """What the user should know of this result."""
        out = list(self.task.warnings)
        if self.alone:
            out.append(
                "Only one slice is painted: its neighbours follow from the image alone, and how well cannot be "
                "estimated. Paint at least three slices."
            )
        for label in self.task.labels:
            found = _inner([s for s in scores if s.label == label])
            if found and float(np.median(found)) < LOW_DICE:
                out.append(
                    f"Label {label}: painted slices are found from the others with a median Dice of only "
                    f"{float(np.median(found)):.2f}. Paint more slices, or slices nearer to each other."
                )
        if self.task.start is None:
            out += self._open_ends(labels)
        return tuple(out)

    def _open_ends(self, labels: np.ndarray) -> list[str]:
        """Which structures go on where the prediction had to stop."""
        from manabi.brain.propagate_samples import reachable

        out = []
        for view in self.frame.views:
            predicted = reachable(view, self.frame.reach_mm / self.frame.pixel_mm)
            first, last = (i + self.frame.box[view.axis].start for i in (predicted[0], predicted[-1]))
            ends = [i for i in (first, last) if 0 < i < labels.shape[view.axis] - 1]
            ends = [i for i in ends if PaintedSlice(view.axis, i) not in self.task.slices]
            for label in self.task.labels:
                if any((labels.take(i, view.axis) == label).any() for i in ends):
                    out.append(
                        f"Label {label} still goes on {self.frame.reach_mm:.0f} mm beyond the outermost painted "
                        "slice, where the prediction ends. Paint a slice there."
                    )
        return out


def _inner(scores: Sequence[SliceScore]) -> list[float]:
    """Dice of the slices between painted ones, where most predicted slices lie; of all where there are none."""
    ends = {(s.axis, pick(o.index for o in scores if o.axis == s.axis)) for s in scores for pick in (min, max)}
    return [s.dice for s in scores if (s.axis, s.index) not in ends] or [s.dice for s in scores]


def _joined(labels: np.ndarray, planes: np.ndarray, task: Task) -> np.ndarray:
    """Without the pieces of a label that touch no paint of it (our choice: the user painted what there is)."""
    from scipy.ndimage import label as components

    out = labels.copy()
    for value in task.labels:
        pieces, _ = components((labels == value) | (planes & (task.painted == value)), np.ones((3, 3, 3)))
        anchored = np.unique(pieces[planes & (task.painted == value)])
        out[(labels == value) & ~np.isin(pieces, anchored)] = 0
    return out
