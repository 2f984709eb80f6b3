"""From trained members to labels: scores and calibration on left-out slices, prediction, and the way back to the image.

Every painted slice is predicted once by a member that has not learned from it. These predictions tell the user how
good the result is, how far to trust the network against the prior, and how sure a probability is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from manabi.brain.propagate_frame import Frame, resized
from manabi.brain.propagate_network import PriorNetwork, positions
from manabi.brain.propagate_samples import Sampler, reachable
from manabi.context import Context

TRUSTS = (0.0, 0.25, 0.5, 0.75, 1.0)
TEMPERATURES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
DOUBTS = (0.0, 1.0, 3.0)
MOST_PIXELS = 60_000
"""Pixels of left-out slices that the calibration is fitted to."""
BATCH = 8


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A painted slice predicted by a member that has not learned from it.

    Attributes:
        item: number of the sampler's item.
        prior: logits ``(classes, rows, columns)``.
        correction: the network's logits, same shape.
        truth: class of every pixel as painted.
        distance: of the nearest painted slice that was used, working pixels.
    """

    item: int
    prior: np.ndarray
    correction: np.ndarray
    truth: np.ndarray
    distance: float


@dataclass(frozen=True)
class Calibration:
    """How logits become probabilities.

    Attributes:
        trust: part of the network's correction that is used; 0 leaves the prior.
        temperature: by which logits are divided (Guo C et al. ICML 2017, arXiv:1706.04599).
        doubt: how much the temperature grows where network and prior disagree.
    """

    trust: float = 1.0
    temperature: float = 1.0
    doubt: float = 0.0

    def probabilities(self, prior: np.ndarray, correction: np.ndarray) -> np.ndarray:
        """Classes on axis 0 of both logits; the same shape."""
        logits = prior + self.trust * correction
        heat = self.temperature
        if self.doubt:
            apart = np.abs(softmax(logits) - softmax(prior)).max(0)
            heat = heat * (1 + self.doubt * apart)
        return softmax(logits / heat)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over axis 0."""
    shifted = np.exp(logits - logits.max(0))
    return shifted / shifted.sum(0)


def predict_slices(
    network: PriorNetwork, sampler: Sampler, wanted: Sequence[tuple[int, int, tuple[int, ...]]], device: str
) -> tuple[np.ndarray, np.ndarray]:
    """Prior and correction logits of slices of one view, ``(slices, classes, rows, columns)`` each.

    Args:
        network: a member.
        sampler: of the frame.
        wanted: view, index along it, and painted slices that must not be used.
        device: where the network is.
    """
    network.eval()
    x = torch.from_numpy(np.stack([sampler.stack(*one) for one in wanted])).to(device)
    with torch.inference_mode():
        prior, correction = network(x, positions(x))
    if sampler.dims == 3:
        middle = prior.shape[2] // 2
        prior, correction = prior[:, :, middle], correction[:, :, middle]
    return prior.cpu().numpy(), correction.cpu().numpy()


def hold_out(network: PriorNetwork, sampler: Sampler, items: Sequence[int], device: str) -> list[HeldOut]:
    """Predict painted slices that the member has not learned from."""
    out = []
    for item in items:
        number, position = sampler.items[item]
        view = sampler.frame.views[number]
        index = view.slices[position]
        prior, correction = predict_slices(network, sampler, [(number, index, (position,))], device)
        distance = float(sampler.prior_at(number, index, (position,))[1].max())
        out.append(HeldOut(item, prior[0], correction[0], sampler.target(number, position).argmax(0), distance))
    return out


def calibrate(held: Sequence[HeldOut], seed: int, trusts: Sequence[float] = TRUSTS) -> Calibration:
    """The calibration with the least cross-entropy on the left-out slices; the default one where there are none.

    Args:
        held: predictions of left-out slices.
        seed: of the choice of pixels.
        trusts: parts of the correction to try.
    """
    if not held:
        return Calibration()
    prior = np.concatenate([h.prior.reshape(len(h.prior), -1) for h in held], 1)
    correction = np.concatenate([h.correction.reshape(len(h.prior), -1) for h in held], 1)
    truth = np.concatenate([h.truth.ravel() for h in held])
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(truth.size)[:MOST_PIXELS]
    prior, correction, truth = prior[:, chosen], correction[:, chosen], truth[chosen]

    def cost(one: Calibration) -> float:
        p = one.probabilities(prior, correction)[truth, np.arange(truth.size)]
        return float(-np.log(np.maximum(p, 1e-6)).mean())

    rough = min((Calibration(t, h) for t in trusts for h in TEMPERATURES), key=cost)
    return min((Calibration(rough.trust, h, d) for h in TEMPERATURES for d in DOUBTS), key=cost)


def predict_frame(
    members: Sequence[PriorNetwork], sampler: Sampler, calibration: Calibration, device: str, context: Context
) -> np.ndarray:
    """Probabilities of all classes in the working crop, ``(classes, *frame.shape)``: mean over members and views."""
    frame = sampler.frame
    classes = sampler.layout.labels + 1
    total = np.zeros((classes, *frame.shape), np.float32)
    count = np.zeros(frame.shape, np.float32)
    for number, view in enumerate(frame.views):
        seen, times = np.moveaxis(total, 1 + view.axis, 1), np.moveaxis(count, view.axis, 0)
        places = list(reachable(view, frame.reach_mm / frame.pixel_mm))
        for first in range(0, len(places), BATCH):
            part = places[first : first + BATCH]
            context.progress((number + first / len(places)) / len(frame.views), "Predicting slices")
            for member in members:
                prior, correction = predict_slices(member, sampler, [(number, i, ()) for i in part], device)
                for i, a, b in zip(part, prior, correction, strict=True):
                    seen[:, i] += calibration.probabilities(a, b)
                    times[i] += 1
    total[0] += count == 0
    return total / np.maximum(count, 1)


def put_back(frame: Frame, sampler: Sampler, held: Sequence[HeldOut], calibration: Calibration, p: np.ndarray) -> None:
    """Replace painted slices by what a member says that has not learned from them (cleansing), in place."""
    for one in held:
        number, position = sampler.items[one.item]
        view = frame.views[number]
        rebuilt = calibration.probabilities(one.prior, one.correction)
        np.moveaxis(p, 1 + view.axis, 1)[:, view.slices[position]] = rebuilt


def fade(frame: Frame, p: np.ndarray) -> None:
    """Where a single slice is painted: make labels less likely the further they are from it, in place.

    The factor falls from 1 at the slice to 0 at the end of the reach as a quarter of an ellipse (our choice).
    """
    view = frame.views[0]
    part = np.abs(np.arange(len(view.image)) - view.slices[0]) * view.step * frame.pixel_mm / max(frame.reach_mm, 1e-3)
    factor = np.sqrt(np.clip(1 - part**2, 0, 1)).astype(np.float32)
    seen = np.moveaxis(p, 1 + view.axis, 1)
    seen[1:] *= factor[None, :, None, None]
    seen[0] = 1 - seen[1:].sum(0)


def to_image(frame: Frame, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class and uncertainty of every voxel of the frame's box in the image, from probabilities of the working crop.

    Uncertainty is twice the probability that the class is wrong, at most 1: at 1 a coin could decide (our choice).
    """
    fine = resized(p, frame.box_shape())
    return fine.argmax(0), np.clip(2 * (1 - fine.max(0)), 0, 1).astype(np.float32)


def dice(one: np.ndarray, other: np.ndarray) -> float | None:
    """Dice of two masks; None where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return None if total == 0 else 2 * int((one & other).sum()) / total
