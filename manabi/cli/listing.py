"""``manabi list``."""

from __future__ import annotations

from manabi import registry
from manabi.cli import console
from manabi.cli.outcome import print_json


def methods(as_json: bool) -> None:
    """List methods and phantoms from the registry, without importing them."""
    sections = {"methods": registry.all_methods(), "phantoms": registry.PHANTOMS}
    if as_json:
        print_json(
            {
                section: [{"name": e.name, "title": e.title, "summary": e.summary} for e in entries.values()]
                for section, entries in sections.items()
            }
        )
        return
    for section, entries in sections.items():
        rows = [(entry.name, entry.title, entry.summary) for entry in entries.values()]
        console.table(section.capitalize(), ("name", "title", "what it does"), rows)
