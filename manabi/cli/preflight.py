"""``manabi preflight``."""

from __future__ import annotations

from manabi.cli import console
from manabi.cli.outcome import print_json
from manabi.preflight import preflight as look


def preflight(device: str, as_json: bool) -> None:
    """Print what a run on this device would find."""
    found = look(device)
    if as_json:
        print_json({**found.to_dict(), "lines": found.lines()})
        return
    for text in found.lines():
        console.line(text)
