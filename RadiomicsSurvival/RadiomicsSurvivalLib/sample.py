"""The simulated patient with the outline of the tumour, and what the simulation knows of both."""

from __future__ import annotations

from manabi_slicer import sample_data

TITLE = "Lung tumour (simulated)"
SAMPLE = sample_data.Sample(
    title="LungTumour",
    phantom="tumour",
    volumes={"ct": TITLE},
    module="RadiomicsSurvival",
    modality="CT",
    units="HU",
    labelmaps={"tumour": f"{TITLE} segmentation"},
)
"""A simulated patient's tumour of the lung in CT, and its true outline."""
CLINICAL = ("age_years", "sex", "stage")
"""What the simulation knows of its patient that a model may ask for."""


def clinical() -> dict[str, str]:
    """What the simulation knows of its patient."""
    known = sample_data.truth(SAMPLE)
    return {name: str(known[name]) for name in CLINICAL if known.get(name) is not None}


def volume_ml() -> float:
    """True volume of the sample's tumour."""
    return float(sample_data.truth(SAMPLE)["volume_ml"])
