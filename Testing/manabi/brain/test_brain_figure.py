"""The figures of BrainSeg: one for each task, the right way round, in true proportions, and what is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from manabi.brain import figure_maps, figure_page, report
from manabi.brain.figure import draw_result
from manabi.brain.figure_painted import MOST, _line, chosen_slices
from manabi.brain.figure_scene import Scene, View, head_box
from manabi.brain.figure_structures import text_of
from manabi.brain.method import BrainSeg, propagated_result
from manabi.brain.propagate import Propagated, SliceScore
from manabi.brain.propagate_input import PaintedSlice
from manabi.brain.structures import STRUCTURES
from manabi.errors import InvalidInputError
from manabi.plotting import views
from manabi.plotting.page import Page
from manabi.plotting.views import AXIAL, CORONAL, SAGITTAL
from manabi.result import Result, Table
from manabi.volume import Volume

SHAPE = (30, 44, 36)
SPACING = (5.0, 4.5, 6.0)
BADGE = "Bundle x 1.0.0: trained on simulated data; for research use."
ALERT = "Check the cerebellum: its mean confidence is 0.41 (below 0.60)."
INSIDE = (slice(6, 26), slice(8, 38), slice(6, 30))


def head() -> Volume:
    """A grey head with a bright ball on the right, in front, above."""
    k, j, i = np.indices(SHAPE)
    array = np.zeros(SHAPE, np.float32)
    array[((i - 17.5) / 14) ** 2 + ((j - 22) / 17) ** 2 + ((k - 16) / 12) ** 2 < 1] = 100.0
    array[20:23, 28:33, 22:26] = 300.0
    matrix = np.diag([*SPACING, 1.0])
    matrix[:3, 3] = -90.0, -95.0, -80.0
    return Volume(array + (k + j) % 3, matrix, "MR", name="secret-name")


def labels_of(volume: Volume) -> Volume:
    array = np.zeros(SHAPE, np.uint8)
    array[12:26, 8:38, 6:18], array[12:26, 8:38, 18:30] = 1, 2
    array[6:12, 8:18, 6:18], array[6:12, 8:18, 18:30] = 3, 4
    array[6:12, 20:24, 16:20] = 5
    return Volume(array, volume.ijk_to_ras, "SEG")


def structures(volume: Volume, warnings=(), low=None) -> Result:
    labels = labels_of(volume)
    sure = np.full(SHAPE, 0.95, np.float32)
    if low:
        sure[low] = 0.2
    confidence = labels.like(sure, modality=None)
    rows = report.measure(labels, confidence, STRUCTURES)
    return Result(
        volumes={"confidence": confidence}, labelmaps={"structures": report.labelled(labels)},
        tables={"volumes": report.volumes_table(rows)}, warnings=list(warnings),
        provenance={"manabi": "9.9", "parameters": {"task": "structures", "min_confidence": 0.6},
                    "bundle": {"name": "b", "version": "1.0.0", "weights_sha256": "a" * 64}},
    )  # fmt: skip


def propagated(volume: Volume) -> tuple[Volume, Result]:
    whole = np.where(labels_of(volume).array > 2, 4, 0).astype(np.uint8)
    paint = np.zeros_like(whole)
    paint[[6, 9, 11]] = whole[[6, 9, 11]]
    painted = Volume(paint, volume.ijk_to_ras, "SEG")
    scores = tuple(SliceScore(0, k, 4, 0.9, 0.8, 12.0) for k in (6, 9, 11))
    done = Propagated(painted.like(whole), volume.like(np.full(SHAPE, 0.25, np.float32)),
                      tuple(PaintedSlice(0, k) for k in (6, 9, 11)), 0, scores, ("Paint a slice there.",))  # fmt: skip
    return painted, propagated_result(done, painted)


def contrast(volume: Volume) -> Result:
    made, doubt = volume.array / 300.0, np.full(SHAPE, 0.5, np.float32)
    return Result(volumes={"synthetic_mra": volume.like(made), "unknowable": volume.like(doubt)},
                  warnings=["Synthetic image: it was not measured."])  # fmt: skip


def features(volume: Volume, count=3) -> Result:
    maps = {f"feature_{n:02d}": volume.like(volume.array * (-1) ** n) for n in range(1, count + 1)}
    table = Table(("rank", "channel", "contribution"), tuple((n, 10 + n, 1.0 / n) for n in range(1, count + 1)))
    return Result(volumes=maps, tables={"features": table},
                  measurements={"layer": "coarse.down.0", "structure": "cerebrum"})  # fmt: skip


@pytest.fixture
def unsaved(monkeypatch) -> None:
    """Pages are laid out and not rendered, which takes most of the time."""
    monkeypatch.setattr(Page, "save", lambda self, path: path)


@pytest.fixture
def texts(monkeypatch, unsaved) -> list[str]:
    """What is written on pages."""
    said: list[str] = []
    original = Page.text

    def text(self, x, y, text, *args, **kwargs):
        said.append(text)
        original(self, x, y, text, *args, **kwargs)

    monkeypatch.setattr(Page, "text", text)
    return said


@pytest.fixture
def planes(monkeypatch, unsaved) -> list[tuple]:
    """Every plane that is shown: its pixels, its size in mm and its box on the page."""
    seen: list[tuple] = []

    def show(axes, pixels, size, look):
        seen.append((pixels, size, axes.get_window_extent()))
        views.show(axes, pixels, size, look)

    for module in (figure_page, figure_maps):
        monkeypatch.setattr(module, "show", show)
    return seen


# --- which figure -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["structures", "propagated", "contrast", "features"])
def test_every_task_has_its_picture_of_the_promised_width(tmp_path, name):
    volume = head()
    painted, spread = propagated(volume)
    patch = (slice(14, 18), slice(12, 16), slice(8, 12))
    results = {"structures": structures(volume, [ALERT, BADGE], patch), "propagated": spread,
               "contrast": contrast(volume), "features": features(volume)}  # fmt: skip
    files = BrainSeg().draw({"image": volume, "painted": painted}, results[name], tmp_path)
    assert [f.name for f in files] == [f"{name}.png"]
    pixels = np.asarray(Image.open(files[0]).convert("RGB"), int)
    assert pixels.shape[1] == 1600
    assert pixels.std() > 20
    if name == "structures":
        red = (pixels[..., 0] > 230) & (pixels[..., 1] < 70) & (pixels[..., 2] < 60)
        assert red.sum() > 30, "the patch of low confidence is marked"


def test_a_list_of_layers_is_no_picture_and_other_results_are_refused(tmp_path):
    volume = head()
    layers = Result(tables={"layers": Table(("layer",), (("coarse.down.0",),))})
    assert draw_result({"image": volume}, layers, tmp_path) == []
    with pytest.raises(InvalidInputError, match="needs a result of BrainSeg"):
        draw_result({"image": volume}, Result(), tmp_path)
    with pytest.raises(InvalidInputError, match="own input"):
        draw_result({"image": volume.crop((0, 0, 0), (29, 44, 36))}, structures(volume), tmp_path)
    with pytest.raises(InvalidInputError, match="needs its input painted"):
        draw_result({"image": volume}, propagated(volume)[1], tmp_path)
    assert not list(tmp_path.iterdir())


# --- how it is shown --------------------------------------------------------------------------------------------------


def test_right_is_left_front_and_head_are_above_in_true_proportions(tmp_path, planes):
    volume = head()
    draw_result({"image": volume}, structures(volume), tmp_path)
    scene = Scene.of(volume, structures(volume))
    for axis in (AXIAL, CORONAL):
        pixels = views.plane(scene.image, axis, int(np.argwhere(scene.image > 200)[:, axis].mean()))
        rows, columns = np.nonzero(pixels > 200)
        assert columns.mean() < pixels.shape[1] / 2
        assert rows.mean() < pixels.shape[0] / 2
    scales = [(box.width / size[0], box.height / size[1]) for _, size, box in planes]
    assert len(scales) == 9
    assert all(x == pytest.approx(y, rel=1e-3) for x, y in scales)
    assert np.ptp([x for x, _ in scales[:3]]) < 1e-6, "three planes in one scale"


@pytest.mark.parametrize(("axes", "signs"), [((0, 1, 2), (-1, -1, -1)), ((2, 0, 1), (1, -1, 1))])
def test_the_same_planes_and_words_whatever_way_the_array_runs(tmp_path, planes, texts, axes, signs):
    volume = head()
    result = structures(volume, [ALERT])
    draw_result({"image": volume}, result, tmp_path)
    half, said = len(planes), list(texts)
    moved = replace(
        result,
        volumes={"confidence": result.volumes["confidence"].reoriented(axes, signs)},
        labelmaps={"structures": report.labelled(result.labelmaps["structures"].volume.reoriented(axes, signs))},
    )
    draw_result({"image": volume.reoriented(axes, signs)}, moved, tmp_path)
    assert texts[len(said) :] == said
    for straight, again in zip(planes[:half], planes[half:], strict=True):
        np.testing.assert_array_equal(again[0], straight[0])
        np.testing.assert_allclose(again[2].bounds, straight[2].bounds)


def test_planes_say_where_they_lie_in_the_patient():
    volume = head()
    scene = Scene.of(volume, structures(volume))
    k, j, i = (s.start for s in scene.box)
    assert scene.title(View(AXIAL, 20 - k)) == "Axial · S 40 mm"
    assert scene.title(View(CORONAL, 8 - j)) == "Coronal · P 59 mm"
    assert scene.title(View(SAGITTAL, 10 - i)) == "Sagittal · L 40 mm"


def test_the_neck_is_left_out_and_a_missed_part_of_the_head_is_not():
    volume = head()
    result = structures(volume)
    scene = Scene.of(volume, result)
    whole = head_box(volume)
    assert scene.box[1:] == whole[1:]
    top = replace(result, labelmaps={"structures": report.labelled(labels_of(volume).like(
        np.where(np.arange(SHAPE[0])[:, None, None] > 22, labels_of(volume).array, 0).astype(np.uint8)))})  # fmt: skip
    assert Scene.of(volume, top).box[0].start == 23 - 5
    empty = replace(
        result, labelmaps={"structures": report.labelled(labels_of(volume).like(np.zeros(SHAPE, np.uint8)))}
    )
    assert Scene.of(volume, empty).box == whole


def test_the_window_spans_the_head_s_greys():
    scene = Scene.of(head(), structures(head()))
    low, high = scene.window
    assert low < 90
    assert 102 < high < 300, "tissue is not white; a small bright ball may be"


# --- what is said -----------------------------------------------------------------------------------------------------


def test_alerts_badge_notes_and_numbers_are_said_and_the_patient_is_not(tmp_path, texts):
    volume = head()
    draw_result({"image": volume}, structures(volume, [ALERT, BADGE, "A note to know."]), tmp_path)
    said = "\n".join(texts)
    assert f"• {ALERT}" in texts
    assert "Trained on simulated data; for research use" in texts
    assert said.count("trained on simulated data") == 0, "the badge says it"
    assert "A note to know." in texts
    assert "secret" not in said
    assert "bundle b 1.0.0 (aaaaaaaaaaaa)" in said
    left, right = (12 * 30 * 14 * 0.135, 12 * 30 * 14 * 0.135)
    assert texts.count(f"{left:.0f}") >= 2
    assert f"{left + right:.0f}" in texts


def test_without_alerts_there_is_no_red_box(tmp_path, monkeypatch, unsaved):
    edges = []
    original = Page.box
    monkeypatch.setattr(Page, "box", lambda self, *a: edges.append(a[4]) or original(self, *a))
    volume = head()
    draw_result({"image": volume}, structures(volume), tmp_path)
    assert edges == []
    draw_result({"image": volume}, structures(volume, [ALERT, BADGE]), tmp_path)
    assert edges == ["#7a4f00", "#b3261e"]


def test_the_least_sure_place_is_cut_through_and_its_patch_measured(tmp_path, texts):
    volume = head()
    draw_result({"image": volume}, structures(volume), tmp_path)
    assert any("below 0.60; none" in text or text == "0.60; none." for text in texts)
    texts.clear()
    patch = (slice(14, 18), slice(12, 16), slice(8, 12))
    draw_result({"image": volume}, structures(volume, low=patch), tmp_path)
    assert any(f"{4 * 4 * 4 * 0.135:.1f} mL" in text for text in texts), "the patch's volume"
    assert {"Coronal · P 36 mm", "Coronal · P 32 mm", "Coronal · P 28 mm"} & set(texts)


def test_a_structure_that_was_not_found_is_a_dash(tmp_path, texts):
    volume = head()
    draw_result({"image": volume}, structures(volume), tmp_path)
    assert "Ventricles" in texts
    assert "–" in texts
    assert (text_of(None, 1), text_of(-0.04, 1, True), text_of(-12.34, 1), text_of(3.0, 0, True)) == (
        "–", "0.0", "−12.3", "+3")  # fmt: skip


# --- painted slices ---------------------------------------------------------------------------------------------------


def test_slices_are_painted_ones_and_those_between():
    assert chosen_slices([10, 20], list(range(6, 31))) == [8, 10, 15, 20, 25]
    assert chosen_slices([10], list(range(8, 15))) == [9, 10, 12]
    many = chosen_slices(list(range(0, 100, 4)), list(range(100)))
    assert len(many) == MOST
    assert {0, 96} <= set(many)
    assert sum(n % 4 == 0 for n in many) == 5
    assert chosen_slices([], []) == []


def test_lines_of_painted_slices_lie_where_they_are():
    volume = head()
    scene = Scene.of(volume, structures(volume))
    size = scene.size_mm(CORONAL)
    (x, _), (y, again) = _line(scene, CORONAL, AXIAL, 0, size)
    assert (x, y, again) == (0.0, pytest.approx(size[1] - 3.0), y), "the lowest slice is at the bottom"
    (x, again), _ = _line(scene, AXIAL, SAGITTAL, 0, scene.size_mm(AXIAL))
    assert x == again == pytest.approx(scene.size_mm(AXIAL)[0] - 2.5), "the leftmost slice is on the right"


def test_accuracy_and_painted_slices_are_said(tmp_path, texts):
    volume = head()
    painted, result = propagated(volume)
    draw_result({"image": volume, "painted": painted}, result, tmp_path)
    assert "3 axial slices were painted (blue); the others were predicted." in texts
    assert "Label 4" in texts
    assert "0.90" in texts
    assert "Paint a slice there." in texts


# --- maps -------------------------------------------------------------------------------------------------------------


def test_a_synthetic_image_is_called_so_on_every_plane(tmp_path, texts, planes, monkeypatch):
    stamps = []
    original = figure_maps._stamped
    monkeypatch.setattr(figure_maps, "_stamped", lambda *a: stamps.append(1) or original(*a))
    volume = head()
    draw_result({"image": volume}, contrast(volume), tmp_path)
    assert len(stamps) == 6
    assert "SYNTHETIC: not measured" in texts
    assert "• Synthetic image: it was not measured." in texts
    assert len(planes) == 16


def test_feature_maps_say_channel_and_contribution(tmp_path, texts):
    volume = head()
    draw_result({"image": volume}, features(volume), tmp_path)
    assert {"1. channel 11", "3. channel 13", "adds +1", "adds +0.33"} <= set(texts)
    texts.clear()
    draw_result({"image": volume}, features(volume, 26), tmp_path)
    assert "24. channel 34" in texts
    assert "2 more maps are not shown here." in texts
