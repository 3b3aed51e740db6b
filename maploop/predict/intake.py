"""A file of features on its way in: read and checked against a project, with a report of what did not make it."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maploop.errors import VectorError
from maploop.predict.placing import MAX_TILES_A_FEATURE, span
from maploop.project import ProjectView
from maploop.vectors.features import FeatureTable, ReadReport, SkippedRow
from maploop.vectors.formats.folders import files_below
from maploop.vectors.formats.sniff import sniff
from maploop.vectors.read import read_features
from maploop.vectors.subprocess_reader import read_features_in_subprocess

_LATER = ("images", "image_size")  # choices that earlier versions did not have: left out where nobody made them
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class Choice:
    """How a file's fields map to the project, as `vectors.read_features` takes it; None: find out."""

    class_name: str | None = None
    class_field: str | None = None
    score_field: str | None = None
    source_crs: str | None = None
    layer: str | None = None
    images: str | None = None
    image_size: int | None = None


def read_file(
    path: Path,
    project: ProjectView,
    choice: Choice,
    *,
    may_be_empty: bool = False,
    apart: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[FeatureTable, ReadReport]:
    """Features of a file that fit the project. Raises VectorError, also when nothing is left.

    It `may_be_empty` when it lists pictures that somebody looked at and found nothing on. `apart`: it is read in a
    process of its own, limited in memory and time, and `progress` is told meanwhile.
    """
    options = {"classes": project.geometry_types, **asdict(choice)}
    if apart:
        table, report = read_features_in_subprocess(path, progress=progress, **options)
    else:
        table, report = read_features(path, **options)
    tiles = span(table.geometries, project.zoom)
    wide = tiles > MAX_TILES_A_FEATURE
    report.skipped += [
        SkippedRow(row=row, reason=f"it spans {count:,} tiles, more than {MAX_TILES_A_FEATURE:,}: cut it into pieces")
        for row, count in zip(table.rows[wide].tolist(), tiles[wide].tolist(), strict=True)
    ]
    report.skipped.sort(key=lambda each: each["row"])
    if wide.any():
        table = _only(table, ~wide)
    if not len(table) and not (may_be_empty and report.looked_at and not report.skipped):
        msg = f"{path} holds no features: nothing was imported."
        if report.skipped:
            first = report.skipped[0]
            msg = f"{path}: none of its {report.read:,} rows can be imported; row {first['row']}: {first['reason']}."
        raise VectorError(msg)
    return table, report


def _only(table: FeatureTable, kept: NDArray[np.bool_]) -> FeatureTable:
    return FeatureTable(
        rows=table.rows[kept],
        geometries=table.geometries[kept],
        class_names=table.class_names[kept],
        scores=table.scores[kept],
        properties=[each for each, keep in zip(table.properties, kept.tolist(), strict=True) if keep],
    )


def as_json(report: ReadReport, imported: int) -> dict[str, Any]:
    """The part of an import's answer that is the same for every kind of file."""
    return {
        "read": report.read,
        "imported": imported,
        "repaired": len(report.repaired),
        "skipped": report.skipped,
        "repairs": report.repaired,
    }


def fingerprint(path: Path, choice: Choice) -> str:
    """SHA-256 of a file's bytes (of a Shapefile, MapInfo table or folder: of all its parts) and of how it is mapped.

    Empty when there is no such file.
    """
    if not path.exists():
        return ""
    parts = [path]
    if path.suffix.lower() in (".shp", ".tab", ".mif"):
        parts = sorted(each for each in path.parent.iterdir() if each.stem == path.stem and each.is_file())
    elif path.is_dir():
        sniff(path)  # a folder of something else is not read from end to end
        parts = sorted(each for each in files_below(path) if each.suffix.lower() not in _PICTURES)
    told = {name: value for name, value in asdict(choice).items() if value is not None or name not in _LATER}
    digest = hashlib.sha256(repr(told).encode("utf-8", "surrogateescape"))
    for part in parts:
        try:
            with part.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            msg = f"{part} cannot be read ({error.strerror}): check the permissions."
            raise VectorError(msg) from error
    return digest.hexdigest()
