"""The MVCTConvert experiment as Markdown: ``mvct.md``, all of it from ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from Training.experiments import mvct_figures, mvct_sections, page
from Training.experiments.mvct_bench import PARTS
from Training.experiments.mvct_claims import RULES, claims
from Training.experiments.slices_markdown import table

PAGE = "mvct.md"
TITLES = {
    "amount": "Distortion against the number of slices", "quality": "Quality of every converter, megavoltage CT",
    "hallucination": "Lesions lost and invented", "gate": "The gate on corrupted and foreign inputs",
    "dose": "Dose and density: no harm", "cbct": "Quality of every converter, cone-beam CT",
}  # fmt: skip
Results = Mapping[str, Any]


def write_page(results: Results, folder: Path) -> Path:
    """Write ``mvct.md`` and the charts that follow from results.json into ``folder``.

    The pictures of patients (:mod:`Training.experiments.mvct_examples`) are drawn by the experiment itself; the page
    shows those that lie in ``folder/images``.
    """
    return page.write_page(results, folder, PAGE, mvct_figures.draw_all, text)


def text(results: Results, pictures: set[str]) -> str:
    """The page.

    Args:
        results: of results.json.
        pictures: file names of the pictures that are there; others are left out.
    """
    writers = {
        "amount": mvct_sections.amount, "quality": mvct_sections.quality, "hallucination": mvct_sections.hallucination,
        "gate": mvct_sections.gate, "dose": mvct_sections.dose, "cbct": mvct_sections.cbct,
    }  # fmt: skip
    lines = page.parts(results, TITLES, writers, lambda _, about: made_with(about))
    return page.shown([*_head(results), *_claims(results), *lines], pictures)


# --- what was run -----------------------------------------------------------------------------------------------------


def _head(results: Results) -> list[str]:
    run = [part for part in PARTS if part in results]
    quick = [part for part in run if results[part]["about"]["size"] == "quick"]
    missing = [TITLES[part] for part in PARTS if part not in results]
    lines = [
        "# MVCTConvert: the source's experiment and the method's aims, on simulated patients",
        "",
        "Written by `python -m Training experiment mvct`. **Every scan is simulated**: megavoltage, cone-beam and "
        "planning CT are computed from simulated patients (`manabi/phantoms/head_neck.py`) or from planning CTs that "
        "are scanned again (`manabi/phantoms/ct`), as the lines below each heading say. Nothing here was measured on "
        "patients; the networks are those trained here, not the shipped bundle, unless a row says *shipped bundle*.",
        "",
    ]
    if missing:
        lines += [f"Not run: {'; '.join(missing)}.", ""]
    if quick:
        lines += [
            f"**Quick size** ({', '.join(quick)}): coarse and short patients, small networks, little training. It "
            "shows that the experiment runs and what large effects look like; what it finds of the networks' quality "
            "does not carry over to networks of the study's size, which is `--size full`, on a GPU.",
            "",
        ]
    return lines


def made_with(about: Results) -> str:
    """What a part was made with, in one paragraph."""
    settings, training, recipe, patients = about["experiment"], about["training"], about["recipe"], about["patients"]
    scan = "image-domain noise and blur" if settings["fast"] else "projection, noise and filtered back-projection"
    return (
        f"`--size {about['size']} --set experiment.parts={settings['parts']}`. Patients `{settings['data']}`, "
        f"{patients['training']} to train, {patients['validation']} to validate, {patients['test']} to test, split by "
        f"patient with seed {settings['split_seed']}; scans by {scan}; pixels of {settings['pixel_mm']:g} mm, slices "
        f"of {settings['slice_mm']:g} mm over {settings['length_mm']:g} mm. Half of the training patients give source "
        "scans, the other half kVCT; the supervised oracle sees both scans of all. Steps: "
        f"{settings['steps']:,} in the first part, {settings['long_steps']:,} for the networks of all others, batches "
        f"of {training['batch_size']} crops of {recipe['crop']}×{recipe['crop']} pixels, filters {recipe['filters']}, "
        f"{recipe['blocks']} blocks, {training['optimizer']} at {training['lr']:g}; the last step is kept. Device "
        f"{about['device']}, {about['versions']['platform']}, torch {about['versions'].get('torch', '?')}, "
        f"{training['precision']}; this call took {about['duration_s'] / 60:.1f} minutes, what was kept from earlier "
        f"ones not counted. Data SHA-256 `{about['data_sha256'][:16]}`. Values are means over test patients "
        f"(n = {patients['test']} unless said otherwise; trainings averaged first) with 95 % intervals, patients "
        "resampled; counts have Wilson's intervals."
    )


def _claims(results: Results) -> list[str]:
    rows = claims(results)
    if not rows:
        return []
    return [
        "## The aims, and what was reached", "", RULES, "",
        *table(("aim", "converter", "found here", "verdict"), rows),
    ]  # fmt: skip
