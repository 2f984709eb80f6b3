"""The names of features, with IBSI's tags and units.

A feature is called ``family_Name``, as pyradiomics calls it where it has it; in a table it follows the name of the
image it was computed on: ``wavelet-LHH_glszm_LargeAreaEmphasis``. Tags are those of the reference tables of IBSI 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from manabi.radiomics.texture.catalogue import IBSI as TEXTURE

INTENSITY = "intensity"
"""The unit of the image's values: HU in CT, none in most MR."""
STATISTICS = {
    "Mean": ("mean", INTENSITY),
    "Variance": ("var", "intensity^2"),
    "Skewness": ("skew", "1"),
    "Kurtosis": ("kurt", "1"),
    "Median": ("median", INTENSITY),
    "Minimum": ("min", INTENSITY),
    "10Percentile": ("p10", INTENSITY),
    "90Percentile": ("p90", INTENSITY),
    "Maximum": ("max", INTENSITY),
    "InterquartileRange": ("iqr", INTENSITY),
    "Range": ("range", INTENSITY),
    "MeanAbsoluteDeviation": ("mad", INTENSITY),
    "RobustMeanAbsoluteDeviation": ("rmad", INTENSITY),
    "MedianAbsoluteDeviation": ("medad", INTENSITY),
    "CoefficientOfVariation": ("cov", "1"),
    "QuartileCoefficientOfDispersion": ("qcod", "1"),
}
"""Name -> tag and unit of what intensities and grey levels have in common."""
FIRSTORDER = {
    **STATISTICS,
    "Energy": ("energy", "intensity^2"),
    "RootMeanSquared": ("rms", INTENSITY),
    "TotalEnergy": ("", "intensity^2 mm^3"),
    "Entropy": ("", "1"),
    "Uniformity": ("", "1"),
}
HISTOGRAM = {
    **{name: (tag, "1") for name, (tag, _) in STATISTICS.items()},
    "Mode": ("mode", "1"),
    "Entropy": ("entropy", "1"),
    "Uniformity": ("uniformity", "1"),
    "MaximumGradient": ("max_grad", "1"),
    "MaximumGradientLevel": ("max_grad_g", "1"),
    "MinimumGradient": ("min_grad", "1"),
    "MinimumGradientLevel": ("min_grad_g", "1"),
}
IVH = {
    "V10": ("v10", "1"),
    "V90": ("v90", "1"),
    "I10": ("i10", INTENSITY),
    "I90": ("i90", INTENSITY),
    "V10minusV90": ("diff_v10_v90", "1"),
    "I10minusI90": ("diff_i10_i90", INTENSITY),
    "AreaUnderCurve": ("auc", "1"),
}
LOCAL = {"PeakLocal": ("peak_loc", INTENSITY), "PeakGlobal": ("peak_glob", INTENSITY)}
BODIES = {"AABB": "aabb", "OMBB": "ombb", "AEE": "aee", "MVEE": "mvee", "ConvexHull": "conv_hull"}
SHAPE = {
    "MeshVolume": ("volume", "mm^3"),
    "VoxelVolume": ("vol_approx", "mm^3"),
    "SurfaceArea": ("area_mesh", "mm^2"),
    "SurfaceVolumeRatio": ("av", "1/mm"),
    "Compactness1": ("comp_1", "1"),
    "Compactness2": ("comp_2", "1"),
    "SphericalDisproportion": ("sph_dispr", "1"),
    "Sphericity": ("sphericity", "1"),
    "Asphericity": ("asphericity", "1"),
    "CentreOfMassShift": ("com", "mm"),
    "Maximum3DDiameter": ("diam", "mm"),
    "Maximum2DDiameterSlice": ("", "mm"),
    "Maximum2DDiameterColumn": ("", "mm"),
    "Maximum2DDiameterRow": ("", "mm"),
    "MajorAxisLength": ("pca_maj_axis", "mm"),
    "MinorAxisLength": ("pca_min_axis", "mm"),
    "LeastAxisLength": ("pca_least_axis", "mm"),
    "Elongation": ("pca_elongation", "1"),
    "Flatness": ("pca_flatness", "1"),
    **{f"VolumeDensity{name}": (f"vol_dens_{tag}", "1") for name, tag in BODIES.items()},
    **{f"AreaDensity{name}": (f"area_dens_{tag}", "1") for name, tag in BODIES.items()},
    "IntegratedIntensity": ("integ_int", "intensity mm^3"),
    "MoransI": ("moran_i", "1"),
    "GearysC": ("geary_c", "1"),
}
GROUPS = {
    "shape": ("morph", SHAPE),
    "local": ("loc", LOCAL),
    "firstorder": ("stat", FIRSTORDER),
    "histogram": ("ih", HISTOGRAM),
    "ivh": ("ivh", IVH),
}
FLAT = "all values of the region are equal"
REASONS = {
    "Skewness": FLAT,
    "Kurtosis": FLAT,
    "MoransI": FLAT,
    "GearysC": FLAT,
    "CoefficientOfVariation": "the mean is zero",
    "QuartileCoefficientOfDispersion": "the quartiles add up to zero",
    "CentreOfMassShift": "the intensities add up to zero",
    "VolumeDensityAEE": "the region is flat",
    "AreaDensityAEE": "the region is flat",
    "Elongation": "the region is one voxel",
    "Flatness": "the region is one voxel",
}
"""Why a feature may be undefined; others lack what their formula divides by."""


@dataclass(frozen=True)
class Feature:
    """What is known of a feature by its name.

    Attributes:
        name: ``family_Name``.
        family: ``firstorder``, ``glcm``, ...
        tag: IBSI's, empty where IBSI 1 does not have the feature.
        unit: ``1`` where there is none.
    """

    name: str
    family: str
    tag: str
    unit: str


@lru_cache(maxsize=1)
def table() -> dict[str, Feature]:
    """Every feature of both modes by its name; a tag is that of ibsi mode."""
    found = {}
    for family, (prefix, members) in GROUPS.items():
        for name, (tag, unit) in members.items():
            full = f"{family}_{name}"
            found[full] = Feature(full, family, f"{prefix}_{tag}" if tag else "", unit)
    for family, tags in TEXTURE.items():
        found |= {f"{family}_{name}": Feature(f"{family}_{name}", family, tag, "1") for name, tag in tags.items()}
    return found


def lookup(name: str) -> Feature:
    """What is known of ``family_Name``; a feature that IBSI does not have gets an empty tag."""
    known = table().get(name)
    return known or Feature(name, name.partition("_")[0], "", "1")


def split(full: str) -> tuple[str, str]:
    """The image and the feature of a full name: ``wavelet-LHH``, ``glszm_LargeAreaEmphasis``."""
    image, family, name = full.rsplit("_", 2)
    return image, f"{family}_{name}"


def reason(name: str) -> str:
    """Why this feature may be undefined, for a warning."""
    return REASONS.get(name.rpartition("_")[2], "what it divides by is zero for this region")
