"""What is said before a training: limits, cost, the base's last days, licences, people; and that it sends nothing."""

from datetime import date

import pytest

from maploop.database import Database
from maploop.errors import InputError, NotFoundError
from maploop.predict.models import add_model
from maploop.prices import save_prices
from maploop.tune.plan import Hyperparameters, Preflight
from maploop.tune.preflight import preflight
from tests.tune.ground import ENOUGH_TO_TUNE, Ground, lay_ground
from tests.tune.hosted import BASE, TODAY, Office
from tests.vendor import Vendor, server_error


def told(plan: Preflight, about: str) -> list[tuple[str, str]]:
    return [(each.level, each.text) for each in plan.checks if each.about == about]


def level(plan: Preflight, about: str) -> str:
    ((found, _),) = told(plan, about)
    return found


def test_a_plan_tells_files_tokens_and_cost_at_a_dated_price(office: Office) -> None:
    plan = office.plan()
    assert plan.may_start
    assert [(each.split, each.lines, each.images) for each in plan.files] == [("train", 10, 10), ("validation", 2, 2)]
    train = plan.files[0]
    assert train.tokens is not None
    assert plan.billed_tokens == 3 * train.tokens
    assert plan.cost == round(plan.billed_tokens * 25 / 1e6, 2)
    assert plan.question == (
        f"Send 12 examples with 12 pictures to {plan.destination} and train '{BASE}' on them? That costs about "
        f"{plan.cost:,.2f} USD at the prices of {plan.prices_of}: {plan.billed_tokens:,} tokens in 3 epochs."
    )
    assert "within 50,000 lines, 512 MB, 10 pictures a line of 10 MB" in told(plan, "train file")[0][1]
    assert level(plan, "examples") == "warn"
    assert "10 train tiles are few" in told(plan, "examples")[0][1]
    assert "no names, addresses or notes of annotators" in told(plan, "people")[0][1]
    assert level(plan, "people") == "ok"
    assert "No licence is noted for imagery of localhost (Us)" in told(plan, "licence")[0][1]
    assert "the server chooses batch size, learning rate multiplier" in told(plan, "hyperparameters")[0][1]
    assert not office.vendor.files
    assert office.plan(hyperparameters=Hyperparameters(epochs=1)).billed_tokens == train.tokens


def test_an_unknown_price_stays_unknown_until_somebody_enters_it(office: Office) -> None:
    office.vendor.add_models(["odd-vision-7b"])
    plan = office.plan("odd-vision-7b")
    assert (plan.billed_tokens, plan.cost, plan.may_start) == (None, None, True)
    assert (
        "The cost is not known: the price table of 2026-10-01 has no training price for 'odd-vision-7b'."
        in plan.question
    )
    assert level(plan, "cost") == "warn"
    save_prices(
        {
            "date": "2026-11-01",
            "tuned": {"odd-vision-7b": {"input": 1, "output": 2, "training": 10}},
            "image_tokens": {"odd-vision-7b": {"rule": "patches", "factor": 1.0}},
        }
    )
    plan = office.plan("odd-vision-7b")
    assert plan.billed_tokens is not None
    assert (plan.cost, plan.prices_of) == (round(plan.billed_tokens * 10 / 1e6, 2), "2026-11-01")


@pytest.mark.parametrize(
    ("shutdown", "expected", "text"),
    [
        (None, "ok", "No shutdown of"),
        ("2029-01-14", "ok", "shuts down on 2029-01-14 (as the server says)"),
        ("2027-01-14", "warn", "in 86 days, and with it what is tuned from it. Ways that remain"),
        ("2026-10-20", "stop", "was shut down on 2026-10-20 (as the server says): choose another base. Ways that"),
        ("soon", "warn", "is to shut down, the server says: 'soon'"),
    ],
)
def test_the_last_day_of_the_base_is_what_the_server_says(
    office: Office, shutdown: str | None, expected: str, text: str
) -> None:
    office.vendor.models[BASE]["shutdown_date"] = shutdown
    plan = office.plan()
    ((found, sentence),) = told(plan, "shutdown")
    assert found == expected
    assert text in sentence
    assert plan.may_start is (expected != "stop")
    if expected == "stop":
        with pytest.raises(InputError, match="was shut down on"):
            office.start(plan)


def test_of_openai_it_is_known_when_training_ends_even_without_asking(office: Office) -> None:
    plan = office.plan(base_url="https://api.openai.com/v1", clients=None)
    ((found, sentence),) = told(plan, "training ends")
    assert found == "warn"
    assert "OpenAI (api.openai.com) ends training on 2027-01-06 (as read on 2026-10-15)" in sentence
    assert "Azure, for its existing customers until at least April 2027" in sentence
    assert "2027-01-14 (as read on" in told(plan, "shutdown")[0][1]
    late = office.plan(base_url="https://api.openai.com/v1", clients=None, today=date(2027, 1, 7))
    assert not late.may_start
    assert "trained until 2027-01-06" in late.stops[0]


def test_a_base_that_the_server_does_not_have_stops_it_and_a_failing_server_does_not(office: Office) -> None:
    plan = office.plan("no-such-base")
    assert "does not know 'no-such-base' (HTTP 404" in plan.stops[0]
    office.vendor.faults.on_route("GET /v1/models/*", server_error(), times=None)
    plan = office.plan()
    assert plan.may_start
    assert "is busy or failing (HTTP 500" in told(plan, "base")[0][1]
    office.vendor.keys = set()
    office.vendor.faults.clear()
    assert "does not know the key" in office.plan().stops[0]


def test_imagery_that_may_not_train_stops_it(sqlite_database: Database, vendor: Vendor) -> None:
    plan = Office(lay_ground(sqlite_database, may_train=False, splits=ENOUGH_TO_TUNE), vendor).plan()
    assert not plan.may_start
    assert "the terms of localhost forbid training" in " ".join(plan.stops)
    assert (plan.files, plan.examples) == ((), 0)


def test_too_few_tiles_stop_it_and_none_for_validation_is_said(sqlite_database: Database, vendor: Vendor) -> None:
    plan = Office(lay_ground(sqlite_database, splits=("train",) * 9), vendor).plan()
    assert "9 train tiles are too few: 10 are the least" in plan.stops[0]
    assert level(plan, "validation") == "warn"
    assert [each.split for each in plan.files] == ["train"]


def test_azure_is_told_apart_and_its_models_are_priced_as_tuned(office: Office) -> None:
    plan = office.plan(base_url="https://us.openai.azure.com/openai/v1", clients=None)
    assert plan.destination == "Azure (us.openai.azure.com)"
    assert level(plan, "deployment") == "warn"
    assert "us.openai.azure.com may differ" in told(plan, "cost")[0][1]
    assert plan.parameters["priced_as"] == "ft:gpt-4o"
    assert "priced_as" not in office.plan().parameters


def test_wishes_that_make_no_sense_are_refused(office: Office) -> None:
    with office.ground.database.write() as connection:
        add_model(connection, office.ground.project, "files", "file")
    with pytest.raises(InputError, match="'files' is a file model, which no server can train"):
        office.plan("files")
    with pytest.raises(InputError, match="There is a model 'files'"):
        office.plan(name="files")
    with pytest.raises(InputError, match="A base is missing"):
        office.plan(" ")
    with pytest.raises(InputError, match="base_url of a chat model does not fit"):
        office.plan(base_url="https://me:secret@host/v1")
    for wrong in ({"epochs": 0}, {"batch_size": 257}, {"learning_rate_multiplier": 0.0}, {"seed": -1}):
        with pytest.raises(InputError, match="is no "):
            Hyperparameters(**wrong)


def test_a_local_plan_costs_nothing_and_stays_here(local_ground: Ground) -> None:
    dataset = local_ground.freeze()
    plan = preflight(local_ground.database, local_ground.project, dataset.id, "local", trainer="local", today=TODAY)
    assert (plan.destination, plan.cost, plan.examples, plan.may_start) == ("this machine", 0.0, 2, True)
    with pytest.raises(NotFoundError, match="There is no model 'nobody' to go on from"):
        preflight(local_ground.database, local_ground.project, dataset.id, "nobody", trainer="local")
