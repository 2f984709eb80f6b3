"""IBSI 2's digital phantoms, its test configurations, and one specification of every kind of filter."""

from __future__ import annotations

import numpy as np

SIDE = 64
SPACING = (2.0, 2.0, 2.0)
SHELLS = (2, 6, 10, 15, 19, 24, 28)
"""Voxels from the sphere phantom's centre at which it turns from bright to dark and back."""


def checkerboard() -> np.ndarray:
    """Cubes of 8 voxels, 0 and 255 by turns."""
    k, j, i = np.indices((SIDE,) * 3) // 8
    return ((k + j + i) % 2 * 255).astype(np.uint8)


def impulse() -> np.ndarray:
    """255 in one voxel."""
    image = np.zeros((SIDE,) * 3, np.uint8)
    image[31, 31, 31] = 255
    return image


def sphere() -> np.ndarray:
    """Concentric shells of 0 and 255."""
    squared = ((np.indices((SIDE,) * 3) - 31) ** 2).sum(axis=0)
    return (np.searchsorted(np.square(SHELLS), squared) % 2 == 0).astype(np.uint8) * 255


def pattern() -> np.ndarray:
    """Three crossing bars, two voxels wide."""
    middle = ((np.indices((SIDE,) * 3) + 1) // 2 == 16).sum(axis=0)
    return (middle >= 2).astype(np.uint8) * 255


PHANTOMS = {"checkerboard": checkerboard, "impulse": impulse, "sphere": sphere, "pattern": pattern}

MAPS = {
    "1_a_1": ("checkerboard", "mean:15,boundary=zero"),
    "1_a_2": ("checkerboard", "mean:15,boundary=nearest"),
    "1_a_3": ("checkerboard", "mean:15,boundary=periodize"),
    "1_a_4": ("checkerboard", "mean:15,boundary=mirror"),
    "1_b_1": ("impulse", "mean:15,boundary=zero,planar=true"),
    "2_a": ("impulse", "log:3,mode=ibsi,boundary=zero"),
    "2_b": ("checkerboard", "log:5,mode=ibsi"),
    "2_c": ("checkerboard", "log:5,mode=ibsi,planar=true"),
    "3_a_1": ("impulse", "laws:E5L5S5,boundary=zero"),
    "3_a_2": ("impulse", "laws:E5L5S5,boundary=zero,rotations=max"),
    "3_a_3": ("impulse", "laws:E5L5S5,boundary=zero,rotations=max,energy_distance=7"),
    "3_b_1": ("checkerboard", "laws:E3W5R5"),
    "3_b_2": ("checkerboard", "laws:E3W5R5,rotations=max"),
    "3_b_3": ("checkerboard", "laws:E3W5R5,rotations=max,energy_distance=7"),
    "3_c_1": ("checkerboard", "laws:L5S5"),
    "3_c_2": ("checkerboard", "laws:L5S5,rotations=max"),
    "3_c_3": ("checkerboard", "laws:L5S5,rotations=max,energy_distance=7"),
    "4_a_1": ("impulse", "gabor:10,wavelength_mm=4,gamma=0.5,theta_deg=60,boundary=zero"),
    "4_a_2": ("impulse", "gabor:10,wavelength_mm=4,gamma=0.5,theta_step_deg=45,boundary=zero,rotations=average"),
    "4_b_1": ("sphere", "gabor:20,wavelength_mm=8,gamma=2.5,theta_deg=225"),
    "4_b_2": ("sphere", "gabor:20,wavelength_mm=8,gamma=2.5,theta_step_deg=22.5,rotations=average"),
    "5_a_1": ("impulse", "wavelet:db2,mode=ibsi,bands=LHL,boundary=zero"),
    "5_a_2": ("impulse", "wavelet:db2,mode=ibsi,bands=LHL,boundary=zero,rotations=average"),
    "6_a_1": ("sphere", "wavelet:coif1,mode=ibsi,bands=HHL,boundary=periodize"),
    "6_a_2": ("sphere", "wavelet:coif1,mode=ibsi,bands=HHL,boundary=periodize,rotations=average"),
    "7_a_1": ("checkerboard", "wavelet:haar,mode=ibsi,bands=LLL,level=2,rotations=average"),
    "7_a_2": ("checkerboard", "wavelet:haar,mode=ibsi,bands=HHH,level=2,rotations=average"),
    "8_a_1": ("checkerboard", "simoncelli:1"),
    "8_a_2": ("checkerboard", "simoncelli:2"),
    "8_a_3": ("checkerboard", "simoncelli:3"),
    "9_a": ("impulse", "log:3,mode=ibsi,riesz=1+0+0,boundary=zero"),
    "9_b_1": ("sphere", "log:3,mode=ibsi,riesz=0+2+0,boundary=zero"),
    "10_b_1": ("pattern", "simoncelli:1,riesz=0+2+0"),
}
"""Map of IBSI 2's first phase -> phantom and filter."""

FEATURES = {
    "1.A": "original",
    "2.A": "mean:5,planar=true",
    "3.A": "log:1.5,mode=ibsi,planar=true",
    "4.A": "laws:L5E5,energy_distance=7,rotations=max",
    "5.A": "gabor:5,wavelength_mm=2,gamma=1.5,theta_step_deg=22.5,planar=true",
    "6.A": "wavelet:db3,mode=ibsi,bands=LH,planar=true,rotations=average",
    "7.A": "wavelet:db3,mode=ibsi,bands=HH,level=2,planar=true,rotations=average",
    "8.A": "simoncelli:1,planar=true",
    "9.A": "simoncelli:2,planar=true",
    "1.B": "original",
    "2.B": "mean:5",
    "3.B": "log:1.5,mode=ibsi",
    "4.B": "laws:L5E5E5,energy_distance=7,rotations=max",
    "5.B": "gabor:5,wavelength_mm=2,gamma=1.5,theta_step_deg=22.5,rotations=average",
    "6.B": "wavelet:db3,mode=ibsi,bands=LLH,rotations=average",
    "7.B": "wavelet:db3,mode=ibsi,bands=HHH,level=2,rotations=average",
    "8.B": "simoncelli:1",
    "9.B": "simoncelli:2",
}
"""Row of IBSI 2's second phase -> filter; A slice by slice on the image's grid, B in space on cubes of 1 mm."""

EVERY = (
    "original",
    "wavelet",
    "wavelet:db3,level=2,start_level=1",
    "square",
    "squareroot",
    "logarithm",
    "exponential",
    "gradient",
    "lbp-2D",
    "mean:5",
    "log:2,mode=ibsi",
    "log:2,mode=ibsi,planar=true",
    "log:1,mode=ibsi,riesz=1+1+0",
    "laws:L5E5S3,rotations=max,energy_distance=2",
    "laws:E5W5",
    "gabor:1.5,wavelength_mm=3,gamma=1.5,theta_step_deg=90,rotations=average",
    "gabor:1.5,wavelength_mm=3,theta_deg=30",
    "wavelet:db2,mode=ibsi,level=2,bands=LHL+HHH,rotations=average",
    "wavelet:coif1,mode=ibsi,planar=true",
    "simoncelli:1,riesz=0+0+1",
    "simoncelli:2,planar=true",
    "shannon:1",
)
"""A filter of every kind; without pyradiomics' Laplacian of Gaussian, which is equal on a box to float32 only."""
