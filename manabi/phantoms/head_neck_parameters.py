"""What a simulated head and neck is drawn from; lengths in mm, in a frame whose origin is the basion (RAS axes).

The atlas stands upright: the line from ear canal to lower orbital rim is level. The hard palate lies at z = -6, the
vertex at 143, the chin at -82, the larynx at -95, the tips of the lungs at -165.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Build:
    """Size and shape of the patient.

    Attributes:
        female: sex; sets the statistics of size and larynx.
        age: years; widens ventricles and sulci, thins bone, fattens muscles and glands.
        size: scale of everything, 1 for the average.
        head_width: further scale of the head's width.
        head_length: likewise of its length from front to back.
        face_height: scale of what lies below the palate, down to the chin.
        neck_length: scale of the neck's length.
        neck_width: scale of the neck's width and depth.
        fat: thickness of the fat below the skin at the cheek.
        muscle: scale of the muscles' thickness.
        marbling: how much fat streaks the muscles, 0 to 1.
        bone: scale of the bones' density.
        gland_fat: share of the parotid glands that is fat.
        larynx: how far the thyroid cartilage stands out.
        ossified: share of the laryngeal cartilages that is bone.
        prominent_nose: how far the nose stands out beyond the average.
        sinus: scale of the paranasal sinuses.
        septum: how far the nasal septum bows to the right.
        swollen: thickness of the mucosa in the sinuses.
        ventricle: width of the brain's ventricles, 1 for a young adult's.
        thyroid: scale of the thyroid gland.
        uneven: standard deviation of a smooth random shift of all shapes.
        hair: thickness of the hair, 0 for none.
    """

    female: bool = False
    age: float = 58.0
    size: float = 1.0
    head_width: float = 1.0
    head_length: float = 1.0
    face_height: float = 1.0
    neck_length: float = 1.0
    neck_width: float = 1.0
    fat: float = 7.0
    muscle: float = 1.0
    marbling: float = 0.3
    bone: float = 1.0
    gland_fat: float = 0.4
    larynx: float = 4.0
    ossified: float = 0.4
    prominent_nose: float = 0.0
    sinus: float = 1.0
    septum: float = 0.0
    swollen: float = 1.0
    ventricle: float = 1.2
    thyroid: float = 1.0
    uneven: float = 1.6
    hair: float = 0.0


@dataclass(frozen=True)
class Mouth:
    """Teeth and what dentists left.

    Attributes:
        upper: one character for each of 14 upper teeth from right to left: ``.`` missing, ``t`` natural, ``f`` with a
            filling, ``c`` with a metal crown, ``i`` an implant.
        lower: the same of the lower teeth.
        alloy: of the fillings and crowns, ``amalgam`` or ``gold``; implants are titanium.
        gape: how far the jaws are apart.
        air: thickness of the air over the tongue.
    """

    upper: str = "t" * 14
    lower: str = "t" * 14
    alloy: str = "amalgam"
    gape: float = 2.0
    air: float = 0.0


@dataclass(frozen=True)
class Lesion:
    """Something that a converter must neither lose nor invent.

    Attributes:
        kind: ``none``, ``bright`` (an enhancing or dense mass), ``dark`` (a necrotic or cystic mass) or ``bone`` (a
            hole in a bone).
        place: a key of :data:`manabi.phantoms.head_neck_lesion.SITES`.
        diameter_mm: its mean diameter.
        contrast_hu: its density against the tissue around it.
        shape_seed: draws its outline.
    """

    kind: str = "none"
    place: str = "level_ii"
    diameter_mm: float = 15.0
    contrast_hu: float = 30.0
    shape_seed: int = 0


@dataclass(frozen=True)
class Setup:
    """How the patient lies.

    Attributes:
        extend_deg: how far the chin is raised.
        turn_deg: how far the head is turned to the right.
        tilt_deg: how far the head leans to the right shoulder.
        lordosis: how far the middle of the neck is bent to the front.
        shoulders: how far the shoulders are pulled down.
        mask: thickness of the thermoplastic mask, 0 for none.
        couch: whether couch and head rest are in the image.
        place_mm: where the basion lies against the image's middle (x, y) and in the scanner (z).
    """

    extend_deg: float = 8.0
    turn_deg: float = 0.0
    tilt_deg: float = 0.0
    lordosis: float = 0.0
    shoulders: float = 0.0
    mask: float = 2.2
    couch: bool = True
    place_mm: tuple[float, float, float] = (0.0, -10.0, 0.0)


@dataclass(frozen=True)
class Grid:
    """The images' grid and how they are made.

    Attributes:
        pixel_mm: in the slice.
        matrix: rows and columns.
        slice_mm: distance of the slices.
        top_mm: highest slice above the basion.
        length_mm: extent from the highest to the lowest slice.
        subslices: planes that are averaged in each slice.
        image: ``mvct`` or ``cbct``, the image to convert.
        contrast_hu: enhancement of the blood in the kilovoltage CT, 0 without contrast medium.
        metal: whether dental metal is in the patient (``False`` leaves natural teeth in its place).
        fast: image-domain scanners instead of projections.
    """

    pixel_mm: float = 3.0
    matrix: int = 128
    slice_mm: float = 4.0
    top_mm: float = 162.0
    length_mm: float = 340.0
    subslices: int = 1
    image: str = "mvct"
    contrast_hu: float = 0.0
    metal: bool = True
    fast: bool = False


@dataclass(frozen=True)
class HeadNeckParameters:
    """Everything a case is rebuilt from.

    Attributes:
        build: anatomy.
        mouth: teeth and metal.
        lesion: to be kept by a converter.
        setup: position and devices.
        grid: of the images.
        texture_seed: draws textures, small structures and unevenness.
        noise_seed: draws the scanners' noise.
        scanner_seed: draws the scanners' measures.
    """

    build: Build = field(default_factory=Build)
    mouth: Mouth = field(default_factory=Mouth)
    lesion: Lesion = field(default_factory=Lesion)
    setup: Setup = field(default_factory=Setup)
    grid: Grid = field(default_factory=Grid)
    texture_seed: int = 0
    noise_seed: int = 0
    scanner_seed: int = 0
