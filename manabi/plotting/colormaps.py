"""Colour maps for reading nuclear images and for maps of change."""

from __future__ import annotations

from functools import cache

from matplotlib.colors import LinearSegmentedColormap

COOL = ("#000000", "#008080", "#8000ff", "#ff8000", "#ffffff")
CHANGE = ("#0b3c8c", "#4f8fd0", "#f4f4f2", "#d9694a", "#8c1515")
SPREAD = ("#000000", "#3b2a63", "#8f3f71", "#d97b4f", "#f7d77c", "#ffffff")


@cache
def cool() -> LinearSegmentedColormap:
    """ImageJ's "Cool", in which the readers of the SPECT source saw their images (KAKENHI 20K16705, section 3 (4)).

    ImageJ ships it as ``luts/cool.lut`` (NCSA PalEdit set): from black over teal at a quarter, violet at half and
    orange at three quarters to white, straight between them. This one has the same corners in round numbers, within 6
    of 255 grey levels of the table. It is not matplotlib's ``cool``. Its lightness rises and falls: it shows bands of
    uptake, as readers are used to, and is no map to judge small differences by.
    """
    return LinearSegmentedColormap.from_list("manabi_cool", list(COOL), N=256)


@cache
def change() -> LinearSegmentedColormap:
    """Blue for less, near white for no change, red for more (our choice)."""
    return LinearSegmentedColormap.from_list("manabi_change", list(CHANGE), N=256)


@cache
def spread() -> LinearSegmentedColormap:
    """Black to white through violet and yellow, lightness rising evenly: for uncertainty (our choice)."""
    return LinearSegmentedColormap.from_list("manabi_spread", list(SPREAD), N=256)
