"""The NoduleSynth experiment as Markdown: ``nodule.md``, all of it from ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from Training.experiments import nodule_figures, nodule_sections, page
from Training.experiments.nodule_bench import PARTS
from Training.experiments.nodule_claims import RULES, claims
from Training.experiments.slices_markdown import table

PAGE = "nodule.md"
TITLES = {
    "arms": "Every loss and both baselines", "finetune": "After fine-tuning, leave-one-case-out",
    "real": "Real films",
}  # fmt: skip
SOURCE = (
    "The source (Hanaoka et al., IJCARS 2024;19:1991) reports sensitivities of 0.688 with and 0.507 without "
    "fine-tuning at 0.2 false positives per image on the films of the JSRT, above RetinaNet and SSD. Its equations of "
    "NAC and NECMOS, its network's size and its schedule were not known to us; the films here are simulated, so that "
    "numbers beside the source's say how the arms compare, not how well the source did."
)
Results = Mapping[str, Any]


def write_page(results: Results, folder: Path) -> Path:
    """Write ``nodule.md`` and the charts that follow from results.json into ``folder``."""
    return page.write_page(results, folder, PAGE, nodule_figures.draw_all, text)


def text(results: Results, pictures: set[str]) -> str:
    """The page.

    Args:
        results: of results.json.
        pictures: file names of the pictures that are there; others are left out.
    """
    writers = {"arms": nodule_sections.arms, "finetune": nodule_sections.finetune, "real": nodule_sections.real}
    lines = page.parts(results, TITLES, writers, nodule_sections.made_with)
    return page.shown([*_head(results), *_claims(results), *lines], pictures)


def _head(results: Results) -> list[str]:
    run = [part for part in PARTS if part in results]
    quick = [TITLES[part] for part in run if results[part]["about"]["size"] == "quick"]
    missing = [TITLES[part] for part in PARTS if part not in results]
    lines = [
        "# NoduleSynth: the source's figure 3 and the method's aims",
        "",
        "Written by `python -m Training experiment nodule`. **Films and nodules are simulated** unless a section says "
        "real films. The networks are those trained here, not the shipped bundle, unless a row says *bundle*. "
        f"{SOURCE}",
        "",
    ]
    if missing:
        lines += [f"Not run: {'; '.join(missing)}.", ""]
    if quick:
        lines += [
            f"**Quick size** ({'; '.join(quick)}): narrow networks, a few hundred pairs and steps, one training of "
            "each arm. It shows that the experiment runs and what large effects look like; which loss is better after "
            "the source's training is for `--size full`, on a GPU.",
            "",
        ]
    return lines


def _claims(results: Results) -> list[str]:
    rows = claims(results)
    if not rows:
        return []
    return [
        "## The aims, and what was reached", "", RULES, "", *table(("aim", "films", "difference", "verdict"), rows),
    ]  # fmt: skip
