"""From the networks' probabilities to labels on the input's grid: every voxel where it belongs."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from manabi.brain.prepare import prepare
from manabi.brain.refine import Refinement
from manabi.brain.segment import SURE, Features, Found, Settings, combined, distance, find
from manabi.brain.structures import BRAIN, CLASSES, LABELS, STRUCTURES
from manabi.context import Context
from manabi.geometry import Grid
from manabi.networks import build
from manabi.structures.found import on_grid, tidy
from manabi.volume import Volume

N = len(STRUCTURES) + 1
VALUES = {label.name: label.value for label in LABELS}
SHAPE = (18, 20, 22)


def work_grid(shape=SHAPE, corner=(-11.0, -6.0, 4.0), mm=1.0) -> Grid:
    matrix = np.diag([mm, mm, mm, 1.0])
    matrix[:3, 3] = corner
    return Grid(shape, matrix)


def found_of(classes: np.ndarray, grid: Grid | None = None, sure=0.9, right=None) -> Found:
    """Probabilities of a map of classes; by default the upper half of the columns is right."""
    rest = (1 - sure) / (N - 1)
    probabilities = np.stack([np.where(classes == c, sure, rest) for c in range(N)]).astype(np.float32)
    if right is None:
        right = np.broadcast_to(np.arange(classes.shape[2]) >= classes.shape[2] // 2, classes.shape)
    return Found(grid or work_grid(classes.shape), probabilities, np.asarray(right, np.float32))


def brain() -> np.ndarray:
    classes = np.zeros(SHAPE, np.uint8)
    classes[8:16, 3:17, 4:18] = CLASSES["cerebrum"]
    classes[10:13, 7:11, 9:13] = CLASSES["ventricles"]
    classes[2:8, 3:8, 5:17] = CLASSES["cerebellum"]
    classes[2:8, 9:12, 9:13] = CLASSES["brainstem"]
    return classes


def placed(found: Found, grid: Grid, wanted=STRUCTURES):
    return on_grid(found, BRAIN, grid, wanted, Context(device="cpu"))


# --- on the input's grid ----------------------------------------------------------------------------------------------


def test_on_the_same_grid_labels_and_confidence_are_exact():
    classes = brain()
    labels, confidence = placed(found_of(classes, sure=0.8), work_grid())
    right = np.arange(SHAPE[2]) >= SHAPE[2] // 2
    expected = np.select(
        [classes == CLASSES[s] for s in STRUCTURES],
        [np.where(right, 2, 1) + 0 * classes, np.where(right, 4, 3) + 0 * classes, 5 + 0 * classes, 6 + 0 * classes,
         7 + 0 * classes],
        0,
    )  # fmt: skip
    np.testing.assert_array_equal(labels.array, expected)
    np.testing.assert_allclose(confidence.array, 0.8, atol=1e-6)
    assert labels.array.dtype == np.uint8
    assert confidence.array.dtype == np.float32


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_a_box_comes_back_exactly_in_every_orientation(axes):
    classes = brain()
    whole = Volume(np.pad(classes, 5), work_grid().shifted(np.full(3, -5.0), tuple(n + 10 for n in SHAPE)).ijk_to_ras)
    expected, _ = placed(found_of(classes), whole.grid)
    for signs in product((1, -1), repeat=3):
        turned = whole.reoriented(axes, signs)
        labels, confidence = placed(found_of(classes), turned.grid)
        assert labels.grid.same_as(turned.grid)
        np.testing.assert_array_equal(labels.array > 0, turned.array > 0)
        np.testing.assert_array_equal(labels.array, expected.reoriented(axes, signs).array)
        assert confidence.array[labels.array > 0] == pytest.approx(0.9, abs=1e-5)


@pytest.mark.parametrize("left_handed", [False, True])
def test_an_oblique_grid_gets_what_lies_at_its_voxels(left_handed):
    axes = Rotation.from_euler("xyz", (20, -15, 35), degrees=True).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = axes @ np.diag([-0.8 if left_handed else 0.8, 0.9, 1.7])
    middle = work_grid().ras_of((np.array(SHAPE[::-1]) - 1) / 2)
    shape = (18, 34, 38)
    matrix[:3, 3] = middle - matrix[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    grid = Grid(shape, matrix)
    classes = brain()
    labels, _ = placed(found_of(classes, sure=1.0), grid)
    k, j, i = np.indices(shape)
    ijk = work_grid().ijk_of(grid.ras_of(np.stack([i, j, k], -1)))
    nearest = np.round(ijk).astype(int)
    inside = ((nearest >= 0) & (nearest < SHAPE[::-1])).all(-1)
    x, y, z = np.clip(nearest, 0, np.array(SHAPE[::-1]) - 1).transpose(3, 0, 1, 2)
    expected = np.where(inside, classes[z, y, x], 0)
    table = np.zeros(8, int)
    table[[label.value for label in LABELS]] = [CLASSES[label.structure] for label in LABELS]
    wrong = table[labels.array] != expected
    near_an_edge = np.abs(ijk - np.round(ijk)).max(-1) > 0.1
    assert not (wrong & ~near_an_edge).any(), "where a voxel lies on a working voxel, it has its label"
    assert wrong.mean() < 0.06
    assert labels.array.any()


def test_what_lies_outside_is_background_and_sure():
    grid = work_grid((40, 40, 40), (-25.0, -20.0, -10.0))
    labels, confidence = placed(found_of(np.full(SHAPE, CLASSES["cerebrum"], np.uint8)), grid)
    assert (labels.array > 0).sum() == np.prod(SHAPE)
    assert (confidence.array[labels.array == 0] == 1.0).all()


def test_the_right_side_is_right_in_the_patient():
    labels, _ = placed(found_of(brain()), work_grid())
    k, j, i = np.nonzero(labels.array == VALUES["right cerebrum"])
    x_right = work_grid().ras_of(np.stack([i, j, k], -1))[:, 0].mean()
    k, j, i = np.nonzero(labels.array == VALUES["left cerebrum"])
    assert work_grid().ras_of(np.stack([i, j, k], -1))[:, 0].mean() < x_right


def test_structures_that_were_not_wanted_become_background_and_nothing_else():
    classes = brain()
    found = found_of(classes)
    found.probabilities[CLASSES["cerebrum"]][classes == CLASSES["cerebellum"]] += 0.05
    labels, _ = placed(found, work_grid(), ("cerebrum", "brainstem"))
    assert set(np.unique(labels.array)) == {0, 1, 2, 5}
    assert not labels.array[classes == CLASSES["cerebellum"]].any(), "not the second best either"
    np.testing.assert_array_equal(np.isin(labels.array, (1, 2)), classes == CLASSES["cerebrum"])


# --- stray pieces -----------------------------------------------------------------------------------------------------


def test_a_stray_piece_goes_and_the_structure_stays():
    classes = brain()
    classes[0:2, 14:18, 18:21] = CLASSES["cerebrum"]
    found = found_of(classes)
    notes = tidy(found, BRAIN, Context())
    again = found.probabilities.argmax(0)
    np.testing.assert_array_equal(again == CLASSES["cerebrum"], brain() == CLASSES["cerebrum"])
    assert notes == [], "a small one is not worth a word"


def test_losing_much_is_said():
    classes = np.zeros(SHAPE, np.uint8)
    classes[2:12, 2:12, 2:12] = CLASSES["cerebellum"]
    classes[14:18, 15:19, 15:20] = CLASSES["cerebellum"]
    found = found_of(classes)
    assert tidy(found, BRAIN, Context()) == ["Pieces of the cerebellum that lay apart were dropped (7 % of it)."]


def test_pieces_of_vessels_stay_unless_they_are_specks():
    classes = np.zeros(SHAPE, np.uint8)
    for n, length in enumerate((15, 8, 7)):
        classes[2, 2 + 4 * n, 2 : 2 + length] = CLASSES["vessels"]
    found = found_of(classes)
    assert tidy(found, BRAIN, Context()) == []
    kept = found.probabilities.argmax(0) == CLASSES["vessels"]
    assert [int(kept[2, 2 + 4 * n].sum()) for n in range(3)] == [15, 8, 0]


def test_what_is_in_one_piece_is_left_alone():
    found = found_of(brain())
    before = found.probabilities.copy()
    tidy(found, BRAIN, Context())
    np.testing.assert_array_equal(found.probabilities, before)


# --- two contrasts ----------------------------------------------------------------------------------------------------


def test_two_contrasts_share_the_answer_and_vessels_take_the_larger():
    first, second = found_of(brain(), sure=0.9), found_of(brain(), sure=0.5)
    vessel = (4, 15, 15)
    second.probabilities[:, *vessel] = 0.02
    second.probabilities[CLASSES["vessels"], *vessel] = 0.9
    both = combined(first, second)
    np.testing.assert_allclose(both.probabilities.sum(0), 1.0, atol=1e-5)
    assert both.probabilities[:, *vessel].argmax() == CLASSES["vessels"]
    assert both.probabilities[CLASSES["cerebrum"], 9, 4, 5] == pytest.approx(0.7 / 1.04, abs=0.001)
    assert both.grid is first.grid


def test_where_the_second_contrast_does_not_reach_the_first_counts_alone():
    first = found_of(brain())
    cut = brain()[:9]
    second = found_of(cut, work_grid(cut.shape), sure=0.4)
    both = combined(first, second)
    np.testing.assert_allclose(both.probabilities[:, 11:], first.probabilities[:, 11:], atol=1e-6)
    assert both.probabilities[CLASSES["cerebellum"], 4, 4, 8] == pytest.approx(0.65 / 1.05, abs=0.001)
    assert first.right is both.right


# --- the networks -----------------------------------------------------------------------------------------------------


def small_network():
    torch.manual_seed(5)
    net = build("coarse_to_fine", classes=N, coarse={"filters": [4, 8]}, fine={"filters": [4, 8]}).eval()
    torch.nn.init.normal_(net.coarse.head.weight, std=3.0)
    torch.nn.init.normal_(net.fine.head.weight, std=1.0)
    return net


@pytest.fixture(scope="module")
def prepared():
    rng = np.random.default_rng(2)
    array = np.kron(rng.uniform(50, 200, (6, 7, 6)), np.ones((5, 5, 5)))[:27, :31, :29].astype(np.float32)
    return prepare(Volume(array, np.diag([1.0, 1.0, 1.0, 1.0])))


def test_both_stages_answer_as_the_network_does(prepared):
    net, context = small_network(), Context(device="cpu", precision="float32")
    image = torch.from_numpy(prepared.image.copy())[None, None]
    with torch.no_grad():
        logits, side = net.look(image)
        coarse = net.enlarged(logits, prepared.image.shape)[0].numpy()
        whole = net(image).softmax(1)[0].numpy()
    first = find(prepared, net, Settings(), False, context)
    np.testing.assert_allclose(first.probabilities, coarse, atol=2e-3)
    assert first.disagreement == 0.0
    assert (first.right[::2, ::2, ::2][:8, :8, :8] > 0.5).mean() == pytest.approx(
        float((side[0, 0, :8, :8, :8] > 0).float().mean()), abs=0.15
    )
    both = find(prepared, net, Settings(refinement=Refinement(weight=0.0)), True, context)
    worth = coarse[0] < 0.96
    inner = np.zeros_like(worth)
    inner[6:-6, 6:-6, 6:-6] = True
    np.testing.assert_allclose(both.probabilities[:, worth & inner], whole[:, worth & inner], atol=5e-3)
    np.testing.assert_array_equal(both.probabilities[:, ~worth], first.probabilities[:, ~worth])
    sure = first.probabilities[1:].max(0) > SURE
    changed = (both.probabilities.argmax(0) != first.probabilities.argmax(0))[sure]
    assert both.disagreement == pytest.approx(changed.mean() if sure.any() else 0.0)


def test_a_higher_temperature_is_less_sure(prepared):
    net, context = small_network(), Context(device="cpu", precision="float32")
    sure, unsure = (find(prepared, net, Settings(t), False, context).probabilities.max(0) for t in (1.0, 4.0))
    assert unsure.mean() < sure.mean() - 0.05


def test_strangeness_is_zero_at_home_and_grows(prepared):
    net, context = small_network(), Context(device="cpu", precision="float32")
    assert find(prepared, net, Settings(), False, context).strangeness is None
    with Features(net) as seen, torch.no_grad():
        net.look(torch.from_numpy(prepared.image.copy())[None, None])
    home = tuple(float(v) for v in seen.mean)
    spread = (0.5,) * len(home)
    at_home = find(prepared, net, Settings(features_mean=home, features_sd=spread), False, context).strangeness
    assert at_home == pytest.approx(0.0, abs=0.05)
    away = tuple(v + 2.0 for v in home)
    assert find(prepared, net, Settings(features_mean=away, features_sd=spread), False, context).strangeness \
        == pytest.approx(4.0, abs=0.1)  # fmt: skip
    assert distance(np.array([1.0, 3.0]), np.array([0.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(np.sqrt(5))


def test_settings_come_from_the_bundle():
    facts = {"temperature": 1.3, "features": {"mean": [1.0, 2.0], "sd": [0.1, 0.2], "strangest": 2.5}}
    settings = Settings.of(facts, ("float32", "bfloat16"))
    assert settings == Settings(1.3, ("float32", "bfloat16"), (1.0, 2.0), (0.1, 0.2), 2.5)
    assert Settings.of({}, ("float32",)) == Settings()
