"""Making films with nodules: where they were wanted, nothing else changed, always marked as synthetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from fixtures_nodule import chest, film_volume, quick

from manabi.errors import InvalidInputError, ModelNotFoundError
from manabi.io.radiograph import NO_SPACING
from manabi.io.results import write_result
from manabi.nodule import synthesise, synthesise_base
from manabi.nodule.method import NoduleSynth
from manabi.nodule.pairs_store import PairStore
from manabi.nodule.synthesise_make import Wishes, blended, make, places_of
from manabi.phantoms.radiograph_chest import ChestProjection
from manabi.phantoms.radiograph_geometry import FilmGeometry

METHOD = NoduleSynth()
SPACING = 1.4
PLACE = (-70 * SPACING, -100 * SPACING, 0.0)
"""A point in the drawn chest's right lung."""


@pytest.fixture(autouse=True)
def no_flow(monkeypatch):
    """Films without a flow, whatever is installed."""
    monkeypatch.setattr(synthesise, "_flow", lambda parameters, context: None)


@pytest.fixture(scope="module")
def volume():
    return film_volume(chest(), (SPACING, SPACING))


def run(volume, seed=5, **parameters):
    inputs = {} if volume is None else {"radiograph": volume}
    return METHOD.run(inputs, {"task": "synthesise", **parameters}, quick(seed=seed))


@pytest.fixture(scope="module")
def placed(volume):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthesise, "_flow", lambda parameters, context: None)
        place = ",".join(map(str, PLACE))
        return run(volume, place=place, diameter_mm=20.0, density="solid", ratio=1.0)


def test_the_nodule_lies_where_it_was_put(placed):
    table = placed.tables["nodules"]
    row = dict(zip(table.columns, table.rows[0], strict=True))
    np.testing.assert_allclose((row["r_mm"], row["a_mm"]), PLACE[:2], atol=0.1)
    assert (row["diameter_mm"], row["density"], row["lung"], row["location"]) == (20.0, "solid", "right", "clear")
    np.testing.assert_allclose(placed.landmarks["nodule_1"].position_ras, PLACE, atol=0.1)
    centre = np.argwhere(placed.labelmaps["mask"].volume.array[0] > 0).mean(0)
    np.testing.assert_allclose(centre, (100, 70), atol=4)


def test_nothing_else_changes(placed, volume):
    before, after = (np.asarray(placed.volumes[name].array) for name in ("before", "after"))
    np.testing.assert_array_equal(before, volume.array)
    changed = np.argwhere(before[0] != after[0])
    assert np.hypot(*(changed - (100, 70)).T).max() < 20 / SPACING
    assert (after[0] >= before[0]).all()
    inside = placed.labelmaps["mask"].volume.array[0] > 0
    assert (after[0] - before[0].astype(int))[inside].mean() > 60
    difference = placed.volumes["difference"]
    np.testing.assert_allclose(difference.array, after.astype(float) - before, atol=1e-3)
    assert after.dtype == before.dtype


def test_a_nodule_is_denser_and_has_its_magnified_size(placed):
    area = float((placed.labelmaps["mask"].volume.array > 0).sum()) * SPACING**2
    assert 8.0 < 2 * np.sqrt(area / np.pi) < 26.0


def test_every_synthetic_volume_says_so(placed):
    assert placed.warnings[0].startswith("Synthetic") or any(w.startswith("Synthetic") for w in placed.warnings)
    assert placed.volumes["after"].caution == placed.volumes["difference"].caution == synthesise.SYNTHETIC_FILM
    assert placed.labelmaps["mask"].volume.caution == synthesise.SYNTHETIC_FILM
    assert placed.volumes["before"].caution == ""


@pytest.mark.parametrize("image_format", ["nifti", "nrrd", "dicom"])
def test_every_file_of_it_says_so_too(tmp_path, placed, image_format):
    write_result(placed, tmp_path / "out", image_format=image_format)
    if image_format == "dicom":
        (path,) = (tmp_path / "out" / "after").glob("*.dcm")
        header = pydicom.dcmread(path)
        assert list(header.ImageType)[:2] == ["DERIVED", "SECONDARY"]
        assert header.SeriesDescription.startswith("synthetic, not for diagnosis")
        assert header.BurnedInAnnotation == "NO"
        assert "not for diagnosis" in header.DerivationDescription
        return
    import SimpleITK as sitk

    (path,) = (tmp_path / "out").glob("after.n*")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    texts = [reader.GetMetaData(key) for key in reader.GetMetaDataKeys()]
    assert any("synthetic, not for diagnosis" in text for text in texts)


def test_the_same_seed_makes_the_same_film_and_another_another(volume):
    first, again, other = (run(volume, seed, count=2) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.volumes["after"].array, again.volumes["after"].array)
    assert first.tables == again.tables
    assert first.tables != other.tables


@pytest.mark.parametrize(("axes", "signs"), [((0, 1, 2), (1, 1, 1)), ((2, 0, 1), (-1, 1, 1))])
def test_the_order_of_axes_does_not_matter(volume, placed, axes, signs):
    place = ",".join(map(str, PLACE))
    turned = volume.reoriented(axes, signs)
    other = run(turned, place=place, diameter_mm=20.0, density="solid", ratio=1.0)
    assert other.volumes["after"].grid.same_as(turned.grid)
    back = other.volumes["after"].reoriented_like(volume.grid)
    np.testing.assert_array_equal(back.array, placed.volumes["after"].array)
    assert other.tables == placed.tables


def test_the_ratio_scales_the_change_and_zero_leaves_the_film(volume, placed):
    place = ",".join(map(str, PLACE))
    half, none = (run(volume, place=place, diameter_mm=20.0, density="solid", ratio=r) for r in (0.5, 0.0))
    full = np.asarray(placed.volumes["difference"].array)
    np.testing.assert_allclose(half.volumes["difference"].array, 0.5 * full, atol=1.01)
    assert not none.volumes["difference"].array.any()
    assert any(text.startswith("Check nodule 1") for text in none.warnings)


def test_kind_size_and_number_are_as_wanted(volume):
    result = run(volume, count=3, diameter_mm=9.0, density="ground_glass")
    table = result.tables["nodules"]
    assert table.column("diameter_mm") == [9.0] * 3
    assert table.column("density") == ["ground_glass"] * 3
    assert set(np.unique(result.labelmaps["mask"].volume.array)) == {0, 1, 2, 3}
    assert [s.name for s in result.labelmaps["mask"].segments] == ["nodule 1", "nodule 2", "nodule 3"]


def test_no_nodules_give_the_film_itself(volume):
    result = run(volume, count=0)
    assert not result.volumes["difference"].array.any() and not result.tables["nodules"].rows


def test_a_fine_film_keeps_its_detail_around_the_nodule():
    fine = film_volume(chest(640), (0.56, 0.56))
    result = run(fine, place=f"{-70 * SPACING},{-100 * SPACING},0", diameter_mm=20.0, density="solid", ratio=1.0)
    assert result.volumes["after"].shape == fine.shape
    far = np.ones(fine.shape[1:], bool)
    far[200:300, 120:230] = False
    np.testing.assert_array_equal(result.volumes["after"].array[0][far], fine.array[0][far])
    mask = result.labelmaps["mask"].volume.array[0] > 0
    noise_before, noise_after = (
        np.std(np.diff(np.asarray(v.array[0], float), axis=1)[mask[:, 1:]])
        for v in (result.volumes["before"], result.volumes["after"])
    )
    assert noise_after > 0.6 * noise_before


@pytest.mark.parametrize(
    ("values", "words"),
    [({"place": "1,2"}, "R,A,S"), ({"place": "0,0,0"}, "not in the lungs"), ({"place": "a,b,c"}, "R,A,S")],
)
def test_places_that_cannot_be_are_refused(volume, values, words):
    with pytest.raises(InvalidInputError, match=words):
        run(volume, **values)


def test_pairs_without_nodules_are_refused(volume):
    with pytest.raises(InvalidInputError, match="need nodules"):
        run(volume, count=0, pairs=2)


def test_places_are_read_as_points():
    assert places_of(" 1,2,3 ; -4.5, 0,1;") == ((1.0, 2.0, 3.0), (-4.5, 0.0, 1.0))
    assert places_of("") == ()


def test_what_is_missing_is_named(volume):
    with pytest.raises(InvalidInputError, match="base=phantom"):
        run(None)
    with pytest.raises(ModelNotFoundError, match="base=flow"):
        run(None, base="flow")
    noise = film_volume(np.random.default_rng(0).random((160, 160)))
    with pytest.raises(InvalidInputError, match="No lungs"):
        run(noise)


def test_a_flow_that_was_named_must_be_there(volume, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(ModelNotFoundError):
        run(volume, flow="no-such-flow")


# --- from nothing -----------------------------------------------------------------------------------------------------


def tiny_chest(matrix: int = 256) -> ChestProjection:
    """Two lungs in a block of soft tissue, as area densities."""
    lungs = np.zeros((matrix, matrix), np.uint8)
    lungs[50:180, 50:115], lungs[50:180, 141:200] = 1, 2
    inside = lungs > 0
    maps = np.stack([np.where(inside, 6.0, 16.0), np.full(lungs.shape, 2.0), np.full(lungs.shape, 0.5),
                     np.where(inside, 3.0, 0.0)]).astype(np.float32)  # fmt: skip
    reach = np.where(inside, np.array([90.0, 250.0])[:, None, None], np.nan).astype(np.float32)
    path = np.where(inside, 160.0, 0.0).astype(np.float32)
    return ChestProjection(maps, reach, path, lungs, np.zeros_like(lungs), FilmGeometry(matrix), "{}")


@pytest.fixture
def projected(monkeypatch):
    import manabi.phantoms.radiograph_chest as module

    monkeypatch.setattr(module, "project", lambda parameters, geometry: tiny_chest())


def test_a_film_from_nothing_with_further_pairs(projected, tmp_path):
    result = run(None, base="phantom", count=2, diameter_mm=18.0, density="solid", pairs=3)
    before, after = result.volumes["before"], result.volumes["after"]
    assert (before.modality, before.caution) == ("DX", synthesise.SYNTHETIC_FILM)
    assert before.array.max() <= 4095 and before.shape == (1, 256, 256)
    assert (after.array != before.array).sum() > 50
    pairs = [np.asarray(result.volumes[name].array) for name in ("pairs_before", "pairs_after")]
    assert pairs[0].shape == pairs[1].shape == (3, 256, 256)
    assert not np.array_equal(pairs[0][0], pairs[0][1])
    mask = result.labelmaps["pairs_mask"].volume.array > 0
    for n in range(3):
        assert mask[n].any()
        far = np.abs(pairs[1][n].astype(int) - pairs[0][n])[~mask[n]]
        assert np.abs(pairs[1][n].astype(int) - pairs[0][n])[mask[n]].mean() > 5 * far.mean()
    table = result.tables["pairs"]
    assert set(table.column("pair")) == {1, 2, 3} and len(table.rows) == 6
    files = METHOD.export({}, result, tmp_path / "nodule", "nifti")
    assert {key: len(files[key]) for key in files if key != "store"} == {
        "negative": 3, "positive": 3, "mask": 3, "table": 1
    }  # fmt: skip
    store = PairStore(tmp_path / "nodule" / "store")
    assert len(store) == 3 and store.recipe.size == 256
    for n in range(3):
        np.testing.assert_allclose(store[n].positive, pairs[1][n] / 4095, atol=0.5 / 255 + 1e-6)
        np.testing.assert_array_equal(store[n].mask > 0, mask[n])
        assert [nodule.diameter_mm for nodule in store[n].nodules] == [18.0, 18.0]
    from PIL import Image

    with Image.open(files["positive"][0]) as picture:
        assert "not for diagnosis" in picture.info["Comment"]
        np.testing.assert_allclose(np.asarray(picture), pairs[1][0].astype(float) * 255 / 4095, atol=0.51)


def test_the_figure_shows_before_after_and_difference(placed, tmp_path):
    from PIL import Image

    (path,) = METHOD.draw({}, placed, tmp_path)
    with Image.open(path) as picture:
        assert picture.size[0] == 1600
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    red = (pixels[..., 0] > 120) & (pixels[..., 1] < 90) & (pixels[..., 2] < 90)
    assert red[150:, 1070:].sum() > 30


# --- blending ---------------------------------------------------------------------------------------------------------


class HalfFlow:
    """Stands for a flow of whole films: gives back half of the change."""

    size = 256


def test_a_flow_changes_what_its_grid_holds_and_detail_is_added(monkeypatch):
    import manabi.nodule.interpolate as module

    def blend(flow, original, embedded, ratios, seeds, masks=None):
        return original + 0.5 * (embedded - original), None

    monkeypatch.setattr(module, "blend", blend)
    film = film_volume(chest(512), (0.7, 0.7))
    base, _ = synthesise_base.film_base(synthesise.film_of_volume(film), True)
    assert base.matrix == 512
    rng = np.random.default_rng(3)
    made = make(base, Wishes(1, 20.0, "solid", ratio=0.5), rng, HalfFlow(), quick())
    again = make(base, Wishes(1, 20.0, "solid", ratio=0.5), np.random.default_rng(3), None, quick())
    inside = made.mask > 0
    np.testing.assert_allclose(made.after[inside], again.after[inside], atol=0.02)
    assert (made.after - made.before)[inside].mean() > 0.01


def test_without_nodules_nothing_is_blended():
    base, _ = synthesise_base.film_base(synthesise.film_of_volume(film_volume(chest())), True)
    from manabi.nodule.embed import Embedded

    nothing = Embedded(np.zeros_like(base.film), np.zeros(base.film.shape, np.uint8), ())
    film, ratios = blended(base, nothing, base.film, 0.7, 0, None)
    np.testing.assert_array_equal(film, base.film)
    assert ratios == []


def test_the_parameters_count_gives_way_to_more_places():
    from manabi.nodule.parameters import NoduleParameters

    wishes = Wishes.of(NoduleParameters(count=1, diameter_mm=0.0, ratio=-1.0), ((1.0, 2.0), (3.0, 4.0)))
    assert wishes == replace(wishes, count=2, diameter_mm=None, density=None, ratio=None)


def test_a_place_that_cannot_be_is_named_as_it_was_given(volume):
    with pytest.raises(InvalidInputError, match=r"place: -3,-4,0 is not in the lungs.*Choose a point"):
        NoduleSynth().run(volume, {"task": "synthesise", "place": "-3,-4,0"}, quick())


def test_what_is_synthetic_is_said_first_and_the_spacing_once():
    said = ["The film", NO_SPACING, "No flow", "Synthetic: films", "Spacing unknown: x"]
    assert NoduleSynth().told(said) == ["Synthetic: films", "The film", "No flow", "Spacing unknown: x"]
    assert NoduleSynth().told([NO_SPACING, "A child"]) == [NO_SPACING, "A child"]
    assert NO_SPACING not in NoduleSynth().told([NO_SPACING, "Lengths are measured with a film of 400 mm"])
