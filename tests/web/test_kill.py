"""The app killed without warning: under concurrent reviewers, and while a chat model is asked."""

import pytest

from bench import kill_acts, kill_run
from bench.kill import run


def test_decisions_acknowledged_before_a_kill_are_on_disk_once() -> None:
    outcome = run(rounds=2, count=4, tiles=400, seed=3)
    assert outcome.acknowledged > 0
    assert (outcome.lost, outcome.duplicated, outcome.handed_twice, outcome.unsound) == (0, 0, 0, 0)


def test_the_store_is_sound_after_a_kill_amid_any_act_of_the_command_line() -> None:
    outcomes = kill_acts.run(kills=1, whole=False)
    assert [(each.act, each.wrong) for each in outcomes] == [(act, []) for act in kill_acts.ACTS]
    assert sum(each.kills for each in outcomes) > 0


def test_tiles_that_a_chat_model_was_asked_about_before_a_kill_are_paid_for_once() -> None:
    outcome = kill_run.run(rounds=1, tiles=30)
    assert (outcome.kills, outcome.run.status, outcome.run.done) == (1, "finished", 30)
    assert outcome.on_their_way > 0
    assert outcome.twice == 0
    assert outcome.cost == pytest.approx(outcome.charged, abs=1e-12)
