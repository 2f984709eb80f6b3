"""The figures of SliceMarker: the right slices, the right way round, in true proportions, and what is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from manabi.errors import InvalidInputError
from manabi.plotting import views
from manabi.plotting.page import Page
from manabi.result import Landmark, Plot, Result, Table
from manabi.slices import figure, figure_page
from manabi.slices.figure import draw_markers
from manabi.slices.figure_parts import WINDOW, Scene
from manabi.slices.reading import MARKERS, NAMES
from manabi.slices.report import slices_table
from manabi.slices.representative import Plan, choose
from manabi.slices.stack import AxialStack
from manabi.volume import Volume

LEVELS = {"apex": 260.0, "carina": 180.0, "diaphragm": 60.0}
SHAPE = (75, 50, 60)
ALERT = "Check the carina: the confidence is only 31%."
BADGE = "Bundle x 1.0.0: trained on simulated data; for research use."


def chest(spacing=(5.0, 6.0, 4.0)) -> Volume:
    """A body of fat with a bright right arm-side rod and a dark front one; air around."""
    k, j, i = np.indices(SHAPE)
    array = np.full(SHAPE, -1000, np.int16)
    array[((i - 29.5) / 26) ** 2 + ((j - 24.5) / 17) ** 2 < 1] = -50
    array[:, 22:28, 45:50] = 900
    array[:, 35:39, 25:35] = -900
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = -150.0, -150.0, 0.0
    return Volume(array + (k % 2).astype(np.int16), matrix, "CT", "HU", "secret-name")


def result_of(volume: Volume, levels=LEVELS, plan="5", warnings=()) -> Result:
    stack = AxialStack.of(volume)
    chosen = choose(levels, stack.z_mm, Plan(plan, count=45))
    rows, z = [], [float(v) for v in stack.z_mm]
    for marker in MARKERS:
        known = marker in levels
        index = stack.input_index(stack.nearest(levels[marker])) if known else None
        status = "in the image" if known else "above the image" if marker == "apex" else "below the image"
        rows.append((NAMES[marker], status, index, levels.get(marker), 0.31 if marker == "carina" else 0.97, None))
    columns = ("marker", "status", "slice", "position_mm", "confidence", "rules_position_mm")
    series = {NAMES[m]: (z, [float(np.exp(-(((v - at) / 6) ** 2))) for v in z]) for m, at in levels.items()}
    return Result(
        landmarks={m: Landmark(NAMES[m], (0.0, 0.0, at)) for m, at in levels.items()},
        tables={"markers": Table(columns, tuple(rows)), "representative": slices_table(chosen, stack)},
        plots={"probability": Plot("Where", "Position", "Probability", series)},
        measurements={"apex_to_diaphragm_mm": 200.0, "quality": "check", "slices_evaluated": 30},
        warnings=list(warnings),
    )


@pytest.fixture
def texts(monkeypatch) -> list[str]:
    """What is written on pages."""
    said: list[str] = []
    original = Page.text

    def text(self, x, y, text, *args, **kwargs):
        said.append(text)
        original(self, x, y, text, *args, **kwargs)

    monkeypatch.setattr(Page, "text", text)
    return said


@pytest.fixture
def boxes(monkeypatch) -> list[tuple]:
    """Every image that is shown: its pixels, its size in mm and its box on the page."""
    seen: list[tuple] = []

    def show(axes, pixels, size, look):
        seen.append((pixels, size, axes.get_window_extent()))
        views.show(axes, pixels, size, look)

    for module in (figure, figure_page):
        monkeypatch.setattr(module, "show", show)
    return seen


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> np.ndarray:
    """The picture of the markers of an image that is stored the usual way."""
    volume = chest()
    return picture(draw_markers(volume, result_of(volume), tmp_path_factory.mktemp("straight"))[0])


def picture(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("L"), float)


def test_two_pictures_are_written_of_the_promised_width(tmp_path):
    volume = chest()
    files = draw_markers(volume, result_of(volume), tmp_path)
    assert [p.name for p in files] == ["markers.png", "representative.png"]
    assert all(Image.open(p).size[0] == 1600 for p in files)
    assert all(np.asarray(Image.open(p).convert("L")).std() > 20 for p in files)


def test_right_is_left_and_the_front_is_above(tmp_path, boxes):
    volume = chest()
    draw_markers(volume, result_of(volume), tmp_path)
    for pixels, _, _ in boxes[:3]:
        rows, columns = np.nonzero(pixels > 500)
        assert columns.mean() < pixels.shape[1] / 2, "the rod on the patient's right is on the left"
        hole = np.nonzero((pixels < -800) & (pixels > -950))[0]
        assert hole.mean() < pixels.shape[0] / 2 < rows.mean() + pixels.shape[0] / 6, "the hole in front is above"


def test_planes_have_true_proportions(tmp_path, boxes):
    volume = chest()
    draw_markers(volume, result_of(volume), tmp_path)
    scales = [(box.width / size[0], box.height / size[1]) for _, size, box in boxes]
    assert all(x == pytest.approx(y, rel=1e-3) for x, y in scales)
    assert np.ptp([x for x, _ in scales[:3]]) < 1e-6, "the three slices in one scale"
    assert np.ptp([x for x, _ in scales[3:5]]) < 1e-6, "front and side in one scale"
    assert boxes[3][1][1] == boxes[4][1][1] == pytest.approx(75 * 4.0)


@pytest.mark.parametrize(("axes", "signs"), [((0, 1, 2), (-1, -1, -1)), ((2, 0, 1), (1, -1, 1))])
def test_the_same_picture_whatever_way_the_array_runs(tmp_path, straight, axes, signs):
    volume = chest().reoriented(axes, signs)
    turned = picture(draw_markers(volume, result_of(volume), tmp_path)[0])
    assert turned.shape == straight.shape
    assert (np.abs(turned - straight) > 8).mean() < 0.004, "nothing differs but the slices' numbers"


def test_the_slices_are_those_of_the_table(tmp_path, boxes):
    volume = chest()
    result = result_of(volume)
    draw_markers(volume, result, tmp_path)
    scene = Scene.of(volume, result)
    for (pixels, _, _), k in zip(boxes[:3], (65, 45, 15), strict=True):
        np.testing.assert_array_equal(pixels, scene.axial(k)[0])
    assert [c.index for c in scene.chosen] == [65, 55, 45, 30, 15]


def test_a_marker_that_is_not_in_the_image_has_an_empty_panel(tmp_path, texts, boxes):
    volume = chest()
    levels = {"carina": 180.0, "diaphragm": 60.0}
    warnings = ["Not in the image: lung apex, which lies above it."]
    draw_markers(volume, result_of(volume, levels, warnings=warnings), tmp_path)
    assert "Not in the image" in texts and "it lies above the upper end" in texts
    assert len(boxes) == 2 + 2 + 3
    assert any(text.startswith("• Not in the image: lung apex") for text in texts)


def test_without_any_marker_there_is_one_picture(tmp_path, texts):
    volume = chest()
    result = result_of(volume, {})
    files = draw_markers(volume, result, tmp_path)
    assert [p.name for p in files] == ["markers.png"]
    assert texts.count("Not in the image") == 3


def test_alerts_badge_and_notes_have_their_places(tmp_path, texts):
    volume = chest()
    draw_markers(volume, result_of(volume, warnings=[ALERT, BADGE, "The file does not say what ct is."]), tmp_path)
    assert texts.count("• " + ALERT) == 2, "on both pictures"
    assert "Trained on simulated data; for research use" in texts and BADGE not in texts
    assert "The file does not say what ct is." in texts


def test_no_name_is_shown(tmp_path, texts):
    volume = chest()
    files = draw_markers(volume, result_of(volume), tmp_path)
    assert texts and not any("secret" in text for text in texts)
    assert not any(b"secret" in p.read_bytes() for p in files)


def test_many_slices_are_cut_and_said(tmp_path, texts):
    volume = chest()
    draw_markers(volume, result_of(volume, plan="count"), tmp_path)
    assert "5 more slices are not shown here." in texts


def test_a_very_tall_image_is_shown_around_the_markers():
    volume = chest((5.0, 6.0, 30.0))
    levels = {"apex": 1500.0, "carina": 1400.0, "diaphragm": 1290.0}
    low, high = Scene.of(volume, result_of(volume, levels)).limits_mm
    assert 1290 - 180 < low < 1290 - 120 and 1500 + 80 < high < 1500 + 140


def test_the_couch_is_cut_off():
    volume = chest()
    array = volume.array.copy()
    array[:, 1:3, :] = 300
    rows, columns = Scene.of(volume.like(array), result_of(volume)).field
    assert rows.start >= 3 and (columns.start, columns.stop) != (0, 60)


def test_a_tilted_image_is_shown_as_an_axial_reformat():
    volume = chest()
    a = np.radians(35)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    volume = replace(volume, ijk_to_ras=turn @ volume.ijk_to_ras)
    stack = AxialStack.of(volume)
    levels = dict(zip(MARKERS, stack.z_mm[[-20, stack.n // 2, 20]], strict=True))
    scene = Scene.of(volume, result_of(volume, levels))
    assert stack.resampled
    assert [one.index for one in scene.markers] == [stack.n - 20, stack.n // 2, 20]
    assert scene.limits_mm[0] < stack.z_mm[0] < stack.z_mm[-1] < scene.limits_mm[1]


def test_the_window_tells_air_lung_and_tissue_apart():
    level, width = WINDOW
    assert level - width / 2 < -1000 < -860 < 40 < level + width / 2


def test_other_results_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="SliceMarker"):
        draw_markers(chest(), Result(measurements={"a": 1}), tmp_path)
    assert not list(tmp_path.iterdir())
