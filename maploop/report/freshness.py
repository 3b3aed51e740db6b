"""Whether a comparison still is what making it again would give: that takes too long to do at every click."""

from sqlalchemy import Connection, func, select

from db.models import Decision, Model, Prediction, Run, TileEvent
from maploop.project import ProjectView

Stamp = tuple[object, ...]


def stamp_of(connection: Connection, project: ProjectView) -> Stamp:
    """Something that differs whenever decisions, finished tiles, predictions, runs or the project's rules have changed.

    What other projects do changes it too: it is made of the newest row of each table, which costs nothing to find.
    """
    newest = [
        connection.execute(select(func.max(column))).scalar()
        for column in (Decision.seq, TileEvent.seq, Prediction.id, Run.id, Model.id)
    ]
    moved = connection.execute(select(func.max(Run.beat_at), func.max(Run.finished_at))).one()
    return (project.id, project.settings.model_dump_json(), *newest, *moved)
