"""What goes into a column comes out of it: times to the microsecond, geometries to the last bit."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import LineString, MultiPolygon, Point, Polygon
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Column, Connection, MetaData, Table, insert, select
from sqlalchemy.exc import StatementError

from db.engine import connect
from db.types import BigKey, UtcTime, Wkb
from tests.conftest import DATABASES

VALUES = Table(
    "value",
    MetaData(),
    Column("id", BigKey, primary_key=True),
    Column("time", UtcTime),
    Column("geometry", Wkb),
    prefixes=["TEMPORARY"],
)

times = st.datetimes(
    min_value=datetime(1900, 1, 2),
    max_value=datetime(2900, 1, 1),
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
coordinates = st.tuples(
    st.floats(-180, 180, allow_nan=False, allow_infinity=False),
    st.floats(-90, 90, allow_nan=False, allow_infinity=False),
)
geometries: st.SearchStrategy[BaseGeometry] = st.one_of(
    coordinates.map(Point),
    st.lists(coordinates, min_size=2, max_size=20).map(LineString),
    st.lists(coordinates, min_size=3, max_size=20).map(Polygon),
    st.lists(st.lists(coordinates, min_size=3, max_size=5).map(Polygon), min_size=1, max_size=3).map(MultiPolygon),
)


@pytest.fixture(scope="module", params=DATABASES)
def connection(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A connection with a table of one column a type, of each kind of database in turn."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('types') / 'types.sqlite'}"
    else:
        cluster = request.getfixturevalue("postgresql")
        url = cluster.url(cluster.create())
    database = connect(url)
    with database.engine.connect() as opened:
        VALUES.create(opened)
        yield opened
    database.close()


def through(connection: Connection, column: str, value: object) -> object:
    """What a column gives back for what it was given."""
    stored = insert(VALUES).values(**{column: value}).returning(VALUES.c.id)
    identifier = connection.execute(stored).scalar_one()
    return connection.execute(select(VALUES.c[column]).where(VALUES.c.id == identifier)).scalar_one()


@given(time=times)
def test_a_time_comes_back_as_the_same_moment_in_utc(connection: Connection, time: datetime) -> None:
    found = through(connection, "time", time)
    assert found == time
    assert isinstance(found, datetime)
    assert found.tzinfo is UTC or found.utcoffset() == timedelta(0)


@given(earlier=times, later=times)
def test_times_sort_by_moment_whatever_their_zone(connection: Connection, earlier: datetime, later: datetime) -> None:
    first, second = sorted([earlier, later])
    connection.execute(VALUES.delete())
    connection.execute(insert(VALUES), [{"time": second}, {"time": first}])
    assert list(connection.execute(select(VALUES.c.time).order_by(VALUES.c.time)).scalars()) == [first, second]


def test_a_time_without_a_zone_is_refused(connection: Connection) -> None:
    with pytest.raises(StatementError, match="has no time zone: store times in UTC"), connection.begin_nested():
        through(connection, "time", datetime(2026, 11, 24, 12))


@given(geometry=geometries)
def test_a_geometry_comes_back_to_the_last_bit(connection: Connection, geometry: BaseGeometry) -> None:
    found = through(connection, "geometry", geometry)
    assert isinstance(found, BaseGeometry)
    assert shapely.to_wkb(found) == shapely.to_wkb(geometry)


@given(geometry=geometries)
def test_wkb_is_taken_as_it_is(connection: Connection, geometry: BaseGeometry) -> None:
    assert through(connection, "geometry", bytes(shapely.to_wkb(geometry))) == geometry


def test_heights_are_dropped(connection: Connection) -> None:
    assert through(connection, "geometry", Point(32.5, 0.35, 1190)) == Point(32.5, 0.35)


@pytest.mark.parametrize("column", ["time", "geometry"])
def test_nothing_stays_nothing(connection: Connection, column: str) -> None:
    assert through(connection, column, None) is None
