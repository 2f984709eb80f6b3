"""Pictures of the stand-in's views: what is drawn where, in plots, tables, 3-D and whole layouts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

slicer = pytest.importorskip("slicer")

import vtk  # noqa: E402
from slicer_standin import views  # noqa: E402
from slicer_standin.views import charts, paper, tables  # noqa: E402
from views_stage import add_segment, add_table, add_volume, opened_stage, show_everywhere  # noqa: E402

pytestmark = pytest.mark.skipif(bool(views.why_not()), reason=views.why_not() or "EGL works")

GEOMETRY = np.array([[-3.0, 0, 0, 46.5], [0, -3.0, 0, 46.5], [0, 0, 3.0, -46.5], [0, 0, 0, 1]])
BLUE, RED = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)


@pytest.fixture
def manager() -> Iterator[views.LayoutManager]:
    with opened_stage() as made:
        yield made


def _bars(table, *colors: tuple[float, float, float]):
    scene = slicer.mrmlScene
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Chart")
    chart.SetTitle("Uptake")
    chart.SetXAxisTitle("Region")
    chart.SetYAxisTitle("SBR")
    for letter, color in zip("ABCD", colors, strict=False):
        series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", f"Series {letter}")
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetYColumnName(letter)
        series.SetPlotType(series.PlotTypeBar)
        series.SetColor(*color)
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    return chart


def _plot_view(manager: views.LayoutManager, chart):
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpPlotView)
    widget = manager.plotWidget(0)
    widget.mrmlPlotViewNode().SetPlotChartNodeID(chart.GetID())
    return widget.plotView()


def _is(pixels: np.ndarray, color: tuple[float, float, float]) -> np.ndarray:
    return np.abs(pixels.astype(int) - np.array(color) * 255).max(axis=-1) < 12


def test_bars_are_as_high_as_their_numbers(manager):
    view = _plot_view(manager, _bars(add_table(["one"], [4.0], [2.0]), BLUE, RED))
    view.resize((500, 400))
    heights = [_is(view.pixels()[:, :300], color).any(axis=1).sum() for color in (BLUE, RED)]
    assert heights[0] / heights[1] == pytest.approx(2.0, rel=0.03)


def test_a_chart_has_its_titles_and_legend(manager):
    chart = _plot_view(manager, _bars(add_table(["a", "b"], [1.0, 2.0]), BLUE)).chart()
    assert chart.GetTitle() == "Uptake"
    assert [chart.GetAxis(i).GetTitle() for i in (vtk.vtkAxis.BOTTOM, vtk.vtkAxis.LEFT)] == ["Region", "SBR"]
    assert chart.GetShowLegend()
    assert chart.GetPlot(0).GetLabel() == "Series A"


def test_a_series_over_a_column_of_text_is_not_drawn(manager):
    table = add_table(["a", "b"], [1.0, 2.0])
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "Text")
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetYColumnName("A")
    series.SetXColumnName("Region")
    series.SetPlotType(series.PlotTypeScatter)
    assert charts.plot_of(series) is None
    series.SetPlotType(series.PlotTypeLine)
    assert charts.plot_of(series) is not None


def test_a_table_view_shows_titles_units_and_numbers(manager):
    table = add_table(["left", "right"], [1.5, 2.25])
    table.SetColumnUnitLabel("A", "mm")
    assert tables.columns(table) == [["Region", "left", "right"], ["A [mm]", "1.5", "2.25"]]
    table.SetUseColumnTitleAsColumnHeader(False)
    assert [column[:2] for column in tables.columns(table)] == [["A", "Region"], ["B", "A"]]


def test_a_table_view_without_a_table_is_white(manager):
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    view = manager.tableWidget(0).tableView()
    assert view.pixels().min() == 255
    view.mrmlTableViewNode().SetTableNodeID(add_table(["a"], [1.0]).GetID())
    assert view.pixels().min() < 100


def test_a_surface_appears_in_three_dimensions(manager):
    mask = np.zeros((32, 32, 32))
    mask[12:20, 12:20, 12:20] = 1
    segmentation = add_segment(mask, GEOMETRY, add_volume(mask, GEOMETRY))
    view = manager.threeDWidget(0).threeDView()
    view.mrmlViewNode().SetBoxVisible(0)
    view.mrmlViewNode().SetAxisLabelsVisible(0)
    manager.resetThreeDViews()
    seen = [np.count_nonzero(view.pixels()[..., 1] < 60)]
    segmentation.CreateClosedSurfaceRepresentation()
    manager.resetThreeDViews()
    seen.append(np.count_nonzero(view.pixels()[..., 1] < 60))
    assert seen[0] == 0 and seen[1] > 2000


def test_the_eye_goes_to_the_side_that_is_asked_for(manager):
    view = manager.threeDWidget(0).threeDView()
    for axis, where in enumerate(((-1, 0, 0), (1, 0, 0), (0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0))):
        view.lookFromViewAxis(axis)
        camera = view.cameraNode()
        way = np.array(camera.GetPosition()) - camera.GetFocalPoint()
        assert np.allclose(way / np.linalg.norm(way), where, atol=1e-6)


def test_a_picture_holds_every_view_under_a_bar_of_its_colour(manager, tmp_path):
    show_everywhere(manager, add_volume(np.ones((32, 32, 32)), GEOMETRY), np.zeros(3))
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    manager.render(tmp_path / "page.png", (800, 600))
    page = np.asarray(Image.open(tmp_path / "page.png"))
    assert page.shape == (600, 800, 3)
    xml = manager.layoutLogic().GetLayoutNode().GetCurrentLayoutDescription()
    for box in paper.boxes(xml, (800, 600)):
        color = slicer.mrmlScene.GetSingletonNode(box.tag, box.node_class).GetLayoutColor()
        assert _is(page[box.top + 3, box.left + 3], color), box.tag
        body = page[box.top + paper.BAR :, box.left :][: box.inner[1], : box.inner[0]]
        assert body.std() > 5, box.tag


def test_a_colour_scale_is_drawn_beside_a_coloured_background(manager):
    volume = add_volume(np.zeros((32, 32, 32)), GEOMETRY)
    volume.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeRainbow")
    show_everywhere(manager, volume, np.zeros(3))
    plain = manager.slice_pixels("Red", (300, 300))
    drawn = paper.annotate(plain, manager.sliceWidget("Red").sliceLogic())
    strip = drawn[60:240, 282:292].reshape(-1, 3)
    assert len(np.unique(strip, axis=0)) > 50
    assert (drawn[:200, :200] != plain[:200, :200]).any(), "no letters"


def test_shares_and_grids_of_a_layout_are_kept():
    leaf = '<view class="vtkMRMLSliceNode" singletontag="{}"/>'
    split = '<layout type="vertical"><item splitSize="600">{}</item><item splitSize="200">{}</item></layout>'
    top, low = paper.boxes(split.format(leaf.format("A"), leaf.format("B")), (300, 803))
    assert (top.height, low.height, low.top) == (600, 200, 603)
    cells = "".join(f'<item row="{r}" column="{c}">{leaf.format(f"{r}{c}")}</item>' for r in (0, 1) for c in (0, 1, 2))
    grid = {box.tag: (box.left, box.top) for box in paper.boxes(f'<layout type="grid">{cells}</layout>', (306, 203))}
    assert grid["12"] == (206, 103) and grid["00"] == (0, 0)


@pytest.mark.parametrize(
    ("direction", "expected"), [((1, 0, 0), "R"), ((-1, 0, 0), "L"), ((0, 0.1, -0.99), "I"), ((0.8, -0.6, 0), "RP")]
)
def test_letters_name_the_side_of_the_patient(direction, expected):
    assert paper.letters(np.array(direction)) == expected


def test_a_result_is_laid_out_with_its_plot_and_table_and_centred_on_a_point(manager, tmp_path):
    from manabi_slicer import layout

    at_ras = np.array([12.0, -9.0, 6.0])
    volumes = [add_volume(np.full((32, 32, 32), level), GEOMETRY, f"{level}") for level in (0.2, 0.5, 0.8)]
    table = add_table(["a", "b"], [1.0, 2.0])
    shown = [layout.Shown(label, volume) for label, volume in zip(("Lo", "De", "Re"), volumes, strict=True)]
    layout.show("Test", 0, shown, at_ras=at_ras, chart=_bars(table, BLUE), table=table)
    manager.render(tmp_path / "page.png", (900, 700))
    for index, level in enumerate((0.2, 0.5, 0.8)):
        name = layout.view_name("Test", index)
        pixels = manager.slice_pixels(name)
        height, width, _ = pixels.shape
        assert np.allclose(manager.ras_at(name, (width - 1) / 2, (height - 1) / 2), at_ras, atol=1.0)
        assert abs(int(pixels[height // 2, width // 2, 0]) - 255 * level) < 3
    page = np.asarray(Image.open(tmp_path / "page.png"))
    assert _is(page[450:, :450], BLUE).sum() > 1000, "no bars"
    assert (page[450:, 460:] == 255).all(axis=-1).mean() > 0.5, "no table"
