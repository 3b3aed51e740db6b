"""Web mercator tile maths (XYZ scheme, EPSG:3857), on top of mercantile, vectorised where it counts.

Longitude and latitude are EPSG:4326 degrees in x, y order; pixels are x right, y down from the tile's top-left corner.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

import mercantile
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.errors import InputError

MAX_ZOOM = 24
MAX_LATITUDE = 85.0511287798066
EARTH_CIRCUMFERENCE = 40_075_016.685578488  # metres, WGS 84 equator, as EPSG:3857 has it


@dataclass(frozen=True, order=True, slots=True)
class Tile:
    """One z/x/y square, XYZ scheme (y grows southwards)."""

    z: int
    x: int
    y: int

    def __post_init__(self) -> None:
        last = 2**self.z - 1 if 0 <= self.z <= MAX_ZOOM else -1
        if not (0 <= self.x <= last and 0 <= self.y <= last):
            msg = f"{self.z}/{self.x}/{self.y} is not a tile: zoom 0 to {MAX_ZOOM}, x and y from 0 to 2^zoom - 1."
            raise InputError(msg)

    def __str__(self) -> str:
        return f"{self.z}/{self.x}/{self.y}"

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in EPSG:4326 degrees."""
        box = mercantile.bounds(self.x, self.y, self.z)
        return box.west, box.south, box.east, box.north

    @property
    def mercator_bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top in EPSG:3857 metres."""
        box = mercantile.xy_bounds(self.x, self.y, self.z)
        return box.left, box.bottom, box.right, box.top

    @property
    def polygon(self) -> BaseGeometry:
        """The tile's square in EPSG:4326."""
        return shapely.box(*self.bounds)

    @property
    def quadkey(self) -> str:
        """Bing quadkey: neighbours share prefixes, so sorting by it walks the ground place by place."""
        return str(mercantile.quadkey(self.x, self.y, self.z))

    def parent(self, zoom: int) -> "Tile":
        """The tile of a lower `zoom` that contains this one; itself when `zoom` is its own."""
        shift = self.z - zoom
        return Tile(zoom, self.x >> shift, self.y >> shift)

    def children(self, zoom: int) -> Iterator["Tile"]:
        """The tiles of a higher `zoom` inside this one, row by row."""
        n = 1 << (zoom - self.z)
        for row in range(n):
            for column in range(n):
                yield Tile(zoom, self.x * n + column, self.y * n + row)

    def neighbours(self) -> Iterator["Tile"]:
        """The up to eight tiles around this one; none beyond the antimeridian or the poles."""
        last = 2**self.z - 1
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                x, y = self.x + dx, self.y + dy
                if (dx or dy) and 0 <= x <= last and 0 <= y <= last:
                    yield Tile(self.z, x, y)


_DATE = re.compile(r"(?:^|[^0-9])(?:19|20)\d\d[-_](?:0[1-9]|1[0-2])[-_](?:0[1-9]|[12]\d|3[01])$")
_TWICE = re.compile(r"@[23]x$", re.IGNORECASE)
_NAME = re.compile(r"(?:^|[^0-9])(\d{1,8})[-_](\d{1,8})[-_](\d{1,2})$")
_PATH = re.compile(r"(?:^|/)(\d{1,2})/(\d{1,8})/(\d{1,8})$")


def parse_tile(text: str) -> Tile:
    """Read an address as people write it: `z/x/y`. Raises InputError."""
    match = re.fullmatch(r"\s*(\d{1,2})/(\d{1,8})/(\d{1,8})\s*", text)
    if not match:
        msg = f"{text!r} is not a tile address: write z/x/y, for example 19/262144/262143."
        raise InputError(msg)
    return Tile(*map(int, match.groups()))


def tile_of_file(path: PurePath | str) -> Tile | None:
    """The tile a file's name stands for: `.../z/x/y.png` or a stem that ends in `x-y-z`; None when neither fits.

    `@2x` may follow. A stem that ends in a date (2024-05-12) stands for none.
    """
    path = PurePath(path)
    stem = _TWICE.sub("", str(path.with_suffix("") if path.name else path).replace("\\", "/"))
    try:
        if match := _PATH.search(stem):
            return Tile(*map(int, match.groups()))
        if (match := _NAME.search(stem)) and not _DATE.search(stem):
            x, y, z = map(int, match.groups())
            return Tile(z, x, y)
    except InputError:
        return None
    return None


def tile_at(longitude: float, latitude: float, zoom: int) -> Tile:
    """The tile of `zoom` that holds a point in EPSG:4326 degrees."""
    columns, rows = tile_indices(np.array([longitude]), np.array([latitude]), zoom)
    return Tile(zoom, int(columns[0]), int(rows[0]))


def fractional_tile(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64], zoom: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tile columns and rows with their fractions (EPSG:3857 formula); latitudes are clamped."""
    n = float(2**zoom)
    phi = np.radians(np.clip(latitude, -MAX_LATITUDE, MAX_LATITUDE))
    return (longitude + 180.0) / 360.0 * n, (1.0 - np.arcsinh(np.tan(phi)) / np.pi) / 2.0 * n


def tile_indices(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64], zoom: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole tile columns and rows of many points in EPSG:4326 degrees."""
    last = 2**zoom - 1
    columns, rows = fractional_tile(longitude, latitude, zoom)
    return (
        np.clip(np.floor(columns), 0, last).astype(np.int64),
        np.clip(np.floor(rows), 0, last).astype(np.int64),
    )


def tiles_covering(bounds: tuple[float, float, float, float], zoom: int) -> Iterator[Tile]:
    """All tiles of `zoom` that touch west, south, east, north in degrees, row by row."""
    west, south, east, north = bounds
    columns, rows = tile_indices(np.array([west, east]), np.array([north, south]), zoom)
    for y in range(int(rows[0]), int(rows[1]) + 1):
        for x in range(int(columns[0]), int(columns[1]) + 1):
            yield Tile(zoom, x, y)


def count_tiles_covering(bounds: tuple[float, float, float, float], zoom: int) -> int:
    """How many tiles `tiles_covering` would yield, without making them."""
    west, south, east, north = bounds
    columns, rows = tile_indices(np.array([west, east]), np.array([north, south]), zoom)
    return int(columns[1] - columns[0] + 1) * int(rows[1] - rows[0] + 1)


def to_pixels(geometry: BaseGeometry, tile: Tile, size: int) -> BaseGeometry:
    """EPSG:4326 geometry -> pixels of the tile drawn `size` pixels wide (x right, y down, not clipped)."""

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        columns, rows = fractional_tile(points[:, 0], points[:, 1], tile.z)
        return np.column_stack([(columns - tile.x) * size, (rows - tile.y) * size])

    return shapely.transform(geometry, project)


def from_pixels(geometry: BaseGeometry, tile: Tile, size: int) -> BaseGeometry:
    """Inverse of `to_pixels`: pixels of the tile -> EPSG:4326 geometry."""
    n = float(2**tile.z)

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        longitude = (points[:, 0] / size + tile.x) / n * 360.0 - 180.0
        latitude = np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * (points[:, 1] / size + tile.y) / n))))
        return np.column_stack([longitude, latitude])

    return shapely.transform(geometry, project)


def metres_per_pixel(tile: Tile, size: int) -> float:
    """Ground metres of one pixel at the middle of the tile drawn `size` pixels wide."""
    _, south, _, north = tile.bounds
    latitude = np.radians((south + north) / 2)
    return float(EARTH_CIRCUMFERENCE * np.cos(latitude) / 2**tile.z / size)
