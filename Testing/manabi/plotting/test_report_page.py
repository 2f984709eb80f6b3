"""The page that all methods' figures share: what is an alert, a note or a badge, and how it was made."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from manabi import plotting
from manabi.plotting.page import Page
from manabi.plotting.report_page import BADGE, TITLE_PX, ReportPage, alerts, how_made, notes
from manabi.result import Result

SIMULATED = "Bundle x 1.0.0: trained on simulated data; for research use."
WARNINGS = ["Check the carina.", SIMULATED, "A note."]


@pytest.fixture
def texts(monkeypatch):
    """What is written on pages."""
    said = []
    monkeypatch.setattr(Page, "text", lambda self, x, y, text, *rest, **more: said.append(text))
    return said


def test_every_warning_is_an_alert_a_note_or_the_badge(texts):
    result = Result(warnings=WARNINGS)
    assert (alerts(result, ("Check ",)), notes(result, ("Check ",))) == (WARNINGS[:1], WARNINGS[2:])
    page = ReportPage(result, ("Check ",))
    top = page.draw_top("Title")
    assert texts == ["Title", BADGE, "• Check the carina."]
    assert top > TITLE_PX
    page.draw_notes(24, top, 500, ["Said first."])
    assert texts[3:] == ["Notes", "Said first.", "A note."]


def test_a_method_without_alerts_has_no_red_box_and_no_empty_notes(texts):
    page = ReportPage(Result(warnings=WARNINGS), ())
    assert page.alerts == [] and page.notes == ["Check the carina.", "A note."]
    page = ReportPage(Result(), ("Check ",))
    assert page.draw_top("Title") == TITLE_PX
    assert page.draw_notes(24, 100.0, 500) == 100.0
    assert texts == ["Title"]


def test_the_alerts_heading_makes_the_box_taller():
    page = ReportPage(Result(), ())
    assert page.draw_alerts(["x"], 100.0, "ALERT") - page.draw_alerts(["x"], 100.0) == pytest.approx(20.0)
    assert page.draw_alerts([], 100.0, "ALERT") == 100.0


def test_what_made_a_result_is_one_line_or_nothing():
    assert how_made(Result(), ["task x"], "no model") == ""
    known = {"manabi": "1.2", "bundle": {"name": "b", "version": "3", "weights_sha256": "c" * 64}}
    end = "not a medical device; the reader decides."
    assert how_made(Result(provenance=known), ["task x"], "no model", ["at the end"]) == (
        f"Manabi 1.2 · task x · bundle b 3 ({'c' * 12}) · at the end · {end}"
    )
    assert how_made(Result(provenance={"manabi": "1.2"}), (), "no model") == f"Manabi 1.2 · no model · {end}"
    assert how_made(Result(provenance={"manabi": "1.2"})) == f"Manabi 1.2 · {end}"


def test_pages_know_no_method():
    allowed = ("manabi.plotting", "manabi.result", "manabi.volume", "manabi.geometry", "manabi.io", "manabi.errors")
    for path in Path(plotting.__file__).parent.glob("*.py"):
        named = [n.module or "" for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.ImportFrom)]
        assert [m for m in named if m.startswith("manabi") and not m.startswith(allowed)] == [], path.name
