"""What is computed: the convention, the aggregation, the families, the neighbourhood."""

from __future__ import annotations

from dataclasses import dataclass

from manabi.errors import InvalidInputError

MODES = ("ibsi", "pyradiomics")
AGGREGATIONS = ("2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb")
FAMILIES = {
    "ibsi": ("glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm"),
    "pyradiomics": ("glcm", "glrlm", "glszm", "gldm", "ngtdm"),
}
MOST_LEVELS = 65_535


@dataclass(frozen=True)
class TextureOptions:
    """How texture is computed from a discretised image.

    Attributes:
        mode: ``"ibsi"`` (Zwanenburg et al. 2020, 10.1148/radiol.2020191145) or ``"pyradiomics"`` (van Griethuysen et
            al. 2017, 10.1158/0008-5472.CAN-17-0339; version 3.0.1).
        aggregation: one of ``AGGREGATIONS``. ``2d``: matrices per slice, features averaged over slices; ``2_5d``:
            matrices merged over slices; ``3d``: matrices of the volume. ``avg``: one matrix per direction, features
            averaged; ``comb``: directions merged. The two differ for glcm and glrlm only. pyradiomics mode is
            ``3d_avg``, as that package is by default.
        distance: Chebyshev distance in voxels of a neighbour (glcm, ngtdm, gldm, ngldm). IBSI: directions scaled to
            this distance for glcm, every voxel up to it otherwise; pyradiomics: every voxel at exactly this distance.
        alpha: the largest difference of levels at which a neighbour counts as dependent (gldm, ngldm).
        families: which families; empty stands for all of the mode.
        n_levels: the number of grey levels of the discretisation; ``None`` is the highest level in the region, as
            pyradiomics has it. It only enters the normalised inverse differences of the glcm.
    """

    mode: str = "ibsi"
    aggregation: str = "3d_comb"
    distance: int = 1
    alpha: int = 0
    families: tuple[str, ...] = ()
    n_levels: int | None = None

    def __post_init__(self) -> None:
        self._check_mode()
        if isinstance(self.families, str):
            raise InvalidInputError(f"families is a tuple of names, not the text {self.families!r}.")
        object.__setattr__(self, "families", tuple(self.families) or FAMILIES[self.mode])
        unknown = sorted(set(self.families) - set(FAMILIES[self.mode]))
        if unknown:
            known = ", ".join(FAMILIES[self.mode])
            raise InvalidInputError(f"Texture families of mode {self.mode} are {known}; got {', '.join(unknown)}.")
        if self.distance < 1:
            raise InvalidInputError(f"distance is a Chebyshev distance of 1 voxel or more; got {self.distance}.")
        if self.alpha < 0:
            raise InvalidInputError(f"alpha is a difference of levels, 0 or more; got {self.alpha}.")
        if self.n_levels is not None and not 1 <= self.n_levels <= MOST_LEVELS:
            raise InvalidInputError(f"n_levels is between 1 and {MOST_LEVELS}; got {self.n_levels}.")

    def _check_mode(self) -> None:
        if self.mode not in MODES:
            raise InvalidInputError(f"mode is one of {', '.join(MODES)}; got {self.mode!r}.")
        if self.aggregation not in AGGREGATIONS:
            raise InvalidInputError(f"aggregation is one of {', '.join(AGGREGATIONS)}; got {self.aggregation!r}.")
        if self.mode == "pyradiomics" and self.aggregation != "3d_avg":
            raise InvalidInputError(f"pyradiomics mode has the aggregation 3d_avg only; got {self.aggregation!r}.")
