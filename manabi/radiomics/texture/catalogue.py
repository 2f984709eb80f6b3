"""The names of the texture features, in both conventions, with the tags of IBSI's reference tables.

A feature is called ``family_Name``. Names are pyradiomics' where it has the feature; the others are made alike.
"""

from __future__ import annotations

#: For each family of ibsi mode: feature name -> the tag of the IBSI 1 reference tables without its aggregation
#: (``cm_joint_max`` + ``_3D_comb`` for glcm and glrlm, ``szm_sze`` + ``_3D`` for the others).
IBSI: dict[str, dict[str, str]] = {
    "glcm": {
        "MaximumProbability": "cm_joint_max",
        "JointAverage": "cm_joint_avg",
        "SumSquares": "cm_joint_var",
        "JointEntropy": "cm_joint_entr",
        "DifferenceAverage": "cm_diff_avg",
        "DifferenceVariance": "cm_diff_var",
        "DifferenceEntropy": "cm_diff_entr",
        "SumAverage": "cm_sum_avg",
        "SumVariance": "cm_sum_var",
        "SumEntropy": "cm_sum_entr",
        "JointEnergy": "cm_energy",
        "Contrast": "cm_contrast",
        "Dissimilarity": "cm_dissimilarity",
        "Id": "cm_inv_diff",
        "Idn": "cm_inv_diff_norm",
        "Idm": "cm_inv_diff_mom",
        "Idmn": "cm_inv_diff_mom_norm",
        "InverseVariance": "cm_inv_var",
        "Correlation": "cm_corr",
        "Autocorrelation": "cm_auto_corr",
        "ClusterTendency": "cm_clust_tend",
        "ClusterShade": "cm_clust_shade",
        "ClusterProminence": "cm_clust_prom",
        "Imc1": "cm_info_corr1",
        "Imc2": "cm_info_corr2",
    },
    "glrlm": {
        "ShortRunEmphasis": "rlm_sre",
        "LongRunEmphasis": "rlm_lre",
        "LowGrayLevelRunEmphasis": "rlm_lgre",
        "HighGrayLevelRunEmphasis": "rlm_hgre",
        "ShortRunLowGrayLevelEmphasis": "rlm_srlge",
        "ShortRunHighGrayLevelEmphasis": "rlm_srhge",
        "LongRunLowGrayLevelEmphasis": "rlm_lrlge",
        "LongRunHighGrayLevelEmphasis": "rlm_lrhge",
        "GrayLevelNonUniformity": "rlm_glnu",
        "GrayLevelNonUniformityNormalized": "rlm_glnu_norm",
        "RunLengthNonUniformity": "rlm_rlnu",
        "RunLengthNonUniformityNormalized": "rlm_rlnu_norm",
        "RunPercentage": "rlm_r_perc",
        "GrayLevelVariance": "rlm_gl_var",
        "RunVariance": "rlm_rl_var",
        "RunEntropy": "rlm_rl_entr",
    },
    "glszm": {
        "SmallAreaEmphasis": "szm_sze",
        "LargeAreaEmphasis": "szm_lze",
        "LowGrayLevelZoneEmphasis": "szm_lgze",
        "HighGrayLevelZoneEmphasis": "szm_hgze",
        "SmallAreaLowGrayLevelEmphasis": "szm_szlge",
        "SmallAreaHighGrayLevelEmphasis": "szm_szhge",
        "LargeAreaLowGrayLevelEmphasis": "szm_lzlge",
        "LargeAreaHighGrayLevelEmphasis": "szm_lzhge",
        "GrayLevelNonUniformity": "szm_glnu",
        "GrayLevelNonUniformityNormalized": "szm_glnu_norm",
        "SizeZoneNonUniformity": "szm_zsnu",
        "SizeZoneNonUniformityNormalized": "szm_zsnu_norm",
        "ZonePercentage": "szm_z_perc",
        "GrayLevelVariance": "szm_gl_var",
        "ZoneVariance": "szm_zs_var",
        "ZoneEntropy": "szm_zs_entr",
    },
    "gldzm": {
        "SmallDistanceEmphasis": "dzm_sde",
        "LargeDistanceEmphasis": "dzm_lde",
        "LowGreyLevelZoneEmphasis": "dzm_lgze",
        "HighGreyLevelZoneEmphasis": "dzm_hgze",
        "SmallDistanceLowGreyLevelEmphasis": "dzm_sdlge",
        "SmallDistanceHighGreyLevelEmphasis": "dzm_sdhge",
        "LargeDistanceLowGreyLevelEmphasis": "dzm_ldlge",
        "LargeDistanceHighGreyLevelEmphasis": "dzm_ldhge",
        "GreyLevelNonUniformity": "dzm_glnu",
        "GreyLevelNonUniformityNormalized": "dzm_glnu_norm",
        "ZoneDistanceNonUniformity": "dzm_zdnu",
        "ZoneDistanceNonUniformityNormalized": "dzm_zdnu_norm",
        "ZonePercentage": "dzm_z_perc",
        "GreyLevelVariance": "dzm_gl_var",
        "ZoneDistanceVariance": "dzm_zd_var",
        "ZoneDistanceEntropy": "dzm_zd_entr",
    },
    "ngtdm": {
        "Coarseness": "ngt_coarseness",
        "Contrast": "ngt_contrast",
        "Busyness": "ngt_busyness",
        "Complexity": "ngt_complexity",
        "Strength": "ngt_strength",
    },
    "ngldm": {
        "LowDependenceEmphasis": "ngl_lde",
        "HighDependenceEmphasis": "ngl_hde",
        "LowGreyLevelCountEmphasis": "ngl_lgce",
        "HighGreyLevelCountEmphasis": "ngl_hgce",
        "LowDependenceLowGreyLevelEmphasis": "ngl_ldlge",
        "LowDependenceHighGreyLevelEmphasis": "ngl_ldhge",
        "HighDependenceLowGreyLevelEmphasis": "ngl_hdlge",
        "HighDependenceHighGreyLevelEmphasis": "ngl_hdhge",
        "GreyLevelNonUniformity": "ngl_glnu",
        "GreyLevelNonUniformityNormalized": "ngl_glnu_norm",
        "DependenceCountNonUniformity": "ngl_dcnu",
        "DependenceCountNonUniformityNormalized": "ngl_dcnu_norm",
        "DependenceCountPercentage": "ngl_dc_perc",
        "GreyLevelVariance": "ngl_gl_var",
        "DependenceCountVariance": "ngl_dc_var",
        "DependenceCountEntropy": "ngl_dc_entr",
        "DependenceCountEnergy": "ngl_dc_energy",
    },
}

_PYRADIOMICS_GLDM = (
    "SmallDependenceEmphasis",
    "LargeDependenceEmphasis",
    "LowGrayLevelEmphasis",
    "HighGrayLevelEmphasis",
    "SmallDependenceLowGrayLevelEmphasis",
    "SmallDependenceHighGrayLevelEmphasis",
    "LargeDependenceLowGrayLevelEmphasis",
    "LargeDependenceHighGrayLevelEmphasis",
    "GrayLevelNonUniformity",
    "DependenceNonUniformity",
    "DependenceNonUniformityNormalized",
    "GrayLevelVariance",
    "DependenceVariance",
    "DependenceEntropy",
)

#: For each family of pyradiomics mode: the features that pyradiomics 3.0.1 computes by default (75 in all).
PYRADIOMICS: dict[str, tuple[str, ...]] = {
    "glcm": (*(name for name in IBSI["glcm"] if name not in ("Dissimilarity", "SumVariance")), "MCC"),
    "glrlm": tuple(IBSI["glrlm"]),
    "glszm": tuple(IBSI["glszm"]),
    "gldm": _PYRADIOMICS_GLDM,
    "ngtdm": tuple(IBSI["ngtdm"]),
}


def names(mode: str, families: tuple[str, ...]) -> tuple[str, ...]:
    """Every ``family_Name`` of these families, in the order in which ``features`` returns them."""
    table = IBSI if mode == "ibsi" else PYRADIOMICS
    return tuple(f"{family}_{name}" for family in families for name in table[family])
