"""A small town with two annotators and a reviewer."""

from dataclasses import dataclass

import pytest
from sqlalchemy import Connection

from db.engine import Database
from maploop.project import ProjectView
from maploop.quality.audits import finish_audit
from tests.builders import PlacedTile, a_decision, a_person, a_prediction, a_project, a_sample, a_tile


@dataclass
class Town:
    """The project and its people: anna and ben annotate, rita reviews."""

    database: Database
    project: ProjectView
    anna: int
    ben: int
    rita: int

    def finished_tile(
        self, connection: Connection, column: int, annotator: int, verdicts: str = "aa", class_name: str = "building"
    ) -> tuple[PlacedTile, list[int]]:
        """A complete tile and its predicted features, decided by one letter each: accept, x reject, s unsure, . not."""
        tile = a_tile(connection, self.project, column, status="complete", finished_by=annotator)
        features = [
            a_prediction(connection, self.project, tile, place, class_name=class_name).feature_id
            for place in range(len(verdicts))
        ]
        self.decide(connection, tile, features, verdicts, annotator)
        return tile, features

    def decide(
        self,
        connection: Connection,
        tile: PlacedTile,
        features: list[int],
        verdicts: str,
        annotator: int,
        audit: int | None = None,
    ) -> None:
        """Decide features by one letter each."""
        words = {"a": "accept", "x": "reject", "s": "unsure"}
        for feature, letter in zip(features, verdicts, strict=True):
            if letter != ".":
                a_decision(connection, self.project, tile, feature, words[letter], annotator, audit=audit)

    def audited(
        self, connection: Connection, tile: PlacedTile, features: list[int], verdicts: str, annotator: int
    ) -> int:
        """A finished audit of the tile by rita."""
        _, (audit,) = a_sample(connection, self.project, self.rita, {tile: annotator})
        self.decide(connection, tile, features, verdicts, self.rita, audit)
        finish_audit(connection, audit)
        return audit


@pytest.fixture
def town(database: Database) -> Town:
    """The town, without tiles, on each database."""
    with database.write() as connection:
        return Town(
            database,
            a_project(connection),
            a_person(connection, "anna"),
            a_person(connection, "ben"),
            a_person(connection, "rita"),
        )
