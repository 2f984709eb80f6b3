"""Pieces of the survival experiment's page that its sections share."""

from __future__ import annotations

from collections.abc import Sequence


def triple(values: Sequence[float | None], digits: int = 3) -> str:
    """A number with its interval; a dash where there is none."""
    value, low, high = values
    if value is None:
        return "–"
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def picture(name: str, words: str) -> list[str]:
    """A picture of the page."""
    return [f"![{words}](images/{name})", ""]
