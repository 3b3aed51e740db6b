"""Smooth noise without borders: a value at any place follows from the seed and the place alone.

Values lie on a square lattice and are hashed from their position, then joined by cubic B-splines. Any window of the
plane can be asked for by itself, which is what lets the town be painted block by block with no seams.
"""

import numpy as np
from numpy.typing import NDArray


def _lattice(columns: NDArray[np.int64], rows: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """Hashed values in -1..1 (the finaliser of MurmurHash3 over position and seed); shapes broadcast."""
    key = columns.astype(np.uint32) * np.uint32(0x9E3779B1)
    key = key ^ (rows.astype(np.uint32) * np.uint32(0x85EBCA77)) ^ np.uint32(seed * 0xC2B2AE3D & 0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        key = (key ^ (key >> np.uint32(shift))) * np.uint32(factor)
    key = key ^ (key >> np.uint32(16))
    return (key.astype(np.float64) / 2**31 - 1.0).astype(np.float32)


def _taps(position: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """First lattice index (n,) and the four B-spline weights (n, 4) at each position."""
    base = np.floor(position)
    t = position - base
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    return base.astype(np.int64) - 1, weights.astype(np.float32)


class Noise:
    """A field of about -1..1 whose bumps are `wavelength` units apart."""

    def __init__(self, seed: int, wavelength: float) -> None:
        self.seed = seed
        self.wavelength = wavelength

    def at(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at points; `x` and `y` are one-dimensional and equally long."""
        column, across = _taps(np.asarray(x, dtype=np.float64) / self.wavelength)
        row, down = _taps(np.asarray(y, dtype=np.float64) / self.wavelength)
        steps = np.arange(4)
        values = _lattice(column[:, None, None] + steps, (row[:, None] + steps)[:, :, None], self.seed)
        found = 1.8 * np.einsum("nyx,ny,nx->n", values.astype(np.float64), down, across)
        return np.asarray(found, dtype=np.float64)

    def window(self, left: int, top: int, width: int, height: int) -> NDArray[np.float32]:
        """Values at the centres of unit pixels, shape (height, width)."""
        across, first_column = self._matrix(left, width)
        down, first_row = self._matrix(top, height)
        columns = first_column + np.arange(across.shape[1])
        rows = first_row + np.arange(down.shape[1])
        values = _lattice(columns[None, :], rows[:, None], self.seed)
        return np.asarray(np.float32(1.8) * (down @ values @ across.T), dtype=np.float32)

    def _matrix(self, start: int, length: int) -> tuple[NDArray[np.float32], int]:
        """Interpolation as a matrix (length, lattice points), and the first lattice index."""
        base, weights = _taps(np.asarray((start + np.arange(length) + 0.5) / self.wavelength, dtype=np.float64))
        first = int(base[0])
        matrix = np.zeros((length, int(base[-1]) - first + 4), dtype=np.float32)
        for tap in range(4):
            matrix[np.arange(length), base - first + tap] = weights[:, tap]
        return matrix, first
