"""What the arms of the BrainSeg experiment hardly learned, so that nobody reads a short training as a finding.

The levels are our choice: a structure whose Dice nowhere reaches :data:`FOUND` was not learned, and a method whose mean
Dice stays below :data:`LEARNED` where it is easiest (fewest faults, most slices) had too short a training to be judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from Training.experiments.brain_angio import INPUTS, REAL

FOUND = 0.05
LEARNED = 0.5
Results = Mapping[str, Any]


def losses(problem: Results) -> list[str]:
    """Structures of a problem that no loss found, and the losses that found none of one."""
    return unfound({name: [row["metrics"][name]["dice"] for row in problem["losses"].values()]
                    for name in problem["structures"]}, "loss")  # fmt: skip


def skips(part: Results) -> list[str]:
    """Structures that no pattern found."""
    arms = [row["metrics"] for cell in part["fractions"].values() for row in cell["patterns"].values()]
    return unfound({name: [arm[name]["dice"] for arm in arms] for name in arms[0]}, "pattern")


def labels(part: Results) -> list[str]:
    """Structures that no network found on held-out heads, and networks that hardly learned anything."""
    cells = [cell["fractions"] for cell in part["noises"].values()]
    arms = [row["test_of"] for cell in cells for methods in cell.values() for row in methods.values()
            if "test_of" in row]  # fmt: skip
    easiest = cells[0][max(cells[0], key=float)]
    slow = {name: value_of(row["test"]) for name, row in easiest.items() if "test" in row}
    return [
        *(unfound({name: [arm[name] for arm in arms] for name in arms[0]}, "network") if arms else []),
        *(
            f"`{name}` reaches a mean Dice of {dice:.2f} even where it is easiest (first kind of fault, most slices): "
            "so short a training is not enough for it, and its rows do not tell how good the method is."
            for name, dice in slow.items()
            if dice < LEARNED
        ),
    ]


def contrast(part: Results) -> list[str]:
    """Inputs with which no vessels were found; without those of the real angiogram nothing can be compared."""
    dice = {name: value_of(part["inputs"][name]["metrics"]["dice"]) for name in INPUTS}
    missed = [name for name, value in dice.items() if value < FOUND]
    notes = [f"Hardly any vessels were found with: {', '.join(missed)} (Dice below {FOUND:g})."] if missed else []
    if dice[REAL] < LEARNED:
        notes.append(
            f"Even with the real angiogram the network reaches only {dice[REAL]:.2f}: the training was too short to "
            "judge the inputs."
        )
    return notes


def unfound(values: Mapping[str, Iterable[Any]], arms: str) -> list[str]:
    """A text that names the structures whose highest value stays below :data:`FOUND`; none where all were found."""
    names = [name for name, found in values.items() if max(map(value_of, found)) < FOUND]
    if not names:
        return []
    return [
        f"No {arms} found the {' and the '.join(names)} (Dice below {FOUND:g}): so short a training on so coarse "
        "images does not learn what is that small, and means over structures hold this zero."
    ]


def value_of(value: Any) -> float:
    """The mean of a value with its interval; 0 where it has none."""
    return float(value[0] or 0.0) if value else 0.0
