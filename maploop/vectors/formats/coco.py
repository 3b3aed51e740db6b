"""COCO JSON over images of tiles: polygons, run-length masks, keypoints or boxes, in pixels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyproj
import rasterio.features
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.errors import VectorError
from maploop.imagery.tilemath import Tile
from maploop.vectors.formats.geojson import geometries_of_json
from maploop.vectors.formats.ogr import first_line
from maploop.vectors.formats.pixels import tile_named, to_ground
from maploop.vectors.formats.table import SourceTable

MAX_MASK_PIXELS = 64 * 2**20
MAX_SIDE = 1_000_000  # pixels
_STAIRCASE = 0.75  # pixels: straightens the steps of a mask's outline and leaves its corners
_NOT_FIELDS = frozenset(
    {"segmentation", "bbox", "area", "iscrowd", "image_id", "category_id", "keypoints", "num_keypoints"}
)


def is_coco(document: object) -> bool:
    """Whether a parsed JSON document has the lists of COCO."""
    return isinstance(document, Mapping) and "annotations" in document and "images" in document


def read_coco(document: Mapping[str, Any]) -> SourceTable:
    """The annotations of a COCO document, their category in the field `category`. Raises VectorError."""
    lists = {name: document.get(name) for name in ("images", "annotations", "categories")}
    for name, value in lists.items():
        if not isinstance(value, list):
            msg = f"it is COCO without a list of {name}"
            raise VectorError(msg)
    images = {_key(image.get("id")): image for image in lists["images"] or [] if isinstance(image, dict)}
    names = {_key(item.get("id")): item.get("name") for item in lists["categories"] or [] if isinstance(item, dict)}
    tiles = {key: tile_named(image.get("file_name")) for key, image in images.items()}
    if tiles and not any(tiles.values()):
        example = str(next(iter(images.values())).get("file_name", ""))[:60]
        msg = f"its images do not say which tiles they are ({example!r}): name them z/x/y.png or ...-x-y-z.png"
        raise VectorError(msg)

    annotations = lists["annotations"] or []
    rows = _Rows(len(annotations))
    for row, annotation in enumerate(annotations):
        if not isinstance(annotation, dict):
            rows.problems[row] = "it is not a COCO annotation"
            continue
        key = _key(annotation.get("image_id"))
        image, tile = images.get(key), tiles.get(key)
        fields = {name: value for name, value in annotation.items() if name not in _NOT_FIELDS}
        fields["category"] = names.get(_key(annotation.get("category_id")))
        rows.properties[row] = fields
        if image is None:
            rows.problems[row] = f"its image {str(annotation.get('image_id'))[:40]} is not listed"
            continue
        fields["image"] = image.get("file_name")
        rows.tiles[row] = tile
        size = _size(image)
        if tile is None:
            rows.problems[row] = f"its image {str(image.get('file_name'))[:60]!r} does not say which tile it is"
        elif size is None:
            rows.problems[row] = f"its image {str(image.get('file_name'))[:60]!r} has no width and height"
        else:
            rows.place(row, _outline(annotation), tile, size)
    table = rows.table()
    table.looked_at = list(dict.fromkeys(tile for tile in tiles.values() if tile is not None))
    return table


class _Rows:
    """Parallel lists that fill up row by row."""

    def __init__(self, count: int) -> None:
        self.objects: list[object] = [None] * count
        self.masks: dict[int, BaseGeometry] = {}
        self.tiles: list[Tile | None] = [None] * count
        self.sizes = np.ones((count, 2))
        self.properties: list[dict[str, Any]] = [{} for _ in range(count)]
        self.problems: dict[int, str] = {}

    def place(self, row: int, outline: object, tile: Tile, size: tuple[float, float]) -> None:
        """Put what was drawn on an image; a run-length mask is traced here."""
        self.tiles[row] = tile
        self.sizes[row] = size
        if isinstance(outline, dict) and "counts" in outline:
            try:
                self.masks[row] = trace_mask(outline)
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                self.problems[row] = f"its run-length mask is damaged: {first_line(error)}"
        else:
            self.objects[row] = outline

    def table(self) -> SourceTable:
        geometries, unreadable = geometries_of_json(self.objects)
        for row, mask in self.masks.items():
            geometries[row] = mask
        ground = to_ground(geometries, self.tiles, self.sizes[:, 0].tolist(), self.sizes[:, 1].tolist())
        crs = pyproj.CRS.from_epsg(4326)
        return SourceTable(
            ground,
            self.properties,
            crs,
            {**unreadable, **self.problems},
            class_field="category",
            on_tiles=True,
            tiles=self.tiles,
        )


def _key(value: object) -> object:
    """An id as a dictionary key, whatever JSON it is."""
    return value if isinstance(value, int | str) else repr(value)


def _size(image: Mapping[str, Any]) -> tuple[float, float] | None:
    width, height = image.get("width"), image.get("height")
    for value in (width, height):
        if not isinstance(value, int | float) or not 0 < value < MAX_SIDE:
            return None
    return float(width or 0), float(height or 0)


def _outline(annotation: Mapping[str, Any]) -> object:
    """What an annotation draws, as a GeoJSON geometry in pixels, or its run-length mask."""
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return segmentation
    if isinstance(segmentation, list) and segmentation:
        return {"type": "MultiPolygon", "coordinates": [[_ring(flat)] for flat in segmentation]}
    keypoints = annotation.get("keypoints")
    if isinstance(keypoints, list) and keypoints:
        seen = [[x, y] for x, y, visible in zip(*[iter(keypoints)] * 3, strict=False) if visible]
        return {"type": "MultiPoint", "coordinates": seen}
    box = annotation.get("bbox")
    if isinstance(box, list) and len(box) == 4 and all(isinstance(value, int | float) for value in box):
        x, y, width, height = box
        ring = [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]]
        return {"type": "Polygon", "coordinates": [ring]}
    return None


def _ring(flat: object) -> list[list[Any]]:
    """x, y, x, y, ... as a closed ring."""
    if not isinstance(flat, list) or len(flat) < 6 or len(flat) % 2:
        return []
    ring = [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
    return ring if ring[0] == ring[-1] else [*ring, ring[0]]


def trace_mask(segmentation: Mapping[str, Any]) -> BaseGeometry:
    """Outline of a COCO run-length mask ({"size": [height, width], "counts": list or text}) in pixels.

    The outline's steps of a pixel are straightened. Raises ValueError, TypeError or KeyError when the mask is damaged.
    """
    height, width = (int(value) for value in segmentation["size"])
    if height < 1 or width < 1 or height * width > MAX_MASK_PIXELS:
        msg = f"size {height} x {width}"
        raise ValueError(msg)
    counts = segmentation["counts"]
    runs = np.array(runs_of_text(counts) if isinstance(counts, str) else counts, dtype=np.int64)
    if runs.ndim != 1 or ((runs < 0) | (runs > height * width)).any() or runs.sum() != height * width:
        msg = f"its runs do not add up to {height} x {width}"
        raise ValueError(msg)
    values = (np.arange(len(runs)) % 2).astype(np.uint8)
    mask: NDArray[np.uint8] = np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)
    pieces = [shapely.geometry.shape(piece) for piece, _ in rasterio.features.shapes(mask, mask=mask == 1)]
    return shapely.union_all(pieces).simplify(_STAIRCASE)


def runs_of_text(text: str) -> list[int]:
    """Decode the compressed counts of pycocotools.

    Five bits a character, the sixth says that more follow; from the fourth run on, differences to the run before last.
    """
    runs: list[int] = []
    place = 0
    while place < len(text):
        value = shift = 0
        more = True
        while more:
            if place == len(text):
                msg = "its counts end in the middle"
                raise ValueError(msg)
            bits = ord(text[place]) - 48
            if not 0 <= bits < 64 or shift > 60:
                msg = f"its counts hold {text[place]!r}"
                raise ValueError(msg)
            value |= (bits & 0x1F) << shift
            more = bool(bits & 0x20)
            place += 1
            shift += 5
            if not more and bits & 0x10:
                value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs
