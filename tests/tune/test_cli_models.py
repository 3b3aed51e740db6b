"""`maploop predict` and `maploop tune`, as a pipeline calls them."""

from pathlib import Path

import pytest
from sqlalchemy import update

from db.models import Tile as TileRow
from db.shared import shared
from maploop.cli import run
from tests.builders import CORNER
from tests.commands import refused, said
from tests.tune.ground import painted_files

TILES = 4


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A GeoTIFF of four tiles, and the outlines of its houses."""
    return painted_files(tmp_path, TILES)


def test_the_loop_turns_from_the_command_line(
    sqlite_url: str, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imagery, truth = files
    said(capsys, "project", "create", "Town", "--class", "building:polygon", "--zoom", "19", "--seed", "s")
    said(capsys, "import", "imagery", "Town", str(imagery))
    with shared(sqlite_url).write() as connection:
        connection.execute(update(TileRow).values(split="train"))
        connection.execute(update(TileRow).where(TileRow.x == CORNER.x + 2).values(split="validation"))
        connection.execute(update(TileRow).where(TileRow.x == CORNER.x + 3).values(split="test"))
    said(capsys, "import", "annotations", "Town", str(truth))
    out = str(tmp_path / "out")
    dataset = said(capsys, "export", "Town", "--format", "geojson", "--out", out, "--tiles", "complete")["dataset"]

    tuned = said(capsys, "tune", "Town", "--dataset", dataset[:12], "--base", "local", "--name", "mine")
    assert (tuned["model"], tuned["parent"], tuned["dataset"], tuned["tiles"]) == ("mine", None, dataset, 2)
    assert tuned["validation"]["f1"] > 0.9

    found = said(capsys, "predict", "Town", "--model", "mine", "--split", "test")
    assert (found["status"], found["tiles"], found["predicted"], found["known"]) == ("finished", 1, 1, 0)
    assert found["report"]["confirmed"] >= 14
    assert found["tokens"] == {"input": 0, "cached": 0, "cache_write": 0, "output": 0}
    assert found["cost"] == 0.0
    rest = said(capsys, "predict", "Town", "--model", "mine", "--all")
    assert (rest["tiles"], rest["known"]) == (TILES - 1, 1)
    nothing = said(capsys, "predict", "Town", "--model", "mine", "--all")
    assert (nothing["run"], nothing["tiles"], nothing["known"], nothing["under_way"]) == (None, 0, TILES, [])
    again = said(capsys, "predict", "Town", "--model", "mine", "--all", "--tiles", "2", "--again")
    assert again["tiles"] == 2
    here = f"{CORNER.z}/{CORNER.x}/{CORNER.y}"
    assert said(capsys, "predict", "Town", "--model", "mine", "--tile", here, "--again")["tiles"] == 1

    assert run(["predict", "Town", "--model", "mine", "--all"]) == 0
    assert capsys.readouterr().out == "Nothing is left to predict. 4 were predicted before; --again asks anew.\n"
    assert run(["tune", "Town", "--dataset", dataset, "--base", "mine"]) == 0
    assert "validation tiles" in capsys.readouterr().out


def test_wrong_wishes_end_in_one_line(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "project", "create", "Town", "--class", "building:polygon")
    assert "There is no model 'm'" in refused(capsys, "predict", "Town", "--model", "m")
    both = refused(capsys, "predict", "Town", "--model", "m", "--tile", "19/1/2", "--split", "test")
    assert "--split and --tile do not go together" in both
    assert "--all and --unreviewed" in refused(capsys, "predict", "Town", "--model", "m", "--all", "--unreviewed")
    assert "--resume goes on" in refused(capsys, "predict", "Town", "--model", "m", "--resume", "--all")
    assert "'exam' is not a split" in refused(capsys, "predict", "Town", "--model", "m", "--split", "exam")
    assert "is not a tile address" in refused(capsys, "predict", "Town", "--model", "m", "--tile", "here")
    assert "is not the id of a dataset" in refused(capsys, "tune", "Town", "--dataset", "x", "--base", "local")
    assert "There is no project 'City'" in refused(capsys, "tune", "City", "--dataset", "x", "--base", "local")
