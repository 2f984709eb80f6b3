"""The BrainSeg experiment as Markdown: ``brain.md``, all of it from ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from Training.experiments import brain_figures, brain_sections, page
from Training.experiments.brain_bench import PARTS
from Training.experiments.brain_claims import claims
from Training.experiments.slices_markdown import table

PAGE = "brain.md"
TITLES = {
    "losses": "Losses", "skips": "Skip connections", "labels": "Labels rebuilt from some faulty slices",
    "contrast": "A synthetic angiogram beside heavy T2",
}  # fmt: skip
Results = Mapping[str, Any]


def write_page(results: Results, folder: Path) -> Path:
    """Write ``brain.md`` and the charts that follow from results.json into ``folder``.

    The pictures of heads (:mod:`Training.experiments.brain_examples`) need the heads and are drawn by the experiment
    itself; the page shows those that lie in ``folder/images``.
    """
    return page.write_page(results, folder, PAGE, brain_figures.draw_all, text)


def text(results: Results, pictures: set[str]) -> str:
    """The page.

    Args:
        results: of results.json.
        pictures: file names of the pictures that are there.
    """
    lines = [*_head(results), *_claims(results)]
    writers = {
        "losses": brain_sections.losses, "skips": brain_sections.skips, "labels": brain_sections.labels,
        "contrast": brain_sections.contrast,
    }  # fmt: skip
    for part, write in writers.items():
        if part in results:
            lines += [f"## {TITLES[part]}", "", _made_with(results[part]["about"]), "", *write(results[part], pictures)]
    return "\n".join(lines).rstrip() + "\n"


# --- what was run -----------------------------------------------------------------------------------------------------


def _head(results: Results) -> list[str]:
    run = [part for part in PARTS if part in results]
    quick = sorted({part for part in run if results[part]["about"]["size"] == "quick"})
    lines = [
        "# BrainSeg: the sources' experiments on simulated heads",
        "",
        "Written by `python -m Training experiment brain`. Every image is of a simulated head "
        "(`manabi/phantoms/brain.py`); nothing here was measured on people, and nothing here says how good BrainSeg's "
        "own bundle is.",
        "",
    ]
    missing = [TITLES[part][0].lower() + TITLES[part][1:] for part in PARTS if part not in results]
    if missing:
        lines += [f"Not run: {', '.join(missing)}.", ""]
    if quick:
        lines += [
            f"**Quick size** ({', '.join(quick)}): few coarse heads, small networks, few images. It shows that the "
            "experiment runs and what large effects look like; it cannot settle a claim. The study's size is "
            "`--size full`, on a GPU.",
            "",
        ]
    return lines


def _made_with(about: Results) -> str:
    settings, training, recipe, heads = about["experiment"], about["training"], about["recipe"], about["heads"]
    grid = about["grid"]
    seeds = settings["seeds"]
    shape = "×".join(str(n) for n in grid["shape"])
    spacing = " × ".join(f"{v:g}" for v in grid["spacing_mm"])
    return (
        f"`--size {about['size']} --set experiment.parts={settings['parts']}`. Heads `{settings['data']}` "
        f"(`{settings['choices']}`; {shape} voxels of {spacing} mm in one of them), {heads['training']} to train and "
        f"{heads['test']} to test, split by patient with seed {settings['split_seed']}. "
        f"Trainings per arm: {seeds} (seeds from 0), {training['epochs']} epochs of {recipe['items_per_epoch']} crops "
        f"of {recipe['crop']}×{recipe['crop']} pixels, batches of {training['batch_size']}, filters "
        f"{recipe['filters']}, {training['optimizer']} at {training['lr']:g}; the last epoch is kept. "
        f"Device {about['device']}, {about['versions']['platform']}, torch "
        f"{about['versions'].get('torch', '?')}, {training['precision']}; all arms took "
        f"{about['duration_s'] / 60:.1f} minutes. Data SHA-256 `{about['data_sha256'][:16]}`. "
        f"Values are means over heads (trainings averaged first) with 95 % intervals, heads resampled "
        f"(n = {heads['test']} unless said otherwise)."
    )


def _claims(results: Results) -> list[str]:
    rows = claims(results)
    if not rows:
        return []
    return [
        "## What the sources claim, and what was found here",
        "",
        "Reproduced means: in every comparison of the row, in the claimed direction and with p < 0.05 after Holm's "
        "adjustment (losses: first both by the source's unadjusted ranking and by the adjusted one; levels: reached in "
        "every structure). *Only in part*: in some. The sources measured on patients.",
        "",
        *table(("claim", "source", "here", "verdict"), rows),
    ]
