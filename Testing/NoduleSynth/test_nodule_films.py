"""Films from files: they load, bone is bright, and where the pixel spacing comes from is stated."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from nodule_panel_films import as_slicer_loads, write_dicom, write_png
from nodule_panel_user import SPACING, NoduleUser, add_film, chest


@pytest.fixture
def user(slicer_app, monkeypatch):
    return NoduleUser(slicer_app, monkeypatch)


def open_by_button(user, path):
    """Press Open and choose a file."""
    from slicer_standin import dialogs

    if not user.app.boot().util.mainWindow():
        user.app.open_main_window()
    dialogs.answer(str(path))
    user.ui.openButton.click()
    assert user.run_ui.errorFrame.isHidden(), user.run_ui.errorLabel.text
    return user.choices.inputVolume


def pixels(node):
    import slicer

    return slicer.util.arrayFromVolume(node)


@pytest.mark.parametrize("monochrome1", [False, True])
def test_dicom_of_either_polarity_opens_with_bone_bright_and_the_same_pixels(user, tmp_path, monochrome1):
    film = open_by_button(user, write_dicom(tmp_path / "Doe_Jane.dcm", monochrome1))
    np.testing.assert_array_equal(pixels(film), chest())
    assert film.GetSpacing()[:2] == SPACING
    assert film.GetAttribute("Manabi.modality") == "DX"


def test_a_png_opens_and_is_processed(user, tmp_path):
    film = open_by_button(user, write_png(tmp_path / "film.png"))
    np.testing.assert_array_equal(pixels(film), chest())
    assert user.run_ui.applyButton.enabled
    user.run_here()
    assert len(user.visible()) == 2


def test_where_the_spacing_comes_from_is_stated_beside_the_film_and_in_the_result(user, tmp_path):
    open_by_button(user, write_dicom(tmp_path / "a.dcm"))
    assert "60 × 50 pixels of 6.000 × 7.000 mm." in user.ui.filmLabel.text
    assert "at the detector or film" in user.ui.filmLabel.text
    user.run_here()
    assert "at the detector or film" in user.said()
    open_by_button(user, write_png(tmp_path / "a.png"))
    assert "does not say how large a pixel is; 1 mm is assumed" in user.ui.filmLabel.text
    calibrated = write_dicom(tmp_path / "b.dcm", PixelSpacing=[5.5, 6.5])
    open_by_button(user, calibrated)
    assert "60 × 50 pixels of 5.500 × 6.500 mm." in user.ui.filmLabel.text
    assert "the file's, in the patient" in user.ui.filmLabel.text
    user.choose(add_film())
    assert "the file's" not in user.ui.filmLabel.text


def test_no_name_of_a_patient_enters_the_scene(user, tmp_path):
    import slicer

    film = open_by_button(user, write_dicom(tmp_path / "Doe_Jane.dcm"))
    user.run_here()
    assert film.GetName() == "Film"
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    with zipfile.ZipFile(tmp_path / "scene.mrb") as packed:
        written = b"".join(name.encode() + packed.read(name) for name in packed.namelist())
    assert b"Film" in written
    for secret in (b"Doe", b"4711", str(tmp_path).encode()):
        assert secret not in written


@pytest.mark.parametrize("negative", [True, False])
def test_a_film_that_slicer_loaded_is_searched_with_bone_bright_however_it_came(user, tmp_path, monkeypatch, negative):
    film = as_slicer_loads(monkeypatch, write_dicom(tmp_path / "a.dcm", True), negative)
    before = pixels(film).copy()
    user.choose(film)
    assert ("Slicer shows bone dark" in user.ui.filmLabel.text) == negative
    user.run_here()
    result = user.widget.logic.resultOf(film)
    assert result.measurements["mean"] == pytest.approx(chest().mean(), abs=0.01 if not negative else MOST_SHIFT)
    assert ("was turned round" in user.said()) == negative
    np.testing.assert_array_equal(pixels(film), before)


MOST_SHIFT = 1000.0
"""The negative is turned between its own ends, which need not be those of the file: only a shift may be left."""


def test_turning_a_negative_round_leaves_the_film_but_for_a_shift(user, tmp_path, monkeypatch):
    from NoduleSynthLib import films

    film = as_slicer_loads(monkeypatch, write_dicom(tmp_path / "a.dcm", True), True)
    volume = films.inputs(user.widget.logic.method, {"radiograph": film})["radiograph"]
    shift = np.asarray(volume.array, int) - chest()
    assert np.ptp(shift) == 0
    assert volume.source is not None


def test_a_film_that_was_changed_in_slicer_is_taken_as_it_is(user, tmp_path, monkeypatch):
    import slicer

    film = as_slicer_loads(monkeypatch, write_dicom(tmp_path / "a.dcm", True), True)
    slicer.util.updateVolumeFromArray(film, np.random.default_rng(5).integers(0, 100, chest().shape).astype(np.int16))
    user.choose(film)
    assert "bone dark" not in user.ui.filmLabel.text
    user.run_here()
    assert "turned round" not in user.said()


def test_what_is_no_film_is_refused_with_a_reason(user, tmp_path):
    from slicer_standin import dialogs

    (tmp_path / "a.png").write_bytes(b"no picture")
    user.app.open_main_window()
    dialogs.answer(str(tmp_path / "a.png"), "")
    user.ui.openButton.click()
    assert "cannot be read as a picture or DICOM" in user.said()
    assert not user.choices.inputVolume
    user.ui.openButton.click()  # the user changes his mind
    assert not user.choices.inputVolume


# --- structured reports -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opened", ["by the button", "by Slicer"])
def test_a_report_refers_to_the_film_and_holds_the_marks_that_are_shown(user, tmp_path, monkeypatch, opened):
    import pydicom
    from slicer_standin import dialogs

    path = write_dicom(tmp_path / "a.dcm")
    user.app.open_main_window()
    if opened == "by the button":
        open_by_button(user, path)
    else:
        user.choose(as_slicer_loads(monkeypatch, path, False))
    user.run_here()
    user.slide(68)
    assert user.ui.reportButton.enabled, user.ui.reportButton.toolTip
    dialogs.answer(str(tmp_path / "report"))
    user.ui.reportButton.click()
    uid = pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID
    assert (tmp_path / "report.dcm").read_text() == f"{uid}|1;2;3"
    assert not list(tmp_path.glob(".manabi-*"))
    dialogs.answer(str(tmp_path / "report.dcm"))
    user.ui.reportButton.click()
    assert "nothing is overwritten" in user.said()


def test_a_film_without_dicom_has_no_report_and_the_console_says_why(user, tmp_path):
    from manabi.errors import InvalidInputError

    film = add_film()
    user.choose(film)
    user.run_here()
    with pytest.raises(InvalidInputError, match="not loaded from DICOM"):
        user.widget.logic.saveReport(film, tmp_path / "report.dcm")
    assert not list(tmp_path.glob("*report*"))


def test_the_next_scene_s_film_is_not_taken_for_the_one_that_was_opened_before(user, tmp_path):
    import slicer

    opened = open_by_button(user, write_dicom(tmp_path / "a.dcm"))
    identifier = opened.GetID()
    slicer.mrmlScene.Clear()
    film = add_film()
    assert film.GetID() == identifier
    user.choose(film)
    user.run_here()
    assert not user.ui.reportButton.enabled
    assert "detector" not in user.ui.filmLabel.text


def test_the_dicom_export_holds_the_report_too(user, tmp_path):
    film = open_by_button(user, write_dicom(tmp_path / "a.dcm"))
    user.run_here()
    user.slide(0)
    user.widget.logic.export({"radiograph": film}, tmp_path / "out", "dicom")
    (report,) = (tmp_path / "out").rglob("chest-cad-sr.dcm")
    assert report.read_text().endswith("|1")
