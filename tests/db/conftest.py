"""Databases without a schema, and a project's worth of rows."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from shapely.geometry import Point
from sqlalchemy import Connection, MetaData, insert

from db.engine import Database, connect
from db.models import (
    Annotator,
    Decision,
    Evaluation,
    Feature,
    FeatureClass,
    Model,
    Prediction,
    Project,
    Promotion,
    Run,
    Tile,
    TileEvent,
)
from db.types import utc_now
from db.upgrade import alembic_config
from tests.conftest import DATABASES
from tests.postgresql import Cluster


def at_revision(database: Database, revision: str) -> MetaData:
    """Bring a blank database to an older schema -> its tables, as they were then."""
    config, tables = alembic_config(), MetaData()
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        tables.reflect(connection)
    return tables


@pytest.fixture(params=DATABASES)
def blank_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that holds nothing at all, of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'blank.sqlite'}"
    else:
        cluster: Cluster = request.getfixturevalue("postgresql")
        name = cluster.create()
        yield cluster.url(name)
        cluster.drop(name)


@pytest.fixture
def blank(blank_url: str) -> Iterator[Database]:
    """A database that holds nothing at all, of each kind in turn."""
    opened = connect(blank_url)
    yield opened
    opened.close()


def add_one_of_each(connection: Connection) -> None:
    """One project with one prediction, one decision on it, one tile event and so on; every key is 1."""
    point = Point(32.5, 0.35)
    connection.execute(insert(Annotator).values(id=1, name="anna"))
    connection.execute(insert(Project).values(id=1, name="Kampala", zoom=19, seed="s"))
    connection.execute(
        insert(FeatureClass).values(
            id=1, project_id=1, name="building", geometry_type="polygon", colour="#0072b2", digit=1
        )
    )
    connection.execute(insert(Tile).values(id=1, project_id=1, z=19, x=1, y=2, quadkey="0", shuffle=0.5, split="train"))
    connection.execute(insert(Model).values(id=1, project_id=1, name="outlines", backend="file"))
    connection.execute(insert(Run).values(id=1, project_id=1, model_id=1))
    connection.execute(insert(Feature).values(id=1, project_id=1, class_id=1, geometry=point, prediction_id=1))
    connection.execute(
        insert(Prediction).values(id=1, run_id=1, feature_id=1, class_id=1, geometry=point, source_row=0)
    )
    connection.execute(
        insert(Decision).values(
            id=str(uuid4()),
            project_id=1,
            tile_id=1,
            feature_id=1,
            prediction_id=1,
            annotator_id=1,
            verdict="accept",
            class_id=1,
            geometry=point,
            seconds=1.0,
            made_at=utc_now(),
        )
    )
    connection.execute(insert(TileEvent).values(id=str(uuid4()), tile_id=1, annotator_id=1, act="complete"))
    own = {"id": 1, "project_id": 1, "model_id": 1, "annotator_id": 1}
    connection.execute(insert(Evaluation).values(**own, split="test", purpose="look", basis={}, result={}))
    connection.execute(insert(Promotion).values(**own, act="promote", passed=True, evidence={}))
