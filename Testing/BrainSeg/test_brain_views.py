"""BrainSeg and the views: three planes, surfaces, overlays, the synthetic image, and maps to click through."""

from __future__ import annotations

import pytest
from brain_panel_user import BrainUser, Painter, add_mr

PLANES = ("ManabiBrain1", "ManabiBrain2", "ManabiBrain3")


@pytest.fixture
def shown(slicer_app, monkeypatch):
    """A user with an image, and the stand-in's layout manager."""
    import slicer
    from slicer_standin import views

    if views.why_not():
        pytest.skip(f"no offscreen drawing here: {views.why_not()}")
    manager = views.install(slicer.app, (1200, 800))
    user = BrainUser(slicer_app, monkeypatch)
    user.choose(add_mr())
    yield user, manager
    manager.close()


def composite(manager, name):
    return manager.sliceWidget(name).mrmlSliceCompositeNode()


def foregrounds(manager):
    return {composite(manager, name).GetForegroundVolumeID() or "" for name in PLANES}


def test_three_planes_with_surfaces_table_and_chart(shown):
    import slicer

    user, manager = shown
    outputs = user.run_here()
    for name, plane in zip(PLANES, ("Axial", "Coronal", "Sagittal"), strict=True):
        assert composite(manager, name).GetBackgroundVolumeID() == user.image.GetID()
        assert manager.sliceWidget(name).mrmlSliceNode().GetOrientation() == plane
        assert manager.sliceWidget(name).mrmlSliceNode().IsMappedInLayout()
    table = slicer.mrmlScene.GetSingletonNode("ManabiBrainTable", "vtkMRMLTableViewNode")
    plot = slicer.mrmlScene.GetSingletonNode("ManabiBrainPlot", "vtkMRMLPlotViewNode")
    assert table.GetTableNodeID() == outputs["tables/volumes"].GetID()
    assert plot.GetPlotChartNodeID() == outputs["plots/volumes"].GetID()
    segmentation = outputs["labelmaps/structures"]
    assert segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    display = segmentation.GetDisplayNode()
    assert display.GetSegmentOpacity3D("Segment_1") < display.GetSegmentOpacity3D("Segment_6")


def test_looks_that_the_user_set_stay_with_the_next_run(shown):
    user, _ = shown
    display = user.run_here()["labelmaps/structures"].GetDisplayNode()
    display.SetSegmentOpacity3D("Segment_1", 0.9)
    display.SetOpacity2DFill(0.7)
    user.run_here()
    assert display.GetSegmentOpacity3D("Segment_1") == pytest.approx(0.9)
    assert display.GetOpacity2DFill() == pytest.approx(0.7)


def test_confidence_is_laid_over_the_image_and_taken_off(shown):
    user, manager = shown
    outputs = user.run_here()
    assert foregrounds(manager) == {""}
    user.ui.confidenceCheckBox.checked = True
    assert foregrounds(manager) == {outputs["volumes/confidence"].GetID()}
    display = outputs["labelmaps/structures"].GetDisplayNode()
    assert not display.GetVisibility2DFill()
    user.ui.confidenceCheckBox.checked = False
    assert foregrounds(manager) == {""}
    assert display.GetVisibility2DFill()


def test_a_preview_is_shown_where_it_is_with_its_uncertainty(shown):
    user, manager = shown
    painter = Painter(user.image)
    slices = painter.paint(0)
    user.pick(painter.node, "Tumour")
    outputs = user.run_here("propagate")
    user.ui.uncertaintyCheckBox.checked = True
    assert foregrounds(manager) == {outputs["volumes/uncertainty"].GetID()}
    middle = 2.5 * sum(slices) / len(slices) - 36.0
    assert abs(manager.sliceWidget(PLANES[0]).mrmlSliceNode().GetSliceOffset() - middle) < 10


def test_the_synthetic_image_stands_beside_the_acquired_one_and_every_view_says_which_is_which(shown):
    user, manager = shown
    structures = user.run_here()["labelmaps/structures"]
    outputs = user.run_here("contrast")
    assert not structures.GetDisplayNode().GetVisibility2DFill()
    names = [f"ManabiBrainMRA{n}" for n in (1, 2, 3)]
    labels = [manager.sliceWidget(name).mrmlSliceNode().GetLayoutLabel() for name in names]
    assert labels[0] == "Acquired"
    assert all(label.startswith("SYNTHETIC") for label in labels[1:])
    assert composite(manager, names[0]).GetBackgroundVolumeID() == user.image.GetID()
    assert composite(manager, names[2]).GetForegroundVolumeID() == outputs["volumes/unknowable"].GetID()
    user.ui.unknowableCheckBox.checked = False
    assert not manager.sliceWidget(names[2]).mrmlSliceNode().IsMappedInLayout()


def test_clicking_through_the_maps_shows_one_after_the_other_over_the_image(shown):
    user, manager = shown
    user.run_here("layers")
    user.choices.layer = "decoder 1"
    outputs = user.run_here("features")
    seen = []
    for row in range(3):
        user.ui.featuresList.setCurrentRow(row)
        seen += sorted(foregrounds(manager))
    assert seen == [outputs[f"volumes/feature_0{n}"].GetID() for n in (1, 2, 3)]
    node = manager.sliceWidget(PLANES[0]).mrmlSliceNode()
    node.SetFieldOfView(50.0, 40.0, 1.0)
    user.ui.featuresList.setCurrentRow(4)
    assert node.GetFieldOfView()[0] == pytest.approx(50.0)
