"""The list of methods and phantoms. Adding one is adding a line; nothing is imported until it is used."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from manabi.errors import InvalidInputError

if TYPE_CHECKING:
    from manabi.method import Method
    from manabi.phantoms.base import Phantom


@dataclass(frozen=True)
class Entry:
    """One line of the registry.

    Attributes:
        name: short name, as on the command line.
        title: what users see.
        target: ``module:attribute``.
        summary: one sentence.
        package: folder under ``manabi``; the same name is used for ``Training`` and the docs page.
    """

    name: str
    title: str
    target: str
    summary: str
    package: str = ""

    def load(self) -> Any:
        """Import and return what the entry names."""
        module, _, attribute = self.target.partition(":")
        return getattr(import_module(module), attribute)


METHODS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "spect",
            "SPECTDenoise",
            "manabi.spect.method:SPECTDenoise",
            "5-minute dopamine-transporter SPECT to 25-minute quality, with binding ratios before and after",
            "spect",
        ),
    )
}

PHANTOMS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "striatum",
            "DAT-SPECT striatum",
            "manabi.phantoms.striatum:StriatumPhantom",
            "a head with striata of grade 1 to 4, its 5- and 25-minute 123I-ioflupane SPECT, and the truth",
        ),
    )
}


def method(name: str) -> Method[Any]:
    """A new instance of a method; raises InvalidInputError for an unknown name."""
    if name not in METHODS:
        raise InvalidInputError(f"Unknown method {name!r}. Known: {', '.join(METHODS)}. See: manabi list")
    return METHODS[name].load()()


def phantom(name: str) -> Phantom[Any]:
    """A new instance of a phantom; raises InvalidInputError for an unknown name."""
    if name not in PHANTOMS:
        raise InvalidInputError(f"Unknown phantom {name!r}. Known: {', '.join(PHANTOMS)}. See: manabi list")
    return PHANTOMS[name].load()()
