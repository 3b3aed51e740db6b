"""`maploop project set` and `show`: settings by key, and the split they make."""

import json
from pathlib import Path
from typing import Any

import pytest

from maploop.cli import run
from maploop.database import Database
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import ensure_tiles
from maploop.project import load_project
from tests.builders import CORNER, a_decision, a_person, a_prediction, a_project, a_tile


@pytest.fixture
def url(sqlite_database: Database) -> str:
    """A project with 24 tiles."""
    with sqlite_database.write() as connection:
        project = a_project(connection)
        tiles = [Tile(CORNER.z, CORNER.x + column, CORNER.y + row) for row in range(4) for column in range(6)]
        ensure_tiles(connection, project, tiles)
    return str(sqlite_database.url)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["project", *arguments, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_show_tells_the_split_and_every_key(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = answer(capsys, "show", "Town", "--db", url)
    assert {name: side["tiles"] for name, side in told["split"].items()} == {"train": 17, "validation": 2, "test": 5}
    assert told["settings"]["block_zoom_offset"] == "auto"
    assert told["warning"] is None
    assert run(["project", "show", "Town", "--db", url]) == 0
    assert "5 tiles in 5 blocks; wished 20 %" in capsys.readouterr().out


def test_shares_set_before_anybody_decides_split_anew(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = answer(capsys, "set", "Town", "test_share=0.5", "validation_share=0.25", "--db", url)
    assert [side["tiles"] for side in told["split"].values()] == [6, 6, 12]
    told = answer(capsys, "set", "Town", "block_zoom_offset=1", "--db", url)
    assert told["warning"].startswith("The test side has ")


def test_once_somebody_decided_the_split_stands_and_other_settings_still_change(
    sqlite_database: Database, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite_database.write() as connection:
        project = load_project(connection, "Town")
        tile = a_tile(connection, project, 50)
        feature = a_prediction(connection, project, tile, 0).feature_id
        a_decision(connection, project, tile, feature, "accept", a_person(connection, "anna"))
    assert run(["project", "set", "Town", "test_share=0.5", "iou_threshold=0.7", "--db", url]) == 2
    assert "The split of 'Town' stands" in capsys.readouterr().err
    assert answer(capsys, "show", "Town", "--db", url)["settings"]["iou_threshold"] == 0.5
    assert answer(capsys, "set", "Town", "iou_threshold=0.7", "--db", url)["settings"]["iou_threshold"] == 0.7


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("test_share", "'test_share' is not a setting: write KEY=VALUE, of test_share,"),
        ("share=1", "'share=1' is not a setting"),
        ("test_share=much", "'much' is not a test_share: use a number."),
        ("test_share=0.9", "0.9 is not a test_share"),
        ("dialect=runes", "'runes' is not a coordinate dialect"),
    ],
)
def test_what_cannot_be_set_is_refused(
    url: str, capsys: pytest.CaptureFixture[str], setting: str, says: str, tmp_path: Path
) -> None:
    assert run(["project", "set", "Town", setting, "--db", url]) == 2
    assert says in capsys.readouterr().err
