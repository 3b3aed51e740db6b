"""Where a project stands, in numbers: what `maploop status` prints."""

from typing import Any

from sqlalchemy import Connection, func, select

from db.conditions import counts, on_counted_tile, undecided
from db.models import Claim, Decision, Feature, Prediction, Run, Tile
from db.models.base import VERDICTS
from db.models.project import SPLITS, TILE_STATUSES
from db.types import utc_now
from maploop.imagery.area import area_of
from maploop.imagery.pixel_records import count_pixels
from maploop.predict.looked_at import without_run
from maploop.project import ProjectView

ANNOTATIONS = ("accept", "correct", "add")


def status_of(connection: Connection, project: ProjectView) -> dict[str, Any]:
    """Counts of a project.

    split           tiles with imagery by split
    tiles           by status, each tile once: `claimed` are those open or returned that somebody holds now
    decisions       that stand, by verdict; `decisions_stored` counts every one ever stored, undone ones and audits too
    undecided       features that ask for attention
    pixels          tiles by what is known of their pixels, see `imagery.pixel_records.PixelCounts`
    outside_imagery tiles that no imagery covers: nobody can review them yet
    area            whether the project has one; `outside_area` are tiles that do not count, as they lie outside of it
    without_run     tiles with imagery that no model has looked at: nothing predicted there says nothing
    """
    area = area_of(connection, project)
    within = () if area is None else (on_counted_tile(),)
    statuses = dict(
        connection.execute(
            select(Tile.status, func.count()).where(Tile.project_id == project.id, counts()).group_by(Tile.status)
        ).all()
    )
    held = dict(
        connection.execute(
            select(Tile.status, func.count())
            .join(Claim, Claim.tile_id == Tile.id)
            .where(
                Tile.project_id == project.id,
                counts(),
                Tile.status.in_(("open", "returned")),
                Claim.expires_at > utc_now(),
            )
            .group_by(Tile.status)
        ).all()
    )
    by_split = dict(
        connection.execute(
            select(Tile.split, func.count())
            .where(Tile.project_id == project.id, counts(), Tile.imagery_id.is_not(None))
            .group_by(Tile.split)
        ).all()
    )
    verdicts = dict(
        connection.execute(
            select(Feature.verdict, func.count()).where(Feature.project_id == project.id).group_by(Feature.verdict)
        ).all()
    )
    tiles = {each: statuses.get(each, 0) - held.get(each, 0) for each in TILE_STATUSES}
    return {
        "project": project.name,
        "classes": {each.name: each.geometry_type for each in project.classes},
        "zoom": project.zoom,
        "predictions": connection.execute(
            select(func.count())
            .select_from(Prediction)
            .join(Run, Run.id == Prediction.run_id)
            .where(Run.project_id == project.id, Run.withdrawn_at.is_(None))
        ).scalar_one(),
        "annotations": sum(verdicts.get(each, 0) for each in ANNOTATIONS),
        "undecided": connection.execute(
            select(func.count()).where(Feature.project_id == project.id, undecided(), *within)
        ).scalar_one(),
        "tiles": {
            "open": tiles["open"],
            "claimed": sum(held.values()),
            **{k: v for k, v in tiles.items() if k != "open"},
        },
        "split": {each: by_split.get(each, 0) for each in SPLITS},
        "outside_imagery": connection.execute(
            select(func.count()).where(Tile.project_id == project.id, counts(), Tile.imagery_id.is_(None))
        ).scalar_one(),
        "area": area is not None,
        "outside_area": connection.execute(
            select(func.count()).where(Tile.project_id == project.id, Tile.set_aside == "area")
        ).scalar_one(),
        "pixels": count_pixels(connection, project, counts()).to_json(),
        "without_run": without_run(connection, project),
        "decisions": {each: verdicts.get(each, 0) for each in VERDICTS},
        "decisions_stored": connection.execute(
            select(func.count()).where(Decision.project_id == project.id)
        ).scalar_one(),
    }
