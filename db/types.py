"""Column types shared by all tables: UTC times and geometries as WKB in EPSG:4326."""

import threading
from datetime import UTC, datetime, timedelta

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

# SQLite numbers rows by itself only for a column typed exactly INTEGER.
BigKey = BigInteger().with_variant(Integer(), "sqlite")
HIGHEST_KEY = 2**63 - 1


def utc_now() -> datetime:
    """The time of an act, as stored: aware, UTC."""
    return datetime.now(UTC)


class StoredClock:
    """Times at which things are stored: those of the clock, but never earlier than the one before.

    A clock that is set back, by hand or by its time server, must not put later decisions before earlier ones. One that
    was wrong by more than a day is not followed: everything after it would bear its time.
    """

    FOLLOWED = timedelta(days=1)

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The time of storing something, as stored: aware, UTC."""
        with self._lock:
            now = utc_now()
            if now <= self._last and self._last - now < self.FOLLOWED:
                now = self._last + timedelta(microseconds=1)
            self._last = now
            return now

    def follow(self, moment: datetime) -> None:
        """Something was stored at that moment, by an earlier process."""
        with self._lock:
            self._last = max(self._last, moment)


stored_clock = StoredClock()


def stored_now() -> datetime:
    """The time of storing something: see `StoredClock`."""
    return stored_clock.now()


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            msg = f"{value!r} has no time zone: store times in UTC."
            raise ValueError(msg)
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Wkb(TypeDecorator[BaseGeometry]):
    """A 2D geometry in EPSG:4326, kept as well-known binary."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: BaseGeometry | bytes | None, dialect: Dialect) -> bytes | None:
        if value is None or isinstance(value, bytes):
            return value
        return bytes(shapely.to_wkb(value, output_dimension=2))

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> BaseGeometry | None:
        return None if value is None else shapely.from_wkb(value)
