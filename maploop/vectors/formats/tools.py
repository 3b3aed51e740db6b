"""What annotation tools write of images that are tiles: CVAT, Pascal VOC, labelme; of others the way to convert."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from maploop.errors import VectorError
from maploop.vectors.formats.drawn import Drawn, box, closed
from maploop.vectors.formats.ogr import first_line
from maploop.vectors.formats.pixels import tile_named
from maploop.vectors.formats.table import SourceTable

MAX_XML_BYTES = 512 * 2**20
_CIRCLE = 32  # corners


def _root(path: Path, shown: Path) -> ElementTree.Element:
    """The first element of an XML file without declarations, which could have it grow without end."""
    data = path.read_bytes() if path.stat().st_size <= MAX_XML_BYTES else b""
    if not data or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        msg = f"{shown} is too large, or declares a document type: export it again as plain XML."
        raise VectorError(msg)
    try:
        return ElementTree.fromstring(data)  # noqa: S314  declarations are refused above
    except ElementTree.ParseError as error:
        msg = f"{shown} is not sound XML ({first_line(error)}): export it again."
        raise VectorError(msg) from error


def read_cvat(path: Path, *, shown: Path) -> SourceTable:
    """The shapes of CVAT for images 1.1, images without any among those looked at. Raises VectorError."""
    images = _root(path, shown).findall("image")
    if not images:
        msg = f"{shown} is CVAT XML without images (for video, say): export it as 'CVAT for images 1.1' or COCO."
        raise VectorError(msg)
    tiles = [tile_named(image.get("name")) for image in images]
    if not any(tiles):
        raise VectorError(_no_tiles(shown, images[0].get("name")))
    drawn = Drawn()
    for image, tile in zip(images, tiles, strict=True):
        size = _numbers(image.get("width"), image.get("height"))
        for element in image:
            if element.tag == "tag":
                continue
            fields = {"image": image.get("name"), "label": element.get("label")}
            fields |= {str(each.get("name")): each.text for each in element.findall("attribute")}
            shape = _shape_of_cvat(element)
            problem = "" if shape else f"a {element.tag[:20]} of CVAT is not read: export masks as COCO"
            if not size:
                problem = "its image has no width and height"
            drawn.add(shape, fields, tile, size or (1.0, 1.0), problem)
    return drawn.table(tiles)


def _shape_of_cvat(element: ElementTree.Element) -> dict[str, Any] | None:
    try:
        if element.tag == "box":
            left, top, right, bottom = (float(element.attrib[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
            return _turned(box(left, top, right, bottom), float(element.get("rotation") or 0))
        if element.tag == "ellipse":
            middle = float(element.attrib["cx"]), float(element.attrib["cy"])
            radii = float(element.attrib["rx"]), float(element.attrib["ry"])
            return _turned(_ellipse(middle, radii), float(element.get("rotation") or 0))
        points = [[float(value) for value in pair.split(",")] for pair in element.attrib["points"].split(";")]
    except (KeyError, ValueError):
        return None
    if element.tag == "polygon":
        return {"type": "Polygon", "coordinates": [closed(points)]}
    if element.tag == "polyline":
        return {"type": "LineString", "coordinates": points}
    return {"type": "MultiPoint", "coordinates": points} if element.tag == "points" else None


def _ellipse(middle: tuple[float, float], radii: tuple[float, float]) -> dict[str, Any]:
    angles = np.arange(_CIRCLE) * 2 * np.pi / _CIRCLE
    ring = np.column_stack([middle[0] + radii[0] * np.cos(angles), middle[1] + radii[1] * np.sin(angles)]).tolist()
    return {"type": "Polygon", "coordinates": [closed(ring)]}


def _turned(polygon: dict[str, Any], degrees: float) -> dict[str, Any]:
    """Turned clockwise (as seen, y down) about the middle of its bounds."""
    if not degrees:
        return polygon
    points = np.array(polygon["coordinates"][0])
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    ring = (points - middle) @ np.array([[cosine, sine], [-sine, cosine]]) + middle
    return {"type": "Polygon", "coordinates": [ring.tolist()]}


def read_voc(path: Path, *, shown: Path) -> SourceTable:
    """The boxes of one Pascal VOC file. Raises VectorError."""
    root = _root(path, shown)
    name = root.findtext("filename") or path.stem
    tile = tile_named(name) or tile_named(path.stem)
    if tile is None:
        raise VectorError(_no_tiles(shown, name))
    size = _numbers(root.findtext("size/width"), root.findtext("size/height"))
    drawn = Drawn()
    for element in root.findall("object"):
        fields = {"image": name, "label": element.findtext("name")}
        try:
            sides = [float(element.findtext(f"bndbox/{side}") or "") for side in ("xmin", "ymin", "xmax", "ymax")]
            shape, problem = box(*sides), ""
        except ValueError:
            shape, problem = None, "it has no bndbox"
        drawn.add(shape, fields, tile, size or (1.0, 1.0), problem if size else "its image has no width and height")
    return drawn.table([tile])


def _numbers(*texts: str | None) -> tuple[float, float] | None:
    try:
        width, height = (float(text or 0) for text in texts)
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _no_tiles(shown: Path, name: object) -> str:
    return (
        f"{shown} does not say which tiles its images are ({str(name)[:60]!r}): name them z/x/y.png or ...-x-y-z.png."
    )


def is_labelme(document: object) -> bool:
    """Whether a parsed JSON document is one of labelme."""
    return isinstance(document, Mapping) and isinstance(document.get("shapes"), list) and "imagePath" in document


def read_labelme(document: Mapping[str, Any], shown: Path) -> SourceTable:
    """The shapes of one labelme file. Raises VectorError."""
    name = document.get("imagePath")
    tile = tile_named(name)
    if tile is None:
        raise VectorError(_no_tiles(shown, name))
    size = _numbers(str(document.get("imageWidth") or 0), str(document.get("imageHeight") or 0))
    drawn = Drawn()
    for item in document["shapes"]:
        item = item if isinstance(item, Mapping) else {}  # noqa: PLW2901
        fields = {"image": name, "label": item.get("label")}
        shape = _shape_of_labelme(str(item.get("shape_type") or "polygon"), item.get("points"))
        problem = "" if shape else f"its {str(item.get('shape_type'))[:20]} is not read: draw polygons"
        drawn.add(shape, fields, tile, size or (1.0, 1.0), problem if size else "its image has no width and height")
    return drawn.table([tile])


def _shape_of_labelme(kind: str, points: object) -> dict[str, Any] | None:
    try:
        places = np.array(points, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        return None
    listed: list[Any] = places.tolist()
    found: dict[str, Any] | None = None
    if kind == "polygon" and len(listed) > 2:
        found = {"type": "Polygon", "coordinates": [closed(listed)]}
    elif kind == "rectangle" and len(listed) == 2:
        (left, top), (right, bottom) = places.min(axis=0).tolist(), places.max(axis=0).tolist()
        found = box(left, top, right, bottom)
    elif kind == "circle" and len(listed) == 2:
        radius = float(np.hypot(*(places[1] - places[0])))
        found = _ellipse((listed[0][0], listed[0][1]), (radius, radius))
    elif kind in ("line", "linestrip") and len(listed) > 1:
        found = {"type": "LineString", "coordinates": listed}
    elif kind == "point" and len(listed) == 1:
        found = {"type": "Point", "coordinates": listed[0]}
    return found


def way_to_convert(document: object) -> str | None:
    """What to do with JSON of a tool that is not read; None when it is of none that is known."""
    if not isinstance(document, Mapping):
        first = document[0] if isinstance(document, list) and document else None
        is_flat = (
            isinstance(first, Mapping) and any(key in first for key in ("image", "img", "label")) and "id" in first
        )
        return "it is Label Studio's JSON-MIN: export it as JSON" if is_flat else None
    inside = next(iter(document.values()), None)
    is_via = isinstance(inside, Mapping) and "regions" in inside and "filename" in inside
    ways = {
        "it is of the VGG Image Annotator: export its annotations in COCO format": is_via
        or "_via_img_metadata" in document,
        "it is of Supervisely: export the project to COCO, whose images are named after their tiles": isinstance(
            document.get("objects"), list
        )
        and isinstance(document.get("size"), Mapping),
        "it is TopoJSON: convert it to GeoJSON with QGIS, mapshaper or ogr2ogr": document.get("type") == "Topology",
        "it is Esri JSON: export it as GeoJSON, or convert it with QGIS or ogr2ogr": "features" in document
        and ("geometryType" in document or "spatialReference" in document),
    }
    return next((way for way, fits in ways.items() if fits), None)
