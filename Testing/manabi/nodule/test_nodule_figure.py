"""The figure of a searched film: film and marks in their places, the right way round, and what is said."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.figure
import numpy as np
import pytest
from fixtures_nodule import BlobFinder, chest, curve, film_volume, quick, with_blob
from PIL import Image

from manabi.errors import InvalidInputError
from manabi.nodule import outputs
from manabi.nodule.detect import DetectorSettings, search
from manabi.nodule.figure import draw_search, draw_synthesis
from manabi.nodule.parameters import NoduleParameters

LEFT, PX = 24 + 640 + 24, 640
"""Of the panel with the marks."""
SETTINGS = DetectorSettings(curve())


def searched(volume, **values):
    parameters = NoduleParameters(false_positives=1.0, **values)
    found = search(volume, BlobFinder(), SETTINGS, parameters, quick())
    return outputs.result(found, SETTINGS, parameters, quick())


@pytest.fixture(scope="module")
def volume():
    return film_volume(with_blob(chest(), 0.42, 0.27, 0.018, 0.3))


@pytest.fixture(scope="module")
def result(volume):
    return searched(volume)


@pytest.fixture
def texts(monkeypatch):
    """All texts of the figures that are saved."""
    seen: list[str] = []
    save = matplotlib.figure.Figure.savefig

    def spy(self, *args, **kwargs):
        seen.extend(text.get_text() for text in self.findobj(matplotlib.text.Text))
        return save(self, *args, **kwargs)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", spy)
    return seen


def yellow(path) -> np.ndarray:
    """Pixels of the marks' colour in the right panel, rows and columns from its corner."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)[86 : 86 + PX, LEFT : LEFT + PX]
    found = (np.abs(pixels - (255, 210, 63)) < 25).all(-1)
    return np.argwhere(found)


def test_the_circle_is_around_the_nodule(volume, result, tmp_path):
    assert result.tables["marks"].column("number") == [1]
    places = yellow(draw_search(volume, result, tmp_path / "a.png"))
    ring = places[np.hypot(*(places - (0.42 * PX, 0.27 * PX)).T) < 60]
    np.testing.assert_allclose((ring.min(0) + ring.max(0)) / 2, (0.42 * PX, 0.27 * PX), atol=16)


def test_another_order_of_axes_gives_the_same_picture(volume, result, tmp_path):
    turned = volume.reoriented((1, 0, 2), (1, -1, 1))
    draw_search(volume, result, tmp_path / "a.png")
    draw_search(turned, searched(turned), tmp_path / "b.png")
    with Image.open(tmp_path / "a.png") as a, Image.open(tmp_path / "b.png") as b:
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_it_says_what_was_set_and_what_is_doubtful(volume, result, tmp_path, texts):
    doubtful = replace(result, warnings=["Polarity: lungs are bright.", "Something smaller."])
    draw_search(volume, doubtful, tmp_path / "a.png")
    assert any("1 false positives per film" in text for text in texts)
    assert any("Polarity: lungs are bright." in text for text in texts)
    assert "Something smaller." in texts
    assert any("60 % of known nodules" in text for text in texts)
    assert "clear lung" in texts


def test_a_film_without_marks_says_so(tmp_path, texts):
    plain = film_volume(chest())
    result = searched(plain)
    empty = replace(
        result, tables={**result.tables, "marks": type(result.tables["marks"])(result.tables["marks"].columns, ())}
    )
    draw_search(plain, empty, tmp_path / "a.png")
    assert "No marks at this setting." in texts
    assert len(yellow(tmp_path / "a.png")) == 0


def test_a_long_film_keeps_its_proportions(tmp_path):
    tall = film_volume(np.concatenate([chest(), chest()[-40:]]))
    draw_search(tall, searched(tall), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[1] > 640 * 296 / 256


def test_results_of_another_film_or_task_are_refused(volume, result, tmp_path):
    with pytest.raises(InvalidInputError, match="film that was searched"):
        draw_search(film_volume(chest(200)), result, tmp_path / "a.png")
    with pytest.raises(InvalidInputError, match="synthesise"):
        draw_synthesis(result, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
