"""What every source of pixels says of itself and can do."""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from maploop.errors import ImageryError
from maploop.imagery.tilemath import Tile

Scheme = Literal["xyz", "tms", "zyx"]  # rows from the north; rows from the south; folders by row
Kind = Literal["geotiff", "tile_folder", "xyz", "wms"]
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class SourceInfo:
    """All that is needed to open a source again; kept as JSON beside the imagery.

    `location` is an absolute path or a URL template. `bounds` are west, south, east, north in EPSG:4326 degrees, None
    where nobody knows. At `max_zoom` a tile of `tile_size` pixels holds the source's pixels as they are. `stretch` is
    the value shown as black and the one shown as white, a band, for pixels that are not plain 8 bit. `scheme` says how
    a folder of tiles is named. `assigned_crs`, `assigned_stretch`, `bands` and `nodata` of a GeoTIFF override what the
    file says; `is_nodata_found` where nobody told the latter, but the pixels.
    """

    kind: Kind
    location: str
    bounds: Bounds | None
    min_zoom: int
    max_zoom: int
    tile_size: int = 256
    attribution: str = ""
    stretch: tuple[tuple[float, float], ...] | None = None
    crs: str = "EPSG:3857"
    scheme: Scheme = field(default="xyz", repr=False)  # not in repr: fingerprints of older versions stay what they are
    assigned_crs: str | None = field(default=None, repr=False)
    bands: tuple[int, ...] | None = field(default=None, repr=False)
    nodata: float | None = field(default=None, repr=False)
    assigned_stretch: tuple[float, float] | None = field(default=None, repr=False)
    is_nodata_found: bool = field(default=False, repr=False)

    def options_text(self) -> str:
        """Return the options that are set, as text for fingerprints: those of older imagery stay what they were."""
        options = {"assigned_crs": self.assigned_crs, "bands": self.bands, "nodata": self.nodata}
        return "".join(f" {name}={value!r}" for name, value in options.items() if value is not None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` reads them back."""
        values: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return values

    @staticmethod
    def from_json(values: dict[str, Any]) -> "SourceInfo":
        """The inverse of `to_json`. Raises ImageryError when the values are not a source."""
        try:
            return _ADAPTER.validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "source"
            msg = f"The stored imagery is damaged at {field!r} ({first['msg']}): import it again."
            raise ImageryError(msg) from error


_ADAPTER = TypeAdapter(SourceInfo)


def imagery_name(location: str) -> str:
    """How imagery is called in public: its file or folder name, or its host."""
    return urlsplit(location).hostname or location if "://" in location else location.rstrip("/").rpartition("/")[2]


class ImagerySource(Protocol):
    """Pixels of any web mercator tile; safe to use from many threads."""

    @property
    def info(self) -> SourceInfo:
        """What the source says of itself."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the pixels may have changed: part of every cache key."""
        ...

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        """Pixels of a tile, (size, size, 4) RGBA, alpha 0 where there is no data. Raises ImageryError."""
        ...
