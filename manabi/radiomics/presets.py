"""Named settings: the source's 744 features, the configurations of IBSI 1, pyradiomics' defaults."""

from __future__ import annotations

from dataclasses import replace

from manabi.errors import InvalidInputError
from manabi.radiomics.settings import ExtractionSettings

PRESETS = {
    "default": "IBSI: 1 mm isotropic, bins of 25",
    "pyradiomics": "pyradiomics' defaults: no resampling, bins of 25",
    "paper-744": "Sawayanagi et al. 2022 as inferred: 93 features of each of 8 wavelet bands",
    "ibsi-digital": "IBSI 1 digital phantom: values are grey levels already",
    "ibsi-a": "IBSI 1 CT configuration A: slices as they are, bins of 25 HU",
    "ibsi-b": "IBSI 1 CT configuration B: slices at 2 mm, 32 bins",
    "ibsi-c": "IBSI 1 CT configuration C: volume at 2 mm, bins of 25 HU",
    "ibsi-d": "IBSI 1 CT configuration D: volume at 2 mm, 3 sigma, 32 bins",
    "ibsi-e": "IBSI 1 CT configuration E: volume at 2 mm by cubic spline, 3 sigma, 32 bins",
}
"""Name and what it is, for a menu."""


def preset(name: str) -> ExtractionSettings:
    """The settings of that name.

    The configurations are those of Zwanenburg et al., Radiology 2020, DOI 10.1148/radiol.2020191145, table 2, with
    directions merged; change ``aggregation`` with ``dataclasses.replace``. The 744 features are those of Sawayanagi et
    al., Cancers 2022, DOI 10.3390/cancers14163859, which does not list them: eight bands of pyradiomics' coif1 wavelet
    times its 93 default features give that number (our inference).

    Raises:
        InvalidInputError: there is no preset of that name.
    """
    if name not in PRESETS:
        raise InvalidInputError(f"Unknown preset {name!r}. Known: {', '.join(PRESETS)}.")
    if name == "default":
        return ExtractionSettings(resample_mm=1.0, bin_width=25.0)
    if name == "pyradiomics":
        return ExtractionSettings("pyradiomics")
    if name == "paper-744":
        return _paper()
    return _ibsi(name.removeprefix("ibsi-"))


def _paper() -> ExtractionSettings:
    """The source's 744 features."""
    from manabi.radiomics.filters.spec import FilterSpec

    families = tuple(f for f in ExtractionSettings("pyradiomics").families if f != "shape")
    return ExtractionSettings("pyradiomics", families=families, original=False, filters=(FilterSpec("wavelet"),))


def _ibsi(case: str) -> ExtractionSettings:
    """One of the IBSI 1 configurations."""
    if case == "digital":
        return ExtractionSettings(bin_width=1.0)
    flat = ExtractionSettings(
        round_hu=True, resegment_hu=(-500, 400), bin_width=25.0, aggregation="2d_comb", interpolator="linear"
    )
    solid = replace(flat, resample_mm=(2.0, 2.0, 2.0), aggregation="3d_comb", resegment_hu=(-1000, 400))
    return {
        "a": flat,
        "b": replace(flat, resample_mm=(None, 2.0, 2.0), bin_width=None, bin_count=32),
        "c": replace(solid, ivh_bin_width=2.5),
        "d": replace(solid, resegment_hu=None, outlier_sigma=3.0, bin_width=None, bin_count=32),
        "e": replace(
            solid, interpolator="cubic", outlier_sigma=3.0, bin_width=None, bin_count=32, ivh_bin_count=1000
        ),
    }[case]  # fmt: skip
