#!/usr/bin/env python3
"""Write ``docs/results/mvct.md`` from the cards of the models that ship: ``Testing/tools/mvct_page.py [FILE]``.

The numbers are those that ``python -m Training mvct`` measured on its test patients; nothing is typed by hand.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from manabi.bundle import Bundle

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "results" / "mvct.md"
BUNDLES = {"mvct-default": "Megavoltage CT", "mvct-cbct": "Cone-beam CT"}
HEAD = """# MVCTConvert: the models that ship

Scores of the models on simulated patients that they never saw, against the true kilovoltage CT of the same patients,
beside baselines that need no training. **All scans are simulated**: megavoltage and cone-beam scanners of physics, in
front of phantoms and of real planning CTs (OpenKBP, MIT licence). No real megavoltage CT was at hand, so nothing here
says how the models do on patients. Written by `Testing/tools/mvct_page.py` from the models' cards, which
`python -m Training mvct` writes; on a processor, seed 0, one training each; intervals are 95 % over test patients
(bootstrap).

The source's own experiment (distortion against the number of slices, plain against proposed) is on
[a page of its own](mvct_experiment.md), with all of its parts **at a quick size only**: in the part on the number of
slices networks were trained for 250 steps and did not learn to convert; in the others, after 3,000 steps, the source's
terms bring the error from 93 to 82 HU and plain CycleGAN does not lower it. What giving back faint detail costs is
[measured too](mvct_detail.md).
"""


def sections(card: str) -> str:
    """The card's scores and lesions, one level deeper."""
    found = re.search(r"^## Scores.*?(?=^## Limits)", card, re.DOTALL | re.MULTILINE)
    if found is None:
        raise SystemExit("The card has no scores.")
    return re.sub(r"^##", "###", found[0].strip(), flags=re.MULTILINE)


def trained(card: str) -> str:
    """The card's paragraph about training data."""
    found = re.search(r"^- Data: .*$", card, re.MULTILINE)
    return found[0] if found else ""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, title in BUNDLES.items():
        folder = ROOT / "manabi" / "bundles" / name
        bundle, card = Bundle(folder), (folder / "docs" / "README.md").read_text(encoding="utf-8")
        parts.append(f"## {title}: `{name}` {bundle.version}\n\n{trained(card)}\n\n{sections(card)}\n")
    return "\n".join([*parts, real()])


REAL_HEAD = """## A real head and neck, scanned again

One planning CT that was not trained on, scanned by {scanners} simulated megavoltage scanners (noise, blur, calibration
and field of view drawn at random), converted by `mvct-default` and held against the planning CT itself
(`Testing/tools/check_head_neck_ct.py`, seeds from {seed}). The anatomy is real, the megavoltage scans are not; mean
(range) over scanners. The gate's verdicts: {verdicts}. Where bone has more contrast to noise than in the planning CT,
its texture was smoothed away: that is a loss.

| measure | input | converted | planning CT |
|---|---|---|---|
"""


def real() -> str:
    """What ``check_head_neck_ct.py`` found."""
    found = json.loads((PAGE.parent / "mvct_real.json").read_text(encoding="utf-8"))
    verdicts = ", ".join(f"{found['verdicts'].count(v)} {v}" for v in sorted(set(found["verdicts"])))
    lines = [
        "| " + " | ".join([name, *(_range([run[n] for run in runs]) for n in range(3))]) + " |"
        for name, runs in found["quality"].items()
    ]
    return REAL_HEAD.format(**{**found, "verdicts": verdicts}) + "\n".join(lines) + "\n"


def _range(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.1f} ({min(known):.1f} to {max(known):.1f})" if known else ""


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(page(), encoding="utf-8")
