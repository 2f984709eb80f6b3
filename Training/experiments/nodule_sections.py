"""The sections of the NoduleSynth page, one per part, from ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from Training.experiments.brain_claims import interval
from Training.experiments.nodule_names import DOMAINS, GRADES, PLACES, title
from Training.experiments.slices_markdown import table

Results = Mapping[str, Any]


def made_with(part: str, about: Results) -> str:
    """What a part was made with, in one paragraph."""
    settings, training, recipe, pairs = about["experiment"], about["training"], about["recipe"], about["pairs"]
    steps = training["epochs"] * -(-recipe["items_per_epoch"] // training["batch_size"])
    crop = f"crops of {recipe['crop']}" if recipe["crop"] else "whole films"
    flow = f"blended in by the flow {about['flow']}" if about["flow"] else "put in without the flow"
    return (
        f"`--size {about['size']} --set experiment.parts={part}`. Pairs: {settings['data']}, "
        f"{pairs['training']['pairs']:,} of {pairs['training']['chests']} chests to train, "
        f"{pairs['validation']['pairs']} of {pairs['validation']['chests']} to choose the epoch by, nodules {flow}; "
        f"{settings['test_pairs']} pairs of other chests (at most) and {settings['held_out']} of another domain to "
        f"test. {steps:,} steps of {training['batch_size']} pairs, {crop} of {about['matrix']} × {about['matrix']} "
        f"pixels, {_lungs(recipe)}, U-Net {recipe['filters']}, {training['optimizer']} from {training['lr']:g} to "
        f"{training['final_lr']:g}; {settings['seeds']} training(s) of every arm, averaged. Device {about['device']}, "
        f"{about['versions']['platform']}, torch {about['versions'].get('torch', '?')}; this call took "
        f"{about['duration_s'] / 60:.1f} minutes, what was kept from earlier ones not counted. Data SHA-256 "
        f"`{about['data_sha256'][:16]}`. Intervals are 95 %, chests resampled {settings['resamples']:,} times."
    )


def _lungs(recipe: Results) -> str:
    return f"marks outside the estimated lungs {'left out' if recipe.get('limit_to_lungs') else 'counted'}"


def arms(part: Results) -> list[str]:
    """Every arm on both domains."""
    lines: list[str] = []
    for domain, found in part["domains"].items():
        rows = found["rows"]
        one = next(iter(rows.values()))
        lines += [f"### {DOMAINS[domain]}", "", _counted(one), ""]
        if domain == "held_out":
            lines += ["Other vessels, beams, grids, detectors and processing; nodules without the flow. It stands in "
                      "the place of the source's real films.", ""]  # fmt: skip
        lines += sensitivities(rows)
        lines += groups(rows, "place", PLACES, "By place")
        lines += groups(rows, "subtlety", GRADES, "By subtlety")
        lines += ["**Paired differences** in sensitivity at 0.2 false positives per film, points", ""]
        differences = [[_pair(k), interval(v, 1, 100, sign=True)] for k, v in found["differences"].items()]
        lines += table(["arms", "difference"], differences)
    told = [
        f"{title(name)}: {net['weights']:,} weights, {net['pairs_seen']:,} pairs seen{_minutes(net['duration_s'])}"
        for name, net in part["networks"].items()
    ]
    return [
        *lines, f"Trained: {'; '.join(told)}.", "", "![FROC of every arm](images/nodule_froc.png)", "",
        "![Films and marks](images/nodule_examples.png)", "",
    ]  # fmt: skip


def sensitivities(rows: Results) -> list[str]:
    """Sensitivities with both denominators, area and NODE21's score."""
    rates = list(next(iter(rows.values()))["sensitivity"]["all"])
    out = ["**Sensitivity, %, at false positives per film**", ""]
    cells = [[title(n), *(interval(r["sensitivity"]["all"][x], 1, 100) for x in rates)] for n, r in rows.items()]
    out += table(["arm", *rates], cells)
    cells = [
        [title(n), interval(r["sensitivity"]["diseased"]["0.2"], 1, 100), interval(r["auc"], 3),
         "–" if r["node21"] is None else f"{r['node21']:.3f}"]
        for n, r in rows.items()
    ]  # fmt: skip
    header = ["arm", "sensitivity, %, at 0.2 per film with a nodule", "area, film with or without", "NODE21 score"]
    return [*out, *table(header, cells)]


def groups(rows: Results, key: str, names: Mapping[str, str], words: str) -> list[str]:
    """Sensitivity at 0.2 by groups of nodules."""
    one = next(iter(rows.values()))[key]
    there = [k for k in names if k in one]
    header = ["arm", *(f"{names[k]} (n = {one[k][3]})" for k in there)]
    cells = [[title(n), *(interval(r[key][k], 1, 100) for k in there)] for n, r in rows.items()]
    return [f"**{words}**, sensitivity, %, at 0.2 false positives per film", "", *table(header, cells)]


def finetune(part: Results) -> list[str]:
    """With and without fine-tuning."""
    how = part["settings"]
    gains = [[title(name), interval(value, 1, 100, sign=True)] for name, value in part["gain"].items()]
    way = "leave-one-case-out" if not how["folds"] else f"{part['folds']} parts left out in turn"
    return [
        f"Fitted to the annotated films of the other domain, {part['chests']} chests, {way}: encoder frozen, "
        f"{how['epochs']} epochs at {how['lr']:g}, settings chosen beforehand. No film is judged by a network that saw "
        "its chest.",
        "",
        *sensitivities(part["rows"]),
        "**With less without fine-tuning**, same films, sensitivity at 0.2 false positives per film, points", "",
        *table(["arm", "difference"], gains),
        *_tuned_differences(part["differences"]),
        "![FROC with and without fine-tuning](images/nodule_tuned.png)", "",
    ]  # fmt: skip


def _tuned_differences(found: Results) -> list[str]:
    rows = [[_pair(k), interval(v, 1, 100, sign=True)] for k, v in found.items()]
    return ["**Between fine-tuned arms**, points", "", *table(["arms", "difference"], rows)] if rows else []


def real(part: Results) -> list[str]:
    """Image scores and boxed nodules of real films."""
    if not part["rows"]:
        return ["There were no real films to score (`MANABI_TEST_DATA`, or `--set experiment.real=FOLDER`). "
                f"{_left_out(part)}".rstrip(), ""]  # fmt: skip
    counts = part["films"]
    lines = [
        f"NIH ChestX-ray14: {counts['nodule']} films labelled nodule or mass, {counts['normal']} no finding, "
        f"{counts['other']} other findings, {counts['unlabelled']} without a label here; {part['boxed']} boxed nodules "
        "and masses. Labels were mined from reports. Thresholds are those of simulated films; nothing was fitted to "
        f"these. So few films say little; they are reported whatever they are. {_left_out(part)}".rstrip(),
        "",
    ]
    rows = []
    for name, row in part["rows"].items():
        marks = row["marks_per_film"]["0.2"]
        hits = [h["rank"] for h in row["hits"]]
        told = ", ".join("missed" if rank is None else f"rank {rank + 1}" for rank in hits) or "–"
        shown = sum(h["score"] is not None and h["score"] >= row["levels"]["0.2"] for h in row["hits"])
        rows.append([title(name), interval(row["auc"], 3), f"{shown} of {len(hits)}", told,
                     *(_number(marks[kind]) for kind in counts)])  # fmt: skip
    header = ["arm", "area, nodule or mass against no finding", "boxes hit at 0.2", "rank of the best mark on each box",
              *(f"marks per film at 0.2: {kind}" for kind in counts)]  # fmt: skip
    return [*lines, *table(header, rows)]


def _left_out(part: Results) -> str:
    """What is said of the films that training has seen."""
    away, about = part.get("left_out"), part.get("about", {})
    if away is not None:
        return (
            f"{away['films']} films of {away['patients']} patients whom training may have seen (`experiment.seen`) are "
            "in none of these numbers."
        )
    experiment = about.get("experiment", {})
    if about.get("flow") or experiment.get("bundle") or "normal films" in str(experiment.get("data")):
        return (
            "No list of films that training has seen was given (`experiment.seen`): where the pairs, the flow or the "
            "bundle learned from real films, these may be among them."
        )
    return ""


def _minutes(seconds: float | None) -> str:
    return "" if seconds is None else f", {seconds / 60:.1f} min"


def _counted(row: Results) -> str:
    return f"{row['films']} films, half of them with nodules, of {row['chests']} chests; {row['nodules']} nodules."


def _pair(key: str) -> str:
    first, second = key.split("|")
    return f"{title(first)} less {title(second)}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
