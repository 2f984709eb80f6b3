#!/usr/bin/env python3
"""What giving back faint detail costs: ``Testing/tools/mvct_keep_detail.py [--cache DIR] [--patients N]``.

Simulated patients that ``mvct-default`` never saw (validation patients of the quick experiment; none of its test
patients) get balls of 8, 14 and 20 mm, 50 HU brighter and darker, and are scanned with and without by a simulated
scanner each. For every ``keep_detail``: contrast to noise of muscle and fat, error and noise without lesions, and the
share of the lesions' contrast that is kept. Writes ``docs/results/mvct_detail.json``, ``mvct_detail.md`` and the curve
``docs/images/mvct_detail.png``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.mvct.baselines import mapped
from manabi.mvct.convert import Converter, applied
from manabi.mvct.detail import COARSE_MM, faint_detail
from manabi.mvct.metrics import cnr, tissue_masks, tissue_stats
from manabi.mvct.pipeline import Model
from manabi.mvct.prepare import crop_to_body, fading, prepare
from manabi.mvct.tissue_map import body_mask
from manabi.phantoms.ct.convert import simulate
from manabi.phantoms.ct.scanner import sample_scanner
from manabi.volume import Volume
from Training.config import read_sections
from Training.experiments import mvct
from Training.experiments.mvct_bench import VALIDATION, Plan, View, pairs_of, straight
from Training.experiments.mvct_figures import Panel, Series, lines
from Training.experiments.mvct_hallucination import placed, places
from Training.experiments.mvct_networks import bundle_model
from Training.experiments.mvct_numbers import value_of
from Training.mvct_bundle import LOST
from Training.mvct_evaluate_detail import noise_power
from Training.mvct_evaluate_images import mae
from Training.mvct_evaluate_lesions import with_lesion
from Training.mvct_truth import kvct_tissues

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
BUNDLE = "mvct-default"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
FINE = (2.5, 4.0)
SIZES, CONTRASTS = (20.0, 14.0, 8.0), (-50.0, 50.0)
PLACES = 2
SEED = 7
"""Of scanners, noise and places."""
Row = dict[str, Any]


def measure(view: View, number: int, model: Model, context: Context) -> list[Row]:
    """A row per (sigma, share): CNR, error and noise of one patient, and what is kept of each lesion."""
    rng = np.random.default_rng([SEED, number])
    kvct = Volume(view.target, view.pair.target.reoriented().ijk_to_ras, "CT", "HU", "kvct")
    scanner = sample_scanner("mvct", rng)
    spots = places(view, [size for size in SIZES for _ in range(PLACES)], rng)
    variants = [(fine, share) for fine in FINE for share in SHARES if share or fine == FINE[0]]
    base = _variants(simulate(kvct, seed=number, scanner=scanner, context=context), model, variants, context)
    kept: dict[tuple[float, float], list[float]] = {one: [] for one in variants}
    for contrast in CONTRASTS:
        balls = [placed(kvct, spot, contrast) for spot in spots]
        changed = kvct
        for ball in balls:
            changed = with_lesion(changed, ball)
        after = _variants(simulate(changed, seed=number, scanner=scanner, context=context), model, variants, context)
        for one in variants:
            change = after[one] - base[one]
            kept[one] += [
                float(change[ball.core].mean()) / (contrast * float(ball.weight[ball.core].mean())) for ball in balls
            ]
    return [{"fine_mm": f, "share": s, **_alone(view, base[f, s]), "kept": kept[f, s]} for f, s in variants]


def _variants(
    scan: Volume, model: Model, variants: Sequence[tuple[float, float]], context: Context
) -> dict[tuple[float, float], np.ndarray]:
    """The converted scan with every share of detail given back, as the method does it; the network runs once."""
    work = prepare(scan, model.settings.pixel_mm)
    body = body_mask(work.hu, work.image.spacing_mm)
    crop = crop_to_body(body)
    if model.network is None:
        raise SystemExit(f"{BUNDLE} holds no network.")
    converter = Converter(model.network, model.settings, work, crop, context)
    converted, hu = converter.converted(), crop.of(work.hu)[crop.slices]
    other = mapped("polynomial", hu, np.ones_like(hu, bool), model.settings, model.facts)
    details = {fine: faint_detail(other, converted, work.image.spacing_mm, fine) for fine in FINE}
    fade = fading(body, work.image.spacing_mm)
    found = {}
    for fine, share in variants:
        correction = converter.correction(converted + np.float32(share) * details[fine])
        found[fine, share] = applied(work, crop.place(correction, body.shape), model.settings.source, fade)
    return found


def _alone(view: View, image: np.ndarray) -> dict[str, float]:
    """CNR of muscle and fat, error and noise of an image without lesions."""
    stats = tissue_stats(image, tissue_masks(view.tissues.labels, view.spacing), view.spacing)
    pixel = (float(view.spacing[0]), float(view.spacing[1]))
    return {
        "cnr": cnr(stats["muscle"], stats["fat"]),
        "mae_hu": mae(view.target, image, view.tissues.body),
        "noise_hu": noise_power(image, view.target, pixel).sd_hu,
    }


def summary(rows: Sequence[Sequence[Row]]) -> list[Row]:
    """Every (sigma, share) over patients, with 95 % intervals; lesions are averaged within a patient first."""
    out = []
    for cells in zip(*rows, strict=True):
        every = [value for cell in cells for value in cell["kept"]]
        out.append({
            "fine_mm": cells[0]["fine_mm"], "share": cells[0]["share"], "lesions": len(every),
            "lost": sum(value < LOST for value in every),
            "kept": value_of(np.array([np.mean(cell["kept"]) for cell in cells])),
            **{name: value_of(np.array([cell[name] for cell in cells])) for name in ("cnr", "mae_hu", "noise_hu")},
        })  # fmt: skip
    return out


def views_of(cache: Path, patients: int) -> list[View]:
    """The first validation patients of the quick experiment."""
    sections = read_sections(None, [*mvct.FULL, *mvct.QUICK], mvct.TYPES)
    plan = Plan(sections["experiment"], sections["recipe"], sections["training"], cache / "arms", cache)
    found = []
    for pair in pairs_of(plan, "mvct", VALIDATION)[:patients]:
        source, target = straight(pair.source), straight(pair.target)
        spacing = np.asarray(pair.target.reoriented().spacing_mm, float)
        found.append(View(pair, source, target, kvct_tissues(target, spacing), spacing))
    return found


def text(found: dict[str, Any]) -> str:
    """The page."""
    shown = (("kept", 2), ("cnr", 1), ("mae_hu", 1), ("noise_hu", 1))
    rows = [
        f"| {r['share']:g} | {r['fine_mm']:g} | {r['lost']} of {r['lesions']} | "
        + " | ".join(_cell(r[name], digits) for name, digits in shown)
        + " |"
        for r in found["rows"]
    ]
    return HEAD.format(**found, coarse=COARSE_MM, lost=LOST) + "\n".join(rows) + "\n" + TAIL


def _cell(value: Sequence[float], digits: int) -> str:
    mean, low, high = value[:3]
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


HEAD = """# MVCTConvert: what giving back faint detail costs

A network that is right on average draws faint small lesions fainter. `keep_detail` adds back a share of what the input,
mapped by the polynomial, shows in soft tissue and the converted image does not, between Gaussians of two sigmas (the
coarse one {coarse:g} mm). Written by `Testing/tools/mvct_keep_detail.py`: {patients} simulated patients that
`{bundle}` never saw (validation patients of `{data}`, pixels of 2 mm, slices of 4 mm), each scanned
by a simulated megavoltage scanner with random noise, blur and calibration (seed {seed}), on a processor.
Balls of 8, 14 and 20 mm, 50 HU brighter and darker; *lost* means less than {lost:g} of the true contrast. True
kilovoltage CT of the same patients: contrast to noise of muscle and fat {truth:.1f}. Means over patients with 95 %
intervals (bootstrap; of only {patients} patients, so they are rather too narrow).

| keep_detail | fine sigma, mm | lesions lost | contrast kept | CNR muscle-fat | MAE, HU | noise, HU |
|---|---|---|---|---|---|---|
"""
TAIL = """
![Contrast kept, contrast to noise and error against keep_detail](../images/mvct_detail.png)
"""


def draw(found: dict[str, Any]) -> None:
    """The curves."""
    panels = []
    for name, words in (("kept", "contrast of lesions kept"), ("cnr", "CNR muscle-fat"), ("mae_hu", "MAE, HU")):
        series = {}
        for fine in FINE:
            rows = [row for row in found["rows"] if row["fine_mm"] == fine or not row["share"]]
            values = [row[name] for row in rows]
            series[f"fine sigma {fine:g} mm"] = Series(
                [row["share"] for row in rows], [v[0] for v in values], [v[1:3] for v in values]
            )
        panels.append(Panel(words, "keep_detail", words, series, {share: f"{share:g}" for share in SHARES}))
    note = f"{found['patients']} patients, 95 % intervals over them."
    lines(panels, "Giving back faint detail", ROOT / "docs" / "images" / "mvct_detail.png", note, across=3)


def main() -> None:
    """Measure, or only draw and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "manabi-mvct-detail")
    parser.add_argument("--patients", type=int, default=4)
    parser.add_argument("--draw-only", action="store_true")
    given = parser.parse_args()
    if not given.draw_only:
        views, context = views_of(given.cache, given.patients), Context(device="cpu")
        model = bundle_model(BUNDLE, "phantoms:2031:64")
        rows = [measure(view, number, model, context) for number, view in enumerate(views)]
        truth = float(np.mean([_alone(view, view.target)["cnr"] for view in views]))
        about = {"patients": len(views), "bundle": BUNDLE, "data": "phantoms:2031:64", "seed": SEED, "truth": truth}
        (RESULTS / "mvct_detail.json").write_text(json.dumps({**about, "rows": summary(rows)}, indent=1) + "\n")
    found = json.loads((RESULTS / "mvct_detail.json").read_text(encoding="utf-8"))
    (RESULTS / "mvct_detail.md").write_text(text(found), encoding="utf-8")
    draw(found)


if __name__ == "__main__":
    main()
