"""Small GeoTIFFs made on the spot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio import Affine

LONGITUDE, LATITUDE = 32.5947, 0.3509  # the middle of every raster that `geotiff` makes
METRES = 0.3  # its pixel

GeoTiffMaker = Callable[..., Path]


@pytest.fixture
def geotiff(tmp_path: Path) -> GeoTiffMaker:
    """`geotiff(pixels, crs)` writes (bands, height, width) around LONGITUDE, LATITUDE; `cog=True` adds overviews."""

    def make(
        pixels: NDArray[Any],
        crs: str | None = "EPSG:32636",
        *,
        name: str = "image.tif",
        cog: bool = False,
        transform: Any = None,
        metres: float = METRES,
        **profile: Any,
    ) -> Path:
        bands, height, width = pixels.shape
        if transform is None and crs is not None:
            x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(LONGITUDE, LATITUDE)
            pixel = metres / 111_320.0 if crs == "EPSG:4326" else metres
            transform = Affine(pixel, 0.0, x - width / 2 * pixel, 0.0, -pixel, y + height / 2 * pixel)
        path = tmp_path / name
        raw = path.with_suffix(".raw.tif") if cog else path
        palette = profile.pop("palette", None)
        colours = profile.pop("colorinterp", None)
        mask = profile.pop("mask", None)
        dtype = pixels.dtype.name
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(
                raw, "w", driver="GTiff", width=width, height=height, count=bands, dtype=dtype, crs=crs,
                transform=transform, **profile,
            ) as dataset,
        ):  # fmt: skip
            if colours:
                dataset.colorinterp = colours
            dataset.write(pixels)
            if palette:
                dataset.write_colormap(1, palette)
            if mask is not None:
                dataset.write_mask(mask)
        if cog:
            rasterio.shutil.copy(raw, path, driver="COG", compress="DEFLATE", blocksize=256)
            raw.unlink()
        return path

    return make


@pytest.fixture
def texture() -> Callable[..., NDArray[Any]]:
    """Noise on top of blocks, (bands, side, side): every wrong pixel shows."""

    def make(side: int = 1024, bands: int = 3, dtype: str = "uint8", top: int = 255) -> NDArray[Any]:
        random = np.random.default_rng(7)
        blocks = np.kron(random.random((bands, side // 16, side // 16)), np.ones((1, 16, 16)))
        return ((0.5 * blocks + 0.5 * random.random((bands, side, side))) * top).astype(dtype)

    return make
