"""The study figure: what it shows, in which scale, on which side, and what it keeps to itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from manabi.errors import InvalidInputError
from manabi.plotting import style
from manabi.plotting.page import Page
from manabi.plotting.report_page import WIDTH
from manabi.result import Result
from manabi.spect import figure_images, figure_numbers
from manabi.spect.figure import draw_study
from manabi.spect.grade import Norms, grade_binding
from manabi.spect.noise import binding_noise, with_noise
from manabi.spect.quantify import Regions, measure
from manabi.spect.report import Study
from manabi.spect.template import REGIONS, SIDES, STRUCTURES, Pose, ellipsoid_weights, weights
from manabi.volume import Volume

BADGE = "Bundle x 1.0.0: trained on simulated data; for research use."
ALERT = (
    "Over-correction alert: denoising moved the binding ratio of the left caudate from 1.00 to 3.00, 9.0 times its "
    "noise (0.20). Read the scan that was not denoised."
)


def make_volume(spacing=(4.0, 4.0, 4.0), shape=(32, 48, 40), seed=None, name="spect"):
    """A head with striata, the right one hotter, a hot spot in front and one on top; noisy with a seed."""
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = -(np.array(shape[::-1]) - 1) * spacing / 2
    volume = Volume(np.zeros(shape, np.float32), matrix, "NM", "CNTS", name)
    array = 10.0 * ellipsoid_weights(volume.grid, np.zeros(3), np.eye(3), np.array([65.0, 82.0, 60.0]))
    for structure in STRUCTURES:
        for side, uptake in (("left", 12.0), ("right", 30.0)):
            array += uptake * weights(volume.grid, Pose((0, 15, 0)), structure, side, 3.0)
    if seed is not None:
        array = np.random.default_rng(seed).poisson(array * 3) / 3
    return volume.like(array.astype(np.float32))


def make_result(before: Volume, after: Volume, warnings=(), spread=True) -> Result:
    pose = Pose((0, 15, 0))
    places = Regions(
        {(s.name, side): weights(before.grid, pose, s, side) for s in STRUCTURES for side in SIDES},
        {side: np.maximum.reduce([weights(before.grid, pose, s, side, 12) for s in STRUCTURES]) for side in SIDES},
        ellipsoid_weights(before.grid, np.array([0, -55.0, 0]), np.eye(3), np.array([35.0, 14, 14])).round(),
        (before.array > 5).astype(float),
    )
    raw, clean = (measure(v.array, places, 0.064) for v in (before, after))
    noise = binding_noise(np.asarray(before.array, float) - after.array, places, raw)
    raw, clean = with_noise(raw, noise), with_noise(clean, noise)
    norms = Norms({"caudate": 2.0, "putamen": 2.0}, {"caudate": 0.3, "putamen": 0.3}, "test")
    grades = {"input": grade_binding(raw, norms), "denoised": grade_binding(clean, norms)}
    study = Study(raw, clean, noise, grades, norms, places.labelmap(after), 0.9)
    result = Result(volumes={"denoised": after}, labelmaps={"regions": study.labelmap}, tables=study.tables())
    if spread:
        result.volumes["uncertainty"] = after.like(np.sqrt(after.array))
    result.measurements = {"relative_noise_removed": 0.1, "counts_after_over_before": 1.0, **study.measurements()}
    result.warnings = list(warnings)
    result.provenance = {"manabi": "0.1.0", "parameters": {"alert_z": 3.0, "pipeline": "ours"}, "bundle": None}
    return result


@pytest.fixture(scope="module")
def pair():
    return make_volume(seed=1), make_volume()


@pytest.fixture
def texts(monkeypatch):
    """Every text that a page is asked to write; nothing is drawn."""
    written = []
    monkeypatch.setattr(Page, "text", lambda self, x, y, text, *rest, **more: written.append(text))
    monkeypatch.setattr(Page, "save", lambda self, path: Path(path))
    return written


@pytest.fixture(scope="module")
def quiet(pair, tmp_path_factory):
    """The figure of a study without warnings."""
    return draw_study(pair[0], make_result(*pair), tmp_path_factory.mktemp("quiet") / "study.png")


@pytest.fixture(scope="module")
def loud(pair, tmp_path_factory):
    """The same with an alert, in a bundle trained on simulated data."""
    named = [v.like(v.array, name="TANAKA_TARO_1234") for v in pair]
    folder = tmp_path_factory.mktemp("loud") / "figures"
    return draw_study(named[0], make_result(*named, [BADGE, ALERT]), folder / "study.png")


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def count(path: Path, color: str) -> int:
    return int((np.abs(pixels(path) - np.array(to_rgb(color)) * 255).max(-1) < 1).sum())


def oriented(volume: Volume, axes, signs) -> Volume:
    return volume.reoriented(axes, signs)


def oriented_result(result: Result, axes, signs) -> Result:
    turned = Result(**vars(result))
    turned.volumes = {n: oriented(v, axes, signs) for n, v in result.volumes.items()}
    turned.labelmaps = {n: replace(m, volume=oriented(m.volume, axes, signs)) for n, m in result.labelmaps.items()}
    return turned


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_figure_is_a_png_of_the_promised_size(loud):
    height, width, _ = pixels(loud).shape
    assert width == WIDTH
    assert 850 <= height <= 1300


def test_a_second_drawing_replaces_the_first_and_changes_no_global_setting(pair, quiet, tmp_path):
    settings = dict(matplotlib.rcParams)
    (tmp_path / "study.png").write_bytes(b"former")
    assert draw_study(pair[0], make_result(*pair), tmp_path / "study.png").read_bytes() == quiet.read_bytes()
    assert dict(matplotlib.rcParams) == settings


def test_a_failing_writer_leaves_nothing_behind(pair, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no ink")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(RuntimeError, match="no ink"):
        draw_study(pair[0], make_result(*pair), tmp_path / "deep" / "study.png")
    assert list(tmp_path.iterdir()) == []


def test_no_name_of_the_patient_is_shown(pair, tmp_path, texts):
    named = [v.like(v.array, name="TANAKA_TARO_1234") for v in pair]
    draw_study(named[0], make_result(*named), tmp_path / "study.png")
    assert len(texts) > 50
    assert not any("TANAKA" in text for text in texts)


def test_the_file_says_no_more_than_which_software_made_it(loud):
    with Image.open(loud) as image:
        assert set(image.info) <= {"Software", "dpi"}
    assert b"TANAKA" not in loud.read_bytes()


# --- what it shows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("axes", "signs"), [((0, 1, 2), (-1, -1, 1)), ((2, 0, 1), (1, -1, -1))])
def test_the_figure_does_not_depend_on_the_order_of_the_voxels(pair, quiet, tmp_path, axes, signs):
    turned = oriented_result(make_result(*pair), axes, signs)
    path = draw_study(oriented(pair[0], axes, signs), turned, tmp_path / "study.png")
    assert np.array_equal(pixels(path), pixels(quiet))


def test_the_patients_right_is_on_the_left_of_the_axial_image(pair):
    images = figure_images.prepare(pair[0], make_result(*pair))
    view = images.views[1]
    cut = figure_images.plane(images.after, view.axis, view.index)
    assert view.title == "Axial, hottest slice"
    assert cut.argmax() % cut.shape[1] < cut.shape[1] / 2
    assert "right" in images.views[-1].title


def test_anterior_and_superior_are_on_top():
    array = np.zeros((10, 20, 30))
    array[8, 15, 3] = 1
    assert np.argwhere(figure_images.plane(array, figure_images.AXIAL, 8)).tolist() == [[4, 26]]
    assert np.argwhere(figure_images.plane(array, figure_images.CORONAL, 15)).tolist() == [[1, 26]]
    assert np.argwhere(figure_images.plane(array, figure_images.SAGITTAL, 3)).tolist() == [[1, 4]]


def test_one_is_the_background_of_the_input(pair):
    images = figure_images.prepare(pair[0], make_result(*pair))
    assert images.unit == "× background"
    assert images.before[images.labels == figure_images.REFERENCE_LABEL].mean() == pytest.approx(1.0)
    assert images.after.max() * pair[0].array[make_result(*pair).labelmaps["regions"].volume.array == 5].mean() == (
        pytest.approx(pair[1].array.max(), rel=1e-5)
    )


def test_without_regions_the_unit_is_counts(pair):
    images = figure_images.prepare(pair[0], Result(volumes={"denoised": pair[1]}))
    assert images.unit == "counts"
    assert images.after.max() == pytest.approx(pair[1].array.max())


def test_before_and_after_share_a_window_and_the_difference_is_symmetric(pair):
    rows = figure_images._rows(figure_images.prepare(pair[0], make_result(*pair)))
    before, after, change, spread = (row.look for row in rows)
    assert (before.low, before.high) == (after.low, after.high) == (0.0, before.high)
    assert before.high >= rows[1].array[make_slices(rows[1].array)].max() * 0.999
    assert change.low == -change.high < 0
    assert spread.high > 0
    neutral = np.array(change.colors(0.5)[:3])
    assert np.ptp(neutral) < 0.05


def make_slices(array):
    return slice(len(array) // 2 - 1, len(array) // 2 + 2)


def test_planes_have_the_proportions_of_the_patient():
    before = make_volume((2.0, 4.0, 6.0), (22, 48, 80), 1)
    after = make_volume((2.0, 4.0, 6.0), (22, 48, 80))
    images = figure_images.prepare(before, make_result(before, after))
    page = Page(1600)
    figure_images.draw_images(page, images, 0, 0, 980)
    first = page.figure.axes[0]
    box = first.get_window_extent()
    width, height = figure_images.size_mm(images.after.shape, images.spacing_mm, figure_images.AXIAL)
    assert box.width / box.height == pytest.approx(width / height, rel=1e-6)
    assert first.get_images()[0].get_array().shape[::-1] == (images.after.shape[2], images.after.shape[1])


def test_outlines_of_the_regions_are_drawn(quiet):
    for color in figure_images.REGION_COLORS.values():
        assert count(quiet, color) > 100


# --- numbers and warnings ---------------------------------------------------------------------------------------------


def test_the_tables_are_those_of_the_result(pair, tmp_path, texts):
    result = make_result(*pair)
    draw_study(pair[0], result, tmp_path / "study.png")
    row = dict(zip(result.tables["changes"].columns, result.tables["changes"].rows[1], strict=True))
    assert (row["structure"], row["side"]) == ("caudate", "right")
    assert f"{row['sbr_input']:.2f} ± {row['noise_sd']:.2f}" in texts
    assert f"{row['sbr_denoised']:.2f}" in texts
    assert texts.index("Caudate right") < texts.index("Caudate left")


def test_alerts_stand_in_a_red_box_and_mark_their_region(pair, quiet, loud):
    assert count(quiet, style.ALERT_FILL) == 0
    assert count(loud, style.ALERT_FILL) > 30_000
    assert figure_numbers.flagged(make_result(*pair, [ALERT])) == {("caudate", "left")}


def test_every_warning_is_written(pair, tmp_path, texts):
    warnings = [BADGE, ALERT, "Out of the training range: noisier.", "Grades use normal values from: $a_b$ {x}."]
    draw_study(pair[0], make_result(*pair, warnings), tmp_path / "study.png")
    everything = " ".join(texts)
    assert "left caudate from 1.00 to 3.00" in everything
    assert "ALERT: read the scan that was not denoised." in texts
    assert "Out of the training range: noisier." in everything
    assert "Grades use normal values from: $a_b$ {x}." in texts
    assert "Trained on simulated data; for research use" in texts


def test_the_badge_is_shown_only_for_simulated_training(quiet, loud):
    assert count(quiet, style.NOTICE_FILL) == 0
    assert count(loud, style.NOTICE_FILL) > 5000


def test_unknown_numbers_are_dashes(pair, tmp_path, texts):
    result = make_result(*pair)
    result.measurements["putamen_asymmetry_percent_input"] = None
    draw_study(pair[0], result, tmp_path / "study.png")
    assert "–" in texts


@pytest.mark.parametrize(
    ("value", "shown"), [(1.234, "1.23"), (-0.5, "−0.50"), (None, "–"), (float("nan"), "–"), (float("inf"), "–")]
)
def test_numbers_are_printed_with_true_minus_and_dash(value, shown):
    assert figure_numbers.text_of(value) == shown


# --- other results ----------------------------------------------------------------------------------------------------


def test_a_result_without_binding_ratios_says_so(pair, tmp_path, texts):
    draw_study(pair[0], Result(volumes={"denoised": pair[1]}), tmp_path / "study.png")
    assert "Binding ratios were not measured on this scan." in texts


def test_without_uncertainty_there_are_three_rows(pair):
    images = figure_images.prepare(pair[0], make_result(*pair, spread=False))
    assert [row.title for row in figure_images._rows(images)] == ["BEFORE", "AFTER", "DIFFERENCE"]


def test_five_slices_are_shown_all_and_only_from_above(pair, tmp_path, texts):
    cut = [v.crop((14, 0, 0), (19, *v.shape[1:])) for v in pair]
    images = figure_images.prepare(cut[0], Result(volumes={"denoised": cut[1]}))
    assert [view.axis for view in images.views] == [figure_images.AXIAL] * 5
    assert sorted(view.index for view in images.views) == [0, 1, 2, 3, 4]
    draw_study(cut[0], Result(volumes={"denoised": cut[1]}), tmp_path / "study.png")
    assert "Coronal" not in texts


def test_the_papers_pipeline_is_drawn_from_its_own_input_slices(pair, tmp_path):
    box = [v.crop((14, 4, 4), (19, 44, 36)) for v in pair]
    result = Result(volumes={"denoised": box[1], "input_8bit": box[0]})
    images = figure_images.prepare(pair[0], result)
    assert images.before.max() == pytest.approx(box[0].array.max())
    assert draw_study(pair[0], result, tmp_path / "study.png").exists()


def test_an_oblique_scan_is_drawn_and_its_tilt_told(tmp_path, texts):
    turned = []
    for volume in (make_volume(seed=1), make_volume()):
        matrix = volume.ijk_to_ras.copy()
        cosine, sine = np.cos(0.3), np.sin(0.3)
        matrix = np.array([[cosine, -sine, 0, 0], [sine, cosine, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ matrix
        turned.append(Volume(volume.array, matrix, "NM", "CNTS"))
    draw_study(turned[0], Result(volumes={"denoised": turned[1]}), tmp_path / "study.png")
    assert "tilted by 17°" in " ".join(texts)


def test_a_sheared_scan_is_drawn_straight(pair, tmp_path):
    result = make_result(*pair)
    matrix = pair[0].ijk_to_ras.copy()
    matrix[1, 2] = 0.6
    sheared = [Volume(v.array, matrix, "NM", "CNTS") for v in pair]
    result.volumes = {"denoised": sheared[1]}
    labels = result.labelmaps["regions"]
    result.labelmaps["regions"] = replace(labels, volume=Volume(labels.volume.array, matrix))
    images = figure_images.prepare(sheared[0], result)
    assert set(np.unique(images.labels)) <= set(range(len(REGIONS) + 2))
    assert draw_study(sheared[0], result, tmp_path / "study.png").exists()


def test_an_image_without_a_head_is_drawn_whole():
    flat = Volume(np.zeros((8, 30, 30), np.float32), np.diag([4.0, 4, 4, 1]), "NM", "CNTS")
    images = figure_images.prepare(flat, Result(volumes={"denoised": flat}))
    assert images.after.shape[1:] == (30, 30)
    assert images.top > 0
    assert images.change_limit > 0


def test_a_result_of_another_method_is_refused(pair, tmp_path):
    with pytest.raises(InvalidInputError, match="denoised"):
        draw_study(pair[0], Result(volumes={"other": pair[1]}), tmp_path / "study.png")
    assert not (tmp_path / "study.png").exists()


def test_a_result_on_another_grid_is_refused(pair, tmp_path):
    with pytest.raises(InvalidInputError, match="grid"):
        draw_study(pair[0].crop((0, 0, 0), (20, 40, 40)), Result(volumes={"denoised": pair[1]}), tmp_path / "x.png")
