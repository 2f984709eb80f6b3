"""PelvicSeg's way from a CT to labels on its grid, with a network whose answers are known."""

import numpy as np
import pytest
import torch
from torch import nn

from manabi.context import Context
from manabi.errors import CorruptModelError, InvalidInputError
from manabi.networks import build
from manabi.pelvis.method import PelvicSeg
from manabi.pelvis.segment import segmented
from manabi.pelvis.settings import SECTION, Settings
from manabi.pelvis.structures import CLASSES, ORGANS, PELVIS
from manabi.store.layout import write_bundle
from manabi.structures.apply import NetworkInput
from manabi.structures.ct_input import InputSettings
from manabi.structures.structure_set import Structure, StructureSet
from manabi.volume import Volume

CPU = Context(device="cpu", seed=0)
LEVELS_HU = {"prostate": -60.0, "seminal_vesicles": 40.0, "bladder": 140.0, "rectum": 240.0}
SETTINGS = Settings(PELVIS, InputSettings((2.0, 2.0, 2.0), -160.0, 240.0), NetworkInput(0, (32, 32, 32)))


class ByValue(nn.Module):
    """Background and the four organs by intensity."""

    def forward(self, x):
        return torch.cat([-200.0 * (x - level) ** 2 for level in (0.0, 0.25, 0.5, 0.75, 1.0)], 1)


def pelvis(spacing=(2.0, 2.0, 2.0), shape=(40, 44, 48)):
    """Four balls in air, and the labels of their voxels."""
    hu, truth = np.full(shape, -1000.0, np.float32), np.zeros(shape, np.uint8)
    k, j, i = np.ogrid[tuple(slice(n) for n in shape)]
    for organ, (z, y, x) in zip(ORGANS, [(12, 12, 12), (12, 30, 14), (28, 14, 34), (27, 30, 30)], strict=True):
        near = ((k - z) ** 2 + (j - y) ** 2 + (i - x) ** 2) <= 64
        hu[near], truth[near] = LEVELS_HU[organ], CLASSES[organ]
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = (-30.0, 12.0, -70.0)
    return Volume(hu, matrix, "CT"), truth


def dice(a, b):
    return 2.0 * float((a & b).sum()) / float(a.sum() + b.sum())


def test_on_the_working_grid_labels_are_exact():
    volume, truth = pelvis()
    done = segmented(volume, ByValue(), SETTINGS, ORGANS, CPU)
    np.testing.assert_array_equal(done.labels.array, truth)
    assert done.labels.grid.same_as(volume.grid) and done.confidence.grid.same_as(volume.grid)


@pytest.mark.parametrize("turned", [False, True])
def test_on_any_grid_organs_lie_where_they_are(turned):
    volume, truth = pelvis((1.3, 1.3, 1.9), (42, 62, 66))
    if turned:
        labels = volume.like(truth).reoriented((2, 0, 1), (-1, 1, -1))
        volume, truth = volume.reoriented((2, 0, 1), (-1, 1, -1)), labels.array
    found = segmented(volume, ByValue(), SETTINGS, ORGANS, CPU).labels
    assert found.grid.same_as(volume.grid)
    for organ in ("seminal_vesicles", "bladder", "rectum"):  # a blurred border passes the values of what is darker
        assert dice(found.array == CLASSES[organ], truth == CLASSES[organ]) > 0.75, organ


def test_what_is_not_wanted_is_background():
    volume, truth = pelvis()
    found = np.asarray(segmented(volume, ByValue(), SETTINGS, ("bladder",), CPU).labels.array)
    np.testing.assert_array_equal(found > 0, truth == CLASSES["bladder"])


def write(folder, **changes):
    """A bundle with an untrained network."""
    facts = {**SETTINGS.to_dict(), **changes.pop("facts", {})}
    arguments = {"filters": [4, 8], "spatial_dims": 3, "in_channels": 1, "out_channels": 5, "norm": "instance",
                 **changes}  # fmt: skip
    network = build("skipnet", **arguments)
    extra = {"trained_on": "nothing: simulated", "simulated": True, "metrics": {}, SECTION: facts,
             "precision": ["float32"]}  # fmt: skip
    return write_bundle(
        folder, name="pelvis-untrained", version="1.0.0", method="pelvis",
        network={"name": "skipnet", "arguments": arguments}, state_dict=network.state_dict(), card="# Untrained",
        metadata_extra=extra,
    )  # fmt: skip


def run(bundle, volume, **parameters):
    return PelvicSeg().run({"ct": volume}, parameters, Context(device="cpu", seed=0, bundle=str(bundle.folder)))


def test_a_result_has_segments_volumes_and_flags(tmp_path):
    volume, _ = pelvis()
    result = run(write(tmp_path / "b"), volume)
    assert set(result.volumes) == {"confidence"} and set(result.labelmaps) == {"organs"}
    assert [one.name for one in result.labelmaps["organs"].segments] == [
        "prostate", "seminal vesicles", "bladder", "rectum",
    ]  # fmt: skip
    assert [row[0] for row in result.tables["volumes"].rows] == list(ORGANS)
    assert result.measurements["quality"] == "check", "an untrained network finds nothing plausible"
    assert any(text.startswith("Check the ") for text in result.warnings)


def test_chosen_organs_alone_are_measured(tmp_path):
    volume, _ = pelvis()
    result = run(write(tmp_path / "b"), volume, structures="rectum,bladder")
    assert [row[0] for row in result.tables["volumes"].rows] == ["bladder", "rectum"]
    with pytest.raises(InvalidInputError, match="names of prostate"):
        run(write(tmp_path / "c"), volume, structures="kidney")


def test_a_third_structure_set_is_a_bundle(tmp_path):
    """Other structures than the pelvis' come with their bundle, without a line of code."""
    own = StructureSet((Structure("kidney", PELVIS["bladder"].code, (1.0, 0.0, 0.0), sided=False),))
    bundle = write(tmp_path / "b", facts={"structures": own.to_list()}, out_channels=2)
    result = run(bundle, pelvis()[0])
    assert [one.name for one in result.labelmaps["organs"].segments] == ["kidney"]
    assert "kidney_ml" in result.measurements


def test_a_bundle_whose_classes_do_not_fit_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="has 3 classes, its structures make 5"):
        run(write(tmp_path / "b", out_channels=3), pelvis()[0])
    with pytest.raises(CorruptModelError, match="does not say how its network is used"):
        run(write(tmp_path / "c", facts={"input": {}}), pelvis()[0])


def test_volumes_stand_beside_those_of_a_phantom(tmp_path):
    volume, _ = pelvis()
    result = run(write(tmp_path / "b"), volume)
    table = PelvicSeg().compare_truth({"prostate_ml": 17.0, "bladder_ml": 90.0}, result)["volumes"]
    assert [(row[0], row[2]) for row in table.rows] == [("prostate", 17.0), ("bladder", 90.0)]
