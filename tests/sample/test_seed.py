"""The sample project comes with its model, registered and able to predict."""

from functools import partial

import pytest
from sqlalchemy import select

from db.models import Model, Prediction, Run
from maploop.database import Database
from maploop.predict.choosing import TileChoice
from maploop.predict.models import load_model
from maploop.predict.registry import open_predictor
from maploop.predict.run import predict_tiles
from maploop.project import load_project
from maploop.sample import project as sample_project
from maploop.sample.seed import MODEL, NAME, add_sample


def test_the_first_model_is_a_local_one_and_finds_again_what_it_found(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_project, "SCHOOL_SIZE", 512)
    monkeypatch.setattr(sample_project, "make_sample", partial(sample_project.make_sample, size=1024))
    add_sample(sqlite_database)
    with sqlite_database.read() as connection:
        project = load_project(connection, NAME)
        model = load_model(connection, project, MODEL)
        assert connection.execute(select(Model.backend).join(Run, Run.model_id == Model.id)).scalars().all() == [
            "local"
        ]
        found = len(connection.execute(select(Prediction.id)).all())
    run = predict_tiles(sqlite_database, project, model, open_predictor(project, model), TileChoice("all")).run
    assert run is not None
    assert (run.status, run.tiles) == ("finished", 4)
    assert run.features >= 0.9 * found
    assert run.report["updated"] >= 0.9 * run.features
