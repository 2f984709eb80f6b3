"""Propagation of painted slices, on small shapes in noise."""

import numpy as np
import pytest

from manabi.brain.between import interpolate_shape
from manabi.brain.propagate import PaintedSlice, PropagateSettings, propagate
from manabi.context import Context
from manabi.errors import CancelledError
from manabi.volume import Volume

QUICK = PropagateSettings(steps=20, members=2, batch=4)
ROUGH = PropagateSettings(steps=2, members=2, batch=2)
SLICES = [2, 8, 14, 20]


def wandering(n: int = 23, size: int = 32) -> np.ndarray:
    """A disc whose place swings to and fro between every two painted slices: its shape cannot be interpolated."""
    k, y, x = np.indices((n, size, size))
    centre = 16 + 5 * np.sin((k - 2) * np.pi / 6 + 0.9)
    return ((y - 16) ** 2 + (x - centre) ** 2 <= 36).astype(np.uint8)


def volume(array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Volume:
    return Volume(array, np.diag([*spacing, 1.0]))


def seen(labels: np.ndarray, seed: int = 0, noise: float = 8.0) -> Volume:
    """An image of a label map: label times 60, in noise."""
    return volume((100 + 60.0 * labels + np.random.default_rng(seed).normal(0, noise, labels.shape)).astype(np.float32))


def only(labels: np.ndarray, slices: list[int], axis: int = 0) -> Volume:
    out = np.zeros_like(labels)
    np.moveaxis(out, axis, 0)[slices] = np.moveaxis(labels, axis, 0)[slices]
    return volume(out)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.logical_and(one, other).sum() / (one.sum() + other.sum())


def context(**changes: object) -> Context:
    return Context(device="cpu", **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def swung():
    truth = wandering()
    return truth, propagate(seen(truth), only(truth, SLICES), QUICK, context())


def test_the_image_tells_what_shapes_alone_cannot(swung):
    truth, found = swung
    between = [i for i in range(2, 21) if i not in SLICES]
    alone = interpolate_shape(only(truth, SLICES).array, SLICES, (1.0, 1.0, 1.0))
    assert dice(alone[between] > 0, truth[between] > 0) < 0.8
    assert dice(found.labels.array[between] > 0, truth[between] > 0) > 0.85


def test_painted_slices_come_back_as_they_were_and_are_certain(swung):
    truth, found = swung
    assert np.array_equal(found.labels.array[SLICES], truth[SLICES])
    assert found.labels.array.dtype == truth.dtype
    assert (found.uncertainty.array[SLICES] == 0).all()


def test_the_painted_slices_and_their_axis_are_reported(swung):
    assert swung[1].painted_slices == tuple(PaintedSlice(0, i) for i in SLICES)
    assert swung[1].axis == 0


def test_every_painted_slice_is_scored_without_itself(swung):
    truth, found = swung
    assert [(s.axis, s.index, s.label) for s in found.scores] == [(0, i, 1) for i in SLICES]
    assert all(s.distance_mm == pytest.approx(6.0) for s in found.scores[1:-1])
    assert all(0 <= s.dice <= 1 for s in found.scores)


def test_uncertainty_lies_where_the_errors_are(swung):
    truth, found = swung
    wrong = (found.labels.array != truth)[2:21]
    unsure = found.uncertainty.array[2:21]
    assert unsure.dtype == np.float32
    assert unsure.min() >= 0
    assert unsure.max() <= 1
    assert unsure[wrong].mean() > 5 * unsure[~wrong].mean()


def test_a_flipped_and_permuted_copy_gives_the_same_labels():
    truth = wandering()
    image, painted = seen(truth), only(truth, SLICES)
    found = propagate(image, painted, ROUGH, context())
    axes, signs = (2, 0, 1), (-1, 1, -1)
    turned = propagate(image.reoriented(axes, signs), painted.reoriented(axes, signs), ROUGH, context())
    assert np.array_equal(turned.labels.reoriented().array, found.labels.reoriented().array)
    assert np.array_equal(turned.uncertainty.reoriented().array, found.uncertainty.reoriented().array)
    back = painted.reoriented(axes, signs).array
    for one in turned.painted_slices:
        assert back.take(one.number, one.axis).any()
        assert one.axis == turned.axis


def test_the_seed_decides_everything_and_leaves_torchs_own_generator_alone():
    import torch

    truth = wandering()
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    found, again, other = (
        propagate(seen(truth), only(truth, SLICES), ROUGH, context(seed=seed)) for seed in (0, 0, 1)
    )  # fmt: skip
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(again.uncertainty.array, found.uncertainty.array)
    assert not np.array_equal(other.uncertainty.array, found.uncertainty.array)


def test_other_labels_and_protected_voxels_stay_as_they_are():
    truth = wandering()
    array = only(truth, SLICES).array.copy()
    array[:, 4:10, 4:10] = 5
    array[5:7, 14:18, 18:22] = 5
    wall = np.zeros_like(array)
    wall[:, 18:, :] = 1
    found = propagate(
        seen(truth), volume(array), ROUGH, context(), labels=[1], slices=[PaintedSlice(0, i) for i in SLICES],
        protected=volume(wall),
    )  # fmt: skip
    assert np.array_equal(found.labels.array == 5, array == 5)
    unpainted = [i for i in range(23) if i not in SLICES]
    assert not (found.labels.array[unpainted, 18:] == 1).any()
    assert (found.labels.array[5, :18] == 1).any()


def test_several_labels_are_propagated_at_once():
    truth = wandering()
    truth[:, :, :16] *= 3
    found = propagate(seen(truth // 2 + truth % 2), only(truth, SLICES), QUICK, context())
    for label in (1, 3):
        assert dice(found.labels.array[2:21] == label, truth[2:21] == label) > 0.75
    assert {s.label for s in found.scores} == {1, 3}


def test_cleansing_rebuilds_a_painted_slice_that_does_not_fit():
    k, y, x = np.indices((13, 32, 32))
    truth = ((y - 16) ** 2 + (x - 16) ** 2 <= 49).astype(np.uint8)
    painted = truth.copy()
    painted[6] = (((y - 16) ** 2 + (x - 22) ** 2 <= 49).astype(np.uint8))[6]
    settings = PropagateSettings(steps=15, members=2, batch=4, mode="cleanse", axis=0)
    found = propagate(seen(truth), volume(painted), settings, context())
    assert dice(painted[6], truth[6]) < 0.6
    assert dice(found.labels.array[6], truth[6]) > 0.9


def test_three_corrected_slices_mend_the_rest_of_an_automatic_result():
    truth = wandering()
    start = np.zeros_like(truth)
    start[:, :, :-3] = truth[:, :, 3:]
    corrected = [5, 11, 17]
    painted = start.copy()
    painted[corrected] = truth[corrected]
    found = propagate(
        seen(truth), volume(painted), QUICK, context(), slices=[PaintedSlice(0, i) for i in corrected],
        start=volume(start),
    )  # fmt: skip
    rest = [i for i in range(23) if i not in corrected]
    assert dice(start[rest], truth[rest]) < 0.75
    assert dice(found.labels.array[rest], truth[rest]) > 0.9


def test_thick_slices_and_large_pixels_work_in_mm():
    truth = wandering()
    image = volume(seen(truth).array, (0.8, 0.8, 3.0))
    painted = volume(only(truth, SLICES).array, (0.8, 0.8, 3.0))
    coarse = PropagateSettings(steps=20, members=2, batch=4, max_pixels=500)
    found = propagate(image, painted, coarse, context())
    assert found.labels.grid.same_as(image.grid)
    assert found.scores[1].distance_mm == pytest.approx(18.0)
    assert dice(found.labels.array[2:21], truth[2:21]) > 0.85


@pytest.mark.parametrize("changes", [{"learner": "3d"}, {"prior": False}])
def test_the_baselines_of_the_experiments_run(changes):
    truth = wandering()
    settings = PropagateSettings(steps=8, members=2, batch=2, **changes)
    found = propagate(seen(truth), only(truth, SLICES), settings, context())
    assert dice(found.labels.array[2:21], truth[2:21]) > 0.7


def test_one_slice_works_with_a_warning():
    truth = wandering()
    found = propagate(seen(truth), only(truth, [8]), QUICK, context())
    assert any("Only one slice" in text for text in found.warnings)
    assert found.scores == ()
    assert dice(found.labels.array[6:11], truth[6:11]) > 0.7
    assert not found.labels.array[20].any()


def test_a_cancelled_run_stops_between_steps():
    truth = wandering()
    cancelled = context()
    seen_texts = []

    def stop(fraction: float, text: str) -> None:
        seen_texts.append(text)
        if "left" in text:
            cancelled.cancel.set()

    cancelled.on_progress = stop
    with pytest.raises(CancelledError):
        propagate(seen(truth), only(truth, SLICES), QUICK, cancelled)
    assert "s left" in seen_texts[-1]


def test_a_structure_that_goes_on_beyond_the_paint_is_told():
    truth = wandering()
    found = propagate(seen(truth), only(truth, [8, 11, 14]), ROUGH, context())
    assert any("still goes on" in text for text in found.warnings)


def test_slices_along_two_axes_are_used_together():
    truth = wandering()
    painted = only(truth, [5, 17]).array | only(truth, [16], 2).array
    found = propagate(seen(truth), volume(painted), ROUGH, context())
    assert found.painted_slices == (PaintedSlice(0, 5), PaintedSlice(0, 17), PaintedSlice(2, 16))
    assert found.axis == 0
    assert np.array_equal(found.labels.array[:, :, 16], truth[:, :, 16])
    assert np.array_equal(found.labels.array[[5, 17]], truth[[5, 17]])
    assert {s.axis for s in found.scores} == {0, 2}
