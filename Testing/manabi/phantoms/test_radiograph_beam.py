"""Transmission of the beam: slabs of known thickness, energy bins, a nodule's contrast, tube voltage."""

import numpy as np
import pytest
import torch

from manabi.errors import InvalidInputError
from manabi.phantoms.ct.materials import MATERIALS, material_of
from manabi.phantoms.ct.spectra import kv_spectrum
from manabi.phantoms.radiograph_beam import (
    LUNG_DENSITY,
    SUBSTANCES,
    TISSUES,
    BeamParameters,
    attenuation_table,
    sample_beam,
    transmitted,
)

MANY = BeamParameters(bins=30)


def slab(**grams):
    maps = torch.zeros(1, 4, 2, 2)
    for name, value in grams.items():
        maps[:, TISSUES.index(name)] = value
    return maps


def share(beam, **grams):
    return float(transmitted(slab(**grams), [beam])[0, 0, 0])


def test_an_empty_beam_passes_whole():
    assert share(BeamParameters()) == pytest.approx(1.0)


@pytest.mark.parametrize("centimetres", [2.0, 10.0, 20.0])
@pytest.mark.parametrize(("tissue", "substance"), list(zip(TISSUES[:3], SUBSTANCES[:3], strict=True)))
def test_a_slab_passes_as_much_as_its_spectrum_says(tissue, substance, centimetres):
    length = centimetres if tissue != "bone" else centimetres / 10
    expected = kv_spectrum(120.0, 3.0, 0.1, 30).transmission(substance, 10.0 * length)
    assert share(MANY, **{tissue: length * MATERIALS[substance].density}) == pytest.approx(float(expected), rel=1e-5)


def test_three_bins_agree_with_thirty_behind_a_chest():
    few, many = (share(beam, soft=18.0, bone=1.0, lung=3.0) for beam in (BeamParameters(), MANY))
    assert few == pytest.approx(many, rel=0.03)


def test_tissues_one_behind_the_other_multiply_at_one_energy():
    beam = BeamParameters(bins=1)
    together = share(beam, soft=5.0, bone=0.5)
    assert together == pytest.approx(share(beam, soft=5.0) * share(beam, bone=0.5), rel=1e-5)


def test_a_nodule_of_15_mm_has_a_fifth_of_the_primary_signal_as_contrast():
    grams = 1.5 * (MATERIALS["muscle"].density - 0.26)
    behind = {"fat": 3.0, "soft": 5.0, "lung": 4.0}
    before = share(MANY, **behind)
    after = share(MANY, **{**behind, "soft": behind["soft"] + grams})
    assert 1 - after / before == pytest.approx(0.21, abs=0.015)


def test_what_a_nodule_takes_the_place_of_is_lighter_than_soft_tissue():
    assert 0.1 < LUNG_DENSITY < 0.3 < MATERIALS["muscle"].density


def test_bone_loses_contrast_to_soft_tissue_with_the_tube_voltage():
    ratios = []
    for kvp in (70.0, 100.0, 140.0):
        beam = BeamParameters(kvp=kvp, bins=12)
        ratios.append(np.log(share(beam, bone=0.5)) / np.log(share(beam, soft=0.5)))
    assert ratios[0] > 1.15 * ratios[1] > 1.15 * 1.1 * ratios[2]


def test_the_table_is_of_the_four_substances():
    table, weights = attenuation_table(BeamParameters(bins=3))
    assert table.shape == (3, 4)
    assert weights.sum() == pytest.approx(1.0, abs=1e-6)
    energies = np.array(kv_spectrum(120.0, 3.0, 0.1, 3).energies_kev)
    bone = material_of("cortical_bone")
    np.testing.assert_allclose(table[:, 2], 10 * bone.attenuation(energies) / bone.density, rtol=1e-5)


def test_each_film_has_its_own_beam():
    maps = slab(soft=10.0).repeat(2, 1, 1, 1)
    soft, hard = transmitted(maps, [BeamParameters(kvp=80.0), BeamParameters(kvp=140.0)])[:, 0, 0].tolist()
    assert soft < 0.9 * hard


def test_the_held_out_domains_tubes_are_others():
    rng = np.random.default_rng(0)
    training = [sample_beam(rng).kvp for _ in range(50)]
    held_out = [sample_beam(rng, "held_out").kvp for _ in range(50)]
    assert all(110 <= kvp <= 130 for kvp in training)
    assert all(kvp <= 100 or kvp >= 135 for kvp in held_out)


def test_a_beam_without_bins_is_refused():
    with pytest.raises(InvalidInputError):
        attenuation_table(BeamParameters(bins=0))
