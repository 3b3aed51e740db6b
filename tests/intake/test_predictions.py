"""Predictions from a file: all or nothing, on every tile they touch."""

from pathlib import Path

import numpy as np
import pytest
import shapely
from sqlalchemy import select

from db.models import Model, Prediction, Run
from maploop.database import Database
from maploop.errors import ConflictError, InputError, VectorError
from maploop.imagery.tilemath import Tile
from maploop.predict import writer
from maploop.predict.file import import_predictions
from maploop.project import ProjectView
from tests.builders import CORNER, a_tile, some_imagery
from tests.intake.files import EAST, NORTH, SOUTH, STEP, counts, feature, features, square, tiles, tiles_of, write

NAME = "<img src=x onerror=alert(1)>"


def test_a_feature_belongs_to_each_tile_it_touches(database: Database, project: ProjectView, tmp_path: Path) -> None:
    across = shapely.box(EAST - STEP, SOUTH - STEP, EAST + STEP, SOUTH + STEP)  # round the south-east corner
    inside = square(1, 1)
    up_to_the_border = shapely.box(EAST - STEP, NORTH - STEP, EAST, NORTH)
    path = write(tmp_path / "p.geojson", [across, inside, up_to_the_border])
    answer = import_predictions(database, project, path, model_name="m")
    assert (answer["read"], answer["imported"], answer["new"], answer["tiles"]) == (3, 3, 3, 4)
    ids = [row.id for row in features(database)]
    x, y = CORNER.x, CORNER.y
    assert tiles_of(database, ids[0]) == {Tile(19, x + i, y + j) for i in (0, 1) for j in (0, 1)}
    assert tiles_of(database, ids[1]) == tiles_of(database, ids[2]) == {CORNER}


def test_tiles_know_their_place_their_draw_and_their_split(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    import_predictions(database, project, write(tmp_path / "p.geojson", [square(1), square(25)]), model_name="m")
    for address, row in tiles(database).items():
        assert row.quadkey == address.quadkey
        assert row.split in ("train", "validation", "test")
        assert 0 <= row.shuffle < 1
        assert (row.status, row.imagery_id) == ("open", None)


def test_a_tile_is_as_uncertain_as_its_undecided_features(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    rows = [feature(square(1), score=0.5), feature(square(5), score=1.0), feature(square(25), score=None)]
    import_predictions(database, project, write(tmp_path / "p.geojson", rows), model_name="m")
    by_tile = {address.x - CORNER.x: row.uncertainty for address, row in tiles(database).items()}
    assert by_tile == pytest.approx({0: 0.5, 1: 0.5})
    more = write(tmp_path / "q.geojson", [feature(square(9), score=0.9)])
    import_predictions(database, project, more, model_name="m")
    assert tiles(database)[CORNER].uncertainty == pytest.approx((1 + 0 + 0.2) / 3)


def test_predictions_outside_imagery_are_counted(database: Database, project: ProjectView, tmp_path: Path) -> None:
    with database.write() as connection:
        local = some_imagery(connection, project, kind="geotiff", location="/imagery.tif")
        a_tile(connection, project, imagery_id=local)
    answer = import_predictions(
        database, project, write(tmp_path / "p.geojson", [square(1), square(25)]), model_name="m"
    )
    assert (answer["tiles"], answer["outside_imagery"]) == (2, 1)


def test_a_failure_in_the_middle_of_the_write_changes_nothing(
    database: Database, project: ProjectView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_predictions(database, project, write(tmp_path / "p.geojson", [square(1), square(5)]), model_name="first")
    before, rows = counts(database), features(database)

    def refuse(*_: object) -> None:
        msg = "the power went"
        raise RuntimeError(msg)

    path = write(tmp_path / "q.geojson", [square(1, shift=0.1), square(9), square(30)])
    monkeypatch.setattr(writer, "refresh_uncertainty", refuse)
    with pytest.raises(RuntimeError, match="the power went"):
        import_predictions(database, project, path, model_name="second")
    assert (counts(database), features(database)) == (before, rows)
    monkeypatch.undo()
    assert import_predictions(database, project, path, model_name="second")["imported"] == 3


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"{", "JSON"),
        (b'{"type": "FeatureCollection", "features": []}', "no features"),
        (b"\x89PNG\r\n\x1a\n", "p.geojson"),
    ],
)
def test_a_file_that_is_not_what_it_says_changes_nothing(
    database: Database, project: ProjectView, tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "p.geojson"
    path.write_bytes(content)
    before = counts(database)
    with pytest.raises(VectorError, match=told):
        import_predictions(database, project, path, model_name="m")
    assert counts(database) == before


def test_a_file_with_no_row_that_fits_changes_nothing_and_says_why(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    path = write(tmp_path / "p.geojson", [feature(square(), kind="ship"), feature(square(5), kind="boat")])
    before = counts(database)
    with pytest.raises(VectorError, match=r"none of its 2 rows can be imported; row 0: class 'ship'"):
        import_predictions(database, project, path, model_name="m", class_field="kind")
    assert counts(database) == before


def test_rows_that_do_not_fit_are_reported_and_the_rest_goes_in(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    a, b, c, d, _ = shapely.get_coordinates(square(1))
    bowtie = shapely.Polygon([a, b, d, c])
    half_the_world = shapely.box(-85, -80, 85, 80)
    path = write(tmp_path / "p.geojson", [bowtie, half_the_world, square(9)])
    answer = import_predictions(database, project, path, model_name="m")
    assert answer["read"] == 3
    assert answer["repaired"] == 1
    assert [row["row"] for row in answer["skipped"]] == [1]
    assert "tiles" in answer["skipped"][0]["reason"]
    assert counts(database)["prediction"] == answer["imported"] >= 2


def test_the_same_file_is_not_imported_twice_unless_wanted(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    path = write(tmp_path / "p.geojson", [square(1), square(5)])
    first = import_predictions(database, project, path, model_name="m")
    before = counts(database)
    with pytest.raises(ConflictError, match=rf"already, as run {first['run']} .* --again"):
        import_predictions(database, project, path, model_name="m")
    assert counts(database) == before
    again = import_predictions(database, project, path, model_name="m", again=True)
    assert (again["new"], again["updated"], again["withdrawn"]) == (0, 2, 0)
    assert counts(database)["feature"] == 2
    other = import_predictions(database, project, path, model_name="n")
    assert other["imported"] == 2


def test_names_and_properties_are_text_and_pass_through_unharmed(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    row = feature(square(), note=NAME, control="\x1b[31m", half="\ud800", zero="a\x00b", n=1.5)
    import_predictions(database, project, write(tmp_path / "p.geojson", [row]), model_name=NAME)
    with database.read() as connection:
        assert connection.execute(select(Model.name)).scalar_one() == NAME
        properties = connection.execute(select(Prediction.properties)).scalar_one()
    assert (properties["note"], properties["control"], properties["n"]) == (NAME, "\x1b[31m", "1.5")
    assert properties["zero"] == "ab"


@pytest.mark.parametrize("name", ["", "   ", "a\nb\x00", "x" * 101, "\ud800"])
def test_a_model_name_that_cannot_be_shown_is_refused(
    database: Database, project: ProjectView, tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / "p.geojson", [square()])
    with pytest.raises(InputError, match="is not a model name"):
        import_predictions(database, project, path, model_name=name)
    assert counts(database)["run"] == 0


def test_a_run_keeps_where_it_came_from_and_what_became_of_it(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    path = write(tmp_path / "p.geojson", [feature(square(), score=0.25)])
    answer = import_predictions(database, project, path, model_name="m")
    with database.read() as connection:
        run = connection.execute(select(Run.source, Run.report, Run.finished_at)).one()
        prediction = connection.execute(select(Prediction.score, Prediction.source_row, Prediction.run_id)).one()
    assert (run.source, run.report["new"], run.report["read"]) == (str(path), 1, 1)
    assert run.finished_at is not None
    assert tuple(prediction) == (0.25, 0, answer["run"])


def test_many_predictions_land_on_the_tiles_that_one_by_one_would(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    shapes = [square(*random.uniform(0, 100, 2), size=random.uniform(0.5, 25)) for _ in range(200)]
    import_predictions(database, project, write(tmp_path / "p.geojson", shapes), model_name="m")
    for row in features(database)[::20]:
        for address in tiles_of(database, row.id):
            assert row.geometry.intersects(address.polygon)
    assert {row.id for row in features(database)} == {
        row.id for row in features(database) if tiles_of(database, row.id)
    }
