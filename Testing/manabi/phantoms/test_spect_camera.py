"""The camera obeys physics: attenuation, blur, counts, and an adjoint that is one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from manabi.errors import InvalidInputError
from manabi.phantoms.spect_camera import (
    FWHM_PER_SIGMA,
    Blur,
    Collimator,
    Projector,
    attenuation_factors,
    collimator,
    to_pixels,
    to_volume,
)
from manabi.phantoms.spect_tables import Geometry, centred_pixels, view_tables

SLICES, RADIUS_MM = 10, 140.0


def geometry(nodes: int = 8, views: int = 12) -> Geometry:
    return Geometry(views=views, nodes=nodes)


def disc(size: Geometry, radius_mm: float, slices: int = SLICES) -> torch.Tensor:
    x, y = centred_pixels(size)
    inside = np.hypot(x, y) * size.pixel_mm <= radius_mm
    return torch.from_numpy(inside.astype(np.float32))[:, None].repeat(1, slices)


def camera(nodes: int = 8, views: int = 12, mu: float = 0.15, slices: int = SLICES) -> Projector:
    size = geometry(nodes, views)
    factors = attenuation_factors(size, mu * disc(size, 90.0, slices))
    blur = Blur(size, slices, collimator("LEHR"), RADIUS_MM) if nodes > 1 else None
    return Projector(size, factors, blur)


def pixel_at(size: Geometry, x: float, y: float) -> int:
    columns, rows = centred_pixels(size)
    return int(np.argmin(np.hypot(columns - x, rows - y)))


@pytest.mark.parametrize("nodes", [1, 8])
@pytest.mark.parametrize("views", [None, (1, 4, 7)])
def test_adjoint_satisfies_the_dot_product(nodes: int, views: tuple[int, ...] | None) -> None:
    projector = camera(nodes)
    generator = torch.Generator().manual_seed(1)
    image = torch.rand((projector.geometry.pixels, 2, SLICES), generator=generator)
    count = len(views or range(12))
    projections = torch.rand((count, projector.geometry.bins, 2, SLICES), generator=generator)
    left = (projector.forward(image, views).double() * projections).sum()
    right = (projector.adjoint(projections, views).double() * image).sum()
    assert float(left / right) == pytest.approx(1.0, abs=1e-5)


def test_subset_of_views_equals_the_same_views_of_all() -> None:
    projector = camera()
    image = disc(projector.geometry, 60.0)[:, None]
    whole = projector.forward(image)
    assert torch.allclose(projector.forward(image, (2, 9)), whole[[2, 9]], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("nodes", [1, 8])
def test_without_attenuation_every_view_holds_its_share_of_the_counts(nodes: int) -> None:
    size = geometry(nodes)
    blur = Blur(size, 30, collimator("LEHR"), RADIUS_MM) if nodes > 1 else None
    image = torch.zeros((size.pixels, 1, 30))
    image[:, 0, 15] = disc(size, 50.0, 1)[:, 0]
    per_view = Projector(size, None, blur).forward(image).sum((1, 2, 3))
    assert torch.allclose(per_view, image.sum() / size.views, rtol=1e-4)


def test_point_source_in_a_water_cylinder_is_attenuated_by_its_depth() -> None:
    size = Geometry(views=4, nodes=1)
    radius_mm, mu = 90.0, 0.15
    factors = attenuation_factors(size, mu * disc(size, radius_mm, 1))
    pixel = pixel_at(size, 0.5, 12.5)
    # view 0 looks along +rows, view 2 along -rows; chord at x = half a pixel
    edge = math.sqrt(radius_mm**2 - (0.5 * size.pixel_mm) ** 2)
    for view, depth_mm in ((0, edge - 12.5 * size.pixel_mm), (2, edge + 12.5 * size.pixel_mm)):
        assert float(factors[view, pixel, 0]) == pytest.approx(math.exp(-mu * depth_mm / 10.0), rel=0.03)


def test_attenuation_of_opposite_views_multiplies_to_that_of_the_whole_chord() -> None:
    size = Geometry(views=12, nodes=1)
    factors = attenuation_factors(size, 0.15 * disc(size, 90.0, 1))
    both = -torch.log(factors[:6] * factors[6:])[:, pixel_at(size, 0.5, 0.5), 0]
    assert torch.allclose(both, torch.full((6,), 0.15 * 18.0), rtol=0.02)


@pytest.mark.parametrize(
    ("distance_mm", "lehr", "leap"), [(50, 5.0, 5.8), (100, 6.9, 8.5), (140, 8.6, 10.9), (200, 11.3, 14.5)]
)
def test_collimators_match_published_widths(distance_mm: float, lehr: float, leap: float) -> None:
    assert collimator("LEHR").fwhm_mm(distance_mm) == pytest.approx(lehr, abs=0.06)
    assert collimator("LEAP").fwhm_mm(distance_mm) == pytest.approx(leap, abs=0.06)


@pytest.mark.parametrize("depth_px", [-25.5, 0.5, 25.5])
def test_point_source_is_as_wide_as_the_collimator_says(depth_px: float) -> None:
    size, slices = Geometry(views=2), 31
    image = torch.zeros((size.pixels, 1, slices))
    image[pixel_at(size, 0.5, depth_px), 0, 15] = 1.0
    seen = Projector(size, None, Blur(size, slices, collimator("LEHR"), RADIUS_MM)).forward(image)[0, :, 0].double()
    expected = collimator("LEHR").fwhm_mm(RADIUS_MM - depth_px * size.pixel_mm)
    for profile in (seen.sum(1), seen.sum(0)):
        place = torch.arange(len(profile), dtype=torch.float64)
        mean = (profile * place).sum() / profile.sum()
        variance = (profile * (place - mean) ** 2).sum() / profile.sum()
        assert float(variance.sqrt()) * size.pixel_mm * FWHM_PER_SIGMA == pytest.approx(expected, rel=0.02)


def test_tables_hold_no_negative_share_and_lose_nothing() -> None:
    size = geometry(1, 120)
    for view in range(0, 120, 7):
        table = view_tables(size, (view,), torch.device("cpu"))
        assert float(table.project.weights.min()) > 0
        shares = table.spread(torch.ones((size.bins, 1)))
        assert torch.allclose(shares, torch.ones_like(shares), atol=1e-5)


def test_pixels_and_volume_are_inverse_within_the_field_of_view() -> None:
    size = geometry()
    pixels = torch.rand((size.pixels, 3))
    volume = to_volume(pixels, size)
    assert volume.shape == (3, 128, 128)
    assert torch.equal(to_pixels(volume, size), pixels)
    assert float(volume.sum()) == pytest.approx(float(pixels.sum()), rel=1e-5)


def test_impossible_cameras_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="even"):
        Geometry(views=61)
    with pytest.raises(InvalidInputError, match="LEHR"):
        collimator("XYZ")
    with pytest.raises(InvalidInputError, match="nodes"):
        Projector(Geometry(views=4, nodes=8), None, None)
    assert Collimator(1.0, 20.0).fwhm_mm(-5.0) == Collimator(1.0, 20.0).fwhm_mm(0.0)
