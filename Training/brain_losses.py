"""Twelve losses for structures of very different size: {cross-entropy, Dice} × six weightings.

Sugino T et al., Healthcare 2021;9:938, 10.3390/healthcare9080938, compare these twelve. The constants and the exact
forms of the distance-based and the focal Dice losses are not stated in what we could read, so each is a setting of
:func:`build_loss`. With one-hot truth g, softmax p, weight w of voxel i and class c, and N labelled voxels::

    cross_entropy = -(1/N) Σ_i Σ_c w_ic g_ic log p_ic
    dice          = 1 - mean_c [(2 Σ_i w_ic p_ic g_ic + e) / (Σ_i w_ic (p_ic + g_ic) + e)]

Unlabelled voxels (``known`` false) weigh nothing and are not counted: the partial loss of Çiçek et al., MICCAI 2016,
arXiv:1606.06650, and of nnU-Net's ignore label (Gotkowski et al., arXiv:2403.12834).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from manabi.errors import InvalidInputError

NAMES = ("cross_entropy", "dice")
WEIGHTINGS = ("none", "inverse", "median", "focal", "dtm", "dpt")
TWELVE = tuple((name, weighting) for name in NAMES for weighting in WEIGHTINGS)
DTM_READINGS = ("unet", "decay")
FOCAL_READINGS = ("weight", "probability")


@dataclass(frozen=True)
class Frequencies:
    """How much of the labelled voxels each class is, from 0 to 1.

    Attributes:
        share: of all labelled voxels.
        share_where_present: of the labelled voxels of those images that hold the class; 0 for a class nowhere seen.
    """

    share: tuple[float, ...]
    share_where_present: tuple[float, ...]


def class_frequencies(
    labels: Iterable[np.ndarray], n_classes: int, known: Iterable[np.ndarray] | None = None
) -> Frequencies:
    """Frequencies over a training set.

    Args:
        labels: one map per image, of any shape, with whole numbers from 0 to ``n_classes - 1``.
        n_classes: number of classes, background included.
        known: one mask per image; voxels outside are not counted. None counts all.

    Raises:
        InvalidInputError: for labels outside the range, or where no voxel is labelled.
    """
    maps = list(labels)
    masks = [np.ones(np.shape(m), bool) for m in maps] if known is None else list(known)
    rows = [_counted(np.asarray(m)[np.asarray(k, bool)], n_classes) for m, k in zip(maps, masks, strict=True)]
    counts = np.array(rows, float).reshape(-1, n_classes)
    if not counts.sum():
        raise InvalidInputError("Class frequencies need at least one labelled voxel; got none. Check the masks.")
    around = (counts.sum(1, keepdims=True) * (counts > 0)).sum(0)
    present = np.divide(counts.sum(0), around, out=np.zeros(n_classes), where=around > 0)
    return Frequencies(tuple((counts.sum(0) / counts.sum()).tolist()), tuple(present.tolist()))


def _counted(values: np.ndarray, n_classes: int) -> np.ndarray:
    if values.size and (values.min() < 0 or values.max() >= n_classes):
        raise InvalidInputError(
            f"Expected labels from 0 to {n_classes - 1}; got {values.min()} to {values.max()}. "
            "Mark unlabelled voxels in the mask of known voxels."
        )
    return np.bincount(values.astype(np.int64), minlength=n_classes)


def distance_maps(
    labels: np.ndarray, n_classes: int, spacing: Sequence[float] | None = None, known: np.ndarray | None = None
) -> np.ndarray:
    """Distance of each voxel to the border of each class; computed once per case, not per step.

    Inside a class it is the distance to the nearest voxel outside, and outside it is that to the nearest voxel inside.
    A class that has no border (absent, or everywhere) gets the diagonal of the image everywhere.

    Args:
        labels: ``(rows, columns)`` or ``(slices, rows, columns)``.
        n_classes: background included.
        spacing: voxel size along the array's axes; None takes 1, which gives voxels.
        known: labelled voxels; others are on neither side of a border, so that no border appears where labels end.

    Returns:
        ``(n_classes, *labels.shape)``, float32, in units of the spacing.
    """
    array = np.asarray(labels)
    labelled = np.ones(array.shape, bool) if known is None else np.asarray(known, bool)
    sampling = np.ones(array.ndim) if spacing is None else np.asarray(spacing, float)
    if sampling.shape != (array.ndim,) or labelled.shape != array.shape:
        raise InvalidInputError(
            f"Labels of shape {array.shape} need as many spacings and a mask of that shape; got {spacing} and "
            f"{labelled.shape}."
        )
    maps = np.full((n_classes, *array.shape), np.linalg.norm(sampling * array.shape), np.float32)
    for label, found in enumerate(maps):
        inside = array == label
        within, without = labelled & inside, labelled & ~inside
        if within.any() and without.any():
            found[...] = np.where(inside, _distance_to(without, sampling), _distance_to(within, sampling))
    return maps


def _distance_to(mask: np.ndarray, sampling: np.ndarray) -> np.ndarray:
    """Distance to the nearest voxel of the mask, 0 inside; the same numbers as SciPy's in a third of the time."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(sampling[::-1].tolist())
    signed = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    return np.maximum(sitk.GetArrayViewFromImage(signed), 0.0)


@dataclass(frozen=True)
class BrainLoss:
    """One of the twelve; made by :func:`build_loss`, which documents the settings."""

    name: str
    weighting: str
    gamma: float = 2.0
    focal_reading: str = "weight"
    dtm_reading: str = "unet"
    w0: float = 10.0
    sigma: float = 5.0
    smooth: float = 1e-5
    background: bool = True
    per_image: bool = True

    def __post_init__(self) -> None:
        """Refuse settings that make no loss."""
        choices = (("name", NAMES), ("weighting", WEIGHTINGS), ("focal_reading", FOCAL_READINGS),
                   ("dtm_reading", DTM_READINGS))  # fmt: skip
        for field, known in choices:
            if getattr(self, field) not in known:
                raise InvalidInputError(f"{field} must be one of {', '.join(known)}; got {getattr(self, field)!r}.")
        if self.gamma < 0 or self.w0 < 0 or self.sigma <= 0 or self.smooth <= 0:
            raise InvalidInputError(
                "gamma and w0 must be at least 0, sigma and smooth above 0; got "
                f"{self.gamma}, {self.w0}, {self.sigma} and {self.smooth}."
            )

    def __call__(
        self,
        logits: Tensor,
        labels: Tensor,
        frequencies: Frequencies | None = None,
        distances: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """The loss, a scalar.

        Args:
            logits: ``(N, C, ...)`` with two or three spatial axes. C = 1 is one structure against the rest: its logit
                against one of 0.
            labels: ``(N, ...)``, whole numbers from 0 to C - 1 (0 or 1 where C is 1) at known voxels.
            frequencies: of the training set; None counts the batch.
            distances: ``(N, C, ...)`` (two classes where C is 1) from :func:`distance_maps`; for dtm and dpt.
            known: ``(N, ...)``, true at labelled voxels; None: all are.

        Raises:
            InvalidInputError: for shapes that do not fit, or distances that are missing.
        """
        scores = logits.float()
        if scores.shape[1] == 1:
            scores = torch.cat([torch.zeros_like(scores), scores], 1)
        mask = torch.ones_like(scores[:, 0]) if known is None else known.to(scores.dtype)
        self._check(scores, labels, mask, distances)
        target = torch.where(mask > 0, labels, 0).long()
        truth = F.one_hot(target, scores.shape[1]).movedim(-1, 1).to(scores.dtype)
        logs = torch.log_softmax(scores, 1)
        weight = mask[:, None] * self._weight(logs, truth, mask, frequencies, distances)
        if self.name == "cross_entropy":
            return -(weight * truth * logs).sum() / mask.sum().clamp_min(1.0)
        return self._dice(logs.exp(), truth, weight, mask)

    def _dice(self, p: Tensor, truth: Tensor, weight: Tensor, mask: Tensor) -> Tensor:
        if self.weighting == "focal" and self.focal_reading == "probability":
            p, weight = (1 - p) ** self.gamma * p, mask[:, None].expand_as(p)
        first = 0 if self.background else 1
        axes = tuple(a for a in range(p.ndim) if a > 1 or (a == 0 and not self.per_image))
        above = (weight * p * truth).sum(axes)[..., first:]
        below = (weight * (p + truth)).sum(axes)[..., first:]
        if self.weighting in ("inverse", "median"):
            above, below = above.sum(-1), below.sum(-1)
        return 1 - ((2 * above + self.smooth) / (below + self.smooth)).mean()

    def _weight(
        self, logs: Tensor, truth: Tensor, mask: Tensor, frequencies: Frequencies | None, distances: Tensor | None
    ) -> Tensor:
        """w of every voxel and class, as far as it varies, without the mask; it broadcasts to ``(N, C, ...)``."""
        if self.weighting in ("inverse", "median"):
            found = frequencies or _batch_frequencies(truth, mask)
            return _along_classes(class_weights(self.weighting, found), logs)
        if self.weighting == "focal":
            of_truth = (logs.exp() * truth).sum(1, keepdim=True)
            weight = (1 - of_truth).clamp_min(0.0) ** self.gamma
            return weight.detach() if self.name == "dice" else weight
        if self.weighting == "none" or distances is None:
            return torch.ones_like(logs[:, :1])
        if self.weighting == "dpt":
            return 1 + distance_penalty(distances.to(logs))
        return self._distance_weight(distances.to(logs), frequencies)

    def _distance_weight(self, distances: Tensor, frequencies: Frequencies | None) -> Tensor:
        """The two readings of the distance transform map; the background has no border of its own."""
        nearest = distances[:, 1:].topk(min(2, distances.shape[1] - 1), 1, largest=False).values
        if self.dtm_reading == "decay":
            return torch.exp(-nearest[:, :1] / self.sigma)
        total = nearest[:, :1] + nearest[:, -1:]
        base = [1.0]
        if frequencies is not None:
            base = [w * distances.shape[1] for w in class_weights("inverse", frequencies)]
        return _along_classes(base, distances) + self.w0 * torch.exp(-(total**2) / (2 * self.sigma**2))

    def _check(self, scores: Tensor, labels: Tensor, mask: Tensor, distances: Tensor | None) -> None:
        expected = (scores.shape[0], *scores.shape[2:])
        if scores.ndim not in (4, 5) or tuple(labels.shape) != expected or tuple(mask.shape) != expected:
            raise InvalidInputError(
                f"Expected logits (N, C, ...) of two or three spatial axes, and labels and mask {expected}; got "
                f"{tuple(scores.shape)}, {tuple(labels.shape)} and {tuple(mask.shape)}."
            )
        if self.weighting in ("dtm", "dpt") and (distances is None or distances.shape != scores.shape):
            got = "none" if distances is None else str(tuple(distances.shape))
            raise InvalidInputError(
                f"The weighting {self.weighting!r} needs distances of shape {tuple(scores.shape)} from "
                f"distance_maps; got {got}."
            )


def build_loss(name: str, weighting: str, **constants: Any) -> BrainLoss:
    """One of the twelve losses.

    * ``inverse``: ``w_c = (1/f_c) / Σ_k (1/f_k)``.
    * ``median``: ``w_c = median_k(f_k) / f_c``, f over the images that hold the class (Eigen and Fergus, ICCV 2015,
      10.1109/ICCV.2015.304).
    * ``focal``: ``w_i = (1 - p_i)^gamma``, p of the voxel's true class (Lin et al., ICCV 2017, 10.1109/ICCV.2017.324).
    * ``dtm``, the distance transform map: ``unet`` is ``w_c + w0 exp(-(d1 + d2)² / (2 sigma²))`` with the distances to
      the nearest and the second nearest border of a structure (Ronneberger et al., MICCAI 2015, arXiv:1505.04597, eq.
      2; ``w_c`` is inverse frequency with a mean of 1, or 1 without frequencies; d2 = d1 for one structure, our
      choice); ``decay`` is ``exp(-d1 / sigma)``.
    * ``dpt``, the distance penalty term: ``1 + Φ`` (Caliva et al., MIDL 2019, arXiv:1908.03679), see
      :func:`distance_penalty`.

    A weight that depends on the class alone would cancel in Dice's ratio of one class; with ``inverse`` and ``median``
    the sums over classes are taken before the ratio, as in the generalised Dice of Sudre et al., DLMIA 2017,
    10.1007/978-3-319-67558-9_28 (our choice; there w_c is 1/f_c²).

    Focal Dice has two readings. ``probability`` puts ``(1-p)^gamma p`` in place of p (Li et al., ACL 2020,
    10.18653/v1/2020.acl-main.45); it is greatest at p = 1/(1+gamma), so that training drives the structure there,
    below one half, and with gamma 2 a structure is never called against one other class. ``weight`` keeps the weighted
    ratio and holds w constant in the gradient; else it pays to make a structure's voxels easy and thereby weightless
    instead of right (our choice, and the default).

    Args:
        name: ``cross_entropy`` or ``dice``.
        weighting: one of :data:`WEIGHTINGS`.
        **constants: ``gamma`` (2), ``focal_reading``, ``dtm_reading``, ``w0`` (10), ``sigma`` (5, in units of the
            distances), ``smooth`` (e, 1e-5), ``background`` (whether Dice counts class 0; True), ``per_image`` (Dice of
            each image, then the mean; False takes the batch as one image).

    Raises:
        InvalidInputError: for an unknown name, weighting or constant, or one out of range.
    """
    try:
        return BrainLoss(name, weighting, **constants)
    except TypeError as error:
        raise InvalidInputError(f"The constants {constants} do not fit a loss: {error}.") from error


def class_weights(weighting: str, frequencies: Frequencies) -> list[float]:
    """Weight of each class for ``inverse`` or ``median``; a class that never occurs weighs 0 and is not counted."""
    shares = np.array(frequencies.share if weighting == "inverse" else frequencies.share_where_present)
    inverse = np.divide(1.0, shares, out=np.zeros(len(shares)), where=shares > 0)
    if weighting == "inverse":
        return (inverse / inverse.sum()).tolist()
    return (np.median(shares[shares > 0]) * inverse).tolist()


def distance_penalty(distances: Tensor) -> Tensor:
    """Φ, from 0 to 1: one at the border of a class, falling linearly to 0 at its farthest voxel.

    The inverted, normalised distance map of Caliva et al., MIDL 2019; each class of each image (or crop) is normalised
    by its own smallest and largest distance, and a class without a border has 0 everywhere (our choices).

    Args:
        distances: ``(N, C, ...)`` from :func:`distance_maps`.
    """
    flat = distances.flatten(2)
    low, high = (m.reshape(*m.shape, *[1] * (distances.ndim - 2)) for m in (flat.amin(2), flat.amax(2)))
    return ((high - distances) / (high - low).clamp_min(1e-6)).clamp(0.0, 1.0)


def _batch_frequencies(truth: Tensor, mask: Tensor) -> Frequencies:
    maps = truth.argmax(1).detach().cpu().numpy()
    if not bool(mask.any()):
        return Frequencies((1.0,) * truth.shape[1], (1.0,) * truth.shape[1])
    return class_frequencies(list(maps), truth.shape[1], list((mask > 0).detach().cpu().numpy()))


def _along_classes(weights: Sequence[float], like: Tensor) -> Tensor:
    """Weights of the classes, shaped to multiply ``(N, C, ...)``."""
    tensor = torch.as_tensor(weights, dtype=like.dtype, device=like.device)
    return tensor.reshape(1, -1, *[1] * (like.ndim - 2))
