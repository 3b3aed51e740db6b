"""The pixels around a project's tiles: which imagery covers each, opened once a run."""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

from sqlalchemy import Connection, select

from db.models import Imagery
from db.models import Tile as TileRow
from maploop.database import Database
from maploop.errors import LicenceError
from maploop.imagery.info import ImagerySource, SourceInfo
from maploop.imagery.sharing import reason_to_stay
from maploop.imagery.source import open_source
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView

Sources = Callable[[int], ImagerySource]  # opens the imagery of an id
_ALL_MAY_LEAVE: Mapping[int, str] = MappingProxyType({})


def nothing_stays() -> Mapping[int, str]:
    """Return no imagery: pictures do not leave this machine."""
    return _ALL_MAY_LEAVE


def source_of_tile(
    connection: Connection,
    project: ProjectView,
    sources: Sources,
    *,
    stays: Callable[[], Mapping[int, str]] = nothing_stays,
) -> Callable[[Tile], ImagerySource | None]:
    """A function that answers the imagery of a tile of the working zoom, None where there is none.

    What it answers is as the connection sees it now; opening imagery may raise ImageryError. `stays` returns ids and
    public names of imagery whose pictures may not go where the model is. It is called for every tile, perhaps from
    several threads at once, as terms are corrected while a run goes on; tiles of such imagery raise LicenceError.
    """
    covered = {
        (row.x, row.y): row.imagery_id
        for row in connection.execute(
            select(TileRow.x, TileRow.y, TileRow.imagery_id).where(
                TileRow.project_id == project.id, TileRow.z == project.zoom, TileRow.imagery_id.is_not(None)
            )
        )
    }

    def source_of(tile: Tile) -> ImagerySource | None:
        imagery_id = covered.get((tile.x, tile.y))
        if imagery_id is None:
            return None
        if (name := stays().get(imagery_id)) is not None:
            msg = f"{tile} is not sent: {reason_to_stay(name)}."
            raise LicenceError(msg)
        return sources(imagery_id)

    return source_of


def sources_of(database: Database) -> Sources:
    """Opens imagery of the database by id, each once."""

    @cache
    def opened(imagery_id: int) -> ImagerySource:
        with database.read() as connection:
            info = connection.execute(select(Imagery.info).where(Imagery.id == imagery_id)).scalar_one()
        return open_source(SourceInfo.from_json(info))

    return opened
