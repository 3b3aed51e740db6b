"""Whether a comparison still is what making it again would give: that takes too long to do at every click."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from db.models import Decision, Model, Run, TileEvent, TileFeature
from db.models import Tile as TileRow
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView

Stamp = tuple[object, ...]


def stamp_of(
    connection: Connection, project: ProjectView, names: Sequence[str], split: str = "test", tiles: Sequence[Tile] = ()
) -> Stamp:
    """Something that differs whenever a comparison of these models on these tiles may come out differently.

    It is made of the newest decision on a feature of the tiles, the newest act about one, the models' newest runs and
    what moved in them, what the tiles lack in pixels, and the project's rules; work on other tiles leaves it as it is.
    """
    models = {*names, *(name.rpartition("@")[0] for name in names)}  # NAME@RUN is one run of a model
    where = TileRow.quadkey.in_([tile.quadkey for tile in tiles]) if tiles else TileRow.split == split
    on_tiles = select(TileRow.id).where(TileRow.project_id == project.id, where)
    decided = select(func.max(Decision.seq)).where(
        Decision.feature_id.in_(select(TileFeature.feature_id).where(TileFeature.tile_id.in_(on_tiles)))
    )
    acted = select(func.max(TileEvent.seq)).where(TileEvent.tile_id.in_(on_tiles))
    ran = (
        select(
            func.max(Run.id),
            func.max(Run.beat_at),
            func.max(Run.finished_at),
            func.sum(Run.seconds),
            func.count(Run.withdrawn_at),
        )
        .join(Model, Model.id == Run.model_id)
        .where(Model.project_id == project.id, Model.name.in_(sorted(models)))
    )
    bare = select(func.count(), func.sum(TileRow.pixel_share)).where(
        TileRow.project_id == project.id, where, TileRow.pixel_share < 1
    )
    return (
        project.id,
        project.settings.model_dump_json(),
        connection.execute(decided).scalar(),
        connection.execute(acted).scalar(),
        *connection.execute(ran).one(),
        *connection.execute(bare).one(),
    )
