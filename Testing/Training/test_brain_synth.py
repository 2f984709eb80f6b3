"""Images made from heads: truth apart from contrast, what vessels, mirrors, ventricles and parts do, repeatability."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_heads import head, middle

from manabi.brain.structures import CLASSES, classes_of_freesurfer, sides_of_freesurfer
from Training.brain_heads import TOP, Head, compact
from Training.brain_synth import Looks, make_example, tables

PLAIN = Looks(
    bias=0.0, noise=0.0, texture=0.0, stripped=0.0, cut=0.0, lesions=0.0, wide=0.0, vessels=0.0, mirror=False
)  # fmt: skip
VESSEL = CLASSES["vessels"]


def made_head(share=None):
    small = compact(head())
    return Head(small.index, share, small.codes)


def artery():
    """A tube through fluid, cerebrum and brainstem, half filled at its border."""
    share = np.zeros(head().shape, np.uint8)
    share[:, 24:28, 20:24] = 100
    share[:, 25:27, 21:23] = TOP
    return share


def rng(*seed):
    return np.random.default_rng(seed or 0)


@pytest.fixture
def unscanned(monkeypatch):
    """Images as the tissues are, before a scanner."""
    monkeypatch.setattr("Training.brain_synth._scanned", lambda image, *_: image)


# --- truth ------------------------------------------------------------------------------------------------------------


def test_the_truth_does_not_depend_on_the_contrast():
    subject, labels = made_head(), np.asarray(head().array)
    examples = [make_example(subject, rng(seed), PLAIN) for seed in range(6)]
    for example in examples:
        assert np.array_equal(example.classes, classes_of_freesurfer(labels))
        assert np.array_equal(example.sides, (np.array([0.0, -1.0, 1.0]))[sides_of_freesurfer(labels) + 1])
    white, cortex = (torch.from_numpy(np.isin(labels, codes)) for codes in ((2, 41), (3, 42)))
    brighter = [bool(e.image[white].mean() > e.image[cortex].mean()) for e in examples]
    assert len(set(brighter)) == 2, "white matter is brighter than cortex in all images, or in none"


@pytest.mark.usefixtures("unscanned")
def test_both_sides_of_a_tissue_look_the_same():
    labels, example = np.asarray(head().array), make_example(made_head(), rng(1), PLAIN)
    for left, right in ((2, 41), (3, 42), (4, 43), (8, 47)):
        a, b = example.image[torch.from_numpy(labels == left)], example.image[torch.from_numpy(labels == right)]
        assert float(torch.cat([a, b]).max()) == float(torch.cat([a, b]).min())


def test_images_lie_between_their_limits_and_follow_from_the_generator():
    looks, subject = Looks(), made_head(artery())
    for seed in range(8):
        first, again = (make_example(subject, rng(seed), looks) for _ in range(2))
        assert torch.equal(first.image, again.image) and torch.equal(first.classes, again.classes)
        assert first.image.dtype == torch.float32 and torch.isfinite(first.image).all()
        assert float(first.image.min()) >= 0.0 and float(first.image.max()) <= 1.5
    assert not torch.equal(first.image, make_example(subject, rng(99), looks).image)


def test_mirrored_copies_exchange_the_sides():
    subject, labels = made_head(), np.asarray(head().array)
    whole = torch.from_numpy(classes_of_freesurfer(labels))
    mirrored = 0
    for seed in range(12):
        example = make_example(subject, rng(seed), replace(PLAIN, mirror=True))
        cerebrum = (example.classes == CLASSES["cerebrum"]).numpy()
        left, right = (middle(cerebrum & (example.sides.numpy() == side))[2] for side in (0, 1))
        assert left < right - 3
        if torch.equal(example.classes, whole.flip(2)):
            mirrored += 1
        else:
            assert torch.equal(example.classes, whole)
    assert not torch.equal(whole, whole.flip(2)) and 2 <= mirrored <= 10


def test_the_code_of_the_other_side_is_its_own_inverse():
    known = tables(made_head().codes)
    assert known.mirrored[known.mirrored.int()].tolist() == list(range(len(made_head().codes)))


# --- vessels ----------------------------------------------------------------------------------------------------------


def test_vessels_are_part_of_the_truth_only_where_the_image_shows_them():
    share = artery()
    subject, full = made_head(share), torch.from_numpy(share) > TOP / 2
    without = classes_of_freesurfer(np.asarray(head().array))
    for seed in range(6):
        assert np.array_equal(make_example(subject, rng(seed), PLAIN).classes, without)
    shown = [make_example(subject, rng(seed), replace(PLAIN, vessels=1.0)) for seed in range(24)]
    found = [example.classes == VESSEL for example in shown]
    assert all(bool((mask <= full).all()) for mask in found)
    everywhere = [bool(torch.equal(mask, full)) for mask in found]
    assert 0 < sum(everywhere) < 24
    background = torch.from_numpy(without) == 0
    in_fluid_only = [bool((mask <= background).all()) for mask in found]
    assert 0 < sum(in_fluid_only) < 24, "dark arteries show in fluid only, bright ones in tissue too"


@pytest.mark.usefixtures("unscanned")
def test_dark_vessels_that_are_truth_differ_from_the_fluid_around_them():
    share, labels = artery(), torch.from_numpy(np.asarray(head().array))
    core, around = (labels == 24) & (torch.from_numpy(share) == TOP), (labels == 24) & (torch.from_numpy(share) == 0)
    seen = 0
    for seed in range(30):
        drawn = make_example(made_head(share), rng(seed), replace(PLAIN, vessels=1.0))
        found, dark = drawn.classes == VESSEL, bool((drawn.classes[20:30, 25, 21] != VESSEL).any())
        if dark and bool((found & core).any()):
            seen += 1
            assert float(drawn.image[around].mean() - drawn.image[found & core].mean()) > 0.2
    assert seen > 3


# --- size -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unscanned")
@pytest.mark.parametrize("seed", range(3))
def test_at_two_millimetres_the_image_is_the_average_and_the_truth_stays(seed):
    one, two = (make_example(made_head(), rng(seed), PLAIN, step) for step in (1, 2))
    assert torch.equal(one.classes, two.classes)
    assert torch.equal(two.sides, one.sides[::2, ::2, ::2])
    mean = F.avg_pool3d(one.image[None], 2)[0]
    inner = (mean > 0.02) & (mean < 0.98) & (two.image > 0.02) & (two.image < 0.98)
    both = torch.stack([mean[inner], two.image[inner]])
    assert two.image.shape == (22, 25, 21) and inner.sum() > 500 and float(torch.corrcoef(both)[0, 1]) > 0.97


def test_a_part_lies_at_random_places_and_its_sides_are_multiples_of_the_step():
    whole = classes_of_freesurfer(np.asarray(head().array))
    places = set()
    for seed in range(6):
        example = make_example(made_head(), rng(seed), PLAIN, 2, (21, 99, 40))
        assert example.image.shape == (10, 25, 20) and example.classes.shape == (20, 50, 40)
        found = [
            low
            for low in range(25)
            if any(np.array_equal(whole[low : low + 20, :, left : left + 40], example.classes) for left in range(3))
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 2


# --- what may happen to a head ----------------------------------------------------------------------------------------


def test_widened_ventricles_take_their_room_from_the_cerebrum_of_their_side():
    labels = np.asarray(head().array)
    before = classes_of_freesurfer(labels)
    example = make_example(made_head(), rng(2), replace(PLAIN, wide=1.0))
    ventricles = CLASSES["ventricles"]
    new = (example.classes.numpy() == ventricles) & (before != ventricles)
    assert new.sum() > 100 and set(before[new]) == {CLASSES["cerebrum"]}
    assert np.array_equal(example.classes.numpy()[~new], before[~new])
    sides = np.array([0.0, -1.0, 1.0])[sides_of_freesurfer(labels) + 1]
    assert np.array_equal(example.sides, sides)


@pytest.mark.usefixtures("unscanned")
def test_a_stripped_head_is_dark_outside_and_its_truth_is_whole():
    labels = np.asarray(head().array)
    scalp, brain = torch.from_numpy(labels == 258), torch.from_numpy(classes_of_freesurfer(labels)) > 0
    left = []
    for seed in range(12):
        example = make_example(made_head(), rng(seed), replace(PLAIN, stripped=1.0))
        assert np.array_equal(example.classes, classes_of_freesurfer(labels))
        assert float(example.image[brain].max()) > 0.0
        left.append(float((example.image[scalp] > 0).float().mean()))
    assert min(left) == 0.0 and max(left) > 0.1, "skull stripping never, or always, leaves nothing of the scalp"


@pytest.mark.usefixtures("unscanned")
def test_lesions_change_the_cerebrum_alone_and_not_the_truth():
    subject = made_head()
    plain, hurt = (make_example(subject, rng(7), replace(PLAIN, lesions=share)) for share in (0.0, 1.0))
    assert torch.equal(plain.classes, hurt.classes)
    cerebrum = plain.classes == CLASSES["cerebrum"]
    assert float(hurt.image[cerebrum].std()) > 0.01
    fluid = torch.from_numpy(np.asarray(head().array) == 24)
    assert float(hurt.image[fluid].std()) == pytest.approx(0.0, abs=1e-6)


def test_a_cut_field_of_view_is_empty_at_an_end():
    cut = [make_example(made_head(), rng(seed), replace(PLAIN, cut=1.0)).image for seed in range(4)]
    ends = [[image.movedim(axis, 0)[end] for axis in range(3) for end in (0, 1, 2, 3, 4, -5)] for image in cut]
    assert all(any(float(plane.abs().max()) == 0.0 for plane in planes) for planes in ends)
