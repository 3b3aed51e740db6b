"""XYZ templates: one URL a tile."""

import hashlib
import re
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maploop.errors import ImageryError
from maploop.imagery.answers import image_of
from maploop.imagery.fetch import Fetcher, check_address, public_name
from maploop.imagery.info import SourceInfo
from maploop.imagery.tilemath import Tile

DEFAULT_MAX_ZOOM = 22
SUBDOMAINS = ("a", "b", "c")
NOTHING_HERE = frozenset({204, 404, 410})
BAD_REQUEST = 400
HOLDER = re.compile(r"\{([^{}]*)\}")
KNOWN = {"z", "x", "y", "-y", "q", "s", "r"}
ALIASES = {  # how editors and WMTS templates call them
    "zoom": "z",
    "tilematrix": "z",
    "tilecol": "x",
    "tilerow": "y",
    "ty": "-y",
    "u": "q",
    "quadkey": "q",
}
ENLARGED = 3  # zooms a tile is enlarged over where a server that should go deeper has nothing
TRIED_ABOVE = 8  # zooms above a tile that are asked when a server is tried out
NEAR_TILES = 64  # tiles above others that are kept, each the parent of several


def describe_xyz(template: str, *, max_zoom: int = DEFAULT_MAX_ZOOM) -> SourceInfo:
    """Check a template; nothing is fetched, since nobody knows where it has tiles. Raises ImageryError.

    Placeholders: {z} {x} {y}; {-y} counts rows from the south; {q} is a Bing quadkey; {s} one of a, b, c or, written
    {switch:t0,t1}, of those; {r} is dropped. {zoom}, {TileMatrix}, {TileCol}, {TileRow}, {ty} and {u} are other names
    of z, z, x, y, -y and q.
    """
    template = canonical(template)
    check_address(HOLDER.sub("a", template))
    names = set(HOLDER.findall(template))
    unknown = sorted(name for name in names - KNOWN if not name.startswith("switch:"))
    if unknown:
        msg = f"{{{unknown[0]}}} is not a placeholder: use {{z}}, {{x}}, {{y}}, {{-y}}, {{q}}, {{s}} or {{switch:a,b}}."
        raise ImageryError(msg)
    if "q" not in names and not ({"z", "x"} <= names and names & {"y", "-y"}):
        msg = f"{public_name(template)!r} does not name a tile: it needs {{z}}, {{x}} and {{y}} (or {{-y}}), or {{q}}."
        raise ImageryError(msg)
    return SourceInfo(
        kind="xyz",
        location=template,
        bounds=None,
        min_zoom=1 if "q" in names else 0,
        max_zoom=max_zoom,
        tile_size=512 if "@2x" in template else 256,
        attribution="© OpenStreetMap contributors" if "openstreetmap.org" in template else "",
    )


def canonical(template: str) -> str:
    """The template with placeholders by the names that `address` fills."""
    return HOLDER.sub(lambda match: "{" + ALIASES.get(match.group(1).lower(), match.group(1)) + "}", template)


class XyzSource:
    """Tiles of one template; 512 px are put together from the four tiles below where the server has them."""

    def __init__(self, info: SourceInfo, fetcher: Fetcher | None = None) -> None:
        self.info = info
        self.fingerprint = hashlib.sha256(repr(info).encode()).hexdigest()[:16]
        self._fetcher = fetcher or Fetcher()
        self._above: OrderedDict[Tile, Image.Image] = OrderedDict()
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="xyz")  # threads start when first used

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        """Pixels of a tile, (size, size, 4) RGBA, alpha 0 where the server has nothing. Raises ImageryError."""
        image = None
        if size > self.info.tile_size and tile.z < self.info.max_zoom:
            image = self._from_below(tile)
        if image is None:
            image = self._from_above(tile)
        if image is None:
            return np.zeros((size, size, 4), dtype=np.uint8)
        if image.width != size:
            image = image.resize((size, size), Image.Resampling.BILINEAR)
        return np.asarray(image).copy()

    def _from_below(self, tile: Tile) -> Image.Image | None:
        """The four tiles of the next zoom joined; None when the server has none of them."""
        children = list(tile.children(tile.z + 1))
        parts = list(self._workers.map(self._fetch, children))
        found = [part for part in parts if part is not None]
        if not found:
            return None
        half = max(part.width for part in found)
        canvas = Image.new("RGBA", (2 * half, 2 * half))
        if len(found) < 4 and (own := self._fetch(tile)) is not None:
            canvas = own.resize(canvas.size, Image.Resampling.BILINEAR)
        for child, part in zip(children, parts, strict=True):
            if part is not None:
                fitted = part if part.width == half else part.resize((half, half), Image.Resampling.BILINEAR)
                canvas.paste(fitted, ((child.x & 1) * half, (child.y & 1) * half))
        return canvas

    def zoom_with_pixels(self, tile: Tile) -> int | None:
        """The deepest zoom, its own or above, at which the server has a picture of a tile; None where it has none.

        A server that calls a zoom beyond its own a bad request (400) has none there. Raises ImageryError.
        """
        refused: ImageryError | None = None
        start = min(tile.z, self.info.max_zoom)
        for zoom in range(start, max(start - TRIED_ABOVE, self.info.min_zoom) - 1, -1):
            try:
                image = self._fetch(tile.parent(zoom))
            except ImageryError as error:
                if error.status != BAD_REQUEST:
                    raise
                refused = refused or error
                continue
            if image is not None and np.asarray(image)[..., 3].any():
                return zoom
        if refused:
            raise refused
        return None

    def _from_above(self, tile: Tile) -> Image.Image | None:
        """The tile itself or, where the server has none, cut out of the deepest one above it.

        Zooms deeper than the server is known to go are enlarged from its deepest, however far that is; where it should
        have a tile and has none, a few zooms further up are asked.
        """
        deepest = min(tile.z, self.info.max_zoom)
        for zoom in range(deepest, max(deepest - ENLARGED, self.info.min_zoom) - 1, -1):
            above = tile.parent(zoom)
            image = self._fetch(tile) if above == tile else self._parent(above)
            if image is not None:
                return image if above == tile else self._part(image, tile, above)
        return None

    def _part(self, image: Image.Image, tile: Tile, above: Tile) -> Image.Image:
        n = 2 ** (tile.z - above.z)
        side = image.width / n
        left, top = (tile.x - above.x * n) * side, (tile.y - above.y * n) * side
        size = self.info.tile_size
        return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))

    def _parent(self, tile: Tile) -> Image.Image | None:
        """A tile that its children are cut out of, the latest kept; that there is none is asked anew."""
        with self._lock:
            if (found := self._above.get(tile)) is not None:
                self._above.move_to_end(tile)
                return found
        image = self._fetch(tile)
        if image is not None:
            with self._lock:
                self._above[tile] = image
                while len(self._above) > NEAR_TILES:
                    self._above.popitem(last=False)
        return image

    def _fetch(self, tile: Tile) -> Image.Image | None:
        url = address(self.info.location, tile)
        answer = self._fetcher.get(url, empty=NOTHING_HERE)
        if answer.status in NOTHING_HERE or not answer.body:
            return None
        return image_of(answer, url)


def address(template: str, tile: Tile) -> str:
    """The URL of a tile; the subdomain follows from the tile, so that it is always the same."""

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "s" or name.startswith("switch:"):
            choices: list[str] = list(SUBDOMAINS) if name == "s" else name.removeprefix("switch:").split(",")
            return choices[(tile.x + tile.y) % len(choices)]
        values = {
            "z": tile.z,
            "x": tile.x,
            "y": tile.y,
            "-y": 2**tile.z - 1 - tile.y,
            "q": tile.quadkey,
        }
        return str(values.get(name, ""))

    return HOLDER.sub(fill, template)
