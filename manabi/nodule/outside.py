"""Whether a film is one that the detector can be trusted on: frontal, adult, of the usual polarity and quality.

Simple numbers of a film are compared with their range on the training films, and its lungs with an outline of lungs.
These checks are our choice. They find what is grossly different; a film that passes may still be unusual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from manabi.nodule.lung_mask import LungField, lung_field_parts

MARGIN = 0.5
"""A number may lie outside the training films' range by this share of its width."""
RANGE = (0.5, 99.5)
"""Percentiles of the training films that bound a range."""
WORDS = {
    "brightness": "the share of bright and dark areas",
    "contrast": "the contrast of the whole film",
    "lung_contrast": "the contrast of lungs to their surroundings",
    "fine_detail": "noise or sharpening",
    "middle_detail": "the contrast of ribs and vessels",
    "lung_share": "the size of the lungs on the film",
    "outline": "the shape of the lungs",
}
"""Of every number of :func:`features`, what it stands for."""
CHILD_MM = 170.0
"""Lungs that are lower than this from apex to dome are a child's, or a poor breath (adults: 200 to 300 mm)."""
PLAUSIBLE_MM = (150.0, 620.0)
"""Length of a chest film's longer side."""
DENSE = 0.985
DENSE_SHARE = 0.006
"""Pixels of the lungs that are as bright as nothing in a patient: devices, or text in the image."""
CHECKED_BELOW, GAIN = 2.45, 0.3
"""Where the lungs fit worse than the first, other polarities and turns are tried; one that fits better by the second
is taken for the right one."""


def features(film: np.ndarray, lungs: LungField | None = None) -> dict[str, float]:
    """Numbers of a film for the comparison with the training films, see :data:`WORDS`.

    Args:
        film: float32 ``(rows, columns)`` in [0, 1], on the network's grid.
        lungs: of this film, where they are known already.
    """
    from scipy import ndimage

    field = lungs or lung_field_parts(film)
    inside = film[film > 0] if (film > 0).any() else film.ravel()
    soft = ndimage.gaussian_filter(film, 1.0)
    softer = ndimage.gaussian_filter(film, 4.0)
    clear = field.clear > 0
    rim = ndimage.binary_dilation(clear, iterations=6) & (field.clear == 0)
    region = clear if clear.any() else film > 0
    return {
        "brightness": float(inside.mean()),
        "contrast": float(inside.std()),
        "lung_contrast": float(film[rim].mean() - film[clear].mean()) if clear.any() and rim.any() else 0.0,
        "fine_detail": float(np.log(np.std((film - soft)[region]) + 1e-4)),
        "middle_detail": float(np.log(np.std((soft - softer)[region]) + 1e-4)),
        "lung_share": float(clear.mean()),
        "outline": float(field.quality),
    }


def ranges(known: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """The range of every number over the training films, for a bundle's metadata (``nodule.feature_range``)."""
    out = {}
    for name in WORDS:
        low, high = np.percentile([one[name] for one in known], RANGE)
        out[name] = [round(float(low), 5), round(float(high), 5)]
    return out


def unlike(found: Mapping[str, float], known: Mapping[str, Sequence[float]]) -> list[str]:
    """Names of the numbers that lie far outside the training films' range; better lungs than theirs are no fault."""
    out = []
    for name, (low, high) in known.items():
        room = MARGIN * max(high - low, 1e-6)
        value = found.get(name)
        above = value is not None and value > high + room and name != "outline"
        if value is not None and (value < low - room or above):
            out.append(name)
    return out


def film_warnings(
    film: np.ndarray, lungs: LungField, known: Mapping[str, Sequence[float]], lungs_mm: float | None
) -> list[str]:  # fmt: skip
    """What a reader must know before trusting a search of this film.

    Args:
        film: on the network's grid.
        lungs: of the film.
        known: the bundle's ``feature_range``; empty where it has none.
        lungs_mm: height of the lungs, or None where the spacing is not known.
    """
    texts = []
    turn = better_turn(film, lungs)
    if turn:
        texts.append(f"Not a frontal chest film as it is stored: it seems to be {turn}. Turn it and search it again.")
    elif lungs.is_doubtful:
        texts.append(
            "Not a frontal chest film, or its lungs cannot be told (a lateral view, another part of the body, "
            "white-out?). Marks are not limited to the lungs; disregard them unless you see why."
        )
    if lungs_mm is not None and lungs_mm < CHILD_MM and not lungs.is_doubtful:
        texts.append(
            f"A child, or a shallow breath: the lungs are {lungs_mm:.0f} mm high at the spacing that the file states. "
            "The detector was made for adults."
        )
    clear = lungs.clear > 0
    if clear.any() and not lungs.is_doubtful and float((film[clear] >= DENSE).mean()) > DENSE_SHARE:
        texts.append("Check dense objects over the lungs (devices, text, markers): marks on them are false.")
    strange = unlike(features(film, lungs), known) if known else []
    if strange:
        words = ", ".join(WORDS.get(name, name) for name in strange)
        texts.append(f"Unlike the training films in {words}: scores and false positives may not hold.")
    return texts


def better_inverted(film: np.ndarray, lungs: LungField) -> LungField | None:
    """The lungs of the inverted film, where they fit so much better there that the polarity must be wrong.

    Args:
        film: on the network's grid; its padding is 0.
        lungs: of the film as it is.
    """
    if lungs.quality >= CHECKED_BELOW:
        return None
    inverted = lung_field_parts(inverse(film))
    return inverted if inverted.quality > lungs.quality + GAIN and not inverted.is_doubtful else None


def better_turn(film: np.ndarray, lungs: LungField) -> str:
    """How the film would have to be turned for its lungs to fit better; empty where it need not be.

    Args:
        film: on the network's grid.
        lungs: of the film as it is.
    """
    if lungs.quality >= CHECKED_BELOW:
        return ""
    turns = {
        "upside down": film[::-1],
        "turned on its side": np.rot90(film),
        "turned on its other side": np.rot90(film, 3),
    }
    found = {name: lung_field_parts(np.ascontiguousarray(turned)) for name, turned in turns.items()}
    name, best = max(found.items(), key=lambda item: item[1].quality)
    return name if best.quality > lungs.quality + GAIN and not best.is_doubtful else ""


def inverse(film: np.ndarray) -> np.ndarray:
    """The film with bright and dark exchanged; rows and columns of padding stay 0."""
    seen = np.asarray(film > 0)
    inside = np.outer(seen.any(axis=1), seen.any(axis=0))
    return np.where(inside, 1.0 - film, 0.0).astype(np.float32)
