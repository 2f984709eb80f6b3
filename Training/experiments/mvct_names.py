"""How converters, metrics and inputs are called on the MVCTConvert page."""

from __future__ import annotations

TITLES = {
    "input": "input", "histogram": "histogram matching", "nlm": "histogram + non-local means",
    "polynomial": "polynomial HU map", "plain": "plain CycleGAN", "proposed": "proposed (the source's terms)",
    "ours": "ours (cycle, smoothed gradients)", "cut": "CUT", "oracle": "supervised oracle", "bundle": "shipped bundle",
    "kvct": "true kVCT",
}  # fmt: skip
METRICS = {
    "dig_a": "DIG-a, HU/mm", "dig_b": "DIG-b, HU/mm", "mae_hu": "MAE, HU", "psnr_db": "PSNR, dB", "ssim": "SSIM",
    "ms_ssim": "MS-SSIM", "cnr_muscle_fat": "CNR muscle–fat", "cnr_bone_fat": "CNR bone–fat",
    "cnr_bone_muscle": "CNR bone–muscle", "mtf50": "MTF 50 %, lp/mm", "mtf10": "MTF 10 %, lp/mm",
    "noise_hu": "noise, HU", "noise_frequency": "noise frequency, 1/mm", "dice_fat": "Dice fat",
    "dice_soft": "Dice soft tissue", "dice_bone": "Dice bone", "border_mm_soft": "border of soft tissue, mm",
    "border_mm_bone": "border of bone, mm", "hu_fat": "HU of fat", "hu_muscle": "HU of muscle", "hu_bone": "HU of bone",
}  # fmt: skip
DIGITS = {"ssim": 3, "ms_ssim": 3, "mtf50": 3, "mtf10": 3, "noise_frequency": 3, "dice_fat": 3, "dice_soft": 3,
          "dice_bone": 3, "border_mm_soft": 2, "border_mm_bone": 2, "dig_a": 2, "dig_b": 2}  # fmt: skip


def title(name: str) -> str:
    """A converter as readers know it."""
    return TITLES.get(name, name)


def digits(metric: str) -> int:
    """Decimals that a metric is written with."""
    return DIGITS.get(metric, 1)
