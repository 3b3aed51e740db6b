"""A tile says which models have looked at it, so that nothing found can be told from nobody asked."""

import json
from pathlib import Path

from sqlalchemy import insert

from db.models import Model, Run, RunTile
from maploop.database import Database
from maploop.predict.file import import_predictions
from maploop.predict.looked_at import without_run
from maploop.project import ProjectView
from maploop.review.deck import deck_of
from tests.builders import PlacedTile, a_person, a_project, a_tile, some_imagery
from tests.intake.files import block, square, write


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


def test_a_file_of_predictions_covers_its_stated_area_and_the_pictures_it_lists(
    database: Database, tmp_path: Path
) -> None:
    with database.write() as connection:
        project = a_project(connection)
        local = some_imagery(connection, project, kind="geotiff", location="/town.tif")
        row = [a_tile(connection, project, column, imagery_id=local) for column in range(4)]
    path = write(tmp_path / "p.geojson", [square(1)])
    import_predictions(database, project, path, model_name="first", area=block(2))
    listed = {
        "images": [
            {"id": number, "file_name": f"{tile.address}.png", "width": 256, "height": 256}
            for number, tile in enumerate(row[1:3])
        ],
        "annotations": [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [64, 64, 64, 32]}],
        "categories": [{"id": 1, "name": "building"}],
    }
    coco = tmp_path / "p.json"
    coco.write_text(json.dumps(listed), encoding="utf-8")
    import_predictions(database, project, coco, model_name="second")
    assert [covered_by(database, project, tile) for tile in row] == [["first"], ["first", "second"], ["second"], []]
