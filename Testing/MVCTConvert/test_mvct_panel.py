"""MVCTConvert's panel, used as a user does, on the stand-in for Slicer."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
from mvct_panel_methods import DO_NOT_USE, NOTE, REASON, WORST
from mvct_panel_user import BUTTONS, MVCTUser, add_ct, oblique

from manabi.mvct.parameters import MVCTParameters


@pytest.fixture
def user_of(slicer_app, monkeypatch):
    """A function that gives a user whose Apply runs the named method."""
    return lambda method="quick-mvct": MVCTUser(slicer_app, monkeypatch, method)


@pytest.fixture
def user(user_of):
    return user_of()


def asked(user):
    """What Apply would ask for now."""
    return user.widget.request(user.widget._parameterNode)


# --- before a run -------------------------------------------------------------------------------------------------


def test_everything_waits_for_a_ct_and_a_result_and_says_so(user):
    assert not user.run_ui.applyButton.enabled
    assert "Choose the image" in user.run_ui.applyButton.toolTip
    assert user.enabled() == []
    assert {user.button(name).toolTip for name in BUTTONS} == {"There is no result yet. Press Apply first."}
    assert not user.ui.dicomButton.enabled
    assert "Press Apply first" in user.ui.dicomButton.toolTip
    assert user.verdict() == ""
    user.choose(add_ct())
    assert user.run_ui.applyButton.enabled


def test_one_volume_cannot_be_chosen_twice(user):
    scan = add_ct()
    user.choose(scan)
    for selector in (user.ui.referenceSelector, user.ui.outputSelector):
        selector.setCurrentNode(scan)
        assert not user.run_ui.applyButton.enabled
        assert "another volume" in user.run_ui.applyButton.toolTip
        selector.setCurrentNode(None)
    assert user.run_ui.applyButton.enabled


def test_an_ensemble_waits_for_the_names_of_its_models(user):
    user.choose(add_ct())
    user.ui.uncertaintyComboBox.currentIndex = 2
    assert not user.run_ui.applyButton.enabled
    assert "Name them under Options" in user.run_ui.applyButton.toolTip
    user.ui.membersLineEdit.text = "mine-1, mine-2"
    user.ui.membersLineEdit.editingFinished()
    assert user.run_ui.applyButton.enabled
    assert asked(user).parameters["members"] == "mine-1, mine-2"


# --- choices ------------------------------------------------------------------------------------------------------


def test_every_choice_of_the_panel_reaches_the_method(user):
    scan, planning = add_ct(), add_ct("Planning", seed=1)
    user.choose(scan)
    user.ui.referenceSelector.setCurrentNode(planning)
    user.ui.kindComboBox.currentIndex = 2
    user.ui.uncertaintyComboBox.currentIndex = 3
    user.ui.residualCheckBox.checked = False
    user.ui.converterComboBox.currentIndex = 3
    user.ui.strengthSlider.value = 80
    user.ui.keepDetailSlider.value = 25
    user.ui.doseCheckBox.checked = True
    user.ui.wayBackComboBox.currentIndex = 1
    user.ui.bodyCheckBox.checked = False
    user.ui.gateComboBox.currentIndex = 1
    user.ui.densityCheckBox.checked = False
    for name in ("members", "densitySource", "densityTarget"):
        edit = getattr(user.ui, f"{name}LineEdit")
        edit.text = f"/somewhere/{name}.csv"
        edit.editingFinished()
    user.ui.deviceComboBox.currentIndex = 1
    user.ui.precisionComboBox.currentIndex = 1
    request = asked(user)
    assert dict(request.nodes) == {"ct": scan, "reference": planning}
    assert request.parameters == {
        "converter": "nlm", "image": "cbct", "way_back": "resample", "body_only": False, "strength": 0.8,
        "keep_detail": 0.25, "dose": True,
        "uncertainty": "dropout", "members": "/somewhere/members.csv", "residual": False, "gate": "refuse",
        "density": False, "density_source": "/somewhere/densitySource.csv",
        "density_target": "/somewhere/densityTarget.csv",
    }  # fmt: skip
    assert (request.device, request.precision) == ("cpu", "float32")


def test_the_panel_begins_with_the_method_s_own_defaults_and_forgets_no_parameter(user):
    user.choose(add_ct())
    request = asked(user)
    assert MVCTParameters.of(dict(request.parameters)) == MVCTParameters()
    assert set(request.parameters) == {field.name for field in dataclasses.fields(MVCTParameters)}


def test_process_and_request_take_the_same_options(user):
    logic = type(user.widget.logic)
    options = {name: p.default for name, p in inspect.signature(logic.process).parameters.items()}
    assert options.pop("onProgress") is None
    assert options == {name: p.default for name, p in inspect.signature(logic.request).parameters.items()}


def test_a_site_s_table_is_chosen_as_a_file(user, tmp_path):
    path = tmp_path / "Elektronendichte é.csv"
    path.write_text("hu,density\n", encoding="utf-8")
    user.app.open_main_window()
    user.app.answer(str(path))
    user.ui.densityTargetButton.click()
    assert asked(user).parameters["density_target"] == str(path)
    assert user.ui.densityTargetLineEdit.text == str(path)


# --- a run --------------------------------------------------------------------------------------------------------


def test_apply_gives_a_result_beside_the_input_which_stays_as_it_was(user):
    import slicer

    scan = add_ct(matrix=oblique())
    kept = slicer.util.arrayFromVolume(scan).copy()
    user.choose(scan)
    outputs = user.apply()
    assert {"volumes/converted", "volumes/difference", "volumes/uncertainty", "volumes/residual",
            "volumes/gradient_difference", "labelmaps/tissues", "labelmaps/body", "tables/hu_check",
            "plots/histogram", "measurements", "report"} <= set(outputs)  # fmt: skip
    assert outputs["volumes/converted"].GetName() == "Neck converted"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(scan), kept)
    there, here = [0.0] * 6, [0.0] * 6
    scan.GetRASBounds(there)
    outputs["volumes/converted"].GetRASBounds(here)
    np.testing.assert_allclose(here, there, atol=1e-6)


def test_a_volume_chosen_as_output_gets_the_converted_ct(user):
    import slicer

    user.choose(add_ct())
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Mine")
    user.ui.outputSelector.setCurrentNode(mine)
    assert user.apply()["volumes/converted"] is mine


def test_what_was_not_computed_says_how_to_get_it(user):
    user.choose(add_ct())
    user.ui.uncertaintyComboBox.currentIndex = 0
    user.ui.residualCheckBox.checked = False
    user.apply()
    assert set(BUTTONS) - set(user.enabled()) == {"uncertainty", "residual"}
    assert "Choose how under Uncertainty" in user.button("uncertainty").toolTip
    assert "Tick Way back" in user.button("residual").toolTip
    user.ui.residualCheckBox.checked = True
    user.apply()
    assert "residual" in user.enabled()
    assert "HU" in user.button("residual").toolTip


def test_a_good_result_says_so_at_the_top_and_nothing_twice(user):
    user.choose(add_ct())
    user.apply()
    assert "Checks passed" in user.verdict()
    assert "not for dose" in user.verdict()
    assert user.boxes().keys() == {"warning"}
    assert NOTE in user.boxes()["warning"]


def test_a_doubtful_result_gives_its_reasons_at_the_top(user_of):
    user = user_of("doubtful-mvct")
    user.choose(add_ct())
    user.apply()
    assert "Look before you use it" in user.verdict()
    assert REASON in user.verdict()
    assert REASON not in " ".join(user.boxes().values())


def test_a_useless_result_is_red_and_belongs_to_its_scan(user_of, tmp_path):
    import slicer

    user = user_of("useless-mvct")
    one, other = add_ct("One"), add_ct("Other", seed=2)
    user.choose(one)
    user.apply()
    assert "Do not use this result" in user.verdict()
    assert user.verdict().index(WORST) < user.verdict().index(REASON)
    assert "#b3261e" in user.ui.verdictFrame.styleSheet
    assert DO_NOT_USE not in " ".join(user.boxes().values())
    user.choose(other)
    assert user.verdict() == ""
    user.choose(one)
    assert WORST in user.verdict()
    path = str(tmp_path / "scene.mrb")
    slicer.util.saveScene(path)
    slicer.mrmlScene.Clear()
    assert user.verdict() == ""
    slicer.util.loadScene(path)
    user.app.process_events(0.1)
    assert WORST in user.verdict()


def test_the_hu_check_stands_in_the_panel_in_red_and_green(user):
    user.choose(add_ct())
    user.ui.referenceSelector.setCurrentNode(add_ct("Planning", seed=1))
    user.apply()
    table = user.ui.huTable
    heads = [table.horizontalHeaderItem(c).text() for c in range(table.columnCount)]
    assert heads == ["Tissue", "Input", "Converted", "Planning", "Expected", "Check"]
    rows = user.hu_rows()
    assert [row[0] for row in rows] == ["Fat", "Muscle", "Bone"]
    assert rows[0][4] == "−72 ± 40"
    assert int(rows[0][1].replace("−", "-")) == pytest.approx(-50, abs=2)
    assert [row[-1] for row in rows] == ["OK", "OK", "Off"]
    inks = [[table.item(r, c).foreground().color().name() for c in (2, 5)] for r in range(3)]
    assert inks[2] == ["#b3261e", "#b3261e"]
    assert inks[0][1] == "#2e7d32" != inks[0][0]


def test_contrast_noise_and_thickness_stand_below_the_table(user):
    user.choose(add_ct())
    user.apply()
    lines = user.ui.qualityLabel.text.split("\n")
    assert lines[0].startswith("Contrast to noise of muscle and fat: ") and " before, " in lines[0]
    assert lines[1].startswith("Noise in soft tissue (HU): ")
    assert lines[2] == "Water-equivalent thickness of the patient: −0.4 % at most"


# --- comparing ----------------------------------------------------------------------------------------------------


def test_one_comparison_or_map_is_chosen_with_the_sliders_that_it_needs(user):
    user.choose(add_ct())
    user.apply()
    user.ui.resultCollapsibleButton.collapsed = False
    assert user.chosen() == ["checkerboard"] and user.sliders() == ["tile"]
    wanted = {"checkerboard": "tile", "flicker": "flicker", "blend": "opacity", "wipe": "wipe",
              "difference": "opacity", "uncertainty": "opacity", "residual": "opacity", "edges": "opacity"}  # fmt: skip
    for name, slider in wanted.items():
        user.button(name).click()
        assert user.chosen() == [name]
        assert user.sliders() == [slider]
        assert user.seen("againstComboBox") == (name in BUTTONS[:4])
    user.button("edges").click()
    assert user.chosen() == ["edges"]


def test_comparing_with_the_planning_ct_waits_for_one(user):
    user.choose(add_ct())
    user.apply()
    assert not user.ui.againstComboBox.enabled
    assert "Choose one under Scan" in user.ui.againstComboBox.toolTip
    user.ui.referenceSelector.setCurrentNode(add_ct("Planning", seed=1))
    assert user.ui.againstComboBox.enabled


def test_choices_come_back_with_the_saved_scene(user, tmp_path):
    import slicer

    user.choose(add_ct())
    user.apply()
    user.button("uncertainty").click()
    user.ui.opacitySlider.value = 35
    user.ui.windowComboBox.currentIndex = 1
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear()
    assert user.enabled() == []
    slicer.util.loadScene(path)
    user.app.process_events(0.1)
    assert user.chosen() == ["uncertainty"]
    assert (user.ui.opacitySlider.value, user.ui.windowComboBox.currentIndex) == (35, 1)
    assert user.hu_rows()[1][0] == "Muscle"


def test_undo_of_the_first_run_takes_the_verdict_along(user):
    user.choose(add_ct())
    user.apply()
    user.run_ui.undoButton.click()
    assert user.outputs() == {}
    assert user.verdict() == ""
    assert user.hu_rows() == []
    assert user.ui.qualityLabel.text == ""


def test_cancel_changes_nothing(user_of):
    user = user_of("slow-mvct")
    user.choose(add_ct())
    button = user.run_ui.applyButton
    button.click()
    user.app.wait_until(lambda: "Slices 1" in user.run_ui.statusLabel.text, 30)
    user.app.process_events(0.6)
    button.click()
    user.app.wait_until(lambda: button.text == "Apply", 20)
    assert user.outputs() == {}
    assert user.run_ui.statusLabel.text.startswith("Cancelled")


# --- DICOM --------------------------------------------------------------------------------------------------------


def exported(folder):
    import pydicom

    paths = [path for path in folder.rglob("converted/*") if path.is_file()]
    return sorted((pydicom.dcmread(path) for path in paths), key=lambda one: float(one.ImagePositionPatient[2]))


def test_the_dicom_button_writes_a_ct_that_says_what_it_is(user, tmp_path):
    import slicer

    user.app.open_main_window()
    user.choose(add_ct())
    outputs = user.apply()
    assert "not for dose" in user.ui.dicomButton.toolTip
    user.app.answer(str(tmp_path))
    user.ui.dicomButton.click()
    assert user.boxes().keys() <= {"warning"}, user.boxes()
    slices = exported(tmp_path)
    assert len(slices) == 12
    first = slices[0]
    assert (first.Modality, list(first.ImageType)[:2]) == ("CT", ["DERIVED", "SECONDARY"])
    assert "synthetic, not for dose" in first.SeriesDescription
    stored = np.stack([one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in slices])
    wanted = slicer.util.arrayFromVolume(outputs["volumes/converted"])
    np.testing.assert_allclose(stored.sum(), wanted.astype(float).sum(), rtol=1e-6)
    assert "Exported to" in user.run_ui.statusLabel.text


def test_the_structures_of_the_input_are_written_for_the_exported_ct(user, tmp_path, monkeypatch):
    asked_for = {}

    def written(rtstruct, files, path, *, provenance):
        asked_for.update(rtstruct=str(rtstruct), files=len(files), about=set(provenance))
        path.write_bytes(b"")
        return path

    user.app.open_main_window()
    assert not user.ui.structuresButton.enabled and "Press Apply first" in user.ui.structuresButton.toolTip
    user.choose(add_ct())
    user.apply()
    place = tmp_path / "place"
    place.mkdir()
    user.app.answer(str(place))
    user.ui.dicomButton.click()
    (folder,) = place.iterdir()
    monkeypatch.setattr("manabi.io.dicom.write_structures", written)
    for number in (1, 2):
        user.app.answer("RS.dcm")
        user.app.answer(str(folder))
        user.ui.structuresButton.click()
        assert (folder / f"structures-{number}.dcm").is_file()
        assert "Structures written to" in user.run_ui.statusLabel.text
    assert asked_for["rtstruct"] == "RS.dcm" and asked_for["files"] == 12 and "method" in asked_for["about"]


def test_structures_without_an_exported_ct_are_refused(user, tmp_path):
    user.app.open_main_window()
    user.choose(add_ct())
    user.apply()
    user.app.answer("RS.dcm")
    user.app.answer(str(tmp_path))
    user.ui.structuresButton.click()
    assert "holds no exported CT" in str(user.boxes())


@pytest.mark.parametrize(("sure", "files"), [(False, 0), (True, 12)])
def test_dicom_of_a_useless_result_is_written_only_after_a_question(user_of, tmp_path, sure, files):
    user = user_of("useless-mvct")
    user.app.open_main_window()
    user.choose(add_ct())
    user.apply()
    user.app.answer(sure)
    if sure:
        user.app.answer(str(tmp_path))
    user.ui.dicomButton.click()
    assert len(exported(tmp_path)) == files
