"""The compare page: with nothing, with two models on finished test tiles, what it keeps, and who may take over."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from streamlit.testing.v1 import AppTest

from db.engine import Database
from db.models import Evaluation, Feature, FeatureClass, Model, Project, Run
from maploop.compare.promotion import current_model
from maploop.compare.sidebyside import Comparison, compare_models
from maploop.predict.models import add_model
from maploop.project import ProjectView
from pages import links
from pages.comparing import making
from tests.builders import a_person, a_project, a_tile, let_names_change
from tests.compare.ground import Town
from tests.compare.test_thresholds import Street

PAGE = str(Path(links.__file__).parent / "compare.py")
EVIL = "<img src=x onerror=alert(1)> ![x](http://evil.example/x.png) {{7*7}}"


def page(project: ProjectView | None = None, view: str = "", **query: Any) -> AppTest:
    """The page after its first run, as anna sees it."""
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["annotator"] = "anna"
    if project is not None:
        app.query_params["project"] = project.name
    if view:
        app.query_params["view"] = view
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def told(app: AppTest) -> str:
    """Everything the page says in boxes, paragraphs and captions, without the signs that keep it from being markup."""
    kinds = (app.info, app.markdown, app.caption, app.error, app.success, app.warning)
    parts = [each.value for kind in kinds for each in kind]
    return " ".join(parts).replace("\\", "")


def table(app: AppTest, column: str) -> Any:
    """The table that has a column."""
    return next(each.value for each in app.dataframe if column in each.value.columns)


def keys(app: AppTest) -> set[str]:
    """Keys of the buttons there are."""
    return {str(each.key) for each in app.button}


@pytest.fixture
def town(sqlite_database: Database) -> Town:
    """Two models on twelve finished test tiles."""
    return Town(sqlite_database)


def test_without_a_project_the_page_says_what_to_do(sqlite_database: Database) -> None:
    assert "no project yet" in told(page())


def test_without_a_model_the_page_says_where_to_get_one(
    sqlite_database: Database, went: list[tuple[str, dict[str, str]]]
) -> None:
    with sqlite_database.write() as connection:
        project = a_project(connection)
    app = page(project)
    assert "no model yet" in told(app)
    app.button(key="go_import").click().run()
    assert went == [("import_.py", {"project": "Town"})]


def test_without_finished_test_tiles_the_page_says_so_and_leads_to_review(
    sqlite_database: Database, went: list[tuple[str, dict[str, str]]]
) -> None:
    with sqlite_database.write() as connection:
        project = a_project(connection)
        a_person(connection, "anna")
        a_tile(connection, project, split="test")
        add_model(connection, project, "base", "file")
    app = page(project)
    assert "No tile of the test split of 'Town' is complete yet" in told(app)
    app.button(key="go_review").click().run()
    assert went == [("review.py", {"project": "Town"})]


def test_a_model_that_never_ran_is_named(town: Town) -> None:
    with town.database.write() as connection:
        add_model(connection, town.project, "idle", "file")
    app = page(town.project, model=["base", "idle"])
    assert "'idle' has not run yet" in told(app)


def test_the_verdict_the_figures_and_the_differences_are_shown(town: Town) -> None:
    app = page(town.project)
    assert "tuned" in app.info[0].value
    assert "12 finished tiles" in told(app)
    assert "1 time" not in app.info[0].value
    assert "2 models were evaluated on the test split 2 times, 0 times of these to choose." in told(app)
    figures = table(app, "recall")
    overall = figures[figures["class"] == "over all"].set_index("model")
    assert overall.loc["tuned", "found"] == "47"
    assert overall.loc["base", "missed"] == "24"
    assert overall.loc["tuned", "F1"].startswith("0.99 (")
    assert "tuned against base: +0." in told(app).replace("**", "")
    assert table(app, "against base")["F1"].iloc[0].startswith("+0.")
    assert table(app, "taken for building")["missed"].tolist()[0] == "24"


def test_looking_again_at_what_did_not_change_is_no_new_look(town: Town) -> None:
    page(town.project)
    page(town.project)
    with town.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(Evaluation)).scalar_one() == 2
    with town.database.write() as connection:
        feature = connection.execute(select(func.min(Feature.id))).scalar_one()
        connection.execute(update(Feature).where(Feature.id == feature).values(verdict="reject"))
    page(town.project)
    with town.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(Evaluation)).scalar_one() == 4


def test_a_click_makes_no_new_comparison(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def counted(*told: Any, **how: Any) -> Comparison:
        made.append(told)
        return compare_models(*told, **how)

    monkeypatch.setattr(making, "compare_models", counted)
    app = page(town.project)
    app.segmented_control(key="figure").set_value("recall").run()
    app.session_state["view"] = "Money"
    app.run()
    assert not app.exception
    assert len(made) == 1
    app.multiselect(key="models").set_value(["tuned"]).run()
    app.number_input(key="wage").set_value(30.0).run()
    assert app.multiselect(key="models").value == ["tuned"]
    assert app.query_params["model"] in ("tuned", ["tuned"])
    assert len(made) == 2


def test_the_address_says_which_models_and_which_part(town: Town) -> None:
    app = page(town.project, "Money", model=["tuned", "base"])
    assert app.multiselect(key="models").value == ["tuned", "base"]
    assert table(app, "training, USD")["model"].tolist() == ["tuned", "base", "no model, drawn by hand"]


def test_runs_that_asked_in_different_ways_are_offered_one_by_one(town: Town) -> None:
    with town.database.write() as connection:
        known = connection.execute(select(Run.model_id).order_by(Run.id)).scalars().first()
        runs = insert(Run).returning(Run.id)
        added = [
            connection.execute(
                runs.values(project_id=town.project.id, model_id=known, prompt_hash=name, tiles=1)
            ).scalar_one()
            for name in ("bare", "shots")
        ]
    app = page(town.project)
    offered = [f"base@{each}" for each in added]
    assert app.multiselect(key="models").options == ["base", *offered, "tuned"]
    app.multiselect(key="models").set_value(["tuned", offered[1]]).run()
    assert not app.exception
    assert set(table(app, "recall")["model"]) == {"tuned", offered[1]}
    with town.database.read() as connection:
        before = connection.execute(select(func.count()).select_from(Evaluation)).scalar_one()
    page(town.project, model=["tuned", offered[1]])
    with town.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(Evaluation)).scalar_one() == before


def test_score_cuts_and_blind_tiles_can_be_chosen_on_the_page(town: Town) -> None:
    with town.database.write() as connection:
        for column in (40, 41):
            a_tile(connection, town.project, column, split="test")
    app = page(town.project)
    assert "0 of 12 tiles are blind" in told(app)
    assert app.checkbox(key="cut_scores").value
    app.checkbox(key="cut_scores").uncheck().run()
    assert not app.exception
    app.number_input(key="blind").set_value(2)
    app.button(key="make_blind").click().run()
    assert not app.exception
    assert "2 of 14 test tiles are blind, 0 of these are finished." in told(app)


def test_tiles_of_ones_own_choice_are_compared_on_alone(town: Town) -> None:
    app = page(town.project)
    app.selectbox(key="split").set_value("").run()
    assert "Name finished tiles to compare on" in told(app)
    app.text_area(key="tiles").set_value("abc").run()
    assert "'abc' is not a tile address" in told(app)
    app.text_area(key="tiles").set_value("19/1/1").run()
    assert "is not a finished tile" in told(app)
    app.text_area(key="tiles").set_value(f"{town.tests[0]}, {town.tests[1]}").run()
    assert not app.exception
    assert "2 finished tiles" in told(app)
    assert "test split" not in " ".join(each.value for each in app.caption)


def test_money_follows_the_inputs(town: Town) -> None:
    app = page(town.project, "Money")
    assert "price" in told(app)
    app.number_input(key="cost_base").set_value(1.0)
    app.number_input(key="cost_tuned").set_value(9.0).run()
    cheap = app.info[0].value
    assert "tuned" in cheap
    assert table(app, "training, USD")["USD / 1,000 tiles"].tolist() == ["1.00", "9.00", "0.00"]
    app.number_input(key="volume").set_value(20_000).run()
    assert "20,000 tiles" in app.info[0].value
    app.number_input(key="wage").set_value(0.0).run()
    assert not app.exception
    assert "Draw by hand" in app.info[0].value  # people cost nothing, the models do


def test_the_map_and_the_worst_tiles_lead_into_review(town: Town, went: list[tuple[str, dict[str, str]]]) -> None:
    app = page(town.project, "Map")
    assert not app.exception
    buttons = [each for each in keys(app) if each.startswith("review_")]
    assert len(buttons) == 1
    app.selectbox(key="worst_by").set_value("Most errors of base").run()
    assert len([each for each in keys(app) if each.startswith("review_")]) > 1
    tile = str(town.tests[0].address)
    app.button(key=f"review_{tile}").click().run()
    assert went == [("review.py", {"project": "Town", "tile": tile})]


def test_scores_without_verdicts_of_people_have_no_threshold(town: Town) -> None:
    app = page(town.project, "Thresholds")
    assert "Nobody has judged a prediction" in told(app)


def test_a_rule_is_applied_after_a_second_word_and_taken_back(sqlite_database: Database) -> None:
    street = Street(sqlite_database)
    app = page(street.project, "Thresholds")
    app.number_input(key="wanted_precision").set_value(80.0).run()
    assert "from 0.55 on" in told(app)
    app.button(key="apply_building").click().run()
    assert street.verdicts(street.open).get("accept") is None
    app.button(key="confirm_apply").click().run()
    assert not app.exception
    accepted = street.verdicts(street.open)["accept"]
    assert f"{accepted} predictions are accepted" in told(app)
    (rule,) = [each for each in keys(app) if each.startswith("withdraw_")]
    app.button(key=rule).click().run()
    assert not app.exception
    assert f"{accepted} decisions are undone" in told(app)
    assert street.verdicts(street.open).get("accept") is None
    assert "Withdrawn by anna" in told(app)


def test_a_score_that_nobody_can_trust_is_not_offered(sqlite_database: Database) -> None:
    app = page(Street(sqlite_database).project, "Thresholds")
    assert "no score is sure to give 98.0 %" in told(app)
    assert not [each for each in keys(app) if each.startswith("apply_")]


def test_a_candidate_takes_over_and_the_one_before_comes_back_in_one_click(town: Town) -> None:
    app = page(town.project, "Promotion")
    assert "No model is the current one" in told(app)
    for name in ("base", "tuned"):
        app.selectbox(key="candidate_model").set_value(name).run()
        app.button(key="try_candidate").click().run()
        if name == "base":
            assert "Against it speaks: base is worse than tuned" in told(app)
            assert app.button(key="promote").disabled
            app.checkbox(key="promote_confirmed").check().run()
        assert "It rests on 12 finished test tiles" in told(app)
        app.button(key="promote").click().run()
        assert not app.exception
        assert f"{name} is the current model" in told(app).replace("**", "")
    app.button(key="go_back").click().run()
    assert not app.exception
    with town.database.read() as connection:
        found = current_model(connection, town.project)
    assert found is not None
    assert found.name == "base"
    assert app.button(key="go_back").label == "Go back to no model"
    assert table(app, "act")["act"].tolist() == ["went back", "promoted", "promoted"]


def test_a_candidate_that_fails_the_rule_takes_over_only_with_a_reason(town: Town) -> None:
    app = page(town.project, "Promotion")
    app.selectbox(key="candidate_model").set_value("tuned").run()
    app.button(key="try_candidate").click().run()
    app.button(key="promote").click().run()
    app.selectbox(key="candidate_model").set_value("base").run()
    app.button(key="try_candidate").click().run()
    assert "promote" not in keys(app)
    app.button(key="do_overrule").click().run()
    assert app.error
    app = page(town.project, "Promotion")
    app.button(key="try_candidate").click().run()
    app.text_area(key="overrule_reason").set_value("It is <b>faster</b>.")
    app.button(key="do_overrule").click().run()
    assert table(app, "act")["reason"].tolist() == ["It is <b>faster</b>.", ""]


def test_the_rule_can_be_changed(town: Town) -> None:
    app = page(town.project, "Promotion")
    app.number_input(key="gate_margin").set_value(0.1)
    app.button(key="keep_rule").click().run()
    assert not app.exception
    assert "by at least 0.1" in told(app)


def test_rounds_tell_what_people_did_with_each_models_predictions(town: Town) -> None:
    app = page(town.project, "Rounds")
    assert not app.exception


def test_hostile_names_stay_text(town: Town) -> None:
    with town.database.write() as connection:
        let_names_change(connection, "model", "class")
        connection.execute(update(Model).where(Model.name == "tuned").values(name=EVIL))
        connection.execute(update(FeatureClass).where(FeatureClass.name == "building").values(name=EVIL))
        connection.execute(update(Project).values(name=EVIL))
    for view in ("Quality", "Map", "Money", "Thresholds", "Promotion", "Rounds", "Report"):
        app = AppTest.from_file(PAGE, default_timeout=60)
        app.query_params["view"] = view
        app.run()
        assert not app.exception
        assert not any(each.allow_html for each in app.markdown)
        shown = " ".join(each.value for kind in (app.info, app.markdown, app.caption) for each in kind)
        assert not re.search(r"(?<!\\)(<img|!\[|\]\()", shown)
