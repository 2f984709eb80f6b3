"""Everything a tumour phantom is rebuilt from."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Lesion:
    """The tumour.

    Attributes:
        volume_ml: true volume.
        length_mm: correlation length of its texture.
        density_hu: mean of the solid part (CT).
        texture_hu: standard deviation of the texture (CT).
        lobes: number of lobes.
        lobulation: 0 (smooth) to 1 (deeply lobulated).
        elongation: relative axes before the lobes (slices, rows, columns).
        spicules: number of strands that run from its edge into the lung.
        halo_mm: width of the ground-glass rim, 0 for none.
        shrink_per_week: rate of the exponential shrinking under treatment.
        seed: draws shape and texture.
    """

    volume_ml: float = 10.0
    length_mm: float = 3.5
    density_hu: float = 20.0
    texture_hu: float = 25.0
    lobes: int = 6
    lobulation: float = 0.5
    elongation: tuple[float, float, float] = (1.0, 1.0, 1.0)
    spicules: int = 0
    halo_mm: float = 0.0
    shrink_per_week: float = 0.08
    seed: int = 0


@dataclass(frozen=True)
class Lung:
    """What lies round a tumour of the lung.

    Attributes:
        parenchyma_hu: mean of the lung.
        emphysema: 0 to 1.
        wall_mm: from the tumour's centre to the pleura; beyond the image there is none.
        wall_deg: direction of the wall in the axial plane, 0 to the patient's left, 90 to the back.
        ribs: whether the wall has ribs.
        vessels: number of vessels that enter the crop.
        fissure: whether an interlobar fissure crosses it.
        seed: draws vessels, ribs and mottle.
    """

    parenchyma_hu: float = -850.0
    emphysema: float = 0.1
    wall_mm: float = 30.0
    wall_deg: float = 0.0
    ribs: bool = True
    vessels: int = 18
    fissure: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Scan:
    """The scanner.

    Attributes:
        centre: whose scanner it is.
        pixel_mm: in the slice.
        slice_mm: distance and thickness of the slices.
        psf_mm: standard deviation of the blur in the slice.
        sharpness: how much the kernel enhances edges, 0 for none.
        noise_hu: standard deviation of the noise (CT); share of white matter's signal times 1000 (MR).
        shift_hu: error of the calibration.
        field_mm: side of the cube that is shown.
        seed: draws the noise.
    """

    centre: str = "A"
    pixel_mm: float = 0.8
    slice_mm: float = 2.0
    psf_mm: float = 0.6
    sharpness: float = 0.0
    noise_hu: float = 15.0
    shift_hu: float = 0.0
    field_mm: float = 96.0
    seed: int = 0


@dataclass(frozen=True)
class Patient:
    """Who has the tumour, and the truth of the outcome; see :mod:`manabi.phantoms.tumour_survival`.

    Attributes:
        z: standardised log correlation length.
        v: standardised log volume.
        response: standardised log rate of shrinking.
        age_years: at the start of treatment.
        sex: ``F`` or ``M``.
        stage: by size.
        hazard_texture: part of the log hazard.
        hazard_volume: part of the log hazard.
        hazard_clinical: part of the log hazard.
        hazard_centre: part of the log hazard.
        hazard_response: part of the log hazard.
        time_days: to death or censoring.
        event: 1 for death, 0 for censoring.
    """

    z: float = 0.0
    v: float = 0.0
    response: float = 0.0
    age_years: float = 76.0
    sex: str = "M"
    stage: str = "IA3"
    hazard_texture: float = 0.0
    hazard_volume: float = 0.0
    hazard_clinical: float = 0.0
    hazard_centre: float = 0.0
    hazard_response: float = 0.0
    time_days: int = 1
    event: int = 0


@dataclass(frozen=True)
class Glioma:
    """A tumour of the brain in MR; ``grade`` is 0 where the case is one of the lung.

    Attributes:
        grade: 3 or 4 (WHO III and IV).
        enhancement: of the rim in CE-T1, as a multiple of white matter's signal that is added.
        rim_mm: thickness of the enhancing rim.
        necrosis: share of the volume that is a necrotic core.
        oedema_mm: width of the oedema.
        midline_mm: from the tumour's centre to the falx.
    """

    grade: int = 0
    enhancement: float = 0.5
    rim_mm: float = 4.0
    necrosis: float = 0.2
    oedema_mm: float = 8.0
    midline_mm: float = 30.0


@dataclass(frozen=True)
class TumourParameters:
    """Everything a case is rebuilt from.

    Attributes:
        modality: ``ct`` or ``mr``.
        weeks: cone-beam CTs after the planning CT, one a week.
        lesion: the tumour.
        lung: what lies round it in CT.
        scan: the scanner.
        patient: who has it.
        glioma: what MR shows.
    """

    modality: str = "ct"
    weeks: int = 0
    lesion: Lesion = field(default_factory=Lesion)
    lung: Lung = field(default_factory=Lung)
    scan: Scan = field(default_factory=Scan)
    patient: Patient = field(default_factory=Patient)
    glioma: Glioma = field(default_factory=Glioma)
