#!/usr/bin/env python3
"""Draw the slices on which the real chest CTs were read by eye: ``python Testing/tools/read_chest_ct.py FOLDER``.

Each picture shows consecutive slices around one level, lung window above and mediastinal window below, as a reader
sees them (the patient's right on the left). What was seen is in ``Testing/manabi/slices/readings.json`` and in
``docs/results/slices_real.md``. The images are found below ``MANABI_TEST_DATA``. LUNG1 is licensed for non-commercial
use and its pixels are not in the repository: this tool makes those pictures where the data are.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from manabi.io import read_volume
from manabi.slices.reading import MARKERS
from manabi.slices.stack import AxialStack

ROOT = Path(__file__).resolve().parents[2]
READINGS = ROOT / "Testing" / "manabi" / "slices" / "readings.json"
IMAGES = ROOT / "docs" / "results" / "images"
WINDOWS = (("lung", -600.0, 1500.0), ("mediastinum", 40.0, 400.0))
"""Name, level and width in Hounsfield units."""
FIELD_MM = {"apex": (230.0, 150.0), "carina": (130.0, 130.0), "diaphragm": (400.0, 300.0)}
"""Width and height of what is shown, around the body's middle."""
TILE = 400
"""Pixels of each slice's longer side."""
COLUMNS = 4


def window(image: np.ndarray, level: float, width: float) -> np.ndarray:
    """Hounsfield units as 8-bit grey."""
    grey = (image.astype(np.float32) - (level - width / 2)) / width
    return np.asarray(np.clip(np.rint(grey * 255), 0, 255), np.uint8)


def tile(stack: AxialStack, k: int, marker: str, text: str = "") -> Image.Image:
    """Slice ``k`` in both windows, one above the other, cropped to the marker's field and named."""
    box = _box(stack, FIELD_MM[marker])
    scale = TILE / (box[2] - box[0])
    size = (TILE, round((box[3] - box[1]) * scale))
    out = Image.new("L", (size[0], 2 * size[1]))
    for row, (_, level, width) in enumerate(WINDOWS):
        seen = Image.fromarray(window(np.asarray(stack.plane(k)), level, width)[::-1, ::-1])
        out.paste(seen.resize(size, Image.Resampling.BICUBIC, box=box), (0, row * size[1]))
    label = f"slice {stack.input_index(k)}   z {stack.z_mm[k]:.1f} mm   {text}"
    pen = ImageDraw.Draw(out)
    pen.rectangle((0, 0, TILE, 26), fill=0)
    pen.text((6, 4), label, fill=255, font=ImageFont.load_default(size=18))
    return out


def _box(stack: AxialStack, field_mm: tuple[float, float]) -> tuple[float, float, float, float]:
    """Left, upper, right and lower edge of the field in a slice turned as a reader sees it, pixels."""
    rows, columns = np.nonzero(np.asarray(stack.volume.array).max(axis=0) > -200)
    size = stack.volume.array.shape[2], stack.volume.array.shape[1]
    middle = size[0] - float(np.median(columns)), size[1] - float(np.median(rows))
    half = [min(mm / step, n) / 2 for mm, step, n in zip(field_mm, stack.pixel_mm, size, strict=True)]
    low = [float(np.clip(m - h, 0, n - 2 * h)) for m, h, n in zip(middle, half, size, strict=True)]
    return low[0], low[1], low[0] + 2 * half[0], low[1] + 2 * half[1]


def sheet(stack: AxialStack, slices: list[int], marker: str, chosen: int | None) -> Image.Image:
    """Slices of the stack side by side, from the head to the feet; the chosen one is named."""
    name = "lowest lung" if marker == "diaphragm" else marker
    tiles = [tile(stack, k, marker, name if k == chosen else "") for k in slices]
    width, height = tiles[0].size
    out = Image.new("L", (len(tiles) * (width + 4) - 4, height), 128)
    for column, one in enumerate(tiles):
        out.paste(one, (column * (width + 4), 0))
    return out


def draw(scan: dict[str, Any], stack: AxialStack, marker: str, folder: Path, around: tuple[int, int]) -> list[Path]:
    """Write the sheets of one marker: slices ``around`` (above, below) the one read, or the lowest one with lung."""
    read = scan["markers"][marker]
    index = int(read.get("lowest_lung_slice", read["slice"]))
    k = stack.n - 1 - index if stack.input_flipped else index
    slices = [n for n in range(k + around[0], k - around[1] - 1, -1) if 0 <= n < stack.n]
    written = []
    for start in range(0, len(slices), COLUMNS):
        path = folder / f"slices_real_{scan['name']}_{marker}_{start // COLUMNS + 1}.png"
        sheet(stack, slices[start : start + COLUMNS], marker, k).save(path, optimize=True)
        written.append(path)
    return written


def main(arguments: list[str] | None = None) -> int:
    """Draw the sheets of every scan that is present."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path, help="folder for the pictures")
    parser.add_argument("--above", type=int, default=5, help="slices above the one read")
    parser.add_argument("--below", type=int, default=6, help="slices below it")
    parser.add_argument("--free", action="store_true", help="only scans whose pixels may be passed on")
    chosen = parser.parse_args(arguments)
    data = Path(os.environ.get("MANABI_TEST_DATA", ROOT.parent / "shared" / "data"))
    chosen.output.mkdir(parents=True, exist_ok=True)
    for scan in json.loads(READINGS.read_text(encoding="utf-8"))["scans"]:
        path = data / scan["file"]
        if not path.exists() or (chosen.free and not scan["pixels_in_repository"]):
            continue
        stack = AxialStack.of(read_volume(path))
        for marker in MARKERS:
            draw(scan, stack, marker, chosen.output, (chosen.above, chosen.below))
    return 0


if __name__ == "__main__":
    sys.exit(main())
