"""COCO JSON over images of tiles: polygons, run-length masks, keypoints, boxes, in pixels; files and results."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from maploop.errors import VectorError
from maploop.imagery.tilemath import Tile
from maploop.vectors.formats.geojson import geometries_of_json
from maploop.vectors.formats.masks import MAX_MASK_PIXELS, size_of_mask, trace_mask
from maploop.vectors.formats.ogr import first_line
from maploop.vectors.formats.pixels import Pictures, tile_named, to_ground
from maploop.vectors.formats.table import SourceTable

OWN_EXPORT = "annotations of whole map tiles"  # how the description of what Maploop writes ends
MAX_SIDE = 1_000_000  # pixels
MAX_MASKS_PIXELS = 8 * 2**30  # of all masks of a file
_NOT_FIELDS = frozenset(
    {"segmentation", "bbox", "area", "iscrowd", "image_id", "category_id", "keypoints", "num_keypoints", "polyline"}
)
_NO_CATEGORIES = "it is COCO without a list of categories: say which class its rows are"


def is_coco(document: object) -> bool:
    """Whether a parsed JSON document has the lists of COCO."""
    return isinstance(document, Mapping) and "annotations" in document and "images" in document


def is_coco_results(document: object) -> bool:
    """Whether a parsed JSON document is a list of results, as pycocotools takes and Ultralytics writes them."""
    first = document[0] if isinstance(document, list) and document else None
    if not isinstance(first, Mapping) or not ("image_id" in first or "file_name" in first):
        return False
    return "bbox" in first or "segmentation" in first or "keypoints" in first


def read_coco_results(results: list[Any], pictures: Pictures) -> SourceTable:
    """A list of results; its images and categories are those of the COCO document given with it.

    Without one, `file_name` or `image_id` names the tile, and masks or `pictures.size` say how large its image is.
    Raises VectorError.
    """
    document = pictures.document
    listed = document if document is not None else {"images": _images_of(results, pictures.size)}
    table = read_coco({**listed, "annotations": results, "polylines": []})
    table.joined_to = {}
    table.looked_at = []  # what a model found says nothing about what people looked at
    if document is None or not isinstance(document.get("categories"), list):
        table.unclassed = "it is a list of COCO results, which have no names of classes: say which class its rows are"
    return table


def _images_of(results: list[Any], size: int | None) -> list[dict[str, Any]]:
    images: dict[object, dict[str, Any]] = {}
    for result in results:
        if not isinstance(result, Mapping):
            continue
        key = _key(result.get("image_id", result.get("file_name")))
        mask = result.get("segmentation")
        width = height = size
        if isinstance(mask, Mapping) and isinstance(mask.get("size"), list) and len(mask["size"]) == 2:
            height, width = mask["size"]
        if key in images and images[key]["width"] is not None:
            continue
        name = result.get("file_name") or str(key)
        images[key] = {"id": result.get("image_id", key), "file_name": name, "width": width, "height": height}
    named = [image for image in images.values() if tile_named(image["file_name"])]
    if not named:
        msg = (
            "it is a list of COCO results that does not say which tiles its images are: "
            "give the COCO file that lists them (--images FILE)"
        )
        raise VectorError(msg)
    if all(image["width"] is None for image in named):
        msg = (
            "it is a list of COCO results that does not say how large its images are: "
            "give their side in pixels (--image-size 512) or the COCO file that lists them (--images FILE)"
        )
        raise VectorError(msg)
    return list(images.values())


def read_coco(document: Mapping[str, Any]) -> SourceTable:
    """The annotations of a COCO document, their category in the field `category`. Raises VectorError."""
    for name in ("images", "annotations"):
        if not isinstance(document.get(name), list):
            msg = f"it is COCO without a list of {name}"
            raise VectorError(msg)
    categories = document.get("categories")
    images = {_key(image.get("id")): image for image in document["images"] if isinstance(image, dict)}
    names = {_key(item.get("id")): item.get("name") for item in _listed(categories) if isinstance(item, dict)}
    tiles = {key: _tile_of(image) for key, image in images.items()}
    if tiles and not any(tiles.values()):
        example = str(next(iter(images.values())).get("file_name", ""))[:60]
        msg = f"its images do not say which tiles they are ({example!r}): name them z/x/y.png or ...-x-y-z.png"
        raise VectorError(msg)

    annotations = [*document["annotations"], *_listed(document.get("polylines"))]
    rows = _Rows(len(annotations))
    for row, annotation in enumerate(annotations):
        if not isinstance(annotation, dict):
            rows.problems[row] = "it is not a COCO annotation"
            continue
        key = _key(annotation.get("image_id", annotation.get("file_name")))
        image, tile = images.get(key), tiles.get(key)
        fields = {name: value for name, value in annotation.items() if name not in _NOT_FIELDS}
        fields["category"] = names.get(_key(annotation.get("category_id")), annotation.get("category_name"))
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
            rows.place(row, annotation, size)
    table = rows.table()
    table.looked_at = list(dict.fromkeys(tile for tile in tiles.values() if tile is not None))
    if not isinstance(categories, list):
        table.unclassed = _NO_CATEGORIES
    if _is_own_export(document):
        table.joined_to = _cut_by_tiles(annotations)
    return table


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _tile_of(image: Mapping[str, Any]) -> Tile | None:
    """The tile an image is of: by the name it had before Roboflow gave it another, or by its own."""
    extra = image.get("extra")
    before = extra.get("name") if isinstance(extra, Mapping) else None
    return tile_named(before) or tile_named(image.get("file_name"))


def _is_own_export(document: Mapping[str, Any]) -> bool:
    info = document.get("info")
    return isinstance(info, Mapping) and str(info.get("description")).endswith(OWN_EXPORT)


def _cut_by_tiles(annotations: list[Any]) -> dict[int, int]:
    """Rows of Maploop's own export that tiles cut from one feature -> the first row of that feature."""
    first: dict[tuple[object, object], int] = {}
    joined: dict[int, int] = {}
    for row, annotation in enumerate(annotations):
        if isinstance(annotation, dict) and isinstance(annotation.get("feature_id"), int):
            key = annotation["feature_id"], _key(annotation.get("category_id"))
            if first.setdefault(key, row) != row:
                joined[row] = first[key]
    return joined


class _Rows:
    """Parallel lists that fill up row by row."""

    def __init__(self, count: int) -> None:
        self.objects: list[object] = [None] * count
        self.masks: dict[int, BaseGeometry] = {}
        self.mask_pixels = 0
        self.tiles: list[Tile | None] = [None] * count
        self.sizes = np.ones((count, 2))
        self.properties: list[dict[str, Any]] = [{} for _ in range(count)]
        self.problems: dict[int, str] = {}
        self.crowds: set[int] = set()

    def place(self, row: int, annotation: Mapping[str, Any], size: tuple[float, float]) -> None:
        """Put what was drawn on an image of a size; a run-length mask is traced here, at its own size."""
        self.sizes[row] = size
        outline = _outline(annotation)
        if annotation.get("iscrowd") in (1, True):
            self.crowds.add(row)
        if isinstance(outline, dict) and "counts" in outline:
            try:
                width, height = size_of_mask(outline)
                self.mask_pixels += min(width * height, MAX_MASK_PIXELS)
                if self.mask_pixels > MAX_MASKS_PIXELS:
                    self.problems[row] = f"the file's masks have more than {MAX_MASKS_PIXELS:,} pixels: give outlines"
                    return
                self.masks[row] = trace_mask(outline)
                self.sizes[row] = width, height
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                self.problems[row] = f"its run-length mask is damaged: {first_line(error)}"
        elif isinstance(outline, str):
            self.problems[row] = outline
        else:
            self.objects[row] = outline

    def table(self) -> SourceTable:
        geometries, unreadable = geometries_of_json(self.objects)
        self._refuse_shares(geometries)
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
            crowds=self.crowds,
        )

    def _refuse_shares(self, geometries: np.ndarray[Any, np.dtype[np.object_]]) -> None:
        """Refuse outlines that all lie within the first pixel. Raises VectorError."""
        areal = shapely.get_dimensions(geometries) == 2
        bounds = shapely.bounds(geometries[areal])
        known = bounds[np.isfinite(bounds).all(axis=1)]
        if len(known) and known.max() <= 1 and known.min() >= 0 and self.sizes[areal].min() > 2:
            msg = "its coordinates are shares of the image, 0 to 1: COCO has pixels, multiply by width and height"
            raise VectorError(msg)


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
    """Read the shape of an annotation: a GeoJSON geometry in pixels, a run-length mask, or text that says why not."""
    polyline = annotation.get("polyline")
    if isinstance(polyline, list) and polyline:
        return {"type": "MultiLineString", "coordinates": [_points(flat) for flat in polyline]}
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return segmentation
    if isinstance(segmentation, list) and segmentation:
        if all(isinstance(value, int | float) for value in segmentation):
            segmentation = [segmentation]
        return {"type": "MultiPolygon", "coordinates": [[_ring(flat)] for flat in segmentation]}
    keypoints = annotation.get("keypoints")
    if isinstance(keypoints, list) and keypoints:
        seen = [[x, y] for x, y, visible in zip(*[iter(keypoints)] * 3, strict=False) if visible]
        return {"type": "MultiPoint", "coordinates": seen}
    return _box(annotation)


def _box(annotation: Mapping[str, Any]) -> object:
    """The box, turned clockwise about its middle by `attributes.rotation` in degrees, as CVAT writes it."""
    box = annotation.get("bbox")
    if not isinstance(box, list) or not all(isinstance(value, int | float) for value in box) or not box:
        return None
    if len(box) != 4:
        return f"its box has {len(box)} numbers, not x, y, width, height: give its outline as segmentation"
    x, y, width, height = box
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
    attributes = annotation.get("attributes")
    degrees = attributes.get("rotation") if isinstance(attributes, Mapping) else None
    if isinstance(degrees, int | float) and degrees:
        turn, middle_x, middle_y = math.radians(degrees), x + width / 2, y + height / 2
        sine, cosine = math.sin(turn), math.cos(turn)
        around = [(px - middle_x, py - middle_y) for px, py in corners]
        corners = [(middle_x + dx * cosine - dy * sine, middle_y + dx * sine + dy * cosine) for dx, dy in around]
    return {"type": "Polygon", "coordinates": [[list(corner) for corner in corners]]}


def _ring(flat: object) -> list[list[Any]]:
    """x, y, x, y, ... as a closed ring."""
    if not isinstance(flat, list) or len(flat) < 6 or len(flat) % 2:
        return []
    ring = [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
    return ring if ring[0] == ring[-1] else [*ring, ring[0]]


def _points(flat: object) -> list[list[Any]]:
    """x, y, x, y, ... as positions."""
    if not isinstance(flat, list) or len(flat) < 4 or len(flat) % 2:
        return []
    return [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
