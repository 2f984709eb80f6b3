"""Names of structures: what is an organ however it is typed, and what only looks like one."""

from __future__ import annotations

import pytest

from manabi.errors import InvalidInputError
from manabi.io.dicom.structure_list import Roi
from manabi.pelvis.structures import PELVIS
from Training.rtstruct_names import NameRules, match

RULES = NameRules.of(PELVIS)
SAID = {
    "Prostate": "prostate", "PROSTATE": "prostate", " prostate ": "prostate", "前立腺": "prostate",
    "o_Prostate": "prostate", "Prostate_01": "prostate", "SV": "seminal_vesicles", "ＳＶ": "seminal_vesicles",
    "SeminalVesicles": "seminal_vesicles", "Seminal_Vesicle": "seminal_vesicles", "seminal vesicles":
    "seminal_vesicles", "SeminalVes": "seminal_vesicles", "精嚢": "seminal_vesicles", "精囊": "seminal_vesicles",
    "Bladder": "bladder", "UrinaryBladder": "bladder", "膀胱": "bladder", "Rectum": "rectum", "直腸": "rectum",
    "OAR Rectum": "rectum",
}  # fmt: skip
OTHERS = (
    "PTV_Prostate", "CTV_Prostate", "CTVp", "ProstateBed", "Prostate+SV", "Bladder_wall", "膀胱壁", "Rectum-PTV",
    "Rectum_L", "Bladder_opt", "SV_prox", "Prostate_auto", "Penile bulb", "", "1", "L", "o_", "PTV SV",
)  # fmt: skip


def found(*named: str | tuple[str, int], rules: NameRules = RULES) -> dict[str, tuple[int, ...]]:
    """Numbers by organ of structures with three contours each unless another count is given."""
    pairs = [(name, 3) if isinstance(name, str) else name for name in named]
    rois = [Roi(number, name, count) for number, (name, count) in enumerate(pairs, 1)]
    return {organ: one.numbers for organ, one in match(rois, rules).items() if one.numbers}


@pytest.mark.parametrize(("name", "organ"), SAID.items())
def test_an_organ_is_found_however_it_is_typed(name: str, organ: str) -> None:
    assert found(name) == {organ: (1,)}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_the_whole_organ_is_left_alone(name: str) -> None:
    assert found(name) == {}


def test_a_target_volume_counts_only_on_demand_and_never_before_the_organ() -> None:
    asked = NameRules.of(PELVIS, ctv=True)
    for name in ("CTV_Prostate", "CTVProstate", "ctv prostate", "CTV1_Prostate"):
        assert found(name) == {} and found(name, rules=asked) == {"prostate": (1,)}
    assert found("CTV_Prostate", "o_Prostate", rules=asked) == {"prostate": (2,)}
    assert found("PTV_Prostate", "CTV_Prostate+SV", rules=asked) == {}


def test_both_sides_of_the_vesicles_are_taken_together_and_one_alone_is_not() -> None:
    assert found("SV_L", "Bladder", "SV_R") == {"seminal_vesicles": (1, 3), "bladder": (2,)}
    assert found("左精嚢", "右精嚢") == {"seminal_vesicles": (1, 2)}
    assert found("SV_L", "SV_R", "SV") == {"seminal_vesicles": (3,)}
    assert match([Roi(1, "SV_L", 2)], RULES)["seminal_vesicles"].why == "only one side is drawn"


def test_the_plain_name_goes_before_others_and_equals_are_left_to_a_person() -> None:
    assert found("o_Bladder", "Bladder") == {"bladder": (2,)}
    assert found("Bladder", "bladder") == {}
    why = match([Roi(4, "Bladder", 2), Roi(9, "BLADDER", 2)], RULES)["bladder"].why
    assert "#4, #9" in why and "choose one" in why


def test_a_structure_without_contours_is_none() -> None:
    assert found(("Rectum", 0), "rectum_1") == {"rectum": (2,)}
    assert match([Roi(1, "Rectum", 0)], RULES)["rectum"].why == "its structure has no closed contours"
    assert match([], RULES)["rectum"].why == "no structure of that name"


def test_a_site_adds_names_of_its_own_that_stand_for_one_organ() -> None:
    assert found("Vejiga", rules=NameRules.of(PELVIS, more={"bladder": ["vejiga"]})) == {"bladder": (1,)}
    with pytest.raises(InvalidInputError, match="stands for another organ"):
        NameRules.of(PELVIS, more={"bladder": ["Rectum"]})
    with pytest.raises(InvalidInputError, match="expected prostate"):
        NameRules.of(PELVIS, more={"liver": ["liver"]})
