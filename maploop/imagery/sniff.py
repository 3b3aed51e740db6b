"""From an address as people write it, or an editor lists it, to a source on a server."""

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson

from maploop.errors import ImageryError
from maploop.imagery.fetch import Answer, Fetcher, Limits, check_address, public_name
from maploop.imagery.info import Bounds, SourceInfo
from maploop.imagery.wms import describe_wms, with_parameters
from maploop.imagery.xyz import DEFAULT_MAX_ZOOM, describe_xyz

# As JOSM lists imagery: a kind, zooms, an address.
_LISTED = re.compile(r"^(tms|wms|xyz)(?:\[(?:(\d{1,2}),)?(\d{1,2})\])?:(?=https?://)", re.IGNORECASE)
_ARCGIS = re.compile(r"/(MapServer|ImageServer)/?$", re.IGNORECASE)
_ONCE = Limits(attempts=1)


def describe_address(text: str, *, max_zoom: int | None = None) -> SourceInfo:
    """Describe the source at an http address: an XYZ template, a WMS, an ArcGIS tile service, TileJSON.

    Of a template nothing is fetched. `max_zoom` is the deepest zoom of a template, where somebody knows it. Raises
    ImageryError naming the equivalent that works.
    """
    if listed := _LISTED.match(text):
        text = text[listed.end() :]
        max_zoom = max_zoom if max_zoom is not None or not listed.group(3) else int(listed.group(3))
    lowered = text.lower()
    if not lowered.startswith(("http://", "https://")):
        msg = f"{text.split('://', maxsplit=1)[0]!r} addresses are not supported: use http or https, or a local path."
        raise ImageryError(msg)
    deepest = DEFAULT_MAX_ZOOM if max_zoom is None else max_zoom
    if "{bbox" in lowered:
        text = re.sub(r"&?bbox=\{[^}]*\}", "", text, flags=re.IGNORECASE)
    elif "{" in text:
        return describe_xyz(text, max_zoom=deepest)
    if "{bbox" in lowered or "layers=" in lowered or "service=wms" in lowered:
        if max_zoom is not None:
            msg = f"{public_name(text)!r} is a WMS, which draws every zoom: leave the deepest zoom out."
            raise ImageryError(msg)
        return describe_wms(text)
    if _ARCGIS.search(urlsplit(text).path):
        parts = urlsplit(text)
        template = urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/tile/{z}/{y}/{x}"))
        return describe_xyz(template, max_zoom=deepest)
    if lowered.partition("?")[0].endswith((".tif", ".tiff")):
        msg = f"{text.partition('?')[0]!r} is a remote GeoTIFF: download it and import the file."
        raise ImageryError(msg)
    return _asked(text, max_zoom)


def _asked(text: str, max_zoom: int | None) -> SourceInfo:
    """Ask a bare address for WMS capabilities, and describe what answers: TileJSON, WMS, WMTS."""
    check_address(text)
    msg = f"{public_name(text)!r} is no XYZ template and no WMS: write {{z}}/{{x}}/{{y}} or add LAYERS="
    asked = with_parameters(text, {"SERVICE": "WMS", "REQUEST": "GetCapabilities", "VERSION": "1.3.0"})
    try:
        answer = Fetcher(_ONCE).get(asked)
    except ImageryError as error:
        raise ImageryError(f"{msg} ({error})", reason=error.reason, status=error.status) from error
    head = answer.body[:3000]
    if (document := _tilejson(answer)) is not None:
        return _of_tilejson(document, text, max_zoom)
    if b"WMS_Capabilities" in head or b"WMT_MS_Capabilities" in head:
        return describe_wms(text)
    if b"opengis.net/wmts" in head:
        msg = (
            f"{public_name(text)!r} is a WMTS: write the address of its tiles as a template with {{TileMatrix}}, "
            "{TileCol} and {TileRow}, of a matrix set in EPSG:3857 (GoogleMapsCompatible)."
        )
    else:
        msg += "."
    raise ImageryError(msg, reason="not_an_image", status=answer.status)


def _tilejson(answer: Answer) -> dict[str, Any] | None:
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    tiles = document.get("tiles") if isinstance(document, dict) else None
    return document if isinstance(tiles, list) and tiles and isinstance(tiles[0], str) else None


def _of_tilejson(document: dict[str, Any], url: str, max_zoom: int | None) -> SourceInfo:
    """The source that a TileJSON describes. Raises ImageryError where it has no pictures."""
    template = document["tiles"][0]
    if document.get("format") == "pbf" or "vector_layers" in document:
        msg = f"{public_name(url)!r} is a TileJSON of vector tiles: give one of pictures (raster)."
        raise ImageryError(msg)
    if document.get("scheme") == "tms":
        template = template.replace("{y}", "{-y}")
    told = document.get("maxzoom")
    deepest = max_zoom if max_zoom is not None else told if isinstance(told, int) else DEFAULT_MAX_ZOOM
    info = describe_xyz(template, max_zoom=min(max(deepest, 0), 24))
    attribution = document.get("attribution")
    least = document.get("minzoom")
    return SourceInfo(
        kind="xyz",
        location=info.location,
        bounds=_bounds(document.get("bounds")),
        min_zoom=least if isinstance(least, int) and 0 <= least <= info.max_zoom else info.min_zoom,
        max_zoom=info.max_zoom,
        tile_size=info.tile_size,
        attribution=_plain(attribution) if isinstance(attribution, str) else info.attribution,
    )


def _plain(text: str) -> str:
    """An attribution without its markup."""
    return " ".join(re.sub(r"<[^>]*>", "", text).split())


def _bounds(told: Any) -> Bounds | None:
    if not (isinstance(told, list) and len(told) == 4 and all(isinstance(each, int | float) for each in told)):
        return None
    west, south, east, north = (float(each) for each in told)
    inside = -180 <= west < east <= 180 and -90 <= south < north <= 90
    return (west, south, east, north) if inside else None
