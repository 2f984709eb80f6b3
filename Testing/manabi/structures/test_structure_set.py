"""A set of structures: labels, sides, segments, choices, and its way through JSON."""

import json

import pytest

from manabi.brain.structures import BRAIN
from manabi.errors import InvalidInputError
from manabi.pelvis.structures import PELVIS
from manabi.result import LEFT, RIGHT, Code
from manabi.structures.structure_set import Structure, StructureSet

KIDNEY = Structure("kidney", Code("64033007", "SCT", "Kidney"), (1.0, 0.5, 0.0), sided=True, plausible_ml=(80.0, 300.0))
LIVER = Structure("liver", Code("10200004", "SCT", "Liver"), (0.6, 0.3, 0.2), title="whole liver")


def test_sides_are_labels_of_their_own_and_classes_are_not():
    both = StructureSet((KIDNEY, LIVER))
    assert [(one.value, one.name) for one in both.labels] == [(1, "left kidney"), (2, "right kidney"), (3, "liver")]
    assert both.classes == {"kidney": 1, "liver": 2}


def test_segments_are_coded_named_and_darker_on_the_right():
    left, right, liver = StructureSet((KIDNEY, LIVER)).segments()
    assert (left.laterality, right.laterality, liver.laterality) == (LEFT, RIGHT, None)
    assert left.type == right.type == KIDNEY.code and liver.name == "whole liver"
    assert all(dark < bright for dark, bright in zip(right.color[:2], left.color[:2], strict=True))
    assert [one.label for one in StructureSet((KIDNEY, LIVER)).segments(("liver",))] == [3]


@pytest.mark.parametrize("known", [BRAIN, PELVIS, StructureSet((KIDNEY, LIVER))])
def test_a_set_comes_back_from_json(known):
    assert StructureSet.of(json.loads(json.dumps(known.to_list()))) == known


def test_a_choice_keeps_the_order_of_the_set():
    assert PELVIS.chosen("all") == PELVIS.names
    assert PELVIS.chosen(" rectum , prostate") == ("prostate", "rectum")
    for wrong in ("", "kidney", "rectum,kidney"):
        with pytest.raises(InvalidInputError, match="names of prostate"):
            PELVIS.chosen(wrong)


@pytest.mark.parametrize("names", [(), ("a", "a"), ("two words",), ("",)])
def test_names_must_tell_structures_apart(names):
    with pytest.raises(InvalidInputError, match="different names"):
        StructureSet(tuple(Structure(name, LIVER.code, LIVER.color) for name in names))


@pytest.mark.parametrize("change", [{"code": None}, {"color": [1.0]}, {"colour": 1}, {"plausible_ml": [1.0]}])
def test_a_configuration_that_lacks_something_is_refused(change):
    facts = {**LIVER.to_dict(), **change}
    with pytest.raises(InvalidInputError, match="A structure needs name, code"):
        StructureSet.of([facts])


def test_the_label_values_of_brainseg_stay_what_they_were():
    """Results, trained models and users' scripts hold them."""
    assert [(one.value, one.name) for one in BRAIN.labels] == [
        (1, "left cerebrum"), (2, "right cerebrum"), (3, "left cerebellum"), (4, "right cerebellum"), (5, "brainstem"),
        (6, "ventricles"), (7, "vessels"),
    ]  # fmt: skip
