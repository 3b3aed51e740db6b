"""The loop, round by round: a round is one model's predictions as people reviewed them. Data of a chart."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from maploop.project import ProjectView
from maploop.quality.statistics import Metric


@dataclass(frozen=True)
class Round:
    """One model's predictions as reviewed.

    number              from 1, by when its first tile was finished
    tiles               finished with its predictions on them
    seconds_a_tile      of people: the mean, with its interval
    corrections_a_tile  what people changed: corrected, rejected and drawn features a tile
    unchanged           share of its predictions that were accepted as they were; decisions of rules left aside
    quality             F1 on the test split by its newest recorded evaluation; None: never evaluated
    """

    number: int
    model: str
    parent: str | None
    dataset_id: str | None
    tiles: int
    first: datetime
    last: datetime
    seconds_a_tile: Metric
    corrections_a_tile: Metric
    unchanged: Metric
    quality: Metric | None


def rounds_of(connection: Connection, project: ProjectView) -> list[Round]:
    """All rounds of a project, oldest first."""
    raise NotImplementedError
