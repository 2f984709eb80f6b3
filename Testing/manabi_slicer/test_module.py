"""What the modules share at Slicer's start, in their self-tests, and for their samples."""

from __future__ import annotations

import unittest
from pathlib import Path
from types import SimpleNamespace

import pytest

from manabi import registry
from manabi.errors import WorkerError

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(entry.title for entry in registry.METHODS.values())


@pytest.fixture
def sample(slicer_app):
    from manabi_slicer.sample_data import Sample

    return Sample("Trial", "striatum", {"spect_5min": "Five"}, "SPECTDenoise", "NM", "CNTS")


# --- Slicer's start ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_who_made_it_and_lists_its_sample_with_its_icon(slicer_app, name):
    import slicer

    parent = slicer_app.module(name)
    assert list(parent.contributors) == ["The Manabi contributors"]
    assert not parent.icon.isNull() and not parent.hidden
    slicer_app.start_up()
    (listed,) = [source for source in slicer.modules.sampleDataSources["Manabi"]
                 if source.sampleName == parent.self().sample.title]  # fmt: skip
    assert Path(listed.thumbnailFileName) == ROOT / name / "Resources" / "Icons" / f"{name}.svg"


def test_a_module_whose_method_is_in_the_making_is_hidden_and_offers_no_sample(slicer_app, monkeypatch):
    import slicer

    monkeypatch.delitem(registry.PHANTOMS, "thorax")
    parent = slicer_app.module("SliceMarker")
    assert parent.hidden
    parent.self().onStartup()
    listed = getattr(slicer.modules, "sampleDataSources", {}).get("Manabi", [])
    assert parent.self().sample.title not in [source.sampleName for source in listed]


def test_at_the_start_an_interrupted_installation_of_this_module_goes_on(slicer_app, monkeypatch):
    from manabi_slicer import module

    resumed = []
    monkeypatch.setattr(module, "resume_after_restart", resumed.append)
    slicer_app.module("SPECTDenoise").self().onStartup()
    assert resumed == ["SPECTDenoise"]


# --- self-tests -------------------------------------------------------------------------------------------------------


def test_a_self_test_runs_all_its_tests_in_order_each_in_an_empty_scene(slicer_app):
    import slicer

    from manabi_slicer import self_test

    ran = []

    class Case(unittest.TestCase):
        setUp, runTest = self_test.set_up, self_test.run_all  # noqa: N815

        def test_second_by_name(self):
            assert not ran
            ran.append(("first", slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTextNode")))
            slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")

        def helper_test(self):
            ran.append(("helper", 0))

        def test_first_by_name(self):
            assert len(ran) == 1
            ran.append(("second", slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTextNode")))

    Case().runTest(msec=100)
    assert ran == [("first", 0), ("second", 0)]


def test_a_self_test_fails_where_the_sample_is_not_listed_and_skips_where_packages_are_missing(
    slicer_app, monkeypatch, sample
):
    from manabi_slicer import sample_data, self_test

    case = unittest.TestCase()
    sample_data.register(sample, str(ROOT / "SPECTDenoise" / "SPECTDenoise.py"))
    self_test.check_listed(case, sample)
    with pytest.raises(AssertionError):
        self_test.check_listed(case, SimpleNamespace(title="Another"))
    monkeypatch.setattr(self_test, "missing", list)
    self_test.need_packages(case)
    monkeypatch.setattr(self_test, "missing", lambda: ["torch"])
    with pytest.raises(unittest.SkipTest, match="PyTorch"):
        self_test.need_packages(case)


# --- the sample's button ----------------------------------------------------------------------------------------------


def pressed(monkeypatch, sample, load):
    """What comes of a click: whether the button could be pressed meanwhile, and afterwards; nodes and errors."""
    import qt

    from manabi_slicer import sample_data
    from manabi_slicer.panels.sample_button import SampleButton

    button, meanwhile, loaded, told = qt.QToolButton(), [], [], []
    monkeypatch.setattr(sample_data, "load", lambda given: meanwhile.append(button.enabled) or load(given))
    held = SampleButton(button, sample, loaded.append, told.append)
    button.click()
    assert held is not None
    return meanwhile, button.enabled, loaded, told


def test_the_button_hands_on_the_sample_s_nodes_and_cannot_be_pressed_meanwhile(slicer_app, monkeypatch, sample):
    found = pressed(monkeypatch, sample, lambda given: [given.title])
    assert found == ([False], True, [["Trial"]], [])


def test_a_sample_that_cannot_be_loaded_is_told_and_can_be_tried_again(slicer_app, monkeypatch, sample):
    def load(given):
        raise WorkerError("The disk is full.")

    meanwhile, enabled, loaded, told = pressed(monkeypatch, sample, load)
    assert (meanwhile, enabled, loaded) == ([False], True, [])
    assert [str(error) for error in told] == ["The disk is full."]


def test_the_truth_of_a_sample_is_read_from_its_case(slicer_app, monkeypatch, sample, tmp_path):
    from manabi_slicer import sample_data

    monkeypatch.setattr(sample_data, "cached", lambda given: tmp_path)
    (tmp_path / "truth.json").write_text('{"apex_mm": 12.5}', encoding="utf-8")
    assert sample_data.truth(sample) == {"apex_mm": 12.5}


# --- slots ------------------------------------------------------------------------------------------------------------


def test_a_slot_is_called_with_what_was_given_and_not_with_what_the_signal_brings(slicer_app):
    import qt

    from manabi_slicer.slots import calling

    button, called = qt.QPushButton(), []
    button.connect("clicked(bool)", calling(called.append, "apex"))
    button.click()
    assert called == ["apex"]


def test_a_timer_calls_again_and_again_once_it_is_started(slicer_app):
    from manabi_slicer.slots import timer

    called = []
    made = timer(1, lambda: called.append(1))
    slicer_app.process_events(0.02)
    assert called == []
    made.start()
    slicer_app.wait_until(lambda: len(called) >= 3)
    made.stop()
