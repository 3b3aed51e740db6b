"""A scripted annotator: knows the truth, and says it through the same requests as the review map."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np
import orjson
import shapely
from shapely.geometry.base import BaseGeometry

from db.types import utc_now
from maploop.database import Database
from maploop.imagery.tilemath import Tile, from_pixels, metres_per_pixel, to_pixels
from maploop.project import ProjectView, annotator_id
from maploop.quality.acceptance import approve_all_own
from maploop.review.opening import open_tile
from maploop.review.outbox import store_outbox
from maploop.review.wire import MAX_ENTRIES, OpenRequest
from maploop.vectors.geometry import Geometries, as_geometries, clip_to_tile, match_features

GOOD_ENOUGH = 0.9  # IoU from which an outline is accepted as it is; below, from the project's threshold on, corrected
ON_THE_LINE = 0.8  # share of a predicted line along true ones, from which it is accepted
SHORTEST = 5.0  # metres of a missing line that are drawn
PIXELS = 512


@dataclass
class Annotator:
    """Reviews tiles of a project by a truth of class names and geometries (EPSG:4326), whole."""

    database: Database
    project: ProjectView
    names: list[str]
    geometries: Geometries
    name: str = "scripted"
    decisions: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._tree = shapely.STRtree(self.geometries)
        self._classes = np.array(self.names, dtype=object)
        with self.database.write() as connection:
            self._id = annotator_id(connection, self.name)

    def review(self, tiles: Iterable[Tile]) -> Counter[str]:
        """Claim, decide and finish each tile, then approve them -> decisions by verdict."""
        self.decisions = Counter()
        for tile in tiles:
            with self.database.write() as connection:
                answer = open_tile(connection, self.project, self._id, OpenRequest(tile=str(tile)))
            features = orjson.loads(orjson.dumps(answer["deck"]["features"]))
            entries = [entry for each in self.project.classes for entry in self._of_class(tile, each.name, features)]
            self._send(tile, [*entries, _entry(tile, "tile", act="complete")])
        with self.database.write() as connection:
            approval = approve_all_own(connection, self.project, self._id)
        assert not approval.refused, approval.refused
        return self.decisions

    def _send(self, tile: Tile, entries: list[dict[str, Any]]) -> None:
        for start in range(0, len(entries), MAX_ENTRIES):
            with self.database.write() as connection:
                answer = store_outbox(connection, self.project, self._id, entries[start : start + MAX_ENTRIES])
            assert not answer["refused"], (str(tile), answer["refused"][0])
        self.decisions.update(entry["verdict"] for entry in entries if entry["type"] == "decision")

    def _of_class(self, tile: Tile, name: str, features: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What there is to say of one class on one tile."""
        mine = [each for each in features if each["class"] == name]
        near = np.sort(self._tree.query(tile.polygon, predicate="intersects"))
        truth = self.geometries[near[self._classes[near] == name]]
        kind = self.project.geometry_types[name]
        shown = as_geometries([shapely.from_geojson(orjson.dumps(each["geometry"])) for each in mine])
        if kind == "line":
            return self._lines(tile, name, mine, shown, truth)
        truth = as_geometries([each for each in truth if clip_to_tile(each, tile)])
        settings = self.project.settings
        open_ones = np.array([each["verdict"] is None for each in mine], dtype=np.bool_)
        standing = np.array([each["verdict"] in ("accept", "correct", "add") for each in mine], dtype=np.bool_)
        entries: list[dict[str, Any]] = []
        taken: set[int] = set()
        for chosen in (np.flatnonzero(standing), np.flatnonzero(open_ones)):
            left = np.array([index for index in range(len(truth)) if index not in taken], dtype=np.int64)
            pairs = match_features(
                shown[chosen],
                truth[left],
                kind,
                iou_threshold=settings.iou_threshold,
                tolerance_m=settings.point_tolerance_m,
            )
            met = {int(chosen[a]): (int(left[b]), float(q)) for a, b, q in zip(*pairs, strict=True)}
            taken.update(index for index, _ in met.values())
            for index in chosen.tolist():
                if mine[index]["verdict"] is None:
                    entries.append(self._verdict(tile, mine[index], truth, met.get(index)))
        missing = [each for index, each in enumerate(truth) if index not in taken]
        return entries + [_decision(tile, None, "add", name, each) for each in missing]

    def _verdict(
        self, tile: Tile, feature: dict[str, Any], truth: Geometries, met: tuple[int, float] | None
    ) -> dict[str, Any]:
        if met is None:
            return _decision(tile, feature, "reject", feature["class"], reason="not_there")
        index, quality = met
        if quality >= GOOD_ENOUGH:
            return _decision(tile, feature, "accept", feature["class"])
        return _decision(tile, feature, "correct", feature["class"], truth[index])

    def _lines(
        self, tile: Tile, name: str, mine: list[dict[str, Any]], shown: Geometries, truth: Geometries
    ) -> list[dict[str, Any]]:
        """Lines are right where they run along true ones; what no line runs along is drawn, as far as the tile goes."""
        scale = metres_per_pixel(tile, PIXELS)
        reach = self.project.settings.line_tolerance_m / scale
        real = shapely.union_all([to_pixels(each, tile, PIXELS) for each in truth])
        entries, right = [], []
        for feature, outline in zip(mine, shown, strict=True):
            line = to_pixels(outline, tile, PIXELS)
            if feature["verdict"] in ("accept", "correct", "add"):
                right.append(line)
            elif feature["verdict"] is None:
                along = line.intersection(real.buffer(reach)).length >= ON_THE_LINE * line.length
                entries.append(
                    _decision(tile, feature, "accept", name)
                    if along
                    else _decision(tile, feature, "reject", name, reason="not_there")
                )
                right += [line] if along else []
        square = shapely.box(0, 0, PIXELS, PIXELS)
        left = real.intersection(square).difference(shapely.union_all(right).buffer(reach))
        for part in shapely.get_parts(shapely.line_merge(left) if left.geom_type == "MultiLineString" else left):
            if part.geom_type == "LineString" and part.length * scale >= SHORTEST:
                entries.append(_decision(tile, None, "add", name, from_pixels(part, tile, PIXELS)))
        return entries


def _decision(
    tile: Tile,
    feature: dict[str, Any] | None,
    verdict: str,
    class_name: str,
    geometry: BaseGeometry | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    return _entry(
        tile,
        "decision",
        feature=feature["id"] if feature else None,
        verdict=verdict,
        reason=reason,
        geometry=None if geometry is None else orjson.loads(shapely.to_geojson(geometry)),
        standing=feature["standing"] if feature else None,
        **{"class": class_name},
    )


def _entry(tile: Tile, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "id": str(uuid4()),
        "tile": str(tile),
        "seconds": 1.0,
        "madeAt": utc_now().isoformat(),
        **more,
    }
