"""COCO instances: an image a tile, named z/x/y so that it can be read back; coordinates in pixels."""

from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from maploop.dataset.job import Job
from maploop.dataset.parts import TileParts, bridge_holes, tile_parts
from maploop.dataset.snapshot import Indices, Snapshot
from maploop.dataset.split import Split
from maploop.vectors.formats.coco import OWN_EXPORT

DECIMALS = 2  # of a pixel


def image_name(snapshot: Snapshot, tile: int) -> str:
    """`z/x/y.png` or `z/x/y.jpg`."""
    suffix = "jpg" if snapshot.contract.image_format == "jpeg" else snapshot.contract.image_format
    return f"{snapshot.tile(tile)}.{suffix}"


def coco_document(snapshot: Snapshot, tiles: Indices, parts: TileParts, dataset_id: str) -> dict[str, Any]:
    """A COCO document of some tiles and the parts of annotations on them.

    Ids are the same whatever tiles are asked for; an annotation has the `feature_id` of the whole feature, which may
    lie on several tiles. Points are keypoints. COCO has no lines: they stand in a list of their own, `polylines`.
    """
    size = snapshot.contract.image_size
    annotations, polylines = _annotations(snapshot, parts, size)
    attributions = sorted({each.attribution for each in snapshot.imagery if each.attribution})
    return {
        "info": {
            "description": f"{snapshot.project}: {OWN_EXPORT}",
            "version": dataset_id,
            "contributor": "; ".join(attributions),
        },
        "licenses": [
            {"id": index + 1, "name": each.licence or "unknown", "url": ""}
            for index, each in enumerate(snapshot.imagery)
        ],
        "images": [
            {
                "id": tile + 1,
                "file_name": image_name(snapshot, tile),
                "width": size,
                "height": size,
                "license": max(imagery, 0) + 1,
            }
            for tile, imagery in zip(tiles.tolist(), snapshot.tiles.imagery[tiles].tolist(), strict=True)
        ],
        "categories": [
            {
                "id": index + 1,
                "name": each.name,
                "supercategory": each.geometry_type,
                **({"keypoints": ["point"], "skeleton": []} if each.geometry_type == "point" else {}),
            }
            for index, each in enumerate(snapshot.classes)
        ],
        "annotations": annotations,
        "polylines": polylines,
    }


def _annotations(snapshot: Snapshot, parts: TileParts, size: int) -> tuple[list[Any], list[Any]]:
    features = snapshot.features
    coordinates, owner = shapely.get_coordinates(parts.geometries, return_index=True)
    coordinates = np.round(coordinates * size, DECIMALS)
    ends = np.searchsorted(owner, np.arange(len(parts) + 1))
    has_holes = np.zeros(len(parts), dtype=np.bool_)
    polygonal = shapely.get_type_id(parts.geometries) == shapely.GeometryType.POLYGON
    has_holes[polygonal] = shapely.get_num_interior_rings(parts.geometries[polygonal]) > 0
    rings = [coordinates[start:end] for start, end in pairwise(ends.tolist())]
    for row in np.flatnonzero(has_holes).tolist():
        rings[row] = np.round(bridge_holes(parts.geometries[row]) * size, DECIMALS)
    areas = (shapely.area(parts.geometries) * size**2).tolist()
    annotations: list[dict[str, Any]] = []
    polylines: list[dict[str, Any]] = []
    for start, end in parts.runs():
        feature = int(parts.feature[start])
        item: dict[str, Any] = {
            "id": int(parts.placement[start]) + 1,
            "image_id": int(parts.tile[start]) + 1,
            "category_id": int(features.class_index[feature]) + 1,
            "feature_id": int(features.id[feature]),
        }
        drawn = rings[start:end]
        match snapshot.classes[int(features.class_index[feature])].geometry_type:
            case "polygon":
                item |= {
                    "segmentation": [ring[:-1].ravel().tolist() for ring in drawn],
                    "area": round(sum(areas[start:end]), DECIMALS),
                    "bbox": _box(drawn),
                    "iscrowd": 0,
                }
                annotations.append(item)
            case "point":
                x, y = drawn[0][0].tolist()
                item |= {"keypoints": [x, y, 2], "num_keypoints": 1, "area": 0, "bbox": [x, y, 0, 0], "iscrowd": 0}
                annotations.append(item)
            case "line":
                polylines.append({**item, "polyline": [ring.ravel().tolist() for ring in drawn], "bbox": _box(drawn)})
    return annotations, polylines


def _box(rings: list[NDArray[np.float64]]) -> list[float]:
    points = rings[0] if len(rings) == 1 else np.concatenate(rings)
    left, top = points.min(axis=0).tolist()
    right, bottom = points.max(axis=0).tolist()
    return [left, top, round(right - left, DECIMALS), round(bottom - top, DECIMALS)]


def write_coco(job: Job) -> None:
    """`instances_<split>.json` for each split, and the pictures under `images/` when they are wanted."""
    splits: tuple[Split, ...] = job.splits("train", "validation", "test")
    polylines = 0
    for split in job.each(splits, len(splits), "Writing COCO"):
        tiles = job.tiles[split]
        document = coco_document(job.snapshot, tiles, tile_parts(job.snapshot, tiles), job.dataset_id)
        polylines += len(document["polylines"])
        name = f"instances_{split}.json"
        job.path(name).write_bytes(orjson.dumps(document))
        job.add(name, len(tiles))
    if job.with_images:
        tiles = job.all_tiles.tolist()
        for tile in job.each(tiles, len(tiles), "Drawing images"):
            name = f"images/{image_name(job.snapshot, tile)}"
            job.path(name).write_bytes(job.picture(tile))
            job.add(name, 1)
    if polylines:
        job.notes.append(f"COCO has no lines: {polylines:,} stand in the list `polylines`, which tools leave alone.")
