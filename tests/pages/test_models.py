"""The models page: nothing there, models and runs, predicting, what is at work, what failed, what was spent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from db.engine import Database
from db.models import Run, Tile
from db.types import utc_now
from maploop.predict.choosing import TileChoice
from maploop.predict.history import list_runs
from maploop.predict.models import ModelView, add_model
from maploop.predict.runs import new_worker
from maploop.project import ProjectView
from maploop.work import runs
from maploop.work.foreman import Foreman
from pages import links
from pages.workshop import predict
from tests.builders import a_person, a_prediction, a_project, a_tile
from tests.predict.ground import TILES, FakePredictor, Grey, tile_at

PAGE = str(Path(links.__file__).parent / "models.py")


@pytest.fixture
def project(sqlite_database: Database) -> ProjectView:
    """Eight open tiles in a row, the last two of the test split."""
    with sqlite_database.write() as connection:
        project = a_project(connection)
        a_person(connection, "anna")
        for column in range(TILES):
            a_tile(connection, project, column, split="train" if column < TILES - 2 else "test")
    return project


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> FakePredictor:
    """What opens when a model is opened."""
    fake = FakePredictor()
    monkeypatch.setattr(runs, "open_predictor", lambda *_, **__: fake)
    monkeypatch.setattr(predict, "question_hash", lambda *_: fake.prompt_hash)
    return fake


@pytest.fixture
def model(
    sqlite_database: Database, project: ProjectView, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> ModelView:
    """A model that can be asked."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-test")
    with sqlite_database.write() as connection:
        return add_model(connection, project, "asked", "chat", identifier="gpt-4o")


@pytest.fixture
def work_off(sqlite_database: Database) -> Callable[[], None]:
    """Does what was begun."""
    return Foreman(sqlite_database, (lambda each: runs.waiting_runs(each, lambda _: Grey()),)).work_off


def page(part: str = "Models", **query: str) -> AppTest:
    """A part of the page after its first run."""
    app = AppTest.from_file(PAGE, default_timeout=30)
    app.query_params["part"] = part
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def table(app: AppTest, column: str) -> list[dict[str, Any]]:
    """The rows of the first table with such a column."""
    frame = next(each.value for each in app.dataframe if column in each.value.columns)
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def said(app: AppTest) -> str:
    """Everything the page says, as people read it."""
    texts = (*app.markdown, *app.caption, *app.info, *app.success, *app.error, *app.warning)
    return "\n".join(each.value for each in texts).replace("\\", "")


@pytest.mark.parametrize("part", ["Models", "Predict", "Tune", "Ledger"])
def test_without_a_project_the_page_says_what_to_do(sqlite_database: Database, part: str) -> None:
    app = page(part)
    assert not app.exception
    assert "no project yet" in said(app)


@pytest.mark.parametrize(("part", "says"), [("Models", "No model yet"), ("Predict", "No model here can predict yet")])
def test_a_project_without_models_is_led_to_a_dataset_to_learn_from(
    project: ProjectView, went: list[tuple[str, dict[str, str]]], part: str, says: str
) -> None:
    app = page(part)
    assert not app.exception
    assert says in said(app)
    app.button(key="go_tune").click().run()
    assert not app.exception
    assert "no dataset to learn from" in said(app)
    app.button(key="go_dataset").click().run()
    assert went == [("dataset.py", {"project": "Town"})]


def test_models_are_listed_with_where_they_come_from(sqlite_database: Database, project: ProjectView) -> None:
    measured = {"tiles": 3, "tp": 8, "fp": 1, "fn": 2, "f1": 0.842, "precision": 0.8, "recall": 0.9, "classes": {}}
    with sqlite_database.write() as connection:
        first = add_model(connection, project, "first", "local", identifier=f"first-{'a' * 64}.model")
        parameters = {"tiles": 12, "validation": measured}
        add_model(connection, project, "second", "local", parameters=parameters, parent_id=first.id)
        a_prediction(connection, project, a_tile(connection, project, 20), model="theirs")
    app = page()
    assert not app.exception
    rows = {row["model"]: row for row in table(app, "backend")}
    assert list(rows) == ["theirs", "second", "first"]
    assert (rows["second"]["parent"], rows["second"]["F1"]) == ("first", 0.842)
    assert rows["first"]["identifier"] == "first-aaaaaaaaaaaa"
    assert rows["theirs"]["backend"] == "files"
    app.selectbox(key="look_at_model").set_value("second").run()
    assert "On 3 tiles of the validation split, learned from 12 tiles." in said(app)


def test_a_run_is_begun_and_shown_at_work_and_over(
    sqlite_database: Database, project: ProjectView, model: ModelView, work_off: Callable[[], None]
) -> None:
    app = page("Predict")
    assert f"{TILES} tiles" in said(app)
    app.button(key="predict").click().run()
    assert not app.exception
    assert "Waits for its turn: 8 tiles to do" in [each.proto.text for each in app.get("progress")]
    assert app.button(key="predict").disabled
    work_off()
    app.run()
    assert not app.exception
    assert "Run 1 of asked is finished: 8 features on 8 tiles." in said(app)
    (row,) = table(app, "begun (UTC)")
    assert (row["status"], row["done"], row["features"], row["tokens in"]) == ("finished", TILES, TILES, 90 * TILES)
    assert row["cost"] == "0.0800 USD"
    assert "8 features stored" in said(app)


@pytest.mark.parametrize(
    ("scope", "asked"),
    [("test", [tile_at(7)]), ("all", [tile_at(each) for each in range(TILES)])],
)
def test_the_scope_says_which_tiles_are_asked(
    sqlite_database: Database,
    model: ModelView,
    predictor: FakePredictor,
    work_off: Callable[[], None],
    scope: str,
    asked: list[Any],
) -> None:
    with sqlite_database.write() as connection:
        connection.execute(update(Tile).where(Tile.x == tile_at(7).x).values(status="complete"))
    app = page("Predict")
    app.segmented_control(key="scope").set_value(scope).run()
    app.button(key="predict").click().run()
    work_off()
    assert sorted(predictor.asked) == asked


def test_chosen_tiles_are_read_as_people_type_them(
    model: ModelView, predictor: FakePredictor, work_off: Callable[[], None]
) -> None:
    app = page("Predict")
    app.segmented_control(key="scope").set_value("given").run()
    assert "Type the addresses" in said(app)
    app.text_area(key="given").set_value("here").run()
    assert "'here' is not a tile address" in said(app)
    app.text_area(key="given").set_value(f"{tile_at(1)}, {tile_at(3)}").run()
    app.button(key="predict").click().run()
    work_off()
    assert sorted(predictor.asked) == [tile_at(1), tile_at(3)]


def test_the_most_worth_knowing_are_as_many_as_asked_for(
    model: ModelView, predictor: FakePredictor, work_off: Callable[[], None]
) -> None:
    app = page("Predict")
    app.segmented_control(key="scope").set_value("worth").run()
    app.number_input(key="most").set_value(3).run()
    assert "3 tiles" in said(app)
    app.button(key="predict").click().run()
    work_off()
    assert len(predictor.asked) == 3


def test_a_run_at_work_tells_how_far_it_is_and_is_cancelled(
    sqlite_database: Database, project: ProjectView, model: ModelView
) -> None:
    runs.begin(sqlite_database, project, model, TileChoice("all"))
    with sqlite_database.write() as connection:
        connection.execute(update(Run).values(worker=new_worker(), beat_at=utc_now()))
    app = page("Predict")
    assert "0 of 8 tiles" in [each.proto.text for each in app.get("progress")]
    run_id = table(app, "status")[0]["run"]
    app.button(key=f"cancel_run_{run_id}").click().run()
    assert not app.exception
    assert f"Run {run_id} stops" in said(app)
    assert "Stops when what is on its way is here: 0 of 8 tiles" in [each.proto.text for each in app.get("progress")]
    assert app.button(key=f"cancel_run_{run_id}").disabled
    with sqlite_database.write() as connection:
        assert list_runs(connection, project)[0].status == "stopping"
        connection.execute(update(Run).values(worker="", beat_at=None))
    app.run()
    assert f"Run {run_id} of {model.name} was cancelled" in said(app)


def test_failed_tiles_are_listed_with_their_reason_and_asked_for_again(
    sqlite_database: Database,
    project: ProjectView,
    model: ModelView,
    predictor: FakePredictor,
    work_off: Callable[[], None],
) -> None:
    predictor.failing = {tile_at(2)}
    runs.begin(sqlite_database, project, model, TileChoice("all"))
    work_off()
    app = page("Predict")
    assert not app.exception
    (row,) = table(app, "said")
    assert row["tile"] == f"review?project=Town&tile={tile_at(2)}"
    assert (row["what"], row["said"]) == ("the model would not answer", "It will not say.")
    predictor.failing, predictor.asked = (), []
    app.button(key="retry").click().run()
    work_off()
    assert predictor.asked == [tile_at(2)]


def test_a_run_that_stopped_says_why_and_goes_on(
    sqlite_database: Database,
    project: ProjectView,
    model: ModelView,
    predictor: FakePredictor,
    work_off: Callable[[], None],
) -> None:
    runs.begin(sqlite_database, project, model, TileChoice("all"))
    with sqlite_database.write() as connection:
        connection.execute(update(Run).values(status="failed", error="The key <b>KEY</b> is not set."))
    app = page("Predict")
    assert "The key <b>KEY</b> is not set." in said(app)
    app.button(key="resume_run").click().run()
    work_off()
    assert len(predictor.asked) == TILES


def test_a_run_that_fails_while_one_looks_is_told_of_as_a_failure(
    sqlite_database: Database, project: ProjectView, model: ModelView
) -> None:
    run_id = runs.begin(sqlite_database, project, model, TileChoice("all")).run_id
    app = page("Predict")
    with sqlite_database.write() as connection:
        connection.execute(update(Run).values(status="failed", error="The key <b>KEY</b> is not set."))
    app.run()
    (told,) = [each.value.replace("\\", "") for each in app.warning if f"Run {run_id}" in each.value]
    assert told == f"Run {run_id} of {model.name} has failed: 0 features on 0 tiles. The key <b>KEY</b> is not set."
    assert f"Run {run_id}" not in "".join(each.value for each in app.success)


def test_the_ledger_says_unknown_where_a_price_is(
    sqlite_database: Database, project: ProjectView, model: ModelView, work_off: Callable[[], None]
) -> None:
    assert "nothing was spent" in said(page("Ledger"))
    runs.begin(sqlite_database, project, model, TileChoice("all", "test"))
    runs.begin(sqlite_database, project, model, TileChoice("all"))
    work_off()
    with sqlite_database.write() as connection:
        connection.execute(update(Run).values(parameters={}))
        connection.execute(update(Run).where(Run.tiles == 2).values(parameters={"estimate": {"cost": 0.03}}))
        connection.execute(update(Run).where(Run.tiles == 6).values(cost=None))
    app = page("Ledger")
    assert not app.exception
    figures = {each.label: each.value for each in app.metric}
    assert figures["Spent"] == "0.0200 USD and more"
    assert figures["Estimated"] == "0.0300 USD"
    assert "The price of 1 run or training is unknown" in said(app)
    app.segmented_control(key="ledger_by").set_value("run").run()
    assert [row["cost"] for row in table(app, "what")] == ["unknown", "0.0200 USD"]
    with sqlite_database.write() as connection:
        connection.execute(update(Run).values(cost=None))
    assert {each.label: each.value for each in page("Ledger").metric}["Spent"] == "unknown"


def test_hostile_names_stay_text(sqlite_database: Database, predictor: FakePredictor) -> None:
    evil = "<img src=x onerror=alert(1)> ![a](http://example.org/a.png)"
    with sqlite_database.write() as connection:
        project = a_project(connection, evil)
        a_tile(connection, project)
        model = add_model(connection, project, evil, "chat", identifier=evil)
    runs.begin(sqlite_database, project, model, TileChoice("all"))
    for part in ("Models", "Predict", "Tune", "Ledger"):
        app = page(part)
        assert not app.exception
        shown = "\n".join(each.value for each in (*app.markdown, *app.caption, *app.success, *app.info))
        assert "![a]" not in shown
        assert "<img" not in shown.replace("\\<img", "")


def test_a_chat_model_is_added_by_the_name_of_its_key_and_asked_once_the_key_is_there(
    sqlite_database: Database, project: ProjectView, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = page()
    app.text_input(key="add_identifier").set_value("gpt-6-luna").run()
    app.button(key="add").click().run()
    assert not app.exception
    assert "gpt-6-luna is added." in said(app)
    app.button(key="way_on").click().run()
    assert not app.exception
    assert "The key OPENAI_API_KEY is not there" in said(app)
    assert "about 0." in said(app)
    assert app.button(key="predict").disabled
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-test")
    app.number_input(key="budget").set_value(2.5).run()
    assert "The key OPENAI_API_KEY is there." in said(app)
    app.button(key="predict").click().run()
    assert not app.exception
    with sqlite_database.read() as connection:
        (run,) = list_runs(connection, project)
    assert (run.status, run.parameters["budget"]) == ("waiting", 2.5)
    assert run.parameters["estimate"]["cost"] > 0
    assert "sk-secret" not in said(app)


def test_what_does_not_fit_a_model_is_said_and_nothing_is_added(
    sqlite_database: Database, project: ProjectView
) -> None:
    app = page()
    app.text_input(key="add_key_OpenAI").set_value("sk-abc").run()
    app.text_input(key="add_identifier").set_value("gpt-6-luna").run()
    app.button(key="add").click().run()
    assert "never the key itself" in said(app)
    assert "sk-abc" not in said(app)
    app.segmented_control(key="add_kind").set_value("Of the Hugging Face hub, or a folder").run()
    app.text_input(key="hub_source").set_value("/nowhere/at-all").run()
    app.text_area(key="hub_labels_semantic").set_value("roof").run()
    app.button(key="add_hub").click().run()
    assert "'roof' does not say which label is which class" in said(app)
    app.text_area(key="hub_labels_semantic").set_value("roof = building").run()
    app.button(key="add_hub").click().run()
    assert not app.exception
    assert app.error
    assert "No model yet" in said(app)


def test_a_model_of_another_project_in_the_address_is_passed_over(
    sqlite_database: Database, project: ProjectView, model: ModelView
) -> None:
    app = page("Predict", model="theirs")
    assert not app.exception
    assert app.selectbox(key="model").value == "asked"
