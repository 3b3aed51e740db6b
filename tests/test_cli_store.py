"""A store is backed up into one file, destroyed, and brought back whole; what was tampered with is found and named."""

import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from db.models import Decision
from db.shared import close_shared
from maploop.access import Grant, issue_token
from maploop.cli import run
from maploop.database import open_database
from maploop.settings import get_settings
from tests.intake.files import block, square, write
from tests.postgresql import Cluster


class Maploop:
    """The command line on one data folder and database."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self.capsys = capsys

    def __call__(self, *arguments: object, code: int = 0) -> str:
        self.capsys.readouterr()
        answered = run([*map(str, arguments), "--db", self.url])
        told = self.capsys.readouterr()
        assert answered == code, told.err or told.out
        return told.out if code != 2 else told.err

    def json(self, *arguments: object, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code))


@pytest.fixture
def store(database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Maploop:
    """A project with truth on some tiles, a dataset of them, a model's file and the signing key."""
    maploop = Maploop(database_url, capsys)
    maploop("project", "create", "Town", "--class", "building:polygon")
    truth = write(tmp_path / "truth.geojson", [square(3 * column) for column in range(6)])
    area = write(tmp_path / "area.geojson", [block()])
    maploop("import", "annotations", "Town", truth, "--class", "building", "--area", area)
    maploop("export", "Town", "--format", "geojson", "--out", tmp_path / "out")
    models = get_settings().data_folder / "models"
    models.mkdir(parents=True)
    (models / "first.model").write_bytes(b"weights" * 100)
    issue_token(Grant(1, 1))
    return maploop


def decisions(url: str) -> list[tuple[Any, ...]]:
    with open_database(url).read() as connection:
        return [tuple(row) for row in connection.execute(select(Decision.id, Decision.verdict).order_by(Decision.seq))]


def data() -> Path:
    return get_settings().data_folder


def contents(folder: Path) -> dict[str, bytes]:
    """Files of the data folder beside the database, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("maploop.sqlite")
    }


@pytest.fixture
def empty_url(store: Maploop, postgresql: Cluster) -> str:
    """Where to restore to: the same file, or another, blank database of the same server."""
    return store.url if store.url.startswith("sqlite") else postgresql.url(postgresql.create())


def test_a_destroyed_store_comes_back_whole_from_its_backup(store: Maploop, tmp_path: Path, empty_url: str) -> None:
    before, files = decisions(store.url), contents(data())
    file = tmp_path / "town.maploop.zip"
    made = store.json("backup", file)
    assert (made["links"], made["database"]) == (
        store.json("verify")["links"],
        store.url.partition(":")[0].partition("+")[0],
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert store("verify", file).startswith(f"{file} is whole")

    close_shared()
    shutil.rmtree(data())
    store.url = empty_url
    answer = store.json("restore", file)

    assert answer["verify"]["ok"]
    assert answer["verify"]["head"] == made["head"]
    assert answer["verify"]["datasets"] == 1
    assert decisions(empty_url) == before
    assert contents(data()) == files
    assert (data() / "signing.key").stat().st_mode & 0o777 == 0o600
    # and work goes on, with the next numbers
    truth = write(tmp_path / "more.geojson", [square(40)])
    store("import", "annotations", "Town", truth, "--class", "building")
    assert store.json("verify")["ok"]


def test_a_restore_takes_the_place_of_nothing_unless_told(store: Maploop, tmp_path: Path) -> None:
    if not store.url.startswith("sqlite"):
        file = tmp_path / "b.zip"
        store("backup", file)
        files = contents(data())
        assert "is not empty: make a new database" in store("restore", file, "--force", code=2)
        assert contents(data()) == files
        return
    before = decisions(store.url)
    file = tmp_path / "b.zip"
    store("backup", file)
    truth = write(tmp_path / "more.geojson", [square(40)])
    store("import", "annotations", "Town", truth, "--class", "building")
    after = decisions(store.url)
    assert "is there already" in store("restore", file, code=2)
    assert decisions(store.url) == after
    close_shared()
    answer = store.json("restore", file, "--force")
    assert decisions(store.url) == before
    old = Path(answer["replaced"])
    with closing(sqlite3.connect(old / "maploop.sqlite")) as replaced:
        assert replaced.execute("SELECT count(*) FROM decision").fetchone() == (len(after),)
    assert "is there already" in store("backup", file, code=2)


def test_a_backup_that_is_damaged_or_none_restores_nothing(sqlite_url: str, tmp_path: Path, capsys: Any) -> None:
    maploop = Maploop(sqlite_url, capsys)
    maploop("project", "create", "Town", "--class", "building:polygon")
    issue_token(Grant(1, 1))
    whole, damaged = tmp_path / "whole.zip", tmp_path / "damaged.zip"
    maploop("backup", whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.swapcase() if name == "data/signing.key" else content)
    close_shared()
    shutil.rmtree(data())
    outside = tmp_path / "outside.zip"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(outside, "w") as target:
        for name in source.namelist():
            content = source.read(name).replace(b"data/signing.key", b"data/../../evil")
            target.writestr("data/../../evil" if name == "data/signing.key" else name, content)
    notes = tmp_path / "notes.zip"
    notes.write_bytes(b"PK\x03\x04notes")
    for file, told in (
        (damaged, "data/signing.key in the backup is not what its manifest says"),
        (outside, "leads out of the data folder"),
        (notes, "is not a whole backup"),
        (tmp_path / "none.zip", "is not there"),
    ):
        assert told in maploop("restore", file, code=2)
        if file != outside:
            assert told in maploop("verify", file, code=2)
        assert not (data() / "maploop.sqlite").exists()
        assert not (data() / "signing.key").exists()
        assert list(tmp_path.rglob("evil")) == []


def altered(whole: Path, file: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
    """A backup with its manifest and files changed, and the checksums made to fit."""
    with zipfile.ZipFile(whole) as source:
        contents = {name: source.read(name) for name in source.namelist()}
    manifest = json.loads(contents.pop("manifest.json"))
    change(manifest, contents)
    manifest["files"] = [
        {"path": name, "bytes": len(content), "sha256": sha256(content).hexdigest()}
        for name, content in contents.items()
    ]
    with zipfile.ZipFile(file, "w") as target:
        for name, content in (*contents.items(), ("manifest.json", json.dumps(manifest).encode())):
            target.writestr(name, content)
    return file


def test_a_backup_that_was_made_up_touches_nothing_even_when_told_to_replace(
    store: Maploop, tmp_path: Path, empty_url: str
) -> None:
    whole, outside = tmp_path / "whole.zip", tmp_path / "outside"
    store("backup", whole)
    is_sqlite = store.url.startswith("sqlite")

    def leads_out(manifest: dict[str, Any], contents: dict[str, bytes]) -> None:
        manifest["tables"][str(outside)] = []
        contents[str(outside)] = contents[f"{outside}.copy"] = b"evil"

    def has_no_database(_manifest: dict[str, Any], contents: dict[str, bytes]) -> None:
        for name in [name for name in contents if not name.startswith("data/")]:
            del contents[name]

    def is_of_later(manifest: dict[str, Any], _contents: dict[str, bytes]) -> None:
        manifest["revision"] = "9999"

    def is_another_database(_manifest: dict[str, Any], contents: dict[str, bytes]) -> None:
        other = tmp_path / "other.sqlite"
        with closing(sqlite3.connect(other)) as connection, connection:
            connection.execute("CREATE TABLE alembic_version (version_num)")
            connection.execute("INSERT INTO alembic_version VALUES ('9999')")
        contents["database.sqlite"] = other.read_bytes()

    def ends_otherwise(manifest: dict[str, Any], _contents: dict[str, bytes]) -> None:
        manifest["chain"] = {"links": 999, "head": "00" * 32}

    cases = [
        (leads_out, "was not made by Maploop"),
        (has_no_database, "lacks its database"),
        (is_of_later, "revision 9999, this version knows up to"),
        (ends_otherwise, "History in the backup ends at link 7 "),
    ]
    if is_sqlite:
        cases.append((is_another_database, "is at revision 9999, its manifest says"))
    close_shared()
    before = contents(data())
    kept = decisions(store.url)
    store.url = empty_url
    for change, told in cases:
        file = altered(whole, tmp_path / f"{change.__name__}.zip", change)
        assert told in store("restore", file, "--force", code=2), change.__name__
        assert [path for path in tmp_path.iterdir() if path.name.startswith("outside")] == []
        assert contents(data()) == before
        assert [path for path in data().iterdir() if path.name.startswith("replaced-")] == []
    if is_sqlite:
        assert decisions(store.url) == kept
    else:  # and the blank database stayed blank
        assert store.json("restore", whole, "--force")["verify"]["ok"]


def test_a_backup_holds_the_key_whatever_the_database_is_called(tmp_path: Path, capsys: Any) -> None:
    maploop = Maploop(f"sqlite:///{data() / 's.sqlite'}", capsys)
    maploop("project", "create", "Town", "--class", "building:polygon")
    issue_token(Grant(1, 1))
    for name in ("s-backup-0001-20260101T000000Z.sqlite", "s.sqlite-journal"):
        (data() / name).touch()
    file = tmp_path / "b.zip"
    maploop("backup", file)
    with zipfile.ZipFile(file) as archive:
        assert sorted(archive.namelist()) == ["data/signing.key", "database.sqlite", "manifest.json"]


def test_a_backup_that_fails_leaves_no_file(store: Maploop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    folder = tmp_path / "backups"
    assert "No space left on device" in store("backup", folder / "b.zip", code=2)
    assert list(folder.iterdir()) == []


def past_the_guards(url: str, change: str) -> None:
    """Change rows as the owner of the file or the tables does."""
    database = open_database(url)
    with database.engine.connect() as connection, connection.begin():
        if database.is_sqlite:
            text = connection.exec_driver_sql(
                "SELECT sql FROM sqlite_master WHERE name = 'decision_no_update'"
            ).scalar_one()
            connection.exec_driver_sql("DROP TRIGGER decision_no_update")
        else:
            connection.exec_driver_sql("ALTER TABLE decision DISABLE TRIGGER USER")
        connection.exec_driver_sql(change)
        if database.is_sqlite:
            connection.exec_driver_sql(text)
        else:
            connection.exec_driver_sql("ALTER TABLE decision ENABLE TRIGGER USER")


def test_verify_names_the_first_row_that_was_changed(store: Maploop) -> None:
    assert store.json("verify")["ok"]
    past_the_guards(store.url, "UPDATE decision SET verdict = 'reject' WHERE seq = 3")
    found = store.json("verify", code=3)
    assert (found["break"]["table"], found["break"]["seq"]) == ("decision", 3)
    told = store("verify", code=3)
    assert "History breaks at decision 3 (link 3): it, or a name it rests on, was changed after it was stored." in told
    assert "Not as history leaves it: feature 3: verdict is 'add', and should be 'reject'." in told


def test_verify_misses_guards_datasets_and_models(store: Maploop) -> None:
    database = open_database(store.url)
    with database.write() as connection:
        on = "" if database.is_sqlite else " ON annotator"
        connection.exec_driver_sql(f"DROP TRIGGER annotator_no_rewrite{on}")
    (snapshot,) = data().glob("datasets/*/snapshot.json")
    snapshot.write_bytes(snapshot.read_bytes() + b" ")
    (data() / "signing.key").chmod(0o644)
    problems = " ".join(store.json("verify", code=3)["problems"])
    assert "annotator_no_rewrite" in problems
    assert "Dataset" in problems
    assert "was changed" in problems
    assert "Others may read" in problems


def test_verify_finds_guards_that_were_made_to_do_nothing(store: Maploop) -> None:
    database = open_database(store.url)
    with database.engine.connect() as connection, connection.begin():
        if database.is_sqlite:
            connection.exec_driver_sql("DROP TRIGGER decision_no_update")
            connection.exec_driver_sql(
                "CREATE TRIGGER decision_no_update BEFORE UPDATE ON decision BEGIN SELECT 1; END"
            )
        else:
            connection.exec_driver_sql(
                "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
            )
    (problem,) = store.json("verify", code=3)["problems"]
    assert "gone or changed" in problem
    assert "decision_no_" in problem


@pytest.mark.postgres
def test_a_role_that_owns_nothing_does_the_apps_work_and_cannot_touch_history(
    postgresql: Cluster, postgresql_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = Maploop(postgresql_url, capsys)
    postgresql._run("CREATE ROLE annotators LOGIN")
    try:
        assert "There is no role 'nobody'" in owner("upgrade", "--grant", "nobody", code=2)
        assert "owns the tables" in owner("upgrade", "--grant", "maploop", code=2)
        owner("upgrade", "--grant", "annotators")
        assert "owner of its tables" in " ".join(owner.json("verify")["notes"])
        limited = Maploop(postgresql_url.replace("maploop@", "annotators@"), capsys)
        limited("project", "create", "Town", "--class", "building:polygon")
        truth = write(tmp_path / "truth.geojson", [square(3 * column) for column in range(6)])
        limited("import", "annotations", "Town", truth, "--class", "building")
        limited("import", "predictions", "Town", truth, "--class", "building", "--model", "m")
        assert limited.json("verify")["notes"] == []
        database = open_database(limited.url)
        for attack in (
            "ALTER TABLE decision DISABLE TRIGGER ALL",
            "DROP TRIGGER decision_no_change ON decision",
            "DROP FUNCTION refuse_change CASCADE",
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "SET session_replication_role = replica",
            "UPDATE decision SET verdict = 'reject'",
            "DELETE FROM chain_link",
            "TRUNCATE tile_event CASCADE",
        ):
            with database.engine.connect() as connection, pytest.raises(DBAPIError, match=r"permission|must be owner"):
                connection.exec_driver_sql(attack)
        with database.read() as connection:
            assert connection.execute(select(func.count()).select_from(Decision)).scalar_one() == 6
    finally:
        close_shared()
        with open_database(postgresql_url).write() as connection:
            connection.exec_driver_sql("DROP OWNED BY annotators")
        postgresql._run("DROP ROLE annotators")
