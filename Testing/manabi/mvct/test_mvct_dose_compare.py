"""DVH numbers, and the comparison that shows no harm (or harm)."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct_head import head

from manabi.errors import GeometryError, InvalidInputError
from manabi.mvct.density import kv_table, mv_table
from manabi.mvct.dose import even_beams
from manabi.mvct.dose_compare import Image, compare_dose, no_harm
from manabi.mvct.dose_dvh import dose_at_volume, dvh_numbers, dvh_plot, volume_at_dose
from manabi.volume import Volume


def test_dvh_numbers_are_percentiles():
    dose = np.arange(1.0, 101.0)
    mask = np.ones(100, bool)
    assert dose_at_volume(dose, mask, 98) == pytest.approx(np.percentile(dose, 2))
    assert dose_at_volume(dose, mask, 2) == pytest.approx(np.percentile(dose, 98))
    assert volume_at_dose(dose, mask, 91.0) == pytest.approx(10.0)
    numbers = dvh_numbers(dose, dose > 50, 100.0)
    assert list(numbers) == ["D98", "D95", "D50", "D2", "Dmean", "V95"]
    assert numbers["Dmean"] == pytest.approx(75.5) and numbers["V95"] == pytest.approx(12.0)


def test_dvh_refuses_what_has_no_dose():
    dose = np.ones(5)
    with pytest.raises(InvalidInputError, match="empty"):
        dvh_numbers(dose, np.zeros(5, bool), 1.0)
    with pytest.raises(InvalidInputError, match="one shape"):
        dose_at_volume(dose, np.ones(4, bool), 5.0)
    with pytest.raises(InvalidInputError, match="0 to 100"):
        dose_at_volume(dose, np.ones(5, bool), 101.0)


def test_the_dvh_plot_falls_from_everything_to_nothing():
    plot = dvh_plot({"kv": np.linspace(0, 110, 200)}, {"cord": np.ones(200, bool)}, 100.0)
    x, y = plot.series["cord, kv"]
    assert y[0] == 100.0 and y[-1] == 0.0 and x[-1] == pytest.approx(120.0) and (np.diff(y) <= 0).all()


@pytest.fixture(scope="module")
def patient():
    """Clean images of one patient at both energies, its target and cord."""
    kv, mv = head("kvct", 3, noise=0.1, couch=False), head("mvct", 3, noise=0.1, couch=False)
    k, j, i = np.mgrid[tuple(slice(0, n) for n in kv.hu.shape)]
    y, x = (j - 71.5) * 1.5 - 10, (i - 71.5) * 1.5
    target = (np.hypot(x - 30, y - 10) < 18) & (k > 3) & (k < 12)
    cord = np.hypot(x, y + 18) < 7
    return kv, mv, kv.volume(target), {"cord": kv.volume(cord)}


def row(comparison, structure, quantity):
    return next(r for r in comparison.table.rows if r[:2] == (structure, quantity))


def test_a_true_conversion_does_no_harm(patient):
    kv, mv, target, structures = patient
    found = no_harm(
        Image(mv.volume(), mv_table()), Image(kv.volume(), kv_table()), Image(kv.volume(), kv_table()),
        target, structures,
    )  # fmt: skip
    assert found.worse == ()
    assert found.table.columns == (
        "structure", "quantity", "unit", "true_kv", "native_difference", "converted_difference",
    )  # fmt: skip
    assert row(found, "target", "Dmean")[3] == pytest.approx(100.0)
    assert row(found, "target", "Dmean")[5] == 0.0
    assert abs(row(found, "target", "Dmean")[4]) < 1.5
    assert row(found, "body", "gamma 2 %/2 mm")[-1] == 100.0
    assert set(found.doses) == {"true_kv", "native", "converted"} and set(found.gamma) == {"native", "converted"}


def test_the_wrong_table_is_found_to_harm(patient):
    kv, mv, target, structures = patient
    found = no_harm(
        Image(mv.volume(), mv_table()), Image(kv.volume(kv.hu + 350.0), kv_table()),
        Image(kv.volume(), kv_table()), target, structures,
    )  # fmt: skip
    assert "target Dmean" in found.worse and row(found, "target", "Dmean")[5] < -1.0
    depth = next(r for r in found.table.rows if r[1].startswith("water-equivalent depth"))
    assert depth[2] == "mm" and depth[5] > 2.0
    assert row(found, "body", "gamma 2 %/2 mm")[-1] < 99.0


def test_the_comparison_does_not_depend_on_how_the_arrays_lie(patient):
    kv, mv, target, structures = patient
    beams = even_beams(3)

    def table(turn):
        images = {"kv": Image(turn(kv.volume()), kv_table()), "mv": Image(turn(mv.volume()), mv_table())}
        return compare_dose(images, turn(target), {n: turn(v) for n, v in structures.items()}, beams).table

    plain = table(lambda v: v)
    turned = table(lambda v: v.reoriented((2, 0, 1), (-1, 1, -1)))
    assert plain.rows == turned.rows


def test_two_images_give_differences_without_a_verdict(patient):
    kv, mv, target, _ = patient
    found = compare_dose({"kv": Image(kv.volume(), kv_table()), "mv": Image(mv.volume(), mv_table())}, target)
    assert found.worse == () and found.table.columns[-1] == "mv_difference"


def test_other_grids_single_images_and_empty_structures_are_refused(patient):
    kv, _, target, _ = patient
    image = Image(kv.volume(), kv_table())
    moved = Image(Volume(image.volume.array, image.volume.ijk_to_ras + np.eye(4, k=3) * 5), kv_table())
    with pytest.raises(GeometryError, match="mv does not lie"):
        compare_dose({"kv": image, "mv": moved}, target)
    with pytest.raises(InvalidInputError, match="two images"):
        compare_dose({"kv": image}, target)
    with pytest.raises(InvalidInputError, match="node is empty"):
        compare_dose({"kv": image, "mv": image}, target, {"node": kv.volume(np.zeros(kv.hu.shape))})
