"""What is extracted, and by which conventions: everything that a feature's value depends on besides the image."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from manabi.errors import InvalidInputError
from manabi.radiomics import settings_check as check
from manabi.radiomics.texture.options import FAMILIES as TEXTURE_FAMILIES

if TYPE_CHECKING:
    from manabi.radiomics.filters.spec import FilterSpec
    from manabi.radiomics.texture.options import TextureOptions

MODES = ("ibsi", "pyradiomics")
ENGINES = ("manabi", "pyradiomics")
INTERPOLATORS = ("nearest", "linear", "cubic")
FAMILIES = {
    "ibsi": ("shape", "local", "firstorder", "histogram", "ivh", *TEXTURE_FAMILIES["ibsi"]),
    "pyradiomics": ("shape", "firstorder", *TEXTURE_FAMILIES["pyradiomics"]),
}
"""Families of features of each mode, in the order of the output."""
ON_ORIGINAL_ONLY = ("shape", "local")
"""Families that are computed once, on the image as it is."""
DEFAULT_WIDTH = 25.0

Spacing = check.Spacing
Range = check.Range


@dataclass(frozen=True)
class ExtractionSettings:
    """How features are extracted; checks itself.

    Attributes:
        mode: ``ibsi``: the chain of the Image Biomarker Standardisation Initiative (Zwanenburg et al. 2020,
            10.1148/radiol.2020191145); ``pyradiomics``: that package's conventions (van Griethuysen et al. 2017,
            10.1158/0008-5472.CAN-17-0339).
        engine: ``manabi``, or ``pyradiomics`` to let that package compute, where it is installed.
        families: empty stands for all of the mode.
        original: whether features of the unfiltered image are extracted.
        filters: filters whose responses are extracted as well.
        resample_mm: (slice, row, column) or one number for all; None keeps the image's, for one axis or all.
        interpolator: of the image: ``nearest``, ``linear`` or ``cubic`` (spline). The mask is interpolated linearly
            and cut at 0.5 in ibsi mode, and by the nearest neighbour in pyradiomics mode.
        round_hu: whether interpolated intensities are rounded to whole numbers (CT); ibsi mode only.
        resegment_hu: (lowest, highest) intensity that counts, None where open; any unit.
        outlier_sigma: voxels further than so many standard deviations from the region's mean do not count.
        bin_width: width of a grey level in intensity; None where ``bin_count`` is given.
        bin_count: number of grey levels; None where ``bin_width`` is given.
        ivh_bin_width: ibsi mode: width of a bin of the intensity-volume histogram. With neither, whole numbers.
        ivh_bin_count: ibsi mode: number of bins of the intensity-volume histogram.
        aggregation: of texture matrices, see ``TextureOptions``; pyradiomics mode has ``3d_avg`` only. Empty stands
            for the mode's own: ``3d_comb`` or ``3d_avg``.
        distance: Chebyshev distance of neighbours in voxels.
        alpha: difference of grey levels at which a neighbour is still dependent.
        energy_shift: pyradiomics mode: added to intensities in energies (its ``voxelArrayShift``).
        normalise_scale: pyradiomics mode: the whole image is first centred at its mean and divided by its standard
            deviation, times this; None leaves it.
        resample_mask: whether a mask on another grid than the image is resampled (nearest neighbour, with a warning)
            instead of refused.
    """

    mode: str = "ibsi"
    engine: str = "manabi"
    families: tuple[str, ...] = ()
    original: bool = True
    filters: tuple[FilterSpec, ...] = ()
    resample_mm: Spacing | float | None = None
    interpolator: str = "linear"
    round_hu: bool = False
    resegment_hu: Range | None = None
    outlier_sigma: float | None = None
    bin_width: float | None = None
    bin_count: int | None = None
    ivh_bin_width: float | None = None
    ivh_bin_count: int | None = None
    aggregation: str = ""
    distance: int = 1
    alpha: int = 0
    energy_shift: float = 0.0
    normalise_scale: float | None = None
    resample_mask: bool = False

    def __post_init__(self) -> None:
        """Check every field; raises InvalidInputError naming the field and what it may be."""
        check.one_of("mode", self.mode, MODES)
        check.one_of("engine", self.engine, ENGINES)
        check.one_of("interpolator", self.interpolator, INTERPOLATORS)
        self._settle()
        check.numbers(self)
        check.families(self, FAMILIES[self.mode])
        check.convention(self)
        if self.texture_families:
            self.texture_options(None)

    def _settle(self) -> None:
        """Write every field in its one form, so that equal settings compare equal."""
        put = object.__setattr__
        put(self, "families", tuple(self.families) or FAMILIES.get(self.mode, ()))
        put(self, "filters", tuple(self.filters))
        put(self, "resample_mm", check.spacing(self.resample_mm))
        put(self, "resegment_hu", check.intensity_range(self.resegment_hu))
        put(self, "aggregation", self.aggregation or ("3d_comb" if self.mode == "ibsi" else "3d_avg"))
        if self.bin_width is None and self.bin_count is None:
            put(self, "bin_width", DEFAULT_WIDTH)

    @property
    def resample_axes(self) -> Spacing | None:
        """``resample_mm`` as one number or None for each axis (slice, row, column); None where nothing is resampled."""
        return cast("Spacing | None", self.resample_mm)

    def spacing_after(self, spacing_mm: tuple[float, ...]) -> tuple[float, float, float]:
        """The voxel size (slice, row, column) to which an image of this voxel size is resampled."""
        axes = self.resample_axes or (None, None, None)
        k, j, i = (float(old if new is None else new) for old, new in zip(spacing_mm, axes, strict=True))
        return k, j, i

    @property
    def texture_families(self) -> tuple[str, ...]:
        """The families among them that come from texture matrices."""
        return tuple(f for f in self.families if f in TEXTURE_FAMILIES[self.mode])

    def texture_options(self, n_levels: int | None) -> TextureOptions:
        """What the texture package needs to know, for an image of so many grey levels."""
        from manabi.radiomics.texture.options import TextureOptions

        return TextureOptions(
            self.mode, self.aggregation, self.distance, self.alpha, self.texture_families,
            n_levels if self.mode == "ibsi" else None,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values; :meth:`from_dict` is the inverse."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["filters"] = [_plain(spec) for spec in self.filters]
        return json.loads(json.dumps(values))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExtractionSettings:
        """Settings from the values of :meth:`to_dict`; raises InvalidInputError for a field that is not known."""
        known = [f.name for f in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise InvalidInputError(f"Unknown setting: {', '.join(unknown)}. Known: {', '.join(known)}.")
        given: dict[str, Any] = dict(values)
        if given.get("filters"):
            from manabi.radiomics.filters.spec import FilterSpec

            given["filters"] = tuple(_spec(FilterSpec, spec) for spec in given["filters"])
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
        return cls(**plain)

    def digest(self) -> str:
        """SHA-256 of the settings, to tell whether two tables were made alike."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


def _plain(spec: Any) -> dict[str, Any]:
    """A filter as plain JSON values."""
    return spec.to_dict() if hasattr(spec, "to_dict") else dataclasses.asdict(spec)


def _spec(kind: Any, values: Any) -> Any:
    """A filter from plain JSON values, or itself."""
    if not isinstance(values, Mapping):
        return values
    return kind.from_dict(values) if hasattr(kind, "from_dict") else kind(**values)
