"""What the sources claim, beside what was found; a claim is only called reproduced by the rule that is written here.

Sources: Healthcare 2021;9:938 (losses), Med Phys 2021;48:7215 and its follow-up (skips), the report of grant 20K20216
(labels, contrast, stability). They measured on patients' MR images; here heads are simulated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from Training.experiments.brain_angio import ALONE, COPY, NOISE, SYNTHETIC
from Training.experiments.brain_bench import LOSSES
from Training.experiments.brain_losses import MULTI

Results = Mapping[str, Any]
Row = tuple[str, str, str, str]
"""Claim, what the source reports, what was found here, verdict."""
YES, NO, UNKNOWN, PART = "reproduced", "not reproduced", "cannot be told", "only in part"
GAIN, LEVEL = 0.09, 0.90
"""The report's two numbers for incomplete labels: up to 9 points better, and 90 % or more."""
ALPHA = 0.05


def claims(results: Results) -> list[Row]:
    """Every claim of the parts that were run."""
    made = {"losses": loss_claims, "skips": skip_claims, "labels": label_claims, "contrast": contrast_claims}
    return [row for part, rows in made.items() if part in results for row in rows(results[part])]


def interval(value: Sequence[float | None] | None, digits: int = 3, scale: float = 1.0, sign: bool = False) -> str:
    """A value with its interval, or a dash."""
    if value is None or value[0] is None or value[0] != value[0]:
        return "–"
    plus = "+" if sign else ""
    text = f"{scale * value[0]:{plus}.{digits}f}"
    low, high = value[1], value[2]
    if low is None or high is None or low != low:
        return text
    return f"{text} ({scale * low:{plus}.{digits}f} to {scale * high:{plus}.{digits}f})"


# --- losses -----------------------------------------------------------------------------------------------------------


def loss_claims(part: Results) -> list[Row]:
    """Dice with focal weights in single structures, cross-entropy with distance maps in several, and stability."""
    rows = []
    for name, problem in part["problems"].items():
        multi = name == MULTI
        best = "cross_entropy-dtm" if multi else "dice-focal"
        number = "mean Dice up to 93.1 %" if multi else "mean Dice 92.8 %"
        if best in problem["losses"]:
            claim = f"{best} is the best loss ({name})"
            rows.append((claim, number, _place(problem, best), _best(problem, best)))
    return [*rows, *_stability(part)]


def _place(problem: Results, loss: str) -> str:
    dice = interval(problem["losses"][loss]["dice"], 1, 100)
    places = []
    for test, ranking in problem["rankings"].items():
        if "rank" in ranking:
            top = max(ranking["score"].values())
            places.append(f"{test} {'no differences' if top == 0 else format(ranking['rank'][loss], 'g')}")
    ranked = ", ".join(places) or "not ranked, too few heads"
    leader = max((k for k in problem["losses"] if k in LOSSES), key=lambda k: problem["losses"][k]["dice"][0] or 0.0)
    return f"Dice {dice} %; rank by test: {ranked}; highest Dice: {leader}"


def _best(problem: Results, loss: str) -> str:
    """First both by the source's test and by Holm's: reproduced; by one: in part."""
    firsts = []
    for test in ("published", "holm"):
        ranking = problem["rankings"].get(test, {})
        if "rank" not in ranking:
            return UNKNOWN
        firsts.append(ranking["rank"][loss] == 1.0 and ranking["score"][loss] > 0)
    return YES if all(firsts) else PART if any(firsts) else NO


def _stability(part: Results) -> list[Row]:
    """Both focal losses are the steadiest of their kind: least spread over heads, in every problem."""
    wins, texts = [], []
    for name, problem in part["problems"].items():
        for kind in ("cross_entropy", "dice"):
            spreads = {k: v["sd_heads"] for k, v in problem["losses"].items() if k in LOSSES and k.startswith(kind)}
            if f"{kind}-focal" in spreads and len(spreads) > 1:
                order = sorted(spreads, key=lambda k: spreads[k])
                wins.append(order[0] == f"{kind}-focal")
                texts.append(f"{name}, {kind}: place {order.index(f'{kind}-focal') + 1} of {len(order)}")
    if not wins:
        return []
    verdict = YES if all(wins) else PART if any(wins) else NO
    return [("weights by predicted probability (focal) are the steadiest (SD of Dice over heads)", "no number",
             "; ".join(texts), verdict)]  # fmt: skip


# --- skips ------------------------------------------------------------------------------------------------------------


def skip_claims(part: Results) -> list[Row]:
    """Crossover beats U-Net, and vertical skips help small structures."""
    rows = []
    asked = (("crossover", "horizontal", "large"), ("crossover", "horizontal", "small"), ("vertical", "none", "small"))
    for first, second, group in asked:
        found = {key: _pair(cell["tests"][group], first, second) for key, cell in part["fractions"].items()}
        known = {key: row for key, row in found.items() if row is not None}
        if known:
            claim = f"{first} is better than {second}, {group} structures"
            told = _can_tell(part, group)
            verdict = _all_better(known.values()) if told else UNKNOWN
            few = "" if told else "; so few heads cannot give p < 0.05 after the adjustment"
            rows.append((claim, "no number in what could be read", _differences(known) + few, verdict))
    return rows


def _can_tell(part: Results, group: str) -> bool:
    """Whether the signed-rank test, adjusted by Holm, can be significant at all with so many heads and comparisons."""
    heads = part.get("about", {}).get("heads", {}).get("test")
    most = max(len(cell["tests"][group]) for cell in part["fractions"].values())
    return heads is None or most * 2.0 ** (1 - heads) < ALPHA


def _pair(rows: Sequence[Results], first: str, second: str) -> Results | None:
    return next((row for row in rows if (row["first"], row["second"]) == (first, second)), None)


def _differences(rows: Mapping[str, Results]) -> str:
    """Points of Dice by share of labelled slices."""
    return "; ".join(
        f"{100 * float(key):g} %: {interval(row['difference'], 1, 100, True)} points, p {row['p_holm']:.2g}"
        for key, row in rows.items()
    )


def _all_better(rows: Any) -> str:
    """Everywhere significantly better (Holm): reproduced; somewhere: in part."""
    better = [(row["difference"][0] or 0) > 0 and row["p_holm"] < ALPHA for row in rows]
    return YES if all(better) else PART if any(better) else NO


# --- labels -----------------------------------------------------------------------------------------------------------


def label_claims(part: Results) -> list[Row]:
    """Up to nine points better than training on all slices, and ninety percent from incomplete labels."""
    return [*_gain_claims(part), *_level_claims(part)]


def _gain_claims(part: Results) -> list[Row]:
    rows = []
    for noise, cell in part["noises"].items():
        for kind, words in (("rebuilt", "rebuilt labels"), ("test", "held-out heads")):
            tests = cell["gains"].get(kind, [])
            if tests and noise != "none":
                top = max(tests, key=lambda row: row["difference"][0] or 0.0)
                here = (
                    f"largest of {len(tests)}: {interval(top['difference'], 1, 100, True)} points with "
                    f"{100 * float(top['first']):g} % of the slices, p {top['p_holm']:.2g}"
                )
                claim = f"fewer, non-adjacent slices beat all faulty ones ({words}, faults: {noise})"
                rows.append((claim, "up to 9 points or more", here, _gain(top)))
    return rows


def _gain(row: Results) -> str:
    """Nine points with p < 0.05: reproduced; some points with p < 0.05: in part."""
    value = row["difference"][0] or 0.0
    if row["p_holm"] >= ALPHA or value <= 0:
        return NO
    return YES if value >= GAIN else PART


def _level_claims(part: Results) -> list[Row]:
    """Every incomplete share reaches the level in every structure: reproduced; some do in some: in part."""
    rows = []
    for noise, cell in part["noises"].items():
        values, texts = [], []
        for key, methods in cell["fractions"].items():
            if "slices" in methods and float(key) < 1:
                row = methods["slices"]
                values += [value[0] or 0.0 for value in row["test_of"].values()]
                low = min(row["test_of"], key=lambda name: row["test_of"][name][0] or 0.0)
                texts.append(
                    f"{100 * float(key):g} %: cerebrum {interval(row['test_of']['cerebrum'], 1, 100)}, lowest {low} "
                    f"{interval(row['test_of'][low], 1, 100)}"
                )
        if values:
            verdict = YES if min(values) >= LEVEL else PART if max(values) >= LEVEL else NO
            claim = f"incomplete labels give 90 % or more (Dice in %, held-out heads, faults: {noise})"
            rows.append((claim, "90 % or more, stable", "; ".join(texts), verdict))
    return rows


# --- contrast ---------------------------------------------------------------------------------------------------------


def contrast_claims(part: Results) -> list[Row]:
    """A synthetic angiogram beside heavy T2 finds vessels better; more than an uninformative channel does."""
    tests = part["tests"]["dice"]
    alone = _pair(tests, SYNTHETIC, ALONE)
    controls = [row for row in (_pair(tests, SYNTHETIC, NOISE), _pair(tests, SYNTHETIC, COPY)) if row is not None]
    if alone is None:
        return []
    words = {ALONE: "alone", NOISE: "with noise", COPY: "with a copy"}
    here = "; ".join(
        f"against heavy T2 {words[row['second']]}: {interval(row['difference'], 1, 100, True)} points, "
        f"p {row['p_holm']:.2g}"
        for row in (alone, *controls)
    )
    better = [(row["difference"][0] or 0) > 0 and row["p_holm"] < ALPHA for row in (alone, *controls)]
    verdict = YES if all(better) else PART if better[0] else NO
    return [("heavy T2 with a synthetic angiogram beats heavy T2 alone, and controls (vessel Dice)",
             "better; no number", here, verdict)]  # fmt: skip
