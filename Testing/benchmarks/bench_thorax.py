"""Simulated chests per second: a batch at 4 mm side by side on all cores, against one after the other on one thread.

Both render the same sixteen chests, drawn with all diseases, and must give the same volumes.
"""

from __future__ import annotations

import hashlib
from typing import Any

BASELINE = "one_thread"
CHESTS = 16


def contestant(name: str, quick: bool) -> None:
    """Serve one contestant."""
    import torch
    from common import serve

    from manabi.context import Context
    from manabi.phantoms.base import case_rng
    from manabi.phantoms.thorax import ThoraxPhantom

    phantom = ThoraxPhantom()
    small: dict[str, Any] = {"pixel_mm": 5.0, "matrix": 80} if quick else {}
    count = 2 if quick else CHESTS
    drawn = [phantom.sample_parameters(case_rng(12, n), slice_mm=4.0, **small) for n in range(count)]
    if name == BASELINE:
        torch.set_num_threads(1)

    def work() -> Any:
        if name == BASELINE:
            return [phantom.render(one, Context(device="cpu")) for one in drawn]
        return phantom.render_batch(drawn, Context(device="cpu"))

    def finish() -> dict[str, Any]:
        digest = hashlib.sha256()
        for case in work():
            digest.update(case.volumes["ct"].array.tobytes())
        return {"chests": count, "same": digest.hexdigest()[:12]}

    serve(work, finish)


def run(quick: bool = False) -> dict:
    """Measure; ``quick`` on two tiny chests and two rounds: a check that it works, not a figure."""
    from common import add_ratios, machine, race

    described = machine()
    results = race(__file__, [BASELINE, "batch"], ["--quick"] if quick else [], {}, 2 if quick else 3)
    add_ratios(results, BASELINE)
    for record in results.values():
        record["per_second"] = round(record["chests"] / record["best_s"], 2)
    return {"machine": described, "cases": {"chests": results}}


def main() -> None:
    """Run and print, or serve as one of the contestants."""
    from common import print_cases, quick_or_contestant

    quick, name = quick_or_contestant(__doc__)
    if name:
        contestant(name, quick)
        return
    columns = ("best_s", "median_s", "ratio_best", "ratio_median", "per_second", "peak_mb", "same")
    print_cases(run(quick), BASELINE, columns)


if __name__ == "__main__":
    main()
