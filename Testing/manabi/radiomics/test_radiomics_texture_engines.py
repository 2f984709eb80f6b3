"""All engines count the same, on any number of threads; and what is counted obeys simple laws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from texture_fixtures import random_levels

from manabi.radiomics.texture import (
    AGGREGATIONS,
    TextureOptions,
    choose,
    compute,
    features,
    features_of_bands,
    kernels_numpy,
)

SPACING = (3.0, 1.0, 1.0)
CASES = [TextureOptions("pyradiomics", "3d_avg"), *(TextureOptions(aggregation=a) for a in AGGREGATIONS)]
WIDER = [
    TextureOptions("pyradiomics", "3d_avg", distance=2, alpha=1),
    TextureOptions(aggregation="3d_comb", distance=2, alpha=2),
    TextureOptions(aggregation="2d_avg", distance=3),
]


@pytest.fixture(scope="module")
def levels():
    smooth = random_levels((7, 15, 18), 12, 1.2)
    smooth[2] = 0
    return smooth


@pytest.fixture(scope="module", autouse=True)
def kernels(request):
    """Compiled once for the checkout, below pytest's own cache, instead of once for each test's private folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(request.config.cache.mkdir("manabi-kernels")))
        if choose.installed():
            choose.warm()
        yield


@pytest.mark.parametrize("engine", ["numba", "torch"])
@pytest.mark.parametrize("options", CASES + WIDER, ids=lambda o: f"{o.mode}-{o.aggregation}-{o.distance}")
def test_every_engine_gives_the_same_numbers_to_the_last_bit(engine, options, levels):
    pytest.importorskip(engine)
    mask = levels > 0
    mask[2, 4:9, 4:9] = True
    expected = features(levels, SPACING, options, mask, "numpy")
    found = features(levels, SPACING, options, mask, engine)
    assert list(found) == list(expected)
    np.testing.assert_array_equal(list(found.values()), list(expected.values()))


@pytest.mark.gpu
def test_a_gpu_gives_the_same_numbers(levels):
    for options in CASES:
        expected = features(levels, SPACING, options, engine="numpy")
        assert features(levels, SPACING, options, engine="torch:cuda") == expected


@pytest.mark.parametrize("options", CASES[::3], ids=lambda o: f"{o.mode}-{o.aggregation}")
def test_neither_threads_nor_company_change_a_number(options):
    bands = {str(n): random_levels((6, 12, 14), 3 + 9 * n, 1, seed=n) for n in range(4)}
    alone = {name: features(band, SPACING, options) for name, band in bands.items()}
    for threads in (1, 2, 5):
        assert features_of_bands(bands, SPACING, options, threads=threads) == alone


def test_a_table_made_in_pieces_is_the_same(levels, monkeypatch):
    kernels = pytest.importorskip("numba") and choose.engine("numba")
    whole = [features(levels, SPACING, options, engine="numba") for options in CASES]
    monkeypatch.setattr(kernels, "_CHUNK_CELLS", 1)
    assert [features(levels, SPACING, options, engine="numba") for options in CASES] == whole


def test_turning_and_padding_the_image_changes_nothing_in_three_dimensions(levels):
    options = TextureOptions(aggregation="3d_comb")
    before = features(levels, SPACING, options)
    turned = np.flip(np.pad(levels, ((2, 0), (1, 3), (0, 5))).transpose(2, 0, 1), axis=1)
    after = features(turned, SPACING, options)
    np.testing.assert_allclose(list(after.values()), list(before.values()), rtol=1e-12)


def test_slices_can_be_computed_one_by_one(levels):
    options = TextureOptions(aggregation="2d_comb")
    together = features(levels, SPACING, options)
    single = [features(levels[k : k + 1], SPACING, options) for k in range(levels.shape[0]) if levels[k].any()]
    for name, value in together.items():
        if name not in ("glcm_Idn", "glcm_Idmn"):  # they depend on the highest level of all slices
            assert value == pytest.approx(np.mean([one[name] for one in single]), rel=1e-12), name


def test_pairs_runs_and_neighbours_are_those_that_a_plain_loop_finds():
    levels = random_levels((4, 5, 6), 3, 0, seed=3)
    work = compute.Work(
        choose.engine("numpy"), compute.grid(levels, 2), compute.plan(WIDER[0]), WIDER[0], None
    )  # fmt: skip
    around = work.engine.around(work.grid, work.grid.steps(work.plan.around), 1, slice(0, work.grid.index.size))
    dependent = np.zeros_like(around.dependent)
    difference: dict[tuple[int, int], int] = {}
    for voxel in np.argwhere(levels):
        ring = [voxel + o for o in itertools.product(range(-2, 3), repeat=3) if max(map(abs, o)) == 2]
        near = [levels[tuple(p)] for p in ring if (p >= 0).all() and (p < levels.shape).all() and levels[tuple(p)]]
        own = levels[tuple(voxel)]
        dependent[own, sum(abs(int(n) - int(own)) <= 1 for n in near)] += 1
        key = (int(own), len(near))
        difference[key] = difference.get(key, 0) + abs(int(own) * len(near) - int(np.sum(near)))
    np.testing.assert_array_equal(around.dependent, dependent)
    found = {(int(g), int(n)): int(around.difference[g, n]) for g, n in np.argwhere(around.difference)}
    assert found == {key: value for key, value in difference.items() if value}


def test_the_border_of_the_shape_mask_counts_and_not_that_of_the_levels():
    levels = np.zeros((5, 5, 5), np.int32)
    levels[2, 2, 2] = 1
    options = TextureOptions(families=("gldzm",))
    assert features(levels, SPACING, options)["gldzm_LargeDistanceEmphasis"] == 1
    within = features(levels, SPACING, options, shape_mask=np.ones((5, 5, 5), bool))
    assert within["gldzm_LargeDistanceEmphasis"] == 9


def test_a_batch_compiles_once_and_a_single_case_never(monkeypatch):
    calls = []
    monkeypatch.setattr(choose, "warm", lambda: calls.append(1))
    monkeypatch.setattr(choose, "installed", lambda: True)
    monkeypatch.setattr(choose, "_regions", itertools.count(1))
    told = []
    for _ in range(6):
        choose.warm_for_many()
        told.append(len(calls))
    assert told == [0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(("nodes", "edges"), [(1, 0), (40, 12), (200, 180), (500, 4000)])
def test_components_are_those_that_scipy_finds(nodes, edges):
    rng = np.random.default_rng(nodes)
    one, other = rng.integers(nodes, size=(2, edges))
    found = kernels_numpy.smallest_of_component(nodes, one, other)
    graph = coo_array((np.ones(edges), (one, other)), shape=(nodes, nodes))
    count, label = connected_components(graph, directed=False)
    first = np.full(count, nodes)
    np.minimum.at(first, label, np.arange(nodes))
    assert np.array_equal(found, first[label])
