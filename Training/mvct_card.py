"""The model card of a bundle of MVCTConvert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from Training.mvct_evaluate import INPUT, MEANINGS, NETWORK, TRUTH
from Training.mvct_evaluate_doubt import MEANINGS as DOUBT_MEANINGS
from Training.mvct_pair import pair_arguments

if TYPE_CHECKING:
    from Training.mvct import Plan
    from Training.mvct_bundle import Measured
    from Training.run import FitResult

TITLES = {INPUT: "input", NETWORK: "this model", TRUTH: "true kVCT"}
LESION_SCORES = {
    "recovered": "share of the lesion's contrast that is kept",
    "recovered_input": "the same in the input",
    "invented_hu": "contrast at the place without the lesion, HU",
    "elsewhere_hu": "change far from the lesion, HU",
    "elsewhere_input_hu": "the same in the input",
}


def card(plan: Plan, result: FitResult, measured: Measured, source: str, counts: Mapping[str, int]) -> str:
    """The card as Markdown."""
    recipe, config = plan.recipe, plan.config
    words = {"mvct": "megavoltage CT", "cbct": "cone-beam CT"}[recipe.kind]
    how = {
        "cycle": "a cycle of two converters",
        "cut": "contrastive learning",
        "oracle": "supervision by pairs",
        "pairs": "supervision by pairs, both ways",
    }
    lines = [
        f"# {recipe.name} {recipe.version}",
        "",
        f"Converts {words} of the head and neck towards kilovoltage CT, so that it can be contoured. For research use.",
        "Look at the original beside it; do not calculate dose on it.",
        "",
        "## Training",
        "",
        f"- Data: {source}; {counts['validation']} validation and {counts['test']} test patients, split by patient.",
        f"- Learned by {how[recipe.method]}; network {pair_arguments(plan)['forward']}.",
        f"- Pixels of {recipe.pixel_mm:g} mm, {plan.learning.context} slices at a time"
        + (f", {recipe.max_slices} input slices in all." if recipe.max_slices else "."),
        f"- {config.epochs} epochs, batch {config.batch_size}, {config.optimizer}, seed {config.seed}; "
        f"best epoch {result.best_epoch}."
        + (f" Began with the weights of {_name(recipe.start)}." if recipe.start else ""),
        "- Command: `python -m Training mvct`; settings in `configs/metadata.json` under `manabi.training`.",
        "",
        *_scores(plan, measured),
        *_lesions(measured.lesions, recipe.kind),
        *_doubt(measured.doubt),
        "## Limits",
        "",
        *_limits(plan, measured),
        "",
    ]
    return "\n".join(lines)


def _name(start: str) -> str:
    """A bundle's name; of a folder only that it was one."""
    return "a bundle" if "/" in start or "\\" in start else start


def _scored_part(plan: Plan, measured: Measured) -> list[str]:
    """Which slices were scored, where not all were."""
    count = plan.recipe.test_slices
    return [f"Of each patient the middle {count} slices, at most.", ""] if measured.paired and count else []


def _scores(plan: Plan, measured: Measured) -> list[str]:
    if not measured.scores:
        return ["## Scores", "", "There was no test patient.", ""]
    names = list(measured.scores)
    against = "against the true kVCT" if measured.paired else "without a true kVCT"
    lines = [
        f"## Scores on {measured.patients} test patients, {against} (mean, 95 % interval over patients)",
        "",
        *_scored_part(plan, measured),
        "| score | " + " | ".join(TITLES.get(name, name) for name in names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for key, meaning in MEANINGS.items():
        cells = [_cell(measured.scores[name].get(key)) for name in names]
        if any(cells):
            lines.append(f"| {meaning} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _cell(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return ""
    return f"{score['mean']:.4g}{_interval(score['ci95'])}"


def _interval(ends: Sequence[float | None]) -> str:
    low, high = ends
    return "" if low is None or high is None else f" ({low:.4g} to {high:.4g})"


def _lesions(found: Mapping[str, Any], kind: str) -> list[str]:
    """The table of inserted and deleted lesions."""
    if not found or not any(part["tested"] for part in found.values()):
        return []
    from manabi.phantoms.ct.scanner import PRESETS
    from Training.mvct_bundle import INVENTED_HU, LOST

    names = list(found)
    lines = [
        "## Inserted and deleted lesions",
        "",
        "Balls of 8, 14 and 20 mm, 50 HU brighter or darker than soft tissue, in simulated test patients, all scanned",
        f"by one scanner with a noise of {PRESETS[kind].noise_hu:g} HU in 20 cm of water; noisier scanners show less.",
        "",
        "| | " + " | ".join(TITLES.get(name, name) for name in names) + " |",
        "|---" * (len(names) + 1) + "|",
        "| tested | " + " | ".join(str(found[name]["tested"]) for name in names) + " |",
        f"| lost (less than {LOST:.0%} of the contrast) | " + _row(found, "lost"),
        f"| invented (more than {INVENTED_HU:g} HU where none is) | " + _row(found, "invented"),
    ]
    for key, meaning in LESION_SCORES.items():
        cells = [_cell(found[name]["scores"].get(key)) for name in names]
        lines.append(f"| {meaning} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _doubt(found: Mapping[str, Any]) -> list[str]:
    """How often the error lies within the stated uncertainty."""
    if not found:
        return []
    rows = [f"| {meaning} | {_cell(found.get(key))} |" for key, meaning in DOUBT_MEANINGS.items() if key in found]
    head = "Of the same test patients; the spread is over mirrored copies, its factor from the validation patients."
    return ["## Uncertainty", "", head, "", "| | this model |", "|---|---|", *rows, ""]


def _row(found: Mapping[str, Any], key: str) -> str:
    return " | ".join(str(part[key]) for part in found.values()) + " |"


def _limits(plan: Plan, measured: Measured) -> list[str]:
    lines = [
        "- Scores on simulated scans say nothing certain about patients.",
        "- Head and neck only. Bone and metal above the network's window keep the HU of the input.",
        "- The HU of the input are nearer to electron density than those of the converted image: calculate dose on the",
        "  input with its own table.",
    ]
    if not measured.paired:
        lines.append("- There was no patient with both scans on one grid: errors against the truth are not known.")
    if "ood" not in measured.facts:
        lines.append("- Fewer than three input scans: foreign inputs cannot be told from usual ones.")
    if "uncertainty_calibration" not in measured.facts:
        lines.append("- The uncertainty is not calibrated: no validation patient has both scans on one grid.")
    if plan.recipe.method not in ("cycle", "pairs"):
        lines.append("- Trained without a way back: there is no cycle residual.")
    return lines
