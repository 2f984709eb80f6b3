"""The twelve losses: values by hand, agreement with MONAI, unlabelled voxels, gradients, dimensions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.losses import DiceLoss, FocalLoss, GeneralizedDiceLoss
from scipy.ndimage import distance_transform_edt

from manabi.errors import InvalidInputError
from Training.brain_losses import (
    TWELVE,
    Frequencies,
    build_loss,
    class_frequencies,
    class_weights,
    distance_maps,
    distance_penalty,
)

SHAPE, CLASSES = (12, 14), 3
every_loss = pytest.mark.parametrize("name, weighting", TWELVE)
READINGS = [
    *((n, w, {}) for n, w in TWELVE),
    ("cross_entropy", "dtm", {"dtm_reading": "decay"}),
    ("dice", "dtm", {"dtm_reading": "decay"}),
    ("dice", "focal", {"focal_reading": "probability"}),
    ("dice", "none", {"background": False, "per_image": False}),
]
every_reading = pytest.mark.parametrize("name, weighting, constants", READINGS)


def label_map(seed=0, shape=SHAPE):
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int64)
    labels[..., 2:9, 3:10] = 1
    labels[..., 4:6, 5 + rng.integers(0, 3) : 9] = 2
    return labels


LABELS = np.stack([label_map(0), label_map(1)])
DISTANCES = torch.from_numpy(np.stack([distance_maps(one, CLASSES) for one in LABELS]))
FREQUENCIES = class_frequencies(list(LABELS), CLASSES)


def logits_like(labels, classes=CLASSES, seed=1):
    torch.manual_seed(seed)
    return torch.randn(len(labels), classes, *labels.shape[1:])


def value(name, weighting, logits, known=None, labels=LABELS, distances=DISTANCES, **constants):
    loss = build_loss(name, weighting, **constants)
    return loss(logits, torch.as_tensor(labels), FREQUENCIES, distances, known)


def test_class_frequencies_count_labelled_voxels_and_images_that_hold_the_class():
    maps = [np.array([[0, 0, 1, 1]]), np.array([[0, 0, 0, 2]])]
    assert class_frequencies(maps, 4) == Frequencies((5 / 8, 2 / 8, 1 / 8, 0.0), (5 / 8, 2 / 4, 1 / 4, 0.0))
    known = [np.array([[1, 0, 1, 0]], bool), np.array([[1, 1, 1, 1]], bool)]
    assert class_frequencies(maps, 3, known).share == (4 / 6, 1 / 6, 1 / 6)


def test_labels_outside_the_classes_and_empty_sets_are_refused():
    with pytest.raises(InvalidInputError, match="from 0 to 1; got 0 to 2"):
        class_frequencies([np.array([0, 2])], 2)
    with pytest.raises(InvalidInputError, match="at least one labelled voxel"):
        class_frequencies([np.zeros((2, 2), int)], 2, [np.zeros((2, 2), bool)])


def test_class_weights_by_hand():
    found = Frequencies((0.9, 0.09, 0.01, 0.0), (0.8, 0.1, 0.02, 0.0))
    total = 1 / 0.9 + 1 / 0.09 + 1 / 0.01
    expected = [1 / 0.9 / total, 1 / 0.09 / total, 1 / 0.01 / total, 0]
    assert class_weights("inverse", found) == pytest.approx(expected)
    assert class_weights("median", found) == pytest.approx([0.125, 1.0, 5.0, 0.0])


def test_distances_go_to_the_nearest_voxel_of_the_other_side_in_the_units_of_the_spacing():
    labels = np.array([[0, 0, 1, 1, 1, 1]])
    assert distance_maps(labels, 2, (1.0, 0.5))[1].tolist() == [[1.0, 0.5, 0.5, 1.0, 1.5, 2.0]]
    assert distance_maps(labels, 2)[0].tolist() == distance_maps(labels, 2)[1].tolist()


@pytest.mark.parametrize("spacing", [(2.0, 1.0, 0.5), (1.0, 1.0, 1.0)])
def test_distances_are_those_of_scipy(spacing):
    labels = np.random.default_rng(0).integers(0, 40, (7, 15, 18)) // 13
    for label, found in enumerate(distance_maps(labels, 4, spacing)):
        inside = labels == label
        expected = [distance_transform_edt(mask, sampling=spacing) for mask in (inside, ~inside)]
        np.testing.assert_allclose(found, expected[0] + expected[1], atol=1e-5)


def test_a_class_without_a_border_is_as_far_as_the_image_is_wide():
    found = distance_maps(np.zeros((3, 4), int), 2)
    assert (found == 5.0).all()


def test_no_border_appears_where_the_labels_end():
    labels, known = np.zeros((5, 7), int), np.zeros((5, 7), bool)
    labels[2, 2:5] = 1
    known[2] = True
    row = distance_maps(labels, 2, known=known)[1][2]
    assert row.tolist() == [2, 1, 1, 2, 1, 1, 2]
    assert distance_maps(labels, 2)[1][2].tolist() == [2, 1, 1, 1, 1, 1, 2]


def two_voxels():
    """Two voxels of two classes with p of class 1 = 0.8 and 0.3; the first is class 1, the second class 0."""
    p = torch.tensor([0.8, 0.3]).reshape(1, 1, 1, 2)
    return torch.cat([1 - p, p], 1).log(), torch.tensor([1, 0]).reshape(1, 1, 2)


HAND = Frequencies((0.75, 0.25), (0.75, 0.5))
D1 = 2.0
BY_HAND = {
    ("cross_entropy", "none"): -(math.log(0.8) + math.log(0.7)) / 2,
    ("cross_entropy", "inverse"): -(0.75 * math.log(0.8) + 0.25 * math.log(0.7)) / 2,
    ("cross_entropy", "median"): -(1.25 * math.log(0.8) + 0.625 / 0.75 * math.log(0.7)) / 2,
    ("cross_entropy", "focal"): -(0.04 * math.log(0.8) + 0.09 * math.log(0.7)) / 2,
    ("dice", "none"): 1 - (2 * 0.8 / 2.1 + 2 * 0.7 / 1.9) / 2,
    ("dice", "inverse"): 1 - 2 * (0.75 * 0.8 + 0.25 * 0.7) / (0.75 * 2.1 + 0.25 * 1.9),
    ("dice", "median"): 1 - 2 * (1.25 * 0.8 + 0.625 / 0.75 * 0.7) / (1.25 * 2.1 + 0.625 / 0.75 * 1.9),
    ("dice", "focal"): 1
    - (
        2 * 0.04 * 0.8 / (0.04 * 1.8 + 0.09 * 0.3)  # the true class of the second voxel has p = 0.7
        + 2 * 0.09 * 0.7 / (0.09 * 1.7 + 0.04 * 0.2)
    )
    / 2,
}


@pytest.mark.parametrize("key", BY_HAND, ids=str)
def test_losses_by_hand(key):
    logits, labels = two_voxels()
    assert float(build_loss(*key, smooth=1e-9)(logits, labels, HAND)) == pytest.approx(BY_HAND[key], rel=1e-5)


def test_distance_weighted_losses_by_hand():
    logits, labels = two_voxels()
    distances = torch.tensor([[[2.0, 1.0]], [[1.0, 3.0]]]).reshape(1, 2, 1, 2)
    first, second = -math.log(0.8), -math.log(0.7)

    def found(weighting, **constants):
        return float(build_loss("cross_entropy", weighting, **constants)(logits, labels, None, distances))

    # One structure: d2 = d1, which is 1 at the first voxel and 3 at the second.
    w = [1 + 10 * math.exp(-4 / 50), 1 + 10 * math.exp(-36 / 50)]
    assert found("dtm") == pytest.approx((w[0] * first + w[1] * second) / 2, rel=1e-5)
    w = [math.exp(-1 / 5), math.exp(-3 / 5)]
    assert found("dtm", dtm_reading="decay") == pytest.approx((w[0] * first + w[1] * second) / 2, rel=1e-5)
    # The penalty is that of a voxel's own class, 1 at its border and 0 at its farthest voxel.
    assert found("dpt") == pytest.approx((2 * first + 2 * second) / 2, rel=1e-5)


def test_the_unet_reading_adds_the_distances_to_the_two_nearest_structures_and_the_class_weight():
    logits = torch.zeros(1, 4, 1, 1)
    distances = torch.tensor([0.0, 7.0, 2.0, 4.0]).reshape(1, 4, 1, 1)
    loss = build_loss("cross_entropy", "dtm", w0=3.0, sigma=2.0)
    frequencies = Frequencies((0.25,) * 4, (0.25,) * 4)
    found = loss(logits, torch.zeros(1, 1, 1), frequencies, distances)
    assert float(found) == pytest.approx((1 + 3 * math.exp(-36 / 8)) * math.log(4), rel=1e-5)


def test_the_distance_penalty_falls_from_the_border_to_the_farthest_voxel_and_is_zero_for_absent_classes():
    labels = np.array([[0, 0, 0, 0, 1, 1]])
    penalty = distance_penalty(torch.from_numpy(distance_maps(labels, 3))[None])[0]
    assert penalty[1].tolist()[0] == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 2 / 3], abs=1e-6)
    assert not penalty[2].any()


def test_plain_losses_are_those_of_the_libraries():
    logits, labels = logits_like(LABELS), torch.from_numpy(LABELS)
    expected = torch.nn.functional.cross_entropy(logits, labels)
    assert float(value("cross_entropy", "none", logits)) == pytest.approx(float(expected), rel=1e-5)
    for background in (True, False):
        for batch in (True, False):
            theirs = DiceLoss(include_background=background, to_onehot_y=True, softmax=True, batch=batch)
            ours = value("dice", "none", logits, background=background, per_image=not batch)
            assert float(ours) == pytest.approx(float(theirs(logits, labels[:, None])), rel=1e-4)


def test_focal_cross_entropy_is_monais_focal_loss():
    logits, labels = logits_like(LABELS), torch.from_numpy(LABELS)
    theirs = FocalLoss(to_onehot_y=True, gamma=2.0, use_softmax=True, reduction="none")(logits, labels[:, None])
    assert float(value("cross_entropy", "focal", logits)) == pytest.approx(float(theirs.sum(1).mean()), rel=1e-4)


def test_inverse_dice_is_monais_generalised_dice_when_frequencies_are_the_images_own():
    labels = torch.from_numpy(LABELS[:1])
    logits = logits_like(LABELS[:1])
    theirs = GeneralizedDiceLoss(to_onehot_y=True, softmax=True, w_type="simple", smooth_nr=1e-5, smooth_dr=1e-5)
    ours = build_loss("dice", "inverse")(logits, labels)
    assert float(ours) == pytest.approx(float(theirs(logits, labels[:, None])), rel=1e-3)


@every_reading
def test_unlabelled_voxels_change_nothing(name, weighting, constants):
    logits = logits_like(LABELS)
    known = torch.ones(2, *SHAPE, dtype=torch.bool)
    known[:, 5:] = False
    wild, wrong = logits.clone(), LABELS.copy()
    wild[:, :, 5:] += 30 * torch.randn(2, CLASSES, SHAPE[0] - 5, SHAPE[1])
    wrong[:, 5:] = 255
    wild.requires_grad_()
    before, after = (value(name, weighting, x, known, y, **constants) for x, y in ((logits, LABELS), (wild, wrong)))
    assert before.item() == pytest.approx(after.item(), rel=1e-5)
    after.backward()
    assert not wild.grad[:, :, 5:].any() and wild.grad[:, :, :5].any()
    assert float(before) != pytest.approx(float(value(name, weighting, logits, **constants)), rel=1e-4)


def test_the_ignored_part_is_as_if_it_were_cut_off():
    logits = logits_like(LABELS)
    known = torch.ones(2, *SHAPE)
    known[:, 7:] = 0
    for name in ("cross_entropy", "dice"):
        cut = build_loss(name, "none")(logits[:, :, :7], torch.from_numpy(LABELS[:, :7]))
        assert float(value(name, "none", logits, known)) == pytest.approx(float(cut), rel=1e-5)


@every_reading
def test_a_batch_without_labels_costs_nothing(name, weighting, constants):
    logits = logits_like(LABELS).requires_grad_()
    loss = build_loss(name, weighting, **constants)
    found = loss(logits, torch.from_numpy(LABELS), None, DISTANCES, torch.zeros(2, *SHAPE))
    found.backward()
    assert found.item() == pytest.approx(0, abs=1e-6) and not logits.grad.any()


@every_reading
def test_one_slice_costs_the_same_in_two_and_three_dimensions(name, weighting, constants):
    logits = logits_like(LABELS)
    deep = torch.from_numpy(np.stack([distance_maps(one[None], CLASSES) for one in LABELS]))
    torch.testing.assert_close(deep[:, :, 0], DISTANCES)
    loss = build_loss(name, weighting, **constants)
    flat = loss(logits, torch.from_numpy(LABELS), FREQUENCIES, DISTANCES)
    solid = loss(logits[:, :, None], torch.from_numpy(LABELS)[:, None], FREQUENCIES, deep)
    assert float(flat) == pytest.approx(float(solid), rel=1e-5)


@every_reading
def test_one_logit_is_two_of_which_one_is_zero(name, weighting, constants):
    labels = (LABELS > 0).astype(np.int64)
    distances = torch.from_numpy(np.stack([distance_maps(one, 2) for one in labels]))
    one = logits_like(labels, 1)
    loss = build_loss(name, weighting, **constants)
    both = torch.cat([torch.zeros_like(one), one], 1)
    expected = loss(both, torch.from_numpy(labels), None, distances)
    assert float(loss(one, torch.from_numpy(labels), None, distances)) == pytest.approx(float(expected))


@every_loss
@pytest.mark.parametrize("scale", [0.0, 1.0, 60.0, 1e4])
def test_gradients_stay_finite_even_for_a_network_that_is_sure(name, weighting, scale):
    for sign in (1, -1):
        target = torch.nn.functional.one_hot(torch.from_numpy(LABELS), CLASSES).movedim(-1, 1).float()
        logits = (sign * scale * target).requires_grad_()
        found = value(name, weighting, logits)
        found.backward()
        assert found.isfinite() and logits.grad.isfinite().all()


@every_loss
def test_a_right_answer_costs_less_than_a_wrong_one(name, weighting):
    target = torch.nn.functional.one_hot(torch.from_numpy(LABELS), CLASSES).movedim(-1, 1).float()
    right, unsure, wrong = (float(value(name, weighting, s * target)) for s in (12.0, 0.0, -12.0))
    assert right < 0.02 and right < unsure < wrong


@every_loss
def test_bfloat16_logits_give_the_loss_in_float32(name, weighting):
    logits = logits_like(LABELS)
    found = value(name, weighting, logits.bfloat16())
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(value(name, weighting, logits)), rel=0.02)


def trained_probability(**constants):
    """Median p of a rare structure after training one number per voxel."""
    torch.manual_seed(0)
    labels = torch.zeros(1, 20, 20, dtype=torch.long)
    labels[:, :3, :4] = 1
    logits = torch.randn(1, 1, 20, 20, requires_grad=True)
    optimiser, loss = torch.optim.Adam([logits], 0.1), build_loss("dice", "focal", **constants)
    for _ in range(300):
        optimiser.zero_grad()
        loss(logits, labels).backward()
        optimiser.step()
    return float(torch.sigmoid(logits.detach())[:, 0][labels == 1].median())


def test_focal_dice_finds_a_rare_structure_and_its_literal_reading_stops_below_one_half():
    assert trained_probability() > 0.9
    literal = trained_probability(focal_reading="probability")
    assert literal == pytest.approx(1 / 3, abs=0.06)


@pytest.mark.parametrize(
    "arguments, constants, words",
    [
        (("hinge", "none"), {}, "cross_entropy, dice"),
        (("dice", "heavy"), {}, "none, inverse, median, focal, dtm, dpt"),
        (("dice", "dtm"), {"dtm_reading": "other"}, "unet, decay"),
        (("dice", "focal"), {"gamma": -1.0}, "at least 0"),
        (("dice", "focal"), {"smooth": 0.0}, "above 0"),
        (("dice", "focal"), {"power": 2.0}, "do not fit"),
    ],
)
def test_impossible_losses_are_refused(arguments, constants, words):
    with pytest.raises(InvalidInputError, match=words):
        build_loss(*arguments, **constants)


def test_shapes_that_do_not_fit_and_missing_distances_are_refused():
    logits = logits_like(LABELS)
    with pytest.raises(InvalidInputError, match="labels and mask"):
        build_loss("dice", "none")(logits, torch.from_numpy(LABELS)[:, None])
    with pytest.raises(InvalidInputError, match="needs distances .* got none"):
        build_loss("dice", "dpt")(logits, torch.from_numpy(LABELS))
