"""What BrainSeg says of a segmentation: exact volumes, and flags that fire when they should and not otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.brain import report
from manabi.brain.method import BrainSeg
from manabi.brain.report import Measured
from manabi.brain.structures import LABELS, STRUCTURES
from manabi.volume import Volume

SPACING = (2.0, 3.0, 5.0)
VOXEL_ML = 0.03


def labels_of(boxes: dict[int, tuple[slice, slice, slice]], shape=(12, 14, 16)) -> Volume:
    array = np.zeros(shape, np.uint8)
    for value, box in boxes.items():
        array[box] = value
    return Volume(array, np.diag([*SPACING, 1.0]), "SEG")


def measured(
    volume: Volume, confidence: float | np.ndarray = 0.9, wanted=STRUCTURES
) -> dict[tuple[str, str], Measured]:
    sure = np.broadcast_to(np.float32(confidence), volume.shape)
    return {(row.structure, row.side): row for row in report.measure(volume, volume.like(sure), wanted)}


LEFT = (slice(2, 6), slice(2, 6), slice(9, 14))
RIGHT = (slice(2, 6), slice(2, 6), slice(2, 8))
STEM = (slice(8, 10), slice(3, 5), slice(3, 6))


@pytest.fixture
def two_sides() -> Volume:
    return labels_of({1: LEFT, 2: RIGHT, 5: STEM})


def whole(structure="cerebrum", volume=1100.0, confidence=0.9, border=0.0, difference=1.0) -> Measured:
    return Measured(structure, "both", volume, confidence, border, difference)


def said(*rows: Measured, least=0.6, strange="", disagreement=0.0) -> list[str]:
    return report.alerts(rows, least, strange, disagreement)


# --- volumes ----------------------------------------------------------------------------------------------------------


def test_volumes_and_differences_are_exact(two_sides):
    rows = measured(two_sides)
    assert rows["cerebrum", "left"].volume_ml == pytest.approx(80 * VOXEL_ML)
    assert rows["cerebrum", "right"].volume_ml == pytest.approx(96 * VOXEL_ML)
    assert rows["cerebrum", "both"].volume_ml == pytest.approx(176 * VOXEL_ML)
    assert rows["cerebrum", "both"].difference_percent == pytest.approx(200 * 16 / 176)
    assert rows["brainstem", ""].volume_ml == pytest.approx(12 * VOXEL_ML)
    assert rows["vessels", ""].volume_ml == 0.0


def test_volumes_do_not_depend_on_how_the_image_lies(two_sides):
    turned = two_sides.reoriented((2, 0, 1), (-1, 1, -1))
    assert measured(turned) == measured(two_sides)


def test_confidence_is_the_mean_over_the_structure(two_sides):
    sure = np.ones(two_sides.shape, np.float32)
    sure[LEFT], sure[RIGHT] = 0.5, 0.8
    rows = measured(two_sides, sure)
    assert rows["cerebrum", "left"].confidence == pytest.approx(0.5)
    assert rows["cerebrum", "both"].confidence == pytest.approx((80 * 0.5 + 96 * 0.8) / 176)
    assert rows["ventricles", ""].confidence is None


def test_the_border_counts_every_voxel_once():
    rows = measured(labels_of({5: (slice(0, 3), slice(0, 3), slice(0, 3))}))
    assert rows["brainstem", ""].at_border_percent == pytest.approx(100 * (27 - 8) / 27)
    rows = measured(labels_of({5: (slice(9, 12), slice(3, 6), slice(3, 6))}))
    assert rows["brainstem", ""].at_border_percent == pytest.approx(100 / 3)


def test_only_what_was_wanted_has_rows(two_sides):
    assert list(measured(two_sides, wanted=("brainstem",))) == [("brainstem", "")]


def test_table_chart_and_measurements_hold_the_same(two_sides):
    rows = report.measure(two_sides, two_sides.like(np.full(two_sides.shape, 0.75, np.float32)), STRUCTURES)
    table, plot = report.volumes_table(rows), report.volumes_plot(rows)
    found = report.measurements(rows, [])
    assert table.columns == report.COLUMNS
    assert table.column("volume_ml")[:3] == [2.4, 2.88, 5.28]
    assert plot.categories == tuple(label.name for label in LABELS)
    assert plot.series["volume"][1][:2] == [2.4, 2.88]
    assert (found["cerebrum_left_ml"], found["cerebrum_ml"], found["cerebrum_confidence"]) == (2.4, 5.28, 0.75)
    assert found["vessels_confidence"] is None
    assert found["quality"] == "no flag"
    assert report.measurements(rows, ["Check it"])["quality"] == "check"


def test_every_label_has_a_segment(two_sides):
    assert [s.label for s in report.labelled(two_sides).segments] == [label.value for label in LABELS]


# --- flags ------------------------------------------------------------------------------------------------------------


def test_a_usual_brain_has_no_flag():
    rows = [whole(), whole("cerebellum", 130.0), whole("brainstem", 25.0), whole("ventricles", 30.0),
            Measured("vessels", "", 0.0, None, 40.0)]  # fmt: skip
    assert said(*rows) == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (whole(confidence=0.59), "mean confidence is 0.59"),
        (whole(volume=1701.0), "1701.0 mL is outside"),
        (whole("cerebellum", 69.0), "69.0 mL is outside"),
        (whole("brainstem", 0.0, None), "brainstem: none was found"),
        (whole(difference=15.1), "its right side is 15 % larger"),
        (whole("cerebellum", 130.0, difference=-20.4), "its left side is 20 % larger"),
        (whole(border=0.31), "The field of view ends within the cerebrum"),
    ],
)
def test_what_must_be_checked_is_said_once(row, words):
    texts = said(row)
    assert len(texts) == 1
    assert words in texts[0]
    assert texts[0].startswith(BrainSeg.alert_prefixes)


@pytest.mark.parametrize(
    "row",
    [whole(confidence=0.6), whole(volume=1700.0), whole("cerebellum", 70.0), whole(difference=15.0),
     whole("cerebellum", 130.0, difference=-20.0), whole(border=0.3),
     Measured("ventricles", "", 30.0, 0.9, 0.0), Measured("cerebrum", "left", 10.0, 0.1, 50.0)],
)  # fmt: skip
def test_limits_themselves_and_single_sides_are_not_flagged(row):
    assert said(row) == []


def test_stages_that_disagree_are_flagged():
    assert said(disagreement=report.DISAGREEMENT) == []
    assert "relabels 30 % of what" in said(disagreement=0.30)[0]


def test_strange_images_are_flagged_by_a_margin():
    assert report.strangeness_text(None, 2.0) == ""
    assert report.strangeness_text(9.0, None) == ""
    assert report.strangeness_text(2.6, 2.0) == ""
    text = report.strangeness_text(5.0, 2.0)
    assert "2.5 times" in text
    assert said(strange=text) == [text]
    assert text.startswith(BrainSeg.alert_prefixes)
