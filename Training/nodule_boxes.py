"""The baselines of the source, RetinaNet and SSD, in MONAI's frame for detectors; torchvision is not needed.

MONAI's detector asks torchvision for one of its matchers even where another is used; :class:`FilmDetector` takes
MONAI's own (ATSS; Zhang et al., CVPR 2020, 10.1109/CVPR42600.2020.00978) and nothing else. The backbones are plain and
narrow and start from random weights, as the U-Net does: the source's are not known (our choice).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.apps.detection.networks.retinanet_network import RetinaNet
from monai.apps.detection.utils.anchor_utils import AnchorGenerator
from monai.data.box_utils import box_iou
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork
from torch import Tensor, nn
from torch.nn import functional as F

from manabi.networks.bricks import ConvStack

Kind = Literal["retinanet", "ssd"]
STRIDES = (4, 8, 16)
"""Of the maps that boxes are read from: nodules have 3 to 25 pixels."""
SIDES = ((4, 6), (9, 13), (18, 26))
"""Of the anchors on each map, pixels of a 256 grid (our choice); all are square, as nodules are."""
CLASSIFICATION, REGRESSION = "classification", "box_regression"
NEGATIVES = 3
"""Negatives to a positive in SSD's loss (Liu et al., ECCV 2016, 10.1007/978-3-319-46448-0_2, 2.2)."""
MOST_BOXES = 60
LEAST_SCORE = 1e-6
"""As of the U-Net's marks, so that no curve ends before the others."""
OVERLAP = 0.2
"""Boxes that overlap a better one by more are left out (our choice; nodules do not overlap)."""
RARE_LOGIT = -4.6
"""First score of every anchor, probability 0.01 (Lin et al., Focal loss, ICCV 2017, 10.1109/ICCV.2017.324, 4.1)."""


class Pyramid(nn.Module):
    """Convolutions with a map at each of :data:`STRIDES`; with ``out_channels``, joined from coarse to fine (FPN).

    Args:
        widths: channels at strides 1, 2, 4, 8, 16.
        out_channels: of every map; 0 leaves each level its own.
    """

    def __init__(self, widths: Sequence[int], out_channels: int = 0) -> None:
        super().__init__()
        self.levels = nn.ModuleList(ConvStack(2, a, b, norm="batch") for a, b in pairwise((1, *widths)))
        self.pool = nn.MaxPool2d(2)
        self.channels = tuple(widths[2:])
        self.out_channels = out_channels
        self.fpn = FeaturePyramidNetwork(2, list(self.channels), out_channels) if out_channels else None

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(n, 1, rows, columns)`` to the maps, finest first."""
        maps: list[Tensor] = []
        for number, level in enumerate(self.levels):
            x = level(x if number == 0 else self.pool(x))
            maps.append(x)
        maps = maps[2:]
        if self.fpn is None:
            return maps
        return list(self.fpn(OrderedDict((str(k), m) for k, m in enumerate(maps))).values())


class SSDNetwork(nn.Module):
    """SSD's head: one convolution of its own on every map for scores and one for boxes (Liu et al., figure 2)."""

    def __init__(self, feature_extractor: Pyramid, num_anchors: int) -> None:
        super().__init__()
        self.feature_extractor = feature_extractor
        self.spatial_dims, self.num_classes, self.num_anchors, self.size_divisible = 2, 1, num_anchors, STRIDES[-1]
        self.cls_key, self.box_reg_key = CLASSIFICATION, REGRESSION
        self.scores = nn.ModuleList(nn.Conv2d(c, num_anchors, 3, padding=1) for c in feature_extractor.channels)
        self.boxes = nn.ModuleList(nn.Conv2d(c, 4 * num_anchors, 3, padding=1) for c in feature_extractor.channels)
        for layer in self.scores:
            nn.init.constant_(layer.bias, RARE_LOGIT)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> dict[str, list[Tensor]]:
        """Scores and boxes of every anchor, by level."""
        maps = self.feature_extractor(images)
        return {
            CLASSIFICATION: [layer(m) for layer, m in zip(self.scores, maps, strict=True)],
            REGRESSION: [layer(m) for layer, m in zip(self.boxes, maps, strict=True)],
        }


class FocalLoss(nn.Module):
    """``Σ -α_t (1 - p_t)^γ log p_t`` over all anchors (Lin et al., eq. 5), divided by :class:`FilmDetector`.

    MONAI's averages a list of anchors whatever its reduction, so that scores weigh nothing beside boxes.
    """

    def __init__(self, gamma: float = 2.0, alpha: float = 0.25) -> None:
        super().__init__()
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The sum; ``target`` is 1 where an anchor belongs to a box."""
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        share = self.alpha * target + (1 - self.alpha) * (1 - target)
        return (share * (1 - torch.exp(-entropy)) ** self.gamma * entropy).sum()


class FilmDetector(RetinaNetDetector):
    """MONAI's detector with MONAI's own matcher."""

    def compute_anchor_matched_idxs(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]], num_anchor_locs_per_level: Sequence[int]
    ) -> list[Tensor]:
        """Which box every anchor of every image belongs to; -1 for none."""
        out = []
        for own, target in zip(anchors, targets, strict=True):
            boxes = target[self.target_box_key].to(own.device)
            if len(boxes):
                matcher: Any = self.proposal_matcher
                out.append(matcher(boxes, own, num_anchor_locs_per_level, self.num_anchors_per_loc)[1])
            else:
                out.append(torch.full((len(own),), -1, dtype=torch.int64, device=own.device))
        return out

    def compute_cls_loss(
        self, cls_logits: Tensor, targets: list[dict[str, Tensor]], matched_idxs: list[Tensor]
    ) -> Tensor:
        """The loss of the scores; a sum over anchors is divided by those that belong to a box (Lin et al., 4.1)."""
        loss = super().compute_cls_loss(cls_logits, targets, matched_idxs)
        if not isinstance(self.cls_loss_func, FocalLoss):
            return loss
        return loss / max(1, sum(int((index >= 0).sum()) for index in matched_idxs))


def detector(kind: Kind, widths: Sequence[int] = (16, 32, 64, 96, 128), out_channels: int = 64) -> FilmDetector:
    """A detector of one class for films ``(1, rows, columns)`` whose sides are multiples of 16.

    Args:
        kind: ``retinanet`` (FPN, shared heads, focal loss) or ``ssd`` (a head per map, hard negatives).
        widths: channels at strides 1, 2, 4, 8, 16.
        out_channels: of RetinaNet's pyramid.
    """
    anchors = AnchorGenerator(SIDES, (((1.0,),),) * len(SIDES))
    count = anchors.num_anchors_per_location()[0]
    network: nn.Module
    if kind == "ssd":
        network = SSDNetwork(Pyramid(widths), count)
    else:
        network = RetinaNet(2, 1, count, Pyramid(widths, out_channels), size_divisible=STRIDES[-1])
    found = FilmDetector(network, anchors, box_iou)
    found.set_atss_matcher(num_candidates=4, center_in_gt=False)
    if kind == "ssd":
        found.set_hard_negative_sampler(
            batch_size_per_image=64, positive_fraction=1 / (1 + NEGATIVES), min_neg=16, pool_size=4
        )
    else:
        found.set_cls_loss(FocalLoss())
    found.set_box_selector_parameters(
        score_thresh=LEAST_SCORE, topk_candidates_per_level=200, nms_thresh=OVERLAP, detections_per_img=MOST_BOXES
    )
    return found
