"""The app killed without warning under concurrent reviewers: what was acknowledged is there, once."""

from bench.kill import run


def test_decisions_acknowledged_before_a_kill_are_on_disk_once() -> None:
    outcome = run(rounds=2, count=4, tiles=400, seed=3)
    assert outcome.acknowledged > 0
    assert (outcome.lost, outcome.duplicated, outcome.handed_twice) == (0, 0, 0)
