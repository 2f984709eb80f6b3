"""``slicer.parameterNodeWrapper``; parameter packs are not in the stand-in."""

from __future__ import annotations

from types import ModuleType

from slicer_standin.parameters.serializers import split
from slicer_standin.parameters.validators import PUBLIC
from slicer_standin.parameters.wrapper import PROPERTY, isParameterNodeWrapper, parameterNodeWrapper


def make_module() -> ModuleType:
    """The module, as Slicer's Python imports it."""
    module = ModuleType("slicer.parameterNodeWrapper", "A stand-in.")
    members = {one.__name__: one for one in (*PUBLIC, parameterNodeWrapper, isParameterNodeWrapper)}
    vars(module).update(members, SlicerParameterNamePropertyName=PROPERTY, unannotatedType=lambda t: split(t)[0])
    return module
