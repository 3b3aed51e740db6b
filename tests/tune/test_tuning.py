"""Training the local model on a frozen dataset: what it looks at, what it remembers, what stops it."""

import pytest
from sqlalchemy import func, select, update

from db.models import Feature, Model, Prediction
from db.models import Tile as TileRow
from maploop.database import Database
from maploop.errors import ConflictError, InputError, LicenceError, NotFoundError
from maploop.imagery.tilemath import Tile
from maploop.predict.choosing import TileChoice
from maploop.predict.model_files import models_folder, open_model
from maploop.predict.models import add_model, list_models
from maploop.predict.registry import open_predictor
from maploop.predict.run import predict_tiles
from maploop.project import create_project
from maploop.tune.examples import TileExamples, tiles_with_pixels
from maploop.tune.trainer import TuningCancelledError
from maploop.tune.tuning import register_local_model, tune
from tests.tune.ground import Ground, houses, lay_ground


def test_a_tuned_model_remembers_where_it_comes_from_and_finds_what_it_learned(ground: Ground) -> None:
    dataset = ground.freeze()
    heard: list[float] = []
    model = tune(
        ground.database,
        ground.project,
        dataset.id[:10],
        "local",
        name="first",
        sources=ground.sources,
        hear=lambda share, _: heard.append(share),
    )
    assert (model.backend, model.parent, model.dataset_id) == ("local", None, dataset.id)
    assert model.parameters["tiles"] == 2
    assert model.parameters["seconds"] > 0
    validation = model.parameters["validation"]
    assert validation["tiles"] == 1
    assert validation["tp"] + validation["fn"] == 16
    assert validation["f1"] > 0.9
    assert validation["classes"]["building"]["f1"] == validation["f1"]
    assert heard == sorted(heard)
    assert heard[-1] == 1.0

    second = tune(ground.database, ground.project, dataset.id, "first", sources=ground.sources)
    assert (second.parent, second.dataset_id, second.name) == ("first", dataset.id, f"first-{dataset.id[:8]}")
    third = tune(ground.database, ground.project, dataset.id, "first", sources=ground.sources)
    assert third.name == f"first-{dataset.id[:8]}-2"

    run = predict_tiles(
        ground.database,
        ground.project,
        second,
        open_predictor(ground.project, second),
        TileChoice(split="test"),
        sources=ground.sources,
    ).run
    assert run is not None
    assert (run.status, run.tiles) == ("finished", 1)
    assert run.report["confirmed"] >= 14
    assert run.usage.seconds > 0
    with ground.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(Prediction)).scalar_one() == run.features
        assert connection.execute(select(func.count()).select_from(Feature)).scalar_one() >= 64


def test_the_test_split_is_never_looked_at(local_ground: Ground) -> None:
    dataset = local_ground.freeze()
    tune(local_ground.database, local_ground.project, dataset.id, "local", sources=local_ground.sources)
    assert local_ground.painted.read_tiles == {local_ground.tile(column) for column in (0, 1, 2)}


def test_the_validation_split_is_measured_and_not_learned(local_ground: Ground) -> None:
    dataset = local_ground.freeze()
    model = tune(local_ground.database, local_ground.project, dataset.id, "local", sources=local_ground.sources)
    with local_ground.database.write() as connection:
        connection.execute(update(TileRow).where(TileRow.split == "validation").values(split="test"))
    bare = tune(
        local_ground.database, local_ground.project, local_ground.freeze().id, "local", sources=local_ground.sources
    )
    assert bare.parameters["validation"] is None
    hashes = {each.identifier.rpartition("-")[2] for each in (model, bare)}
    assert len(hashes) == 1


def test_examples_are_whole_tiles_with_annotations_in_their_pixels(local_ground: Ground) -> None:
    snapshot = local_ground.freeze().snapshot()
    examples = TileExamples(snapshot, tiles_with_pixels(snapshot, "train"), local_ground.sources)
    assert len(examples) == 2
    for column, (image, annotated) in enumerate(examples):
        assert image.shape == (512, 512, 3)
        drawn = sorted(tuple(round(edge) for edge in each.geometry.bounds) for each in annotated)
        assert drawn == sorted(houses(column))


def test_cancelling_leaves_no_model(local_ground: Ground) -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 4

    dataset = local_ground.freeze()
    with pytest.raises(TuningCancelledError, match="there is no new model"):
        tune(
            local_ground.database,
            local_ground.project,
            dataset.id,
            "local",
            sources=local_ground.sources,
            cancelled=cancelled,
        )
    with local_ground.database.read() as connection:
        assert list_models(connection, local_ground.project) == []
    assert not models_folder().exists()


def test_imagery_that_may_not_train_is_refused_by_name(sqlite_database: Database) -> None:
    ground = lay_ground(sqlite_database, may_train=False)
    with pytest.raises(LicenceError, match="the terms of localhost forbid training"):
        tune(ground.database, ground.project, ground.freeze().id, "local", sources=ground.sources)


def test_a_dataset_without_train_tiles_is_refused(sqlite_database: Database) -> None:
    ground = lay_ground(sqlite_database, splits=("test", "validation"))
    with pytest.raises(InputError, match="has no train tile with imagery"):
        tune(ground.database, ground.project, ground.freeze().id, "local", sources=ground.sources)


def test_imagery_that_changed_since_is_refused(local_ground: Ground) -> None:
    dataset = local_ground.freeze()
    local_ground.painted.fingerprint = "repainted"
    with pytest.raises(ConflictError, match="has changed since the dataset was frozen"):
        tune(local_ground.database, local_ground.project, dataset.id, "local", sources=local_ground.sources)


def test_wrong_wishes_are_refused_before_the_work_begins(local_ground: Ground) -> None:
    database, project, dataset = local_ground.database, local_ground.project, local_ground.freeze()
    with database.write() as connection:
        add_model(connection, project, "files", "file")
        other = create_project(connection, "Other", [("building", "polygon")])
    with pytest.raises(InputError, match="'files' is a file model, which cannot be tuned here"):
        tune(database, project, dataset.id, "files", sources=local_ground.sources)
    with pytest.raises(NotFoundError, match="There is no model 'nobody' in 'Town': 'files'"):
        tune(database, project, dataset.id, "nobody", sources=local_ground.sources)
    with pytest.raises(InputError, match="There is a model 'files' in 'Town' already"):
        tune(database, project, dataset.id, "local", name="files", sources=local_ground.sources)
    with pytest.raises(InputError, match="is not one of 'Other'"):
        tune(database, other, dataset.id, "local", sources=local_ground.sources)
    assert local_ground.painted.read_tiles == set()


def test_a_model_file_is_opened_only_while_it_is_what_was_kept(local_ground: Ground) -> None:
    dataset = local_ground.freeze()
    model = tune(local_ground.database, local_ground.project, dataset.id, "local", sources=local_ground.sources)
    path = models_folder() / model.identifier
    assert list(models_folder().iterdir()) == [path]
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match="was changed after it was kept"):
        open_predictor(local_ground.project, model)
    path.unlink()
    with pytest.raises(NotFoundError, match="is missing: restore the models folder"):
        open_predictor(local_ground.project, model)
    for foreign in ("../../etc/passwd", "/tmp/a.model", f"../x-{'0' * 64}.model"):
        with pytest.raises(InputError, match="does not name a local model"):
            open_model(foreign)


def test_registering_the_same_model_again_gives_the_same_row(local_ground: Ground) -> None:
    database, project = local_ground.database, local_ground.project
    tuned = tune(database, project, local_ground.freeze().id, "local", sources=local_ground.sources)
    model = open_model(tuned.identifier)
    first = register_local_model(database, project, "mine", model)
    assert register_local_model(database, project, "mine", model) == first
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(Model)).scalar_one() == 2
    with pytest.raises(ConflictError, match="There is a model"):
        register_local_model(database, project, tuned.name, model)


def test_models_of_files_and_of_other_classes_cannot_predict(local_ground: Ground) -> None:
    database, project = local_ground.database, local_ground.project
    tuned = tune(database, project, local_ground.freeze().id, "local", sources=local_ground.sources)
    with database.write() as connection:
        files = add_model(connection, project, "files", "file")
        strange = add_model(connection, project, "strange", "oracle")
        roads = create_project(connection, "Roads", [("road", "line")])
    with pytest.raises(InputError, match="come from files, it cannot predict"):
        open_predictor(project, files)
    with pytest.raises(InputError, match="'oracle', the backend of 'strange', is not known"):
        open_predictor(project, strange)
    with pytest.raises(InputError, match="finds building, which 'Roads' does not have: it has road"):
        open_predictor(roads, tuned)


def test_tile_addresses_of_examples(local_ground: Ground) -> None:
    snapshot = local_ground.freeze().snapshot()
    examples = TileExamples(snapshot, tiles_with_pixels(snapshot, "validation"), local_ground.sources)
    assert isinstance(examples.address(0), Tile)
    assert examples.address(0) == local_ground.tile(2)
