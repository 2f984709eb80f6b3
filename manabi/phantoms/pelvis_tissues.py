"""Tissues of the simulated pelvis: density at kilovoltage, iodine, texture, label and code."""

from __future__ import annotations

from manabi.phantoms.head_neck_tissues import SHELL, Tissue
from manabi.result import Code, Segment

PROSTATE, VESICLES, BLADDER, RECTUM = range(1, 5)
ORGANS = (PROSTATE, VESICLES, BLADDER, RECTUM)
BONE, FEMUR, MUSCLE, FAT, BOWEL, VESSEL, SKIN, SOFT, METAL = range(5, 14)

MARROW = (("grain", 34.0), ("mottle", 52.0))
TISSUES: dict[str, Tissue] = {
    "air": Tissue(-1000.0),
    "skin": Tissue(15.0, SKIN, 0.06, (("grain", 8.0),)),
    "fat": Tissue(-105.0, FAT, 0.01, (("mottle", 4.0), ("septa", 14.0))),
    "pelvic_fat": Tissue(-100.0, FAT, 0.02, (("mottle", 7.0), ("septa", 34.0), ("grain", 5.0))),
    "fascia": Tissue(15.0, SOFT, 0.1),
    "muscle": Tissue(54.0, MUSCLE, 0.09, (("fibre", 12.0), ("mottle", 5.0), ("grain", 4.0))),
    "soft": Tissue(42.0, SOFT, 0.2, (("mottle", 5.0),)),
    "cord": Tissue(5.0, SOFT, 0.3, (("grain", 25.0),)),
    "bulb": Tissue(48.0, SOFT, 0.35, (("mottle", 4.0),)),
    "cortical": Tissue(1150.0, BONE, 0.0, SHELL),
    "thin_bone": Tissue(800.0, BONE, 0.0, (("mottle", 110.0),)),
    "spongiosa": Tissue(115.0, BONE, 0.06, MARROW),
    "sacral_bone": Tissue(140.0, BONE, 0.06, MARROW),
    "vertebra": Tissue(170.0, BONE, 0.06, (("grain", 24.0), ("mottle", 20.0))),
    "femur": Tissue(1250.0, FEMUR, 0.0, SHELL),
    "femur_head": Tissue(300.0, FEMUR, 0.05, (("grain", 26.0), ("mottle", 40.0))),
    "femur_marrow": Tissue(60.0, FEMUR, 0.05, (("grain", 26.0), ("mottle", 40.0))),
    "shaft_marrow": Tissue(-40.0, FEMUR, 0.05, (("mottle", 25.0),)),
    "cartilage": Tissue(85.0, SOFT, 0.03, (("mottle", 8.0),)),
    "theca": Tissue(12.0, SOFT),
    "blood": Tissue(42.0, VESSEL, 1.0),
    "plexus": Tissue(2.0, SOFT, 0.4, (("grain", 24.0), ("mottle", 14.0))),
    "prostate": Tissue(40.0, PROSTATE, 0.28, (("mottle", 3.0), ("grain", 1.5))),
    "vesicles": Tissue(35.0, VESICLES, 0.22, (("grain", 4.0), ("mottle", 2.5))),
    "bladder_wall": Tissue(32.0, BLADDER, 0.2, (("mottle", 3.0),)),
    "urine": Tissue(5.0, BLADDER),
    "rectal_wall": Tissue(40.0, RECTUM, 0.3, (("mottle", 4.0),)),
    "mucus": Tissue(28.0, RECTUM, 0.05, (("mottle", 7.0),)),
    "stool": Tissue(45.0, RECTUM, 0.0, (("septa", -110.0), ("grain", 22.0), ("mottle", 20.0))),
    "rectal_gas": Tissue(-1000.0, RECTUM),
    "bowel_wall": Tissue(40.0, BOWEL, 0.35, (("mottle", 4.0),)),
    "chyme": Tissue(22.0, BOWEL, 0.05, (("mottle", 8.0),)),
    "faeces": Tissue(-20.0, BOWEL, 0.0, (("septa", -210.0), ("grain", 70.0), ("mottle", 60.0))),
    "bowel_gas": Tissue(-1000.0, BOWEL),
    "polyethylene": Tissue(-90.0, SOFT),
    "foam": Tissue(-940.0, 0, 0.0, (("grain", 6.0),)),
    "carbon": Tissue(-30.0),
}


def _code(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


SEGMENTS = (
    Segment(PROSTATE, "Prostate", (0.9, 0.45, 0.2), _code("41216001", "Prostate")),
    Segment(VESICLES, "Seminal vesicles", (0.95, 0.8, 0.2), _code("64739004", "Seminal vesicle")),
    Segment(BLADDER, "Bladder", (0.3, 0.6, 0.95), _code("89837001", "Urinary bladder")),
    Segment(RECTUM, "Rectum", (0.6, 0.4, 0.25), _code("34402009", "Rectum")),
    Segment(BONE, "Pelvis and spine", (0.95, 0.9, 0.75), _code("272673000", "Bone")),
    Segment(FEMUR, "Femora", (0.85, 0.75, 0.5), _code("71341001", "Femur")),
    Segment(MUSCLE, "Muscle", (0.75, 0.3, 0.3), _code("71616004", "Skeletal muscle")),
    Segment(FAT, "Fat", (0.95, 0.85, 0.55), _code("55603005", "Adipose tissue")),
    Segment(BOWEL, "Other bowel", (0.7, 0.55, 0.4), _code("113276009", "Intestine")),
    Segment(VESSEL, "Blood vessels", (0.85, 0.2, 0.25), _code("59820001", "Blood vessel")),
    Segment(SKIN, "Skin", (0.95, 0.75, 0.65), _code("39937001", "Skin")),
    Segment(SOFT, "Other soft tissue", (0.8, 0.6, 0.6), _code("87784001", "Soft tissue")),
    Segment(METAL, "Hip prosthesis", (0.6, 0.6, 0.65), _code("260787004", "Physical object"),
            Code("260787004", "SCT", "Physical object")),
)  # fmt: skip
"""Every label of the map ``anatomy`` with its SNOMED CT code; the first four are those of ``organs``."""
