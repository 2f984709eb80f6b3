"""NoduleSynth's panel, used as a user does, on the stand-in for Slicer."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from nodule_panel_methods import FOUND
from nodule_panel_user import NoduleUser, add_film, cells, chest, ras_of

STRICT, USUAL, SENSITIVE = 0, 32, 100
"""Steps of the slider: 0.05, about 0.2 and 4 false marks per film."""


@pytest.fixture
def user(slicer_app, monkeypatch):
    return NoduleUser(slicer_app, monkeypatch)


@pytest.fixture
def found(user):
    """A user with a film that was searched."""
    user.choose(add_film())
    user.run_here()
    return user


# --- detect -----------------------------------------------------------------------------------------------------------


def test_choosing_the_film_and_apply_is_all_there_is_to_do(user):
    assert "Choose the image" in user.run_ui.applyButton.toolTip
    user.choose(add_film())
    outputs = user.apply()
    assert {"landmarks/mark_1", "volumes/heat_map", "tables/marks", "tables/candidates", "tables/operating_points",
            "labelmaps/lungs", "measurements", "report"} <= set(outputs)  # fmt: skip
    assert cells(user.ui.marksTable) == [
        ["1", "0.95", "right upper", "clear lung", "11"], ["2", "0.85", "left upper", "clear lung", "12"],
    ]  # fmt: skip
    assert user.ui.marksLabel.text == "2 of 4 candidates are shown. Score of the film: 0.95."


def test_the_statement_that_synthetic_films_are_not_for_diagnosis_is_always_there(user):
    for tab in ("detect", "synthesise", "detect"):
        user.open(tab)
        assert not user.ui.statementFrame.isHidden()
        assert "Synthetic films are not for diagnosis" in user.ui.statementLabel.text


def test_the_slider_shows_and_hides_marks_at_once_without_another_run(found, monkeypatch):
    ran = []
    monkeypatch.setattr(type(found.widget.logic), "runHere", lambda *_: ran.append(1))
    monkeypatch.setattr(type(found.widget.logic), "startRun", lambda *_: ran.append(1))
    shown = {}
    for step in (STRICT, USUAL, 68, SENSITIVE):
        found.slide(step)
        shown[step] = [row[0] for row in cells(found.ui.marksTable)]
        assert [label.split()[0] for label in found.visible()] == shown[step]
    assert shown == {STRICT: ["1"], USUAL: ["1", "2"], 68: ["1", "2", "3"], SENSITIVE: ["1", "2", "3", "4"]}
    found.slide(STRICT)
    assert found.visible() == ["1   0.95"]
    assert not ran


def test_what_to_expect_of_the_slider_is_said_in_false_marks_per_film(found):
    found.slide(STRICT)
    assert "about 1 in 20 films" in found.ui.operatingLabel.text
    assert "test: 20 %" in found.ui.operatingLabel.text
    found.slide(SENSITIVE)
    assert "about 4.0 per film" in found.ui.operatingLabel.text
    assert "test: 80 %" in found.ui.operatingLabel.text


def test_tables_numbers_and_export_follow_the_slider(found, tmp_path):
    film = found.choices.inputVolume
    found.slide(SENSITIVE)
    outputs = found.outputs()
    assert outputs["tables/marks"].GetNumberOfRows() == 4
    found.slide(STRICT)
    assert outputs["tables/marks"].GetNumberOfRows() == 1
    assert outputs["tables/candidates"].GetNumberOfRows() == 4
    result = found.widget.logic.resultOf(film)
    assert (result.measurements["marks"], result.measurements["false_positives"]) == (1, 0.05)
    assert list(result.landmarks) == ["mark_1"]
    assert result.landmarks["mark_1"].name == "1"
    assert result.landmarks["mark_1"].confidence == 0.95
    found.widget.logic.export({"radiograph": film}, tmp_path / "out")
    with (tmp_path / "out" / "marks.csv").open(newline="") as file:
        assert [row["number"] for row in csv.DictReader(file)] == ["1"]
    found.slide(SENSITIVE)
    assert len(found.widget.logic.resultOf(film).landmarks) == 4


def test_the_slider_stands_where_it_stood_after_another_run_and_in_a_saved_scene(found, tmp_path):
    import slicer

    found.slide(68)
    found.run_here()
    assert [row[0] for row in cells(found.ui.marksTable)] == ["1", "2", "3"]
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear()
    assert found.ui.marksTable.rowCount == 0
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    found.app.process_events(0.1)
    assert found.ui.operatingSlider.value == 68
    assert [row[0] for row in cells(found.ui.marksTable)] == ["1", "2", "3"]
    found.slide(SENSITIVE)
    assert len(found.visible()) == 4


def test_a_size_that_is_no_nodule_s_is_not_told_as_a_number(found, tmp_path):
    film, sizes = found.choices.inputVolume, [60.0, 60.1, 143.7, 8.4]
    column = found.outputs()["tables/candidates"].GetTable().GetColumnByName("diameter_mm")
    for row, size in enumerate(sizes):
        column.SetValue(row, size)
    found.slide(SENSITIVE)
    assert [row[-1] for row in cells(found.ui.marksTable)] == ["60", "over 60", "over 60", "8"]
    assert found.widget.logic.resultOf(film).tables["marks"].column("diameter_mm") == sizes
    found.widget.logic.export({"radiograph": film}, tmp_path / "out")
    with (tmp_path / "out" / "marks.csv").open(newline="") as file:
        assert [float(row["diameter_mm"]) for row in csv.DictReader(file)] == sizes


def test_a_mark_without_a_diameter_shows_a_dash(user):
    from NoduleSynthLib.marks import size_text

    assert size_text(None) == "–"


def test_each_film_has_marks_of_its_own_and_the_slider_holds_for_all(found):
    found.choose(add_film("Other", seed=1))
    assert found.ui.marksTable.rowCount == 0
    found.run_here()
    found.slide(STRICT)
    found.choose(next(n for n in _films() if n.GetName() == "Film"))
    assert [row[0] for row in cells(found.ui.marksTable)] == ["1"]
    assert len(found.visible()) == 1


def _films():
    import slicer

    return slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")


def test_marks_lie_on_the_film_wherever_it_was_moved(found):
    import slicer
    import vtk

    film = found.choices.inputVolume
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 25.0)
    transform.SetMatrixTransformToParent(matrix)
    film.SetAndObserveTransformNodeID(transform.GetID())
    found.run_here()
    transform.GetMatrixTransformToParent(matrix)
    matrix.SetElement(1, 3, -40.0)
    transform.SetMatrixTransformToParent(matrix)
    mark = found.widget.logic.resultOf(film).landmarks["mark_2"]
    np.testing.assert_allclose(mark.position_ras, ras_of(film, *FOUND[1][:2]), atol=1e-4)


def test_marks_cannot_be_moved_added_or_lost(found):
    points = found.points()
    assert points.GetLocked()
    assert points.GetFixedNumberOfControlPoints()
    assert all(points.GetNthControlPointLocked(n) for n in range(points.GetNumberOfControlPoints()))
    found.slide(STRICT)
    assert points.GetNumberOfControlPoints() == 4
    assert points.GetLocked()


def test_the_csv_holds_the_marks_that_are_shown_and_overwrites_nothing(found, tmp_path):
    from slicer_standin import dialogs

    found.app.open_main_window()
    found.slide(STRICT)
    path = tmp_path / "marks.csv"
    dialogs.answer(str(tmp_path / "marks"))
    found.ui.csvButton.click()
    with path.open(newline="") as file:
        (row,) = list(csv.DictReader(file))
    assert (row["number"], float(row["score"])) == ("1", FOUND[0][2])
    dialogs.answer(str(path))
    found.ui.csvButton.click()
    assert "nothing is overwritten" in found.said()


def test_buttons_say_what_they_wait_for(user):
    for name in ("csvButton", "reportButton"):
        assert not getattr(user.ui, name).enabled
        assert "Press Apply" in getattr(user.ui, name).toolTip
    user.choose(add_film())
    user.run_here()
    assert user.ui.csvButton.enabled
    assert not user.ui.reportButton.enabled
    assert "not loaded from DICOM" in user.ui.reportButton.toolTip


def test_options_reach_the_method(user):
    user.choose(add_film())
    user.ui.limitCheckBox.checked = False
    user.ui.averageCheckBox.checked = True
    user.ui.filmMmSpinBox.value = 430.0
    user.ui.deviceComboBox.currentIndex = 1
    user.slide(SENSITIVE)
    request = user.widget.request(user.choices)
    assert request.device == "cpu"
    assert request.parameters == {
        "task": "detect", "false_positives": 4.0, "limit_to_lungs": False, "average": True, "film_mm": 430.0,
    }  # fmt: skip
    assert user.widget.logic.method.parameters_type.of(dict(request.parameters)).film_mm == 430.0


def test_an_image_of_several_slices_is_no_film(user):
    import slicer

    user.choose(slicer.util.addVolumeFromArray(np.zeros((4, 20, 20), np.int16)))
    assert not user.run_ui.applyButton.enabled
    assert "several slices" in user.run_ui.applyButton.toolTip


# --- synthesise -------------------------------------------------------------------------------------------------------


def test_from_nothing_needs_no_film_and_says_that_it_is_synthetic(user):
    user.open("synthesise")
    assert "Choose the image" in user.run_ui.applyButton.toolTip
    user.ui.baseComboBox.currentIndex = 1
    assert user.run_ui.applyButton.enabled
    outputs = user.apply()
    assert {"volumes/before", "volumes/after", "volumes/difference", "labelmaps/mask", "tables/nodules",
            "landmarks/nodule_1", "report"} <= set(outputs)  # fmt: skip
    assert "Synthetic film: not for diagnosis." in user.run_ui.alertLabel.text
    assert outputs["volumes/after"].GetAttribute("Manabi.caution") == "synthetic, not for diagnosis"
    assert len(cells(user.ui.truthTable)) == 1


def test_every_film_from_nothing_is_another_one_and_the_same_seed_makes_the_same_one(user):
    import slicer

    user.open("synthesise")
    user.ui.baseComboBox.currentIndex = 1
    first = slicer.util.arrayFromVolume(user.apply()["volumes/before"]).copy()
    assert user.choices.seed == 1
    assert not np.array_equal(slicer.util.arrayFromVolume(user.apply()["volumes/before"]), first)
    user.ui.newSeedCheckBox.checked = False
    user.ui.seedSpinBox.value = 0
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(user.apply()["volumes/before"]), first)
    assert user.choices.seed == 0


def test_number_size_density_and_interpolation_reach_the_method(user):
    user.choose(add_film())
    user.open("synthesise")
    user.ui.countSpinBox.value = 3
    user.ui.diameterSpinBox.value = 12.5
    user.ui.densityComboBox.currentIndex = 3
    user.choices.flow = "ours"
    assert user.ui.flowComboBox.currentText == "ours (not installed)"
    assert not user.ui.ratioSlider.enabled
    assert user.widget.request(user.choices).parameters["ratio"] == -1.0
    user.ui.ratioCheckBox.checked = False
    user.ui.ratioSlider.value = 40
    assert user.ui.ratioSlider.enabled
    assert user.widget.request(user.choices).parameters == {
        "task": "synthesise", "base": "input", "count": 3, "diameter_mm": 12.5, "density": "ground_glass", "place": "",
        "ratio": 0.4, "film_mm": 0.0, "flow": "ours", "pairs": 0,
    }  # fmt: skip
    outputs = user.run_here()
    assert outputs["tables/nodules"].GetNumberOfRows() == 3
    user.widget.logic.method.parameters_type.of(dict(user.widget.request(user.choices).parameters))


def test_a_click_into_the_film_puts_a_nodule_there(user):
    film = add_film()
    user.choose(film)
    user.open("synthesise")
    user.ui.diameterSpinBox.value = 40.0
    user.ui.placeButton.click()
    assert user.ui.placeButton.checked
    wanted = [ras_of(film, 0.4, 0.3), ras_of(film, 0.6, 0.7)]
    user.place(*wanted)
    assert user.ui.placesLabel.text == "2 places"
    user.ui.placeButton.click()
    assert not user.widget.sections.synthesis.places.placing
    result = user.widget.logic.resultOf(film, task="synthesise") if user.run_here() else None
    for number, point in enumerate(wanted, 1):
        np.testing.assert_allclose(result.landmarks[f"nodule_{number}"].position_ras, point, atol=1e-3)
    i, j, _ = np.linalg.inv(result.volumes["after"].ijk_to_ras)[:3] @ [*wanted[0], 1.0]
    assert result.labelmaps["mask"].volume.array[0, round(j), round(i)] == 1
    change = result.volumes["after"].array - result.volumes["before"].array
    assert change[0, round(j), round(i)] > 0
    assert (result.volumes["before"].array == chest()).all()


def test_a_place_beside_the_film_is_refused_and_can_be_cleared(user):
    film = add_film()
    user.choose(film)
    user.open("synthesise")
    user.place(ras_of(film, 0.4, 0.3), ras_of(film, 1.4, 0.3))
    assert not user.run_ui.applyButton.enabled
    assert "Place 2 lies beside the film" in user.run_ui.applyButton.toolTip
    user.ui.clearPlacesButton.click()
    assert user.run_ui.applyButton.enabled
    assert user.ui.placesLabel.text == "Anywhere in the lungs"
    assert not user.ui.clearPlacesButton.enabled


def test_places_count_on_films_only_and_the_button_says_so(user):
    film = add_film()
    user.choose(film)
    user.open("synthesise")
    user.place(ras_of(film, 0.4, 0.3))
    user.ui.baseComboBox.currentIndex = 1
    assert not user.ui.placeButton.enabled
    assert "on a film only" in user.ui.placeButton.toolTip
    assert user.widget.request(user.choices).parameters["place"] == ""
    user.ui.baseComboBox.currentIndex = 0
    assert user.widget.request(user.choices).parameters["place"].count(",") == 2


def test_ending_the_place_mode_by_the_escape_key_lets_the_button_up(user):
    import slicer

    user.choose(add_film())
    user.open("synthesise")
    user.ui.placeButton.click()
    assert user.ui.placeButton.checked
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    assert not user.ui.placeButton.checked


def test_leaving_the_module_ends_the_place_mode(user):
    import slicer

    user.choose(add_film())
    user.open("synthesise")
    user.ui.placeButton.click()
    user.widget.exit()
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() != interaction.Place
    user.widget.enter()
    assert not user.ui.placeButton.checked


def test_the_made_film_can_be_gone_on_from_and_searched(user):
    user.open("synthesise")
    user.ui.baseComboBox.currentIndex = 1
    assert not user.ui.goOnButton.enabled
    outputs = user.run_here()
    user.ui.goOnButton.click()
    assert user.choices.inputVolume is outputs["volumes/before"]
    assert user.ui.baseComboBox.currentIndex == 0
    assert user.ui.placeButton.enabled
    user.ui.baseComboBox.currentIndex = 1
    user.ui.lookButton.click()
    assert user.ui.tasksTab.currentIndex == 0
    assert user.choices.inputVolume is outputs["volumes/after"]
    assert user.run_ui.applyButton.enabled
    assert len(cells(user.ui.marksTable)) == 0
    user.run_here()
    assert len(cells(user.ui.marksTable)) == 2


# --- both -------------------------------------------------------------------------------------------------------------


def test_each_part_keeps_its_own_result_and_they_come_back_with_the_scene(user, tmp_path):
    import slicer

    film = add_film()
    user.choose(film)
    user.run_here()
    user.open("synthesise")
    assert user.ui.truthTable.rowCount == 0
    user.place(ras_of(film, 0.4, 0.3))
    user.run_here()
    user.ui.baseComboBox.currentIndex = 1
    assert user.ui.truthTable.rowCount == 0
    user.ui.countSpinBox.value = 2
    user.run_here()
    assert user.ui.truthTable.rowCount == 2
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    user.app.process_events(0.1)
    assert user.ui.tasksTab.currentIndex == 1
    assert user.ui.truthTable.rowCount == 2
    user.ui.baseComboBox.currentIndex = 0
    assert user.ui.truthTable.rowCount == 1
    assert user.ui.placesLabel.text == "1 place"
    user.open("detect")
    assert len(cells(user.ui.marksTable)) == 2


def test_undo_takes_the_last_result_of_either_part_back(user):
    user.open("synthesise")
    user.ui.baseComboBox.currentIndex = 1
    user.run_here()
    assert user.run_ui.undoButton.enabled
    user.run_ui.undoButton.click()
    assert not user.outputs()
    assert user.ui.truthTable.rowCount == 0


@pytest.mark.parametrize("tab", ["detect", "synthesise"])
def test_cancel_leaves_nothing_of_either_part(slicer_app, monkeypatch, tab):
    user = NoduleUser(slicer_app, monkeypatch, "slow-nodule")
    user.choose(add_film())
    user.open(tab)
    user.run_ui.applyButton.click()
    assert user.run_ui.applyButton.text == "Cancel"
    user.app.process_events(0.7)
    user.run_ui.applyButton.click()
    user.app.wait_until(lambda: user.widget.run is None, 30)
    assert not user.outputs()
    assert user.run_ui.applyButton.enabled
    assert user.choices.seed == 0


def test_flows_are_offered_for_making_films_and_refused_for_searching_them(user, monkeypatch):
    from types import SimpleNamespace

    def bundle(name, network):
        return SimpleNamespace(
            name=name, version="1", notice="", method="quick-nodule", trained_on="nobody", metrics={}, origin="user",
            shadows=None, weights_sha256="0" * 64, metadata={"task": "none"}, network={"name": network},
        )  # fmt: skip

    models = [bundle("a-flow", "glow"), bundle("detector", "unet")]
    monkeypatch.setattr(user.widget.modelsPanel, "_store", lambda: SimpleNamespace(list=lambda: models))
    user.choose(add_film())
    user.widget.refreshModels()
    assert user.widget.modelsPanel.current().name == "detector"
    flows = user.ui.flowComboBox
    assert [flows.itemText(n) for n in range(flows.count)] == ["The one that Manabi brings", "a-flow"]
    flows.currentIndex = 1
    user.open("synthesise")
    assert user.widget.request(user.choices).parameters["flow"] == "a-flow"
    flows.currentIndex = 0
    assert user.widget.request(user.choices).parameters["flow"] is None
    user.open("detect")
    assert user.run_ui.applyButton.enabled
    user.run_ui.modelComboBox.currentIndex = 0
    assert not user.run_ui.applyButton.enabled
    assert "Choose a detector" in user.run_ui.applyButton.toolTip


def test_only_the_search_shows_a_model_to_choose(user):
    assert not user.run_ui.modelComboBox.isHidden()
    user.open("synthesise")
    assert user.run_ui.modelComboBox.isHidden()


def test_closing_the_scene_leaves_a_panel_that_works(found):
    import slicer

    found.open("synthesise")
    found.place(ras_of(found.choices.inputVolume, 0.4, 0.3))
    slicer.mrmlScene.Clear()
    found.app.process_events(0.1)
    assert found.ui.placesLabel.text == "Anywhere in the lungs"
    found.open("detect")
    assert found.ui.marksTable.rowCount == 0
    found.choose(add_film())
    assert "landmarks/mark_1" in found.run_here()


def test_the_input_is_never_changed(user):
    import slicer

    film = add_film()
    user.choose(film)
    user.run_here()
    user.open("synthesise")
    user.run_here()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(film), chest())
