"""What a reader sees: the tumour's outline on three planes, the patient's curve among the cohort's, the scores."""

from __future__ import annotations

import pytest
from radiomics_panel_cohort import write_cohort
from radiomics_panel_user import GTV, RadiomicsUser, fake_bundle
from slicer_standin import views


@pytest.fixture
def user(slicer_app, monkeypatch):
    manager = views.install(slicer_app.boot().app, (900, 600))
    yield RadiomicsUser(slicer_app, monkeypatch, bundle=fake_bundle())
    manager.close()


def shown_chart(name):
    import slicer

    return slicer.mrmlScene.GetSingletonNode(f"ManabiRadiomics{name}", "vtkMRMLPlotViewNode").GetPlotChartNode()


def shown_table():
    import slicer

    return slicer.mrmlScene.GetSingletonNode("ManabiRadiomicsTable", "vtkMRMLTableViewNode").GetTableNode()


def test_the_planes_stand_on_the_segment_whose_outline_lets_the_texture_be_read(user):
    import numpy as np
    import slicer

    user.patient(Tumour=GTV)
    outputs = user.run_here()
    node = user.ui.segmentationSelector.currentNode()
    centre = np.array(node.GetSegmentCenterRAS("tumour"))
    for index in range(3):
        view = slicer.mrmlScene.GetSingletonNode(f"ManabiRadiomics{index + 1}", "vtkMRMLSliceNode")
        normal = np.array([view.GetSliceToRAS().GetElement(r, 2) for r in range(3)])
        assert abs(normal @ centre - view.GetSliceOffset()) < 2.0
    assert not node.GetDisplayNode().GetVisibility2DFill()
    assert shown_table() is outputs["measurements"]
    assert shown_chart("Plot") is outputs["plots/volumes"]


def test_the_patient_s_curve_stands_among_the_cohort_s_and_beside_what_drove_the_risk(user):
    user.patient(Tumour=GTV)
    user.open("risk")
    outputs = user.run_here()
    chart = shown_chart("Plot")
    assert chart is outputs["plots/survival"]
    names = [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert names[-1] == "this patient, predicted" and len(names) == 3
    assert shown_chart("Drivers") is outputs["plots/contributions"]
    assert shown_table() is outputs["tables/survival"]


def test_a_cohort_shows_models_side_by_side_groups_and_scores(user, tmp_path):
    features, outcomes = write_cohort(tmp_path, 12)
    user.open("cohort")
    user.ui.featuresCsvEdit.currentPath, user.ui.outcomesCsvEdit.currentPath = str(features), str(outcomes)
    outputs = user.run_here()
    assert shown_chart("Plot") is outputs["plots/blocks"]
    assert shown_chart("Groups") is outputs["plots/survival"]
    assert shown_chart("Calibration") is None
    assert shown_table() is outputs["tables/scores"]
