"""YOLO as Ultralytics reads it: a folder of boxes and one of segments, each with data.yaml, images and labels."""

import os
import shutil
from pathlib import Path

import numpy as np
import orjson
import shapely

from maploop.dataset.job import Job
from maploop.dataset.parts import TileParts, bridge_holes, tile_parts
from maploop.dataset.snapshot import SPLITS, Snapshot
from maploop.dataset.split import Split
from maploop.errors import InputError

KINDS = ("detect", "segment")
_FOLDERS: dict[Split, str] = {"train": "train", "validation": "val", "test": "test"}


def polygon_classes(snapshot: Snapshot) -> list[int]:
    """Indices of the classes that YOLO can hold; their order numbers them."""
    return [index for index, each in enumerate(snapshot.classes) if each.geometry_type == "polygon"]


def label_lines(snapshot: Snapshot, parts: TileParts) -> dict[int, tuple[list[str], list[str]]]:
    """Tile index -> lines of boxes (one an annotation) and lines of segments (one a part), in shares of the image."""
    numbers = {index: number for number, index in enumerate(polygon_classes(snapshot))}
    lines: dict[int, tuple[list[str], list[str]]] = {}
    classes = snapshot.features.class_index
    for start, end in parts.runs():
        number = numbers.get(int(classes[parts.feature[start]]))
        if number is None:
            continue
        boxes, segments = lines.setdefault(int(parts.tile[start]), ([], []))
        left, top, right, bottom = shapely.total_bounds(parts.geometries[start:end]).tolist()
        boxes.append(_line(number, [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]))
        segments.extend(_line(number, bridge_holes(part)[:-1].ravel().tolist()) for part in parts.geometries[start:end])
    return lines


def _line(number: int, values: list[float]) -> str:
    return " ".join([str(number), *(f"{value:.6f}" for value in np.clip(values, 0, 1))])


def data_yaml(snapshot: Snapshot, splits: tuple[Split, ...]) -> str:
    """The dataset file of one kind; strings are JSON, which YAML reads as they are."""
    names = [snapshot.classes[index].name for index in polygon_classes(snapshot)]
    lines = ["path: ."]
    lines += [f"{_FOLDERS[split]}: images/{_FOLDERS[split]}" for split in splits]
    lines += ["names:", *(f"  {number}: {orjson.dumps(name).decode()}" for number, name in enumerate(names))]
    return "\n".join(lines) + "\n"


def write_yolo(job: Job) -> None:
    """`detect/` and `segment/`; classes of lines and points are left out, YOLO has none. Raises InputError."""
    snapshot = job.snapshot
    if not polygon_classes(snapshot):
        msg = f"{snapshot.project!r} has no polygon class, and YOLO knows nothing else: choose COCO or GeoJSON."
        raise InputError(msg)
    splits = job.splits(*SPLITS)
    total = sum(len(job.tiles[split]) for split in splits)
    suffix = "jpg" if snapshot.contract.image_format == "jpeg" else snapshot.contract.image_format
    done = 0
    for split in splits:
        lines = label_lines(snapshot, tile_parts(snapshot, job.tiles[split]))
        for tile in job.tiles[split].tolist():
            job.step(done, total, "Drawing images")
            done += 1
            address = snapshot.tile(tile)
            stem = f"{_FOLDERS[split]}/{address.x}-{address.y}-{address.z}"
            image = job.picture(tile)
            first: Path | None = None
            for kind, labels in zip(KINDS, lines.get(tile, ([], [])), strict=True):
                picture = job.path(f"{kind}/images/{stem}.{suffix}")
                if first is None:
                    picture.write_bytes(image)
                    first = picture
                else:
                    _share(first, picture)
                job.add(f"{kind}/images/{stem}.{suffix}", 1)
                job.path(f"{kind}/labels/{stem}.txt").write_text("".join(f"{line}\n" for line in labels), "utf-8")
                job.add(f"{kind}/labels/{stem}.txt", len(labels))
    for kind in KINDS:
        job.path(f"{kind}/data.yaml").write_text(data_yaml(snapshot, splits), "utf-8")
        job.add(f"{kind}/data.yaml", total)
    job.step(total, total, "Written")
    left_out = [each.name for each in snapshot.classes if each.geometry_type != "polygon"]
    if left_out:
        job.notes.append(f"YOLO has polygons only: {', '.join(left_out)} left out.")


def _share(picture: Path, other: Path) -> None:
    """The same file under a second name, without its bytes a second time where the file system can."""
    try:
        os.link(picture, other)
    except OSError:
        shutil.copyfile(picture, other)
