"""SliceMarker: from coarse to fine against every slice, on a simulated 300-slice CT of 512x512 that is loaded already.

Each contestant runs the whole search, with the preparation of the slices it looks at; the rules' check is measured
apart, as it is the same for both. Random weights would search differently: the model that ships is used.
"""

from __future__ import annotations

import argparse
from typing import Any

BASELINE = "every_slice"
CASES = {"chest_300": 300}


def stack(case: str, quick: bool = False):
    """A simulated chest with slices of 1 mm, cut to the wanted number."""
    from manabi.phantoms.base import case_rng
    from manabi.phantoms.thorax import ThoraxPhantom
    from manabi.slices.stack import AxialStack

    phantom = ThoraxPhantom()
    size = {"pixel_mm": 2.8, "matrix": 128} if quick else {"pixel_mm": 0.7, "matrix": 512}
    choices = {**size, "slice_mm": 1.2, "subslices": 1, "pathology": "uip"}
    volume = phantom.render(phantom.sample_parameters(case_rng(3, 0), **choices)).volumes["ct"]
    last = min(CASES[case], volume.shape[0])
    return AxialStack.of(volume.crop((0, 0, 0), (last, *volume.shape[1:])))


def contestant(name: str, case: str, quick: bool) -> None:
    """Serve one contestant."""
    from common import serve

    from manabi.context import Context
    from manabi.slices.find import Settings, find_markers
    from manabi.slices.rules import find_by_rules
    from manabi.store import BundleStore

    bundle = BundleStore().get("slices-default", method="slices")
    network, settings = bundle.build_network(), Settings.of(bundle.facts["slices"])
    chest = stack(case, quick)

    def work() -> Any:
        if name == "rules_only":
            return find_by_rules(chest)
        return find_markers(chest, network, settings, Context(device="cpu"), exhaustive=name == BASELINE)

    def finish() -> dict[str, Any]:
        out = work()
        if name == "rules_only":
            return {"slices": chest.n, "evaluated": 0}
        levels = {one.marker: one.index for one in out.found}
        return {"slices": chest.n, "evaluated": int(out.evaluated.sum()), **levels}

    serve(work, finish)


def run(quick: bool = False) -> dict:
    """Measure the case; ``quick`` on 128x128 pixels and two rounds: a check that it works, not a figure."""
    from common import add_ratios, machine, race

    names = [BASELINE, "coarse_to_fine", "rules_only"]
    arguments = ["--quick"] if quick else []
    described = machine()
    results = race(__file__, names, arguments, {}, 2 if quick else 5)
    add_ratios(results, BASELINE)
    return {"machine": described, "cases": {"chest_300": results}}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--contestant")
    arguments = parser.parse_args()
    if arguments.contestant:
        contestant(arguments.contestant, "chest_300", arguments.quick)
        return
    from common import print_machine, print_table

    found = run(arguments.quick)
    print_machine(found["machine"])
    columns = ("best_s", "median_s", "ratio_best", "ratio_median", "evaluated", "slices", "apex", "carina", "diaphragm")
    for case, results in found["cases"].items():
        print_table(f"{case}, against {BASELINE}", results, columns)


if __name__ == "__main__":
    main()
