"""The grade experiment as Markdown and a figure, from ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manabi.io.atomic import atomic_file
from Training.experiments.slices_markdown import table
from Training.experiments.survival_figures import Panel, dots
from Training.experiments.survival_text import picture, triple

PAGE, FIGURE = "grade.md", "grade.png"
WAYS = {
    "leaky": "selection on all 157, then leave-one-out",
    "leaky_independent": "that model on 67 new patients",
    "honest": "everything inside the folds",
    "independent": "that model on 67 new patients",
}
KINDS = {
    "rendered gliomas": "features with the correlations of those extracted from rendered gliomas",
    "less in common": "made-up features of the same number with less in common",
    "nothing to find": "the same, with grades shuffled",
}
SOURCE = {"leaky": 0.902, "independent": 0.747}
"""Mean AUC of leave-one-out and of the independent patients in the source."""
FOOTER = "Simulated studies, not patients. Bars: the middle 95 % of studies."
Results = Mapping[str, Any]


def write_page(results: Results, folder: Path) -> Path:
    """Write ``grade.md`` and its figure into ``folder``."""
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    panels = [
        Panel(name, {_label(key): [arm[key]["mean"][0], *arm[key]["spread"]] for key in WAYS}, SOURCE["independent"])
        for name, arm in results["arms"].items()
    ]
    dots(panels, "AUC of grade IV against III, by the way it is estimated", folder / "images" / FIGURE, FOOTER)
    with atomic_file(folder / PAGE, overwrite=True) as aside:
        aside.write_text(text(results), encoding="utf-8")
    return folder / PAGE


def _label(key: str) -> str:
    return {"leaky": "leaky, leave-one-out", "leaky_independent": "leaky, new patients",
            "honest": "honest, cross-validated", "independent": "honest, new patients"}[key]  # fmt: skip


def text(results: Results) -> str:
    """The page."""
    about, chosen = results["about"], results["about"]["experiment"]
    lines = [
        "# Glioma grade: the same patients, validated wrongly and rightly", "",
        f"Written by `python -m Training experiment grade --size {about['size']}`. Every patient is simulated; nothing "
        "here was measured on people.", "",
        "Nakamoto et al. (2019, doi:10.1038/s41598-019-55922-0) report a mean AUC of .902 in leave-one-out "
        "cross-validation of 157 patients (55 grade III, 102 grade IV) and .747 in 67 independent ones (22 and 45). "
        "We do "
        "not know where in their pipeline features were selected, and do not claim that it leaked; this is what a leak "
        "does to a study of that size. How strongly the simulated grades show in texture and enhancement, how many "
        "features are kept and how much they have in common was chosen while looking at these AUCs, so that the leak "
        "is about as large as the source's gap: an illustration, not a prediction.", "",
        f"{chosen['simulations']} simulated studies of each kind, seed {chosen['seed']}. Both pipelines keep the "
        f"{chosen['keep']} features with the smallest Wilcoxon-Mann-Whitney p and fit a lasso; the leaky one also "
        "tries twice as many. AUC: mean over "
        "studies with "
        "its 95 % interval, and the middle 95 % of studies.", "",
    ]  # fmt: skip
    if about["size"] == "quick":
        lines += ["**Quick size**: few studies; means are known to a few hundredths only.", ""]
    for name, arm in results["arms"].items():
        lines += _arm(name, arm)
    lines += [
        *picture(FIGURE, "AUC by way of estimating"),
        "The leak needs no ill will and shows in no table of the study itself: only new patients, or selection inside "
        "the folds, tell. How large it is depends on how many features vary independently of each other.", "",
    ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _arm(name: str, arm: Mapping[str, Any]) -> list[str]:
    rows = []
    for key, words in WAYS.items():
        low, high = arm[key]["spread"]
        rows.append([words, triple(arm[key]["mean"]), f"{low:.2f} to {high:.2f}"])
    words = KINDS[name]
    return [
        f"## {words[0].upper()}{words[1:]}", "",
        f"{arm['features']} features, {arm['simulations']} studies.", "",
        *table(["AUC from", "mean", "middle 95 % of studies"], rows),
        f"The leaky estimate is {triple(arm['leak'])} above what new patients give, the honest one "
        f"{triple(arm['optimism'])}. A gap of at least the source's .155 came in {100 * arm['gap_as_source']:.0f} % "
        "of the "
        "leaky studies.", "",
    ]  # fmt: skip
