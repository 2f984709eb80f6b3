"""SliceMarker: from coarse to fine against every slice, on a simulated chest CT that is loaded already.

The CT has 300 slices of 1.14 mm and 512x512 pixels. ``every_slice`` and ``coarse_to_fine`` run the search, with the
preparation of the slices they look at; ``rules_only`` is the rules' check. ``whole_run`` is what a user waits for after
loading: the method from the volume to its result, with the stack, the rules' check, the search from coarse to fine, and
the volume of representative slices. Random weights would search differently: the model that ships is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

BASELINE, WHOLE_RUN = "every_slice", "whole_run"
CASES = {"chest_300": 300}


def chest(case: str, quick: bool = False):
    """A simulated chest with slices of 1.14 mm, cut to the wanted number."""
    from manabi.phantoms.base import case_rng
    from manabi.phantoms.thorax import ThoraxPhantom

    phantom = ThoraxPhantom()
    size = {"pixel_mm": 2.8, "matrix": 128} if quick else {"pixel_mm": 0.7, "matrix": 512}
    choices = {**size, "slice_mm": 1.14, "subslices": 1, "pathology": "uip"}
    volume = phantom.render(phantom.sample_parameters(case_rng(3, 0), **choices)).volumes["ct"]
    last = min(CASES[case], volume.shape[0])
    return volume.crop((0, 0, 0), (last, *volume.shape[1:]))


def contestant(name: str, case: str, quick: bool) -> None:
    """Serve one contestant."""
    from common import serve

    volume = chest(case, quick)
    if name == WHOLE_RUN:
        serve(*whole_run(volume))
    else:
        serve(*part(name, volume))


def whole_run(volume: Any) -> tuple[Callable[[], Any], Callable[[], dict[str, Any]]]:
    """The method from a loaded volume to its result, and what came of it."""
    from manabi.context import Context
    from manabi.slices.method import SliceMarker

    method = SliceMarker()
    method.load(Context(device="cpu"))

    def work() -> Any:
        return method.run(volume, {}, Context(device="cpu"))

    def finish() -> dict[str, Any]:
        found = work().measurements
        levels = {marker: found[f"{marker}_slice"] for marker in ("apex", "carina", "diaphragm")}
        return {"slices": found["slices_in_image"], "evaluated": found["slices_evaluated"], **levels}

    return work, finish


def part(name: str, volume: Any) -> tuple[Callable[[], Any], Callable[[], dict[str, Any]]]:
    """One part of the method on a prepared stack, and what came of it."""
    from manabi.context import Context
    from manabi.slices.find import Settings, find_markers
    from manabi.slices.rules import find_by_rules
    from manabi.slices.stack import AxialStack
    from manabi.store import BundleStore

    stack = AxialStack.of(volume)
    bundle = BundleStore().get("slices-default", method="slices")
    network, settings = bundle.build_network(), Settings.of(bundle.facts["slices"])

    def work() -> Any:
        if name == "rules_only":
            return find_by_rules(stack)
        return find_markers(stack, network, settings, Context(device="cpu"), exhaustive=name == BASELINE)

    def finish() -> dict[str, Any]:
        out = work()
        if name == "rules_only":
            return {"slices": stack.n, "evaluated": 0}
        levels = {one.marker: one.index for one in out.found}
        return {"slices": stack.n, "evaluated": int(out.evaluated.sum()), **levels}

    return work, finish


def run(quick: bool = False) -> dict:
    """Measure the case; ``quick`` on 128x128 pixels and two rounds: a check that it works, not a figure."""
    from common import add_ratios, machine, race

    names = [BASELINE, "coarse_to_fine", "rules_only", WHOLE_RUN]
    arguments = ["--quick"] if quick else []
    described = machine()
    results = race(__file__, names, arguments, {}, 2 if quick else 5)
    add_ratios(results, BASELINE)
    return {"machine": described, "cases": {"chest_300": results}}


def main() -> None:
    """Run and print, or serve as one of the contestants."""
    from common import print_cases, quick_or_contestant

    quick, name = quick_or_contestant(__doc__)
    if name:
        contestant(name, "chest_300", quick)
        return
    columns = ("best_s", "median_s", "ratio_best", "ratio_median", "evaluated", "slices", "apex", "carina", "diaphragm")
    print_cases(run(quick), BASELINE, columns)


if __name__ == "__main__":
    main()
