"""The baselines that find boxes: RetinaNet and SSD in MONAI's frame, without torchvision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_pairs import TinyStore

from manabi.errors import InvalidInputError
from Training.nodule import read_plan
from Training.nodule_boxes import FocalLoss, detector
from Training.nodule_boxes_task import BoxRecipe, BoxTask, box_finder, target
from Training.nodule_data import NoduleData, everything, split

WIDTHS = "4-4-8-8-8"
KINDS = ("retinanet", "ssd")


def tiny(kind):
    torch.manual_seed(0)
    return BoxRecipe(kind=kind, widths=WIDTHS, out_channels=8).build()


def test_boxes_surround_the_parts_of_a_mask_and_slivers_are_left_out():
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[4:10, 6:14], mask[20:26, 20:24], mask[0, 30:] = True, True, True
    found = target(mask)
    assert found["boxes"].tolist() == [[4, 6, 10, 14], [20, 20, 26, 24]]
    assert found["labels"].tolist() == [0, 0]
    assert target(torch.zeros(8, 8))["boxes"].shape == (0, 4)


def test_focal_loss_sums_what_the_formula_says():
    logits, wanted = torch.tensor([[2.0], [-1.0]]), torch.tensor([[1.0], [0.0]])
    p = torch.sigmoid(logits)
    by_hand = -0.25 * (1 - p[0]) ** 2 * p[0].log() - 0.75 * p[1] ** 2 * (1 - p[1]).log()
    assert FocalLoss()(logits, wanted).item() == pytest.approx(by_hand.item(), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_detector_trains_on_films_with_and_without_boxes_and_every_weight_takes_part(kind):
    model = tiny(kind).train()
    images = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    targets = [{"boxes": torch.tensor([[10.0, 10, 22, 22]]), "labels": torch.tensor([0])}, target(torch.zeros(64, 64))]
    losses = model(images, targets)
    assert set(losses) == {"classification", "box_regression"}
    sum(losses.values()).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not without


def test_the_loss_of_scores_does_not_shrink_with_the_size_of_the_film():
    model = tiny("retinanet").train()
    box = [{"boxes": torch.tensor([[10.0, 10, 22, 22]]), "labels": torch.tensor([0])}]
    small = model(torch.zeros(1, 1, 64, 64), box)["classification"].item()
    large = model(torch.zeros(1, 1, 128, 128), box)["classification"].item()
    assert large > 0.8 * small


@pytest.mark.parametrize("kind", KINDS)
def test_marks_are_the_middles_of_boxes_in_falling_order(kind):
    find = box_finder(tiny(kind))
    films = np.random.default_rng(0).uniform(0.2, 0.8, (3, 64, 64)).astype(np.float32)
    found = find(films)
    assert all(len(marks) > 1 for marks in found)
    for marks in found:
        scores = [m.score for m in marks]
        assert scores == sorted(scores, reverse=True)
        for m in marks:
            assert m.row == pytest.approx((m.box[0] + m.box[2]) / 2)
            assert m.column == pytest.approx((m.box[1] + m.box[3]) / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_teach_a_baseline_to_find_bright_discs(kind, tmp_path):
    from Training.engine import fit

    plan = read_plan(None, ["epochs=2", "batch_size=4", "items_per_epoch=64", "device=cpu", "lr=0.004", "val_every=2",
                            "schedule=constant", "parts=8/2/2"])  # fmt: skip
    data = NoduleData(split(everything([TinyStore(24, 12)]), "8/2/2", 0), "x", True, "tiny", 64)
    boxes = BoxRecipe(kind=kind, widths="8-8-16-16-16", out_channels=16)
    result = fit(BoxTask(plan, boxes, data), plan.config, tmp_path, show_progress=False)
    assert result.best_metrics["val_at_1"] >= 0.75


def test_widths_that_are_not_five_channels_are_refused():
    with pytest.raises(InvalidInputError, match="five"):
        BoxRecipe(widths="8-16").build()


def test_anchors_are_square_and_as_large_as_nodules():
    model = detector("ssd", (4, 4, 4, 4, 4))
    with torch.no_grad():
        model.eval()(torch.zeros(1, 1, 64, 64))
    anchors = model.anchors[0]
    sides = torch.stack([anchors[:, 2] - anchors[:, 0], anchors[:, 3] - anchors[:, 1]], 1)
    assert torch.equal(sides[:, 0], sides[:, 1])
    assert (sides.min(), sides.max()) == (4, 26)
