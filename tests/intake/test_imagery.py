"""Imagery referenced where it lies, and the rows of its tiles."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select, update

from db.bulk import table_of
from db.models import Imagery, Project
from db.models import Tile as TileRow
from maploop.database import Database
from maploop.dataset.datasets import freeze
from maploop.dataset.survey import survey_of
from maploop.errors import ImageryError, InputError
from maploop.imagery.register import parse_bounds, register_imagery
from maploop.imagery.tilemath import Tile, tiles_covering
from maploop.imagery.tiles import ensure_tiles, quadkeys
from maploop.predict.file import import_predictions
from maploop.project import ProjectView, change_settings
from maploop.status import status_of
from tests.builders import CORNER, a_project
from tests.intake.files import counts, square, tiles, write

TEMPLATE = "https://tiles.example.org/{z}/{x}/{y}.png"


def tile_folder(folder: Path, *columns: int) -> Path:
    """Grey tiles of zoom 19, so many columns east of the corner tile."""
    for column in columns:
        path = folder / "19" / str(CORNER.x + column) / f"{CORNER.y}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (256, 256), (90, 90, 90)).save(path)
    return folder


def imagery(database: Database) -> Any:
    """The only imagery there is."""
    with database.read() as connection:
        return connection.execute(select(*table_of(Imagery).columns)).one()


def covered(database: Database) -> list[int]:
    """Columns of tiles that have imagery, counted from the corner tile."""
    return sorted(address.x - CORNER.x for address, row in tiles(database).items() if row.imagery_id is not None)


def test_imagery_is_referenced_in_place_with_a_tile_for_all_it_covers(
    database: Database, project: ProjectView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tile_folder(tmp_path / "tiles", 0, 1, 3)
    monkeypatch.chdir(tmp_path)
    answer = register_imagery(database, project, "tiles", licence="CC BY 4.0", attribution="<b>us</b>", may_train=False)
    assert (answer["read"], answer["imported"], answer["tiles"], answer["tiles_new"]) == (1, 1, 3, 3)
    row = imagery(database)
    assert row.location == str((tmp_path / "tiles").resolve())
    assert (row.licence, row.attribution, row.may_train) == ("CC BY 4.0", "<b>us</b>", False)
    assert covered(database) == [0, 1, 3]


def test_the_same_place_again_is_refreshed_and_keeps_what_is_not_said_anew(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    folder = tile_folder(tmp_path / "tiles", 0, 1)
    register_imagery(database, project, folder, licence="mine", may_train=False)
    (folder / "19" / str(CORNER.x) / f"{CORNER.y}.png").unlink()
    tile_folder(folder, 2)
    answer = register_imagery(database, project, folder, attribution="us")
    assert (answer["refreshed"], answer["tiles"], answer["tiles_new"]) == (True, 2, 1)
    row = imagery(database)
    assert (row.licence, row.attribution, row.may_train) == ("mine", "us", False)
    assert covered(database) == [1, 2]


def test_bounds_narrow_what_is_listed(database: Database, project: ProjectView, tmp_path: Path) -> None:
    folder = tile_folder(tmp_path / "tiles", 0, 1, 2)
    register_imagery(database, project, folder, bounds=CORNER.bounds)
    assert covered(database) == [0]
    register_imagery(database, project, folder)
    assert covered(database) == [0, 1, 2]


def test_tiles_that_features_made_get_imagery_later_and_keep_what_they_have(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    import_predictions(database, project, write(tmp_path / "p.geojson", [square(1), square(25)]), model_name="m")
    assert covered(database) == []
    register_imagery(database, project, tile_folder(tmp_path / "a", 0))
    first = tiles(database)[CORNER]
    register_imagery(database, project, tile_folder(tmp_path / "b", 0, 1))
    assert tiles(database)[CORNER] == first
    assert covered(database) == [0, 1]


def test_tiles_of_a_server_come_with_the_features(database: Database, project: ProjectView, tmp_path: Path) -> None:
    import_predictions(database, project, write(tmp_path / "p.geojson", [square(1)]), model_name="m")
    assert register_imagery(database, project, TEMPLATE, check=False)["tiles"] == 1
    answer = import_predictions(database, project, write(tmp_path / "q.geojson", [square(25)]), model_name="m")
    assert answer["outside_imagery"] == 0
    assert covered(database) == [0, 1]


def test_a_server_within_bounds_covers_those_and_nothing_else(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    answer = register_imagery(database, project, TEMPLATE, bounds=CORNER.bounds, check=False)
    assert answer["tiles"] == 1
    path = write(tmp_path / "p.geojson", [square(25)])
    answer = import_predictions(database, project, path, model_name="m", outside_imagery=True)
    assert answer["outside_imagery"] == 1


@pytest.mark.parametrize("location", ["", "nowhere", "ftp://host/x", "http://127.0.0.1:1/none"])
def test_what_is_no_imagery_changes_nothing(
    database: Database, project: ProjectView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = counts(database)
    with pytest.raises(ImageryError):
        register_imagery(database, project, location)
    assert counts(database) == before


def test_imagery_without_a_tile_in_the_bounds_is_refused(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    with pytest.raises(ImageryError, match="covers no tile of zoom 19 within the bounds"):
        register_imagery(database, project, tile_folder(tmp_path / "tiles", 0), bounds=(0, 0, 1, 1))
    assert counts(database)["imagery"] == 0


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "2,0,1,1", "0,0,0,1", "0,0,nan,1", "-181,0,1,1", "0,-91,1,1"])
def test_bounds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="are not bounds: write west,south,east,north"):
        parse_bounds(text)
    assert parse_bounds("1, 2,3.5,4") == (1, 2, 3.5, 4)


def test_a_split_once_drawn_never_changes(database: Database, project: ProjectView) -> None:
    addresses = list(tiles_covering((30.1, 0.7, 30.12, 0.72), 19))
    with database.write() as connection:
        ids = ensure_tiles(connection, project, addresses)
    drawn = {address: (row.id, row.split, row.shuffle) for address, row in tiles(database).items()}
    assert {row[1] for row in drawn.values()} == {"train", "validation", "test"}
    with database.write() as connection:
        changed = change_settings(connection, project, validation_share=0.5, test_share=0.5, block_zoom_offset=0)
        connection.execute(update(Project).values(seed="another"))
        assert ensure_tiles(connection, changed, [*addresses, *addresses[:3]]) == ids + ids[:3]
    assert {address: (row.id, row.split, row.shuffle) for address, row in tiles(database).items()} == drawn


def test_quadkeys_of_many_are_those_of_each() -> None:
    for zoom in (0, 1, 19, 23):
        last = 2**zoom - 1
        some = [Tile(zoom, 0, 0), Tile(zoom, last, 0), Tile(zoom, last // 3, last // 7), Tile(zoom, last, last)]
        assert quadkeys(some) == [tile.quadkey for tile in some]


def test_import_status_and_card_agree_on_how_many_tiles_have_pixels(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite_database.write() as connection:
        project = a_project(connection)
    folder = tile_folder(tmp_path / "tiles", 0, 1, 2)
    Image.new("RGBA", (256, 256)).save(folder / "19" / str(CORNER.x) / f"{CORNER.y}.png")  # transparent all over
    half = Image.new("RGBA", (256, 256))
    half.paste((90, 90, 90, 255), (0, 0, 128, 256))
    half.save(folder / "19" / str(CORNER.x + 1) / f"{CORNER.y}.png")
    expected = {"with_pixels": 2, "partial": 1, "unmeasured": 0, "holes": 1, "no_imagery": 0}
    answer = register_imagery(sqlite_database, project, folder)
    assert answer["pixels"] == expected
    with sqlite_database.write() as connection:
        connection.execute(update(TileRow).values(status="complete"))
    with sqlite_database.read() as connection:
        assert status_of(connection, project)["pixels"] == expected
        assert survey_of(connection, project, "complete").without_pixels == 1
    assert freeze(sqlite_database, project, tiles="complete", annotator="anna").manifest["pixels"] == expected


def test_pixels_that_changed_are_measured_again_when_the_imagery_is_imported_again(
    sqlite_database: Database, tmp_path: Path
) -> None:
    with sqlite_database.write() as connection:
        project = a_project(connection)
    folder = tile_folder(tmp_path / "tiles", 0, 1)
    path = folder / "19" / str(CORNER.x) / f"{CORNER.y}.png"
    Image.new("RGBA", (256, 256)).save(path)
    assert register_imagery(sqlite_database, project, folder)["pixels"]["holes"] == 1
    Image.new("RGB", (256, 256), (90, 90, 90)).save(path)
    assert register_imagery(sqlite_database, project, folder)["pixels"]["with_pixels"] == 2
