"""Letters and borders on a film: where they lie, how bright, and that they leave the rest."""

import numpy as np
import pytest
import torch
from scipy.ndimage import center_of_mass

from manabi.phantoms.radiograph_film import FilmParameters, render_pair
from manabi.phantoms.radiograph_marks import GLYPHS, MarkParameters, marked, sample_marks

GREY = torch.full((1, 128, 128), 0.3)


def test_without_marks_the_film_is_the_same_and_a_copy():
    out = marked(GREY, [MarkParameters()])
    assert torch.equal(out, GREY)
    assert out.data_ptr() != GREY.data_ptr()


@pytest.mark.parametrize("letter", sorted(GLYPHS))
def test_a_letter_is_bright_where_it_was_put(letter):
    mark = MarkParameters(letter, place=(0.2, 0.7), height=0.1, grey=0.9)
    change = (marked(GREY, [mark]) - GREY)[0].numpy()
    assert change.max() == pytest.approx(0.6, abs=0.05)
    rows, columns = np.nonzero(change > 0.05)
    assert abs(rows.mean() - 0.2 * 128) < 4
    assert abs(columns.mean() - 0.7 * 128) < 4
    assert np.ptp(rows) < 0.14 * 128


def test_an_l_is_read_as_an_l():
    change = (marked(GREY, [MarkParameters("L", (0.5, 0.5), 0.5)]) - GREY)[0].numpy()
    row, column = center_of_mass(change)
    assert row > 66
    assert column < 62


def test_a_letter_never_darkens_a_bright_film():
    assert (marked(torch.ones(1, 64, 64), [MarkParameters("R", (0.5, 0.5), 0.3, grey=0.6)]) == 1).all()


def test_borders_are_black_and_as_wide_as_asked():
    out = marked(GREY, [MarkParameters(border=(0.05, 0.0, 0.1, 0.0))])[0]
    assert not out[:6].any()
    assert not out[:, :13].any()
    assert (out[6:, 13:] == 0.3).all()


def test_a_pair_has_the_same_marks():
    maps = torch.zeros(1, 4, 64, 64)
    maps[:, 0] = 10.0
    added = torch.zeros(1, 64, 64)
    added[0, 40, 40] = 1.0
    film = FilmParameters(marks=MarkParameters("L", (0.1, 0.9), 0.1, border=(0.0, 0.1, 0.0, 0.0)))
    normal, embedded = render_pair(maps, [film], [1], added, pixel_mm=6.0)
    torch.testing.assert_close(normal[0, :16], embedded[0, :16], atol=2e-3, rtol=0)
    assert not embedded[0, -6:].any()


def test_letters_lie_on_their_own_side():
    rng = np.random.default_rng(0)
    drawn = [sample_marks(rng) for _ in range(200)]
    for mark in drawn:
        if mark.letter:
            assert (mark.place[1] < 0.5) == (mark.letter == "R")
            assert mark.place[0] < 0.2
    assert {mark.letter for mark in drawn} == {"", "L", "R"}
