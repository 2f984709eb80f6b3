"""The aims of the method beside what was found; an aim is only called reached by the rule that is written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from Training.experiments.brain_claims import interval
from Training.experiments.mvct_names import title
from Training.experiments.mvct_numbers import NO, UNKNOWN, YES

Results = Mapping[str, Any]
Row = tuple[str, str, str, str]
"""Aim, for which converter, what was found here, verdict."""
CNR_SHARE = 0.9
PLAIN = "plain"
RULES = (
    "An aim is called reached where the whole 95 % interval lies where the aim wants it, not reached where none of it "
    "does, and otherwise it cannot be told. Lesions are counted: reached means none. A converter that changes nothing "
    "distorts nothing and does no harm: an aim counts only together with the others. Where a network's error is not "
    "below the input's it has not learned to convert, and nothing is said of its distortion. Intervals over patients "
    "do not hold the spread over trainings."
)


def claims(results: Results) -> list[Row]:
    """Every aim that the parts that were run can speak of."""
    made = {"amount": flat, "quality": contrast, "hallucination": lesions, "dose": harm}
    return [row for part, rows in made.items() if part in results for row in rows(results[part])]


def flat(part: Results) -> list[Row]:
    """DIG flat from some hundred slices on; and the source's claim that proposed distorts less than plain."""
    rows: list[Row] = []
    for method in part["methods"]:
        found = part["flat"].get(method) or {}
        for name, words in (("dig_a", "DIG-a"), ("dig_b", "DIG-b")):
            if name not in found:
                rows.append((f"{words} flat from few slices on", title(method), "not run with enough slices", UNKNOWN))
                continue
            one = found[name]
            text = (
                f"at {found['from']} less at {found['to']} slices {interval(one['difference'], 2, sign=True)}, slope "
                f"per doubling {interval(one['slope'], 2, sign=True)}, limit ±{one['limit']:.2f} HU/mm"
            )
            say = one["verdict"] if learned(part, method) else UNKNOWN
            rows.append((f"{words} flat from {found['from']} slices on", title(method), text, say))
    for method, table in part["paired"].items():
        rows += [_less(part, method, name, table) for name in ("dig_a", "dig_b")]
    return rows


def learned(part: Results, method: str) -> bool:
    """Whether a method's mean error with most slices is below that of the input: else it does not convert yet."""
    return bool(part["rows"][method][str(part["amounts"][-1])]["mae_hu"][0] < part["input"]["mae_hu"][0])


def _less(part: Results, method: str, name: str, table: Results) -> Row:
    """Whether a method distorts less than plain at every number of slices."""
    values = [table[str(n)][name] for n in part["amounts"]]
    text = "; ".join(f"{n}: {interval(v, 2, sign=True)}" for n, v in zip(part["amounts"], values, strict=True))
    known = all(v[1] is not None for v in values)
    say = YES if known and all(v[1] > 0 for v in values) else NO if known and all(v[2] < 0 for v in values) else UNKNOWN
    say = say if learned(part, method) and learned(part, PLAIN) else UNKNOWN
    words = {"dig_a": "DIG-a", "dig_b": "DIG-b"}[name]
    most = str(part["amounts"][-1])
    errors = [part["rows"][one][most]["mae_hu"] for one in (method, PLAIN)]
    told = [interval(value, 0) for value in (*errors, part["input"]["mae_hu"])]
    text = (
        f"plain less this one, HU/mm, by slices: {text}; MAE with most slices, HU: this one {told[0]}, plain {told[1]}"
    )
    return f"{words} less than plain CycleGAN's", title(method), f"{text}, input {told[2]}", say


def contrast(part: Results) -> list[Row]:
    """Muscle-fat CNR at least 90 % of the true kVCT's."""
    rows = []
    for name, shares in part["share_of_truth"].items():
        if name == "input":
            continue
        value = shares["cnr_muscle_fat"]
        text = f"{interval(value, 0, 100)} % of the kVCT's"
        rows.append((f"CNR muscle–fat ≥ {CNR_SHARE:.0%} of the kVCT's", title(name), text, at_least(value, CNR_SHARE)))
    return rows


def at_least(value: Sequence[float | None], limit: float) -> str:
    """Whether a value reaches a limit, by its interval."""
    if value[1] is None or value[2] is None:
        return UNKNOWN
    return YES if value[1] >= limit else NO if value[2] < limit else UNKNOWN


def lesions(part: Results) -> list[Row]:
    """No lesion lost, none invented, at the stated size."""
    size, hu = part["stated"]
    rows = []
    for name in part["stated_lost"]:
        lost, count = part["stated_lost"][name]
        drawn, places = part["stated_invented"][name]
        rows.append((
            f"no lesion ≥ {size:g} mm and ≥ {hu:g} HU lost", title(name), f"{lost} of {count} lost",
            YES if count and not lost else NO if lost else UNKNOWN,
        ))  # fmt: skip
        rows.append((
            f"none invented at places ≥ {size:g} mm", title(name), f"{drawn} of {places} places",
            YES if places and not drawn else NO if drawn else UNKNOWN,
        ))  # fmt: skip
    return rows


def harm(part: Results) -> list[Row]:
    """No dose number further from the true kVCT's than the input's own, beyond the tolerance."""
    limit = part["tolerance_percent"]
    rows = []
    for name, found in part["harm"].items():
        values = {key: value for key, value in found.items() if key != "worst"}
        bad = [key for key, value in values.items() if value[1] is not None and value[1] > limit]
        open_ = [key for key, value in values.items() if value[2] is None or value[2] > limit]
        worst = found["worst"]
        told = "–" if worst is None else f"{worst:+.2f}"
        text = f"largest upper end of {len(values)} numbers: {told} % (limit {limit:g} %)"
        text += f"; worse: {', '.join(bad)}" if bad else ""
        say = NO if bad else UNKNOWN if open_ else YES
        rows.append(("dose not worse than by the input with its own table", title(name), text, say))
    return rows
