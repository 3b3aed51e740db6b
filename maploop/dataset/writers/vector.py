"""Annotations as map features, whole and once each: GeoJSON, GeoPackage, GeoParquet."""

import geopandas
import numpy as np

from maploop.dataset.job import Job
from maploop.dataset.snapshot import Indices, Snapshot
from maploop.dataset.split import Split
from maploop.vectors.write import VectorFormat, write_features

_SUFFIXES: dict[VectorFormat, str] = {"geojson": "geojson", "geopackage": "gpkg", "geoparquet": "parquet"}
_GUARD: tuple[Split, ...] = ("train", "validation", "test")  # ascending: who touches a test tile is a test feature


def features_with_split(snapshot: Snapshot, tiles: Indices) -> tuple[Indices, Indices]:
    """Indices of the annotations on some tiles, and the split of each as an index into train, validation, test.

    One that touches a test tile belongs to test, wherever else it reaches; one that touches validation is never train.
    """
    wanted = np.zeros(len(snapshot.tiles.x), dtype=np.bool_)
    wanted[tiles] = True
    placed = snapshot.placements
    strictest = np.zeros(len(snapshot.features.id), dtype=np.int64)
    for rank, split in enumerate(_GUARD):
        strictest[placed.feature[snapshot.tiles.split[placed.tile] == split]] = rank
    touched = np.zeros(len(snapshot.features.id), dtype=np.bool_)
    touched[placed.feature[wanted[placed.tile]]] = True
    features = np.flatnonzero(touched & snapshot.annotated)
    return features, strictest[features]


def feature_frame(snapshot: Snapshot, tiles: Indices, split: Split | None) -> geopandas.GeoDataFrame:
    """Annotations on some tiles as a frame in EPSG:4326; with `split` only those that belong to it."""
    features, ranks = features_with_split(snapshot, tiles)
    if split:
        kept = ranks == _GUARD.index(split)
        features, ranks = features[kept], ranks[kept]
    columns = snapshot.features
    names = np.array([each.name for each in snapshot.classes], dtype=object)
    people = np.array([*snapshot.annotators, ""], dtype=object)  # the last for NOBODY
    return geopandas.GeoDataFrame(
        {
            "feature_id": columns.id[features],
            "class": names[columns.class_index[features]],
            "split": np.array(_GUARD, dtype=object)[ranks],
            "verdict": columns.verdict[features],
            "annotator": people[columns.annotator[features]],
        },
        geometry=columns.geometries[features],
        crs="EPSG:4326",
    )


def write_vector(job: Job, format: VectorFormat) -> None:
    """One file of all splits, `annotations`, or of the split asked for."""
    name = f"{job.split or 'annotations'}.{_SUFFIXES[format]}"
    job.step(0, 2, "Gathering features")
    frame = feature_frame(job.snapshot, job.all_tiles, job.split)
    job.step(1, 2, f"Writing {name}")
    write_features(frame, job.path(name), format)
    job.add(name, len(frame))
    job.step(2, 2, "Written")
