"""Learning from labels that are not complete: the marginal loss, scores, patches, and a run from start to end."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_heads import SETTINGS, TINY, as_ours, head, site, write_maps, write_table

from manabi.brain.structures import CLASSES
from manabi.bundle import Bundle
from manabi.io import write_volume
from Training.brain import (
    N_CLASSES,
    BrainRecipe,
    dices,
    labels_of,
    patch_boxes,
    shares_of,
    soft_losses,
    train,
)
from Training.brain_labels import UNKNOWN, one_of

STEM = CLASSES["brainstem"]
REST = one_of(c for c in range(N_CLASSES) if c != STEM)
pytestmark = pytest.mark.filterwarnings("ignore:Mean of empty slice")


@pytest.fixture(scope="module", autouse=True)
def few_images():
    """Calibration and test on as few images as do."""
    with pytest.MonkeyPatch.context() as patch:
        for name, count in (("KNOWN_IMAGES", 3), ("VALIDATION_IMAGES", 2), ("TEST_IMAGES", 2)):
            patch.setattr(f"Training.brain_bundle.{name}", count)
        yield


def logits(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 2, shape)).float().requires_grad_()


def test_a_set_counts_as_the_sum_of_its_classes():
    out = logits(1, N_CLASSES, 2, 2, 2)
    classes = torch.full((1, 2, 2, 2), REST, dtype=torch.uint8)
    classes[0, 0] = STEM
    entropy, _ = soft_losses(out, shares_of(classes))
    p = F.softmax(out, 1)[0, STEM]
    expected = -(torch.cat([p[0].flatten().log(), (1 - p[1]).flatten().log()])).mean()
    assert float(entropy) == pytest.approx(float(expected), rel=1e-4)


def test_what_is_unknown_teaches_nothing():
    out = logits(1, N_CLASSES, 2, 2, 4)
    classes = torch.full((1, 2, 2, 4), UNKNOWN, dtype=torch.uint8)
    classes[..., :2] = 1
    entropy, dice = soft_losses(out, shares_of(classes))
    (entropy + dice).backward()
    assert float(out.grad[..., 2:].abs().max()) < 1e-7 < float(out.grad[..., :2].abs().max())
    known, known_dice = soft_losses(out[..., :2], shares_of(classes[..., :2]))
    assert float(entropy) == pytest.approx(float(known), rel=1e-5)
    assert float(dice) == pytest.approx(float(known_dice), rel=1e-5)


def test_structures_that_nobody_labelled_are_neither_pushed_nor_pulled_against_each_other():
    out = torch.zeros(1, N_CLASSES, 1, 1, 2, requires_grad=True)
    classes = torch.tensor([REST, REST], dtype=torch.uint8).reshape(1, 1, 1, 2)
    entropy, dice = soft_losses(out, shares_of(classes))
    (entropy + dice).backward()
    gradient = out.grad[0, :, 0, 0, 0]
    others = gradient[[c for c in range(N_CLASSES) if c != STEM]]
    assert float(gradient[STEM]) > 0.01 and float(others.max() - others.min()) < 1e-6 and float(others.max()) < 0


def test_complete_labels_give_the_plain_losses():
    out = logits(2, N_CLASSES, 4, 4, 4)
    classes = torch.from_numpy(np.random.default_rng(1).integers(0, N_CLASSES, (2, 4, 4, 4))).to(torch.uint8)
    shares = shares_of(classes)
    assert torch.equal(shares, F.one_hot(classes.long(), N_CLASSES).movedim(-1, 1).float())
    entropy, _ = soft_losses(out, shares)
    assert float(entropy) == pytest.approx(float(F.cross_entropy(out, classes.long())), rel=1e-5)
    half = shares_of(classes[0], 2)
    assert torch.allclose(half, F.avg_pool3d(shares[0], 2)) and torch.equal(labels_of(half), half.argmax(0))


def test_a_block_with_a_set_may_be_all_that_its_voxels_may_be():
    classes = torch.full((2, 2, 4), 1, dtype=torch.uint8)
    classes[0, 0, 0] = one_of((0, 5))
    shares = shares_of(classes, 2)
    assert shares[:, 0, 0, 0].tolist() == [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    assert shares[:, 0, 0, 1].tolist() == [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert labels_of(shares)[0, 0].tolist() == [one_of((0, 1, 5)), 1]


def test_scores_count_what_is_known():
    truth = torch.full((4, 4, 4), REST, dtype=torch.uint8)
    truth[0] = STEM
    found = torch.zeros(4, 4, 4, dtype=torch.long)
    found[0], found[1, :2], found[2] = STEM, STEM, 1
    scores = dices(found, truth)
    assert scores[STEM - 1] == pytest.approx(2 * 16 / (16 + 24))
    assert all(math.isnan(score) for c, score in enumerate(scores, start=1) if c != STEM)
    truth[1] = UNKNOWN
    assert dices(found, truth)[STEM - 1] == 1.0


def test_patches_are_drawn_around_what_is_labelled():
    classes = torch.full((40, 40, 40), REST, dtype=torch.uint8)
    classes[4:6, 4:6, 4:6] = STEM
    for box in patch_boxes(classes, np.random.default_rng(0), BrainRecipe(**{**TINY, "patches": 8})):
        assert bool((classes[box] == STEM).any())


def test_a_site_that_labelled_one_structure_on_some_slices_trains_from_a_bundle(tmp_path):
    start = train(f"labels:{write_maps(tmp_path / 'maps')}", tmp_path / "first", None, SETTINGS)["bundle"]
    rows = site(tmp_path)
    for n in range(len(rows)):
        ours = as_ours(head(n))
        kept = np.where((np.asarray(ours.array) == 5) & (np.arange(44) % 2 == 0)[:, None, None], 5, 0)
        write_volume(ours.like(kept.astype(np.uint8)), tmp_path / f"labels-{n}.nii.gz", overwrite=True)
    table = str(write_table(tmp_path, rows))
    summary = train(table, tmp_path / "run", None, [*SETTINGS, f"start={start}"], cache=tmp_path / "cache")
    assert set(summary["metrics"]) == {"brainstem_dice"}
    state = Bundle(tmp_path / "run" / "bundle").verify().load_state()
    assert all(torch.isfinite(value).all() for value in state.values())
