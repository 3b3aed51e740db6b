"""How long to wait."""

import threading
from datetime import UTC, datetime

import pytest

from maploop.predict.chat.pace import Pace, seconds_to_rest
from tests.predict.chat.ground import FakeClock

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Tue, 24 Nov 2026 12:01:30 GMT"}, 90.0),
        ({"retry-after": "Tue, 24 Nov 2026 13:01:30 +0100"}, 90.0),
        ({"retry-after": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(headers: dict[str, str], expected: float | None) -> None:
    assert seconds_to_rest(headers, NOON) == expected


def test_a_rest_is_kept_by_whoever_comes_and_the_longest_counts() -> None:
    clock, halt = FakeClock(), threading.Event()
    pace = Pace(clock, chance=lambda: 0.5)
    pace.rest(10)
    pace.rest(3)
    pace.wait_for_turn(halt)
    assert clock.waits == [10.5]
    pace.wait_for_turn(halt)
    assert clock.waits == [10.5]


def test_waits_double_up_to_a_minute_and_are_never_quite_the_same() -> None:
    clock, halt = FakeClock(), threading.Event()
    for attempt in range(8):
        Pace(clock, chance=lambda: 0.5).wait_after(attempt, halt)
    assert clock.waits == [0.75, 1.5, 3.0, 6.0, 12.0, 24.0, 45.0, 45.0]


def test_nobody_waits_for_a_run_that_was_ended() -> None:
    clock, halt = FakeClock(), threading.Event()
    pace = Pace(clock)
    pace.rest(10)
    halt.set()
    pace.wait_for_turn(halt)
    assert clock.waits == []
