"""The terms of NoduleSynth's loss, as pure functions: Dice, NAC, NECMOS, and cross-entropy.

Hanaoka et al., IJCARS 2024;19:1991, 10.1007/s11548-024-03227-7 train with Dice and two further terms, "NAC" and
"NECMOS", each with the weight 10. Their equations are in no text that we could read: **all definitions here are our
own reading** of what the abstract says of them (contrastive learning of diseased regions in pairs of images, and
fewer false positives on images without nodule).

Logits and masks are ``(pairs, rows, columns)``; every term is a scalar, a mean over the pairs of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from manabi.parameters import Parameters


@dataclass(frozen=True)
class PairWeights(Parameters):
    """Which terms there are and what they weigh; a weight of 0 leaves a term out."""

    dice: float = field(default=10.0, metadata={"low": 0.0, "help": "weight of Dice on the image with nodules"})
    nac: float = field(default=10.0, metadata={"low": 0.0, "help": "weight of the contrast between both images"})
    necmos: float = field(default=10.0, metadata={"low": 0.0, "help": "weight of the largest output without nodule"})
    bce: float = field(default=0.0, metadata={"low": 0.0, "help": "weight of the cross-entropy of both images"})
    dice_over: Literal["image", "batch"] = "image"
    nac_form: Literal["output", "feature"] = "output"
    margin: float = field(default=4.0, metadata={"low": 0.0, "help": "wanted difference of logits within the mask"})
    temperature: float = field(default=0.1, metadata={"low": 1e-3, "help": "of the feature form's softmax"})
    necmos_form: Literal["maximum", "top"] = "maximum"
    follows: bool = field(default=False, metadata={"help": "NAC and NECMOS weigh 1 - Dice, so not from the first step"})
    top_share: float = field(default=0.001, metadata={"low": 0.0, "high": 1.0, "help": "of pixels, in the top form"})

    @property
    def features(self) -> bool:
        """Whether the loss needs the network's last features."""
        return self.nac > 0 and self.nac_form == "feature"


def dice(logits: Tensor, mask: Tensor, over: str = "image") -> Tensor:
    """``1 - (2 Σ p M + 1) / (Σ p + Σ M + 1)`` with p = sigmoid(logits).

    Sums run over each image, and the mean over images is taken (our choice: small nodules then count as large ones
    do); with ``over="batch"`` they run over all images at once.
    """
    p, m = torch.sigmoid(logits.float()).flatten(1), mask.float().flatten(1)
    both, parts = (p * m).sum(1), p.sum(1) + m.sum(1)
    if over == "batch":
        both, parts = both.sum(), parts.sum()
    return (1 - (2 * both + 1) / (parts + 1)).mean()


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``(n, rows, columns)`` within each mask, ``(n,)``; 0 where a mask is empty."""
    m = mask.float().flatten(1)
    return (values.float().flatten(1) * m).sum(1) / m.sum(1).clamp(min=1)


def nac_output(positive: Tensor, negative: Tensor, mask: Tensor, margin: float = 4.0) -> Tensor:
    """``softplus(margin - (mean of s+ - mean of s-))``, both means within the mask of the image with nodules.

    Pairs whose mask is empty (a crop beside the nodule) have nothing to compare and do not count.
    """
    gap = masked_mean(positive, mask) - masked_mean(negative, mask)
    there = mask.flatten(1).any(1).float()
    return (F.softplus(margin - gap) * there).sum() / there.sum().clamp(min=1)


def nac_feature(positive: Tensor, negative: Tensor, mask: Tensor, temperature: float = 0.1) -> Tensor:
    """Supervised InfoNCE of features within masks: nodules attract nodules and repel the same places without.

    Khosla et al., Supervised contrastive learning, NeurIPS 2020, eq. 2, with the masked means of L2-normalised
    features as vectors; positives of z+ are the batch's other z+, negatives all z-.

    Args:
        positive: features of the images with nodules, ``(n, channels, rows, columns)``.
        negative: of those without.
        mask: ``(n, rows, columns)``; pairs with an empty one do not count.
        temperature: of the softmax.

    Returns:
        The mean over all z+; 0 where fewer than two pairs have a mask.
    """
    there = mask.flatten(1).any(1)
    if int(there.sum()) < 2:
        return positive.sum() * 0.0
    with_nodule, without = (_vectors(f[there], mask[there]) for f in (positive, negative))
    alike, unlike = with_nodule @ with_nodule.T / temperature, with_nodule @ without.T / temperature
    count = len(with_nodule)
    own = torch.eye(count, dtype=torch.bool, device=alike.device)
    others = alike.masked_fill(own, -torch.inf)
    total = torch.logsumexp(torch.cat([others, unlike], 1), 1)
    return (total - alike.masked_fill(own, 0.0).sum(1) / (count - 1)).mean()


def _vectors(features: Tensor, mask: Tensor) -> Tensor:
    """Mean within the mask of features of length 1, again of length 1: ``(n, channels)``."""
    unit = F.normalize(features.float(), dim=1)
    m = mask.float()[:, None]
    return F.normalize((unit * m).sum((2, 3)) / m.sum((2, 3)).clamp(min=1), dim=1)


def necmos(negative: Tensor, form: str = "maximum", top_share: float = 0.001) -> Tensor:
    """``-log(1 - p)`` of the largest output on images without nodule (our reading: NEgative-Case Maximum-Output
    Suppression); with ``form="top"`` the mean of it over the ``top_share`` largest pixels, which is smoother."""
    flat = negative.float().flatten(1)
    count = 1 if form == "maximum" else max(1, round(top_share * flat.shape[1]))
    return F.softplus(flat.topk(count, dim=1).values).mean()


def cross_entropy(positive: Tensor, negative: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy of every pixel of both images, as one mean."""
    found = F.binary_cross_entropy_with_logits(positive.float(), mask.float())
    clean = F.binary_cross_entropy_with_logits(negative.float(), torch.zeros_like(negative, dtype=torch.float32))
    return 0.5 * (found + clean)


def pair_loss(
    positive: Tensor, negative: Tensor, mask: Tensor, weights: PairWeights,
    features: tuple[Tensor, Tensor] | None = None,
) -> Mapping[str, Tensor]:  # fmt: skip
    """The weighted sum under ``loss``, and each term that has a weight by its name.

    With ``weights.follows`` (our addition) NAC and NECMOS are weighted by what Dice has reached as well: otherwise, in
    a short training, NECMOS holds the output flat before there is anything to suppress, and NAC is met by darkening
    the lung where no nodule is.

    Args:
        positive: logits of the images with nodules.
        negative: logits of the same images without.
        mask: where the nodules are.
        weights: of the terms.
        features: of both, ``(n, channels, rows, columns)``; needed where ``weights.features`` says so.
    """
    terms: dict[str, Tensor] = {}
    if weights.dice:
        terms["dice"] = dice(positive, mask, weights.dice_over)
    if weights.nac and features is not None and weights.features:
        terms["nac"] = nac_feature(*features, mask, weights.temperature)
    elif weights.nac:
        terms["nac"] = nac_output(positive, negative, mask, weights.margin)
    if weights.necmos:
        terms["necmos"] = necmos(negative, weights.necmos_form, weights.top_share)
    if weights.bce:
        terms["bce"] = cross_entropy(positive, negative, mask)
    scale = {name: getattr(weights, name) for name in terms}
    if weights.follows and "dice" in terms:
        reached = 1 - terms["dice"].detach()
        scale |= {name: scale[name] * reached for name in ("nac", "necmos") if name in scale}
    total = torch.stack([scale[name] * value for name, value in terms.items()]).sum()
    return {"loss": total, **terms}
