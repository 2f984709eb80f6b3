"""The list of methods and phantoms. Adding one is adding a line; nothing is imported until it is used."""

from __future__ import annotations

import os
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
        Entry(
            "slices",
            "SliceMarker",
            "manabi.slices.method:SliceMarker",
            "lung apex, carina and diaphragm of any chest CT with calibrated confidence, and representative slices",
            "slices",
        ),
        Entry(
            "brain",
            "BrainSeg",
            "manabi.brain.method:BrainSeg",
            "brain structures from any MR contrast, painted slices propagated to the volume, missing contrasts",
            "brain",
        ),
        Entry(
            "radiomics",
            "RadiomicsSurvival",
            "manabi.radiomics.method:RadiomicsSurvival",
            "radiomic features of any segments, a patient's risk against a cohort, models of cohorts without leaks",
            "radiomics",
        ),
        Entry(
            "mvct",
            "MVCTConvert",
            "manabi.mvct.method:MVCTConvert",
            "megavoltage or cone-beam CT to the quality of kilovoltage CT for contouring, with uncertainty and checks",
            "mvct",
        ),
        Entry(
            "nodule",
            "NoduleSynth",
            "manabi.nodule.method:NoduleSynth",
            "nodules on chest radiographs, by a detector that saw none but simulated ones; films with nodules at will",
            "nodule",
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
        Entry(
            "thorax",
            "Chest CT",
            "manabi.phantoms.thorax:ThoraxPhantom",
            "a chest with airways, vessels, bones and disease in CT, and the levels of apex, carina and diaphragm",
        ),
        Entry(
            "brain",
            "Head MR",
            "manabi.phantoms.brain:BrainPhantom",
            "a head in T1, T2, heavily T2-weighted, FLAIR or angiography, with its structures and arteries",
        ),
        Entry(
            "tumour",
            "Tumour in CT or MR",
            "manabi.phantoms.tumour:TumourPhantom",
            "a tumour of the lung or brain with known texture, volume and outcome, in CT, cone-beam CT or MR",
        ),
        Entry(
            "head_neck",
            "Head and neck CT",
            "manabi.phantoms.head_neck:HeadNeckPhantom",
            "a head and neck in megavoltage or cone-beam CT and in planning CT on the same grid, and the truth",
        ),
        Entry(
            "pelvis",
            "Pelvic CT",
            "manabi.phantoms.pelvis:PelvisPhantom",
            "a man's pelvis in planning CT, and the truth of prostate, seminal vesicles, bladder and rectum",
        ),
        Entry(
            "radiograph",
            "Chest radiograph",
            "manabi.phantoms.radiograph:RadiographPhantom",
            "a chest film with simulated nodules behind and before everything, and the truth of nodules and lungs",
        ),
    )
}


SITE_METHODS = "MANABI_METHODS"
"""Environment variable with a site's own methods: ``name=module:Class``, several separated by commas."""


def site_methods() -> dict[str, Entry]:
    """The methods that :data:`SITE_METHODS` adds; raises InvalidInputError where it cannot be read.

    The command line, the worker and the batch runner take them like the project's own. A name of the project's own
    methods cannot be taken over.
    """
    entries = {}
    for text in filter(None, (part.strip() for part in os.environ.get(SITE_METHODS, "").split(","))):
        name, equals, target = text.partition("=")
        if not equals or ":" not in target or name in METHODS:
            raise InvalidInputError(f"{SITE_METHODS}: expected new-name=module:Class; got {text!r}.")
        entries[name] = Entry(name, name, target, "a method of this site")
    return entries


def all_methods() -> dict[str, Entry]:
    """The project's own methods and the site's."""
    return {**METHODS, **site_methods()}


def method(name: str) -> Method[Any]:
    """A new instance of a method; raises InvalidInputError for an unknown name."""
    entries = METHODS if name in METHODS else all_methods()
    if name not in entries:
        raise InvalidInputError(f"Unknown method {name!r}. Known: {', '.join(entries)}. See: manabi list")
    return entries[name].load()()


def phantom(name: str) -> Phantom[Any]:
    """A new instance of a phantom; raises InvalidInputError for an unknown name."""
    if name not in PHANTOMS:
        raise InvalidInputError(f"Unknown phantom {name!r}. Known: {', '.join(PHANTOMS)}. See: manabi list")
    return PHANTOMS[name].load()()
