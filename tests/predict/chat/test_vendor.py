"""The chat predictor against a server that is as strict as the vendor's, and as fallible."""

from concurrent.futures import wait
from typing import Any

import pytest
from sqlalchemy import select

from db.models import RunTile
from maploop.errors import AccessError, ConflictError, InputError, NotFoundError
from maploop.predict.chat.predictor import IN_A_ROW
from maploop.predict.choosing import TileChoice
from maploop.predict.history import RunView, failed_tiles, last_unfinished, load_run
from maploop.predict.run import RunProgress
from maploop.predict.runs import cancel_run
from maploop.prices import load_prices
from tests.predict.chat.ground import KEY_NAME, Town
from tests.vendor import (
    CONTENT_FILTER,
    EMPTY,
    HANG,
    KEY,
    NONSENSE,
    OUT_OF_RANGE,
    REFUSAL,
    RESET,
    RESET_AFTER,
    SELF_INTERSECTING,
    TRUNCATED,
    Manner,
    rate_limit,
    says,
    server_error,
)

TILES = 8
PALACE = '{"features":[{"class":"palace","geometry":"polygon","points":[[1,1],[2,1],[2,2]],"holes":[]}]}'


def billed(town: Town) -> float:
    return town.vendor.bill.cost(load_prices().price_of)


def check_tokens(town: Town, run: RunView) -> None:
    """What the run says it used is what the server charged for."""
    charges = town.vendor.bill.charges
    used = run.usage
    assert used.input_tokens == sum(each.input_tokens for each in charges)
    assert used.cached_tokens == sum(each.cached_tokens for each in charges)
    assert used.output_tokens == sum(each.output_tokens for each in charges)
    assert used.cost == pytest.approx(billed(town), abs=1e-12)


def test_every_tile_is_asked_once_and_costs_what_the_server_charges(painted: Town) -> None:
    run = painted.run(concurrency=3)
    assert (run.status, run.done, run.failed, run.pending) == ("finished", TILES, 0, 0)
    assert run.features == TILES * 16
    assert painted.vendor.bill.twice() == {}
    assert painted.vendor.most_in_flight <= 3
    assert len(painted.vendor.bill.charges) == TILES
    check_tokens(painted, run)
    assert run.report["confirmed"] == TILES * 16  # each found where the reviewers drew it


def test_what_was_answered_is_not_paid_for_again(painted: Town) -> None:
    painted.run(TileChoice(given=[painted.ground.tile(0), painted.ground.tile(1)]))
    rest = painted.predict()
    assert rest.known == 2
    nothing = painted.predict()
    assert (nothing.run, nothing.known) == (None, TILES)
    assert len(painted.vendor.bill.charges) == TILES
    assert painted.predict(again=True).run is not None
    assert len(painted.vendor.bill.charges) == 2 * TILES


def test_whatever_goes_wrong_every_tile_has_an_answer_or_a_reason_and_costs_are_exact(painted: Town) -> None:
    painted.vendor.faults.at_rate(
        0.6,
        [
            rate_limit("2"),
            server_error(),
            server_error(503),
            RESET,
            TRUNCATED,
            REFUSAL,
            CONTENT_FILTER,
            NONSENSE,
            EMPTY,
            OUT_OF_RANGE,
            SELF_INTERSECTING,
        ],
        seed=3,
    )
    run = painted.run(concurrency=4)
    assert (run.status, run.pending, run.done + run.failed) == ("finished", 0, TILES)
    assert run.failed
    check_tokens(painted, run)
    with painted.ground.database.read() as connection:
        reasons = failed_tiles(connection, run.id)
    assert len(reasons) == run.failed
    assert all(each.kind and each.message for each in reasons)
    painted.vendor.faults.clear()
    rest = painted.run()
    assert (rest.tiles, rest.done) == (run.failed, run.failed)
    done = [charge.about for charge in painted.vendor.bill.charges]
    assert set(done) == set(painted.answers())


@pytest.mark.parametrize(
    ("fault", "kind", "answers"),
    [
        (REFUSAL, "refused", 1),
        (CONTENT_FILTER, "refused", 1),
        (TRUNCATED, "truncated", 1),
        (NONSENSE, "malformed", 2),
        (EMPTY, "malformed", 2),
        (says(PALACE), "malformed", 2),
        (server_error(), "server", 0),
        (rate_limit("1"), "rate_limit", 0),
        (RESET, "unreachable", 0),
    ],
    ids=str,
)  # fmt: skip
def test_each_way_to_fail_has_its_kind_and_is_paid_for_as_often_as_it_was_answered(
    painted: Town, fault: object, kind: str, answers: int
) -> None:
    painted.vendor.faults.on_picture(painted.picture(2), fault, times=None)  # type: ignore[arg-type]
    run = painted.run()
    assert (run.done, run.failures) == (TILES - 1, {kind: 1})
    assert painted.vendor.bill.times()[painted.picture(2)] == answers
    check_tokens(painted, run)


def test_an_answer_that_does_not_fit_is_asked_for_once_more(painted: Town) -> None:
    painted.vendor.faults.on_picture(painted.picture(2), NONSENSE)
    run = painted.run()
    assert (run.done, run.failed) == (TILES, 0)
    assert painted.vendor.bill.twice() == {painted.picture(2): 2}
    check_tokens(painted, run)


def test_what_does_not_fit_in_an_answer_is_dropped_and_what_can_be_mended_is(painted: Town) -> None:
    painted.vendor.faults.on_picture(painted.picture(1), OUT_OF_RANGE)
    painted.vendor.faults.on_picture(painted.picture(2), SELF_INTERSECTING)
    run = painted.run()
    assert (run.done, run.failed) == (TILES, 0)
    assert run.report["repaired"] >= 1
    with painted.ground.database.read() as connection:
        dropped = connection.execute(select(RunTile.dropped).where(RunTile.run_id == run.id)).scalars().all()
    assert [each for each in dropped if each] == [{"outside the image": 1}]


def test_a_silent_server_is_given_up_after_some_attempts(painted: Town) -> None:
    hasty = painted.with_model(timeout=0.3, attempts=2)
    hasty.vendor.faults.on_picture(hasty.picture(2), HANG, times=None)
    run = hasty.run(TileChoice(given=[hasty.ground.tile(2)]))
    assert (run.done, run.failures, run.report["unanswered"]) == (0, {"timeout": 1}, 2)
    with hasty.ground.database.read() as connection:
        (failed,) = failed_tiles(connection, run.id)
    assert "gave no answer within 0.3 seconds" in failed.message
    check_tokens(hasty, run)


def test_an_answer_that_is_lost_on_the_way_is_counted(painted: Town) -> None:
    painted.vendor.faults.on_picture(painted.picture(2), RESET_AFTER)
    run = painted.run()
    assert (run.done, run.report["unanswered"]) == (TILES, 1)
    assert painted.vendor.bill.twice() == {painted.picture(2): 2}  # nobody can know that it was answered


def test_all_rest_as_long_as_the_server_wants(painted: Town) -> None:
    painted.vendor.faults.on_request(1, rate_limit("7"))
    run = painted.run(concurrency=1)
    assert run.done == TILES
    assert len(painted.clock.waits) == 1
    assert 7 <= painted.clock.waits[0] <= 8


def test_more_at_once_than_the_server_takes_ends_well(painted: Town) -> None:
    painted.vendor.limits.at_once = 2
    painted.vendor.latency = 0.01
    run = painted.with_model(attempts=20).run(concurrency=6)
    assert (run.done, run.failed) == (TILES, 0)
    assert painted.vendor.bill.twice() == {}


def test_without_advice_the_waits_grow_and_differ(painted: Town) -> None:
    painted.vendor.faults.on_picture(painted.picture(0), server_error(), times=4)
    run = painted.run(TileChoice(given=[painted.ground.tile(0)]))
    assert run.done == 1
    waits = painted.clock.waits
    assert len(waits) == 4
    assert all(2**n / 2 <= wait <= 2**n for n, wait in enumerate(waits))


def test_who_wants_a_long_rest_is_not_waited_for(painted: Town) -> None:
    painted.vendor.faults.on_request(3, rate_limit("86400"))
    with pytest.raises(ConflictError, match="wants no requests for 1,440 minutes: resume the run after that"):
        painted.run(concurrency=1)
    with painted.ground.database.read() as connection:
        left = last_unfinished(connection, painted.ground.project, painted.model)
    assert (left.done, left.failed, left.pending) == (2, 0, TILES - 2)
    assert painted.clock.waits == []


def test_a_server_that_goes_away_leaves_the_rest_to_be_resumed(painted: Town) -> None:
    calm = painted.with_model(attempts=2)

    def stop(now: RunProgress) -> None:
        if now.done == 1:
            calm.vendor.stop()

    with pytest.raises(
        ConflictError, match=r"5 tiles in a row failed: 127\.0\.0\.1:\d+ does not answer.*resume the run"
    ):
        calm.run(concurrency=1, hear=stop)
    with calm.ground.database.read() as connection:
        left = last_unfinished(connection, calm.ground.project, calm.model)
    assert left.status == "failed"
    assert "does not answer" in left.error
    assert (left.failures, left.pending) == ({"unreachable": IN_A_ROW}, TILES - left.done - IN_A_ROW)
    assert left.pending > 0
    calm.vendor.start()
    run = calm.resume(left)
    assert (run.status, run.pending, run.done) == ("finished", 0, TILES - IN_A_ROW)
    again = calm.run()
    assert (again.tiles, again.done) == (IN_A_ROW, IN_A_ROW)
    assert calm.vendor.bill.twice() == {}
    assert (run.usage.cost or 0) + (again.usage.cost or 0) == pytest.approx(billed(calm))


def test_a_key_that_is_not_taken_stops_the_run_and_is_not_shown(
    painted: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(KEY_NAME, "sk-wrong-1234567890")
    with pytest.raises(
        AccessError, match=f"does not accept the key in {KEY_NAME}: set {KEY_NAME} to a valid one"
    ) as caught:
        painted.run()
    assert "sk-wrong" not in str(caught.value)
    assert "sk-wrong" not in "".join(str(each) for each in (caught.value.__cause__, caught.value.__context__))
    assert "sk-wrong" not in caplog.text
    monkeypatch.setenv(KEY_NAME, KEY)
    with painted.ground.database.read() as connection:
        left = last_unfinished(connection, painted.ground.project, painted.model)
    assert (left.status, left.pending, left.failed) == ("failed", TILES, 0)
    assert "sk-" not in left.error
    assert painted.resume(left).done == TILES


def test_a_model_that_is_not_there_stops_the_run(painted: Town) -> None:
    with pytest.raises(NotFoundError, match=r"has no model 'gpt-9'.*correct the identifier or the base URL"):
        painted.with_model(identifier="gpt-9").run()
    assert painted.vendor.bill.charges == []


def test_a_key_that_is_not_set_is_named(painted: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_NAME)
    with pytest.raises(InputError, match=f"The key {KEY_NAME} is not set: put it into the environment"):
        painted.run()
    assert painted.vendor.seen == []


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_budget_is_never_exceeded_and_a_larger_one_goes_on(painted: Town, concurrency: int) -> None:
    short = painted.with_model(max_tokens=2000)
    one = 2000 * 10 / 1e6  # the answer alone, at most
    run = short.run(budget=2 * one, concurrency=concurrency)
    assert run.status == "cancelled"
    assert 0 < run.done < TILES
    assert run.failed == 0
    assert f"The budget of {2 * one:g} USD is used up" in run.error
    assert "resume the run with a larger budget" in run.error
    assert billed(short) <= 2 * one
    check_tokens(short, run)
    stuck = short.resume(run)
    assert (stuck.done, stuck.status) == (run.done, "cancelled")
    rest = short.resume(run, budget=1.0)
    assert (rest.status, rest.done, rest.error) == ("finished", TILES, "")
    assert short.vendor.bill.twice() == {}


def test_a_passing_error_at_the_end_of_a_budget_leaves_the_tile_pending(painted: Town) -> None:
    short = painted.with_model(max_tokens=2000)
    painted.vendor.faults.on_request(1, RESET_AFTER)  # perhaps charged for: there is no money for another attempt
    run = short.run(budget=0.03, concurrency=1)
    assert (run.done, run.failures, run.pending) == (0, {}, TILES)
    assert "The budget of 0.03 USD is used up" in run.error
    rest = short.resume(run, budget=1.0)
    assert (rest.done, rest.failures) == (TILES, {})


def test_a_budget_below_one_tile_begins_nothing(painted: Town) -> None:
    run = painted.run(budget=0.01)
    assert (run.status, run.done, run.pending) == ("cancelled", 0, TILES)
    assert painted.vendor.seen == []


def test_a_budget_pays_for_answers_that_do_not_fit_too(painted: Town) -> None:
    painted.vendor.brain = lambda _: "No idea."
    short = painted.with_model(max_tokens=2000)
    run = short.run(budget=0.05, concurrency=8)
    assert run.failures["malformed"] == run.failed > 0
    assert billed(short) <= 0.05
    check_tokens(short, run)


def test_a_budget_for_a_model_without_a_price_is_refused_before_anything_is_sent(painted: Town) -> None:
    painted.vendor.add_models(["llama-9"])
    foreign = painted.with_model(identifier="llama-9")
    with pytest.raises(InputError, match="the price of the model is unknown: put it into the table of prices"):
        foreign.run(budget=5.0)
    assert painted.vendor.seen == []
    assert foreign.run().usage.cost is None


def test_a_budget_holds_where_usage_is_not_reported(painted: Town) -> None:
    painted.vendor.manner = Manner(usage=False)
    short = painted.with_model(max_tokens=2000)
    run = short.run(budget=0.05, concurrency=1)
    assert run.status == "cancelled"
    assert 0 < run.done <= 2
    assert run.usage.cost is None


def test_cancelling_keeps_what_is_under_way(painted: Town) -> None:
    def cancel(now: RunProgress) -> None:
        with painted.ground.database.write() as connection:
            if load_run(connection, painted.ground.project, now.run_id).status == "running":
                cancel_run(connection, painted.ground.project, now.run_id)

    run = painted.run(concurrency=1, hear=cancel)
    assert run.status == "cancelled"
    assert 0 < run.done < TILES
    assert len(painted.vendor.bill.charges) == run.done
    rest = painted.resume(run)
    assert rest.done == TILES
    assert painted.vendor.bill.twice() == {}


@pytest.mark.parametrize(
    ("manner", "parameters", "refusals"),
    [
        (Manner(), {}, 0),
        (Manner(knows_schemas=False), {}, 1),
        (Manner(knows_schemas=False), {"structured": "plain"}, 0),
        (Manner(knows_detail=False), {}, 1),
        (Manner(token_limits=("max_completion_tokens",)), {}, 1),
        (Manner(usage_details=False), {}, 0),
        (Manner(knows_schemas=False, knows_detail=False, token_limits=("max_completion_tokens",)), {}, 3),
    ],
)
def test_a_server_that_knows_less_is_asked_for_less(
    painted: Town, manner: Manner, parameters: dict[str, str], refusals: int
) -> None:
    painted.vendor.manner = manner
    run = painted.with_model(**parameters).run(concurrency=1)
    assert (run.done, run.features) == (TILES, TILES * 16)
    refused = [each for each in painted.vendor.seen if each.status == 400]
    assert len(refused) == refusals
    check_tokens(painted, run)


def test_a_model_that_takes_no_temperature_is_asked_without(painted: Town) -> None:
    run = painted.with_model(identifier="gpt-6-luna").run(concurrency=1)
    assert run.done == TILES
    check_tokens(painted, run)


def test_a_server_without_keys_needs_none(painted: Town) -> None:
    painted.vendor.manner = Manner(needs_key=False)
    run = painted.with_model(key=None).run()
    assert run.done == TILES


def test_azure_is_asked_by_its_own_routes_at_the_price_of_the_model_behind_a_deployment(painted: Town) -> None:
    painted.vendor.add_models(["my-deployment"])
    routes = painted.vendor.url.replace("/v1", "/openai/v1")
    run = painted.with_model(identifier="my-deployment", base_url=routes, priced_as="gpt-4o").run()
    assert run.done == TILES
    price = load_prices().price_of("gpt-4o")
    assert run.usage.cost == pytest.approx(painted.vendor.bill.cost(lambda _: price))


def test_a_request_that_is_never_right_stops_the_run(painted: Town) -> None:
    strict = painted.with_model(structured="strict")
    painted.vendor.manner = Manner(knows_schemas=False)
    with pytest.raises(ConflictError, match=f"{IN_A_ROW} tiles in a row failed: .* does not take the request"):
        strict.run(concurrency=1)
    assert len(painted.vendor.seen) < TILES


def test_whoever_interrupts_still_gets_what_is_paid_for(painted: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = 0

    def interrupted(*arguments: Any, **options: Any) -> Any:
        nonlocal waits
        waits += 1
        if waits == 2:
            raise KeyboardInterrupt
        return wait(*arguments, **options)

    monkeypatch.setattr("maploop.predict.chat.predictor.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        painted.run(concurrency=2)
    with painted.ground.database.read() as connection:
        left = last_unfinished(connection, painted.ground.project, painted.model)
    assert left.status == "cancelled"
    assert 0 < left.done < TILES
    check_tokens(painted, left)
