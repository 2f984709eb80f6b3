"""Projections are line integrals, reconstruction is their inverse, and both engines do the same sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from manabi.errors import InvalidInputError
from manabi.phantoms.ct.fbp import fbp, filter_views, noise_gain, response_of
from manabi.phantoms.ct.geometry import ParallelGeometry
from manabi.phantoms.ct.project import backproject, has_numba, project

needs_numba = pytest.mark.skipif(not has_numba(), reason="numba is not installed")
ENGINES = ["torch", pytest.param("numba", marks=needs_numba)]


def places(shape, pixel):
    x = (torch.arange(shape[1]) - (shape[1] - 1) / 2) * pixel[0]
    y = (torch.arange(shape[0]) - (shape[0] - 1) / 2) * pixel[1]
    return x.float(), y.float()[:, None]


def disc(shape, pixel, centre, radius, fine=5):
    """A disc with partial pixels at its edge."""
    x, y = places(shape, pixel)
    steps = (torch.arange(fine) - (fine - 1) / 2) / fine
    total = torch.zeros(shape)
    for dx in steps * pixel[0]:
        for dy in steps * pixel[1]:
            total += ((x + dx - centre[0]) ** 2 + (y + dy - centre[1]) ** 2 <= radius**2).float()
    return total / fine**2


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("pixel", "axis"), [((1.0, 1.0), (0.0, 0.0)), ((1.3, 0.9), (4.0, -7.0))])
def test_projection_of_a_disc_is_its_chords(engine, pixel, axis):
    shape, centre, radius = (120, 110), (12.0, -8.0), 35.0
    geometry = ParallelGeometry(90, 140, 1.0, axis)
    found = project(disc(shape, pixel, centre, radius)[None], pixel, geometry, engine)[0].double().numpy()
    angle = geometry.angles[:, None]
    u = geometry.offsets_mm - (centre[0] - axis[0]) * np.cos(angle) - (centre[1] - axis[1]) * np.sin(angle)
    chords = 2 * np.sqrt(np.maximum(radius**2 - u**2, 0))
    middle = np.abs(u) < 0.9 * radius
    assert np.abs(found - chords)[middle].max() < 1.0
    assert found.sum(1) == pytest.approx(np.full(90, math.pi * radius**2), rel=2e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_reconstruction_gives_the_disc_back_where_it_lies(engine):
    shape, pixel, axis = (96, 110), (1.2, 1.0), (3.0, -2.0)
    image = 0.02 * disc(shape, pixel, (10.0, 6.0), 25.0)
    geometry = ParallelGeometry(200, 160, 0.8, axis)
    found = fbp(project(image[None], pixel, geometry, engine), geometry, shape, pixel, engine=engine)[0]
    x, y = places(shape, pixel)
    inner = (x - 10) ** 2 + (y - 6) ** 2 < 20**2
    assert float(found[inner].mean()) == pytest.approx(0.02, rel=0.005)
    assert float(found[inner].std()) < 0.03 * 0.02
    outer = ((x - 10) ** 2 + (y - 6) ** 2 > 30**2) & ((x - 3) ** 2 + (y + 2) ** 2 < 45**2)
    assert float(found[outer].abs().mean()) < 0.01 * 0.02
    for axis_places in (x.expand(shape), y.expand(shape)):
        there, wanted = (found * axis_places)[inner].mean(), (image * axis_places)[inner].mean()
        assert float(there) == pytest.approx(float(wanted), abs=0.02 * 0.05)


@needs_numba
@pytest.mark.parametrize("count", [1, 5, 18])
def test_engines_agree(count):
    images = torch.rand(count, 60, 70, generator=torch.Generator().manual_seed(1))
    geometry = ParallelGeometry(61, 83, 1.1, (2.0, -3.0))
    views = {engine: project(images, (1.0, 1.2), geometry, engine) for engine in ("numba", "torch")}
    assert (views["numba"] - views["torch"]).abs().max() < 1e-4 * views["torch"].abs().max()
    found = {engine: fbp(views["torch"], geometry, (60, 70), (1.0, 1.2), "hann", 0.9, engine) for engine in views}
    assert (found["numba"] - found["torch"]).abs().max() < 1e-4 * found["torch"].abs().max()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_slice_does_not_depend_on_its_neighbours(engine):
    images = torch.rand(6, 40, 40, generator=torch.Generator().manual_seed(2))
    geometry = ParallelGeometry(30, 50, 1.0)
    together = project(images, 1.0, geometry, engine)
    alone = torch.cat([project(image[None], 1.0, geometry, engine) for image in images])
    assert torch.allclose(together, alone, atol=1e-5)
    back = backproject(together, geometry, (40, 40), 1.0, engine)
    assert torch.allclose(back[3:4], backproject(alone[3:4], geometry, (40, 40), 1.0, engine), atol=1e-3)


def test_threads_do_not_change_the_answer():
    images = torch.rand(3, 90, 90, generator=torch.Generator().manual_seed(3))
    geometry, before = ParallelGeometry(50, 100, 1.0), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            views = project(images, 1.0, geometry)
            found.append((views, backproject(views, geometry, (90, 90), 1.0)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_outside_the_covered_circle_is_zero_and_inputs_stay_unchanged():
    geometry = ParallelGeometry(20, 21, 1.0)
    views = torch.rand(2, 20, 21, generator=torch.Generator().manual_seed(4))
    before = views.clone()
    found = fbp(views, geometry, (40, 40), 1.0)
    x, y = places((40, 40), (1.0, 1.0))
    outside = (x**2 + y**2).expand(40, 40) > 10.1**2
    assert float(found[:, outside].abs().max()) == 0.0
    assert float(found[:, ~outside].abs().max()) > 0.0
    assert torch.equal(views, before)


def test_reconstruction_is_that_of_scikit_image():
    from skimage.transform import iradon

    size = 101
    geometry = ParallelGeometry(180, size, 1.0)
    image = disc((size, size), (1.0, 1.0), (8.0, -5.0), 20.0)
    views = project(image[None], 1.0, geometry)
    ours = fbp(views, geometry, (size, size), 1.0)[0].numpy()
    # Theirs turns the other way round and measures rows downwards.
    theirs = iradon(views[0].numpy().T, theta=-np.degrees(geometry.angles), output_size=size, circle=True)
    inner = np.hypot(*np.mgrid[-50:51, -50:51]) < 48
    assert np.abs(ours - theirs)[inner].mean() < 0.005
    assert np.abs(ours - theirs)[inner].max() < 0.06


def test_a_ramp_keeps_no_mean_and_windows_only_lower_it():
    ramp = response_of(128, "ramp", 1.0)
    assert 0 <= ramp[0] < 1e-2 * ramp[-1]
    for window in ("shepp", "cosine", "hann"):
        assert (response_of(128, window, 1.0) <= ramp + 1e-12).all()
    assert response_of(128, "hann", 0.5)[-1] == 0.0


@pytest.mark.parametrize(("window", "cutoff"), [("ramp", 1.0), ("hann", 1.0), ("hann", 0.6)])
def test_noise_of_an_image_is_the_predicted_one(window, cutoff):
    geometry = ParallelGeometry(180, 101, 1.0)
    views = torch.randn(12, 180, 101, generator=torch.Generator().manual_seed(5))
    image = fbp(views, geometry, (70, 70), 0.93, window, cutoff)[:, 15:55, 15:55]
    predicted = noise_gain(101, window, cutoff) * math.pi**2 / geometry.views
    assert float(image.var()) == pytest.approx(predicted, rel=0.05)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda g: project(torch.zeros(3, 3), 1.0, g),
        lambda g: project(torch.zeros(1, 1, 9), 1.0, g),
        lambda g: project(torch.zeros(1, 9, 9), 0.0, g),
        lambda g: project(torch.zeros(1, 9, 9), 1.0, g, "gpu"),
        lambda g: backproject(torch.zeros(1, 9, 9), g, (9, 9), 1.0),
        lambda g: filter_views(torch.zeros(1, 9, 9), 1.0, "square"),
        lambda g: filter_views(torch.zeros(1, 9, 9), 1.0, "hann", 1.5),
        lambda g: ParallelGeometry(0, 10, 1.0),
        lambda g: ParallelGeometry(10, 10, -1.0),
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(InvalidInputError):
        wrong(ParallelGeometry(10, 12, 1.0))
