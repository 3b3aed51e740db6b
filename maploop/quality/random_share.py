"""The precision of a model on tiles that the queue drew at random, kept apart from that of tiles that were chosen."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, func, select

from db.models import Decision, Feature, Model, Prediction, Run, Tile, TileEvent
from maploop.dataset.blocks import blocks_of
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.project import ProjectView
from maploop.quality.intervals import share_by_block
from maploop.quality.statistics import Metric


@dataclass(frozen=True)
class RandomShare:
    """Precision of one model as people decided, its predictions accepted unchanged or corrected counting as right.

    at_random       on tiles that the queue had drawn at random: holds for all the tiles that it draws from
    elsewhere       on the other tiles that were finished, which the queue or a person chose
    """

    model: str
    at_random: Metric
    elsewhere: Metric


def random_shares(connection: Connection, project: ProjectView) -> list[RandomShare]:
    """Of each model whose predictions were decided on finished tiles; by name."""
    first = (
        select(TileEvent.tile_id, func.min(TileEvent.seq).label("seq"))
        .join(Tile, Tile.id == TileEvent.tile_id)
        .where(Tile.project_id == project.id, TileEvent.act == "complete", TileEvent.audit_id.is_(None))
        .group_by(TileEvent.tile_id)
        .subquery()
    )
    rows = connection.execute(
        select(
            Model.name,
            Tile.x,
            Tile.y,
            (TileEvent.drawn_by == "random").label("at_random"),
            Decision.verdict,
            func.count().label("times"),
        )
        .select_from(Feature)
        .join(Decision, Decision.id == Feature.decision_id)
        .join(Prediction, Prediction.id == Decision.prediction_id)
        .join(Run, Run.id == Prediction.run_id)
        .join(Model, Model.id == Run.model_id)
        .join(Tile, Tile.id == Decision.tile_id)
        .join(first, first.c.tile_id == Tile.id)
        .join(TileEvent, TileEvent.seq == first.c.seq)
        .where(
            Feature.project_id == project.id,
            Decision.rule_id.is_(None),
            Decision.verdict.in_(("accept", "correct", "reject")),
            TileEvent.drawn_by != "import",
        )
        .group_by(Model.name, Tile.x, Tile.y, TileEvent.drawn_by, Decision.verdict)
        .order_by(Model.name, Tile.x, Tile.y, Decision.verdict)
    ).all()

    def precision(model: str, *, at_random: bool) -> Metric:
        chosen = [row for row in rows if row.name == model and bool(row.at_random) == at_random]
        return share_by_block(
            np.array([row.times if row.verdict != "reject" else 0 for row in chosen], dtype=np.float64),
            np.array([row.times for row in chosen], dtype=np.float64),
            blocks_of(connection, project, [TileAddress(project.zoom, row.x, row.y) for row in chosen]),
        )

    return [
        RandomShare(model, precision(model, at_random=True), precision(model, at_random=False))
        for model in dict.fromkeys(row.name for row in rows)
    ]
