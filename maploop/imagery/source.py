"""From what people type (a path, a URL) to a source of pixels."""

from pathlib import Path

from maploop.errors import ImageryError
from maploop.imagery.geotiff import GeoTiffSource, describe_geotiff
from maploop.imagery.info import ImagerySource, Kind, Scheme, SourceInfo
from maploop.imagery.raster_options import RasterOptions
from maploop.imagery.sniff import describe_address
from maploop.imagery.tile_folder import TileFolderSource, describe_tile_folder, is_tiff
from maploop.imagery.tilemath import tile_of_file
from maploop.imagery.wms import WmsSource
from maploop.imagery.xyz import XyzSource

__all__ = ["ImagerySource", "Kind", "SourceInfo", "describe", "open_source"]


def describe(
    location: str | Path,
    *,
    max_zoom: int | None = None,
    scheme: Scheme | None = None,
    raster: RasterOptions | None = None,
) -> SourceInfo:
    """Look at a source once: sniff its kind, check it, and say what there is to know of it.

    Reads the file or the folder's names; of a WMS it fetches the capabilities, of an XYZ template nothing. `max_zoom`
    is the deepest zoom of tiles on a server, `scheme` how the tiles of a folder are named, where somebody knows it;
    `raster` says what a GeoTIFF does not say itself. Raises ImageryError with what is wrong and what to do.
    """
    text = str(location).strip()
    if raster and ("://" in text or Path(text).is_dir()):
        msg = f"{text!r} is no GeoTIFF: CRS, bands, stretch and nodata are for GeoTIFFs only."
        raise ImageryError(msg)
    if "://" in text:
        return describe_address(text, max_zoom=max_zoom)
    if max_zoom is not None:
        msg = f"{text!r} is on this machine and knows its own zooms: give a deepest zoom for tiles on a server only."
        raise ImageryError(msg)
    if _sniff(text) == "tile_folder":
        return describe_tile_folder(Path(text), scheme)
    return describe_geotiff(Path(text), raster)


def open_source(info: SourceInfo) -> ImagerySource:
    """Open a described source. Raises ImageryError when it has gone or changed its nature."""
    match info.kind:
        case "geotiff":
            return GeoTiffSource(info)
        case "tile_folder":
            return TileFolderSource(info)
        case "xyz":
            return XyzSource(info)
        case "wms":
            return WmsSource(info)


def _sniff(text: str) -> Kind:
    if not text:
        msg = "The imagery has no location: give a GeoTIFF, a folder of tiles, an XYZ template or a WMS URL."
        raise ImageryError(msg)
    path = Path(text)
    if path.is_dir():
        return "tile_folder"
    if not path.exists():
        msg = f"{text!r} does not exist: give a GeoTIFF, a folder of tiles, an XYZ template or a WMS URL."
        raise ImageryError(msg)
    if path.suffix.lower() in {".tif", ".tiff"}:
        if not is_tiff(path) and tile_of_file(path) is not None:
            msg = (
                f"{path.name!r} is not a TIFF, but its name is that of a tile: import its folder, {str(path.parent)!r}."
            )
            raise ImageryError(msg)
        return "geotiff"
    msg = f"{path.name!r} cannot be read as imagery: convert it to GeoTIFF, for example with gdal_translate -of COG."
    raise ImageryError(msg)
