"""The model card of a bundle of NoduleSynth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from manabi.nodule.place import HIDDEN
from Training.froc import LEAST_IOU, slack_of

if TYPE_CHECKING:
    from Training.nodule import Plan
    from Training.nodule_bundle import Measured
    from Training.run import FitResult

GRADES = {1: "1 extremely subtle", 2: "2 very subtle", 3: "3 subtle", 4: "4 relatively obvious", 5: "5 obvious"}
"""As the films of the JSRT are graded; how simulated nodules are graded is ours (:mod:`manabi.nodule.subtlety`)."""
OTHER = "other domain"


def card(
    plan: Plan, result: FitResult, measured: Measured, trained_on: str, counts: Mapping[str, Any], matrix: int
) -> str:  # fmt: skip
    """The card as Markdown; ``matrix`` is the films' side in pixels."""
    recipe = plan.recipe
    lines = [
        f"# {recipe.name} {recipe.version}",
        "",
        "Marks places on a frontal chest radiograph that look like a lung nodule or mass. It learned from films",
        "into which nodules were simulated, and from no annotated film. For research use; not for diagnosis, and not",
        "to rule a nodule out.",
        "",
        "## Training",
        "",
        f"- Data: {trained_on}; {_count(counts['validation'])} to validate, {_count(counts['test'])} to test, split by "
        "chest.",
        *_training(plan, result.best_epoch, matrix),
        "- Command: `python -m Training nodule`; settings in `configs/metadata.json` under `manabi.training`.",
        "",
        *_points(measured, recipe.limit_to_lungs),
        *_scores(measured),
        "## Limits",
        "",
        *_limits(measured),
        "",
    ]
    return "\n".join(lines)


def _training(plan: Plan, best_epoch: int, matrix: int) -> list[str]:
    """Network, loss and steps."""
    recipe, config, loss = plan.recipe, plan.config, plan.loss
    terms = ", ".join(f"{n} {getattr(loss, n):g}" for n in ("dice", "nac", "necmos", "bce") if getattr(loss, n))
    follows = "; NAC and NECMOS weigh as much as Dice has reached" if loss.follows else ""
    begun = f" Began with the weights of {_name(recipe.start)}." if recipe.start else ""
    crop = f", crops of {recipe.crop}" if recipe.crop else ""
    return [
        f"- U-Net {recipe.network_arguments()['filters']}, films of {matrix} × {matrix} pixels{crop}.",
        f"- Loss: {terms} (weights; our reading of the source's terms, see `Training/nodule_losses.py`){follows}.",
        f"- {config.epochs} epochs of {recipe.items_per_epoch} pairs, batch {config.batch_size}, {config.optimizer} at "
        f"{config.lr:g}, seed {config.seed}; best epoch {best_epoch}.{begun}",
    ]


def _name(start: str) -> str:
    """A bundle's name; of a folder only that it was one."""
    return "a bundle" if "/" in start or "\\" in start else start


def _count(found: Mapping[str, int]) -> str:
    return f"{found['pairs']} pairs of {found['chests']} chests"


def _points(measured: Measured, limited: bool) -> list[str]:
    """The table behind the slider."""
    rows = [
        f"| {p['false_positives']:g} | {p['threshold']:.4f} | {p['false_positives_tested']:.2f} | "
        f"{100 * p['sensitivity']:.1f}{_interval(p['ci95'])} |"
        for p in measured.points
    ]
    return [
        "## Operating points",
        "",
        "Thresholds were chosen on the validation films and measured on the test films; both kinds of films, with and",
        "without nodules, count. The method's slider is the first column. A score is about the share of marks of that",
        "score that are right on the validation films, half of which have nodules; on other films it is not.",
        *_lungs(limited),
        "",
        "| false positives per film | score from | found on test films | sensitivity, % (95 %) |",
        "|---|---|---|---|",
        *rows,
        "",
    ]


def _lungs(limited: bool) -> list[str]:
    """Which marks count."""
    if not limited:
        return ["Marks outside the lungs count; with the method's default, `limit_to_lungs`, there are fewer."]
    return [
        "Marks outside the lungs, as the method estimates them on each film, are left out, as the method does by",
        "default (`limit_to_lungs`); without it there are more false positives.",
    ]


def _scores(measured: Measured) -> list[str]:
    columns = {"test films": measured.test, **({OTHER: measured.other} if measured.other else {})}
    test = measured.test
    rows: list[tuple[str, list[str]]] = []
    for denominator, words in (("all", "per film"), ("diseased", "per film with a nodule")):
        for rate in test["sensitivity"][denominator]:
            cells = [_percent(found["sensitivity"][denominator][rate]) for found in columns.values()]
            rows.append((f"sensitivity, %, at {rate} false positives {words}", cells))
    rows.append(("area under the ROC curve, film with or without", [_value(f["image_auc"]) for f in columns.values()]))
    rows.append(("NODE21 score", [_plain(f["node21"]) for f in columns.values()]))
    for group, names in (("place", dict(enumerate(HIDDEN))), ("subtlety", GRADES)):
        for key, name in names.items():
            cells = [_percent(found[group].get(str(key))) for found in columns.values()]
            if any(cells):
                rows.append((f"sensitivity, %, at 0.2: {name.replace('_', ' ')}", cells))
    counted = "; ".join(f"{name}: {f['films']} films, {f['nodules']} nodules" for name, f in columns.items())
    return [
        "## Scores (95 % interval, chests resampled)",
        "",
        f"{counted}. A mark is a hit within the nodule's circle or {slack_of(measured.matrix):g} pixels of the "
        f"network's grid beyond it; for the NODE21 score, boxes with IoU above {LEAST_IOU:g}.",
        *(["The other domain has other vessels, beams, grids and processing, and true three-dimensional nodules",
           "without the flow; nothing of it was trained on."] if measured.other else []),
        "",
        "| score | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
        *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows),
        "",
    ]  # fmt: skip


def _percent(value: Mapping[str, Any] | None) -> str:
    if value is None or value.get("mean") is None:
        return ""
    nodules = f", n = {value['nodules']}" if "nodules" in value else ""
    return f"{100 * value['mean']:.1f}{_interval(value['ci95'])}{nodules}"


def _value(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return ""
    ends = value["ci95"]
    return f"{value['mean']:.3f}" + ("" if None in ends else f" ({ends[0]:.3f} to {ends[1]:.3f})")


def _plain(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.3f}"


def _interval(ends: Sequence[float | None] | None) -> str:
    if ends is None or ends[0] is None or ends[1] is None:
        return ""
    return f" ({100 * ends[0]:.1f} to {100 * ends[1]:.1f})"


def _limits(measured: Measured) -> list[str]:
    films = "films into which nodules were simulated" if measured.test else "films"
    return [
        f"- All scores are of {films}: they say nothing certain about patients with real nodules.",
        "- Nodules and masses of 5 to 35 mm. Films of adults, frontal and upright; lateral and lying films, children,",
        "  devices, large effusions and other disease were not seen in training and give false marks.",
        "- A film has no depth: nipples, vessels end-on, rib ends and calcified granulomas look like nodules.",
        "- An empty result does not mean that there is no nodule.",
    ]
