"""RadiomicsSurvival's panel, used as a user does, on the stand-in for Slicer."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from radiomics_panel_cohort import write_cohort
from radiomics_panel_user import GTV, NODE, PTV, RadiomicsUser, add_ct, add_segments, cells, fake_bundle

VOXEL_ML = 0.012


@pytest.fixture
def user(slicer_app, monkeypatch):
    return RadiomicsUser(slicer_app, monkeypatch)


# --- features -------------------------------------------------------------------------------------------------------


def test_image_and_segmentation_and_apply_is_all_there_is_to_do(user):
    assert "Choose the image" in user.run_ui.applyButton.toolTip
    user.choose(add_ct())
    assert "Choose the segmentation" in user.run_ui.applyButton.toolTip
    user.ui.segmentationSelector.setCurrentNode(add_segments(user.choices.inputVolume, Tumour=GTV))
    outputs = user.apply()
    assert {"tables/features", "tables/features_wide", "tables/key_features", "plots/volumes", "report"} <= set(outputs)
    assert outputs["tables/features"].GetTable().GetNumberOfRows() == 5


def test_all_segments_are_measured_and_keep_their_names(user):
    user.patient()
    rows = user.widget.logic.resultOf(*_run(user)).tables["key_features"].rows
    assert [row[0] for row in rows] == ["Tumour", "Lymph node"]
    np.testing.assert_allclose([row[2] for row in rows], [GTV.sum() * VOXEL_ML, NODE.sum() * VOXEL_ML])


def _run(user):
    user.run_here()
    return user.choices.inputVolume, True, user.choices.task.value


def test_an_unchecked_segment_neither_is_measured_nor_hides_what_it_overlaps(user):
    user.patient(GTV=GTV, PTV=PTV)
    with pytest.raises(ValueError, match="GTV and PTV overlap"):
        user.run_here()
    user.check("GTV")
    user.run_here()
    rows = user.widget.logic.resultOf(*_run(user)).tables["key_features"].rows
    assert [row[0] for row in rows] == ["GTV"]
    assert rows[0][2] == pytest.approx(GTV.sum() * VOXEL_ML)


def test_empty_segments_are_left_out_and_none_checked_is_refused_with_a_reason(user):
    user.patient(Tumour=GTV, Nothing=np.zeros_like(GTV))
    assert "tables/features" in user.run_here()
    user.check("Nothing")
    with pytest.raises(ValueError, match="Nothing is empty"):
        user.run_here()
    user.check()
    assert not user.run_ui.applyButton.enabled
    assert "at least one segment" in user.run_ui.applyButton.toolTip


def test_the_table_is_sorted_by_size_and_searched_by_words(user):
    import qt

    user.patient()
    user.run_here()
    table = user.ui.featuresTable
    assert len(cells(table)) == 10
    table.sortItems(1, qt.Qt.DescendingOrder)
    numbers = [float(row[1]) for row in cells(table) if row[1] != "undefined"]
    assert numbers == sorted(numbers, reverse=True)
    user.ui.searchEdit.text = "entropy lymph"
    assert [row[0] for row in cells(table)] == ["original_firstorder_Entropy"]
    assert "1 of 10 are shown" in user.ui.featuresLabel.text
    user.ui.searchEdit.text = ""
    assert len(cells(table)) == 10


def test_mode_preset_and_settings_are_stated_before_and_after(user):
    user.patient()
    assert user.ui.settingsLabel.text.startswith("IBSI")
    user.ui.presetComboBox.currentIndex = 1
    assert user.ui.settingsLabel.text.startswith("pyradiomics")
    user.ui.binCountSpinBox.value = 32
    assert "changed under Options" in user.ui.settingsLabel.text
    user.run_here()
    assert "5 features of Tumour, Lymph node. Mode ibsi" in user.ui.featuresLabel.text
    assert "settings pyradiomics (abababab)" in user.ui.featuresLabel.text
    assert user.widget.request(user.choices).parameters == {
        "task": "features", "preset": "pyradiomics", "bin_count": 32, "wavelets": False, "engine": "manabi",
    }  # fmt: skip


def test_the_csv_holds_every_digit_and_overwrites_nothing(user, tmp_path):
    user.app.open_main_window()
    assert not user.ui.saveTableButton.enabled
    assert "Press Apply" in user.ui.saveTableButton.toolTip
    user.patient()
    user.run_here()
    from slicer_standin import dialogs

    path = tmp_path / "features.csv"
    dialogs.answer(str(path))
    user.ui.saveTableButton.menu().actions()[0].trigger()
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    exact = user.widget.logic.resultOf(user.choices.inputVolume, task="features").tables["features"].column("value")
    assert [row["value"] for row in rows[:3]] == [repr(float(value)) for value in exact[:3]]
    assert rows[0]["settings_preset"] == "default"
    dialogs.answer(str(path))
    user.ui.saveTableButton.menu().actions()[0].trigger()
    assert "nothing is overwritten" in user.said()


def test_the_measured_copy_is_hidden_and_the_user_s_segmentation_stays_as_it_is(user):
    import slicer

    image = user.patient()
    node = user.ui.segmentationSelector.currentNode()
    before = slicer.util.arrayFromSegmentBinaryLabelmap(node, "tumour", image).copy()
    outputs = user.run_here()
    assert not outputs["labelmaps/segments"].GetDisplayNode().GetVisibility()
    assert node.GetDisplayNode().GetVisibility()
    np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(node, "tumour", image), before)


# --- the patient's risk ---------------------------------------------------------------------------------------------


def test_without_a_model_the_risk_says_how_to_get_one(user):
    user.patient()
    user.open("risk")
    assert not user.run_ui.applyButton.enabled
    assert "No model" in user.run_ui.applyButton.toolTip
    assert "Fit one under Cohort" in user.ui.verdictLabel.text


def test_the_form_asks_for_what_the_model_takes_and_its_values_reach_the_method(slicer_app, monkeypatch):
    user = RadiomicsUser(slicer_app, monkeypatch, bundle=fake_bundle())
    user.patient()
    user.open("risk")
    assert user.ui.verdictLabel.text.startswith("Predicts survival. Out of fold: Harrell C 0.61 (0.52 to 0.70).")
    assert user.ui.verdictLabel.text.endswith("It is not shown to be better than the volume alone.")
    form = user.widget.sections.form
    stage, age = form.widget("stage"), form.widget("age_years")
    assert [stage.itemText(n) for n in range(stage.count)] == ["not known", "IA", "IB", "II"]
    age.text = "old"
    assert "age_years must be a number" in user.run_ui.applyButton.toolTip
    age.text, stage.currentIndex = "70", 2
    request = user.widget.request(user.choices)
    assert request.parameters["clinical"] == "stage=IB;age_years=70;"
    assert request.bundle == "radiomics-test"
    stage.currentIndex = 0
    assert user.choices.clinical == "age_years=70;"


def test_risk_percentile_survival_and_drivers_are_shown_with_alerts_apart(slicer_app, monkeypatch):
    user = RadiomicsUser(slicer_app, monkeypatch, bundle=fake_bundle())
    user.patient(Tumour=GTV)
    user.open("risk")
    user.widget.sections.form.widget("age_years").text = "70"
    outputs = user.run_here()
    assert {"plots/survival", "plots/contributions", "tables/contributions", "tables/survival"} <= set(outputs)
    assert "Tumour: HIGH risk" in user.ui.riskLabel.text
    assert "Percentile 70 of the cohort (risk 0.70)" in user.ui.riskLabel.text
    assert cells(user.ui.survivalTable)[0] == ["1 year", "83%", "78% (63% – 93%)"]
    assert [row[0] for row in cells(user.ui.survivalTable)] == ["1 year", "2 years", "3 years", "5 years"]
    assert cells(user.ui.driversTable)[2] == ["−0.200", "lowers it", "original_glcm_Contrast"]
    alert = user.run_ui.alertLabel.text
    assert "Outside the cohort" in alert and "No better than the volume alone" in alert
    assert "Harrell C 0.61" in user.run_ui.warningLabel.text
    assert "Harrell C" not in alert


def test_a_model_of_two_images_waits_for_the_second_one(slicer_app, monkeypatch):
    user = RadiomicsUser(slicer_app, monkeypatch, bundle=fake_bundle(second=True))
    image = user.patient()
    user.open("risk")
    assert "Choose the second image" in user.run_ui.applyButton.toolTip
    user.ui.secondSelector.setCurrentNode(image)
    assert "chosen twice" in user.run_ui.applyButton.toolTip
    user.ui.secondSelector.setCurrentNode(add_ct("T2"))
    assert user.run_ui.applyButton.enabled


# --- cohort ---------------------------------------------------------------------------------------------------------


def test_a_cohort_needs_no_image_and_says_which_column_is_missing(user, tmp_path):
    features, outcomes = write_cohort(tmp_path, 12)
    user.open("cohort")
    assert user.ui.inputsCollapsibleButton.isHidden()
    assert "table of features" in user.run_ui.applyButton.toolTip
    user.ui.featuresCsvEdit.currentPath = str(features)
    assert "table of outcomes" in user.run_ui.applyButton.toolTip
    user.ui.outcomesCsvEdit.currentPath = str(outcomes)
    assert user.run_ui.applyButton.enabled
    user.ui.timeColumnEdit.text = "days"
    assert "outcomes has no column days" in user.run_ui.applyButton.toolTip
    assert "time_days" in user.run_ui.applyButton.toolTip


def test_clinical_columns_are_suggested_from_the_table(user, tmp_path):
    features, outcomes = write_cohort(tmp_path, 12)
    user.open("cohort")
    assert not user.ui.suggestButton.enabled
    user.ui.featuresCsvEdit.currentPath, user.ui.outcomesCsvEdit.currentPath = str(features), str(outcomes)
    user.ui.suggestButton.click()
    assert user.choices.clinicalColumns == "age_years=numeric;sex=categorical;stage=categorical;"
    assert user.ui.clinicalColumnsEdit.text == user.choices.clinicalColumns


def test_a_cohort_is_evaluated_beside_slicer_and_its_models_stand_side_by_side(user, tmp_path):
    features, outcomes = write_cohort(tmp_path, 12)
    user.open("cohort")
    user.ui.featuresCsvEdit.currentPath, user.ui.outcomesCsvEdit.currentPath = str(features), str(outcomes)
    user.ui.bundlePlaceEdit.currentPath = str(tmp_path)
    (tmp_path / "radiomics-site").mkdir()
    outputs = user.apply()
    assert {"tables/scores", "tables/differences", "plots/blocks", "plots/survival", "report"} <= set(outputs)
    heads = [user.ui.scoresTable.horizontalHeaderItem(c).text() for c in range(3)]
    assert heads == ["Out of fold", "Harrell C", "Uno C"]
    assert [row[0] for row in cells(user.ui.scoresTable)] == ["clinical", "volume", "radiomics", "combined"]
    assert cells(user.ui.scoresTable)[3][1] == "0.61 (0.45–0.70)"
    assert cells(user.ui.differencesTable) == [["combined - volume: Harrell C", "−0.02 (−0.10–0.06)"]]
    assert user.ui.cohortLabel.text.startswith("90 patients, 60 events")
    assert "No better than the volume alone" in user.run_ui.alertLabel.text
    assert user.choices.fittedFolder == str(tmp_path / "radiomics-site-2")
    assert (tmp_path / "radiomics-site-2").is_dir()
    assert user.ui.useModelButton.enabled


def test_each_part_keeps_its_own_result_and_they_come_back_with_the_scene(slicer_app, monkeypatch, tmp_path):
    import slicer

    user = RadiomicsUser(slicer_app, monkeypatch, bundle=fake_bundle())
    features, outcomes = write_cohort(tmp_path, 12)
    user.patient()
    user.run_here()
    user.open("cohort")
    user.ui.featuresCsvEdit.currentPath, user.ui.outcomesCsvEdit.currentPath = str(features), str(outcomes)
    user.run_here()
    user.open("risk")
    user.run_here()
    user.check("Lymph node")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear()
    assert user.ui.riskLabel.text == ""
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    user.app.process_events(0.1)
    assert user.ui.tasksTab.currentIndex == 1
    assert user.choices.leftOut == ["tumour"]
    assert "Tumour: low risk" in user.ui.riskLabel.text
    user.open("cohort")
    assert user.ui.scoresTable.rowCount == 4
    assert user.ui.featuresCsvEdit.currentPath == str(features)
    user.open("features")
    assert user.ui.featuresTable.rowCount == 10


@pytest.mark.parametrize("tab", ["features", "cohort"])
def test_cancel_leaves_nothing_of_any_part(slicer_app, monkeypatch, tmp_path, tab):
    user = RadiomicsUser(slicer_app, monkeypatch, "slow-radiomics")
    user.patient()
    features, outcomes = write_cohort(tmp_path, 12)
    user.ui.featuresCsvEdit.currentPath, user.ui.outcomesCsvEdit.currentPath = str(features), str(outcomes)
    user.ui.bundlePlaceEdit.currentPath = str(tmp_path)
    user.open(tab)
    user.run_ui.applyButton.click()
    assert user.run_ui.applyButton.text == "Cancel"
    user.app.process_events(0.7)
    user.run_ui.applyButton.click()
    user.app.wait_until(lambda: user.widget.run is None, 30)
    assert not user.widget.shownOutputs()
    assert not (tmp_path / "radiomics-site").exists()
    assert user.run_ui.applyButton.enabled


def test_undo_takes_the_last_result_of_any_part_back(user):
    image = user.patient()
    user.run_here()
    assert user.run_ui.undoButton.enabled
    user.run_ui.undoButton.click()
    assert not user.widget.logic.outputsOf(image, "features")
    assert user.ui.featuresTable.rowCount == 0


def test_report_export_and_buttons_say_what_they_wait_for(user, tmp_path):
    assert not user.ui.reportButton.enabled
    assert "Press Apply" in user.ui.reportButton.toolTip
    assert not user.ui.useModelButton.enabled
    user.patient()
    user.run_here()
    assert user.ui.reportButton.enabled
    user.widget.logic.export(user.widget.inputNodes(), tmp_path / "out", task="features")
    assert {"features.csv", "features_wide.csv", "key_features.csv"} <= {p.name for p in (tmp_path / "out").iterdir()}


def test_closing_the_scene_leaves_a_panel_that_works(user):
    import slicer

    user.patient()
    user.run_here()
    slicer.mrmlScene.Clear()
    user.app.process_events(0.1)
    assert user.ui.segmentsList.count == 0
    assert user.ui.featuresTable.rowCount == 0
    user.patient()
    assert "tables/features" in user.run_here()
