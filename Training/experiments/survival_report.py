"""The survival experiment as Markdown: ``survival.md``, all of it from ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manabi.io.atomic import atomic_file
from Training.experiments import survival_delta_report, survival_figures
from Training.experiments.slices_markdown import cell, number, table
from Training.experiments.survival_holdout import RULES
from Training.experiments.survival_text import picture, triple

PAGE = "survival.md"
Results = Mapping[str, Any]


def write_page(results: Results, folder: Path) -> Path:
    """Write ``survival.md`` and its charts into ``folder``."""
    folder = Path(folder)
    survival_figures.draw_all(results, folder / "images")
    with atomic_file(folder / PAGE, overwrite=True) as aside:
        aside.write_text(text(results), encoding="utf-8")
    return folder / PAGE


def text(results: Results) -> str:
    """The page."""
    writers = {
        "coverage": _coverage, "concordance": _concordance, "null": _null, "volume": _volume, "source": _source,
        "batch": _batch, "delta": survival_delta_report.section,
    }  # fmt: skip
    lines = _head(results)
    for part, write in writers.items():
        if part in results:
            lines += write(results[part])
    return "\n".join(lines).rstrip() + "\n"


def _head(results: Results) -> list[str]:
    about = results["about"]
    chosen = about["experiment"]
    learned = (
        f"{about['features']} features per tumour were extracted from {chosen['phantoms']} rendered phantoms, and "
        "cohorts "
        "drawn with features of the same correlations and the same dependence on texture, volume and centre."
        if chosen["phantoms"]
        else f"The {about['features']} features are made up, not extracted from images."
    )
    lines = [
        "# RadiomicsSurvival: what is found where the truth is known", "",
        f"Written by `python -m Training experiment survival --size {about['size']}`. Every patient is simulated "
        "(`manabi/phantoms/tumour.py`); nothing here was measured on people.", "",
        f"{learned} Cohorts of {chosen['patients']} patients, {chosen['cohorts']} of them for the quick statistics and "
        f"{chosen['nested']} for nested cross-validation; seed {chosen['seed']}. Ranges in brackets are 95 % "
        "intervals of "
        "the rate or the mean over cohorts.", "",
    ]  # fmt: skip
    if about["size"] == "quick":
        lines += ["**Quick size**: few cohorts, so rates are known to some percent only.", ""]
    if chosen["nested_features"]:
        lines += [f"Cross-validation sees {chosen['nested_features']} of the features.", ""]
    return lines


def _coverage(part: Results) -> list[str]:
    header = ["true HR per SD", "texture known: covered, %", "bias of log HR", "found, %",
              "alone, others left out: covered, %", "best feature instead: covered, %", "bias of log HR"]  # fmt: skip
    rows = [
        [hr, cell(row["known"]["covered"]), triple(row["known"]["bias"]), cell(row["known"]["found"]),
         cell(row["alone"]["covered"]), cell(row["measured"]["covered"]), triple(row["measured"]["bias"])]
        for hr, row in part["ratios"].items()
    ]  # fmt: skip
    return [
        "## Do 95 % intervals hold the true effect?", "",
        f"{part['cohorts']} cohorts of {part['patients']} patients. Cox regression on the texture, volume, age and "
        "sex; "
        "on the texture alone; and on the feature that tells most about the texture "
        f"(`{part['measured']}`, correlation {part['reliability']:.2f}) in its place.", "",
        *table(header, rows),
        "An interval of a feature is one of that feature's effect, not of the biology's: what is measured with error "
        "has "
        "a smaller effect, and the interval is sure of the wrong number.", "",
        *picture("survival_coverage.png", "Coverage by hazard ratio"),
    ]  # fmt: skip


def _concordance(part: Results) -> list[str]:
    header = ["HR per SD", "computed before", "formula", "Monte Carlo", "true hazard, censored", "median-split HR",
              "achieved by nested CV", "95 % of cohorts"]  # fmt: skip
    rows = []
    for hr, row in part["ratios"].items():
        low, high = row["achieved_spread"]
        rows.append([hr, number(row["tabled"], 3), number(row["formula"], 4), triple(row["monte_carlo"]),
                     triple(row["censored"]), triple(row["split_ratio"], 2), triple(row["achieved"]),
                     f"{low:.2f} to {high:.2f}"])  # fmt: skip
    return [
        "## How much concordance is there to be had, and how much is achieved?", "",
        "Only the texture tells survival. The oracle knows it exactly; nested cross-validation has the features "
        f"({part['nested']} cohorts of {part['patients']} patients).", "",
        *table(header, rows),
        *picture("survival_concordance.png", "Oracle and achieved concordance"),
    ]  # fmt: skip


def _null(part: Results) -> list[str]:
    rows = [
        [words, triple(part["c"][key]) if key in part["c"] else "–", cell(part["log_rank"][key]),
         cell(part["permutation"][key]) if key in part["permutation"] else "–"]
        for key, words in (("named", RULES["named"]), ("best", RULES["best"]), ("peeped", RULES["peeped"]))
    ]  # fmt: skip
    lines = [
        "## Where there is nothing to find", "",
        f"Nothing tells survival. {part['cohorts']} cohorts, {part['training']} patients to train, "
        f"{part['validation']} to validate; both tests at 5 %.", "",
        *table(["feature tested in the validation set", "C", "log-rank positive, %", "permutation positive, %"], rows),
    ]  # fmt: skip
    if "cv" in part:
        c = part["cv"]["c"]
        words = ", ".join(f"{block} {triple(value)}" for block, value in c.items())
        lines += [f"C of nested cross-validation, mean of {part['cv']['nested']} cohorts: {words}.", ""]
    return [*lines, *picture("survival_null.png", "False-positive rates")]


def _volume(part: Results) -> list[str]:
    rows = [
        [words, triple(part["volume_rho"][key], 2), cell(part["alone"][key]), cell(part["adjusted"][key])]
        for key, words in part["names"].items()
    ]
    lines = [
        "## Where only volume tells survival", "",
        f"Texture has no effect, but is correlated with volume (.3). {part['cohorts']} cohorts; Cox regression in the "
        "validation set.", "",
        *table(["feature", "absolute rho with volume", "credited alone (p < .05), %", "beside log volume, %"], rows),
    ]  # fmt: skip
    if "cv" in part:
        cv = part["cv"]
        words = ", ".join(f"{block} {triple(value)}" for block, value in cv["c"].items())
        low, high = cv["added_spread"]
        lines += [
            f"Nested cross-validation, {cv['nested']} cohorts: C of {words}. Radiomics adds {triple(cv['added'])} to "
            f"volume (95 % of cohorts: {low:.3f} to {high:.3f}).", "",
        ]  # fmt: skip
    return lines


def _source(part: Results) -> list[str]:
    truths = part["truths"]
    rows = [[words, *(cell(row[key]) for row in truths.values())] for key, words in RULES.items()]
    rows.append(["the true hazard, were it known", *(cell(row["oracle"]) for row in truths.values())])
    nothing = truths["nothing"]
    low, middle, high = nothing["below_spread"]
    power = ", ".join(f"{100 * value:.0f} % for a hazard ratio of {hr}" for hr, value in part["power"].items())
    return [
        "## The source's p-value", "",
        "Sawayanagi et al. (2022, doi:10.3390/cancers14163859): 250 tumours to train, 108 to validate, 744 features; "
        f"the median split of LargeAreaEmphasis_LHH had p = {part['p']} in validation, five-year survival 70.7 against "
        f"50.3 %. Here {part['cohorts']} cohorts of that design, by what is true. Share of cohorts in which the "
        f"validation set gives p ≤ {part['p']}, in percent:", "",
        *table(["feature that is tested", *(f"truth: {name}" for name in truths)], rows),
        f"Of {part['features']} features {part['expected']:.0f} are expected below .05 where nothing is true "
        f"({part['expected_at_p']:.0f} at or below {part['p']}). In these cohorts {triple(nothing['below'], 1)} were "
        "at or "
        f"below {part['p']} in the validation set (median {middle:.0f}, 95 % of cohorts {low:.0f} to {high:.0f}: "
        "features "
        f"are correlated, so they come in crowds), and {triple(nothing['training_below'], 1)} below .05 in "
        "training.", "",
        f"LargeAreaEmphasis_LHH follows volume: rank correlation {triple(nothing['named_rho'], 2)}.", "",
        f"The difference that the source reports is a hazard ratio of {part['ratio']:.2f}; to find it with a power of "
        f"80 % at a median split takes {part['events_needed']:.0f} events. With the "
        f"{truths['texture']['events'][0]:.0f} events of {part['validation']} patients here the power is {power}. "
        "A texture of HR 1.5 per SD, known exactly, makes a median-split ratio of about 1.9.", "",
        *picture("survival_source.png", "How often the source's p-value comes"),
    ]  # fmt: skip


def _batch(part: Results) -> list[str]:
    keys = [f"{how}, {where}" for where in ("all", "within centres") for how in ("as they are", "ComBat")]
    rows = [[name, *(triple(row[key]) for key in keys)] for name, row in part["truths"].items()]
    return [
        "## When centres differ in scanner and in survival", "",
        "Four centres; where the centre tells survival, the last has three times the hazard of the first. C of "
        "radiomics "
        f"in nested cross-validation, {part['nested']} cohorts of {part['patients']} patients, ComBat fitted on "
        "training "
        "folds.", "",
        *table(["what tells survival", *keys], rows),
        "C over all patients counts pairs from different centres, and there a feature that recognises the scanner is "
        "right; a new patient of the same centre gains nothing from it.", "",
        *picture("survival_batch.png", "Concordance with and without ComBat"),
    ]  # fmt: skip
