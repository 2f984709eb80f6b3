"""BrainSeg as a method, with small random networks: its tasks, its parameters, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from manabi import networks
from manabi.brain import contrast
from manabi.brain.method import BrainParameters, BrainSeg, array_axis
from manabi.brain.structures import LABELS, STRUCTURES
from manabi.bundle import Bundle
from manabi.context import Context
from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import closest_axes
from manabi.result import Result, Table
from manabi.store import write_bundle
from manabi.volume import Volume

ORIENTATIONS = [(axes, signs) for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def write_brain_stand_in(
    folder: Path, kind: str = "structures", method: str = "brain", found: tuple[str, ...] = STRUCTURES
) -> Bundle:
    """A bundle with seeded, untrained weights and the facts that a run needs."""
    torch.manual_seed(0)
    if kind == "structures":
        small = {"filters": [4, 8]}
        name, arguments = "coarse_to_fine", {"classes": len(STRUCTURES) + 1, "coarse": small, "fine": small}
    else:
        name, arguments = "pix2pix_generator", {"in_channels": 3, "out_channels": 1, "filters": [4, 8]}
    network = networks.build(name, **arguments)
    if kind == "structures":
        torch.nn.init.normal_(network.coarse.head.weight)
        torch.nn.init.normal_(network.fine.head.weight, std=0.2)
    return write_bundle(
        folder, name=f"brain-{kind}", version="0.0.1", method=method,
        network={"name": name, "arguments": arguments}, state_dict=network.state_dict(),
        card="# Stand-in\nUntrained, for tests.\n",
        metadata_extra={
            "trained_on": "nothing (untrained, for tests)", "simulated": True, "precision": ["float32"],
            "brain": {"kind": kind, "temperature": 1.2, "samples": 2, "structures": list(found)},
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    return write_brain_stand_in(tmp_path_factory.mktemp("bundles") / "structures")


@pytest.fixture(scope="module")
def translation(tmp_path_factory) -> Bundle:
    return write_brain_stand_in(tmp_path_factory.mktemp("bundles") / "translation", "translation")


def head(seed=1, shape=(30, 34, 28), spacing=(1.0, 1.0, 1.2)) -> Volume:
    rng = np.random.default_rng(seed)
    k, j, i = np.indices(shape)
    inside = sum(((a - n / 2) / (0.42 * n)) ** 2 for a, n in zip((k, j, i), shape, strict=True)) < 1
    array = np.where(inside, np.kron(rng.uniform(60, 200, (8, 9, 7)), np.ones((4, 4, 4)))[: shape[0], : shape[1],
                     : shape[2]], 0.0)  # fmt: skip
    return Volume(array.astype(np.float32), np.diag([*spacing, 1.0]), "MR")


def painted_on(volume: Volume, every=6) -> Volume:
    labels = np.zeros(volume.shape, np.uint8)
    for k in range(6, 25, every):
        labels[k, 12:22, 9:19] = 3
    return Volume(labels, volume.ijk_to_ras, "SEG")


def run(bundle: Bundle | None, inputs, **parameters) -> Result:
    context = Context(device="cpu", precision="float32", bundle=None if bundle is None else str(bundle.folder))
    return BrainSeg().run(inputs, parameters, context)


# --- structures -------------------------------------------------------------------------------------------------------


def test_what_a_model_does_not_find_is_said_and_not_reported_as_absent(tmp_path):
    bundle = write_brain_stand_in(tmp_path / "no-vessels", found=STRUCTURES[:-1])
    result = run(bundle, head())
    assert "vessels" not in result.tables["volumes"].column("structure")
    assert "vessels_ml" not in result.measurements
    assert all(segment.name != "vessels" for segment in result.labelmaps["structures"].segments)
    assert any("does not find vessels" in text for text in result.warnings)
    with pytest.raises(InvalidInputError, match="does not find vessels"):
        run(bundle, head(), structures="vessels")


def test_structures_lie_on_the_image_and_add_up(bundle):
    volume = head().reoriented((1, 2, 0), (-1, 1, -1))
    result = run(bundle, volume)
    labels = result.labelmaps["structures"].volume
    assert labels.grid.same_as(volume.grid)
    assert result.volumes["confidence"].grid.same_as(volume.grid)
    assert 0 <= result.volumes["confidence"].array.min() <= result.volumes["confidence"].array.max() <= 1.0001
    table = result.tables["volumes"]
    assert list(dict.fromkeys(table.column("structure"))) == list(STRUCTURES)
    for label in LABELS:
        own = [r[2] for r in table.rows if r[:2] == (label.structure, label.side)]
        assert own == [pytest.approx(np.count_nonzero(labels.array == label.value) * 1.2 / 1000, abs=0.006)]
    assert result.measurements["quality"] == "check", "what an untrained network finds is not plausible"
    assert any("trained on simulated data" in text for text in result.warnings)
    assert result.provenance["bundle"]["name"] == "brain-structures"


def test_only_wanted_structures_are_found(bundle):
    volume = head()
    whole, some = run(bundle, volume), run(bundle, volume, structures="brainstem, cerebellum")
    assert set(some.tables["volumes"].column("structure")) == {"cerebellum", "brainstem"}
    full, part = (r.labelmaps["structures"].volume.array for r in (whole, some))
    np.testing.assert_array_equal(part, np.where(np.isin(full, (3, 4, 5)), full, 0))


def test_the_coarse_stage_alone_is_another_answer(bundle):
    volume = head()
    fine, coarse = run(bundle, volume), run(bundle, volume, fine=False)
    assert not np.array_equal(fine.volumes["confidence"].array, coarse.volumes["confidence"].array)


def test_a_second_contrast_counts(bundle):
    volume = head()
    alone = run(bundle, volume)
    same = run(bundle, {"image": volume, "second": volume})
    other = run(bundle, {"image": volume, "second": head(7)})
    np.testing.assert_array_equal(same.labelmaps["structures"].volume.array,
                                  alone.labelmaps["structures"].volume.array)  # fmt: skip
    assert not np.array_equal(other.labelmaps["structures"].volume.array, alone.labelmaps["structures"].volume.array)


def test_networks_are_loaded_once(bundle, monkeypatch):
    method, loads = BrainSeg(), []
    build = Bundle.build_network
    monkeypatch.setattr(Bundle, "build_network", lambda self: loads.append(1) or build(self))
    context = Context(device="cpu", bundle=str(bundle.folder))
    method.load(context)
    assert context.warnings == [], "loading says nothing"
    method.run(head(), {"fine": False}, Context(device="cpu", bundle=str(bundle.folder)))
    assert loads == [1]


def test_the_truth_stands_beside_what_was_found():
    rows = (("cerebrum", "left", 500.0, 0.9, None, 0.0), ("cerebrum", "both", 1010.0, 0.9, 1.0, 0.0),
            ("vessels", "", 4.0, 0.9, None, 0.0))  # fmt: skip
    result = Result(tables={"volumes": Table(("structure", "side", "volume_ml", "c", "d", "b"), rows)})
    known = {"volume_left_cerebrum_ml": 510.0, "volume_right_cerebrum_ml": 490.004, "other": "x"}
    table = BrainSeg().compare_truth(known, result)["volumes"]
    assert table.rows == (("cerebrum", "left", 500.0, 510.0), ("cerebrum", "both", 1010.0, 1000.0))
    one_side = {"volume_left_cerebrum_ml": 510.0}
    assert len(BrainSeg().compare_truth(one_side, result)["volumes"].rows) == 1, "half of it is not the whole"
    assert BrainSeg().compare_truth({}, result) == {}
    assert BrainSeg().compare_truth(known, Result()) == {}


# --- other tasks ------------------------------------------------------------------------------------------------------


def test_painted_slices_are_propagated_and_need_no_bundle(monkeypatch):
    from manabi.brain import propagate

    monkeypatch.setattr(propagate.PropagateSettings, "__init__", _quick(propagate.PropagateSettings.__init__))
    volume = head()
    painted = painted_on(volume)
    result = run(None, {"image": volume, "painted": painted}, task="propagate", propagate_axis="axial")
    labels = result.labelmaps["propagated"].volume
    assert labels.grid.same_as(volume.grid)
    np.testing.assert_array_equal(labels.array[[6, 12, 18, 24]], painted.array[[6, 12, 18, 24]])
    assert (labels.array[8:11] == 3).sum() > 150, "between painted slices"
    assert result.measurements["painted_slice_count"] == 4
    assert result.provenance["bundle"] is None


def _quick(original):
    """Two members, a few steps."""

    def init(self, *args, **kwargs):
        original(self, *args, **{**kwargs, "members": 2, "steps": 3})

    return init


def test_propagating_without_paint_is_refused(bundle):
    with pytest.raises(InvalidInputError, match="needs the input painted"):
        run(bundle, head(), task="propagate")


def test_paint_on_another_grid_is_refused():
    volume = head()
    painted = painted_on(volume).crop((0, 0, 0), (29, 34, 28))
    with pytest.raises(GeometryError, match="image's grid"):
        run(None, {"image": volume, "painted": painted}, task="propagate")


def test_layers_are_listed_and_one_is_shown(bundle):
    volume = head()
    listed = run(bundle, volume, task="features").tables["layers"]
    assert "coarse.down.0" in listed.column("layer")
    result = None
    for structure in STRUCTURES:
        try:
            result = run(bundle, volume, task="features", layer="coarse.down.0", structure=structure, count=2)
            break
        except InvalidInputError:
            continue
    assert result is not None, "the network finds some structure"
    assert list(result.volumes) == ["feature_01", "feature_02"]
    assert result.volumes["feature_01"].grid.same_as(volume.grid)


def test_a_missing_contrast_is_named_as_synthetic(translation):
    volume = head(spacing=(1.0, 1.0, 1.0))
    result = run(translation, volume, task="contrast")
    assert list(result.volumes) == ["synthetic_mra", "unknowable"]
    assert all(v.grid.same_as(volume.grid) for v in result.volumes.values())
    assert any(text.startswith("Synthetic image") for text in result.warnings)
    assert 0 <= result.measurements["unknowable_share"] <= 1


def test_a_computed_second_contrast_is_shown_and_said_to_be_computed(bundle, translation, tmp_path):
    volume = head(spacing=(1.0, 1.0, 1.0))
    alone = run(bundle, volume)
    result = run(bundle, volume, synthetic_second=str(translation.folder))
    assert {"confidence", "synthetic_mra", "unknowable"} == set(result.volumes)
    assert all(v.grid.same_as(volume.grid) for v in result.volumes.values())
    assert any(text.startswith("Synthetic image") for text in result.warnings)
    assert any("computed by brain-translation 0.0.1" in text for text in result.warnings)
    assert result.measurements["quality"] == "check" and result.provenance["bundle"]["name"] == "brain-structures"
    assert "synthetic_mra" not in alone.volumes
    assert [p.name for p in BrainSeg().draw({"image": volume}, result, tmp_path)] == ["structures.png", "contrast.png"]
    with pytest.raises(InvalidInputError, match="leave out"):
        run(bundle, {"image": volume, "second": volume}, synthetic_second=str(translation.folder))
    with pytest.raises(InvalidInputError, match="trained for structures, not translation"):
        run(bundle, volume, synthetic_second=str(bundle.folder))


def test_vessels_of_a_computed_contrast_are_worth_what_it_can_know(tmp_path, translation, monkeypatch):
    from manabi.brain import bright_vessels

    def drawn(labels, confidence, images, context):
        """A vessel of which one half lies where nothing can be known."""
        assert [v.name for v in images][1:] == ["synthetic_mra"]
        array, sure = np.array(labels.array), np.array(confidence.array)
        array[15, 10:20, 14], sure[15, 10:20, 14] = 7, 1.0
        return labels.like(array), confidence.like(sure), True

    def unsure(volume, network, settings, context):
        made = contrast.Synthesis(*(volume.like(np.zeros(volume.shape, np.float32), name="synthetic_mra"),) * 4)
        doubt = np.zeros(volume.shape, np.float32)
        doubt[:, 15:] = 0.9
        return replace(made, uncertainty=volume.like(doubt))

    monkeypatch.setattr(bright_vessels, "with_bright_vessels", drawn)
    monkeypatch.setattr(contrast, "synthesise", unsure)
    without = write_brain_stand_in(tmp_path / "b", found=("cerebrum", "cerebellum", "brainstem", "ventricles"))
    result = run(without, head(spacing=(1.0, 1.0, 1.0)), synthetic_second=str(translation.folder))
    np.testing.assert_allclose(result.volumes["confidence"].array[15, 10:20, 14], [1.0] * 5 + [0.1] * 5, atol=1e-6)
    assert result.measurements["vessels_unknowable_share"] == 0.5
    assert any(text.startswith("Check the vessels: 50%") for text in result.warnings)


def test_a_bundle_for_another_task_or_method_is_refused(bundle, translation, tmp_path):
    with pytest.raises(InvalidInputError, match="trained for translation, not structures"):
        run(translation, head())
    with pytest.raises(InvalidInputError, match="trained for structures, not translation"):
        run(bundle, head(), task="contrast")
    stranger = write_brain_stand_in(tmp_path / "stranger", method="slices")
    with pytest.raises(Exception, match="slices"):
        run(stranger, head())


# --- parameters -------------------------------------------------------------------------------------------------------


def test_structures_are_named_with_commas_in_any_order():
    assert BrainParameters().wanted() == STRUCTURES
    assert BrainParameters(structures=" all ").wanted() == STRUCTURES
    assert BrainParameters(structures="vessels, cerebrum").wanted() == ("cerebrum", "vessels")


@pytest.mark.parametrize(
    "wrong",
    [{"structures": "cerebrum, thalamus"}, {"structures": " , "}, {"min_confidence": 1.2}, {"count": 0},
     {"task": "all"}, {"propagate_axis": "k"}, {"structure": "thalamus"}],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        BrainParameters(**wrong)


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
@pytest.mark.parametrize("tilt", [0.0, 25.0])
def test_the_array_axis_of_a_direction_in_every_orientation(axes, signs, tilt):
    turn = Rotation.from_euler("xyz", (tilt, -0.6 * tilt, 0.4 * tilt), degrees=True).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.array([1.0, 2.0, 3.0])
    turned = Volume(np.zeros((4, 5, 6)), matrix).reoriented(axes, signs)
    assert closest_axes(turned.grid.directions)[0] is not None
    sizes = {"sagittal": 6, "coronal": 5, "axial": 4}
    for direction, size in sizes.items():
        axis = array_axis(turned, direction)
        assert turned.shape[axis] == size
        normal = turned.grid.directions[:, 2 - axis]
        assert abs(normal).argmax() == {"sagittal": 0, "coronal": 1, "axial": 2}[direction]
    assert array_axis(turned, "auto") is None
