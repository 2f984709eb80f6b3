"""Marks limited to the lungs: what a card states of them is what the method shows."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fixtures_nodule import BlobFinder, chest, curve, film_volume, quick, with_blob

from manabi.nodule.detect import DetectorSettings, search
from manabi.nodule.parameters import NoduleParameters
from manabi.nodule.prepare import canonical, film_of_volume
from Training import nodule_lungs
from Training.froc import Mark
from Training.nodule import NoduleRecipe
from Training.nodule_evaluate import finder
from Training.nodule_lungs import limited, lungs_of, margin_px, within

IN_LUNG, AT_SHOULDER = (0.42, 0.27), (0.12, 0.1)
"""Places as shares of the side."""


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(nodule_lungs, "_kept", {})


class WithLeast(BlobFinder):
    """The stand-in detector with a weight, as films are put where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.least = torch.nn.Parameter(torch.zeros(()))


def film() -> np.ndarray:
    out = with_blob(chest(), *IN_LUNG, 0.018, 0.3)
    return canonical(film_of_volume(film_volume(with_blob(out, *AT_SHOULDER, 0.018, 0.6))), 256).film


@pytest.mark.parametrize("limit", [True, False])
def test_a_card_counts_the_marks_that_the_method_shows(limit):
    settings = DetectorSettings(curve())
    volume = film_volume(np.asarray(film()), (1.5, 1.5))
    shown = search(volume, BlobFinder(), settings, NoduleParameters(limit_to_lungs=limit), quick())
    counted = limited(finder(WithLeast()), limit)(shown.grid.film[None])[0]
    least = settings.curve.threshold(4.0)
    wanted = [(round(p.row, 3), round(p.column, 3)) for p in shown.peaks]
    assert wanted
    assert [(round(m.row, 3), round(m.column, 3)) for m in counted if m.score >= least] == wanted


def test_a_mark_outside_the_lungs_is_left_out_and_one_inside_is_not():
    marks = tuple(Mark(256 * row, 256 * column, 0.9) for row, column in (IN_LUNG, AT_SHOULDER))
    assert within(film(), marks) == marks[:1]
    every = lambda films: [marks] * len(films)  # noqa: E731
    assert limited(every, False)(film()[None]) == [marks]
    assert limited(every)(film()[None]) == [marks[:1]]


def test_a_margin_around_the_lungs_belongs_to_them():
    lungs = lungs_of(film())
    row = int(256 * IN_LUNG[0])
    first = int(np.flatnonzero(lungs[row])[0])
    near, far = Mark(row, first - margin_px(256), 0.5), Mark(row, first - margin_px(256) - 2, 0.5)
    assert margin_px(256) == pytest.approx(4.0)
    assert within(film(), (near, far)) == (near,)


def test_where_lungs_are_doubtful_every_mark_counts(monkeypatch):
    field = SimpleNamespace(is_doubtful=True, whole=np.zeros((256, 256), np.uint8))
    monkeypatch.setattr(nodule_lungs, "lung_field_parts", lambda film: field)
    mark = Mark(3.0, 3.0, 0.5)
    assert within(film(), (mark,)) == (mark,)


def test_lungs_of_a_film_are_estimated_once_and_are_not_those_of_another(monkeypatch):
    asked = []
    estimate = nodule_lungs.lung_field_parts
    monkeypatch.setattr(nodule_lungs, "lung_field_parts", lambda film: asked.append(1) or estimate(film))
    first, other = lungs_of(film()), lungs_of(np.ascontiguousarray(film()[:, ::-1]))
    np.testing.assert_array_equal(first, lungs_of(film()))
    assert len(asked) == 2
    assert not np.array_equal(first, other)


def test_films_that_are_kept_are_limited_in_number(monkeypatch):
    monkeypatch.setattr(nodule_lungs, "MOST_KEPT", 2)
    field = SimpleNamespace(is_doubtful=True, whole=None)
    monkeypatch.setattr(nodule_lungs, "lung_field_parts", lambda film: field)
    for grey in range(5):
        lungs_of(np.full((32, 32), grey / 5, np.float32))
    assert len(nodule_lungs._kept) == 2


def test_recipe_and_method_have_one_default():
    assert NoduleRecipe().limit_to_lungs == NoduleParameters().limit_to_lungs


@pytest.mark.parametrize(("measured", "wanted"), [(True, False), (False, True), (None, False)])
def test_a_search_that_is_not_the_measured_one_says_so(measured, wanted):
    points = [{"false_positives": 0.2, "threshold": 0.7}, {"false_positives": 4.0, "threshold": 0.1}]
    settings = DetectorSettings.of({"operating_points": points, "limit_to_lungs": measured})
    doubts = {limit: settings.doubts(NoduleParameters(limit_to_lungs=limit)) for limit in (True, False)}
    if measured is None:
        assert not any(doubts.values())
        return
    assert not doubts[measured]
    assert doubts[wanted][0].startswith("Check the operating point")
    found = search(film_volume(np.asarray(film())), BlobFinder(), settings, NoduleParameters(limit_to_lungs=wanted),
                   quick())  # fmt: skip
    assert doubts[wanted][0] in found.warnings
