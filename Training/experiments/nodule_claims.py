"""The source's claim and the method's aims beside what was found; the rule for each verdict is written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from Training.experiments.brain_claims import interval
from Training.experiments.mvct_numbers import NO, UNKNOWN, YES
from Training.experiments.nodule_bench import BOXES, PLAIN
from Training.experiments.nodule_names import title

Results = Mapping[str, Any]
Row = tuple[str, str, str, str]
"""Aim, films, what was found, verdict."""
DOMAIN = "held_out"
RULES = (
    "An aim is called reached where the whole 95 % interval of the paired difference in sensitivity at 0.2 false "
    "positives per film lies above zero, not reached where all of it lies below, and otherwise it cannot be told."
)


def claims(results: Results) -> list[Row]:
    """Every aim that the parts that were run can speak of."""
    rows: list[Row] = []
    if "arms" in results:
        found = results["arms"]["domains"].get(DOMAIN, {}).get("differences", {})
        rows += [_row(pair, value) for pair, value in found.items()]
    if "finetune" in results:
        gains = results["finetune"]["gain"]
        rows += [
            (f"{title(name)}: better after fine-tuning", "another domain", _text(value), verdict(value))
            for name, value in gains.items()
        ]
    return rows


def _row(pair: str, value: Sequence[float | None]) -> Row:
    first, second = pair.split("|")
    words = "beats Dice alone" if second == PLAIN else f"beats {title(second)}" if second in BOXES else title(second)
    return f"{title(first)} {words}", "another domain", _text(value), verdict(value)


def _text(value: Sequence[float | None]) -> str:
    return f"{interval(value, 1, 100, sign=True)} points"


def verdict(value: Sequence[float | None]) -> str:
    """Whether a difference is above zero by its whole interval."""
    low, high = value[1], value[2]
    if low is None or high is None:
        return UNKNOWN
    return YES if low > 0 else NO if high < 0 else UNKNOWN
