"""What every module's logic does with results and with its parameter node."""

from __future__ import annotations

import dataclasses
import importlib

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.result import Result


@pytest.fixture
def logic(slicer_app):
    slicer_app.module("SPECTDenoise")
    return importlib.import_module("SPECTDenoise").SPECTDenoiseLogic()


def scan():
    import slicer

    return slicer.util.addVolumeFromArray(np.ones((3, 4, 5), np.float32), np.diag([-2.0, -2.0, 3.0, 1.0]), "Scan")


def result_for(node, ratio):
    from manabi_slicer import bridge

    return Result(volumes={"denoised": bridge.volume_from_node(node)}, measurements={"ratio": ratio})


def test_a_result_is_kept_read_with_or_without_its_volumes_and_taken_back(logic):
    node = scan()
    with pytest.raises(InvalidInputError, match="no result yet"):
        logic.resultOf(node, volumes=False)
    first = logic.keep(result_for(node, 1.0), [node])
    assert set(logic.outputsOf(node)) == set(first)
    assert list(logic.resultOf(node).volumes) == ["denoised"]
    bare = logic.resultOf(node, volumes=False)
    assert (bare.volumes, bare.measurements) == ({}, {"ratio": 1.0})
    changed = logic.keep(dataclasses.replace(logic.resultOf(node), measurements={"ratio": 2.0}), [node])
    assert changed == first
    assert logic.canUndo(node)
    assert logic.undo()
    assert logic.resultOf(node).measurements == {"ratio": 1.0}
    assert not logic.undo()


def test_a_result_goes_into_the_node_that_was_chosen_for_it(logic):
    import slicer

    node, chosen = scan(), slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    outputs = logic.keep(result_for(node, 1.0), [node, None], {"volumes/denoised": chosen})
    assert outputs["volumes/denoised"] is chosen


def test_the_parameter_node_is_of_the_modules_class_and_one_per_scene(logic):
    first, second = logic.getParameterNode(), logic.getParameterNode()
    assert type(first) is type(logic).parameterNodeClass
    first.ageYears = 61
    assert second.ageYears == 61
