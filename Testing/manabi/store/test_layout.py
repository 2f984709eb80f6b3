"""What training writes is what Manabi and MONAI's own commands take.

MONAI publishes the schema of ``metadata.json`` only on the web. So that the tests need no network, ``verify_metadata``
is given a local schema (it downloads none where the file exists) which demands what the published one of 2024-07-25
demands: the same required keys with the same types, and the same form of ``network_data_format``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from manabi import networks
from manabi.bundle import INFERENCE, METADATA, WEIGHTS, Bundle
from manabi.errors import CorruptModelError, InvalidInputError
from manabi.spect.denoise import context_stack, head_scale
from manabi.store.monai_run import SliceStackInferer, predict
from manabi.volume import Volume

Make = Callable[..., Bundle]

TENSOR = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "format": {"type": "string"},
        "num_channels": {"type": "integer"},
        "spatial_shape": {"type": "array", "items": {"type": ["string", "integer"]}},
        "dtype": {"type": "string"},
        "value_range": {"type": "array", "items": {"type": "number"}},
        "is_patch_data": {"type": "boolean"},
        "channel_def": {"type": "object"},
    },
    "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
}
TENSORS = {"type": "object", "additionalProperties": TENSOR, "minProperties": 1}
TEXTS = ("schema", "version", "monai_version", "pytorch_version", "numpy_version", "task", "description", "authors",
         "copyright")  # fmt: skip
SCHEMA = {
    "type": "object",
    "properties": {
        **{key: {"type": "string"} for key in (*TEXTS, "data_source", "data_type", "intended_use")},
        **{key: {"type": "object"} for key in ("changelog", "required_packages_version", "eval_metrics")},
        "references": {"type": "array", "items": {"type": "string"}},
        "network_data_format": {
            "type": "object",
            "properties": {"inputs": TENSORS, "outputs": TENSORS},
            "required": ["inputs", "outputs"],
        },
    },
    "required": [*TEXTS, "required_packages_version", "network_data_format"],
}
EXTRA = {
    "trained_on": "nothing",
    "simulated": True,
    "inputs": {"context_slices": 3, "orientation": "RAS", "spacing_mm": [3.0, 3.0, 3.0]},
    "task": "Denoising",
    "intended_use": "Tests",
    "references": ["10.1007/s11604-025-01933-z"],
    "eval_metrics": {"SSIM": 0.5},
}


def monai_bundle(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """``python -m monai.bundle`` in a process of its own."""
    command = [sys.executable, "-m", "monai.bundle", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def middle() -> dict[str, torch.Tensor]:
    """Weights with which ``tiny`` gives back the middle of its three slices."""
    weight = torch.zeros(1, 3, 3, 3)
    weight[0, 1, 1, 1] = 1
    return {"weight": weight, "bias": torch.zeros(1)}


def test_metadata_tell_what_was_given(make: Make) -> None:
    own = {"pipeline": "paper", "noise": (float("nan"), 1.0)}
    bundle = make(metadata_extra={**EXTRA, "metrics": {"SSIM": {"value": 0.5}}, "grade": 3, "spect": own})
    assert bundle.metadata["task"] == "Denoising"
    assert bundle.inputs == EXTRA["inputs"]
    assert bundle.facts["grade"] == 3
    assert bundle.facts["context_slices"] == 3
    assert (bundle.facts["pipeline"], bundle.facts["noise"]) == ("paper", [None, 1.0])
    assert bundle.metadata["network_data_format"]["inputs"]["image"]["num_channels"] == 3
    assert bundle.metadata["network_data_format"]["inputs"]["image"]["spatial_shape"] == ["16*n", "16*n"]
    assert bundle.card.startswith("# Tiny")
    assert bundle.card.count(bundle.notice.capitalize()) == 1


def test_the_same_content_gives_the_same_files(make: Make) -> None:
    first, second = make("a").folder, make("b").folder
    for path in (METADATA, INFERENCE, WEIGHTS, "docs/README.md"):
        assert (first / path).read_bytes() == (second / path).read_bytes()


def test_a_view_is_saved_without_the_storage_it_shares(make: Make) -> None:
    large = torch.zeros(1_000_000)
    state = {"weight": large[:27].view(1, 3, 3, 3), "bias": large[:1]}
    assert (make(state_dict=state).folder / WEIGHTS).stat().st_size < 10_000


def test_weights_keep_their_dtype_on_disk_and_work_in_float32(make: Make, middle: dict[str, torch.Tensor]) -> None:
    bundle = make(state_dict={key: value.half() for key, value in middle.items()})
    assert bundle.load_state()["weight"].dtype == torch.float16
    assert bundle.build_network().weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "No Name"}, "name 'No Name' must"),
        ({"version": "1"}, "version '1' must"),
        ({"metadata_extra": {}}, "lacks 'trained_on'"),
        ({"metadata_extra": {**EXTRA, "method": "brain"}}, "must not hold method"),
        ({"metadata_extra": {**EXTRA, "note": {1, 2}}}, "plain JSON"),
        ({"network": {"name": "tiny"}}, "network must be"),
    ],
)
def test_incomplete_descriptions_are_refused_and_nothing_is_written(make: Make, tmp_path: Path, changes, message):
    with pytest.raises(InvalidInputError, match=message):
        make("new", **changes)
    assert not (tmp_path / "new").exists()


def test_weights_that_do_not_fit_leave_no_folder_and_keep_the_old_one(make: Make, tmp_path: Path) -> None:
    with pytest.raises(CorruptModelError, match="do not fit"):
        make("new", state_dict={"weight": torch.zeros(1)})
    old = make("old")
    with pytest.raises(InvalidInputError, match="old exists"):
        make("old")
    with pytest.raises(CorruptModelError, match="do not fit"):
        make("old", state_dict={"weight": torch.zeros(1)}, replace=True)
    assert old.verify().version == "1.0.0"
    assert make("old", version="2.0.0", replace=True).version == "2.0.0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old"]


def test_monai_accepts_the_metadata(make: Make, tmp_path: Path) -> None:
    pytest.importorskip("fire")
    bundle = make("mein Modell é", metadata_extra=EXTRA)
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    done = monai_bundle("verify_metadata", "--meta_file", METADATA, "--filepath", schema, cwd=bundle.folder)
    assert done.returncode == 0, done.stderr
    assert "metadata is verified with no error" in done.stdout + done.stderr


def test_monai_runs_the_bundle_on_a_file_as_manabi_does(make: Make, tmp_path: Path) -> None:
    """An oblique, left-handed volume with an odd number of rows comes back on its own grid, with the same values."""
    pytest.importorskip("fire")
    nibabel = pytest.importorskip("nibabel")
    network = {"name": "unet", "arguments": {"in_channels": 3, "out_channels": 2, "filters": [2, 4]}}
    torch.manual_seed(0)
    bundle = make(
        "mein Modell é",
        network=network,
        state_dict=networks.build("unet", **network["arguments"]).state_dict(),
        metadata_extra={
            **EXTRA,
            "inputs": {"context_slices": 3, "orientation": "RAS", "intensity": {"kind": "head_mean"}},
        },
    )
    affine = np.array([[0, -3.2, 0.3, 40], [3.2, 0, 0, -30], [0, -0.3, -3.2, 5], [0, 0, 0, 1]])
    array = np.random.default_rng(0).gamma(2, 5, (21, 18, 9)).astype(np.float32)
    (tmp_path / "in put").mkdir()
    nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / "in put" / "fall 1.nii.gz")
    done = monai_bundle(
        "run", "--config_file", INFERENCE, "--dataset_dir", tmp_path / "in put", "--output_dir", tmp_path / "out",
        cwd=bundle.folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = nibabel.load(tmp_path / "out" / "fall 1_spect.nii.gz")
    np.testing.assert_allclose(written.affine, affine, atol=1e-4)

    work = Volume(array.transpose(2, 1, 0), affine).reoriented()
    scale = head_scale(work.array, work)
    stack = context_stack(work.array / scale, 3)
    with torch.inference_mode():
        expected = bundle.build_network()(torch.from_numpy(stack))[:, 0].numpy() * scale
    expected = work.like(expected).reoriented_like(Volume(array.transpose(2, 1, 0), affine).grid).array
    assert expected.std() > 0.1
    np.testing.assert_allclose(written.get_fdata().transpose(2, 1, 0), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("intensity", [
    {"kind": "none"},
    {"kind": "maximum", "per": "slice"},
    {"kind": "percentile", "q": 99.0},
    {"kind": "range", "low": -10, "high": 40},
    {"kind": "standardize", "per": "slice"},
])  # fmt: skip
def test_inference_gives_intensities_back(intensity: dict, middle: dict[str, torch.Tensor]) -> None:
    network = nn.Conv2d(3, 2, 3, padding=1)
    network.load_state_dict({key: value.expand(2, *value.shape[1:]) for key, value in middle.items()})
    volume = torch.rand(1, 1, 5, 7, 4, generator=torch.Generator().manual_seed(0)) * 50
    with torch.inference_mode():
        result = SliceStackInferer(3, intensity=intensity, batch=3)(volume, network)
    torch.testing.assert_close(result, volume)


def test_inference_sees_the_scaled_neighbours() -> None:
    seen: list[torch.Tensor] = []

    class Spy(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images)
            return images[:, :1]

    volume = torch.arange(1.0, 5.0).expand(1, 1, 2, 3, 4).clone()
    SliceStackInferer(3, intensity={"kind": "maximum"})(volume, Spy())
    images = torch.cat(seen)
    assert images.shape == (4, 3, 3, 2)
    assert images[:, :, 0, 0].tolist() == [[0.5, 0.25, 0.5], [0.25, 0.5, 0.75], [0.5, 0.75, 1.0], [0.75, 1.0, 0.75]]


def test_inference_can_scale_by_a_function_of_the_volume() -> None:
    seen = []

    def scale(volume: Volume) -> float:
        seen.append(volume)
        return 4.0

    tensor = torch.rand(1, 1, 8, 7, 3)
    network = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    inferer = SliceStackInferer(1, intensity={"kind": "function"}, scale=scale)
    with torch.inference_mode():
        torch.testing.assert_close(inferer(tensor, network), tensor)
    assert seen[0].shape == (3, 7, 8)
    with pytest.raises(InvalidInputError, match="scale"):
        SliceStackInferer(1, intensity={"kind": "function"})


def test_an_empty_volume_stays_empty(middle: dict[str, torch.Tensor]) -> None:
    network = nn.Conv2d(3, 1, 3, padding=1)
    network.load_state_dict(middle)
    with torch.inference_mode():
        assert not SliceStackInferer(3, intensity={"kind": "maximum"})(torch.zeros(1, 1, 4, 4, 2), network).any()


@pytest.mark.parametrize("arguments", [{"context_slices": 2}, {"intensity": {"kind": "log"}},
                                       {"intensity": {"kind": "maximum", "per": "patient"}}])  # fmt: skip
def test_wrong_inference_settings_are_refused(arguments: dict) -> None:
    with pytest.raises(InvalidInputError, match="must be"):
        SliceStackInferer(**arguments)


def test_a_run_without_images_says_so() -> None:
    with pytest.raises(InvalidInputError, match="--dataset_dir"):
        predict([], SliceStackInferer(), nn.Identity(), lambda case: case, torch.device("cpu"))
