"""What would go into a dataset, without freezing one."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from db.models import Feature, Imagery, Tile, TileFeature
from maploop.dataset.selection import ANNOTATED, Scope, chosen, held_out, second_looks, why_nothing
from maploop.dataset.snapshot import SPLITS
from maploop.dataset.split import Split
from maploop.imagery.info import imagery_name
from maploop.imagery.pixel_records import without_pixels
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.project import ProjectView


@dataclass(frozen=True)
class Survey:
    """Counts of what a freeze would take now.

    tiles           by split
    annotations     class name -> by split; one across tiles counts in each split that has a part of it
    held_out        finished tiles on which an "unsure" stands
    untrainable     imagery whose terms forbid training -> its tiles, which stay out of training formats
    without_pixels  how many tiles are known to have no pixels, which stay out of formats that train
    second_looks    tiles with predictions that came later and that nobody has decided
    nothing         empty, or why there is nothing to freeze and what to do
    """

    tiles: dict[Split, int]
    annotations: dict[str, dict[Split, int]]
    held_out: tuple[TileAddress, ...]
    untrainable: dict[str, tuple[TileAddress, ...]]
    without_pixels: int
    second_looks: int
    nothing: str


def survey_of(connection: Connection, project: ProjectView, scope: Scope) -> Survey:
    """Look at what a freeze of the scope would take; a few counting queries."""
    ready = chosen(project, scope)
    by_split = connection.execute(select(Tile.split, func.count()).where(ready).group_by(Tile.split))
    tiles = dict(by_split.all())
    by_class = connection.execute(
        select(Feature.class_id, Tile.split, func.count(Feature.id.distinct()))
        .join(TileFeature, TileFeature.feature_id == Feature.id)
        .join(Tile, Tile.id == TileFeature.tile_id)
        .where(ready, Feature.verdict.in_(ANNOTATED), Feature.withdrawn.is_(False))
        .group_by(Feature.class_id, Tile.split)
    )
    counts = {(class_id, split): count for class_id, split, count in by_class}
    bare = connection.execute(select(func.count()).select_from(Tile).where(ready, without_pixels()))
    return Survey(
        tiles={split: tiles.get(split, 0) for split in SPLITS},
        annotations={
            each.name: {split: counts.get((each.id, split), 0) for split in SPLITS} for each in project.classes
        },
        held_out=tuple(held_out(connection, project, scope)),
        untrainable=_untrainable(connection, project, scope),
        without_pixels=bare.scalar_one(),
        second_looks=second_looks(connection, project, scope),
        nothing="" if tiles else why_nothing(connection, project, scope),
    )


def _untrainable(connection: Connection, project: ProjectView, scope: Scope) -> dict[str, tuple[TileAddress, ...]]:
    rows = connection.execute(
        select(Imagery.location, Tile.z, Tile.x, Tile.y)
        .join(Tile, Tile.imagery_id == Imagery.id)
        .where(chosen(project, scope), Imagery.may_train.is_(False))
        .order_by(Imagery.id, Tile.x, Tile.y)
    )
    found: dict[str, list[TileAddress]] = {}
    for row in rows:
        found.setdefault(imagery_name(row.location), []).append(TileAddress(row.z, row.x, row.y))
    return {name: tuple(tiles) for name, tiles in found.items()}
