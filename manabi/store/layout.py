"""Writing a trained network as a bundle that Manabi and ``python -m monai.bundle`` both take."""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
import uuid
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import manabi
from manabi.bundle import CARD, INFERENCE, METADATA, REAL_NOTICE, SIMULATED_NOTICE, WEIGHTS, Bundle
from manabi.errors import InvalidInputError
from manabi.store.check import MANABI_KEYS, MONAI_KEYS, OPTIONAL_KEYS, metadata_problems

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA_URL = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
)
"""Where MONAI publishes the schema of ``metadata.json``; ``verify_metadata`` reads it from there."""

DEFAULT_INPUTS: dict[str, Any] = {
    "context_slices": 1,
    "orientation": None,
    "spacing_mm": None,
    "intensity": {"kind": "maximum", "per": "volume"},
}
"""What the network is given where the caller does not say.

``context_slices``: neighbouring slices, an odd number, that are the channels of one 2-D image; ``orientation``: axis
codes such as ``RAS`` or None for the file's own order; ``spacing_mm``: three numbers or None for the file's own;
``intensity``: see :class:`manabi.store.monai_run.SliceStackInferer`, or ``{"kind": "head_mean"}`` for the mean
count of the head.
"""

SCALES = {
    "head_mean": (
        "$import manabi.spect.denoise as denoise",
        "$lambda volume: denoise.head_scale(volume.array, volume)",
    )
}
"""Kinds of ``intensity`` that a method of Manabi defines: what MONAI's configuration imports and calls for them."""


def write_bundle(
    folder: str | Path,
    *,
    name: str,
    version: str,
    method: str,
    network: Mapping[str, Any],
    state_dict: Mapping[str, Tensor],
    card: str,
    metadata_extra: Mapping[str, Any],
    inference: Mapping[str, Any] | None = None,
    license_text: str | None = None,
    replace: bool = False,
) -> Bundle:
    """Write a bundle folder and verify it.

    The folder appears complete or not at all. The same content gives the same bytes.

    Args:
        folder: where the bundle shall lie.
        name: small letters, digits, ``-`` and ``_``.
        version: as ``1.2.3``.
        method: name of the method it is made for.
        network: ``{"name": ..., "arguments": {...}}`` for ``manabi.networks.build``.
        state_dict: the weights; written in their own dtype.
        card: the model card (Markdown); the notice is added when it does not hold it.
        metadata_extra: must hold ``trained_on`` (text) and ``simulated`` (bool). MONAI's keys (``task``,
            ``description``, ``authors``, ``copyright``, ``intended_use``, ``references``, ``data_source``,
            ``eval_metrics``, ``changelog``, ``network_data_format``, ...) go to the top of ``metadata.json``;
            ``inputs`` (see :data:`DEFAULT_INPUTS`), ``outputs``, ``labels``, ``metrics``, ``precision`` and any other
            key go to its section ``manabi``. Numbers that are not finite become null.
        inference: entries that replace or join those of ``configs/inference.json``.
        license_text: text of the file LICENSE, or None for no such file.
        replace: whether an existing folder is replaced.

    Returns:
        The bundle, verified.

    Raises:
        InvalidInputError: when the folder exists and ``replace`` is False, or the metadata are incomplete.
        CorruptModelError: when the weights do not fit the network or are not finite.
    """
    target = Path(folder)
    if target.exists() and not replace:
        raise InvalidInputError(f"{target.name} exists. Choose another folder, or replace it.")
    weights = _serialised(state_dict)
    section = {"method": method, "network": dict(network), "weights_sha256": hashlib.sha256(weights).hexdigest()}
    description = _metadata(name, version, section, metadata_extra)
    problems = metadata_problems(description)
    if problems:
        raise InvalidInputError(f"The bundle cannot be written: {'; '.join(problems)}.")
    files = {
        METADATA: _json(description),
        INFERENCE: _json({**inference_config(description), **(inference or {})}),
        CARD: _card(card, description["manabi"]["simulated"]).encode(),
        WEIGHTS: weights,
    }
    if license_text is not None:
        files["LICENSE"] = license_text.encode()
    return _put(target, files)


def inference_config(description: Mapping[str, Any]) -> dict[str, Any]:
    """``configs/inference.json`` for a 2-D or 2.5-D network that gives an image like its input.

    In the bundle's folder (or with ``--bundle_root``), this reads every NIfTI file in IN, brings it to the orientation
    and spacing of the metadata, applies the network slice by slice, goes back to the input's grid and writes the
    results to OUT; it needs nibabel, and no ignite::

        python -m monai.bundle run --config_file configs/inference.json --dataset_dir IN --output_dir OUT

    It is the network alone; what the method does beyond it (measuring, keeping counts) is ``manabi run``'s.
    """
    section = description["manabi"]
    inputs = _inputs(section)
    network = section["network"]
    return {
        "imports": ["$import glob", "$import torch", "$import manabi.store.monai_run as monai_run", *_imports(inputs)],
        "bundle_root": ".",
        "dataset_dir": "input",
        "output_dir": "output",
        "output_postfix": section["method"],
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "datalist": "$sorted(glob.glob(@dataset_dir + '/*.nii*'))",
        "network_def": {"_target_": "manabi.networks.build", "name": network["name"], **network["arguments"]},
        "network": "$monai_run.loaded(@network_def, @bundle_root, @device)",
        "preprocessing": {"_target_": "Compose", "transforms": _preprocessing(inputs)},
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': path} for path in @datalist]",
            "transform": "@preprocessing",
        },
        "inferer": _inferer(inputs),
        "postprocessing": {"_target_": "Compose", "transforms": _postprocessing()},
        "run": ["$monai_run.predict(@dataset, @inferer, @network, @postprocessing, @device)"],
    }


def _inputs(section: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults, then what the section says at its top, then what it says under ``inputs``."""
    at_top = {key: section[key] for key in DEFAULT_INPUTS if key in section}
    return {**DEFAULT_INPUTS, **at_top, **section.get("inputs", {})}


def _imports(inputs: Mapping[str, Any]) -> list[str]:
    kind = inputs["intensity"].get("kind")
    return [SCALES[kind][0]] if kind in SCALES else []


def _inferer(inputs: Mapping[str, Any]) -> dict[str, Any]:
    intensity = inputs["intensity"]
    config = {
        "_target_": "manabi.store.monai_run.SliceStackInferer",
        "context_slices": inputs["context_slices"],
        "intensity": intensity,
    }
    if intensity.get("kind") in SCALES:
        config["intensity"] = {**intensity, "kind": "function", "per": "volume"}
        config["scale"] = SCALES[intensity["kind"]][1]
    return config


def _preprocessing(inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    transforms: list[dict[str, Any]] = [
        {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
    ]
    if inputs["orientation"]:
        transforms.append({"_target_": "Orientationd", "keys": "image", "axcodes": inputs["orientation"]})
    if inputs["spacing_mm"]:
        transforms.append({"_target_": "Spacingd", "keys": "image", "pixdim": inputs["spacing_mm"], "mode": "bilinear"})
    return [*transforms, {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"}]


def _postprocessing() -> list[dict[str, Any]]:
    return [
        {
            "_target_": "Invertd",
            "keys": "pred",
            "transform": "@preprocessing",
            "orig_keys": "image",
            "nearest_interp": False,
            "to_tensor": True,
        },
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_postfix": "@output_postfix",
            "output_ext": ".nii.gz",
            "resample": False,
            "separate_folder": False,
        },
    ]


def _metadata(name: str, version: str, section: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    ours = {key: value for key, value in extra.items() if not _is_monai_key(key)}
    theirs = {key: value for key, value in extra.items() if _is_monai_key(key)}
    taken = sorted(({"schema", "name", "version"} & set(theirs)) | (set(section) & set(ours)))
    if taken:
        raise InvalidInputError(f"metadata_extra must not hold {', '.join(taken)}: they are arguments of their own.")
    return {
        "schema": SCHEMA_URL,
        "name": name,
        "version": version,
        "changelog": {version: "first version"},
        **_versions(),
        "required_packages_version": {"manabi": manabi.__version__, "nibabel": "5.2.0"},
        "task": f"The method {section['method']} of Manabi",
        "description": f"A network {section['network'].get('name')} for the method {section['method']} of Manabi",
        "authors": "The Manabi contributors",
        "copyright": "The Manabi contributors",
        "network_data_format": _data_format(section["network"], _inputs(ours)),
        **theirs,
        "manabi": {**section, **ours},
    }


MONAI_EXTRA = frozenset(
    {"changelog", "optional_packages_version", "data_source", "data_type", "image_classes", "label_classes"}
    | {"pred_classes", "eval_metrics", "intended_use", "references", "supported_apps"}
)
"""Keys that MONAI's schema knows but does not require."""


def _is_monai_key(key: str) -> bool:
    return (key in MONAI_KEYS or key in MONAI_EXTRA) and key not in MANABI_KEYS and key not in OPTIONAL_KEYS


def _versions() -> dict[str, str]:
    packages = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}
    return {key: metadata.version(package).split("+")[0] for key, package in packages.items()}


def _data_format(network: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """MONAI's description of what goes in and out; channels from the inputs and the network's ``out_channels``."""
    outputs = int(network.get("arguments", {}).get("out_channels", 1))
    return {
        "inputs": {"image": _tensor_format(int(inputs["context_slices"]), "slice")},
        "outputs": {"pred": _tensor_format(outputs, "output")},
    }


def _tensor_format(channels: int, definition: str) -> dict[str, Any]:
    return {
        "type": "image",
        "format": "magnitude",
        "num_channels": channels,
        "spatial_shape": ["16*n", "16*n"],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": {str(n): definition if channels == 1 else f"{definition} {n}" for n in range(channels)},
    }


def _serialised(state_dict: Mapping[str, Tensor]) -> bytes:
    """The weights as ``torch.save`` writes them, without the storage that a view shares with others."""
    import torch

    buffer = io.BytesIO()
    torch.save({key: value.detach().cpu().clone().contiguous() for key, value in state_dict.items()}, buffer)
    return buffer.getvalue()


def _card(card: str, simulated: bool) -> str:
    notice = SIMULATED_NOTICE if simulated else REAL_NOTICE
    if notice.lower() in card.lower():
        return card
    return f"{card.rstrip()}\n\n**{notice[0].upper()}{notice[1:]}.**\n"


def _json(content: Mapping[str, Any]) -> bytes:
    try:
        return (json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"The metadata must be plain JSON values: {error}.") from error


def _finite(value: Any) -> Any:
    """The value with null for each number that JSON cannot hold (NaN, infinity): an unknown figure, not an error."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _put(target: Path, files: Mapping[str, bytes]) -> Bundle:
    """Write the files aside, verify, and rename into place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.parent / f".writing-{uuid.uuid4().hex}"
    staged, old = aside / target.name, aside / "replaced"
    try:
        for name, content in files.items():
            path = staged / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        Bundle(staged).verify()
        if target.exists():
            target.rename(old)
        staged.rename(target)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(aside, ignore_errors=True)
    return Bundle(target.resolve())
