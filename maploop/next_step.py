"""The one next thing to do in a project, as seen by one annotator."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, func, select

from db.conditions import counts, undecided
from db.models import AuditSample, Dataset, Feature, Model, Run, Tile, TileEvent, TileFeature, TuningJob
from db.models.dataset import NEWEST_FIRST
from maploop.project import ProjectView
from maploop.quality.acceptance import is_alone
from maploop.quality.samples import next_audit

PageName = Literal["import", "review", "quality", "dataset", "models"]


@dataclass(frozen=True)
class NextStep:
    """The one next thing to do: a sentence, the label of its button, and where that leads."""

    text: str
    label: str
    page: PageName
    query: Mapping[str, str]


def next_step(
    connection: Connection,
    project: ProjectView,
    annotator_id: int,
    tiles: Mapping[str, int],
    *,
    without_imagery: int,
    has_features: bool,
    returned: int,
) -> NextStep:
    """Bring in, mend what came back, finish what was begun, turn the loop, review, check, export: the first there is.

    tiles       by status; `without_imagery` of them cannot be reviewed
    returned    tiles that came back to this annotator
    """
    to_review = tiles["open"] + tiles["returned"] - without_imagery
    return (
        _bring_in(connection, project, sum(tiles.values()) - without_imagery, has_features)
        or _mend(returned)
        or _go_on(connection, project, annotator_id)
        or _tune(connection, project)
        or _predict(connection, project)
        or _review(to_review)
        or _look_again(connection, project)
        or _check(connection, project, annotator_id, tiles["complete"])
        or NextStep(f"Export {_tiles(tiles['approved'])} as fine-tuning examples.", "Export", "dataset", {})
    )


def _bring_in(connection: Connection, project: ProjectView, with_imagery: int, has_features: bool) -> NextStep | None:
    if with_imagery <= 0:
        text = "Bring in imagery: a GeoTIFF, a folder of tiles, or the address of a tile server or WMS."
        return NextStep(text, "Import imagery", "import", {})
    if has_features:
        return None
    model = connection.execute(
        select(Model.name)
        .where(Model.project_id == project.id, Model.backend != "file")
        .order_by(Model.id.desc())
        .limit(1)
    ).scalar()
    if model is not None:
        text = "No model has predicted anything here yet: have one look at the imagery."
        return NextStep(text, "Predict", "models", {"part": "Predict", "model": model})
    text = "Bring in a model's predictions: GeoJSON, GeoPackage, GeoParquet, Shapefile, COCO or Label Studio."
    return NextStep(text, "Import predictions", "import", {})


def _tune(connection: Connection, project: ProjectView) -> NextStep | None:
    """A dataset that no model has learned from, unless the review has gone on since it was frozen."""
    newest = connection.execute(
        select(Dataset.id, Dataset.created_at, Dataset.after_event, Dataset.after_model)
        .where(Dataset.project_id == project.id)
        .order_by(*NEWEST_FIRST)
        .limit(1)
    ).first()
    if newest is None:
        return None
    modelled = select(Model.id).where(
        Model.project_id == project.id,
        Model.created_at > newest.created_at if newest.after_model is None else Model.id > newest.after_model,
    )
    finished = (
        select(TileEvent.seq)
        .join(Tile, Tile.id == TileEvent.tile_id)
        .where(
            Tile.project_id == project.id,
            TileEvent.stored_at > newest.created_at
            if newest.after_event is None
            else TileEvent.seq > newest.after_event,
        )
    )
    if any(connection.execute(query.limit(1)).first() for query in (modelled, finished)):
        return None
    taught = select(TuningJob.id).where(
        TuningJob.dataset_id == newest.id, TuningJob.status.not_in(("failed", "cancelled"))
    )
    if connection.execute(taught.limit(1)).first():
        return None
    text = "A dataset is frozen that no model has learned from yet: tune one on it."
    return NextStep(text, "Tune", "models", {"part": "Tune"})


def _predict(connection: Connection, project: ProjectView) -> NextStep | None:
    """The newest model, tuned here and never asked."""
    newest = connection.execute(
        select(Model.id, Model.name, Model.dataset_id)
        .where(Model.project_id == project.id)
        .order_by(Model.id.desc())
        .limit(1)
    ).first()
    if newest is None or newest.dataset_id is None:
        return None
    if connection.execute(select(Run.id).where(Run.model_id == newest.id).limit(1)).first():
        return None
    text = "The newest model has not predicted anything yet: have it look at what is not reviewed."
    return NextStep(text, "Predict", "models", {"part": "Predict", "model": newest.name})


def _mend(returned: int) -> NextStep | None:
    text = f"{_tiles(returned)} came back to you with a comment: mend what was found."
    return NextStep(text, "Mend", "review", {}) if returned else None


def _go_on(connection: Connection, project: ProjectView, annotator_id: int) -> NextStep | None:
    samples = connection.execute(
        select(AuditSample.id)
        .where(
            AuditSample.project_id == project.id,
            AuditSample.reviewer_id == annotator_id,
            AuditSample.closed_at.is_(None),
        )
        .order_by(AuditSample.id)
    ).scalars()
    for each in samples:
        if next_audit(connection, each, annotator_id):
            return NextStep("Finish the spot check you have begun.", "Go on", "review", {"audit": str(each)})
    return None


def _review(to_review: int) -> NextStep | None:
    return NextStep(f"Review {_tiles(to_review)}.", "Review", "review", {}) if to_review > 0 else None


def _look_again(connection: Connection, project: ProjectView) -> NextStep | None:
    again = _second_looks(connection, project)
    text = f"A newer model found something on {_tiles(again)} finished before: look again."
    return NextStep(text, "Look again", "review", {}) if again else None


def _check(connection: Connection, project: ProjectView, annotator_id: int, complete: int) -> NextStep | None:
    if not complete:
        return None
    if is_alone(connection, project, annotator_id):
        text = f"Approve {_tiles(complete)} of yours, or let somebody else spot-check them first."
        return NextStep(text, "Approve", "quality", {})
    return NextStep(f"Spot-check {_tiles(complete)}.", "Spot check", "quality", {})


def _second_looks(connection: Connection, project: ProjectView) -> int:
    """Finished tiles with something undecided."""
    return connection.execute(
        select(func.count(Tile.id.distinct()))
        .join(TileFeature, TileFeature.tile_id == Tile.id)
        .join(Feature, Feature.id == TileFeature.feature_id)
        .where(Feature.project_id == project.id, undecided(), counts(), Tile.status.in_(("complete", "approved")))
    ).scalar_one()


def _tiles(count: int) -> str:
    return "1 tile" if count == 1 else f"{count:,} tiles"
