#!/usr/bin/env python3
"""Write the page on PelvicSeg's network: ``Testing/tools/pelvis_page.py [BUNDLE]`` (by default the one that ships).

Scores of simulated test patients come from the bundle's card. Two more simulated patients (seed 7101) and the real CT
among the test images are segmented here, and drawn. The real CT's labels are a program's (TotalSegmentator,
Apache-2.0), know neither rectum nor vesicles, and its prostate is cut by the lowest slice. Writes
``docs/results/pelvis.md``, ``pelvis_real.json`` and the pictures in ``docs/results/images``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from read_pelvis_ct import folder, read

from manabi.bundle import Bundle
from manabi.context import Context
from manabi.io.atomic import atomic_file
from manabi.pelvis.method import PelvicSeg
from manabi.pelvis.structures import CLASSES, ORGANS, PELVIS
from manabi.phantoms.base import case_rng
from manabi.phantoms.pelvis import PelvisPhantom
from manabi.result import Result
from manabi.volume import Volume

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
SEED, SHOWN = 7101, 2
WINDOW = (-160.0, 240.0)
COLUMNS = {
    "dice": "Dice", "hd95_mm": "HD95, mm", "surface_dice_2mm": "surface Dice, 2 mm",
    "surface_dice_3mm": "surface Dice, 3 mm", "volume_error_percent": "volume, absolute error, %",
    "volume_difference_percent": "volume, difference, %",
}  # fmt: skip
PUBLISHED = {
    "two-step axial cross-attention U-Net, 275 patients to train, 15 to test (10.1117/12.2653387)": {
        "prostate": ".866 ± .034", "seminal_vesicles": ".740 ± .117", "bladder": ".957 ± .014", "rectum": ".853 ± .044",
    },
    "TotalSegmentator v2, its repository's figures": {
        "prostate": ".814", "seminal_vesicles": "no class", "bladder": ".916", "rectum": "no class",
    },
}  # fmt: skip
"""Dice on patients; the source of this method gives none."""
Shown = tuple[str, Volume, np.ndarray, dict[str, np.ndarray]]
"""Title, CT, labels found, masks to compare with."""


def segment(bundle: Bundle, ct: Volume) -> Result:
    """The method's result, on the processor."""
    return PelvicSeg().run({"ct": ct}, {}, Context(device="cpu", seed=0, bundle=str(bundle.folder)))


def simulated(bundle: Bundle) -> list[Shown]:
    """Two patients of the phantom that nothing was trained on."""
    phantom, out = PelvisPhantom(), []
    for index in range(SHOWN):
        case = phantom.render(phantom.sample_parameters(case_rng(SEED, index)), Context(device="cpu"))
        truth = np.asarray(case.labelmaps["organs"].volume.array)
        found = np.asarray(segment(bundle, case.volumes["ct"]).labelmaps["organs"].volume.array)
        masks = {organ: truth == CLASSES[organ] for organ in ORGANS}
        out.append((f"simulated {index + 1}", case.volumes["ct"], found, masks))
    return out


def real(bundle: Bundle) -> tuple[Shown, dict[str, Any]] | None:
    """The real CT, where it is: what was found beside its automatic labels."""
    if not folder().is_dir():
        return None
    scan = read()
    result = segment(bundle, scan.ct)
    found = np.asarray(result.labelmaps["organs"].volume.array)
    numbers: dict[str, Any] = {"warnings": list(result.warnings), "volumes_ml": {}}
    for row in result.tables["volumes"].rows:
        numbers["volumes_ml"][str(row[0])] = row[2]
    for organ in ("bladder", "prostate"):
        own, label = found == CLASSES[organ], scan.masks[organ]
        numbers[f"{organ}_dice"] = round(2.0 * float((own & label).sum()) / max(float(own.sum() + label.sum()), 1.0), 3)
        numbers[f"{organ}_label_ml"] = round(float(label.sum()) * float(np.prod(scan.ct.spacing_mm)) / 1000.0, 1)
    rectum = found == CLASSES["rectum"]
    within = float((rectum & scan.masks["colon"]).sum()) / max(float(rectum.sum()), 1.0)
    numbers["rectum_within_colon_label"] = round(within, 3)
    covered = float((rectum & scan.masks["rectum"]).sum()) / max(float(scan.masks["rectum"].sum()), 1.0)
    numbers["colon_label_behind_joints_covered"] = round(covered, 3)
    masks = {organ: scan.masks[organ] for organ in ("bladder", "prostate", "rectum")}
    return ("real CT", scan.ct, found, masks), numbers


def picture(rows: list[Shown], path: Path) -> None:
    """Slices through the organs: found filled, compared outlined."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(rows), 5, figsize=(12.5, 2.45 * len(rows)), squeeze=False)
    for row, (title, ct, found, masks) in zip(axes, rows, strict=True):
        known = np.any([mask for mask in masks.values()], axis=0)
        union = (found > 0) | known
        planes = np.flatnonzero(known.any((1, 2)))
        low, high = (planes.min(), planes.max()) if planes.size else (0, len(found) - 1)
        box = _box(union, ct)
        for axis, k in zip(row, np.linspace(low + 1, high - 1, 5).round().astype(int), strict=True):
            axis.imshow(ct.array[k][box], cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1])
            for organ in ORGANS:
                shade = np.zeros((*found[k][box].shape, 4))
                shade[found[k][box] == CLASSES[organ]] = (*PELVIS[organ].color, 0.45)
                axis.imshow(shade)
                if organ in masks and masks[organ][k].any():
                    axis.contour(masks[organ][k][box], [0.5], colors=[PELVIS[organ].color], linewidths=1.1)
            axis.axis("off")
        row[0].text(3, 9, title, color="white", fontsize=8)
    handles = [plt.Line2D([], [], color=PELVIS[o].color, linewidth=5, label=PELVIS[o].words) for o in ORGANS]
    figure.legend(handles=handles, loc="lower center", ncol=4, fontsize=8, frameon=False)
    figure.subplots_adjust(0.0, 0.06 if len(rows) > 1 else 0.12, 1.0, 1.0, 0.01, 0.01)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _box(union: np.ndarray, ct: Volume) -> tuple[slice, slice]:
    """Rows and columns around the organs, 45 mm wider."""
    margin = int(45.0 / float(ct.spacing_mm[0]))
    rows, columns = (np.flatnonzero(union.any(axes)) for axes in ((0, 2), (0, 1)))
    if not rows.size:
        return slice(None), slice(None)
    return tuple(slice(max(int(n.min()) - margin, 0), int(n.max()) + margin) for n in (rows, columns))  # type: ignore[return-value]


def page(bundle: Bundle, numbers: dict[str, Any] | None) -> str:
    """The page in Markdown."""
    made = bundle.metadata["manabi"]["training"]
    counts, metrics = made["patients"], bundle.metrics
    lines = [
        f"# PelvicSeg: the network `{bundle.name}` {bundle.version}",
        "",
        "Written by `Testing/tools/pelvis_page.py` from the model's card. **Every patient that was learned from or",
        f"scored is simulated** (`manabi/phantoms/pelvis.py`): {counts['training']} to train, {counts['validation']}",
        f"to validate, {counts['test']} to test, split by patient; one training, seed {made['settings']['seed']}, on a",
        "processor. So nothing here says how good it is on patients. The source's experiment (5 folds of 20 patients;",
        "one slice, four, blocks) was not run yet.",
        "",
        f"## {counts['test']} simulated test patients, mean and 95 % interval over patients",
        "",
        "On the images' own grids, against the phantom's exact truth.",
        "",
        f"| organ | {' | '.join(COLUMNS.values())} |",
        f"|---|{'---|' * len(COLUMNS)}",
    ]
    for organ in ORGANS:
        cells = [_cell(metrics.get(f"{organ}_{name}")) for name in COLUMNS]
        lines.append(f"| {PELVIS[organ].words} | {' | '.join(cells)} |")
    lines += ["", "Dice that others published, **on patients**, which is another thing:", "",
              f"| | {' | '.join(PELVIS[o].words for o in ORGANS)} |", f"|---|{'---|' * len(ORGANS)}"]  # fmt: skip
    lines += [f"| {name} | {' | '.join(values[o] for o in ORGANS)} |" for name, values in PUBLISHED.items()]
    lines += ["", "![Two simulated patients](images/pelvis_network.png)", ""]
    lines.append("Filled: found; outlined: the truth. Level 40, width 400; the patient's right is on the left.")
    if numbers:
        lines += _real_lines(numbers)
    lines += ["", *_memory(), ""]
    return "\n".join(lines)


def _cell(score: dict[str, Any] | None) -> str:
    if score is None:
        return "–"
    return f"{score['mean']} ({score['ci95'][0]} to {score['ci95'][1]})"


def _real_lines(numbers: dict[str, Any]) -> list[str]:
    volumes = ", ".join(f"{PELVIS[name].words} {value:g} mL" for name, value in numbers["volumes_ml"].items())
    return [
        "",
        "## One real CT",
        "",
        "The example CT of TotalSegmentator (Apache-2.0), 3 mm, with metal at the left hip. Its labels are that",
        "program's, not a person's; they know neither rectum nor vesicles, and the lowest slice cuts the prostate.",
        "",
        f"- Dice with those labels: bladder {numbers['bladder_dice']}, prostate {numbers['prostate_dice']}.",
        f"- Rectum: {100 * numbers['rectum_within_colon_label']:.0f} % of what was found lies in the colon's label;",
        f"  {100 * numbers['colon_label_behind_joints_covered']:.0f} % of that label behind the hip joints was found.",
        f"- Volumes: {volumes}.",
        *(f"- Said: {text}" for text in numbers["warnings"]),
        "",
        "![The real CT](images/pelvis_real.png)",
        "",
        "Filled: found; outlined: the labels of bladder and prostate, and as rectum the colon's behind the joints.",
    ]


def _memory() -> list[str]:
    """What a block of 128³ takes to train."""
    path = RESULTS / "pelvis_memory.json"
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        "## Memory of a training step on a block of 128³",
        "",
        "The source needed about 18 GB. `Testing/tools/pelvis_memory.py`, one block, cross-entropy and Dice, AdamW;",
        f"{found['device']}, most memory of the process less what it held before.",
        "",
        "| channels per level | weights | precision | GB | GB, `checkpointing` |",
        "|---|---|---|---|---|",
    ]
    pairs: dict[tuple[str, int, str], dict[bool, float]] = {}
    for row in found["rows"]:
        key = ("-".join(map(str, row["filters"])), row["weights"], row["precision"])
        pairs.setdefault(key, {})[row["checkpointing"]] = row["peak_gb"]
    lines += [f"| {a} | {b:,} | {c} | {gb[False]} | {gb[True]} |" for (a, b, c), gb in pairs.items()]
    return lines


def main(where: Path) -> None:
    """Segment, draw, and write the page."""
    bundle = Bundle(where)
    picture(simulated(bundle), RESULTS / "images" / "pelvis_network.png")
    seen = real(bundle)
    if seen is not None:
        picture([seen[0]], RESULTS / "images" / "pelvis_real.png")
        with atomic_file(RESULTS / "pelvis_real.json", overwrite=True) as aside:
            aside.write_text(json.dumps(seen[1], indent=1) + "\n", encoding="utf-8")
    with atomic_file(RESULTS / "pelvis.md", overwrite=True) as aside:
        aside.write_text(page(bundle, None if seen is None else seen[1]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "manabi" / "bundles" / "pelvis-default")
