"""What the words and numbers of a header say: part of the body, MR contrast, localizers.

The vocabularies are ours, from the code lists of DICOM (PS3.16 CID 4031 and the defined terms of BodyPartExamined) and
from what scanners and hospitals write, in English and Japanese. They are tests of a draft that a person sees.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

SCOUT = re.compile(r"localizer|localiser|\bscout|topogram|scanogram|\bsurvey\b|surview|位置決め")
REGION_WORDS = {
    "head": r"\bhead|brain|skull|crani|cerebr|\bneuro|orbit|sella|pituitar|striat|頭|脳",
    "neck": r"\bneck|larynx|pharynx|thyroid|頸部|咽頭|喉頭|甲状腺",
    "chest": r"chest|thorax|thoracic(?! ?spine)|\blung|pulmon|torso|trunk|mediastin|sternum|clavicle|\bribs?\b|胸部|肺",
    "heart": r"\bheart|cardiac|coronar|心臓|冠動脈",
    "breast": r"breast|mammo|乳",
    "abdomen": r"abd(?:omen|omin|\b|pel)|liver|kidney|renal|pancrea|biliar|mrcp|spleen|腹|肝|腎|膵",
    "pelvis": r"pelvi|prostat|bladder|rectum|rectal|uter[ui]|\bhips?\b|骨盤|前立腺|直腸|膀胱|子宮",
    "spine": r"spine|spinal|lumbar|vertebr|脊|椎",
    "limbs": r"knee|ankle|\bfoot|\bfeet|\bhand|wrist|elbow|shoulder|femur|tibia|extremit|膝|足関節|手関節|肩",
    "whole body": r"whole ?body|full ?body|全身",
}
_REGIONS = {region: re.compile(pattern) for region, pattern in REGION_WORDS.items()}
CONTRAST_WORDS = (
    ("diffusion", r"\bdwi|diffus|\badc\b|\bdti\b|tensor|trace ?w|\bep2d diff|拡散"),
    ("functional", r"\bbold\b|\bfmri\b|resting ?state"),
    ("perfusion", r"perf|\bdsc\b|\bdce\b|\bp?c?asl\b|灌流"),
    ("angiography", r"\bmra\b|\btof\b|angio|\b3d ?pc\b|血管"),
    ("FLAIR", r"flair|dark ?fl|\btirm"),
    ("susceptibility", r"\bswi\b|\bswan\b|suscept|t2 ?\*|t2 ?star|hemo"),
    ("heavily T2", r"\bciss|fiesta|\bdrive\b|cistern|heavily|\bbffe|hydrogra"),
    ("T1 with contrast agent", r"(?:t1|mprage|spgr|bravo).*(?:\bgd\b|\bgad|\bce\b|post|\bc\+|\+ ?c\b|enhanc|造影)"),
    ("T1", r"t1|mp2?rage|f?spgr|\bbravo|\btfl"),
    ("T2", r"t2"),
    ("proton density", r"\bpd\b|pd ?w|proton|\bdp\b"),
)
_CONTRASTS = tuple((contrast, re.compile(pattern)) for contrast, pattern in CONTRAST_WORDS)
ENHANCED_CONTRASTS = {
    "DIFFUSION": "diffusion", "FLUID_ATTENUATED": "FLAIR", "PERFUSION": "perfusion", "PROTON_DENSITY": "proton density",
    "T1": "T1", "T2": "T2", "T2_STAR": "susceptibility", "TOF": "angiography",
}  # fmt: skip
"""Values of AcquisitionContrast (DICOM PS3.3 C.8.13.3.1), which enhanced MR has."""


def plain_words(texts: Iterable[str]) -> str:
    """Texts in small letters with blanks between their words, as patterns expect them; ``|`` between the texts."""
    joined = " | ".join(text for text in texts if text).casefold()
    return re.sub(r"[\s_\-^./]+", " ", joined)


def regions_in(words: str) -> set[str]:
    """The parts of the body that a text names."""
    return {region for region, pattern in _REGIONS.items() if pattern.search(words)}


def contrast_in(words: str) -> str:
    """The MR contrast that a text names; empty where it names none."""
    return next((contrast for contrast, pattern in _CONTRASTS if pattern.search(words)), "")


def contrast_of_times(repetition_ms: float | None, echo_ms: float | None, inversion_ms: float | None) -> str:
    """The MR contrast that the times of a sequence make likely; empty where they leave it open.

    The limits are ours, from the usual ranges at 1.5 and 3 T: an inversion time above 1,500 ms with a long echo nulls
    fluid (FLAIR), a shorter one with a short echo is a T1 gradient echo (MPRAGE).
    """
    if echo_ms is None:
        return ""
    if inversion_ms:
        return "FLAIR" if inversion_ms > 1500 and echo_ms > 70 else "T1" if echo_ms < 30 else ""
    return "" if repetition_ms is None else _contrast_without_inversion(repetition_ms, echo_ms)


def _contrast_without_inversion(repetition_ms: float, echo_ms: float) -> str:
    if repetition_ms < 1000:
        return "T1" if echo_ms < 25 else ""
    if repetition_ms < 2000:
        return ""
    return "T2" if echo_ms >= 70 else "proton density" if echo_ms < 40 else ""


_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d[-/.]?(?:0[1-9]|1[0-2])[-/.]?(?:0[1-9]|[12]\d|3[01])(?!\d)")


def without_names(text: str, names: Iterable[str]) -> str:
    """A description without dates and without what identifies its patient: people write names into any field.

    Args:
        text: a description of a header.
        names: the patient's name, numbers and dates as the header has them; their parts of two characters and more are
            removed where they stand as words of their own, and anywhere where they are not in Latin letters.
    """
    parts = {part for name in names for part in re.split(r"[\s^=,]+", name) if len(part) > 1}
    for part in sorted(parts, key=len, reverse=True):
        pattern = re.escape(part)
        if part.isascii():
            pattern = rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"
        text = re.sub(pattern, "[removed]", text, flags=re.IGNORECASE)
    return _DATE.sub("[date]", text)
