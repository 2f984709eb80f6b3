"""Pages, texts and colour maps shared by all figures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from manabi.errors import InvalidInputError
from manabi.plotting import colormaps, style
from manabi.plotting.page import Page, text_width, wrap
from manabi.plotting.views import tilt_deg
from manabi.volume import Volume

IMAGEJ_COOL = {0: (1, 3, 2), 64: (1, 128, 127), 128: (127, 1, 254), 192: (254, 127, 1), 224: (254, 191, 127)}
"""Entries of ImageJ's luts/cool.lut."""


@pytest.mark.parametrize(("index", "color"), IMAGEJ_COOL.items())
def test_cool_follows_imagejs_table(index, color):
    ours = np.array(colormaps.cool()(index)[:3]) * 255
    assert np.abs(ours - color).max() <= 6


def test_the_map_of_change_is_neutral_in_the_middle_and_darker_towards_both_ends():
    lightness = colormaps.change()(np.linspace(0, 1, 11))[:, :3].mean(1)
    assert lightness.argmax() == 5
    assert (np.diff(lightness[:6]) > 0).all()
    assert (np.diff(lightness[5:]) < 0).all()


def test_the_map_of_uncertainty_grows_lighter_throughout():
    lightness = colormaps.spread()(np.linspace(0, 1, 64))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


def test_wrapped_lines_fit_and_keep_every_word():
    text = "denoising moved the binding ratio of the left caudate " * 5
    lines = wrap(text, 240)
    assert " ".join(lines).split() == text.split()
    assert max(text_width(line) for line in lines) <= 240


def test_a_word_wider_than_the_line_is_broken():
    lines = wrap("x" * 200, 100)
    assert "".join(lines).replace(" ", "") == "x" * 200
    assert max(text_width(line) for line in lines) <= 100


def test_letters_without_a_font_become_boxes():
    assert style.printable("SBR ± 1 \U0001f9e0") == "SBR ± 1 □"


def test_a_page_is_trimmed_below_what_was_drawn(tmp_path):
    page = Page(300)
    page.band(10, 10, 100, 90, "#ff0000")
    with Image.open(page.save(tmp_path / "page.png", margin_px=20)) as image:
        assert image.size == (300, 120)
        assert image.convert("RGB").getpixel((50, 50)) == (255, 0, 0)


def test_formulas_and_underscores_are_written_as_they_are(tmp_path):
    page = Page(300)
    page.text(10, 20, r"$\frac{broken$ a_b %")
    assert page.save(tmp_path / "page.png").exists()


def test_a_page_does_not_replace_a_folder(tmp_path):
    (tmp_path / "page.png").mkdir()
    with pytest.raises(InvalidInputError):
        Page(300).save(tmp_path / "page.png")


def test_tilt_is_the_largest_angle_to_the_patients_axes():
    angle = np.radians(12)
    matrix = np.eye(4)
    matrix[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert tilt_deg(Volume(np.zeros((3, 3, 3)), matrix)) == pytest.approx(12)
    assert tilt_deg(Volume(np.zeros((3, 3, 3)), np.diag([-1.0, -1, 1, 1]))) == pytest.approx(0)
