"""Reports and figures of RadiomicsSurvival: whole, escaped, without a script, drawn whatever the segments."""

from __future__ import annotations

import numpy as np
import pytest
from radiomics_cases import FAST, tumours

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.plotting.report_page import fitted
from manabi.radiomics.figure import draw_result
from manabi.radiomics.figure_page import number_text
from manabi.radiomics.figure_planes import LUNG, SOFT, Scene, window
from manabi.radiomics.method import RadiomicsSurvival
from manabi.radiomics.report import MOST_ROWS, write_html, write_reports
from manabi.result import Plot, Result, Table

METHOD = RadiomicsSurvival()
EVIL = '<script>alert("x")</script> & co'


@pytest.fixture(scope="module")
def measured():
    return METHOD.run(
        tumours(), {"task": "features", **FAST, "segment_names": f"1={EVIL};2=$x_1$ 腫瘍"}, Context(device="cpu")
    )


def risk_result(measured):
    """A result with a prediction, made by hand."""
    curve = ([0.0, 1.0, 3.0], [1.0, 0.7, 0.3])
    risk = Table(("segment", "risk", "percentile", "group"), (("A", 0.5, 80.0, "high risk"),))
    years = Table(
        ("segment", "group", "years", "predicted", "observed_in_group", "observed_low", "observed_high"),
        (("A", "high risk", 1.0, 0.7, 0.6, 0.5, 0.7), ("A", "high risk", 5.0, None, None, None, None)),
    )
    groups = Table(
        ("group", "years", "survival", "low", "high", "at_risk"),
        (("low risk", 0.0, 1.0, None, None, 9), ("low risk", 2.0, 0.8, 0.5, 0.9, 4)),
    )
    plots = {
        "survival": Plot(
            "S", "time (years)", "survival", {"cohort, low risk (n=9)": curve, "this patient, predicted": curve}
        ),
        "contributions": Plot("C", "input", "contribution", {"c": ([0.0, 1.0], [0.4, -0.2])}, "bar", ("a" * 90, "b")),
    }
    tables = {"risk": risk, "survival": years, "cohort_survival": groups, **measured.tables}
    warnings = ["Outside the cohort: A", "Bundle x 1.0.0: trained on simulated data; for research use."]
    return Result(
        labelmaps=measured.labelmaps, tables=tables, plots=plots, measurements={"risk": 0.5}, warnings=warnings
    )


def test_texts_are_escaped_and_nothing_is_run(measured, tmp_path):
    text = write_html(measured, [], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script" not in text and "&lt;script&gt;" in text and "腫瘍" in text


def test_a_report_is_one_file_with_its_pictures_within(measured, tmp_path):
    page, pdf = write_reports(tumours(), measured, tmp_path / "radiomics")
    text = page.read_text(encoding="utf-8")
    assert "data:image/png;base64," in text and "http" not in text
    assert pdf.stat().st_size > 5000
    assert sorted(p.name for p in (tmp_path / "radiomics").iterdir()) == ["report.html", "report.pdf"]


def test_a_long_table_is_cut_and_says_so(tmp_path):
    rows = tuple((f"s{n}", 1, 0.1) for n in range(MOST_ROWS + 5))
    result = Result(tables={"key_features": Table(("segment", "label", "x"), rows)})
    text = write_html(result, [], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "5 further rows" in text and f"s{MOST_ROWS}<" not in text


def test_a_prediction_is_drawn_with_alert_badge_and_charts(measured, tmp_path):
    from matplotlib.image import imread

    result = risk_result(measured)
    path = draw_result(tumours(), result, tmp_path)[0]
    image = imread(path)
    assert path.name == "risk.png" and image.shape[1] == 1600 and image.shape[0] > 900
    red = (np.abs(image[..., :3] - np.array([0xB3, 0x26, 0x1E]) / 255) < 0.02).all(axis=2)
    assert red.sum() > 1000
    page, _ = write_reports(tumours(), result, tmp_path / "radiomics")
    text = page.read_text(encoding="utf-8")
    assert 'class="alert"' in text and 'class="notice"' in text


def test_a_result_of_something_else_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="needs a result of RadiomicsSurvival"):
        draw_result(tumours(), Result(measurements={"a": 1}), tmp_path)


def test_the_planes_go_through_the_largest_segment(measured):
    given = tumours()
    scene = Scene.of(given["image"], measured.labelmaps["segments"])
    assert scene.labels[scene.centre] == 1
    turned = {name: v.reoriented((2, 0, 1), (1, -1, 1)) for name, v in given.items()}
    other = METHOD.run(turned, {"task": "features", **FAST, "segments": "1"}, Context(device="cpu"))
    again = Scene.of(turned["image"], other.labelmaps["segments"])
    np.testing.assert_array_equal(again.image, scene.image)


def test_the_window_follows_what_is_shown():
    assert window(np.full(9, -800.0), "CT") == LUNG
    assert window(np.full(9, 40.0), "CT") == SOFT
    low, high = window(np.arange(100.0), "MR")
    assert 0 <= low < high <= 99


def test_cells_are_written_for_readers():
    assert number_text(None) == "–" and number_text(-0.5) == "−0.5" and number_text(1234567.0) == "1.235e+06"
    assert fitted("x" * 200, 60).endswith("…") and fitted("short", 200) == "short"
