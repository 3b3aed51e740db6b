"""From what people type (a path, a URL) to a source of pixels."""

from pathlib import Path

from maploop.errors import ImageryError
from maploop.imagery.geotiff import GeoTiffSource, describe_geotiff
from maploop.imagery.info import ImagerySource, Kind, SourceInfo
from maploop.imagery.tile_folder import TileFolderSource, describe_tile_folder
from maploop.imagery.wms import WmsSource, describe_wms
from maploop.imagery.xyz import XyzSource, describe_xyz

__all__ = ["ImagerySource", "Kind", "SourceInfo", "describe", "open_source"]


def describe(location: str | Path, *, kind: Kind | None = None) -> SourceInfo:
    """Look at a source once: sniff its kind unless told, check it, and say what there is to know of it.

    Reads the file or the folder's names; of a WMS it fetches the capabilities, of an XYZ template nothing.
    Raises ImageryError with what is wrong and what to do.
    """
    text = str(location).strip()
    match kind or _sniff(text):
        case "geotiff":
            return describe_geotiff(Path(text))
        case "tile_folder":
            return describe_tile_folder(Path(text))
        case "xyz":
            return describe_xyz(text)
        case "wms":
            return describe_wms(text)


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
    if "://" in text:
        return _sniff_url(text)
    path = Path(text)
    if path.is_dir():
        return "tile_folder"
    if not path.exists():
        msg = f"{text!r} does not exist: give a GeoTIFF, a folder of tiles, an XYZ template or a WMS URL."
        raise ImageryError(msg)
    if path.suffix.lower() in {".tif", ".tiff"}:
        return "geotiff"
    msg = f"{path.name!r} cannot be read as imagery: convert it to GeoTIFF, for example with gdal_translate -of COG."
    raise ImageryError(msg)


def _sniff_url(text: str) -> Kind:
    lowered = text.lower()
    if not lowered.startswith(("http://", "https://")):
        msg = f"{text.split('://', maxsplit=1)[0]!r} addresses are not supported: use http or https, or a local path."
        raise ImageryError(msg)
    if "layers=" in lowered or "service=wms" in lowered:
        return "wms"
    if "{" in text:
        return "xyz"
    if lowered.partition("?")[0].endswith((".tif", ".tiff")):
        msg = f"{text.partition('?')[0]!r} is a remote GeoTIFF: download it and import the file."
        raise ImageryError(msg)
    msg = f"{text.partition('?')[0]!r} is no XYZ template and no WMS: write {{z}}/{{x}}/{{y}} or add LAYERS=."
    raise ImageryError(msg)
