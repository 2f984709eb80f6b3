"""A scan lies on the voxels it was made from, follows from its seed alone, and the quick one is like the full one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_ct_scan import INSERTS, SPACING, cylinder, radius_from, rod, scan

from manabi.context import Context
from manabi.errors import CancelledError
from manabi.phantoms.ct.scan import scan_densities, scan_volume
from manabi.phantoms.ct.scanner import CBCT, KVCT, MVCT, PRESETS
from manabi.phantoms.ct.tissue import densities_of_hu


@pytest.mark.parametrize("kind", list(PRESETS))
@pytest.mark.parametrize("fast", [False, True])
def test_scan_lies_on_the_input_grid_within_a_twentieth_of_a_voxel(kind, fast):
    hu = torch.full((3, 120, 132), -1000.0)
    y, x = torch.meshgrid(torch.arange(120.0), torch.arange(132.0), indexing="ij")
    for cx, cy, sd, value in [(50.3, 61.7, 20.0, 1000.0), (72.2, 40.4, 8.0, 900.0)]:
        hu += value * torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sd**2))
    scanner = PRESETS[kind].ideal().with_(offset_mm=(7.3, -3.1), fov_mm=400.0)
    before = hu.clone()
    image = scan_volume(hu, (1.5, 1.3, 3.0), scanner, fast=fast)
    assert torch.equal(hu, before)
    assert image.shape == hu.shape
    truth, seen = hu[1] + 1000, image[1] + 1000
    by_x, by_y = (torch.gradient(truth, dim=axis)[0] for axis in (1, 0))
    table = torch.stack([by_x, by_y, truth], dim=-1).reshape(-1, 3).double()
    moved = torch.linalg.lstsq(table, (seen - truth).reshape(-1, 1).double()).solution[:2]
    assert float(moved.abs().max()) < 0.05


def test_same_seed_same_scan_and_other_seeds_differ():
    labels = cylinder(slices=1)
    one, again, other = (scan(labels, MVCT, seed) for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert float((one - other)[:, radius_from() < 50].std()) > 20


@pytest.mark.parametrize("fast", [False, True])
def test_batches_do_not_change_the_scan(fast):
    labels = cylinder(INSERTS, 7)[:, 60:180, 60:180]
    labels[3:] = labels[3:].flip(1)
    whole, parts = (scan(labels, MVCT.with_(views=90), batch=batch, fast=fast) for batch in (16, 3))
    assert (whole - parts).abs().max() < 0.05


def test_a_scanned_volume_is_the_scan_of_its_densities():
    hu = torch.where(radius_from() < 60, 40.0, -1000.0).repeat(2, 1, 1)
    scanner = MVCT.with_(views=90)
    assert torch.allclose(
        scan_volume(hu, SPACING, scanner, 2), scan_densities(densities_of_hu(hu), SPACING, scanner, 2)
    )


def test_progress_is_told_and_cancelling_stops():
    told = []
    context = Context(on_progress=lambda fraction, text: told.append((fraction, text)))
    labels = cylinder(slices=4)[:, ::4, ::4]
    scan(labels, MVCT, batch=2, context=context)
    assert [fraction for fraction, _ in told] == [0.0, 0.5]
    assert told[1][1] == "Scanning slices 3 to 4 of 4"
    context.cancel.set()
    with pytest.raises(CancelledError):
        scan(labels, MVCT, context=context)


# --- the quick scan ----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[MVCT, KVCT, CBCT.with_(fov_mm=460.0)], ids=lambda scanner: scanner.kind)
def both(request):
    """The cylinder with rods, scanned in full and quickly: noise and no noise."""
    scanner = request.param.with_(slice_mm=0.0, ring_hu=0.0)
    labels = cylinder(INSERTS, 3)
    return {
        fast: (scan(labels, scanner, 5, fast=fast), scan(labels[:1], scanner.noiseless(), 5, fast=fast))
        for fast in (False, True)
    }


@pytest.mark.parametrize(("inner", "outer"), [(0, 30), (84, 97)])
def test_quick_noise_is_as_strong_in_the_middle_and_at_the_edge(both, inner, outer):
    where = (radius_from() >= inner) & (radius_from() < outer)
    full, quick = (float((noisy - clean)[:, where].std()) for noisy, clean in both.values())
    assert quick == pytest.approx(full, rel=0.10)


@pytest.mark.parametrize("scanner", [MVCT, CBCT], ids=lambda scanner: scanner.kind)
def test_quick_noise_has_the_same_spectrum(scanner):
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64))
    edges = [0.0, 0.06, 0.12, 0.2, 0.28, 0.36, 0.5]
    scanner, spectra = scanner.with_(slice_mm=0.0, ring_hu=0.0), []
    for fast in (False, True):
        noise = scan(cylinder(slices=4), scanner, 5, fast=fast) - scan(
            cylinder(slices=1), scanner.noiseless(), fast=fast
        )
        power = (torch.fft.fft2(noise[:, 88:152, 88:152]).abs() ** 2).mean(0).numpy()
        bands = [power[(frequency > a) & (frequency <= b)].mean() for a, b in zip(edges, edges[1:], strict=False)]
        spectra.append(np.array(bands) / power.mean())
    assert np.abs(spectra[0] - spectra[1]).max() < 0.3
    assert np.corrcoef(spectra)[0, 1] > 0.97


def test_quick_values_contrast_and_shading_are_the_same(both):
    (_, full), (_, quick) = both.values()
    for k, name in enumerate(INSERTS):
        tolerance = 0.04 * 1500 if name == "cortical_bone" else 8.0
        assert float(rod(quick, k).mean()) == pytest.approx(float(rod(full, k).mean()), abs=tolerance), name
    distance = radius_from()
    for low, high in [(0, 30), (30, 45), (82, 94), (110, 125)]:
        where = (distance >= low) & (distance < high)
        assert float(quick[0][where].mean()) == pytest.approx(float(full[0][where].mean()), abs=7.0)


def test_quick_edges_are_as_sharp(both):
    (_, full), (_, quick) = both.values()
    steep = [float(torch.gradient(image[0], dim=1)[0].abs()[118:122, :40].max()) for image in (full, quick)]
    assert steep[1] == pytest.approx(steep[0], rel=0.12)


def test_quick_rings_are_the_full_ones():
    scanner = MVCT.ideal().with_(slice_mm=0.0)
    seen = []
    for fast in (False, True):
        image = scan(cylinder(slices=1), scanner.with_(ring_hu=10.0), fast=fast) - scan(
            cylinder(slices=1), scanner, fast=fast
        )
        seen.append(image[0][(radius_from() > 20) & (radius_from() < 90)])
    assert float(torch.corrcoef(torch.stack(seen))[0, 1]) > 0.8
    assert float(seen[1].std()) == pytest.approx(float(seen[0].std()), rel=0.25)


def test_quick_scan_is_cut_by_the_field_of_view_too():
    scanner, labels = MVCT.ideal().with_(fov_mm=150.0), cylinder(slices=1, radius=105.0)
    full, quick = (scan(labels, scanner, fast=fast)[0] for fast in (False, True))
    distance = radius_from()
    assert torch.equal(full == -1000.0, quick == -1000.0)
    for low, high in [(0, 30), (50, 60), (64, 70)]:
        where = (distance >= low) & (distance < high)
        assert float(quick[where].mean()) == pytest.approx(float(full[where].mean()), abs=35.0)
