"""Attenuation is that of the published tables, and every tissue is a mixture of water and bone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from manabi.errors import InvalidInputError
from manabi.phantoms.ct.materials import (
    MATERIALS,
    Material,
    electron_density,
    hu_at,
    mass_attenuation,
    mixture,
    with_iodine,
)
from manabi.phantoms.ct.spectra import Spectrum, cbct_spectrum, kv_spectrum, mv_spectrum
from manabi.phantoms.ct.tissue import (
    basis_of,
    densities_of_fractions,
    densities_of_hu,
    densities_of_tissues,
    fractions_of_hu,
)

# HU at 75 keV and at 0.5 to 0.8 MeV, calculated for the project from ICRU-44 compositions and Elam's tables.
CALCULATED = {
    "adipose": (-72, -49),
    "muscle": (43, 40),
    "brain": (37, 35),
    "blood": (55, 50),
    "spongiosa": (271, 150),
    "lung": (-741, -742),
    "cortical_bone": (1431, 784),
    "titanium": (10168, 2798),
}
# NIST, X-ray mass attenuation coefficients (Hubbell and Seltzer 1995), cm²/g.
NIST_WATER = {60: 0.2059, 100: 0.1707, 500: 0.09687, 1000: 0.07072, 2000: 0.04942, 3000: 0.03969}
NIST_CALCIUM = {60: 0.6578, 1000: 0.06388, 2000: 0.04524, 3000: 0.03780}


@pytest.mark.parametrize("name", CALCULATED)
def test_values_of_tissues_are_the_calculated_ones(name):
    for energy, expected in zip((75.0, 650.0), CALCULATED[name], strict=True):
        tolerance = 0.05 * expected if name in ("titanium", "cortical_bone") else 4.0
        assert hu_at(name, energy) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(
    ("material", "table"), [("water", NIST_WATER), (Material("calcium", 1.55, {"Ca": 1.0}), NIST_CALCIUM)]
)
def test_attenuation_is_that_of_nist_within_two_percent(material, table):
    found = mass_attenuation(material, np.array(list(table), float))
    assert found == pytest.approx(np.array(list(table.values())), rel=0.02)


def test_megavoltage_values_are_electron_densities():
    for name in CALCULATED:
        if name != "titanium":
            assert hu_at(name, 1000.0) == pytest.approx(1000 * (electron_density(name) - 1), abs=5.0)


def test_k_edge_of_iodine_is_kept():
    below, above = mass_attenuation("iodine", np.array([33.0, 33.4]))
    assert above > 4 * below


def test_contrast_agent_brightens_at_kilovoltage_only():
    enhanced = with_iodine("blood", 5.0)
    assert hu_at(enhanced, 75.0) - hu_at("blood", 75.0) > 100
    assert hu_at(enhanced, 1000.0) - hu_at("blood", 1000.0) < 10


def test_mixture_lies_between_its_parts():
    gland = mixture("gland", {"muscle": 0.7, "adipose": 0.3}, 1.02)
    assert hu_at("adipose", 75.0) < hu_at(gland, 75.0) < hu_at("muscle", 75.0)
    assert sum(gland.composition.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Material("x", 1.0, {"Xx": 1.0}),
        lambda: Material("x", -1.0, {"H": 1.0}),
        lambda: mass_attenuation("nothing", 75.0),
        lambda: mass_attenuation("water", 5.0),
        lambda: mass_attenuation("water", 5000.0),
        lambda: kv_spectrum(20.0),
        lambda: mv_spectrum(18.0),
        lambda: Spectrum((60.0,), (0.5,)),
        lambda: basis_of(Material("mine", 8.0, {"Fe": 1.0}, metal=True)),
        lambda: densities_of_hu(torch.tensor([[[float("nan")]]])),
        lambda: densities_of_tissues(torch.tensor([[[2]]]), ["air", "water"]),
        lambda: densities_of_fractions({}),
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(InvalidInputError):
        wrong()


# --- spectra ---------------------------------------------------------------------------------------


def test_spectra_have_published_mean_energies():
    assert 60 < kv_spectrum(120.0).mean_kev < 80
    assert cbct_spectrum(100.0).mean_kev < cbct_spectrum(125.0).mean_kev
    assert 750 < mv_spectrum().mean_kev < 1100


def test_few_bins_transmit_like_many():
    lengths = np.array([50.0, 200.0, 400.0])
    for make in (kv_spectrum, mv_spectrum):
        few, many = make(), make(bins=60)
        assert few.transmission("water", lengths) == pytest.approx(many.transmission("water", lengths), rel=0.01)
        assert few.transmission("titanium", 10.0) == pytest.approx(many.transmission("titanium", 10.0), rel=0.01)


def test_hardening_changes_bone_at_kilovoltage_and_hardly_at_megavoltage():
    def contrast(spectrum, behind_mm):
        bone, water = (spectrum.effective_attenuation(name, behind_mm) for name in ("cortical_bone", "water"))
        return 1000 * (bone / water - 1)

    assert contrast(kv_spectrum(), 0.0) - contrast(kv_spectrum(), 300.0) > 100
    assert abs(contrast(mv_spectrum(), 0.0) - contrast(mv_spectrum(), 300.0)) < 30


# --- basis -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [m.name for m in MATERIALS.values() if not m.metal])
def test_basis_weakens_as_the_material_does(name):
    energies = np.array([45.0, 75.0, 120.0, 1000.0, 2500.0])
    found = sum(density * mass_attenuation(part, energies) for part, density in basis_of(name).items())
    wanted = MATERIALS[name].density * mass_attenuation(name, energies)
    assert 1000 * np.abs((found - wanted) / mass_attenuation("water", energies)).max() < 2.0


def test_densities_show_the_values_they_came_from():
    hu = torch.tensor([[[-1000.0, -741.0, -72.0, 0.0, 43.0, 271.0, 900.0, 1431.0, 3071.0, 9000.0]]])
    found = densities_of_hu(hu)
    water = float(mass_attenuation("water", 75.0))
    again = sum(image * float(mass_attenuation(name, 75.0)) for name, image in found.items()) / water
    assert ((again - 1) * 1000 - hu).abs().max() < 1.0


def test_values_of_a_planning_scan_become_megavoltage_values():
    wanted = {name: values[1] for name, values in CALCULATED.items()}
    found = densities_of_hu(torch.tensor([[[CALCULATED[name][0] for name in wanted]]], dtype=torch.float32))
    water = float(mass_attenuation("water", 650.0))
    shown = 1000 * (sum(image * float(mass_attenuation(name, 650.0)) for name, image in found.items()) / water - 1)
    for value, (name, expected) in zip(shown.flatten().tolist(), wanted.items(), strict=True):
        assert value == pytest.approx(expected, abs=0.02 * abs(expected) + 3), name


def test_fillers_and_noise_in_air_are_empty_and_too_bright_is_metal():
    found = fractions_of_hu(torch.tensor([[[-3024.0, -1024.0, -985.0, 60000.0]]]))
    assert found.shape == (3, 1, 1, 4)
    assert float(found[..., :3].abs().max()) == 0.0
    assert float(found[2, 0, 0, 3]) == pytest.approx(MATERIALS["titanium"].density)


def test_labels_and_fractions_describe_the_same_body():
    labels = torch.tensor([[[0, 1], [2, 1]]])
    names = ["air", "muscle", "amalgam"]
    by_label = densities_of_tissues(labels, names)
    by_share = densities_of_fractions({name: (labels == k).float() for k, name in enumerate(names)})
    assert set(by_label) == set(by_share)
    for name in by_label:
        assert torch.allclose(by_label[name], by_share[name], atol=1e-6)
    half = densities_of_tissues(labels, names, torch.full(labels.shape, 0.5))
    assert torch.allclose(half["amalgam"], by_label["amalgam"] / 2)
