"""At the start a damaged database is refused, the data folder closed to others, and what a kill left is removed."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import insert, select

import db.types
from db.models import TileEvent
from db.shared import close_shared
from maploop.access import Grant, issue_token
from maploop.database import open_database
from maploop.dataset.staging import staged
from maploop.errors import DatabaseError
from maploop.settings import get_settings
from maploop.store import start
from maploop.store.start import check_quickly, clear_drafts, close_to_others
from tests.db.conftest import add_one_of_each


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_sound_database_passes_and_a_damaged_one_is_refused(sqlite_url: str) -> None:
    assert check_quickly(open_database(sqlite_url))
    close_shared()
    path = path_of(sqlite_url)
    with path.open("r+b") as file:  # pages of tables that nobody reads at the start
        size = path.stat().st_size // 4096
        for page in range(size // 2, size):
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match="maploop restore") as caught:
        check_quickly(open_database(sqlite_url))
    assert caught.value.kind == "damaged"
    assert path.read_bytes() == before


def test_a_large_database_is_looked_at_for_a_bounded_time(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "_STEPS", 1)
    assert check_quickly(open_database(sqlite_url), seconds=-1) is False


def test_data_folder_and_files_are_closed_to_others(sqlite_url: str) -> None:
    data = get_settings().data_folder
    database = open_database(sqlite_url)
    issue_token(Grant(1, 1))
    for name in ("datasets/abc/exports/yolo", "imagery/def", "models"):
        (data / name).mkdir(parents=True)
    tool = data / "datasets" / "abc" / "train.sh"
    for path in (data / "imagery/def/town.tif", data / "datasets/abc/snapshot.json", data / "models/m.model", tool):
        path.write_bytes(b"x")
        path.chmod(0o666)
    tool.chmod(0o755)
    for path in (data, data / "signing.key", path_of(sqlite_url)):
        path.chmod(0o755 if path.is_dir() else 0o644)
    close_to_others(database)
    assert [path for path in (data, *data.rglob("*")) if mode(path) & 0o077] == []
    assert mode(data) == 0o700
    assert mode(path_of(sqlite_url)) == 0o600
    assert mode(path_of(sqlite_url + "-wal")) == 0o600
    assert mode(tool) == 0o700


def test_a_folder_with_other_things_in_it_stays_as_it_is(sqlite_url: str) -> None:
    data = get_settings().data_folder
    other = data / "photos" / "me.jpg"
    other.parent.mkdir(mode=0o755)
    other.write_bytes(b"x")
    other.chmod(0o644)
    data.chmod(0o755)
    close_to_others(open_database(sqlite_url))
    assert [mode(path) for path in (data, other.parent, other)] == [0o755, 0o755, 0o644]
    assert mode(path_of(sqlite_url)) == 0o600


def test_a_file_whose_name_begins_as_the_database_is_left_as_open_as_it_is() -> None:
    other = get_settings().data_folder / "story.txt"
    database = open_database(f"sqlite:///{other.with_name('s.sqlite')}")
    other.write_bytes(b"x")
    other.chmod(0o644)
    close_to_others(database)
    assert mode(other) == 0o644


def test_a_new_database_and_its_folder_are_their_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "maploop.sqlite"
    open_database(f"sqlite:///{path}")
    assert [mode(each) for each in (path.parent, path, path.with_name("maploop.sqlite-wal"))] == [0o700, 0o600, 0o600]


def test_what_a_kill_left_half_made_is_removed_and_what_is_being_made_is_not(sqlite_url: str) -> None:
    data = get_settings().data_folder
    exports = data / "datasets" / "abc" / "exports"
    left = [
        data / ".restore.partial-0123456789ab" / "signing.key",
        exports / ".yolo.partial-0123456789ab" / "export" / "a.png",
        data / f".maploop-backup-0001-x.sqlite.{uuid4().hex}",
        data / "models" / f".{uuid4().hex}.draft",
    ]
    kept = [
        data / "signing.key",
        exports / "yolo" / "a.png",
        data / "datasets" / "abc" / f".snapshot.json.{uuid4().hex}",
    ]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    for path in left:
        os.utime(path, (0, 0))
    with staged(exports / "coco") as folder:
        clear_drafts()
        assert folder.is_dir()
    assert [path for path in left if path.exists()] == []
    assert all(path.exists() for path in kept)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The clock of this machine: its only item is the time."""
    now = [datetime.now(UTC)]
    monkeypatch.setattr(db.types, "utc_now", lambda: now[0])
    monkeypatch.setattr(db.types, "stored_clock", db.types.StoredClock())
    monkeypatch.setattr("db.upgrade.stored_clock", db.types.stored_clock)
    return now


def test_a_clock_that_is_set_back_does_not_put_later_acts_before_earlier_ones(
    sqlite_url: str, clock: list[datetime]
) -> None:
    with open_database(sqlite_url).write() as connection:
        add_one_of_each(connection)

    def act() -> None:
        with open_database(sqlite_url).write() as connection:
            connection.execute(insert(TileEvent).values(id=str(uuid4()), tile_id=1, annotator_id=1, act="reopen"))

    act()
    clock[0] -= timedelta(hours=1)
    act()
    close_shared()  # and a restart does not forget
    db.types.stored_clock.__init__()  # type: ignore[misc]
    act()
    clock[0] += timedelta(hours=3)
    act()
    with open_database(sqlite_url).read() as connection:
        times = connection.execute(select(TileEvent.stored_at).order_by(TileEvent.seq)).scalars().all()
    assert times == sorted(set(times))
    assert times[-1] == clock[0]


def test_a_clock_that_was_wrong_by_days_is_not_followed(clock: list[datetime]) -> None:
    right = clock[0]
    clock[0] += timedelta(days=400)
    db.types.stored_now()
    clock[0] = right
    assert db.types.stored_now() == right
