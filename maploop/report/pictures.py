"""Tiles of a comparison as pictures: what each model found, made up and missed, over the imagery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, select

from db.models import Tile as TileRow
from maploop.compare.marks import Marks, TileMarks, marks_on
from maploop.compare.sidebyside import Comparison
from maploop.errors import MaploopError
from maploop.imagery.serve import TILE_PIXELS, project_imagery
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView
from maploop.report.outlines import Outline
from maploop.report.thumbnails import thumbnail

_kept_thumbnail = lru_cache(maxsize=256)(thumbnail)


@dataclass(frozen=True)
class Shot:
    """How one model did on one tile: a WebP image, and how many it found, made up and missed."""

    model: str
    image: bytes
    found: int
    false: int
    missed: int
    failed: bool

    def text(self) -> str:
        """Its counts in words."""
        if self.failed:
            return f"no usable answer, {self.missed:,} missed"
        return f"{self.found:,} found, {self.false:,} false, {self.missed:,} missed"


@dataclass(frozen=True)
class Card:
    """One tile with a picture a model."""

    tile: Tile
    shots: tuple[Shot, ...]


def cards_of(
    connection: Connection,
    project: ProjectView,
    comparison: Comparison,
    tiles: Sequence[TileMarks],
    models: Sequence[str],
) -> list[Card]:
    """Tiles with a picture of what each model made of them; imagery that cannot be read is left blank."""
    ground = _imagery_of(connection, project, [each.tile for each in tiles])
    return [
        Card(each.tile, tuple(_shot(comparison, each, model, ground.get(each.tile)) for model in models))
        for each in tiles
    ]


def outlines_of(marks: Marks, model: str) -> tuple[Outline, ...]:
    """A model's true and false features, and the true ones it missed."""
    missed = [Outline(each.geometry, "missed", each.class_name) for each in marks.truth if model in each.missed_by]
    drawn = [
        Outline(each.geometry, "true" if each.fate == "true" else "false", each.class_name)
        for each in marks.predictions
        if each.model == model
    ]
    return (*missed, *drawn)


def _shot(comparison: Comparison, tile: TileMarks, model: str, picture: bytes | None) -> Shot:
    found, false, missed = tile.counts[model]
    outlines = outlines_of(marks_on(comparison, tile.tile, [model]), model)
    image = _kept_thumbnail(picture, tile.tile, outlines)
    return Shot(model, image, found, false, missed, model in tile.failed)


def _imagery_of(connection: Connection, project: ProjectView, tiles: Sequence[Tile]) -> Mapping[Tile, bytes]:
    """Image files of tiles; none where there is no imagery, or it cannot be read."""
    if not tiles:
        return {}
    rows = connection.execute(
        select(TileRow.x, TileRow.y, TileRow.imagery_id).where(
            TileRow.project_id == project.id,
            TileRow.z == project.zoom,
            TileRow.quadkey.in_([tile.quadkey for tile in tiles]),
            TileRow.imagery_id.is_not(None),
        )
    ).all()
    store, found = project_imagery().store, {}
    for row in rows:
        tile = Tile(project.zoom, row.x, row.y)
        try:
            found[tile] = store.tile(row.imagery_id, tile, TILE_PIXELS, "webp")
        except MaploopError:
            continue
    return found
