"""What is known of a dataset beside its files: counts, prompt, imagery, people, agreement, versions."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, func, select

from db.models import Audit, Tile
from maploop.dataset.selection import Scope, chosen
from maploop.dataset.snapshot import NOBODY, SPLITS, Snapshot
from maploop.imagery.sharing import reason_to_stay
from maploop.project import ProjectView
from maploop.quality.agreement import results_of

_LIBRARIES = ("maploop", "numpy", "shapely", "pyogrio", "pyarrow", "geopandas", "pillow", "rasterio")


def manifest_of(snapshot: Snapshot) -> dict[str, Any]:
    """What the snapshot itself tells.

    An annotation counts in each split that has a part of it, so splits may add up to more than `total`.
    """
    return {
        "project": snapshot.project,
        "zoom": snapshot.zoom,
        "tiles": _tiles(snapshot),
        "classes": _classes(snapshot),
        "verdicts": {
            verdict: int(np.sum(snapshot.features.verdict == verdict))
            for verdict in ("accept", "correct", "add", "reject")
        },
        "prompt": {
            "hash": snapshot.contract.hash,
            "dialect": snapshot.contract.dialect,
            "image_size": snapshot.contract.image_size,
            "image_format": snapshot.contract.image_format,
            "detail": snapshot.contract.detail,
        },
        "imagery": [
            {
                "name": each.name,
                "attribution": each.attribution,
                "licence": each.licence,
                "may_train": each.may_train,
                "tiles": int(np.sum(snapshot.tiles.imagery == index)),
            }
            for index, each in enumerate(snapshot.imagery)
        ],
        "annotators": [
            {
                "name": name,
                "tiles": int(np.sum(snapshot.tiles.annotator == index)),
                "decisions": int(np.sum(snapshot.features.annotator == index)),
            }
            for index, name in enumerate(snapshot.annotators)
        ],
        "versions": versions(),
    }


def _tiles(snapshot: Snapshot) -> dict[str, int]:
    occupied = np.unique(snapshot.placements.tile[snapshot.annotated[snapshot.placements.feature]])
    return {
        **{split: int(np.sum(snapshot.tiles.split == split)) for split in SPLITS},
        "total": len(snapshot.tiles.x),
        "empty": len(snapshot.tiles.x) - len(occupied),
    }


def _classes(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    placed = snapshot.placements
    kept = snapshot.annotated[placed.feature]
    feature, split = placed.feature[kept], snapshot.tiles.split[placed.tile[kept]]
    counts: dict[str, dict[str, Any]] = {}
    for index, each in enumerate(snapshot.classes):
        own = snapshot.features.class_index[feature] == index
        counts[each.name] = {
            "geometry_type": each.geometry_type,
            **{name: len(np.unique(feature[own & (split == name)])) for name in SPLITS},
            "total": len(np.unique(feature[own])),
        }
    return counts


def agreement_of(connection: Connection, project: ProjectView, scope: Scope) -> dict[str, Any]:
    """What second, blind looks said so far: how many of the chosen tiles had one, and the project's figures over all.

    Figures are as `quality.agreement.Scores` defines them, each with its denominator and interval.
    """
    audited = connection.execute(
        select(func.count(Audit.tile_id.distinct()))
        .join(Tile, Tile.id == Audit.tile_id)
        .where(chosen(project, scope), Audit.finished_at.is_not(None))
    ).scalar_one()
    scores = results_of(connection, project).overall
    return {
        "audited_tiles": audited,
        "kappa": asdict(scores.kappa),
        "errors": asdict(scores.errors),
        "missed": asdict(scores.missed),
        "overlap": asdict(scores.overlap),
    }


def untrainable_tiles(snapshot: Snapshot) -> dict[str, list[str]]:
    """Tiles that no training format may hold, by reason."""
    reasons: dict[str, list[str]] = {}
    for index, each in enumerate(snapshot.imagery):
        if not each.may_train:
            tiles = np.flatnonzero(snapshot.tiles.imagery == index).tolist()
            reason = f"the terms of {each.name} forbid training"
            reasons.setdefault(reason, []).extend(str(snapshot.tile(tile)) for tile in tiles)
    return reasons


def tiles_that_stay(snapshot: Snapshot, stays: Mapping[int, str]) -> dict[str, list[str]]:
    """Return tiles, by reason, of imagery whose pictures may not be sent to other parties: ids with public names."""
    reasons: dict[str, list[str]] = {}
    for index, each in enumerate(snapshot.imagery):
        if each.id in stays:
            tiles = np.flatnonzero(snapshot.tiles.imagery == index).tolist()
            reasons.setdefault(reason_to_stay(stays[each.id]), []).extend(str(snapshot.tile(tile)) for tile in tiles)
    return reasons


def imageless_tiles(snapshot: Snapshot) -> dict[str, list[str]]:
    """Tiles without pixels, by reason."""
    tiles = np.flatnonzero(snapshot.tiles.imagery == NOBODY).tolist()
    return {"no imagery covers them": [str(snapshot.tile(tile)) for tile in tiles]} if tiles else {}


def left_out_of(manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """Names of the tiles that an export left out, by reason; `refused` is what earlier versions called them."""
    told = manifest["export"]
    names: dict[str, list[str]] = told.get("left_out", told.get("refused", {}))
    return names


def versions() -> dict[str, str]:
    """Versions of what the bytes of a file depend on."""
    found = {"geos": ".".join(map(str, shapely.geos_version))}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a source folder that was never installed
            found[name] = "source"
    return found
