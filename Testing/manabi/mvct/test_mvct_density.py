"""HU to density: our tables and a site's own."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.mvct.density import DensityTable, density_table, kv_table, mv_table, read_density_csv, table_of


def written(tmp_path, text):
    path = tmp_path / "site.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_tissues_have_the_same_density_at_both_energies():
    """The HU of the same tissues at 75 keV and at megavoltage energies, as calculated from ICRU-44 compositions."""
    kv = np.array([-741.0, -72.0, 0.0, 43.0, 55.0, 271.0, 1431.0])
    mv = np.array([-742.0, -49.0, 0.0, 40.0, 50.0, 150.0, 784.0])
    assert np.allclose(kv_table().electron_density(kv), mv_table().electron_density(mv), atol=0.002)
    assert np.allclose(kv_table().mass_density(kv), mv_table().mass_density(mv), atol=0.01)


def test_a_kv_table_on_megavoltage_hu_is_wrong_for_bone():
    assert kv_table().electron_density(np.array(784.0)) < mv_table().electron_density(np.array(784.0)) - 0.2


def test_the_tables_agree_with_the_physics_of_the_phantoms():
    materials = pytest.importorskip("manabi.phantoms.ct.materials")
    kv, mv = kv_table(), mv_table()
    energies = np.array([75.0, 700.0])
    water = materials.MATERIALS["water"].attenuation(energies)
    for name in ("adipose", "muscle", "brain", "blood", "spongiosa", "cortical_bone"):
        if name not in materials.MATERIALS:
            continue
        hu = 1000.0 * (materials.MATERIALS[name].attenuation(energies) / water - 1.0)
        assert kv.electron_density(hu[:1]) == pytest.approx(mv.electron_density(hu[1:]), abs=0.012), name


def test_beyond_the_ends_the_curve_is_level_and_shapes_are_kept():
    table = kv_table()
    values = table.electron_density(np.array([[-3000.0, -1000.0], [10168.0, 30000.0]]))
    assert values.shape == (2, 2) and values[0, 0] == values[0, 1] and values[1, 0] == values[1, 1]
    assert values.dtype == np.float32


def test_an_offset_of_the_scanner_is_taken_out():
    assert mv_table(25.0).electron_density(np.array(25.0)) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("text", [
    "HU,RED,Density\n-1000,0.001,0.0012\n0,1,1\n1000,1.6,1.7\n",
    "# our scanner\nhu;relative electron density;mass density\n-1000;0,001;0,0012\n0;1;1\n\n1000;1,6;1,7\n",
    "hu,relative_electron_density,mass_density\n1000,1.6,1.7\n0,1,1\n-1000,0.001,0.0012\n",
])  # fmt: skip
def test_a_sites_csv_is_read(tmp_path, text):
    table = table_of("kvct", written(tmp_path, text))
    assert table.name == "site"
    assert table.electron_density(np.array([500.0]))[0] == pytest.approx(1.3)
    assert table.mass_density(np.array([500.0]))[0] == pytest.approx(1.35)


def test_one_density_serves_for_both(tmp_path):
    table = read_density_csv(written(tmp_path, "hu,mass_density\n-1000,0\n0,1\n"))
    assert np.array_equal(table.electron, table.mass)


@pytest.mark.parametrize(("text", "message"), [
    ("hu,red\n0,1\n", "two rows"),
    ("hu,colour\n0,1\n1,2\n", "needs the columns hu"),
    ("hu,red\n-1000,0\nnull,1\n", "row 3.*null"),
    ("hu,red\n-1000,0\n0\n", "row 3"),
    ("hu,red\n-1000,0\n0,1\n0,1.1\n", "stands twice"),
    ("hu,red\n-1000,0\n0,1\n100,0.9\n", "falls from 1 to 0.9"),
    ("hu,red\n-1000,0\n0,1000\n", "expected 0 to"),
    ("hu,red\n-1000,0\n0,nan\n", "not a number"),
])  # fmt: skip
def test_a_csv_that_cannot_be_used_says_why(tmp_path, text, message):
    with pytest.raises(InvalidInputError, match=message):
        read_density_csv(written(tmp_path, text))


def test_a_missing_file_says_so_without_its_folder(tmp_path):
    with pytest.raises(InvalidInputError, match="absent.csv cannot be read") as error:
        read_density_csv(tmp_path / "absent.csv")
    assert str(tmp_path) not in str(error.value).split("(")[0]


def test_tables_are_shown():
    assert kv_table().table().columns[0] == "hu" and len(kv_table().table().rows) == 9
    shown = density_table({"fat": -72.0}, [kv_table(), mv_table()])
    assert shown.rows[0][:3] == ("fat", -72.0, 0.951) and shown.rows[0][3] == pytest.approx(0.928)
    assert table_of("mvct").name.startswith("MV") and table_of("cbct").name.startswith("kV")
    with pytest.raises(InvalidInputError, match="expected 2 to"):
        DensityTable("x", np.array([0.0]), np.array([1.0]), np.array([1.0]))
