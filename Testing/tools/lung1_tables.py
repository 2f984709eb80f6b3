"""Markdown tables of ``docs/results/radiomics_real.md`` from the JSON that ``check_lung1.py`` writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

BLOCKS = ("clinical", "volume", "radiomics", "combined")
Row = Mapping[str, Any]


def tables(results: Mapping[str, Any]) -> str:
    """All tables for which there are results, one below the other under their titles."""
    parts = []
    for part in ("primary", "forest", "boosting"):
        if part in results:
            parts += modelled(part, results[part])
    if "null" in results:
        parts.append(("Permuted outcomes", null_table(results["null"], results.get("primary"))))
    if "leaky" in results:
        parts.append(("Leak", leak_table(results["leaky"], results.get("primary"))))
    if "sets" in results:
        parts.append(("Data sets of scikit-survival", sets_table(results["sets"])))
    return "\n".join(f"### {title}\n\n{text}" for title, text in parts)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [list(header), ["---"] * len(header), *map(list, rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def cell(one: Row | None, digits: int = 3) -> str:
    """``0.612 (0.551 to 0.670)``; a dash where there is no number."""
    if one is None or one["estimate"] is None:
        return "–"
    numbers = [f"{v:.{digits}f}" for v in (one["estimate"], one["low"], one["high"]) if v is not None]
    text = numbers[0] if len(numbers) < 3 else f"{numbers[0]} ({numbers[1]} to {numbers[2]})"
    return text.replace("-", "−")


def p_cell(one: Row | None) -> str:
    """A p."""
    if one is None or one["p"] is None:
        return "–"
    return "< 0.001" if one["p"] < 0.001 else f"{one['p']:.3f}"


def named(rows: Sequence[Row], name: str) -> Row | None:
    """The row of that name."""
    return next((row for row in rows if row["name"] == name), None)


def modelled(part: str, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Scores, differences, calibration, risk groups and relation to volume of one evaluation."""
    about = found["about"]
    title = f"{part}: {about['model']}, {about['folds']} folds x {about['repeats']}, seed {about['seed']}"
    return [
        (title, score_table(found["blocks"])),
        (f"{part}: differences", difference_table(found["differences"], found["corrected"])),
        (f"{part}: calibration at 2 years", block_table(found["calibration"], calibration_names(found))),
        (f"{part}: risk groups", group_table(found["groups"])),
        (f"{part}: risk and volume", volume_table(found["volume"])),
    ]


def score_table(blocks: Mapping[str, Sequence[Row]]) -> str:
    """A row per score, a column per block."""
    return block_table(blocks, [row["name"] for row in next(iter(blocks.values()))])


def block_table(blocks: Mapping[str, Sequence[Row]], names: Sequence[str]) -> str:
    """Rows of the given names, a column per block."""
    shown = [block for block in BLOCKS if block in blocks]
    return markdown(
        ["score", *shown],
        [[name.replace("at 1 years", "at 1 year"), *(cell(named(blocks[b], name)) for b in shown)] for name in names],
    )


def calibration_names(found: Mapping[str, Any]) -> list[str]:
    """Scores of calibration."""
    return [row["name"] for row in next(iter(found["calibration"].values()))]


def difference_table(rows: Sequence[Row], corrected: Sequence[Row]) -> str:
    """Paired differences of Harrell's C with both intervals, then of the scaled IBS."""
    again = {row["name"].removeprefix("C, "): row for row in corrected}
    out = []
    for row in rows:
        contrast, _, score = row["name"].partition(": ")
        if score in ("Harrell C", "Uno C", "scaled IBS"):
            other = again.get(contrast) if score == "Harrell C" else None
            out.append([contrast.replace(" - ", " − "), score, cell(row), p_cell(row), cell(other), p_cell(other)])
    return markdown(["difference", "score", "patients drawn anew", "p", "splits drawn anew", "p"], out)


def group_table(groups: Mapping[str, Sequence[Row]]) -> str:
    """Hazard ratio, log-rank p and survival at two years of the two groups of each block."""
    out = []
    for block in (b for b in BLOCKS if b in groups):
        ratio, log_rank, *others = groups[block]
        survival = [row for row in others if row["name"].startswith("survival")]
        out.append([block, cell(ratio, 2), p_cell(log_rank), *(cell(row, 2) for row in survival)])
    return markdown(["risk of", "hazard ratio, high against low", "log-rank p", "alive at 2 years, low risk",
                     "alive at 2 years, high risk"], out)  # fmt: skip


def volume_table(rows: Sequence[Row]) -> str:
    """Each risk's correlation with volume, and its hazard ratio alone and beside log volume."""
    out = [[row["name"], cell(row["rho"], 2), f"{cell(row['alone'], 2)}, p {p_cell(row['alone'])}",
            f"{cell(row['adjusted'], 2)}, p {p_cell(row['adjusted'])}", row["reading"]] for row in rows]  # fmt: skip
    return markdown(["risk of", "Spearman rho with volume", "hazard ratio per SD", "beside log volume", "reading"], out)


def null_table(found: Mapping[str, Any], primary: Mapping[str, Any] | None) -> str:
    """C with the outcome permuted, and how often it reached the C of the data."""
    out = []
    for block in (b for b in BLOCKS if b in found["c"]):
        values = np.array(found["c"][block])
        seen = harrell_of(primary, block)
        p = "–" if seen is None else f"{p_of(seen, values):.3f}"
        low, high = np.quantile(values, [0.025, 0.975])
        out.append([block, str(len(values)), f"{values.mean():.3f} ({low:.3f} to {high:.3f})", f"{values.max():.3f}",
                    "–" if seen is None else f"{seen:.3f}", p])  # fmt: skip
    return markdown(["block", "permutations", "C, mean and central 95 %", "largest", "C of the data", "p"], out)


def p_of(seen: float, null: np.ndarray) -> float:
    """Share of permutations that reach the C of the data, the data counted in (Phipson and Smyth 2010)."""
    return float((1 + (null >= seen - 1e-12).sum()) / (1 + len(null)))


def harrell_of(found: Mapping[str, Any] | None, block: str) -> float | None:
    """Harrell's C of a block."""
    row = named(found["blocks"][block], "Harrell C") if found else None
    return row["estimate"] if row else None


def leak_table(found: Mapping[str, Any], primary: Mapping[str, Any] | None) -> str:
    """C with the leak beside C without, and C with the leak where there is nothing to find."""
    out = []
    for block in (b for b in ("radiomics", "combined") if b in found["c"]):
        null = np.array(found["null"].get(block, []))
        nothing = f"{null.mean():.3f} ({null.min():.3f} to {null.max():.3f})" if len(null) else "–"
        honest = named(primary["blocks"][block], "Harrell C") if primary else None
        out.append([block, cell(honest), cell(found["c"][block]), nothing])
    return markdown(["block", "nested: C", "leaky: C", "leaky, outcome permuted: mean C (range)"], out)


def sets_table(found: Mapping[str, Any]) -> str:
    """Nested C beside that of a Cox model on the patients it was fitted to."""
    out = [[name, str(one["about"]["n"]), str(one["about"]["events"]), cell(one["nested"]), f"{one['apparent']:.3f}"]
           for name, one in found.items() if isinstance(one, dict) and "nested" in one]  # fmt: skip
    return markdown(["data set", "n", "events", "nested C, ours", "C of Cox on its own training patients"], out)
