"""Icons follow Slicer's style: by its name where that says so, by the desktop's palette elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import pytest
from docs_blocks import ROOT


@pytest.fixture
def icons(monkeypatch):
    """:mod:`manabi_slicer.icons` on as much of Qt and Slicer as it uses; ``icons.style`` is what the user has set."""
    style = SimpleNamespace(name=None, lightness=240)
    color = SimpleNamespace(lightness=lambda: style.lightness)
    app = SimpleNamespace(
        settings=lambda: SimpleNamespace(value=lambda key: style.name if key == "Styles/Style" else None),
        palette=lambda: SimpleNamespace(color=lambda role: color if role == "window" else None),
    )
    qt, slicer = ModuleType("qt"), ModuleType("slicer")
    qt.QPalette, qt.QIcon, slicer.app = SimpleNamespace(Window="window"), str, app
    monkeypatch.setitem(sys.modules, "qt", qt)
    monkeypatch.setitem(sys.modules, "slicer", slicer)
    spec = importlib.util.spec_from_file_location("icons_under_test", ROOT / "manabi_slicer" / "icons.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.style = style
    return module


@pytest.mark.parametrize(
    ("name", "lightness", "dark"),
    [("Dark Slicer", 240, True), ("Light Slicer", 20, False), ("Slicer", 20, True), ("Slicer", 240, False),
     (None, 20, True), (None, 240, False)],
)  # fmt: skip
def test_a_style_is_dark_by_its_name_or_by_the_palette(icons, name, lightness, dark):
    icons.style.name, icons.style.lightness = name, lightness
    assert icons.is_dark() is dark


@pytest.mark.parametrize(("lightness", "ending"), [(240, "apply.svg"), (20, "apply-dark.svg")])
def test_a_shared_icon_is_the_one_for_the_style(icons, lightness, ending):
    icons.style.lightness = lightness
    assert icons.icon("apply") == str(icons.FOLDER / ending)


@pytest.mark.parametrize(("lightness", "ending"), [(240, "SPECTDenoise.svg"), (20, "SPECTDenoise-dark.svg")])
def test_a_modules_icon_lies_beside_it(icons, lightness, ending):
    icons.style.lightness = lightness
    module = ROOT / "SPECTDenoise"
    assert icons.module_icon(str(module / "SPECTDenoise.py")) == str(module / "Resources" / "Icons" / ending)


def test_an_unknown_icon_is_an_error_that_lists_the_known_ones(icons):
    with pytest.raises(FileNotFoundError, match=r"no icon appyl\.svg; expected one of .*'apply\.svg'"):
        icons.icon("appyl")
