"""The figure of MVCTConvert: what it shows, for any orientation, and for results that lack a part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures_laws import rotated
from fixtures_mvct import grid, patient, quick, textured
from matplotlib.image import imread
from scipy.spatial.transform import Rotation

from manabi.errors import InvalidInputError
from manabi.mvct import figure_numbers
from manabi.mvct.figure import draw_study
from manabi.mvct.figure_planes import CAPTIONS, Scene, checkerboard
from manabi.mvct.method import MVCTConvert
from manabi.plotting.page import Page
from manabi.plotting.views import AXIAL, CORONAL, SAGITTAL


@pytest.fixture(scope="module")
def scan():
    return textured(patient(grid((4.0, 4.0, 6.0), (9, 56, 60)), noise_hu=0.5, metal_hu=2500.0))


@pytest.fixture(scope="module")
def result(scan, mvct_stand_in):
    return MVCTConvert().run({"ct": scan}, {}, quick(mvct_stand_in))


@pytest.fixture
def words(monkeypatch):
    """Every line that is written on a page."""
    said = []
    write = Page.text

    def noted(self, x, y, text, *args, **options):
        said.append(text)
        write(self, x, y, text, *args, **options)

    monkeypatch.setattr(Page, "text", noted)
    return said


def test_the_figure_shows_every_map_and_its_alerts(scan, result, tmp_path, words):
    files = MVCTConvert().draw({"ct": scan}, result, tmp_path)
    assert [path.name for path in files] == ["conversion.png", "histogram.png"]
    pixels = imread(files[0])
    assert pixels.shape[1] == 1600 and 900 < pixels.shape[0] < 3000
    assert set(CAPTIONS.values()) <= set(words)
    text = " ".join(words)
    assert "Metal:" in text and "Trained on simulated data" in text and "not for dose" in text
    assert {"HU check", "Image quality", "What a dose calculation would see"} <= set(words)


def test_a_figure_of_a_baseline_leaves_out_what_is_not_there(scan, tmp_path, words):
    settings = {"converter": "polynomial", "density": False}
    result = MVCTConvert().run({"ct": scan}, settings, quick(None))
    draw_study({"ct": scan}, result, tmp_path / "f.png")
    assert CAPTIONS["converted"] in words and CAPTIONS["residual"] not in words
    assert "What a dose calculation would see" not in words
    assert any("converter polynomial" in text for text in words)


def test_a_single_slice_has_one_plane(scan, tmp_path, mvct_stand_in):
    one = scan.crop((4, 0, 0), (5, *scan.shape[1:]))
    result = MVCTConvert().run({"ct": one}, {}, quick(mvct_stand_in))
    assert Scene.of(one, result).planes == (AXIAL,)
    assert imread(draw_study({"ct": one}, result, tmp_path / "f.png")).shape[1] == 1600


def test_the_planes_are_the_same_for_any_order_of_axes(scan, result, mvct_stand_in):
    scene = Scene.of(scan, result)
    turned = scan.reoriented((2, 0, 1), (-1, 1, -1))
    other = Scene.of(turned, MVCTConvert().run({"ct": turned}, {}, quick(mvct_stand_in)))
    assert scene.planes == (AXIAL, CORONAL, SAGITTAL)
    for name in CAPTIONS:
        for axis in scene.planes:
            np.testing.assert_array_equal(other.pixels(name, axis), scene.pixels(name, axis))


def test_the_patients_left_is_on_the_right(scan, result):
    """The filling of metal is on the patient's right, so it is in the left half of the plane."""
    scene = Scene.of(scan, result)
    k = int(np.argmax((scene.arrays["input"] > 2000).sum((1, 2))))
    pixels = replace(scene, centre=(k, *scene.centre[1:])).pixels("input", AXIAL)
    assert np.nonzero(pixels > 2000)[1].mean() < 0.5 * pixels.shape[1]


def test_a_tilted_image_says_so(scan, result, tmp_path, words, mvct_stand_in):
    turn = Rotation.from_euler("z", 20, degrees=True).as_matrix()
    tilted = rotated(scan, turn)
    draw_study({"ct": tilted}, MVCTConvert().run({"ct": tilted}, {}, quick(mvct_stand_in)), tmp_path / "f.png")
    assert any("tilted by 20°" in text for text in words)


def test_the_checkerboard_takes_half_of_each(scan, result):
    board = checkerboard((60, 90), (90.0, 60.0))
    assert board.mean() == pytest.approx(0.5, abs=0.02) and board[0, 0] and not board[0, 15]
    scene = Scene.of(scan, result)
    mixed, one, other = (scene.pixels(name, AXIAL) for name in ("checkerboard", "input", "converted"))
    assert ((mixed == one) | (mixed == other)).all() and (mixed != one).any() and (mixed != other).any()


def test_maps_have_colours_of_round_numbers(scan, result):
    limits = Scene.of(scan, result).limits
    assert set(limits) == {"difference", "uncertainty", "residual"}
    for value in limits.values():
        assert value / 10 ** np.floor(np.log10(value)) in (1.0, 2.0, 5.0)


def test_a_result_of_another_image_is_refused(scan, result, tmp_path):
    other = patient(grid((4.0, 4.0, 6.0), (8, 56, 60)))
    with pytest.raises(InvalidInputError, match="belong together"):
        draw_study({"ct": other}, result, tmp_path / "f.png")
    assert not list(tmp_path.iterdir())


def test_numbers_have_true_minus_signs_and_gaps_a_dash():
    assert figure_numbers._number(-12.3, 0) == "−12"
    assert figure_numbers._number(None, 1) == "–"
