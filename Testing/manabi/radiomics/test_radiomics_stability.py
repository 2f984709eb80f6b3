"""From images to repeatability: perturbed, measured, compared."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.radiomics.perturb import PerturbationPlan
from manabi.radiomics.stability import StabilityCase, icc, repeat_features, stability
from manabi.volume import Volume

PLAN = PerturbationPlan("NTV", repeats=3)


def cases(count=8, seed=0):
    """Tumours of different size and brightness in correlated tissue."""
    rng = np.random.default_rng(seed)
    matrix = np.diag([-1.0, -1.0, 2.5, 1.0])
    grid = np.indices((10, 20, 20)) * np.array([2.5, 1, 1])[:, None, None, None]
    for index in range(count):
        radius, bright = rng.uniform(5, 8), rng.uniform(20, 80)
        mask = np.sqrt(((grid - np.array([11.0, 9.5, 9.8])[:, None, None, None]) ** 2).sum(0)) < radius
        tissue = 4 * ndimage.gaussian_filter(rng.normal(size=mask.shape), 1.0) / 0.2
        yield StabilityCase(f"patient {index}", Volume(tissue + bright * mask, matrix),
                            Volume(mask.astype(np.uint8), matrix))  # fmt: skip


def measure(volume, mask):
    inside = volume.array[mask.array > 0]
    rng = np.random.default_rng(int(abs(inside.sum() * 1e6)) % 2**32)
    return {"mean": inside.mean(), "volume": float(mask.array.sum()), "chance": rng.normal(), "one": 1.0}


@pytest.fixture(scope="module")
def three():
    """Three patients by three repeats by four features."""
    return repeat_features(cases(3), plan=PLAN, features=measure)


def test_steady_features_are_told_from_chance():
    table = stability(cases(), plan=PLAN, features=measure)
    found = dict(zip(table.names, table.classes, strict=True))
    assert found["mean"] in ("good", "excellent")
    assert found["chance"] == "poor"
    assert found["one"] == "undefined"
    assert table.n_repeats == 3
    assert table.description["plan"]["chain"] == "NTV"
    assert table.icc.n_patients.tolist() == [8] * 4


def test_training_rows_alone_give_their_own_icc():
    values = np.random.default_rng(0).normal(size=(9, 1, 2)) + np.random.default_rng(1).normal(size=(9, 3, 2))
    train = icc(values[:6])
    values[6:] = 1e6
    assert np.array_equal(train.value, icc(values[:6]).value)
    assert train.n_patients.tolist() == [6, 6]


def test_the_array_is_repeatable_and_does_not_depend_on_the_order_of_patients(three):
    forward = three
    backward = repeat_features(reversed(list(cases(3))), plan=PLAN, features=measure)
    assert forward.values.shape == (3, 3, 4)
    assert np.array_equal(backward.aligned(forward.patients, forward.names), forward.values)
    other = repeat_features(cases(3), plan=PLAN, context=Context(seed=1), features=measure)
    assert not np.array_equal(other.values, forward.values)


def test_noise_differs_between_patients_of_one_image():
    first = next(cases(1))
    twins = [StabilityCase(name, first.volume, first.mask) for name in ("a", "b")]
    found = repeat_features(twins, plan=PerturbationPlan("N", repeats=2), features=measure)
    assert (found.values[0, :, 0] != found.values[1, :, 0]).all()


def test_the_array_in_a_cohort_s_order_has_gaps_for_what_is_not_there(three):
    found = three
    array = found.aligned(("patient 2", "nobody", "patient 0"), ("volume", "unknown"))
    assert array.shape == (3, 3, 2)
    assert np.array_equal(array[0, :, 0], found.values[2, :, 1])
    assert np.isnan(array[1]).all() and np.isnan(array[:, :, 1]).all()
    assert np.isnan(found.aligned((), ("volume",))).all()


def test_what_fails_is_left_out_and_said():
    def sometimes(volume, mask):
        if mask.array.sum() % 2:
            raise InvalidInputError("too odd")
        return {"mean": volume.array.mean(), "gap": np.inf}

    context = Context()
    found = repeat_features(cases(5), plan=PLAN, context=context, features=sometimes)
    assert np.isnan(found.values[:, :, 1]).all()
    assert 0 < np.isnan(found.values[:, :, 0]).sum() < 15
    assert "too odd" in context.warnings[0] and found.warnings == ("too odd",)


def test_progress_is_reported_and_a_run_can_be_cancelled():
    seen = []
    context = Context(on_progress=lambda fraction, text: seen.append(fraction))
    repeat_features(list(cases(3)), plan=PLAN, context=context, features=measure)
    assert seen == pytest.approx([0, 1 / 3, 2 / 3])
    context.cancel.set()
    with pytest.raises(CancelledError):
        repeat_features(cases(2), plan=PLAN, context=context, features=measure)


def test_impossible_requests_are_explained():
    with pytest.raises(InvalidInputError, match="no cases"):
        repeat_features([], plan=PLAN, features=measure)
    twice = next(cases(1))
    with pytest.raises(InvalidInputError, match="same name"):
        repeat_features([twice, twice], plan=PLAN, features=measure)
    empty = StabilityCase("x", twice.volume, twice.mask, label=5)
    with pytest.raises(InvalidInputError, match="no voxel of label 5"):
        repeat_features([empty], plan=PLAN, features=measure)


def test_the_package_s_own_extraction_is_the_default():
    settings = pytest.importorskip("manabi.radiomics.settings").ExtractionSettings(families=("firstorder",))
    table = stability(cases(3), settings, PerturbationPlan("NT", repeats=2))
    assert "original_firstorder_Mean" in table.names
    assert table.icc.value[table.names.index("original_firstorder_Mean")] > 0.9
    assert table.description["settings"] == settings.to_dict()
