#!/usr/bin/env python3
"""Count for a SliceMarker bundle how tracking of airway and lungs errs, on phantoms at their own slices; no training.

``python Testing/tools/recount_slices.py --data phantoms:3101:75 --choices "slice_mm=4.0;jitter=true" --output DIR``
renders and tracks the phantoms (about five seconds of one core each), and writes the bundle to ``DIR/bundle``. What was
said of the phantoms stays in ``DIR/cache``, so that a stopped call goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main() -> int:
    """Write the bundle and print its habits."""
    from manabi.phantoms.cohort import parse_choices
    from Training.experiments.slices_cases import parse_data
    from Training.slices_native import Cohort, recount

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="slices-default", help="name or path")
    parser.add_argument("--data", default="phantoms:3101:75", help="phantoms:SEED:COUNT")
    parser.add_argument("--choices", default="", help="phantom parameters, with semicolons; spacing is drawn without")
    parser.add_argument("--version", default="1.1.0", help="of the new bundle")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    seed, count = parse_data(given.data)
    choices = parse_choices([text.strip() for text in given.choices.split(";") if text.strip()])
    cohort = Cohort(seed, count, tuple(sorted(choices.items())))
    done = recount(
        given.bundle, cohort, given.output / "bundle", given.output / "cache", given.version, given.processes
    )
    sys.stdout.write(json.dumps(done.facts["slices"]["decoder"]["habits"], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
