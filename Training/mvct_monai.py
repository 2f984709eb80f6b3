"""How MONAI runs a bundle of MVCTConvert: its ``configs/inference.json``."""

from __future__ import annotations

from typing import Any

from manabi.mvct.convert import Settings


def inference(settings: Settings) -> dict[str, Any]:
    """How ``python -m monai.bundle run`` prepares an image: the network's pixels, its window to -1 and 1, and back.

    It is the network alone, on the whole image and within its window: without the body mask, and without what the
    method keeps above the window. At both ends of a volume slices are mirrored where the method repeats the last.
    """
    source, target = settings.source, settings.target
    middle, out = 0.5 * (source.low + source.high), 0.5 * (target.low + target.high)
    pixel = settings.pixel_mm or (-1.0, -1.0)
    return {
        "inferer": {
            "_target_": "manabi.store.monai_run.SliceStackInferer", "context_slices": settings.context,
            "intensity": {"kind": "range", "low": middle, "high": source.high},
        },
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
                # A slice distance of -1 is the image's own.
                {"_target_": "Spacingd", "keys": "image", "pixdim": [*pixel, -1.0], "mode": "bilinear"},
                _range(source.low, source.high, source.low, source.high, "image", clip=True),
            ],
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                _range(middle, source.high, out, target.high, "pred", clip=False),
                {
                    "_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
                    "nearest_interp": False, "to_tensor": True,
                },
                {
                    "_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir",
                    "output_postfix": "@output_postfix", "output_ext": ".nii.gz", "resample": False,
                    "separate_folder": False,
                },
            ],
        },
    }  # fmt: skip


def _range(a_min: float, a_max: float, b_min: float, b_max: float, key: str, clip: bool) -> dict[str, Any]:
    """MONAI's linear map from one range to another."""
    return {
        "_target_": "ScaleIntensityRanged", "keys": key, "a_min": a_min, "a_max": a_max, "b_min": b_min,
        "b_max": b_max, "clip": clip,
    }  # fmt: skip
