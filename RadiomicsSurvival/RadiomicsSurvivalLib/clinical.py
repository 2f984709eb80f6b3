"""What a model wants to know of the patient, read from its bundle without loading the model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from manabi.bundle import Bundle

ENCODER = "ClinicalEncoder"
NUMERIC = "numeric"


@dataclass(frozen=True)
class Field:
    """One clinical variable.

    Attributes:
        name: as the model has it.
        levels: values to choose from; empty for a number.
    """

    name: str
    levels: tuple[str, ...] = ()


def fields_of(bundle: Bundle | None) -> tuple[Field, ...]:
    """The clinical variables of a model; none without one, and of models that take none.

    Args:
        bundle: of RadiomicsSurvival.
    """
    if bundle is None:
        return ()
    wanted = [str(name) for name in facts_of(bundle).get("clinical", ())]
    known: dict[str, Field] = {}
    for encoder in _encoders(json.loads(str(bundle.network["arguments"].get("structure", "null")))):
        names, kinds, levels = (_items(encoder.get(key)) for key in ("names", "kinds", "levels"))
        for name, kind, those in zip(names, kinds, levels, strict=True):
            choices = () if kind == NUMERIC else tuple(str(level) for level in _items(those))
            known.setdefault(str(name), Field(str(name), choices))
    return tuple(known.get(name, Field(name)) for name in wanted)


def facts_of(bundle: Bundle | None) -> dict[str, Any]:
    """What the metadata says of a model beside its numbers: settings, groups, verdict, ...; empty without one."""
    return {} if bundle is None else dict(bundle.metadata["manabi"].get("radiomics", {}))


def model_text(bundle: Bundle | None) -> str:
    """What a model predicts, and what its own validation says, for the panel."""
    facts = facts_of(bundle)
    if not facts:
        return _("No model is on this computer yet. Fit one under Cohort, or install one under Models.")
    verdict = facts.get("verdict", {})
    said = [_("Predicts {outcome}.").format(outcome=facts.get("outcome", ""))]
    score = verdict.get("concordance")
    said.append(_("Out of fold: {score}.").format(score=score) if score else _("It was not validated."))
    if verdict.get("better_than_chance") is False:
        said.append(_("It is not shown to be better than chance."))
    if verdict.get("beats_volume") is False:
        said.append(_("It is not shown to be better than the volume alone."))
    if verdict.get("beats_clinical") is False:
        said.append(_("It is not shown to be better than the clinical data alone."))
    return " ".join(said)


def read(text: str) -> dict[str, str]:
    """Values by name from the parameter node's text; what cannot be read is left out."""
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    return {name.strip(): value.strip() for name, _equals, value in pairs}


def asked(fields: tuple[Field, ...], values: Mapping[str, str]) -> dict[str, str]:
    """Of the values those that the form shows: of the model's variables, and of their levels."""
    known = {field.name: values.get(field.name, "") for field in fields}
    return {field.name: known[field.name] for field in fields if not field.levels or known[field.name] in field.levels}


def reason(fields: tuple[Field, ...], values: Mapping[str, str]) -> str:
    """What is wrong with the values that were given, and what to do; empty where nothing is."""
    for field in fields:
        value = values.get(field.name, "")
        if value and not field.levels and not _is_number(value):
            text = _("{name} must be a number; {value} is none. Correct it, or leave it empty where it is not known.")
            return text.format(name=field.name, value=value)
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _encoders(node: Any) -> Iterator[Mapping[str, Any]]:
    """The parts of every encoder of clinical variables in a model's structure."""
    if isinstance(node, dict):
        if node.get("class") == ENCODER:
            yield node["parts"]
        for value in node.values():
            yield from _encoders(value)
    elif isinstance(node, list):
        for value in node:
            yield from _encoders(value)


def _items(node: Any) -> list[Any]:
    return list(node.get("items", ())) if isinstance(node, dict) else []
