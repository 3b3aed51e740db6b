"""Runs in batches: every tile ends predicted, or failed with its reason; nothing is paid for twice; costs are exact."""

import json
from collections import Counter

import pytest
from sqlalchemy import update

from db.models import Run
from maploop.database import Database
from maploop.errors import AccessError, ConflictError, InputError, NotFoundError
from maploop.predict.batch.files import Limits
from maploop.predict.chat.opening import open_chat
from maploop.predict.registry import open_predictor, parameters_of_run
from maploop.predict.run import RunProgress, predict_tiles
from maploop.predict.runs import begin_run, cancel_run
from maploop.prices import load_prices
from tests.predict.batch.ground import ALL, Colours, World
from tests.predict.ground import TILES, predictions_of, tile_at
from tests.vendor import (
    HALF,
    NONSENSE,
    OUT_OF_RANGE,
    REFUSAL,
    RESET,
    RESET_AFTER,
    SELF_INTERSECTING,
    TRUNCATED,
    BatchPlan,
    Fault,
    Question,
    Reply,
    rate_limit,
    server_error,
)


def test_a_large_area_is_predicted_in_several_batches_for_half_the_price(world: World) -> None:
    heard: list[RunProgress] = []
    run = world.predict(hear=heard.append)
    assert (run.status, run.done, run.features) == ("finished", TILES, TILES)
    assert [(each.status, each.requests, each.completed) for each in world.batches(run)] == [
        ("collected", 3, 3),
        ("collected", 3, 3),
        ("collected", 2, 2),
    ]
    world.assert_paid_once(run)
    tokens = run.usage.input_tokens * 2.5 + run.usage.cached_tokens * 1.25 + run.usage.output_tokens * 10
    assert run.usage.cost == pytest.approx(tokens / 1e6 / 2)
    assert run.parameters == {"batch": True}
    assert heard[-1].done == TILES
    with world.database.read() as connection:
        assert predictions_of(connection, run.id) == TILES


def test_nothing_is_left_on_disk_or_at_the_vendor(world: World) -> None:
    world.vendor.faults.on_custom_id("*", server_error())  # so that there is an error file, too
    world.predict()
    assert not world.vendor.files
    assert not list(world.batches_folder.iterdir())


def test_files_stay_below_the_size_that_the_vendor_takes(world: World) -> None:
    world.predict()
    sizes = [each.size for each in world.batches(world.predict(again=True))]
    world.limits = Limits(size=max(sizes) // 2)
    world.vendor.limits.batch_bytes = world.limits.size
    run = world.predict(again=True)
    assert (run.status, run.done) == ("finished", TILES)
    assert len(world.batches(run)) == TILES
    assert all(each.size <= world.limits.size for each in world.batches(run))


def test_a_batch_asks_what_asking_one_by_one_does(world: World) -> None:
    world.vendor.moves_by_itself = False
    world.clock.always = lambda: world.vendor.advance(4)
    asked: list[dict[str, object]] = []
    brain = world.vendor.brain

    def listening(question: Question) -> str | Reply:
        asked.append(question.body)
        return brain(question)

    world.vendor.brain = listening
    world.predict()
    one_by_one = open_chat(world.project, world.model, {}, database=world.database)
    predict_tiles(world.database, world.project, world.model, one_by_one, ALL, again=True, sources=lambda _: Colours())
    in_batches, alone = asked[:TILES], asked[TILES:]
    assert sorted(map(json.dumps, in_batches)) == sorted(map(json.dumps, alone))


def test_what_was_predicted_in_a_batch_is_known_when_asked_one_by_one(world: World) -> None:
    world.predict()
    one_by_one = open_chat(world.project, world.model, {}, database=world.database)
    again = predict_tiles(world.database, world.project, world.model, one_by_one, ALL, sources=lambda _: Colours())
    assert (again.run, again.known) == (None, TILES)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (REFUSAL, "refused"),
        (TRUNCATED, "truncated"),
        (NONSENSE, "malformed"),
        (OUT_OF_RANGE, "malformed"),
        (SELF_INTERSECTING, None),
        (server_error(400), "server"),
    ],
    ids=str,
)
def test_an_answer_that_is_none_fails_its_tile_with_the_reason(world: World, fault: Fault, kind: str | None) -> None:
    world.vendor.faults.on_custom_id(f"*/{tile_at(4)}", fault, times=None)
    run = world.predict()
    assert (run.status, run.pending) == ("finished", 0)
    assert run.failures == ({} if kind is None else {kind: 1})
    world.assert_paid_once(run)
    if kind is not None:
        assert list(world.messages(run)) == [tile_at(4)]


@pytest.mark.parametrize(("fault", "kind"), [(rate_limit(), "rate_limit"), (server_error(), "server")], ids=str)
def test_a_request_that_the_server_failed_goes_into_another_batch(world: World, fault: Fault, kind: str) -> None:
    world.vendor.faults.on_custom_id(f"*/{tile_at(4)}", fault, times=2)
    world.vendor.faults.on_custom_id(f"*/{tile_at(5)}", fault, times=None)
    run = world.predict()
    assert (run.status, run.done, run.failures) == ("finished", TILES - 1, {kind: 1})
    assert [each.requests for each in world.batches(run)] == [3, 3, 2, 2, 2]
    world.assert_paid_once(run)


def test_what_a_batch_did_not_come_to_goes_into_another(world: World) -> None:
    world.vendor.batch_plans = [BatchPlan(pace=1, expires_after=1), BatchPlan(expires_after=2)]
    run = world.predict()
    assert (run.status, run.done) == ("finished", TILES)
    assert [each.remote_status for each in world.batches(run)][:3] == ["expired", "expired", "completed"]
    world.assert_paid_once(run)


def test_a_tile_that_no_batch_comes_to_has_failed(world: World) -> None:
    world.vendor.batch_plans = [BatchPlan(expires_after=2), BatchPlan(), BatchPlan()]
    world.vendor.batch_plans += [BatchPlan(expires_after=0)] * 2
    run = world.predict()
    assert (run.status, run.done, run.failures) == ("finished", TILES - 1, {"timeout": 1})
    assert "before the server came to this tile" in next(iter(world.messages(run).values()))
    world.assert_paid_once(run)


def test_cancelling_cancels_at_the_vendor_and_keeps_what_was_answered(world: World) -> None:
    world.vendor.batch_plans = [BatchPlan(pace=1) for _ in range(3)]

    def cancel() -> None:
        with world.database.write() as connection:
            run = world.last_run()
            assert run is not None
            cancel_run(connection, world.project, run.id)

    world.clock.then = [*[lambda: None] * 7, cancel]  # when batches were looked at twice
    run = world.predict(cancelled=world.was_cancelled)
    assert run.status == "cancelled"
    assert {each.remote_status for each in world.batches(run)} == {"cancelled"}
    assert 0 < run.done < TILES
    assert run.pending == TILES - run.done
    world.assert_paid_once(run)
    assert len(world.vendor.bill.charges) == run.done
    world.vendor.batch_plans = []
    run = world.resume(run.id)
    assert (run.status, run.done) == ("finished", TILES)
    world.assert_paid_once(run)


def test_a_batch_cancelled_at_the_vendor_ends_the_run_until_it_is_resumed(world: World) -> None:
    world.vendor.batch_plans = [BatchPlan(), BatchPlan(cancelled_after=1)]
    run = world.predict()
    assert run.status == "cancelled"
    assert "was cancelled at 127.0.0.1" in run.error
    run = world.resume(run.id)
    assert (run.status, run.done) == ("finished", TILES)
    world.assert_paid_once(run)


def test_a_vendor_with_too_much_to_do_gets_the_rest_later(world: World) -> None:
    world.vendor.limits.enqueued_requests = 4
    run = world.predict()
    assert (run.status, run.done) == ("finished", TILES)
    statuses = Counter(each.status for each in world.batches(run))
    assert statuses["collected"] == 3
    assert 0 < statuses["dropped"] <= 3
    world.assert_paid_once(run)


def test_a_vendor_that_takes_less_than_a_file_gets_smaller_ones(world: World) -> None:
    world.vendor.limits.enqueued_requests = 1
    run = world.predict()
    assert (run.status, run.done) == ("finished", TILES)
    collected = [each.requests for each in world.batches(run) if each.status == "collected"]
    assert collected == [1] * TILES
    world.assert_paid_once(run)


def test_a_file_that_is_not_taken_fails_the_run_and_leaves_its_tiles(world: World) -> None:
    world.vendor.batch_plans = [BatchPlan(fails="The model does not do batches")]
    with pytest.raises(ConflictError, match="does not take the batch: The model does not do batches"):
        world.predict()
    run = world.last_run()
    assert run is not None
    assert (run.status, run.can_resume) == ("failed", True)
    assert world.resume(run.id).done == TILES
    world.assert_paid_once(world.last_run() or run)


def test_a_line_that_is_not_taken_fails_its_tile(world: World) -> None:
    world.vendor.batch_plans = [BatchPlan(fails="too many pixels", at=2)]
    run = world.predict()
    assert (run.status, run.done) == ("finished", TILES - 1)
    assert list(world.messages(run).values()) == ["server: The server does not take the request: too many pixels"]
    world.assert_paid_once(run)


def test_what_the_server_does_not_take_is_left_out_in_another_batch(world: World) -> None:
    world.use_model("gpt-6-luna")  # which takes neither max_tokens nor a temperature
    run = world.predict()
    assert (run.status, run.done) == ("finished", TILES)
    world.assert_paid_once(run)


@pytest.mark.parametrize("fault", [RESET, RESET_AFTER, HALF, rate_limit("3"), server_error(503)], ids=str)
@pytest.mark.parametrize(
    "route",
    [
        "POST /v1/files",
        "POST /v1/batches",
        "GET /v1/batches/{id}",
        "GET /v1/files/{id}/content",
        "DELETE /v1/files/{id}",
    ],
)
def test_trouble_on_the_line_costs_nothing(world: World, route: str, fault: Fault) -> None:
    world.vendor.faults.on_route(route, fault, times=2)
    run = world.predict()
    assert (run.status, run.done) == ("finished", TILES)
    assert len(world.vendor.batches) == 3
    assert len(world.vendor.bill.charges) == TILES
    world.assert_paid_once(run)


def test_a_vendor_that_is_away_for_a_while_is_waited_for(world: World) -> None:
    world.clock.then = [world.vendor.stop, *[lambda: None] * 90, world.vendor.start]
    run = world.predict()
    assert (run.status, run.done) == ("finished", TILES)
    world.assert_paid_once(run)


def test_a_vendor_that_stays_away_ends_the_run_which_can_be_resumed(world: World) -> None:
    world.clock.then = [world.vendor.stop]
    with pytest.raises(ConflictError, match="Nothing is lost: resume the run"):
        world.predict()
    assert 3600 < world.clock.seconds < 3900
    run = world.last_run()
    assert run is not None
    assert run.can_resume
    world.vendor.start()
    run = world.resume(run.id)
    assert (run.status, run.done) == ("finished", TILES)
    assert len(world.vendor.batches) == 3
    world.assert_paid_once(run)


def test_nobody_has_to_wait_for_batches(world: World) -> None:
    world.waits = world.vendor.moves_by_itself = False
    run = world.predict()
    assert (run.status, run.done, run.can_resume) == ("interrupted", 0, True)
    assert len(world.vendor.batches) == 3
    assert not world.clock.waits
    run = world.resume(run.id)
    assert (run.status, run.done) == ("interrupted", 0)
    world.vendor.advance(4)
    run = world.resume(run.id)
    assert (run.status, run.done) == ("finished", TILES)
    assert len(world.vendor.batches) == 3
    world.assert_paid_once(run)


def test_tiles_that_a_server_is_at_work_on_are_not_asked_by_another_run(world: World) -> None:
    world.waits = world.vendor.moves_by_itself = False
    world.predict()
    with world.database.write() as connection:
        begun = begin_run(connection, world.project, world.model, ALL, prompt_hash=world.predictor().prompt_hash)
    assert (begun.run_id, begun.known, sum(each.tiles for each in begun.under_way)) == (None, 0, TILES)


def test_a_worker_whose_run_was_taken_over_submits_nothing_more(world: World) -> None:
    def take_over() -> None:
        with world.database.write() as connection:
            connection.execute(update(Run).values(worker="elsewhere:1:abc"))

    world.vendor.batch_plans = [BatchPlan(expires_after=0)] * 3
    world.clock.then = [take_over]
    with pytest.raises(ConflictError, match="was taken up by somebody else: nothing more is submitted here"):
        world.predict()
    assert len(world.vendor.batches) == 3
    world.bury()
    run = world.last_run()
    assert run is not None
    run = world.resume(run.id)
    assert (run.status, run.done) == ("finished", TILES)
    world.assert_paid_once(run)


def test_a_budget_is_kept_with_what_batches_cost_at_most(world: World) -> None:
    price = load_prices().price_of("gpt-4o")
    assert price is not None
    longest = price.times(0.5).cost(1500, 0, 0, 8192)
    world.asked["budget"] = longest * 2.2
    run = world.predict()
    assert run.status == "finished" or "budget" in run.error
    assert run.usage.cost is not None
    assert run.usage.cost <= longest * 2.2
    assert max(each.requests for each in world.batches(run)) <= 3
    assert world.batches(run)[0].requests == 2
    world.assert_paid_once(run)


def test_a_budget_that_is_used_up_ends_the_run(world: World) -> None:
    world.asked["budget"] = 1e-6
    run = world.predict()
    assert (run.status, run.done) == ("cancelled", 0)
    assert "The budget of 1e-06 USD is used up" in run.error
    assert not world.vendor.batches


def test_an_unknown_price_is_an_unknown_cost(world: World) -> None:
    world.use_model("nobody-knows")
    run = world.predict()
    assert run.done == TILES
    assert run.usage.cost is None
    assert len(world.vendor.bill.charges) == TILES


def test_a_wrong_key_is_told_without_showing_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_KEY", "sk-secret-secret")
    with pytest.raises(AccessError) as caught:
        world.predict()
    assert "VENDOR_KEY" in str(caught.value)
    assert "secret-secret" not in str(caught.value)
    run = world.last_run()
    assert run is not None
    assert "secret-secret" not in run.error


def test_a_batch_that_the_vendor_forgot_is_told(world: World) -> None:
    world.waits = world.vendor.moves_by_itself = False
    run = world.predict()
    world.vendor.batches.clear()
    with pytest.raises(NotFoundError, match="ask its tiles anew with --again"):
        world.resume(run.id)
    world.waits = world.vendor.moves_by_itself = True
    assert world.predict(again=True).done == TILES


def test_batches_need_a_chat_model_and_a_database(world: World, database: Database) -> None:
    with pytest.raises(InputError, match="kept in the database"):
        open_predictor(world.project, world.model, {"batch": True})
    local = world.model.__class__(**{**vars(world.model), "backend": "local"})
    with pytest.raises(InputError, match="there is no batch: that is for chat models"):
        parameters_of_run(database, world.project, local, {"batch": True})
    assert parameters_of_run(database, world.project, world.model, {"batch": True}) == {"batch": True}
