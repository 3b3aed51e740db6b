"""The command line as pipelines meet it: exit codes, JSON, one line of trouble."""

import hashlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from sqlalchemy import event

from db import engine
from maploop.cli import run
from maploop.database import open_database
from tests.intake.files import block, counts, feature, square, write
from tests.tile_server import Server

NAME = "<img src=x onerror=alert(1)>"


class Cli:
    """Runs commands in this process against one database."""

    def __init__(self, url: str, output: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self.output = output

    def __call__(self, *arguments: str) -> Any:
        """The JSON that a command prints; it must end with 0 and say nothing on stderr."""
        code = run([*arguments, "--json", "--db", self.url])
        printed = self.output.readouterr()
        assert (code, printed.err) == (0, "")
        return json.loads(printed.out)

    def refused(self, *arguments: str) -> str:
        """The one line on stderr of a command that ends with 2 and changes nothing."""
        before = counts(open_database(self.url))
        code = run([*arguments, "--db", self.url])
        printed = self.output.readouterr()
        assert (code, printed.out) == (2, "")
        assert counts(open_database(self.url)) == before
        (line,) = printed.err.splitlines()
        return line


@pytest.fixture
def cli(database_url: str, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Commands against an empty database, of each kind in turn."""
    return Cli(database_url, capsys)


@pytest.fixture
def town(cli: Cli) -> Cli:
    """The same with a project."""
    cli("project", "create", "Town", "--class", "building:polygon", "--class", "well:point", "--zoom", "19")
    return cli


def test_a_project_is_made_and_its_status_told(cli: Cli) -> None:
    made = cli("project", "create", NAME, "--class", "building:polygon", "--class", "road:line", "--seed", "s")
    assert made == {
        "project": NAME,
        "zoom": 19,
        "seed": "s",
        "classes": {"building": "polygon", "road": "line"},
    }
    status = cli("status", NAME)
    assert (status["project"], status["predictions"], status["annotations"]) == (NAME, 0, 0)
    assert status["tiles"] == {"open": 0, "claimed": 0, "complete": 0, "approved": 0, "returned": 0}
    assert status["decisions"] == {"accept": 0, "correct": 0, "reject": 0, "add": 0, "unsure": 0}


def test_predictions_and_truth_show_in_the_status(town: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / "p.geojson", [square(1), square(25), feature(shapely.Point(0, 89)), square(45)])
    answer = town("import", "predictions", "Town", str(path), "--model", NAME)
    assert (answer["read"], answer["imported"], answer["repaired"], answer["model"]) == (4, 3, 0, NAME)
    assert [row["row"] for row in answer["skipped"]] == [2]
    truth = write(tmp_path / "t.geojson", [square(1), square(5), square(25, shift=0.2)])
    area = write(tmp_path / "area.geojson", [block(2)])
    answer = town("import", "annotations", "Town", str(truth), "--class", "building", "--area", str(area))
    assert (answer["read"], answer["imported"], answer["skipped"]) == (3, 3, [])
    status = town("status", "Town")
    assert (status["predictions"], status["annotations"], status["undecided"]) == (3, 3, 1)
    assert status["tiles"] == {"open": 1, "claimed": 0, "complete": 2, "approved": 0, "returned": 0}
    assert status["decisions"] == {"accept": 1, "correct": 1, "reject": 0, "add": 1, "unsure": 0}


def test_truth_is_exported_with_the_hash_of_every_file(town: Cli, tmp_path: Path) -> None:
    truth = write(tmp_path / "t.geojson", [feature(square(1), note=NAME), square(5), square(25, shift=0.2)])
    area = write(tmp_path / "area.geojson", [block()])
    town("import", "annotations", "Town", str(truth), "--area", str(area))
    geojson = ("export", "Town", "--format", "geojson", "--out")
    exported = town(*geojson, str(tmp_path / "out"))
    folder = Path(exported["path"])
    assert folder == tmp_path / "out"
    assert {file["name"] for file in exported["files"]} <= {path.name for path in folder.iterdir()}
    for file in exported["files"]:
        assert hashlib.sha256((folder / file["name"]).read_bytes()).hexdigest() == file["sha256"]
    again = town(
        "export", "Town", "--format", "geojson", "--out", str(tmp_path / "again"), "--dataset", exported["dataset"]
    )
    assert [file["sha256"] for file in again["files"]] == [file["sha256"] for file in exported["files"]]
    assert run(["export", "Town", "--format", "osm", "--out", str(tmp_path / "osm"), "--db", town.url]) == 0
    assert exported["dataset"] in town.output.readouterr().out


def test_every_import_says_its_id_and_can_be_taken_back(town: Cli, tmp_path: Path) -> None:
    area = str(write(tmp_path / "area.geojson", [block(2)]))
    predictions = str(write(tmp_path / "p.geojson", [square(1), square(25)]))
    first = town("import", "predictions", "Town", predictions, "--model", "m")["import"]
    second = town("import", "annotations", "Town", str(write(tmp_path / "t.geojson", [square(1)])), "--area", area)
    third = town("import", "area", "Town", area)["import"]
    listed = town("import", "list", "Town")["imports"]
    assert [(each["import"], each["kind"], each["source"]) for each in listed] == [
        (third, "area", "area.geojson"),
        (second["import"], "annotations", "t.geojson"),
        (first, "predictions", "p.geojson"),
    ]
    before = town("status", "Town")
    told = town("import", "undo", "Town", second["import"])
    assert (told["undone"], told["reverted"], told["reopened"]) == (False, 2, 2)
    assert town("status", "Town") == before
    assert run(["import", "undo", "Town", second["import"], "--db", town.url]) == 0
    said = town.output.readouterr().out
    assert "2 features are again as they were before; 2 finished tiles are open again" in said
    assert "Nothing was changed: add --yes to take it back." in said
    assert town("import", "undo", "Town", second["import"], "--yes")["undone"]
    status = town("status", "Town")
    assert (status["annotations"], status["undecided"], status["tiles"]["open"]) == (0, 2, 2)
    assert "was taken back already" in town.refused("import", "undo", "Town", second["import"], "--yes")
    assert "There is no import 'x'" in town.refused("import", "undo", "Town", "x", "--yes")
    assert town("import", "undo", "Town", first, "--yes")["removed"] == 2
    assert town("import", "predictions", "Town", predictions, "--model", "m")["new"] == 2
    assert run(["import", "list", "Town", "--db", town.url]) == 0
    assert "annotations t.geojson" in town.output.readouterr().out


def test_a_place_that_is_taken_is_refused_before_anything_is_frozen(town: Cli, tmp_path: Path) -> None:
    town("import", "annotations", "Town", str(write(tmp_path / "t.geojson", [square(1)])))
    assert "is not empty" in town.refused("export", "Town", "--format", "geojson", "--out", str(tmp_path))
    assert [path.name for path in tmp_path.glob("*.geojson")] == ["t.geojson"]


def test_people_read_sentences(town: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / "p.geojson", [square(1), feature(square(9), kind="\x1b[31m\nship")])
    arguments = ["import", "predictions", "Town", str(path), "--model", "m", "--db", town.url]
    assert run([*arguments, "--class-field", "kind"]) == 2
    assert "\x1b" not in town.output.readouterr().err
    assert run(arguments) == 0
    assert town.output.readouterr().out.splitlines()[0] == "Read 2 rows, imported 2 features, 0 repaired."
    assert run(["status", "Town", "--db", town.url]) == 0
    assert "2 predictions, 2 undecided, 0 annotations" in town.output.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["status", "Nowhere"], "There is no project 'Nowhere': 'Town'."),
        (["status"], "Missing argument 'PROJECT'."),
        (["status", "Town", "--jsno"], "No such option"),
        (["nonsense"], "No such command 'nonsense'."),
        (["project", "create", "Town", "--class", "a:polygon"], "There is a project 'Town' already"),
        (["project", "create", "B", "--class", "a:shape"], "'shape' is not a geometry type"),
        (["project", "create", "B", "--class", "a:polygon", "--zoom", "99"], "99 is not a working zoom"),
        (["project", "create", "B", "--class", "a:polygon", "--zoom", "x"], "--zoom"),
        (["project", "create", "a\nb\x7f", "--class", "a:polygon"], "is not a project name"),
        (["import", "imagery", "Town", "/nowhere.tif"], "'/nowhere.tif' does not exist"),
        (["import", "imagery", "Town", "/", "--bounds", "1,2"], "'1,2' are not bounds"),
        (["import", "predictions", "Town", "/nowhere.geojson", "--model", "m"], "/nowhere.geojson is missing"),
        (["import", "annotations", "Town", "/nowhere.geojson", "--class", "building"], "/nowhere.geojson is missing"),
        (["import", "predictions", "Town", "/", "--model", "m"], "/ is a folder, but no File Geodatabase"),
        (["status", "\udcff"], "is not UTF-8 text"),
        (["export", "Town", "--format", "doc", "--out", "o"], "'doc' is not an export format: use openai"),
        (["export", "Town", "--format", "coco", "--out", "o", "--split", "all"], "'all' is not a split"),
        (["export", "Town", "--format", "coco", "--out", "o", "--tiles", "all"], "'all' does not say which tiles"),
        (["export", "Town", "--format", "coco", "--out", "o", "--dataset", "x"], "'x' is not the id of a dataset"),
        (["export", "Town", "--format", "coco", "--out", "o"], "has no tiles yet"),
        (["serve", "--port", "0"], "--port"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(town: Cli, arguments: list[str], told: str) -> None:
    assert told in town.refused(*arguments)


def test_half_a_command_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import"]) == 2
    assert capsys.readouterr().err == "Missing command.\n"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("maploop.sqlite", "is not a database URL"),
        ("mysql://u@h/d", "not supported"),
        ("sqlite://", "in memory"),
        ("sqlite:////proc/none/x.sqlite", "is not there"),
        ("postgresql://u:secret@127.0.0.1:1/d", "Cannot open the database"),
    ],
)
def test_a_database_that_cannot_be_opened_is_one_line(capsys: pytest.CaptureFixture[str], url: str, told: str) -> None:
    assert run(["status", "Town", "--db", url]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert "secret" not in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "Town"],
        ["import", "predictions", "Town", "p.geojson", "--model", "m"],
        ["export", "Town", "--format", "geojson", "--out", "out"],
        ["predict", "Town", "--model", "m"],
        ["model", "list", "Town"],
        ["compare", "Town", "--model", "a", "--model", "b"],
        ["promote", "Town", "--model", "a"],
        ["evaluate", "Town", "--model", "m"],
        ["threshold", "list", "Town"],
        ["tuning", "list", "Town"],
    ],
    ids=" ".join,
)
def test_a_database_whose_name_is_mistyped_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    typo = tmp_path / "town" / "mapoop.sqlite"
    assert run([*arguments, "--db", f"sqlite:///{typo}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"The database {typo} is not there: check the address, or make a project first" in line
    assert not typo.parent.exists()


def test_a_busy_database_is_one_line(
    sqlite_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_SECONDS", 0)
    assert run(["project", "create", "Town", "--class", "building:polygon", "--db", sqlite_url]) == 0
    path = write(tmp_path / "p.geojson", [square(1)])
    capsys.readouterr()
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert run(["import", "predictions", "Town", str(path), "--model", "m", "--db", sqlite_url]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is busy" in line
    assert "database is locked" in line


def test_a_full_disk_is_one_line_and_nothing_is_written(
    sqlite_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["project", "create", "Town", "--class", "building:polygon", "--db", sqlite_url]) == 0
    database = open_database(sqlite_url)
    before = counts(database)
    with database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    @event.listens_for(database.engine, "checkout")
    def fill(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages + 10}")

    path = write(tmp_path / "p.geojson", [square(3 * column) for column in range(2000)])
    capsys.readouterr()
    assert run(["import", "predictions", "Town", str(path), "--model", "m", "--db", sqlite_url]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "full" in line
    assert counts(database) == before


def maploop(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from maploop.cli import main; main()", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_process_of_its_own_does_the_same(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.sqlite'}"
    made = maploop("project", "create", "Town", "--class", "building:polygon", "--json", MAPLOOP_DATABASE_URL=url)
    assert (made.returncode, made.stderr) == (0, "")
    path = write(tmp_path / "p.geojson", [square(1)])
    done = maploop("import", "predictions", "Town", str(path), "--model", "m", "--db", url, "--json")
    assert (done.returncode, json.loads(done.stdout)["imported"], done.stderr) == (0, 1, "")
    refused = maploop("import", "predictions", "Town", str(path), "--model", "m", "--db", url)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) == 1


def test_imagery_of_a_server_is_tried_before_it_is_imported(town: Cli) -> None:
    server = Server()
    try:
        address, bounds = server.url + "/{z}/{x}/{y}.png", ("--bounds", "32.5942,0.3505,32.5945,0.3508")
        server.answer = lambda *_: (403, "text/plain", b"forbidden")
        assert "status 403" in town.refused("import", "imagery", "Town", address, *bounds)
        assert "is not how tiles are named" in town.refused("import", "imagery", "Town", address, "--scheme", "wtf")
        offline = town("import", "imagery", "Town", address, *bounds, "--no-check")
        assert offline["pixels"]["unmeasured"] == offline["tiles"] > 0
        assert town("status", "Town")["pixels"] == offline["pixels"]
        content = io.BytesIO()
        Image.new("RGB", (256, 256), (90, 120, 60)).save(content, "PNG")
        server.answer = lambda path, _: (
            (200, "text/plain", content.getvalue()) if path.startswith("/17/") else (404, "", b"")
        )
        found = town("import", "imagery", "Town", address, *bounds)
        assert (found["check"]["came"], found["check"]["zoom"]) == (found["check"]["tried"], 17)
        told = town("import", "imagery", "Town", address, *bounds, "--max-zoom", "17")
        assert told["says"][-1] == "The server ends at zoom 17: tiles of zoom 19 are enlarged from it."
    finally:
        server.close()


def test_what_libraries_warn_of_adds_no_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.sqlite'}"
    maploop("project", "create", "Town", "--class", "building:polygon", "--db", url)
    path = tmp_path / "nowhere.tif"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", width=8, height=8, count=3, dtype="uint8") as dataset:
            dataset.write(np.ones((3, 8, 8), np.uint8))
    refused = maploop("import", "imagery", "Town", str(path), "--db", url)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "does not say where it lies" in line


def test_help_needs_nothing_heavy() -> None:
    code = "import sys; from maploop.cli import run; run(['--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: maploop" in done.stdout
    for heavy in ("sqlalchemy", "numpy", "shapely", "rasterio", "streamlit", "pydantic"):
        assert f"'{heavy}'" not in done.stdout


def test_kampala_from_end_to_end(cli: Cli, kampala: Path) -> None:
    cli("project", "create", "Kampala", "--class", "building:polygon", "--zoom", "20")
    imagery = cli("import", "imagery", "Kampala", str(kampala), "--licence", "CC BY 4.0", "--attribution", "OAM")
    assert imagery["imported"] == 1
    assert imagery["tiles"] == imagery["tiles_new"] > 0
    labels = str(kampala / "labels.geojson")
    answer = cli("import", "predictions", "Kampala", labels, "--model", "OpenStreetMap")
    assert answer["read"] == 108
    assert answer["imported"] + len(answer["skipped"]) >= 108
    assert answer["repaired"] >= 1
    assert answer["outside_imagery"] < answer["imported"]
    assert "already" in cli.refused("import", "predictions", "Kampala", labels, "--model", "OpenStreetMap")
    again = cli("import", "predictions", "Kampala", labels, "--model", "OpenStreetMap two")
    assert (again["new"], again["updated"]) == (0, answer["imported"])
    truth = cli("import", "annotations", "Kampala", labels, "--complete-all")
    assert truth["accepted"] == answer["imported"]
    status = cli("status", "Kampala")
    assert (status["annotations"], status["undecided"]) == (answer["imported"], 0)
    assert status["tiles"]["complete"] == truth["completed"]
