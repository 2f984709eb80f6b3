"""Feature maps on the patient: names of layers, maps on the image's grid, of the structure that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from manabi.brain import inside
from manabi.brain.prepare import prepare
from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.networks import build
from manabi.volume import Volume

CLASSES = 3


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    net = build("coarse_to_fine", classes=CLASSES, coarse={"filters": [4, 8], "norm": "none"},
                fine={"filters": [4, 8], "norm": "none"}).eval()  # fmt: skip
    torch.nn.init.normal_(net.coarse.head.weight, std=2.0)
    torch.nn.init.normal_(net.fine.head.weight, std=0.5)
    with torch.no_grad():
        net.coarse.head.bias[CLASSES] = 1000.0
    return net


def image(spacing=(1.0, 1.0, 1.0), shape=(37, 40, 44)) -> Volume:
    rng = np.random.default_rng(4)
    array = rng.uniform(50, 70, shape).astype(np.float32)
    k, j, i = shape[0] // 2, shape[1] // 2, shape[2] // 2
    array[k : k + 8, j : j + 8, i : i + 8] = 200.0
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = -20.0, 5.0, 8.0
    return Volume(array, matrix, "MR")


def found_class(network, volume) -> int:
    """A class that the coarse stage finds."""
    with torch.no_grad():
        logits, _ = network.look(torch.from_numpy(prepare(volume).image.copy())[None, None])
    return int(torch.bincount(logits[0].argmax(0).flatten(), minlength=CLASSES).argmax())


def maps(network, volume, layer, structure=None, count=3):
    index = found_class(network, volume) if structure is None else structure
    return inside.feature_result(network, volume, layer, index, "cerebrum", count, Context(device="cpu"))


def test_layers_of_both_stages_are_listed_and_exist(network):
    table = inside.layer_table(network)
    assert table.columns == inside.LAYER_COLUMNS
    modules = dict(network.named_modules())
    assert {"coarse", "fine"} == {str(name).partition(".")[0] for name in table.column("layer")}
    assert all(name in modules for name in table.column("layer"))
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["coarse.down.0"] == (4, 2)
    assert rows["coarse.down.1"] == (8, 4)
    assert rows["fine.down.1"] == (8, 2)


@pytest.mark.parametrize("layer", ["coarse.down.0", "coarse.down.1", "fine.down.0"])
def test_maps_lie_on_the_image_s_grid(network, layer):
    volume = image((1.2, 0.9, 2.0), (22, 46, 40))
    result = maps(network, volume, layer)
    assert list(result.volumes) == ["feature_01", "feature_02", "feature_03"]
    for key, one in result.volumes.items():
        assert one.grid.same_as(volume.grid)
        assert one.name == key
        assert one.array.dtype == np.float32
    assert any(one.array.any() for one in result.volumes.values())
    table = result.tables["features"]
    assert table.columns == inside.FEATURE_COLUMNS
    shares = table.column("contribution")
    assert shares == sorted(shares, reverse=True)
    assert result.measurements["feature_count"] == 3


def test_a_map_is_bright_where_the_image_is(network):
    """The first layer sees intensities: its maps differ in the bright cube, at its place."""
    volume = image()
    for layer in ("coarse.down.0", "fine.down.0"):
        result = maps(network, volume, layer, count=4)
        cube = volume.array > 150
        different = []
        for one in result.volumes.values():
            rest = one.array[8:-8, 8:-8, 8:-8][~cube[8:-8, 8:-8, 8:-8]]
            different.append(abs(float(one.array[cube].mean()) - float(rest.mean())) / (float(rest.std()) + 1e-6))
        assert max(different) > 2.0, layer


def test_the_side_is_no_structure(network):
    """The logit of the side, the largest of all here, hides no class."""
    result = maps(network, image(), "coarse.down.0", count=1)
    assert result.tables["features"].rows


def test_the_fine_stage_s_structure_is_that_of_its_answer_not_of_its_correction(network):
    volume = image()
    index = found_class(network, volume)
    x, grid = inside._fine_input(prepare(volume), network, index)
    where = inside._where(network, x, "fine", index)
    with torch.no_grad():
        expected = network.sharpen(x[:, :1], x[:, 1:]).argmax(1)[0] == index
    np.testing.assert_array_equal(where, expected)
    assert where.shape == grid.shape
    assert where.any()


def test_the_coarse_input_lies_where_the_image_lies():
    prepared = prepare(image())
    small, grid = inside._coarse_input(prepared)
    assert grid.spacing_mm.tolist() == [2.0, 2.0, 2.0]
    assert all(n % 16 == 0 for n in small.shape[2:])
    whole = torch.from_numpy(prepared.image.copy())[None, None]
    torch.testing.assert_close(small[..., :9, :9, :9], F.avg_pool3d(whole, 2)[..., :9, :9, :9])
    assert grid.origin_ras == pytest.approx(prepared.volume.grid.ras_of(np.full(3, 0.5)))


def test_what_cannot_be_shown_is_said(network):
    with pytest.raises(InvalidInputError, match="Leave layer empty"):
        maps(network, image(), "middle.down.0")
    with pytest.raises(InvalidInputError, match="no layer"):
        maps(network, image(), "coarse.nothing")
    absent = ({0, 1, 2} - {found_class(network, image())}).pop()
    with torch.no_grad():
        network.coarse.head.bias[absent] -= 1000.0
        with pytest.raises(InvalidInputError, match="not found"):
            maps(network, image(), "fine.down.0", absent)
        network.coarse.head.bias[absent] += 1000.0
