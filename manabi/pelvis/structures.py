"""What PelvicSeg finds: labels, names, colours, coded terms and plausible volumes.

The source (the last part of ``seeds/002``, Nakagawa's study) segments these four on planning CT. Labels are those of
the phantom :mod:`manabi.phantoms.pelvis`.
"""

from __future__ import annotations

from manabi.result import Code
from manabi.structures.structure_set import Structure, StructureSet

PELVIS = StructureSet((
    Structure("prostate", Code("41216001", "SCT", "Prostate"), (0.90, 0.45, 0.40), kept_share=0.2,
              plausible_ml=(10.0, 180.0)),
    Structure("seminal_vesicles", Code("64739004", "SCT", "Seminal vesicle"), (0.93, 0.75, 0.35),
              title="seminal vesicles", kept_share=0.15, plausible_ml=(1.5, 35.0)),
    Structure("bladder", Code("89837001", "SCT", "Urinary bladder"), (0.40, 0.70, 0.88), kept_share=0.2,
              plausible_ml=(15.0, 900.0)),
    Structure("rectum", Code("34402009", "SCT", "Rectum"), (0.66, 0.52, 0.34), kept_share=0.2,
              plausible_ml=(20.0, 300.0)),
))  # fmt: skip
"""What is dropped as stray, and what is plausible, is our choice; ranges are wide. Vesicles may be in two pieces."""
ORGANS = PELVIS.names
CLASSES = PELVIS.classes
"""Labels, as networks learn and results hold them; 0 is everything else."""
