"""A tile says which models have looked at it, so that nothing found can be told from nobody asked."""

from pathlib import Path

from sqlalchemy import insert

from db.models import Model, Run, RunTile
from maploop.database import Database
from maploop.predict.file import import_predictions
from maploop.predict.looked_at import without_run
from maploop.project import ProjectView
from maploop.review.deck import deck_of
from tests.builders import PlacedTile, a_person, a_project, a_tile
from tests.intake.files import square, write


def covered_by(database: Database, project: ProjectView, tile: PlacedTile) -> list[str]:
    with database.write() as connection:
        anna = a_person(connection, "anna")
        return list(deck_of(connection, project, tile.id, anna, drawn_by="place")["tile"]["coveredBy"])


def test_a_tile_names_the_models_whose_runs_answered_and_whose_files_cover_it(
    database: Database, tmp_path: Path
) -> None:
    with database.write() as connection:
        project = a_project(connection)
        block = [a_tile(connection, project, column, row) for column in range(3) for row in range(3)]
        far, asked, failed = (a_tile(connection, project, column) for column in (8, 9, 10))
        model = connection.execute(
            insert(Model).values(project_id=project.id, name="luna", backend="chat").returning(Model.id)
        ).scalar_one()
        run = connection.execute(
            insert(Run).values(project_id=project.id, model_id=model, tiles=2).returning(Run.id)
        ).scalar_one()
        for tile, status in ((asked, "ok"), (failed, "failed")):
            connection.execute(insert(RunTile).values(run_id=run, tile_id=tile.id, status=status))
    ring = [square(20 * x + 5, 20 * y + 5) for x in range(3) for y in range(3) if (x, y) != (1, 1)]
    import_predictions(database, project, write(tmp_path / "p.geojson", ring), model_name="first")
    assert [covered_by(database, project, tile) for tile in block] == [["first"]] * 9  # its middle is enclosed
    assert covered_by(database, project, asked) == ["luna"]
    assert covered_by(database, project, far) == covered_by(database, project, failed) == []
    with database.read() as connection:
        assert without_run(connection, project) == 2
