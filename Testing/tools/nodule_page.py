#!/usr/bin/env python3
"""Write ``docs/results/nodule.md`` from the card of the detector that ships, and score it on real films.

``Testing/tools/nodule_page.py [--films FOLDER --seen CSV]``. With ``--films`` (``nih_labels.csv``, ``nih/``, boxes; see
:mod:`Training.experiments.nodule_real`) the films are searched and ``docs/results/nodule_real.json`` is written anew;
``--seen`` names the patients whose films training has seen, which are not scored. Without it the kept numbers stand.
Nothing is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from manabi.bundle import Bundle
from Training.experiments import nodule_real
from Training.experiments.nodule_bench import BUNDLE, bundle_finder
from Training.experiments.nodule_sections import real

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "results" / "nodule.md"
KEPT = PAGE.with_name("nodule_real.json")
DEFAULT = ROOT / "manabi" / "bundles" / "nodule-default"
LEVELS = ("0.2", "1")
HEAD = """# NoduleSynth: the detector that ships

What `{name}` {version} finds on films whose nodules are known because they were simulated, and what it does on real
films. Written by `Testing/tools/nodule_page.py` from the model's card, which `python -m Training nodule` writes; on a
processor, seed 0, one training. The nodules are those of the training: anywhere in the lungs, also behind heart and
diaphragm, and most of them are graded subtle or less; the tables by subtlety and by place say which are found.

**Most of these nodules are missed.** A film without marks may have one. The network is small, sees films averaged to
128 pixels, and was trained for an hour and a half on a processor; the size and schedule that we take the source to have
had (`--config nodule_paper`, for a graphics card) have not been run. Cross-entropy, which is not among the source's
terms, was added for the last third of the training: with Dice, NAC and NECMOS alone the network stayed silent on all
but the plainest nodules.

The source's comparison of losses and baselines is [a page of its own](nodule_experiment.md), at a quick size: small
networks of the same kind, 800 steps each, one training of every arm. There the paired losses found more nodules of
another domain than Dice alone (+4.1 points at 0.2 false positives per film, 95 % interval -1.7 to 8.4; with
cross-entropy +4.9, 0.7 to 9.2); RetinaNet had learned nothing in so short a time.
"""


def page(real_films: dict[str, Any] | None) -> str:
    """The whole page."""
    bundle, card = Bundle(DEFAULT), (DEFAULT / "docs" / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^## Training.*?(?=^## Limits)", card, re.DOTALL | re.MULTILINE)
    if found is None:
        raise SystemExit("The card has no scores.")
    parts = [HEAD.format(name=bundle.name, version=bundle.version), found[0].strip(), ""]
    if real_films is not None:
        parts += ["## Real films", "", *real(real_films)]
    return "\n".join(parts).rstrip() + "\n"


def scored(films: Path, seen: Path | None) -> dict[str, Any]:
    """What the shipped detector does on real films, as the experiment's part of that name keeps it."""
    bundle = Bundle(DEFAULT)
    away = nodule_real.seen_patients("" if seen is None else str(seen))
    paths = nodule_real.paths_of(films)
    out = [path for path in paths if nodule_real.patient_of(path) in away]
    kept = nodule_real.read(films, int(bundle.facts["matrix"]), away)
    points = {f"{p['false_positives']:g}": p["threshold"] for p in bundle.facts["operating_points"]}
    find = bundle_finder(bundle, bool(bundle.facts["limit_to_lungs"]))
    row = nodule_real.scored(kept, find, {rate: points[rate] for rate in LEVELS})
    return {
        "films": {kind: sum(f.kind == kind for f in kept) for kind in nodule_real.KINDS},
        "boxed": sum(len(f.boxes) for f in kept),
        "left_out": {"films": len(out), "patients": len({nodule_real.patient_of(path) for path in out})},
        "rows": {BUNDLE: row}, "weights_sha256": bundle.weights_sha256,
    }  # fmt: skip


def main() -> None:
    """Score where films are named, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--films", type=Path)
    parser.add_argument("--seen", type=Path)
    asked = parser.parse_args()
    if asked.films is not None:
        KEPT.write_text(json.dumps(scored(asked.films, asked.seen), indent=1) + "\n", encoding="utf-8")
    found = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else None
    if found is not None and found["weights_sha256"] != Bundle(DEFAULT).weights_sha256:
        raise SystemExit("docs/results/nodule_real.json is of other weights: give --films and --seen.")
    PAGE.write_text(page(found), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
