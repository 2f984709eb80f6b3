"""What the pages of the experiments share: their parts in order, the pictures that are there, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from manabi.io.atomic import atomic_file

Results = Mapping[str, Any]


def write_page(
    results: Results,
    folder: Path,
    name: str,
    draw: Callable[[Results, Path], Any],
    text: Callable[[Results, set[str]], str],
) -> Path:
    """Draw the charts that follow from results.json into ``folder/images``, and write the page beside them.

    Args:
        results: of results.json.
        folder: of the page.
        name: file name of the page.
        draw: draws the charts into a folder.
        text: the page, from the results and the names of the pictures that are there: charts, and what the experiment
            drew itself.
    """
    folder = Path(folder)
    draw(results, folder / "images")
    pictures = {path.name for path in (folder / "images").glob("*.png")}
    with atomic_file(folder / name, overwrite=True) as aside:
        aside.write_text(text(results, pictures), encoding="utf-8")
    return folder / name


def parts(
    results: Results,
    titles: Mapping[str, str],
    writers: Mapping[str, Callable[[Results], Sequence[str]]],
    made_with: Callable[[str, Results], str],
) -> list[str]:
    """The lines of every part that was run: heading, what it was made with, and what its writer says."""
    lines: list[str] = []
    for part, write in writers.items():
        if part in results:
            lines += [f"## {titles[part]}", "", made_with(part, results[part]["about"]), "", *write(results[part])]
    return lines


def shown(lines: Sequence[str], pictures: set[str]) -> str:
    """The text without the pictures that are not there."""
    kept = [line for line in lines if not line.startswith("![") or line.rsplit("/", 1)[-1].rstrip(")") in pictures]
    return "\n".join(kept).rstrip() + "\n"
