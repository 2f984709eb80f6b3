"""Every choice of the panel reaches the method, and the console's ``process`` offers the same."""

from __future__ import annotations

import dataclasses
import inspect
import json

import numpy as np
import pytest
from panel_methods import REGISTERED
from panel_user import User, add_scan, use_methods

from manabi.errors import InvalidInputError
from manabi.spect.method import SPECTParameters

FROM_THE_BUNDLE = {"pipeline", "consistency_mm", "quantify"}
"""Parameters that the panel does not offer: the model decides, or there is nothing to choose for a clinician."""


@pytest.fixture
def user(slicer_app, monkeypatch):
    use_methods(monkeypatch, REGISTERED)
    return User(slicer_app, "quick-spect")


def asked(user):
    """What Apply would ask for now."""
    return user.widget.request(user.widget._parameterNode)


def test_every_choice_of_the_panel_reaches_the_method(user):
    scan, full = add_scan(), add_scan("Full", 1)
    user.choose(scan)
    user.ui.referenceSelector.setCurrentNode(full)
    user.ui.denoiserComboBox.currentIndex = 3
    user.ui.regionComboBox.currentIndex = 1
    user.ui.ageSpinBox.value = 66
    user.ui.normsLineEdit.text = "/somewhere/norms.json"
    user.ui.normsLineEdit.editingFinished()
    user.ui.alertSpinBox.value = 3.5
    user.ui.deviceComboBox.currentIndex = 1
    user.ui.precisionComboBox.currentIndex = 1
    request = asked(user)
    assert dict(request.nodes) == {"spect": scan, "full_time": full}
    assert {k: v for k, v in request.parameters.items() if k not in FROM_THE_BUNDLE} == {
        "denoiser": "nlm", "reference": "whole_brain", "age_years": 66, "norms": "/somewhere/norms.json",
        "alert_z": 3.5,
    }  # fmt: skip
    assert (request.device, request.precision) == ("cpu", "float32")


def test_the_panel_begins_with_the_method_s_own_defaults(user):
    user.choose(add_scan())
    request = asked(user)
    parameters = SPECTParameters.of(dict(request.parameters))
    assert parameters == SPECTParameters()
    assert (request.device, request.precision) == ("auto", "auto")


def test_no_parameter_of_the_method_is_forgotten(user):
    user.choose(add_scan())
    names = {field.name for field in dataclasses.fields(SPECTParameters)}
    assert names == set(asked(user).parameters) | FROM_THE_BUNDLE


def test_the_model_decides_on_the_pipeline(user):
    logic = user.widget.logic
    scan = add_scan()
    assert logic.request(scan, model="spect-paper-unet4").parameters["pipeline"] == "paper"
    assert logic.request(scan, model="spect-default").parameters["pipeline"] == "ours"


def test_choosing_a_model_in_the_panel_is_kept_in_the_scene(user):
    user.choose(add_scan())
    box = user.run_ui.modelComboBox
    box.currentIndex = next(n for n in range(box.count) if "paper" in box.itemText(n))
    assert asked(user).bundle == "spect-paper-unet4"
    user.widget.exit()
    user.widget.enter()
    assert "paper" in box.currentText


def test_process_and_request_take_the_same_options(user):
    logic = type(user.widget.logic)
    options = {name: p.default for name, p in inspect.signature(logic.process).parameters.items()}
    assert options.pop("onProgress") is None
    assert options == {name: p.default for name, p in inspect.signature(logic.request).parameters.items()}
    for function in (logic.process, logic.request):
        hints = {**function.__annotations__}
        assert set(hints) == {*inspect.signature(function).parameters, "return"} - {"self"}


def test_a_file_of_normal_values_is_chosen_and_a_bad_one_is_told(user, tmp_path):
    path = tmp_path / "Normwerte é.json"
    path.write_text(json.dumps({"mean": 1}), encoding="utf-8")
    user.app.open_main_window()
    user.app.answer(str(path))
    user.ui.normsButton.click()
    assert asked(user).parameters["norms"] == str(path)
    with pytest.raises(InvalidInputError, match="norm"):
        type(user.widget.logic)().process(add_scan(), denoiser="gaussian", norms=str(path))


def test_a_full_time_scan_is_compared_with_the_result(slicer_app):
    from SPECTDenoise import SPECTDenoiseLogic, loadSampleData

    five, full = loadSampleData()
    outputs = SPECTDenoiseLogic().process(five, referenceVolume=full, device="cpu")
    table = outputs["tables/comparison"].GetTable()
    images = [table.GetColumnByName("image").GetValue(n) for n in range(table.GetNumberOfRows())]
    ssim = [float(table.GetColumnByName("ssim").GetVariantValue(n).ToDouble()) for n in range(2)]
    assert images == ["input", "denoised", "full_time"]
    assert ssim[1] > ssim[0]


def test_process_reports_progress_and_can_be_stopped(slicer_app):
    import slicer

    from SPECTDenoise import SPECTDenoiseLogic

    class StopError(Exception):
        pass

    said = []

    def progress(fraction, text):
        said.append(fraction)
        if fraction > 0.05:
            raise StopError

    scan = add_scan()
    count = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(StopError):
        SPECTDenoiseLogic().process(scan, denoiser="gaussian", onProgress=progress)
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    assert said == sorted(said)
    assert np.isfinite(said).all()


@pytest.fixture(autouse=True)
def _module(slicer_app):
    slicer_app.module("SPECTDenoise")
