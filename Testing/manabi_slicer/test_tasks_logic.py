"""What logics do whose methods do several things."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.result import Result
from manabi_slicer.request import Request


@pytest.fixture
def logic(slicer_app):
    slicer_app.module("RadiomicsSurvival")
    return importlib.import_module("RadiomicsSurvival").RadiomicsSurvivalLogic()


@pytest.fixture
def image(slicer_app):
    import slicer

    return slicer.util.addVolumeFromArray(np.ones((3, 4, 5), np.float32), np.diag([-2.0, -2.0, 3.0, 1.0]), "CT")


def result_of(task, number):
    return Result(measurements={"number": number}, provenance={"parameters": {"task": task}})


def test_no_task_replaces_anothers_outputs_and_the_first_has_the_methods_name(logic, image):
    for number, task in enumerate(logic.taskNames):
        logic.keep(result_of(task, number), [image])
    found = [logic.resultOf(image, task=task).measurements["number"] for task in logic.taskNames]
    assert found == [0, 1, 2] and logic.resultOf(image).measurements == {"number": 0}
    assert logic.keyOf(logic.taskNames[0]) == "radiomics" and logic.keyOf("fit") == "radiomics-fit"
    assert logic.outputsOf(image) == logic.outputsOf(image, logic.taskNames[0])


def test_a_result_is_looked_for_in_the_order_of_the_tasks(logic, image):
    with pytest.raises(InvalidInputError, match="no result yet"):
        logic.resultOf(image)
    logic.keep(result_of("fit", 2), [image])
    logic.keep(result_of("features", 1), [image])
    assert logic.resultOf(image).measurements == {"number": 1}
    assert logic.canUndo(image) and logic.undo()
    assert logic.resultOf(image).measurements == {"number": 2}


def test_what_needs_no_image_belongs_to_the_modules_own_node(logic, image):
    request = Request(nodes={"image": None}, parameters={"task": "fit"})
    outputs = logic._keep(request, result_of("fit", 7))
    assert logic._volumes(request) == {}
    assert logic.outputsOf(logic.ownNode(), "fit") == outputs and logic.outputsOf(image, "fit") == {}
    assert logic.canUndo(logic.ownNode()) and not logic.canUndo(image)


def test_an_image_that_is_missing_is_still_asked_for(logic):
    with pytest.raises(InvalidInputError, match="needs image"):
        logic._volumes(Request(nodes={"image": None}, parameters={"task": "features"}))


def test_a_task_without_a_result_is_not_exported_as_another(logic, image, tmp_path):
    logic.keep(result_of("predict", 0), [image])
    with pytest.raises(InvalidInputError, match="no result yet"):
        logic.export({"image": image}, tmp_path / "features", task="features")
    assert not (tmp_path / "features").exists()
