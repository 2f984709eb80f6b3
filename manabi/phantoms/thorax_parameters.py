"""What a simulated chest is drawn from; lengths in mm, in a frame whose origin is the carina (RAS axes)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Chest:
    """Size and shape of the chest.

    Attributes:
        female: sex; sets breasts and the statistics of the airway.
        size: scale of width and depth of the rib cage, 1 for the average.
        depth: further scale of its depth (barrel chests above 1).
        apex_right: height of the right lung's tip above the carina.
        apex_left: the same of the left lung.
        dome_right: how far below the carina the right diaphragm's top is.
        dome_left: the same of the left side.
        recess: how far the dome falls towards the ribs behind; the lungs' lowest parts are there.
        mediastinum: half width at the carina.
        vessels_up: how much higher than usual the great vessels lie over the carina.
        heart: scale of the heart, 1 for the average.
        fat: thickness of the fat below the skin.
        wall: thickness of the muscle over the ribs.
        arms: ``up``, ``down`` or ``one``.
        neck: half width of the neck.
        front_recess: how much less the dome falls in front than at the side; near 0, lung reaches as low in front.
        rear_recess: how much more it falls behind than at the side; negative where the bases behind are high.
        kyphosis: how much further back the spine is behind the heart.
        visceral: share of the abdomen between the organs that is fat, 0 to 1.
        uneven: standard deviation of the smooth random shift of the body's shapes.
        breast: how far a woman's breasts stand out.
        turn_deg: how far the patient lies turned about the long axis.
        couch: ``curved``, ``flat`` or ``none``.
        contrast_hu: blood's density; 40 without contrast medium.
        oesophagus_air: radius of the air in the oesophagus, 0 for none.
        oesophagus_air_z: height of that air.
        spread: how much further out than the shoulders raised arms reach, per 300 mm.
        bowel_gas: radius of the gas bubble below the left dome, 0 for none.
    """

    female: bool = False
    size: float = 1.0
    depth: float = 1.0
    apex_right: float = 85.0
    apex_left: float = 83.0
    dome_right: float = 108.0
    dome_left: float = 118.0
    recess: float = 64.0
    mediastinum: float = 30.0
    vessels_up: float = 0.0
    heart: float = 1.0
    fat: float = 14.0
    wall: float = 16.0
    arms: str = "up"
    neck: float = 62.0
    front_recess: float = 0.29
    rear_recess: float = 0.1
    kyphosis: float = 0.0
    visceral: float = 0.5
    uneven: float = 3.0
    breast: float = 25.0
    turn_deg: float = 0.0
    couch: str = "curved"
    contrast_hu: float = 40.0
    oesophagus_air: float = 0.0
    oesophagus_air_z: float = 14.0
    spread: float = 0.0
    bowel_gas: float = 25.0


@dataclass(frozen=True)
class Airway:
    """Trachea and bronchi; statistics after PLOS One (PLA General Hospital, 2,107 CTs) and Pol J Radiol 2011;76:28.

    Attributes:
        trachea: length of the trachea.
        diameter: its inner diameter.
        sabre: its width over its depth; below 0.7 a sabre-sheath trachea.
        angular: how far its section is a triangle with the base behind, 0 (round) to 1.
        lean_deg: tilt of the trachea to the right and to the back, degrees.
        right_main: length of the right main bronchus.
        left_main: the same of the left one.
        right_deg: angle of the right main bronchus against the trachea.
        left_deg: the same of the left one.
        right_diameter: inner diameter of the right main bronchus.
        left_diameter: the same of the left one.
        dilation: factor of the peripheral bronchi (traction bronchiectasis).
        diverticulum: radius of a pouch right behind the upper trachea, 0 for none.
        secretions: share of the lower trachea's lumen that is filled, 0 for none.
        tree_seed: draws the branching.
    """

    trachea: float = 104.9
    diameter: float = 17.0
    sabre: float = 0.95
    angular: float = 0.0
    lean_deg: tuple[float, float] = (2.0, 12.0)
    right_main: float = 13.6
    left_main: float = 48.3
    right_deg: float = 34.9
    left_deg: float = 42.5
    right_diameter: float = 13.5
    left_diameter: float = 11.6
    dilation: float = 1.0
    diverticulum: float = 0.0
    secretions: float = 0.0
    tree_seed: int = 0


@dataclass(frozen=True)
class Disease:
    """What is wrong with the lungs.

    Attributes:
        kind: a key of :data:`manabi.phantoms.thorax_disease.KINDS`.
        severity: 0 to 1.
        side: ``right``, ``left`` or ``both``, where the disease has a side.
        volume_loss: share by which the lungs are lower than they would be (raises the domes), up to 0.25.
        raised: how far one dome (of ``side``) is raised further.
        seed: draws the pattern.
    """

    kind: str = "normal"
    severity: float = 0.5
    side: str = "both"
    volume_loss: float = 0.0
    raised: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Scan:
    """The scanner.

    Attributes:
        pixel_mm: in the slice.
        matrix: rows and columns.
        slice_mm: distance and thickness of the slices.
        offset_mm: shift of the slices' places, below one slice.
        top_mm: how far the image reaches above the apex; negative where the chest is cut off.
        bottom_mm: how far it reaches below the lowest lung; negative likewise.
        place_mm: where the carina lies in the scanner, RAS.
        psf_mm: standard deviation of the blur in the slice.
        noise_hu: standard deviation of the noise.
        shift_hu: error of the calibration.
        subslices: planes that are averaged in each slice.
    """

    pixel_mm: float = 2.0
    matrix: int = 192
    slice_mm: float = 4.0
    offset_mm: float = 0.0
    top_mm: float = 45.0
    bottom_mm: float = 60.0
    place_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    psf_mm: float = 0.85
    noise_hu: float = 18.0
    shift_hu: float = 0.0
    subslices: int = 2


@dataclass(frozen=True)
class ThoraxParameters:
    """Everything a chest is rebuilt from.

    Attributes:
        chest: anatomy.
        airway: trachea and bronchi.
        disease: of the lungs.
        scan: the scanner.
        texture_seed: draws vessels, small structures and noise.
        reader_slices: by how many slices a reader's marks differ from the truth (apex, carina, diaphragm).
    """

    chest: Chest = field(default_factory=Chest)
    airway: Airway = field(default_factory=Airway)
    disease: Disease = field(default_factory=Disease)
    scan: Scan = field(default_factory=Scan)
    texture_seed: int = 0
    reader_slices: tuple[int, int, int] = (0, 0, 0)
