"""Which tiles a model has looked at: those that a run answered, and those that a file of predictions covers."""

from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, select, union

from db.conditions import counts
from db.models import Feature, Import, ImportTile, Model, Prediction, Run, RunTile, Tile, TileFeature
from maploop.project import ProjectView


def looked_at() -> ColumnElement[bool]:
    """Condition on `Tile`: a run answered it, a file of predictions covers it, or a prediction is shown on it."""
    answered = exists().where(RunTile.tile_id == Tile.id, RunTile.status == "ok")
    covered = exists().where(
        ImportTile.tile_id == Tile.id,
        Import.id == ImportTile.import_id,
        Import.kind == "predictions",
        Import.undone_at.is_(None),
    )
    shown = exists().where(
        TileFeature.tile_id == Tile.id,
        Feature.id == TileFeature.feature_id,
        Feature.prediction_id.is_not(None),
        Feature.withdrawn.is_(False),
    )
    return answered | covered | shown


def without_run(connection: Connection, project: ProjectView) -> int:
    """How many tiles that can be reviewed no model has looked at."""
    return connection.execute(
        select(func.count())
        .select_from(Tile)
        .where(Tile.project_id == project.id, Tile.imagery_id.is_not(None), counts(), ~looked_at())
    ).scalar_one()


# Asked for with every tile that is opened: built once.
_ON_TILE = bindparam("tile", type_=Tile.id.type)
_MODELS = union(
    select(Model.name)
    .join(Run, Run.model_id == Model.id)
    .join(RunTile, RunTile.run_id == Run.id)
    .where(RunTile.tile_id == _ON_TILE, RunTile.status == "ok"),
    select(Model.name)
    .join(Run, Run.model_id == Model.id)
    .join(Import, Import.run_id == Run.id)
    .join(ImportTile, ImportTile.import_id == Import.id)
    .where(ImportTile.tile_id == _ON_TILE, Import.undone_at.is_(None)),
    select(Model.name)
    .join(Run, Run.model_id == Model.id)
    .join(Prediction, Prediction.run_id == Run.id)
    .join(Feature, Feature.prediction_id == Prediction.id)
    .join(TileFeature, TileFeature.feature_id == Feature.id)
    .where(TileFeature.tile_id == _ON_TILE, Feature.withdrawn.is_(False)),
)


def models_that_looked(connection: Connection, tile_id: int) -> list[str]:
    """Names of the models that looked at a tile, in order; none: nobody but people has."""
    return sorted(connection.execute(_MODELS, {"tile": tile_id}).scalars())
