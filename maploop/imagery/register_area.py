"""The project's area, imported: tiles are made there, and those outside are set aside."""

from collections.abc import Callable
from typing import Any

from shapely.geometry.base import BaseGeometry
from sqlalchemy import func, select

from db.bulk import lock_project
from db.models import Imagery
from db.models import Tile as TileRow
from maploop.database import Database
from maploop.dataset.blocks import may_split_anew, split_anew
from maploop.errors import InputError
from maploop.imagery.area import tiles_of_area, wholly_within
from maploop.imagery.scope import refresh_scope, tiles_by_imagery, within_area
from maploop.imagery.tiles import ensure_tiles, on_imagery
from maploop.import_records import keep_report, record_import
from maploop.project import ProjectView


def import_area(
    database: Database,
    project: ProjectView,
    area: BaseGeometry,
    *,
    source: str,
    annotator: str | None = None,
    outside_imagery: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Make an area (polygons in EPSG:4326) the project's, in place of one it has -> the `import` answer of the CLI.

    Tiles are made where the project's imagery and the area meet, on servers too. Raises InputError when they do not
    meet anywhere, unless the area may lie `outside_imagery`, or when the area is too large.
    """
    progress("Looking for the imagery's tiles")
    candidates = tiles_of_area(area, project.zoom)
    inside = within_area(area, candidates)
    whole = int(wholly_within(area, inside).sum()) if inside else 0
    with database.read() as connection:
        tiles = tiles_by_imagery(connection, project, area)
        has_imagery = connection.execute(
            select(Imagery.id).where(Imagery.project_id == project.id, Imagery.withdrawn_at.is_(None)).limit(1)
        ).first()
        is_met = any(tiles.values()) or bool(on_imagery(connection, project, inside).any())
    if has_imagery and not is_met and not outside_imagery:
        west, south, east, north = area.bounds
        msg = (
            f"The area ({west:.5f}, {south:.5f} to {east:.5f}, {north:.5f}) has none of the project's imagery: check "
            "its CRS and the order of its axes, or import it with --outside-imagery."
        )
        raise InputError(msg)
    progress("Writing")
    with database.write() as connection:
        lock_project(connection, project.id)
        import_id = record_import(connection, project, "area", source, annotator, area=area)
        before = connection.execute(select(func.count()).where(TileRow.project_id == project.id)).scalar_one()
        for imagery_id, covered in tiles.items():
            ensure_tiles(connection, project, covered, imagery_id, import_id=import_id)
        outside = refresh_scope(connection, project)
        if may_split_anew(connection, project):  # so that the blocks fit the area, and not all the imagery
            split_anew(connection, project)
        counted = select(func.count()).where(TileRow.project_id == project.id)
        total = connection.execute(counted).scalar_one()
        answer = {
            "read": 1,
            "imported": 1,
            "repaired": 0,
            "skipped": [],
            "kind": "area",
            "tiles": total - outside,
            "tiles_new": total - before,
            "whole_tiles": whole,
            "outside_area": outside,
        }
        return keep_report(connection, import_id, answer)
