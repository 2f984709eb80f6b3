"""More patients than the source's test set, read by ours and by the rules alone: no extractor is trained for them.

What a comparison of errors needs: each whole CT once, searched from coarse to fine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manabi.slices.reading import MARKERS
from manabi.slices.rules import find_by_rules
from manabi.slices.stack import AxialStack
from Training.experiments.slices_cases import Patients
from Training.experiments.slices_paired import paired_table
from Training.experiments.slices_scores import Answer
from Training.experiments.slices_tables import distance, mcnemar_table
from Training.experiments.slices_whole import (
    ALONE,
    OURS,
    RULES,
    TRACKING,
    WHOLE,
    Reader,
    reading_answers,
    tracked,
    whole,
)

METHODS = (RULES, TRACKING, ALONE, OURS)


def read_more(patients: Patients, index: int, reader: Reader) -> dict[str, Any]:
    """Answers on one patient's whole CT, as :func:`Training.experiments.slices_whole.read_patient` gives them."""
    case = patients.prepared(index)
    stack = AxialStack.of(patients.case(index).volumes["ct"])
    found, kept = find_by_rules(stack), whole(stack)
    arms = {
        **tracked(case, stack, found),
        OURS: reading_answers(reader(stack, False, found.said_mm), case, kept),
        ALONE: reading_answers(reader(stack, False, None), case, kept),
    }
    return {"arms": {name: {WHOLE: rows} for name, rows in arms.items()}}


def more_table(data: str, read: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Distances of every method, and ours against the others, as JSON values; empty without patients.

    Args:
        data: the cohort.
        read: :func:`read_more` of its patients.
    """
    if not read:
        return {}
    answers: dict[str, dict[str, list[Answer]]] = {name: {marker: [] for marker in MARKERS} for name in METHODS}
    for row in read:
        for name in METHODS:
            for marker, values in zip(MARKERS, row["arms"][name][WHOLE], strict=True):
                answers[name][marker].append(Answer.of(values))
    return {
        "data": data,
        "patients": len(read),
        "distance": {name: {m: distance(rows) for m, rows in kept.items()} for name, kept in answers.items()},
        "mcnemar": mcnemar_table(answers),
        "paired": paired_table(answers),
    }
