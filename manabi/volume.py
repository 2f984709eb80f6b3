"""The one image type: an array and where it lies in the patient.

``Volume`` is immutable: every operation returns a new one, and an input is never modified. Operations that change
the grid have exact inverses: ``crop``/``uncrop``, ``pad``/``crop``, ``reoriented``/``reoriented_like``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import LPS_TO_RAS, Grid, Shape, closest_axes

if TYPE_CHECKING:
    import SimpleITK as sitk

SYNTHETIC = "synthetic, not for dose"
"""The caution of an image that a model made up from another one."""
INTERPOLATIONS = ("nearest", "linear", "bspline")
RAS_CANONICAL = ((0, 1, 2), (1, 1, 1))


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3-D scalar image.

    Attributes:
        array: ``(n_slices, n_rows, n_columns)``, any real dtype; a read-only view, so that the caller's own array
            stays writable (changing it afterwards changes the volume). A 2-D radiograph has one slice.
        ijk_to_ras: 4×4 matrix from (column, row, slice) to RAS mm.
        modality: DICOM modality code (``NM``, ``CT``, ``MR``, ``DX``, ...) or None where the file does not say.
        units: units of the values, as DICOM writes them (``CNTS``, ``HU``, ``BQML``, ...) or None.
        name: a name free of patient identifiers, used for nodes and files.
        warnings: what reading had to assume or change; carried into every result made from the volume.
        source: where the volume came from, for writing DICOM back (see :mod:`manabi.io.dicom`); None otherwise.
        caution: for values that no scanner measured, what every reader of them must know (:data:`SYNTHETIC`); it goes
            into the header of every DICOM file. Empty for values that a scanner measured, however processed since.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray
    modality: str | None = None
    units: str | None = None
    name: str = "volume"
    warnings: tuple[str, ...] = ()
    source: Any = None
    caution: str = ""

    def __post_init__(self) -> None:
        """Check the shape and freeze array and matrix."""
        array = np.asarray(self.array)
        if array.ndim != 3:
            raise InvalidInputError(
                f"A volume has three axes (slices, rows, columns); got {array.ndim} with shape {array.shape}. "
                "Choose one frame of a sequence, or convert colour to grey, first."
            )
        if array.dtype.kind not in "biuf":
            raise InvalidInputError(f"A volume holds real numbers; got {array.dtype}.")
        view = _native(array).view()
        view.setflags(write=False)
        grid = Grid(view.shape, self.ijk_to_ras)
        object.__setattr__(self, "array", view)
        object.__setattr__(self, "ijk_to_ras", grid.ijk_to_ras)
        object.__setattr__(self, "_grid", grid)

    @property
    def grid(self) -> Grid:
        """The voxel grid."""
        return self._grid  # type: ignore[attr-defined]

    @property
    def shape(self) -> Shape:
        """Slices, rows, columns."""
        return self.grid.shape

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size along I, J, K in mm."""
        return self.grid.spacing_mm

    def like(self, array: np.ndarray, **changes: Any) -> Volume:
        """A volume on the same grid with other values (and other attributes, by name)."""
        if np.shape(array) != self.shape:
            raise GeometryError(f"Expected an array of shape {self.shape} for this grid; got {np.shape(array)}.")
        return replace(self, array=array, **changes)

    def with_warning(self, *texts: str) -> Volume:
        """The same volume with more warnings."""
        return replace(self, warnings=(*self.warnings, *texts))

    # --- exact changes of grid -----------------------------------------------------------------

    def crop(self, start_kji: Shape, stop_kji: Shape) -> Volume:
        """The box ``start <= index < stop`` (KJI), at its own place. Inverse: :meth:`uncrop`, exact."""
        for a, b, n in zip(start_kji, stop_kji, self.shape, strict=True):
            if not 0 <= a < b <= n:
                raise GeometryError(f"Crop {start_kji} to {stop_kji} does not lie within shape {self.shape}.")
        box = tuple(slice(a, b) for a, b in zip(start_kji, stop_kji, strict=True))
        cut = self.array[box]
        grid = self.grid.shifted(np.array(start_kji[::-1]), cut.shape)
        return replace(self, array=cut, ijk_to_ras=grid.ijk_to_ras)

    def uncrop(self, grid: Grid, fill: float = 0.0) -> Volume:
        """This box put back where it was in ``grid``; the rest is ``fill``. Exact."""
        start = self._offset_in(grid)
        _check_fill(fill, self.array.dtype)
        whole = np.full(grid.shape, fill, dtype=self.array.dtype)
        whole[tuple(slice(a, a + n) for a, n in zip(start, self.shape, strict=True))] = self.array
        return replace(self, array=whole, ijk_to_ras=grid.ijk_to_ras)

    def pad(self, before_kji: Shape, after_kji: Shape, fill: float = 0.0) -> Volume:
        """More voxels around, at ``fill``. Inverse: :meth:`crop_to` with the former grid, exact."""
        if min(*before_kji, *after_kji) < 0:
            raise GeometryError(f"Padding cannot be negative; got {before_kji} and {after_kji}. Use crop.")
        _check_fill(fill, self.array.dtype)
        widths = tuple(zip(before_kji, after_kji, strict=True))
        padded = np.pad(self.array, widths, constant_values=fill)
        grid = self.grid.shifted(-np.array(before_kji[::-1]), padded.shape)
        return replace(self, array=padded, ijk_to_ras=grid.ijk_to_ras)

    def crop_to(self, grid: Grid) -> Volume:
        """The part of this volume that lies on ``grid``, which must share its voxels. Exact."""
        inner = Volume(np.zeros(grid.shape, np.uint8), grid.ijk_to_ras)
        start = inner._offset_in(self.grid)
        return self.crop(start, tuple(a + n for a, n in zip(start, grid.shape, strict=True)))  # type: ignore[arg-type]

    def _offset_in(self, grid: Grid) -> Shape:
        """KJI index in ``grid`` of this volume's first voxel; raises where the voxels do not coincide."""
        if not np.allclose(grid.ijk_to_ras[:3, :3], self.ijk_to_ras[:3, :3], atol=1e-6):
            raise GeometryError("The two grids have different axes or spacing; resample instead.")
        exact = grid.ijk_of(self.grid.origin_ras)
        offset = np.round(exact).astype(int)
        inside = all(0 <= o <= n - m for o, n, m in zip(offset[::-1], grid.shape, self.shape, strict=True))
        if np.abs(exact - offset).max() > 1e-3 or not inside:
            raise GeometryError("The box does not lie on whole voxels within the grid; resample instead.")
        return int(offset[2]), int(offset[1]), int(offset[0])

    def reoriented(
        self, axes: tuple[int, int, int] = RAS_CANONICAL[0], signs: tuple[int, int, int] = RAS_CANONICAL[1]
    ) -> Volume:
        """The same voxels with the array's axes permuted and flipped towards R, A, S; nothing is interpolated.

        With the defaults, I runs closest to right, J to anterior and K to superior. Inverse:
        :meth:`reoriented_like`, exact.

        Args:
            axes: for I, J, K, the anatomical axis (0 = left-right, 1 = posterior-anterior, 2 = inferior-superior).
            signs: +1 towards R, A, S; -1 towards L, P, I.
        """
        found, found_signs = closest_axes(self.grid.directions)
        order = [found[a] for a in axes]
        flips = [found_signs[a] != s for a, s in zip(axes, signs, strict=True)]
        return self._permuted(order, flips)

    def reoriented_like(self, grid: Grid) -> Volume:
        """The same voxels with the array's axes ordered and flipped to run closest to those of ``grid``."""
        order, signs = closest_axes(grid.directions.T @ self.grid.directions)
        return self._permuted(list(order), [sign < 0 for sign in signs])

    def _permuted(self, order: list[int], flips: list[bool]) -> Volume:
        """New axis n (IJK) is old axis ``order[n]``, reversed where ``flips[n]``."""
        array = self.array.transpose([2 - order[2 - axis] for axis in range(3)])
        matrix = np.eye(4)
        matrix[:3, 3] = self.ijk_to_ras[:3, 3]
        for new, (old, flip) in enumerate(zip(order, flips, strict=True)):
            column = self.ijk_to_ras[:3, old]
            size = self.shape[2 - old]
            matrix[:3, new] = -column if flip else column
            if flip:
                matrix[:3, 3] += column * (size - 1)
                array = np.flip(array, 2 - new)
        return replace(self, array=np.ascontiguousarray(array), ijk_to_ras=matrix)

    # --- interpolation ---------------------------------------------------------------------------

    def resampled(self, grid: Grid, interpolation: str = "linear", fill: float = 0.0) -> Volume:
        """The values at the voxels of another grid (any orientation, sheared ones too).

        Within half a voxel outside the outermost voxel centres the edge values continue; beyond, it is ``fill``.
        Where the grids coincide the values come back unchanged.

        Args:
            grid: where values are wanted.
            interpolation: ``nearest`` keeps the dtype and the labels; ``linear`` and ``bspline`` (cubic) give float32.
            fill: the value outside this volume.
        """
        if interpolation not in INTERPOLATIONS:
            raise InvalidInputError(f"interpolation must be one of {INTERPOLATIONS}; got {interpolation!r}.")
        dtype = self.array.dtype if interpolation == "nearest" else np.dtype(np.float32)
        _check_fill(fill, dtype)
        if self.grid.same_as(grid, 1e-6):
            return replace(self, array=self.array.astype(dtype, copy=False), ijk_to_ras=grid.ijk_to_ras)
        array = _interpolated(self.array.astype(dtype, copy=False), np.linalg.inv(self.ijk_to_ras) @ grid.ijk_to_ras,
                              grid.shape, interpolation, fill)
        return replace(self, array=array.astype(dtype, copy=False), ijk_to_ras=grid.ijk_to_ras)

    def straightened(self) -> Volume:
        """This volume on perpendicular axes, with a warning; itself where they are perpendicular already.

        Values are interpolated linearly and integers rounded back to their type, except that an integer image with
        at most 256 different values may be a label map and takes the nearest voxel. Outside is the lowest value (our
        choices).
        """
        if not self.grid.is_sheared:
            return self
        whole_numbers = self.array.dtype.kind in "biu"
        labels = whole_numbers and len(np.unique(self.array)) <= 256
        kind = "nearest" if labels else "linear"
        straight = self.resampled(self.grid.straightened(), kind, fill=float(np.nanmin(self.array)))
        if whole_numbers and not labels:
            straight = replace(straight, array=np.rint(straight.array).astype(self.array.dtype))
        return straight.with_warning(
            f"The image's axes are not perpendicular; it was resampled ({kind}) to a straight grid of {straight.shape} "
            "slices, rows and columns."
        )

    # --- SimpleITK ----------------------------------------------------------------------------------

    def to_sitk(self) -> sitk.Image:
        """The volume as a SimpleITK image (LPS); raises GeometryError for a sheared grid, which ITK cannot hold."""
        if self.grid.is_sheared:
            raise GeometryError("The axes of this volume are not perpendicular. Resample it to a straight grid first.")
        lps = LPS_TO_RAS @ self.ijk_to_ras
        image = _index_image(self.array)
        image.SetSpacing(self.spacing_mm.tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        image.SetDirection((lps[:3, :3] / self.spacing_mm).ravel().tolist())
        return image

    @classmethod
    def from_sitk(cls, image: sitk.Image, **attributes: Any) -> Volume:
        """A volume from a 2-D or 3-D scalar SimpleITK image."""
        import SimpleITK as sitk

        if image.GetNumberOfComponentsPerPixel() != 1:
            raise InvalidInputError(
                f"Expected one value per voxel; got {image.GetNumberOfComponentsPerPixel()}. "
                "Convert colour to grey first."
            )
        array = sitk.GetArrayFromImage(image)
        dimension = image.GetDimension()
        if dimension not in (2, 3):
            raise InvalidInputError(f"Expected a 2-D or 3-D image; got {dimension} dimensions. Choose one frame first.")
        spacing, origin = np.ones(3), np.zeros(3)
        direction = np.eye(3)
        spacing[:dimension] = image.GetSpacing()
        origin[:dimension] = image.GetOrigin()
        direction[:dimension, :dimension] = np.array(image.GetDirection()).reshape(dimension, dimension)
        lps = np.eye(4)
        lps[:3, :3] = direction * spacing
        lps[:3, 3] = origin
        return cls(array if dimension == 3 else array[None], LPS_TO_RAS @ lps, **attributes)


def _native(array: np.ndarray) -> np.ndarray:
    """The array in the machine's byte order and at most 64 bits, as torch and ITK need it; no copy where it is so."""
    dtype = array.dtype.newbyteorder("=")
    return array.astype(np.float64 if dtype.itemsize > 8 else dtype, copy=False)


def _check_fill(fill: float, dtype: np.dtype) -> None:
    """Refuse a fill value that the voxels cannot hold."""
    if dtype.kind == "b":
        fits = fill in (0, 1)
    elif dtype.kind == "f":
        fits = True
    else:
        limits = np.iinfo(dtype)
        fits = bool(np.isfinite(fill)) and limits.min <= fill <= limits.max and fill == int(fill)
    if not fits:
        raise InvalidInputError(f"The fill value {fill} cannot be held by {dtype} voxels. Convert the volume first.")


def _index_image(array: np.ndarray) -> sitk.Image:
    """A SimpleITK image whose physical space is the index space; bool becomes uint8, float16 float32."""
    import SimpleITK as sitk

    wider = {"bool": np.uint8, "float16": np.float32}.get(array.dtype.name, array.dtype)
    return sitk.GetImageFromArray(np.ascontiguousarray(array, dtype=wider))


def _interpolated(array: np.ndarray, mapping: np.ndarray, shape: Shape, interpolation: str, fill: float) -> np.ndarray:
    """Values at ``mapping`` (4×4, new to old IJK) times the indices of an array of ``shape``."""
    import SimpleITK as sitk

    codes = {"nearest": sitk.sitkNearestNeighbor, "linear": sitk.sitkLinear, "bspline": sitk.sitkBSpline}
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(mapping[:3, :3].ravel().tolist())
    transform.SetTranslation(mapping[:3, 3].tolist())
    out = sitk.Resample(
        _index_image(array), [int(n) for n in shape[::-1]], transform, codes[interpolation],
        (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), np.eye(3).ravel().tolist(), float(fill),
    )  # fmt: skip
    return sitk.GetArrayFromImage(out)
