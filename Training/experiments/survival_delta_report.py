"""The section of the survival experiment's page on changes during treatment, from ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from Training.experiments.slices_markdown import cell, number, table
from Training.experiments.survival_text import picture, triple

Results = Mapping[str, Any]
WAYS = {
    "best": "the best of 17 sets, each at its best penalty",
    "inside": "set and penalty chosen without the patient",
    "named": "one set named beforehand, penalty chosen without the patient",
}
"""How C came about, from what is reported to what holds."""


def section(part: Results) -> list[str]:
    """Lines of the section."""
    truths = part["truths"]
    header = ["what tells survival", *(f"C: {words}" for words in WAYS.values()), "C of the true hazard",
              "p < .05 of that best set, %", "sets with p < .05, of 17"]  # fmt: skip
    rows = [
        [name, *(triple(row[key]) for key in WAYS), triple(row["oracle"]), cell(row["best_p"]),
         triple(row["significant"], 1)]
        for name, row in truths.items()
    ]  # fmt: skip
    nothing = truths["nothing"]
    low, high = nothing["best_spread"]
    return [
        "## Changes during treatment: the best of 17 in 26 patients", "",
        "The source (oesophageal cancer, 26 patients, cone-beam CT in each of 5 weeks, elastic-net Cox, one patient "
        f"left out at a time) reports the best of 17 sets of delta features: C {part['source_c']} (.735 to .907), "
        f"log-rank p = .003, and four sets significant. Here {part['studies']} simulated studies of that size for each "
        f"truth, {part['features']} features, about {nothing['events'][0]:.0f} events, analysed by leave-one-out in "
        "three ways. How the source chose its penalties is not known to us; the first way is what its report looks "
        "like, not a claim about it.", "",
        *table(header, rows),
        f"Where nothing tells survival, the middle 95 % of studies report a best C between {low:.2f} and {high:.2f}, "
        f"and {cell(nothing['as_source'])} % one of at least the source's. What is chosen within the folds is not "
        "flattered by the choice. (Leave-one-out leans below one half: without a patient who died early the others "
        "look as if they lived longer.) A machine that drifts over the weeks changes features without any change in "
        "the patients; where it goes with survival, its drift predicts as a change of the tumour would, and no "
        "validation on the same machines can tell the two apart.", "",
        *_permuted(truths),
        *picture("survival_delta.png", "Concordance of changes by way of analysing"),
    ]  # fmt: skip


def _permuted(truths: Results) -> list[str]:
    """The whole analysis on permuted outcomes."""
    known = {name: row["permuted"] for name, row in truths.items() if row["permuted"]}
    if not known:
        return []
    draws = next(iter(known.values()))["draws"]
    rows = [
        [name, words, number(found[key]["c"], 3), triple(found[key]["null"]), number(found[key]["p"], 3)]
        for name, found in known.items()
        for key, words in WAYS.items()
    ]
    return [
        f"One study each with its outcomes permuted {draws} times and everything done anew. The best of 17 is then "
        "compared with the best of 17 of permuted outcomes, so that its p is honest although its C is not:", "",
        *table(["what tells survival", "way", "C", "C of permuted outcomes", "p"], rows),
    ]  # fmt: skip
