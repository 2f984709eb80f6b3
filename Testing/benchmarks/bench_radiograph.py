"""Chest films per second: a chest projected for every film, against variations of a library's chests.

Both give films of 256 by 256 pixels with beam, scatter, noise and processing on one thread. ``project`` paints and
projects a chest for each film; ``library`` reads, varies and renders; ``pairs`` does so with a nodule's area density
added, and gives the film without and with it.
"""

from __future__ import annotations

import tempfile
from typing import Any

BASELINE = "project"
CHESTS, BATCH = 2, 16


def contestant(name: str, quick: bool) -> None:
    """Serve one contestant."""
    import numpy as np
    import torch
    from common import serve

    from manabi.phantoms.base import case_rng
    from manabi.phantoms.radiograph_chest import project
    from manabi.phantoms.radiograph_film import render_pair, sample_film
    from manabi.phantoms.radiograph_geometry import FilmGeometry
    from manabi.phantoms.radiograph_library import ChestLibrary
    from manabi.phantoms.radiograph_sampling import sample_chest
    from manabi.phantoms.radiograph_vary import vary

    torch.set_num_threads(1)
    geometry = FilmGeometry(64, 6.0) if quick else FilmGeometry()
    folder = tempfile.TemporaryDirectory()
    library = ChestLibrary.build(folder.name, CHESTS, 1, geometry) if name != BASELINE else None
    count = 1 if name == BASELINE else BATCH

    def films(chests: list[Any], rng: Any) -> Any:
        maps = torch.from_numpy(np.stack([chest.maps for chest in chests]))
        added = torch.zeros(len(chests), geometry.matrix, geometry.matrix)
        added[:, 20:30, 15:25] = 1.0
        drawn = [sample_film(rng) for _ in chests]
        seeds = list(range(len(chests)))
        return render_pair(maps, drawn, seeds, added if name == "pairs" else None, pixel_mm=geometry.pixel_mm)

    def work() -> Any:
        rng = case_rng(4, 0)
        if library is None:
            return films([project(sample_chest(rng), geometry)], rng)
        return films([vary(library[n % CHESTS], rng) for n in range(count)], rng)

    def finish() -> dict[str, Any]:
        return {"films": count, "mean_grey": round(float(work()[0].mean()), 4)}

    serve(work, finish)


def run(quick: bool = False) -> dict:
    """Measure; ``quick`` on small films and two rounds: a check that it works, not a figure."""
    from common import add_ratios, machine, race

    described = machine()
    names = [BASELINE, "library", "pairs"]
    results = race(__file__, names, ["--quick"] if quick else [], {}, 2 if quick else 3)
    for record in results.values():
        record["per_second"] = round(record["films"] / record["best_s"], 2)
    add_ratios(results, BASELINE)
    return {"machine": described, "cases": {"films": results}}


def main() -> None:
    """Run and print, or serve as one of the contestants."""
    from common import print_cases, quick_or_contestant

    quick, name = quick_or_contestant(__doc__)
    if name:
        contestant(name, quick)
        return
    columns = ("best_s", "median_s", "films", "per_second", "peak_mb", "mean_grey")
    print_cases(run(quick), BASELINE, columns)


if __name__ == "__main__":
    main()
