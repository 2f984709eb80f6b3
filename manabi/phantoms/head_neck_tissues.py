"""Tissues of the simulated head and neck: density at kilovoltage, iodine, texture, label and code."""

from __future__ import annotations

from dataclasses import dataclass

from manabi.result import Code, Segment


@dataclass(frozen=True)
class Tissue:
    """What a part is made of.

    Attributes:
        hu: density in HU at kilovoltage without contrast medium (typical of planning CT; our choice).
        label: value in the label map, 0 for none.
        iodine: HU that iodine adds in blood's venous phase, over the vessels' (1 for blood).
        texture: amplitudes in HU by field: ``grain`` (fine), ``mottle`` (coarse), ``fibre`` (streaks along the body),
            ``septa`` (thin sheets).
    """

    hu: float
    label: int = 0
    iodine: float = 0.0
    texture: tuple[tuple[str, float], ...] = ()


FIELDS = ("grain", "mottle", "fibre", "septa")
BONE, MANDIBLE, VERTEBRA, TEETH, BRAIN, CORD, PAROTID, SUBMANDIBULAR, MUSCLE, FAT, AIRWAY, THYROID = range(1, 13)
OESOPHAGUS, EYE, VESSEL, LUNG, LARYNX, LESION, METAL, SKIN, SOFT = range(13, 22)

MARROW = (("grain", 75.0), ("mottle", 45.0))
SHELL = (("mottle", 90.0), ("grain", 40.0))
TISSUES: dict[str, Tissue] = {
    "air": Tissue(-1000.0),
    "airway": Tissue(-1000.0, AIRWAY),
    "skin": Tissue(20.0, SKIN, 0.06, (("grain", 8.0),)),
    "fat": Tissue(-102.0, FAT, 0.01, (("mottle", 5.0), ("septa", 30.0))),
    "fascia": Tissue(10.0, SOFT, 0.1),
    "muscle": Tissue(57.0, MUSCLE, 0.09, (("fibre", 7.0), ("mottle", 3.5), ("grain", 2.0))),
    "tongue": Tissue(58.0, MUSCLE, 0.14, (("septa", -13.0), ("mottle", 6.0))),
    "soft": Tissue(45.0, SOFT, 0.2, (("mottle", 5.0),)),
    "mucosa": Tissue(40.0, SOFT, 0.35, (("mottle", 5.0),)),
    "cortical": Tissue(1280.0, BONE, 0.0, SHELL),
    "diploe": Tissue(640.0, BONE, 0.05, (("grain", 120.0), ("mottle", 110.0))),
    "thin_bone": Tissue(720.0, BONE, 0.0, (("mottle", 120.0),)),
    "petrous": Tissue(1650.0, BONE, 0.0, SHELL),
    "spongiosa": Tissue(330.0, BONE, 0.06, MARROW),
    "jaw": Tissue(1420.0, MANDIBLE, 0.0, SHELL),
    "jaw_marrow": Tissue(360.0, MANDIBLE, 0.05, (("grain", 110.0), ("mottle", 90.0))),
    "vertebra": Tissue(920.0, VERTEBRA, 0.0, SHELL),
    "vertebra_marrow": Tissue(320.0, VERTEBRA, 0.06, MARROW),
    "disc": Tissue(88.0, SOFT, 0.03, (("mottle", 8.0),)),
    "dentine": Tissue(1750.0, TEETH, 0.0, (("mottle", 60.0),)),
    "enamel": Tissue(2650.0, TEETH),
    "pulp": Tissue(150.0, TEETH),
    "white": Tissue(28.0, BRAIN, 0.02, (("mottle", 1.2),)),
    "grey": Tissue(37.0, BRAIN, 0.04, (("mottle", 1.2),)),
    "csf": Tissue(8.0, BRAIN, 0.0),
    "stem": Tissue(30.0, BRAIN, 0.03),
    "cord": Tissue(38.0, CORD, 0.02),
    "theca": Tissue(12.0),
    "pituitary": Tissue(50.0, BRAIN, 0.6),
    "dura": Tissue(60.0, 0, 0.5),
    "vitreous": Tissue(12.0, EYE),
    "sclera": Tissue(45.0, EYE, 0.1),
    "lens": Tissue(85.0, EYE),
    "parotid": Tissue(0.0, PAROTID, 0.2, (("septa", -45.0), ("mottle", 14.0))),
    "submandibular": Tissue(45.0, SUBMANDIBULAR, 0.35, (("mottle", 9.0), ("grain", 4.0))),
    "thyroid": Tissue(105.0, THYROID, 0.6, (("mottle", 10.0),)),
    "cartilage": Tissue(105.0, LARYNX, 0.02, (("mottle", 45.0), ("grain", 25.0))),
    "ossified": Tissue(420.0, LARYNX, 0.02, (("mottle", 170.0), ("grain", 60.0))),
    "oesophagus": Tissue(40.0, OESOPHAGUS, 0.15, (("mottle", 6.0),)),
    "blood": Tissue(44.0, VESSEL, 1.0),
    "node": Tissue(42.0, SOFT, 0.3),
    "lung": Tissue(-800.0, LUNG, 0.03, (("mottle", 18.0), ("grain", 14.0))),
    "lung_vessel": Tissue(20.0, LUNG, 0.8),
    "hair": Tissue(20.0),
    "lesion": Tissue(50.0, LESION, 0.25, (("mottle", 4.0),)),
    "foam": Tissue(-930.0, 0, 0.0, (("grain", 6.0),)),
    "shell": Tissue(80.0),
    "carbon": Tissue(-120.0),
}


def _code(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


SEGMENTS = (
    Segment(BONE, "Skull and other bone", (0.95, 0.9, 0.75), _code("272673000", "Bone")),
    Segment(MANDIBLE, "Mandible", (0.85, 0.75, 0.5), _code("91609006", "Mandible")),
    Segment(VERTEBRA, "Vertebrae", (0.9, 0.8, 0.6), _code("51282000", "Vertebra")),
    Segment(TEETH, "Teeth", (1.0, 1.0, 0.9), _code("38199008", "Tooth")),
    Segment(BRAIN, "Brain", (0.75, 0.65, 0.7), _code("12738006", "Brain")),
    Segment(CORD, "Spinal cord", (0.95, 0.85, 0.3), _code("2748008", "Spinal cord")),
    Segment(PAROTID, "Parotid glands", (0.4, 0.75, 0.6), _code("45289007", "Parotid gland")),
    Segment(SUBMANDIBULAR, "Submandibular glands", (0.3, 0.6, 0.5), _code("385296007", "Submandibular gland")),
    Segment(MUSCLE, "Muscle", (0.75, 0.3, 0.3), _code("71616004", "Skeletal muscle")),
    Segment(FAT, "Fat", (0.95, 0.85, 0.55), _code("55603005", "Adipose tissue")),
    Segment(AIRWAY, "Airway and sinuses", (0.6, 0.85, 0.95), _code("89187006", "Airway")),
    Segment(THYROID, "Thyroid gland", (0.75, 0.45, 0.65), _code("69748006", "Thyroid")),
    Segment(OESOPHAGUS, "Oesophagus", (0.8, 0.65, 0.45), _code("32849002", "Esophagus")),
    Segment(EYE, "Eyes", (0.35, 0.5, 0.85), _code("81745001", "Eye")),
    Segment(VESSEL, "Blood vessels", (0.85, 0.2, 0.25), _code("59820001", "Blood vessel")),
    Segment(LUNG, "Lungs", (0.55, 0.75, 0.95), _code("39607008", "Lung")),
    Segment(LARYNX, "Laryngeal cartilages", (0.6, 0.7, 0.5), _code("4596009", "Larynx")),
    Segment(LESION, "Lesion", (0.95, 0.35, 0.1), _code("4147007", "Mass"),
            Code("49755003", "SCT", "Morphologically Altered Structure")),
    Segment(METAL, "Dental metal", (0.6, 0.6, 0.65), _code("260787004", "Physical object"),
            Code("260787004", "SCT", "Physical object")),
    Segment(SKIN, "Skin", (0.95, 0.75, 0.65), _code("39937001", "Skin")),
    Segment(SOFT, "Other soft tissue", (0.8, 0.6, 0.6), _code("87784001", "Soft tissue")),
)  # fmt: skip
"""Every label of the map ``anatomy`` with its SNOMED CT code."""
