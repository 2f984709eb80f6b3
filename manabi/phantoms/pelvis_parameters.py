"""What a simulated male pelvis is drawn from; lengths in mm, in a frame midway between the hip joints (RAS axes).

In the atlas the tip of the coccyx lies at z = 5, the lower end of the pubic symphysis at -45, the ischial tuberosities
at -70, the promontory at 105 and the iliac crests at 150; x grows to the patient's right, y to the front.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Build:
    """Size and shape of the patient.

    Attributes:
        age: years; thins bone, fattens muscles, hardens arteries.
        size: scale of the skeleton and of what it holds, 1 for the average.
        width: further scale from side to side.
        fat: thickness of the fat in front of the rectus muscle at the height of the hip joints.
        belly: how far the belly stands out above the pelvis, beyond the average.
        muscle: scale of the muscles' thickness.
        marbling: how much fat streaks the muscles, 0 to 1.
        bone: scale of the bones' density.
        uneven: standard deviation of a smooth random shift of all shapes.
    """

    age: float = 70.0
    size: float = 1.0
    width: float = 1.0
    fat: float = 24.0
    belly: float = 0.0
    muscle: float = 1.0
    marbling: float = 0.3
    bone: float = 1.0
    uneven: float = 1.5


@dataclass(frozen=True)
class Organs:
    """Sizes and shapes of the four organs.

    Attributes:
        prostate_ml: volume of the prostate.
        prostate_long: its height over the average of its volume.
        median_lobe: how far an enlarged gland bulges into the bladder.
        vesicles_ml: volume of both seminal vesicles.
        vesicles_left: share of it on the left.
        vesicles_rise: angle in degrees by which they rise to the sides.
        bladder_ml: volume of the bladder with its wall.
        bladder_flat: how much bowel flattens its dome, 0 to 1.
        bladder_lean: how far its dome leans to the right.
        rectum_ml: volume of the rectum with its contents.
        rectum_sway: how far its middle curves to the right.
        gas: share of the rectum's lumen that is gas.
        stool: share of the rest of the lumen that is stool; the remainder is mucus and mucosa.
        gap: fat between prostate and rectum.
        prostate_hu: density of the prostate.
        vesicles_hu: density of the seminal vesicles, about 5 HU below.
        urine_hu: density of urine without contrast medium.
        shape_seed: draws their outlines.
    """

    prostate_ml: float = 42.0
    prostate_long: float = 1.0
    median_lobe: float = 0.0
    vesicles_ml: float = 9.0
    vesicles_left: float = 0.5
    vesicles_rise: float = 20.0
    bladder_ml: float = 180.0
    bladder_flat: float = 0.3
    bladder_lean: float = 0.0
    rectum_ml: float = 70.0
    rectum_sway: float = 0.0
    gas: float = 0.2
    stool: float = 0.5
    gap: float = 1.0
    prostate_hu: float = 40.0
    vesicles_hu: float = 35.0
    urine_hu: float = 5.0
    shape_seed: int = 0


@dataclass(frozen=True)
class Finds:
    """What is there besides anatomy.

    Attributes:
        calcifications: number of those in the prostate.
        seeds: number of gold seeds in the prostate.
        prosthesis: ``none``, ``right``, ``left`` or ``both`` hips.
        alloy: of the ball of the prosthesis; its stem and cup are titanium.
        phleboliths: number of stones in the pelvic veins.
        plaques: share of the arteries' length that is calcified.
        bladder_contrast_hu: enhancement of the urine at the back of the bladder, 0 without contrast medium.
        layered: whether that sinks to the back.
        contrast_hu: enhancement of the blood, 0 without contrast medium.
    """

    calcifications: int = 0
    seeds: int = 0
    prosthesis: str = "none"
    alloy: str = "cobalt_chrome"
    phleboliths: int = 2
    plaques: float = 0.1
    bladder_contrast_hu: float = 0.0
    layered: bool = True
    contrast_hu: float = 0.0


@dataclass(frozen=True)
class Setup:
    """How the patient lies.

    Attributes:
        tilt_deg: how far the pelvis is tipped to the front.
        turn_deg: how far it is turned about the long axis.
        roll_deg: how far it leans to the right.
        couch: whether the couch is in the image.
        place_mm: where the middle of the hip joints lies against the image's middle (x, y) and in the scanner (z).
    """

    tilt_deg: float = 0.0
    turn_deg: float = 0.0
    roll_deg: float = 0.0
    couch: bool = True
    place_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Grid:
    """The image's grid and how it is made.

    Attributes:
        pixel_mm: in the slice.
        matrix: rows and columns; with ``pixel_mm`` the field of view.
        slice_mm: distance of the slices.
        top_mm: highest slice above the hip joints.
        length_mm: extent from the highest to the lowest slice.
        subslices: planes that are averaged in each slice.
        noise_hu: of the scanner behind 200 mm of water; three times as much remains in the middle of a pelvis.
        fast: scan without projecting, except for the slices near metal.
    """

    pixel_mm: float = 1.6
    matrix: int = 256
    slice_mm: float = 2.5
    top_mm: float = 130.0
    length_mm: float = 240.0
    subslices: int = 1
    noise_hu: float = 3.5
    fast: bool = True


@dataclass(frozen=True)
class Readers:
    """Simulated observers who contour the image.

    Attributes:
        readers: how many; none by default.
        jitter_mm: standard deviation of their boundary in the plane for the prostate; see
            :data:`manabi.phantoms.pelvis_readers.DIFFICULTY` for the other organs.
        bias_mm: standard deviation of how large a reader draws.
    """

    readers: int = 0
    jitter_mm: float = 1.5
    bias_mm: float = 0.5


@dataclass(frozen=True)
class PelvisParameters:
    """Everything a case is rebuilt from.

    Attributes:
        build: anatomy.
        organs: the four organs.
        finds: metal, calcifications, contrast medium.
        setup: position.
        grid: of the image.
        contours: simulated observers.
        texture_seed: draws textures, small structures and unevenness.
        noise_seed: draws the scanner's noise and the observers.
        scanner_seed: draws the scanner's measures.
    """

    build: Build = field(default_factory=Build)
    organs: Organs = field(default_factory=Organs)
    finds: Finds = field(default_factory=Finds)
    setup: Setup = field(default_factory=Setup)
    grid: Grid = field(default_factory=Grid)
    contours: Readers = field(default_factory=Readers)
    texture_seed: int = 0
    noise_seed: int = 0
    scanner_seed: int = 0
