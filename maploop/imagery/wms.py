"""WMS 1.1.1 and 1.3.0, asked for EPSG:3857 squares, or for degrees where it knows nothing else."""

import hashlib
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maploop.errors import ImageryError
from maploop.imagery.answers import image_of, refuse_exception
from maploop.imagery.fetch import Fetcher, check_address, public_name
from maploop.imagery.info import Bounds, SourceInfo
from maploop.imagery.tilemath import MAX_ZOOM, Tile
from maploop.imagery.wms_capabilities import DEGREE_NAMES, Layer, parse_xml, read_formats, read_layers

VERSIONS = ("1.3.0", "1.1.1")
# What belongs to one request and not to the source.
PER_REQUEST = {
    "service",
    "request",
    "version",
    "bbox",
    "width",
    "height",
    "crs",
    "srs",
    "layers",
    "styles",
    "format",
    "transparent",
}
TILE_SIZE = 512
NOTHING_HERE = frozenset({204})
FORMATS = (
    "image/png",
    "image/png; mode=24bit",
    "image/png; mode=8bit",
    "image/png8",
    "image/webp",
    "image/jpeg",
    "image/jpg",
    "image/gif",
)  # those that can be read, what loses nothing first


def describe_wms(url: str, fetcher: Fetcher | None = None) -> SourceInfo:
    """Fetch the capabilities and check that every layer of `LAYERS=` exists and can be had in EPSG:3857 or in degrees.

    A server with one layer needs no `LAYERS=`. The picture format is one that the server offers.

    `location` of the answer is the URL with all that a request needs but its BBOX and size. Raises ImageryError.
    """
    check_address(url)
    parameters = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    names = [name.strip() for name in parameters.get("layers", "").split(",") if name.strip()]
    version = parameters.get("version") or VERSIONS[0]
    if version not in VERSIONS:
        msg = f"WMS version {version!r} is not supported: use 1.3.0 or 1.1.1."
        raise ImageryError(msg)
    layers, formats, version = _capabilities(url, version, fetcher or Fetcher())
    if not names and len(layers) == 1:
        names = list(layers)
    if not names:
        msg = f"{public_name(url)!r} needs a layer: add LAYERS= with one of {_listed(layers)}."
        raise ImageryError(msg)
    chosen = [_checked(name, layers) for name in names]
    in_degrees = [each.crs for each in chosen if each.crs in DEGREE_NAMES]
    crs = in_degrees[0] if in_degrees else chosen[0].crs
    format = _format(parameters.get("format", ""), formats, url)
    request = {
        "VERSION": version,
        "LAYERS": ",".join(names),
        "STYLES": parameters.get("styles", ""),
        "FORMAT": format,
        "TRANSPARENT": parameters.get("transparent", "FALSE" if "jp" in format else "TRUE").upper(),
        "CRS" if version == "1.3.0" else "SRS": crs,
    }
    return SourceInfo(
        kind="wms",
        location=with_parameters(url, request),
        bounds=_union([layer.bounds for layer in chosen]),
        min_zoom=0,
        max_zoom=MAX_ZOOM,
        tile_size=TILE_SIZE,
        attribution=", ".join(dict.fromkeys(layer.attribution for layer in chosen if layer.attribution)),
        crs=crs,
    )


class WmsSource:
    """Squares of one WMS request; the server draws each at the size asked for."""

    def __init__(self, info: SourceInfo, fetcher: Fetcher | None = None) -> None:
        self.info = info
        self.fingerprint = hashlib.sha256(repr(info).encode()).hexdigest()[:16]
        self._fetcher = fetcher or Fetcher()

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        """Pixels of a tile, (size, size, 4) RGBA, alpha 0 where the server has nothing. Raises ImageryError."""
        url = address(self.info.location, tile, size)
        answer = self._fetcher.get(url, empty=NOTHING_HERE)
        if answer.status in NOTHING_HERE:
            return np.zeros((size, size, 4), dtype=np.uint8)
        image = image_of(answer, url)
        if image.width != size:
            image = image.resize((size, size), Image.Resampling.BILINEAR)
        pixels = np.asarray(image).copy()
        return from_degrees(pixels, tile) if self.info.crs in DEGREE_NAMES else pixels


def from_degrees(pixels: NDArray[np.uint8], tile: Tile) -> NDArray[np.uint8]:
    """Rows that are evenly spaced in latitude -> rows of the tile in EPSG:3857, both (size, size, 4) from the north."""
    size = len(pixels)
    _, south, _, north = tile.bounds
    rows = (tile.y + (np.arange(size) + 0.5) / size) / 2**tile.z
    latitudes = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * rows))))
    places = np.clip((north - latitudes) / (north - south) * size - 0.5, 0, size - 1)
    above = np.floor(places).astype(np.int64)
    below = np.minimum(above + 1, size - 1)
    share = (places - above)[:, None, None]
    mixed: NDArray[np.uint8] = np.rint(pixels[above] * (1 - share) + pixels[below] * share).astype(np.uint8)
    return mixed


def address(location: str, tile: Tile, size: int) -> str:
    """The GetMap URL of a tile: BBOX is west, south, east, north; in EPSG:4326 by 1.3.0 south, west, north, east."""
    parts = urlsplit(location)
    asked = {name.lower(): value for name, value in parse_qsl(parts.query)}
    crs = asked.get("crs") or asked.get("srs", "")
    edges = tile.mercator_bounds
    if crs in DEGREE_NAMES:
        west, south, east, north = tile.bounds
        swapped = crs == "EPSG:4326" and asked.get("version") == "1.3.0"
        edges = (south, west, north, east) if swapped else tile.bounds
    box = ",".join(f"{value:.9f}" for value in edges)
    request = {"SERVICE": "WMS", "REQUEST": "GetMap", "BBOX": box, "WIDTH": str(size), "HEIGHT": str(size)}
    return urlunsplit(parts._replace(query=f"{parts.query}&{urlencode(request, safe=',:/')}"))


def _format(wanted: str, offered: list[str], url: str) -> str:
    """The picture format to ask for: the one wanted if it is offered, else the best of those offered."""
    plain = {each.lower().replace(" ", ""): each for each in offered}
    if not plain:
        return wanted or FORMATS[0]
    if (found := plain.get(wanted.lower().replace(" ", ""))) is not None:
        return found
    for each in FORMATS:
        if (found := plain.get(each.replace(" ", ""))) is not None:
            return found
    msg = f"{public_name(url)!r} offers no picture that can be read ({', '.join(offered[:8])}): use another server."
    raise ImageryError(msg)


def _capabilities(url: str, version: str, fetcher: Fetcher) -> tuple[dict[str, Layer], list[str], str]:
    """The layers, the picture formats, and the version the server settled on."""
    address = with_parameters(url, {"SERVICE": "WMS", "REQUEST": "GetCapabilities", "VERSION": version})
    answer = fetcher.get(address)
    if answer.content_type == "text/html" or not answer.body.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        msg = f"{public_name(url)!r} sent {answer.content_type!r} instead of capabilities: check that it is a WMS."
        raise ImageryError(msg)
    refuse_exception(answer, url)
    root = parse_xml(answer.body)
    layers = read_layers(root)
    if not layers:
        msg = f"{public_name(url)!r} names no layers: check that it is a WMS."
        raise ImageryError(msg)
    offered = root.get("version", version)
    return layers, read_formats(root), offered if offered in VERSIONS else version


def _checked(name: str, layers: dict[str, Layer]) -> Layer:
    layer = layers.get(name)
    if layer is None:
        msg = f"The WMS has no layer {name!r}: use one of {_listed(layers)}."
        raise ImageryError(msg)
    if not layer.crs:
        msg = f"The WMS cannot draw {name!r} in EPSG:3857 or in degrees: use another layer or server."
        raise ImageryError(msg)
    return layer


def _listed(layers: dict[str, Layer], most: int = 12) -> str:
    names = list(layers)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def with_parameters(url: str, request: dict[str, str]) -> str:
    """The URL with its own extra parameters (a map file, a key) and those of `request`, without its fragment."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if name.lower() not in PER_REQUEST]
    return urlunsplit(parts._replace(query=urlencode([*kept, *request.items()], safe=",:/"), fragment=""))


def _union(boxes: list[Bounds | None]) -> Bounds | None:
    known = [box for box in boxes if box is not None]
    if len(known) < len(boxes):
        return None
    west, south, east, north = zip(*known, strict=True)
    return min(west), min(south), max(east), max(north)
