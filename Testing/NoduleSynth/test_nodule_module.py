"""NoduleSynth as Slicer loads it: self-test, sample data, import cost, console use, whole runs with the method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nodule_panel_user import NoduleUser, add_film, ras_of
from slicer_standin.import_cost import HEAVY, MOST, import_cost

from manabi import registry

needs_method = pytest.mark.skipif(
    "nodule" not in registry.METHODS or "radiograph" not in registry.PHANTOMS, reason="the method is not registered"
)


@needs_method
@pytest.mark.slow
def test_the_module_s_own_test_passes(slicer_app):
    slicer_app.run_module_test("NoduleSynth")
    assert not slicer_app.problems()


def test_importing_the_module_costs_little_and_loads_nothing_heavy():
    costs, loaded = import_cost("NoduleSynth", already="import csv, numpy", tries=3)
    assert min(costs) < MOST, costs
    assert {"NoduleSynth", "NoduleSynthLib", "manabi", "manabi_slicer"} <= loaded
    assert not loaded & HEAVY


def test_the_sample_film_is_listed_once_when_slicer_has_started(slicer_app, monkeypatch):
    import slicer

    monkeypatch.setitem(registry.PHANTOMS, "radiograph", registry.Entry("radiograph", "", "", ""))
    slicer_app.module("NoduleSynth")
    slicer_app.start_up()
    listed = [one for one in slicer.modules.sampleDataSources["Manabi"] if one.sampleName == "ChestFilm"]
    assert len(listed) == 1
    assert Path(listed[0].thumbnailFileName).is_file()


def test_the_panel_s_choices_and_the_slider_s_ends_are_the_method_s(slicer_app):
    from typing import get_args, get_type_hints

    slicer_app.module("NoduleSynth")
    from NoduleSynthLib import tasks
    from NoduleSynthLib.parameters import Base, Density, Task

    from manabi.nodule.parameters import HIGHEST_FALSE_POSITIVES, LOWEST_FALSE_POSITIVES, NoduleParameters

    hints = get_type_hints(NoduleParameters)
    for choices, name in ((Task, "task"), (Base, "base"), (Density, "density")):
        assert {one.value for one in choices} == set(get_args(hints[name]))
    assert (tasks.STRICTEST, tasks.LOOSEST) == (LOWEST_FALSE_POSITIVES, HIGHEST_FALSE_POSITIVES)
    assert NoduleParameters().false_positives == tasks.USUAL
    asked = tasks.detect_request(None).parameters
    assert NoduleParameters.of(asked) == NoduleParameters()
    made = tasks.synthesis_request(None).parameters
    assert NoduleParameters.of({**made, "task": "detect"}) == NoduleParameters()


def test_the_slider_goes_evenly_in_factors_and_every_step_comes_back(slicer_app):
    slicer_app.module("NoduleSynth")
    from NoduleSynthLib.marks_panel import STEPS, false_positives_of, step_of

    values = [false_positives_of(step) for step in range(STEPS + 1)]
    assert (values[0], values[-1]) == (0.05, 4.0)
    assert all(a <= b for a, b in zip(values, values[1:], strict=False))
    assert all(abs(step_of(value) - step) <= 1 for step, value in enumerate(values))
    assert values[50] == pytest.approx((0.05 * 4.0) ** 0.5, rel=0.02)


def test_detection_from_the_console_without_the_panel(slicer_app, monkeypatch):
    user = NoduleUser(slicer_app, monkeypatch)
    logic, film = type(user.widget.logic)(), add_film()
    outputs = logic.detect(film, falsePositives=0.05, limitToLungs=False, device="cpu")
    assert list(logic.resultOf(film).landmarks) == ["mark_1"]
    logic.setFalsePositives(film, 1.0)
    assert list(logic.resultOf(film).landmarks) == ["mark_1", "mark_2", "mark_3"]
    assert outputs["tables/marks"].GetNumberOfRows() == 3
    with pytest.raises(ValueError, match="none was given"):
        logic.detect(None)


def test_synthesis_from_the_console_with_a_film_and_from_nothing(slicer_app, monkeypatch):
    import slicer

    user = NoduleUser(slicer_app, monkeypatch)
    logic, film = type(user.widget.logic)(), add_film()
    place = ras_of(film, 0.5, 0.3)
    logic.synthesise(film, places=[place], diameterMm=20.0, ratio=0.5, seed=3)
    result = logic.resultOf(film, task="synthesise")
    np.testing.assert_allclose(result.landmarks["nodule_1"].position_ras, place, atol=1e-3)
    assert result.measurements["ratio"] == 0.5
    outputs = logic.synthesise(count=2, seed=4)
    assert logic.outputsOf(logic.nothingNode(), "synthesise") == outputs
    assert logic.resultOf(logic.nothingNode()).provenance["parameters"]["base"] == "phantom"
    assert logic.resultOf(film, task="synthesise").provenance["parameters"]["base"] == "input"
    first = slicer.util.arrayFromVolume(outputs["volumes/after"]).copy()
    again = logic.synthesise(count=2, seed=4)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(again["volumes/after"]), first)


def test_films_from_nothing_are_exported_without_a_film(slicer_app, monkeypatch, tmp_path):
    user = NoduleUser(slicer_app, monkeypatch)
    logic = user.widget.logic
    logic.synthesise(count=1)
    logic.export({"radiograph": None}, tmp_path / "out", task="synthesise")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"before.nrrd", "after.nrrd", "nodules.csv", "result.json"} <= names
    assert "synthetic, not for diagnosis" in (tmp_path / "out" / "after.nrrd").read_bytes()[:4000].decode("latin-1")


def test_the_name_under_which_slicer_saves_a_synthetic_film_says_so(slicer_app, monkeypatch):
    user = NoduleUser(slicer_app, monkeypatch)
    film = add_film()
    for _ in range(2):
        outputs = user.widget.logic.synthesise(film)
        assert outputs["volumes/after"].GetName() == "Film after (synthetic, not for diagnosis)"
    assert user.widget.logic.detect(film)["volumes/heat_map"].GetName() == "Film heat map"
    assert film.GetName() == "Film"


def test_detection_can_be_stopped_and_leaves_nothing(slicer_app, monkeypatch):
    import slicer

    class StopError(Exception):
        pass

    def progress(fraction, text):
        if fraction > 0.3:
            raise StopError

    user = NoduleUser(slicer_app, monkeypatch)
    film = add_film()
    count = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(StopError):
        user.widget.logic.detect(film, onProgress=progress)
    assert slicer.mrmlScene.GetNumberOfNodes() == count


@pytest.fixture
def real(monkeypatch):
    """The method itself, with an untrained detector for it."""
    if "nodule" not in registry.METHODS:
        monkeypatch.setenv("MANABI_METHODS", "nodule=manabi.nodule.method:NoduleSynth")


def drawn_film(folder):
    """A film of fixtures_nodule with a bright blob, as a DICOM file of either polarity."""
    from fixtures_nodule import chest, with_blob
    from nodule_panel_films import write_dicom

    film = np.rint(4095 * with_blob(chest(), 0.5, 0.3, 0.03)).astype(np.uint16)
    return write_dicom(folder / "film.dcm", monochrome1=True, pixels=film, ImagerPixelSpacing=[1.6, 1.6])


def test_the_method_itself_searches_a_film_and_its_report_refers_to_it(slicer_app, real, tmp_path):
    """Names of what the panel shows are the method's; the report holds the marks of the slider's place."""
    import pydicom
    from fixtures_nodule import write_stand_in

    model = str(write_stand_in(tmp_path / "model").folder)
    widget = slicer_app.open_widget("NoduleSynth")
    logic, path = widget.logic, drawn_film(tmp_path)
    film = logic.openFilm(path)
    outputs = logic.detect(film, model=model, device="cpu", limitToLungs=False)
    assert {"volumes/heat_map", "tables/marks", "tables/candidates", "tables/operating_points"} <= set(outputs)
    size = outputs["volumes/heat_map"].GetImageData().GetDimensions()
    assert size == film.GetImageData().GetDimensions()
    widget.ui.inputSelector.setCurrentNode(film)
    widget.ui.operatingSlider.value = 100
    every = outputs["tables/candidates"].GetNumberOfRows()
    assert widget.ui.marksTable.rowCount == every > 0
    assert widget.ui.marksTable.item(0, 0).text() == "1"
    report = logic.saveReport(film, tmp_path / "report.dcm")
    read = pydicom.dcmread(report)
    assert read.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.65"
    assert str(pydicom.dcmread(path).SOPInstanceUID) in str(read)


def test_the_method_itself_puts_a_nodule_where_it_was_clicked(slicer_app, real, tmp_path):
    widget = slicer_app.open_widget("NoduleSynth")
    logic = widget.logic
    film = logic.openFilm(drawn_film(tmp_path))
    place = ras_of(film, 0.45, 0.3)
    outputs = logic.synthesise(film, places=[place], diameterMm=20.0, density="solid", ratio=1.0, device="cpu")
    result = logic.resultOf(film, task="synthesise")
    np.testing.assert_allclose(result.landmarks["nodule_1"].position_ras, place, atol=3.0)
    change = result.volumes["difference"].array[result.labelmaps["mask"].volume.array > 0]
    assert change.mean() > 0
    assert outputs["volumes/after"].GetAttribute("Manabi.caution") == "synthetic, not for diagnosis"
    widget.ui.inputSelector.setCurrentNode(film)
    widget.ui.tasksTab.currentIndex = 1
    assert widget.ui.truthTable.columnCount == 5
    assert "Synthetic" in widget.runPanel.ui.alertLabel.text


@needs_method
@pytest.mark.slow
def test_a_film_is_made_from_nothing_with_the_method_itself(slicer_app):
    """No model is needed where there is no flow; the panel finds under their names what it shows."""
    widget = slicer_app.open_widget("NoduleSynth")
    widget.ui.tasksTab.currentIndex = 1
    widget.ui.baseComboBox.currentIndex = 1
    widget.runPanel.ui.applyButton.click()
    slicer_app.wait_until(lambda: widget.run is None, 280)
    assert widget.runPanel.ui.errorFrame.isHidden(), widget.runPanel.ui.errorLabel.text
    outputs = widget.shownOutputs()
    assert {"volumes/before", "volumes/after", "labelmaps/mask", "tables/nodules"} <= set(outputs)
    assert "ynthetic" in widget.runPanel.ui.alertLabel.text
    assert widget.ui.truthTable.rowCount == 1
    assert widget.ui.truthTable.columnCount == 5
