"""Every import can be taken back as a whole: what it brought goes, what people decided stays, and it is on record."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from db.models import Dataset, Decision, Imagery, Import, Prediction, Run, TileEvent
from db.types import utc_now
from maploop.database import Database
from maploop.errors import ClaimError, ConflictError, NotFoundError
from maploop.imagery.register import register_imagery
from maploop.import_records import list_imports
from maploop.predict.file import import_predictions
from maploop.project import ProjectView, annotator_id
from maploop.review import claims
from maploop.review.truth import import_annotations
from maploop.review.undo_import import preview_undo, undo_import
from maploop.status import status_of
from tests.builders import CORNER, a_tile, some_imagery
from tests.intake.files import block, counts, decide, features, square, tiles, write
from tests.intake.test_imagery import tile_folder
from tests.review.finished import finished_with_something_open


@pytest.fixture
def town(database: Database, project: ProjectView) -> ProjectView:
    """The project with imagery of four tiles in a row."""
    with database.write() as connection:
        local = some_imagery(connection, project, kind="geotiff", location="/town.tif")
        for column in range(4):
            a_tile(connection, project, column, imagery_id=local)
    return project


def predict(database: Database, project: ProjectView, folder: Path, *shapes: Any, model: str = "m") -> str:
    """Import shapes as a model's predictions -> the import's id."""
    path = write(folder / f"{model}.geojson", shapes)
    return str(import_predictions(database, project, path, model_name=model, annotator="anna")["import"])


def know(database: Database, project: ProjectView, folder: Path, *shapes: Any, **options: Any) -> str:
    """Import shapes as known truth, complete on four tiles -> the import's id."""
    path = write(folder / "truth.geojson", shapes)
    options = {"area": block(), "annotator": "anna", **options}
    return str(import_annotations(database, project, path, **options)["import"])


def state(database: Database) -> tuple[Any, ...]:
    """What people see: features that are shown, and tiles, with where they stand."""
    shown = sorted(
        (row.verdict or "", row.geometry.wkb)
        for row in features(database)
        if not row.withdrawn and (row.prediction_id or row.verdict)
    )
    return shown, {address: (row.status, row.set_aside) for address, row in tiles(database).items()}


def test_predictions_go_with_their_tiles_and_what_they_hid_comes_back(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    predict(database, town, tmp_path, square(1), square(5), model="first")
    before = state(database)
    second = predict(database, town, tmp_path, square(1, shift=0.1), square(9), square(85), model="second")
    told = preview_undo(database, town, second, "bob")
    assert {key: told[key] for key in ("removed", "reverted", "restored", "kept", "tiles_removed")} == {
        "removed": 2, "reverted": 1, "restored": 1, "kept": 0, "tiles_removed": 1,
    }  # fmt: skip
    assert state(database) != before
    assert undo_import(database, town, second, "bob") == told
    assert state(database) == before
    with database.read() as connection:
        assert len(connection.execute(select(Prediction.id)).all()) == 5  # history stays
        status = status_of(connection, town)
        newest = list_imports(connection, town)[0]
    assert (status["predictions"], status["undecided"]) == (2, 2)
    assert (newest.id, newest.source, newest.annotator, newest.undone_by) == (
        int(second),
        "second.geojson",
        "anna",
        "bob",
    )
    assert newest.undo_report is not None
    assert newest.undone_at is not None
    with pytest.raises(ConflictError, match=f"Import {second} was taken back already, by bob"):
        undo_import(database, town, second, "bob")


def test_what_people_decided_stays_when_predictions_go(database: Database, town: ProjectView, tmp_path: Path) -> None:
    first = predict(database, town, tmp_path, square(1), square(5), square(9))
    accepted, rejected, _ = features(database)
    decide(database, town, accepted.id, "accept")
    decide(database, town, rejected.id, "reject")
    assert undo_import(database, town, first, "anna")["kept"] == 2
    assert [(row.id, row.verdict) for row in features(database) if not row.withdrawn] == [
        (accepted.id, "accept"),
        (rejected.id, "reject"),
    ]
    again = predict(database, town, tmp_path, square(1), square(5), square(9))  # the very file
    assert again != first
    shown = [row for row in features(database) if not row.withdrawn]
    assert [row.verdict for row in shown] == ["accept", "reject", None]


def test_a_later_run_that_did_not_find_it_either_keeps_a_feature_hidden(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    predict(database, town, tmp_path, square(1), square(5), model="first")
    second = predict(database, town, tmp_path, square(1), model="second")
    third = predict(database, town, tmp_path, square(1), model="third")
    assert undo_import(database, town, second, "anna")["restored"] == 0
    assert undo_import(database, town, third, "anna")["restored"] == 1


def test_a_finished_tile_to_which_something_undecided_comes_back_is_open_again(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    predict(database, town, tmp_path, square(1), square(5), model="first")
    second = predict(database, town, tmp_path, square(1), model="second")
    know(database, town, tmp_path, square(1), area=block(1))
    assert tiles(database)[CORNER].status == "complete"
    told = undo_import(database, town, second, "anna")
    assert (told["restored"], told["kept"], told["reopened"]) == (1, 1, 1)
    assert tiles(database)[CORNER].status == "open"
    assert finished_with_something_open(database) == []


def test_truth_is_undone_by_later_decisions_and_its_tiles_are_open_again(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    predict(database, town, tmp_path, square(1), square(5), square(9))
    decide(database, town, features(database)[2].id, "unsure", who="bob")
    before = state(database)
    known = know(database, town, tmp_path, square(1), square(9, shift=0.2), square(25), square(105))
    assert state(database) != before
    told = undo_import(database, town, known, "bob")
    assert {key: told[key] for key in ("removed", "reverted", "kept", "reopened", "tiles_removed")} == {
        "removed": 2, "reverted": 3, "kept": 0, "reopened": 4, "tiles_removed": 1,
    }  # fmt: skip
    shown, places = state(database)
    aside = [address for address, (_, why) in places.items() if why == "import"]
    assert [tile.x - CORNER.x for tile in aside] == [5]  # its decision is history, so its row stays
    assert (shown, {key: value for key, value in places.items() if key not in aside}) == before
    with database.read() as connection:
        rows = connection.execute(select(Decision.verdict, Decision.import_id).order_by(Decision.seq)).all()
        acts = connection.execute(select(TileEvent.act).order_by(TileEvent.seq)).scalars().all()
        status = status_of(connection, town)
    assert [row.verdict for row in rows].count("undo") == 5
    assert {row.import_id for row in rows[1:]} == {int(known)}
    assert acts == ["complete"] * 4 + ["reopen"] * 4
    assert sum(status["tiles"].values()) == 4
    know(database, town, tmp_path, square(1), square(9, shift=0.2), square(25), square(105))
    again = state(database)
    assert again[1][aside[0]] == ("open", None)
    assert [value for value, _ in again[1].values()].count("complete") == 4


def test_what_people_changed_in_truth_stays_and_only_tiles_that_lose_something_open(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    known = know(database, town, tmp_path, square(1), square(25))
    corrected = features(database)[0]
    decide(database, town, corrected.id, "correct", geometry=square(1, shift=0.4), who="bob")
    assert undo_import(database, town, known, "anna")["kept"] == 1
    (left,) = [row for row in features(database) if row.verdict]
    assert (left.id, left.verdict) == (corrected.id, "correct")
    assert {row.status for row in tiles(database).values()} == {"open"}


def test_what_another_file_of_truth_holds_too_stays(database: Database, town: ProjectView, tmp_path: Path) -> None:
    first = know(database, town, tmp_path, square(1), square(25), area=block(2))
    second = know(database, town, tmp_path, square(1), area=block(1))
    assert undo_import(database, town, first, "anna")["kept"] == 1
    assert [row.verdict for row in features(database)] == ["add", None]
    assert [row.status for row in tiles(database).values()] == ["complete", "open", "open", "open"]
    assert undo_import(database, town, second, "anna")["removed"] == 1  # nothing holds it any more
    assert [row.verdict for row in features(database)] == [None, None]
    assert [row.status for row in tiles(database).values()] == ["open"] * 4


def test_truth_upon_truth_returns_to_what_still_stands(database: Database, town: ProjectView, tmp_path: Path) -> None:
    predict(database, town, tmp_path, square(1))
    decide(database, town, features(database)[0].id, "reject", who="bob")
    first = know(database, town, tmp_path, square(1))
    decide(database, town, features(database)[0].id, "unsure", who="bob")
    second = know(database, town, tmp_path, square(1))
    undo_import(database, town, first, "anna")
    assert features(database)[0].verdict == "accept"
    undo_import(database, town, second, "anna")
    assert features(database)[0].verdict == "unsure"


def test_nobody_loses_the_tile_they_work_on(database: Database, town: ProjectView, tmp_path: Path) -> None:
    first = predict(database, town, tmp_path, square(1))
    with database.write() as connection:
        claims.take(connection, tiles(database)[CORNER].id, annotator_id(connection, "bob"), 600)
    before = counts(database), state(database)
    with pytest.raises(ClaimError, match=rf"bob is at work on {CORNER}: take the import back when that is done"):
        undo_import(database, town, first, "anna")
    assert (counts(database), state(database)) == before
    with pytest.raises(NotFoundError, match="There is no import '99'"):
        undo_import(database, town, "99", "anna")


def test_imagery_goes_and_tiles_show_other_imagery_or_are_removed(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    wide = register_imagery(database, project, tile_folder(tmp_path / "wide", 0, 1, 2), annotator="anna")
    narrow = register_imagery(database, project, tile_folder(tmp_path / "narrow", 0, 1))
    predict(database, project, tmp_path, square(45))
    told = undo_import(database, project, wide["import"], "anna")
    assert (told["uncovered"], told["covered_by_other"], told["tiles_removed"]) == (1, 2, 0)
    assert [row.imagery_id for row in tiles(database).values()] == [narrow["imagery"], narrow["imagery"], None]
    told = undo_import(database, project, narrow["import"], "anna")
    assert (told["uncovered"], told["tiles_removed"]) == (2, 0)
    with database.read() as connection:
        assert len(connection.execute(select(Imagery.id).where(Imagery.withdrawn_at.is_not(None))).all()) == 2
    again = register_imagery(database, project, tmp_path / "wide")
    assert (again["refreshed"], again["tiles"], again["imagery"]) == (False, 3, wide["imagery"])


def test_a_refresh_gives_back_what_was_known_before(database: Database, project: ProjectView, tmp_path: Path) -> None:
    path = tile_folder(tmp_path / "town", 0)
    first = register_imagery(database, project, path, licence="CC BY 4.0")
    second = register_imagery(database, project, path, licence="none", may_train=False)
    with pytest.raises(ConflictError, match=f"Import {second['import']} refreshed this imagery and still stands"):
        undo_import(database, project, first["import"], "anna")
    third = register_imagery(database, project, path, may_leave=False)  # what it withdrew is not given back before it
    with pytest.raises(ConflictError, match=f"Import {third['import']} refreshed this imagery and still stands"):
        undo_import(database, project, second["import"], "anna")
    undo_import(database, project, third["import"], "anna")
    undo_import(database, project, second["import"], "anna")
    with database.read() as connection:
        row = connection.execute(select(Imagery.licence, Imagery.may_train)).one()
        assert row == ("CC BY 4.0", True)
        assert (
            connection.execute(select(Import.report).where(Import.id == int(first["import"]))).scalar_one()["tiles"]
            == 1
        )
    assert undo_import(database, project, first["import"], "anna")["tiles_removed"] == 1
    assert tiles(database) == {}


def test_a_run_taken_back_leaves_the_models_name_free_for_the_same_file(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    first = predict(database, town, tmp_path, square(1))
    undo_import(database, town, first, "anna")
    predict(database, town, tmp_path, square(1))
    with database.read() as connection:
        assert len(connection.execute(select(Run.id).where(Run.withdrawn_at.is_(None))).all()) == 1


def test_datasets_frozen_since_an_import_are_told_of_when_the_clock_jumped_back(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    with database.write() as connection:
        values = {"project_id": town.id, "created_by": annotator_id(connection, "anna"), "manifest": {}}
        connection.execute(insert(Dataset).values(id="a" * 64, **values))
    number = predict(database, town, tmp_path, square(1))
    with database.write() as connection:
        long_ago = utc_now() - timedelta(hours=1)
        connection.execute(insert(Dataset).values(id="b" * 64, created_at=long_ago, **values))
    assert preview_undo(database, town, number, "anna")["datasets"] == 1
