"""Options, bad input, the limits of memory, and which engine is taken when."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from texture_fixtures import random_levels

from manabi.errors import DependencyError, InvalidInputError
from manabi.radiomics.texture import FAMILIES, IBSI, TextureOptions, choose, features, mcc, names
from manabi.radiomics.texture.cells import Cells

SPACING = (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "wrong",
    [{"mode": "haralick"}, {"aggregation": "4d"}, {"mode": "pyradiomics"}, {"families": ("gldm",)},
     {"families": "glcm"}, {"distance": 0}, {"alpha": -1}, {"n_levels": 0}],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        TextureOptions(**wrong)


def test_no_families_stand_for_all_of_the_mode():
    assert TextureOptions().families == FAMILIES["ibsi"]
    assert TextureOptions("pyradiomics", "3d_avg").families == FAMILIES["pyradiomics"]


def test_the_counts_of_ibsi_features():
    assert [len(IBSI[family]) for family in FAMILIES["ibsi"]] == [25, 16, 16, 16, 5, 17]


def test_families_come_in_the_order_that_was_asked_for():
    options = TextureOptions(families=("ngtdm", "glszm"))
    found = features(random_levels((4, 6, 6), 4, 1), SPACING, options)
    assert tuple(found) == names("ibsi", ("ngtdm", "glszm"))


@pytest.mark.parametrize(
    "levels",
    [np.zeros((3, 3, 3), int), np.ones((3, 3), int), np.ones((3, 3, 3)), np.full((3, 3, 3), -1)],
    ids=["empty", "2D", "float", "negative"],
)
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(InvalidInputError):
        features(levels, SPACING, TextureOptions())


def test_a_shape_mask_of_another_shape_and_a_spacing_of_zero_are_refused():
    levels = random_levels((4, 6, 6), 4, 1)
    with pytest.raises(InvalidInputError, match="same shape"):
        features(levels, SPACING, TextureOptions(), np.ones((4, 6, 7), bool))
    with pytest.raises(InvalidInputError, match="spacing_mm"):
        features(levels, (0, 1, 1), TextureOptions())


@pytest.mark.parametrize(("highest", "factor"), [(131_070, "2 times"), (32_766, "2 times")])
def test_too_fine_bins_are_refused_with_the_width_to_choose(highest, factor):
    levels = random_levels((3, 4, 4), 3, 0)
    levels[0, 0, 0] = highest
    with pytest.raises(InvalidInputError, match=factor):
        features(levels, SPACING, TextureOptions())


def test_fine_bins_in_a_small_region_are_computed_and_agree(monkeypatch):
    levels = random_levels((6, 8, 8), 3, 1)
    levels[levels == 3] = 3000
    options = TextureOptions("pyradiomics", "3d_avg")
    fine = features(levels, SPACING, options, engine="numpy")
    monkeypatch.setattr("manabi.radiomics.texture.kernels_numpy._DENSE_CELLS", 1)
    monkeypatch.setattr("manabi.radiomics.texture.cells._SMALL_TABLE", 1)
    assert features(levels, SPACING, options, engine="numpy") == fine


def test_more_levels_than_the_correlation_coefficient_can_hold_are_refused():
    nothing = np.zeros(0, np.int64)
    with pytest.raises(InvalidInputError, match="bin width"):
        mcc.coefficient(Cells(nothing, nothing, nothing, nothing, 13), np.arange(1, 5001))


def test_the_input_is_not_modified():
    levels, mask = random_levels((4, 6, 6), 4, 1), np.ones((4, 6, 6), bool)
    before = levels.copy()
    features(levels, SPACING, TextureOptions(), mask)
    np.testing.assert_array_equal(levels, before)
    assert mask.all()


@pytest.mark.parametrize("kind", ["random", "blocks", "opposite", "sparse"])
def test_lanczos_finds_what_all_eigenvalues_say(kind):
    rng = np.random.default_rng(4)
    joint = rng.random((5, 40, 40)) ** 8
    joint[:, np.abs(np.subtract.outer(np.arange(40), np.arange(40))) > 6] = 0
    if kind == "blocks":
        joint[:, :20, 20:] = joint[:, 20:, :20] = 0
    if kind == "opposite":
        joint[:, ::2, ::2] = joint[:, 1::2, 1::2] = 0
    if kind == "sparse":
        joint[:, 5:30] = joint[:, :, 5:30] = 0
    joint += joint.transpose(0, 2, 1).copy()
    joint /= joint.sum(axis=(1, 2), keepdims=True)
    expected = [mcc.by_all_eigenvalues(one) for one in joint]
    np.testing.assert_allclose(mcc.by_lanczos(joint), expected, rtol=1e-9)


def test_until_kernels_are_compiled_numpy_counts(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "manabi.radiomics.texture.kernels_numba", raising=False)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert not choose.ready()
    assert choose.engine().__name__.endswith("kernels_numpy")


def test_without_numba_the_compiled_engine_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "manabi.radiomics.texture.kernels_numba", raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(DependencyError, match="pip install numba"):
        choose.engine("numba")


@pytest.mark.parametrize("name", ["cupy", "torch:nowhere"])
def test_an_engine_that_is_not_there_is_refused(name):
    if name.startswith("torch"):
        pytest.importorskip("torch")
    with pytest.raises(InvalidInputError):
        choose.engine(name)


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, manabi.radiomics.texture as t; t.TextureOptions(); "
        "print(sorted({'numpy', 'numba', 'scipy', 'torch'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.slow
def test_kernels_compile_once_and_are_ready_in_the_next_process(tmp_path, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    code = "from manabi.radiomics.texture import choose; print(choose.ready()); choose.warm(); print(choose.ready())"
    for expected in (["False", "True"], ["True", "True"]):
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert answer.stdout.split() == expected
    assert list(tmp_path.rglob("*.nbc"))
