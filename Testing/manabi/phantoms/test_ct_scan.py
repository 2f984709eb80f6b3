"""Scanners show what physics and the published measurements say: noise, resolution, contrast and errors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from manabi.errors import InvalidInputError
from manabi.phantoms.ct.beam import setup
from manabi.phantoms.ct.materials import electron_density
from manabi.phantoms.ct.scan import scan_tissues, scan_volume
from manabi.phantoms.ct.scanner import CBCT, KVCT, MVCT, PRESETS, Scanner, sample_scanner
from manabi.phantoms.ct.surrogate import transfer

MATRIX, PIXEL = 240, 0.95
SPACING = (PIXEL, PIXEL, 3.0)
MATERIALS = ("air", "water", "muscle", "adipose", "spongiosa", "lung", "cortical_bone", "titanium")
INSERTS = ("muscle", "adipose", "spongiosa", "lung", "cortical_bone")


def radius_from(x_mm=0.0, y_mm=0.0, matrix=MATRIX, pixel=PIXEL):
    at = (torch.arange(matrix) - (matrix - 1) / 2) * pixel
    return torch.hypot(at - x_mm, at[:, None] - y_mm)


def insert_at(k):
    angle = 2 * math.pi * k / len(INSERTS)
    return 62 * math.cos(angle), 62 * math.sin(angle)


def cylinder(inserts=(), slices=2, radius=100.0):
    """Labels of a water cylinder, with rods of 14 mm radius."""
    labels = (radius_from() < radius).long()
    for k, name in enumerate(inserts):
        labels[radius_from(*insert_at(k)) < 14] = MATERIALS.index(name)
    return labels.repeat(slices, 1, 1)


def scan(labels, scanner, seed=1, **more):
    return scan_tissues(labels, SPACING, scanner, seed, MATERIALS, **more)


def rod(image, k, radius=9.0):
    return image[:, radius_from(*insert_at(k)) < radius]


@pytest.fixture(scope="module")
def inserts_seen():
    """The cylinder with rods, without noise and errors."""
    return {kind: scan(cylinder(INSERTS, 1), PRESETS[kind].ideal()) for kind in ("kvct", "mvct")}


# --- noise -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "low", "high"), [("mvct", 22.0, 26.0), ("kvct", 8.0, 10.0), ("cbct", 22.0, 28.0)])
def test_noise_in_the_reference_cylinder_is_the_stated_one(kind, low, high):
    image = scan(cylinder(slices=2), PRESETS[kind].with_(slice_mm=0.0, ring_hu=0.0))
    noise = image - scan(cylinder(slices=1), PRESETS[kind].noiseless())
    assert low < float(noise[:, radius_from() < 20].std()) < high


def test_noise_is_correlated_as_a_ramp_makes_it():
    image = scan(cylinder(slices=4), MVCT.with_(ring_hu=0.0, slice_mm=0.0, cupping_hu=0.0))
    part = image[:, 88:152, 88:152]
    power = (torch.fft.fft2(part - part.mean((1, 2), keepdim=True)).abs() ** 2).mean(0)
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64))
    bands = [
        float(power[(frequency > a) & (frequency <= b)].mean()) for a, b in [(0.0, 0.05), (0.15, 0.25), (0.4, 0.5)]
    ]
    assert bands[1] > 2 * bands[0]
    assert bands[1] > 1.2 * bands[2]


def test_slices_share_noise_where_they_share_photons():
    def likeness(slice_mm):
        scanner = KVCT.with_(slice_mm=slice_mm, views=120)
        noise = scan(cylinder(slices=3), scanner) - scan(cylinder(slices=1), scanner.noiseless())
        return float(torch.corrcoef(noise[:, radius_from() < 25])[0, 1])

    assert abs(likeness(1.0)) < 0.15
    assert likeness(6.0) > 0.4


def test_muscle_and_fat_contrast_to_noise_is_the_published_one():
    # Vinas 2021: CNR of muscle to fat 1.6 ± 0.3 in megavoltage and 15.2 ± 0.8 in planning CT of patients.
    def contrast(scanner):
        image = scan(cylinder(INSERTS, 2), scanner)
        muscle, fat = rod(image, 0), rod(image, 1)
        return float((muscle.mean() - fat.mean()) / torch.sqrt((muscle.var() + fat.var()) / 2))

    assert 1.1 < contrast(MVCT.with_(noise_hu=55.0, slice_mm=0.0)) < 2.2
    assert contrast(KVCT) > 9.0


def test_thick_patients_are_noisier():
    thin, thick = (scan(cylinder(slices=1, radius=r), MVCT) for r in (70.0, 108.0))
    near = radius_from() < 20
    assert float(thick[:, near].std()) > 1.2 * float(thin[:, near].std())


# --- resolution ------------------------------------------------------------------------------------


def frequency_at(scanner, level):
    """Line pairs per mm where the contrast of the edge of the 20 cm cylinder falls to ``level``."""
    image = scan(cylinder(slices=1), scanner.ideal().with_(slice_mm=0.0))[0]
    distance, order = radius_from().flatten().sort()
    near = (distance > 92) & (distance < 108)
    edges = np.arange(-8.0, 8.0, 0.2)
    index = np.digitize(distance[near].numpy() - 100, edges)
    values = image.flatten()[order][near].numpy()
    profile = np.array([values[index == k].mean() for k in range(1, len(edges))])
    spread = np.abs(np.fft.rfft(np.gradient(profile) * np.hanning(len(profile)), 2048))
    frequency = np.fft.rfftfreq(2048, 0.2)
    # The cylinder is drawn in whole pixels; that blur is taken off.
    response = spread / spread[0] / np.sinc(frequency * PIXEL)
    return float(frequency[np.argmax(response < level)])


def test_resolution_of_megavoltage_lies_in_the_published_range():
    # Velten (Radixact): 0.39 to 0.42 line pairs per mm standard, 0.18 to 0.24 with soft kernels.
    assert 0.36 < frequency_at(MVCT, 0.10) < 0.45
    assert 0.18 < frequency_at(MVCT, 0.50) < 0.28
    assert frequency_at(MVCT.with_(blur_mm=2.2, cutoff=0.4), 0.10) < 0.26


def test_resolution_of_planning_ct_is_higher_and_predicted():
    assert frequency_at(KVCT, 0.50) > 1.2 * frequency_at(MVCT, 0.50)
    for scanner in (KVCT, MVCT):
        work = setup(scanner, (MATRIX, MATRIX), (PIXEL, PIXEL))
        even = np.linspace(0, 1, 2001)
        predicted = even[np.argmax(transfer(work, even) < 0.5)]
        assert frequency_at(scanner, 0.50) == pytest.approx(predicted, rel=0.12)


@pytest.mark.parametrize("width", [4.1, 7.2])
def test_slice_profile_has_the_stated_width(width):
    labels = cylinder(slices=31)
    labels[15][radius_from() < 30] = MATERIALS.index("muscle")
    image = scan_tissues(labels, (PIXEL, PIXEL, 1.0), MVCT.ideal().with_(slice_mm=width, views=60), 0, MATERIALS)
    profile = image[:, radius_from() < 20].mean(1).double().numpy()
    profile = profile - profile[0]
    spread = math.sqrt((profile * (np.arange(31) - 15) ** 2).sum() / profile.sum())
    assert 2.3548 * spread == pytest.approx(width, rel=0.08)
    assert profile.sum() == pytest.approx(40, abs=4)


# --- values ----------------------------------------------------------------------------------------


def test_megavoltage_is_linear_in_electron_density(inserts_seen):
    found = [float(rod(inserts_seen["mvct"], k).mean()) for k in range(len(INSERTS))]
    wanted = [1000 * (electron_density(name) - 1) for name in INSERTS]
    slope, offset = np.polyfit(wanted, found, 1)
    assert slope == pytest.approx(1.0, abs=0.03)
    assert np.abs(np.polyval((slope, offset), wanted) - found).max() < 20
    assert abs(offset) < 10


def test_planning_ct_shows_the_calculated_tissues_and_bone_above_megavoltage(inserts_seen):
    shown = {kind: {name: float(rod(image, k).mean()) for k, name in enumerate(INSERTS)}
             for kind, image in inserts_seen.items()}  # fmt: skip
    assert shown["kvct"]["muscle"] == pytest.approx(43, abs=10)
    assert shown["kvct"]["adipose"] == pytest.approx(-72, abs=12)
    assert shown["kvct"]["lung"] == pytest.approx(-741, abs=10)
    assert shown["kvct"]["spongiosa"] == pytest.approx(271, abs=30)
    assert shown["kvct"]["cortical_bone"] == pytest.approx(1431, rel=0.15)
    assert shown["mvct"]["cortical_bone"] == pytest.approx(784, rel=0.05)


@pytest.mark.parametrize("kind", ["kvct", "mvct"])
def test_water_is_flat_and_zero_without_errors(kind):
    image = scan(cylinder(slices=1), PRESETS[kind].ideal())[0]
    rings = [float(image[(radius_from() > a) & (radius_from() < b)].mean()) for a, b in [(0, 20), (40, 60), (80, 95)]]
    assert max(abs(r) for r in rings) < 3.0


@pytest.mark.parametrize("depth", [8.0, 25.0])
def test_cup_is_as_deep_as_stated(depth):
    scanner = MVCT.ideal()
    image = (scan(cylinder(slices=1), scanner.with_(cupping_hu=depth)) - scan(cylinder(slices=1), scanner))[0]
    distance = radius_from()
    # The cup is the square root of R² - r²: 0.995 of it at the middle, 0.312 at 95 mm.
    seen = image[(distance > 94) & (distance < 96)].mean() - image[distance < 15].mean()
    assert float(seen) == pytest.approx(depth * (0.995 - 0.312), rel=0.06)
    assert abs(float(image[distance < 95].mean())) < 2.0


def test_scatter_of_cone_beams_cups_and_darkens():
    image = scan(cylinder(slices=1), CBCT.ideal().with_(scatter=0.12))[0]
    clean = scan(cylinder(slices=1), CBCT.ideal())[0]
    distance = radius_from()
    middle, edge = (
        float((image - clean)[where].mean()) for where in (distance < 15, (distance > 85) & (distance < 95))
    )
    assert middle < -30
    assert edge - middle > 20


def test_air_inside_is_too_bright_and_outside_is_not():
    labels = cylinder(slices=1)
    labels[0][radius_from() < 18] = 0
    image = scan(labels, MVCT.noiseless())[0]
    assert float(image[radius_from() < 12].mean()) + 1000 == pytest.approx(65, abs=10)
    assert float(image[radius_from() > 130].mean()) == pytest.approx(-1000, abs=3)


def test_calibration_error_moves_water_and_leaves_air():
    image = scan(cylinder(slices=1), MVCT.ideal().with_(calibration_hu=15.0))[0]
    assert float(image[radius_from() < 60].mean()) == pytest.approx(15, abs=3)
    assert float(image[radius_from() > 110].mean()) == pytest.approx(-1000, abs=3)


def test_rings_are_circles_of_the_stated_strength():
    scanner = MVCT.ideal()
    rings = (scan(cylinder(slices=1), scanner.with_(ring_hu=6.0)) - scan(cylinder(slices=1), scanner))[0]
    distance = radius_from()
    bands = [rings[(distance >= a) & (distance < a + 1)] for a in range(20, 90)]
    assert 3.0 < float(torch.stack([band.mean() for band in bands]).std()) < 7.0
    assert float(torch.stack([band.std() for band in bands]).mean()) < 4.0


def test_metal_streaks_at_kilovoltage_and_hardly_at_megavoltage():
    labels = cylinder(slices=1)
    for side in (-40.0, 40.0):
        labels[0][radius_from(side, 0.0) < 6] = MATERIALS.index("titanium")
    clean = cylinder(slices=1)
    between = radius_from() < 15
    between[: MATRIX // 2 - 4] = between[MATRIX // 2 + 4 :] = False
    dark = {}
    for kind in ("kvct", "mvct"):
        scanner = PRESETS[kind].ideal()
        dark[kind] = float((scan(labels, scanner) - scan(clean, scanner))[0][between].mean())
    assert dark["kvct"] < -60
    assert abs(dark["mvct"]) < 15


def test_beyond_the_field_of_view_is_air_and_its_rim_is_bright():
    wide = torch.ones(1, MATRIX, MATRIX).long()
    image = scan(wide, MVCT.ideal().with_(fov_mm=150.0, offset_mm=(6.0, -4.0)))[0]
    distance = radius_from(6.0, -4.0)
    assert float(image[distance > 76].max()) == -1000.0
    assert float(image[(distance > 70) & (distance < 74)].mean()) > float(image[distance < 30].mean()) + 30


# --- scanners --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(PRESETS))
def test_scanners_survive_json_and_differ_between_individuals(kind):
    drawn = [sample_scanner(kind, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0].kind == kind
    assert Scanner.from_dict(json.loads(json.dumps(drawn[0].to_dict()))) == drawn[0]


def test_sampled_megavoltage_scanners_stay_within_published_ranges():
    drawn = [sample_scanner("mvct", np.random.default_rng(seed)) for seed in range(60)]
    assert all(20 <= s.noise_hu <= 55 and 4.1 <= s.slice_mm <= 7.2 and s.fov_mm == 391.0 for s in drawn)
    assert np.mean([s.air_offset_hu for s in drawn]) == pytest.approx(65, abs=15)
    even = np.linspace(0, 1, 1001)
    ends = [even[np.argmax(transfer(setup(s, (512, 512), (0.76, 0.76)), even) < 0.1)] for s in drawn]
    assert 0.17 < min(ends) < 0.24
    assert 0.38 < max(ends) < 0.44


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: MVCT.with_(kind="pet"),
        lambda: MVCT.with_(fov_mm=0.0),
        lambda: MVCT.with_(noise_hu=-1.0),
        lambda: MVCT.with_(electronic=1.0),
        lambda: Scanner.from_dict({**MVCT.to_dict(), "colour": 1}),
        lambda: sample_scanner("pet", np.random.default_rng(0)),
        lambda: scan_volume(torch.zeros(4, 4), (1, 1, 1), MVCT),
        lambda: scan_volume(torch.zeros(1, 4, 4), (1, 1, 1), MVCT),
        lambda: scan_volume(torch.zeros(1, 16, 16), (1, 0, 1), MVCT),
        lambda: scan_volume(torch.full((1, 16, 16), float("nan")), (1, 1, 1), MVCT),
        lambda: scan_tissues({}, (1, 1, 1), MVCT),
        lambda: scan_tissues({"air": torch.zeros(1, 9, 9), "water": torch.zeros(1, 8, 9)}, (1, 1, 1), MVCT),
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(InvalidInputError):
        wrong()
