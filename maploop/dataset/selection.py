"""Which tiles go into a dataset: one place for the queries that freezing and looking ahead share."""

from typing import Literal

from sqlalchemy import ColumnElement, Connection, Select, func, select

from db.models import Feature, Tile, TileFeature
from maploop.errors import InputError
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.project import ProjectView

Scope = Literal["approved", "complete"]
ANNOTATED = ("accept", "correct", "add")  # the verdicts that make a feature an annotation
_STATUSES: dict[Scope, tuple[str, ...]] = {"approved": ("approved",), "complete": ("approved", "complete")}


def scope_named(text: str) -> Scope:
    """Read `approved` or `complete`. Raises InputError."""
    if text not in _STATUSES:
        msg = f"{text!r} does not say which tiles: use approved, or complete for merely complete ones too."
        raise InputError(msg)
    return text


def in_scope(project: ProjectView, scope: Scope) -> ColumnElement[bool]:
    """Condition on `Tile`: finished as far as the scope asks, whatever is on it."""
    return (Tile.project_id == project.id) & Tile.status.in_(_STATUSES[scope])


def unsure_tiles(project: ProjectView) -> Select[int]:
    """Ids of tiles on which somebody's "unsure" stands: nobody knows their truth yet."""
    return (
        select(TileFeature.tile_id)
        .join(Feature, Feature.id == TileFeature.feature_id)
        .where(Feature.project_id == project.id, Feature.verdict == "unsure", Feature.withdrawn.is_(False))
    )


def chosen(project: ProjectView, scope: Scope) -> ColumnElement[bool]:
    """Condition on `Tile`: goes into a dataset of the scope."""
    return in_scope(project, scope) & Tile.id.not_in(unsure_tiles(project))


def held_out(connection: Connection, project: ProjectView, scope: Scope) -> list[TileAddress]:
    """Finished tiles that stay out because an "unsure" stands on them."""
    rows = connection.execute(
        select(Tile.z, Tile.x, Tile.y)
        .where(in_scope(project, scope), Tile.id.in_(unsure_tiles(project)))
        .order_by(Tile.x, Tile.y)
    )
    return [TileAddress(row.z, row.x, row.y) for row in rows]


def second_looks(connection: Connection, project: ProjectView, scope: Scope) -> int:
    """How many chosen tiles have a prediction that came after they were finished and that nobody has decided.

    They stay in: a person said that nothing is missing, and the model has no better standing.
    """
    undecided = (
        select(TileFeature.tile_id)
        .join(Feature, Feature.id == TileFeature.feature_id)
        .where(
            Feature.project_id == project.id,
            Feature.verdict.is_(None),
            Feature.withdrawn.is_(False),
            Feature.prediction_id.is_not(None),
        )
    )
    return connection.execute(
        select(func.count()).select_from(Tile).where(chosen(project, scope), Tile.id.in_(undecided))
    ).scalar_one()


def why_nothing(connection: Connection, project: ProjectView, scope: Scope) -> str:
    """One line for a person whose choice of tiles is empty: why, and what to do."""
    by_status = connection.execute(
        select(Tile.status, func.count()).where(Tile.project_id == project.id).group_by(Tile.status)
    )
    counts = dict(by_status.all())
    if held := held_out(connection, project, scope):
        return f"All {len(held)} finished tiles of {project.name!r} hold an unsure feature: decide those first."
    if scope == "approved" and counts.get("complete"):
        return (
            f"No tile of {project.name!r} is approved, {counts['complete']:,} are complete: "
            "approve them on the Quality page, or choose complete tiles."
        )
    if not counts:
        return f"{project.name!r} has no tiles yet: import imagery and predictions."
    return f"No tile of {project.name!r} is {scope} yet: review tiles and mark them done on the Review page."
