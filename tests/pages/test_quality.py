"""The quality page: drawing, going on, results, returning and approving."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from streamlit.testing.v1 import AppTest

from db.engine import Database
from db.models import Tile, TileEvent, TileFeature
from maploop.project import ProjectView
from maploop.quality.audits import finish_audit
from maploop.quality.samples import audits_of, list_samples
from pages import links
from tests.builders import PlacedTile, a_decision, a_person, a_prediction, a_project, a_sample, a_tile

PAGE = str(Path(links.__file__).parent / "quality.py")


@pytest.fixture
def project(sqlite_database: Database) -> ProjectView:
    """An empty project."""
    with sqlite_database.write() as connection:
        return a_project(connection)


def page(project: ProjectView, who: str) -> AppTest:
    """The page after its first run, as one person sees it."""
    app = AppTest.from_file(PAGE, default_timeout=30)
    app.query_params["project"] = project.name
    app.session_state["annotator"] = who
    return app.run()


def finished_tiles(database: Database, project: ProjectView, count: int, who: str = "anna") -> list[PlacedTile]:
    """Complete tiles with one accepted building each."""
    with database.write() as connection:
        person = a_person(connection, who)
        tiles = []
        for column in range(count):
            tile = a_tile(connection, project, column, status="complete", finished_by=person)
            roof = a_prediction(connection, project, tile)
            a_decision(connection, project, tile, roof.feature_id, "accept", person)
            tiles.append(tile)
        return tiles


def checked(database: Database, project: ProjectView, tiles: list[PlacedTile], verdict: str = "reject") -> int:
    """A finished spot check by rita, who decides everything the same."""
    with database.write() as connection:
        anna, rita = a_person(connection, "anna"), a_person(connection, "rita")
        sample, audits = a_sample(connection, project, rita, dict.fromkeys(tiles, anna))
        for tile, audit in zip(tiles, audits, strict=True):
            features = connection.execute(_features_of(tile)).scalars().all()
            for feature in features:
                a_decision(connection, project, tile, feature, verdict, rita, audit=audit)
            finish_audit(connection, audit)
        return sample


def _features_of(tile: PlacedTile) -> Any:
    return select(TileFeature.feature_id).where(TileFeature.tile_id == tile.id)


def statuses(database: Database) -> list[str]:
    """The status of every tile, oldest first."""
    with database.read() as connection:
        return list(connection.execute(select(Tile.status).order_by(Tile.id)).scalars())


def has(app: AppTest, key: str) -> bool:
    """Whether a button of that key is on the page."""
    return key in {each.key for each in app.button}


def test_without_finished_tiles_the_page_says_why_there_is_nothing_to_draw(project: ProjectView) -> None:
    app = page(project, "rita")
    assert not app.exception
    assert any("No tile is finished yet" in each.value for each in app.info)
    assert not has(app, "draw_sample")
    assert not has(app, "approve_all_own")


def test_a_sample_is_drawn_as_wished_and_the_blind_review_opens(
    sqlite_database: Database, project: ProjectView, went: list[tuple[str, dict[str, str]]]
) -> None:
    finished_tiles(sqlite_database, project, 12)
    app = page(project, "rita")
    app.segmented_control(key="sample_by").set_value("Tiles").run()
    app.number_input(key="sample_size").set_value(5).run()
    assert any("**5 of 12 tiles**" in each.value for each in app.markdown)
    app.button(key="draw_sample").click().run()
    with sqlite_database.read() as connection:
        (sample,) = list_samples(connection, project)
        assert len(audits_of(connection, sample.id)) == 5
        assert sample.reviewer == "rita"
    assert went == [("review.py", {"project": "Town", "audit": str(sample.id)})]


def test_the_margin_sets_the_size(sqlite_database: Database, project: ProjectView) -> None:
    finished_tiles(sqlite_database, project, 40)
    app = page(project, "rita")
    app.number_input(key="sample_margin").set_value(20.0).run()
    # 40 features expected 10 % wrong, one a tile: 8 would do of many, were their spread known, 10 with Student's t.
    assert any("**10 of 40 tiles**" in each.value for each in app.markdown)


def test_an_open_spot_check_is_gone_on_with_or_closed(
    sqlite_database: Database, project: ProjectView, went: list[tuple[str, dict[str, str]]]
) -> None:
    tiles = finished_tiles(sqlite_database, project, 2)
    with sqlite_database.write() as connection:
        sample, _ = a_sample(
            connection, project, a_person(connection, "rita"), dict.fromkeys(tiles, a_person(connection, "anna"))
        )
    app = page(project, "rita")
    assert not has(app, "draw_sample")
    app.button(key="go_on").click().run()
    assert went == [("review.py", {"project": "Town", "audit": str(sample)})]
    app = page(project, "rita")
    app.button(key="close_sample").click().run()
    assert has(app, "draw_sample")
    assert [each.value for each in app.success] == ["The spot check is closed."]


def test_results_name_the_errors_of_each_annotator(sqlite_database: Database, project: ProjectView) -> None:
    tiles = finished_tiles(sqlite_database, project, 3)
    checked(sqlite_database, project, tiles[:2])
    app = page(project, "anna")
    assert not app.exception
    assert {each.label: each.value for each in app.metric}["Errors"] == "100.0 %"
    table = next(each.value for each in app.dataframe if "errors" in each.value.columns)
    assert table["of"].tolist() == ["anna", "all"]
    assert table["errors"].tolist()[0] == "100.0 % (no interval: every tile was looked at, the rate is known, n 2)"
    app.segmented_control(key="results_by").set_value("Class").run()
    table = next(each.value for each in app.dataframe if "errors" in each.value.columns)
    assert table["of"].tolist() == ["building", "all"]
    findings = next(each.value for each in app.dataframe if "what" in each.value.columns)
    assert findings["what"].tolist() == ["kept, but not there"]


def test_a_tile_is_returned_with_a_comment(sqlite_database: Database, project: ProjectView) -> None:
    (tile,) = finished_tiles(sqlite_database, project, 1)
    checked(sqlite_database, project, [tile])
    app = page(project, "rita")
    audit = app.selectbox(key="audited_tile").value
    assert app.button(key="return_tile").disabled
    app.text_area(key=f"comment_{audit}").set_value("That is a <b>shadow</b>.").run()
    app.button(key="return_tile").click().run()
    assert statuses(sqlite_database) == ["returned"]
    assert not has(app, "return_tile")
    with sqlite_database.read() as connection:
        (event,) = connection.execute(select(TileEvent.act, TileEvent.comment, TileEvent.audit_id)).all()
    assert tuple(event) == ("return", "That is a <b>shadow</b>.", audit)


def test_a_sample_and_what_it_stands_for_are_approved(sqlite_database: Database, project: ProjectView) -> None:
    tiles = finished_tiles(sqlite_database, project, 3)
    checked(sqlite_database, project, tiles[:1], "accept")
    app = page(project, "rita")
    app.button(key="approve_sample").click().run()
    assert statuses(sqlite_database) == ["approved", "complete", "complete"]
    app.button(key="approve_annotator").click().run()
    assert statuses(sqlite_database) == ["approved"] * 3
    assert [each.value for each in app.success] == ["2 tiles approved."]


def test_a_lot_with_errors_is_approved_only_when_that_is_confirmed(
    sqlite_database: Database, project: ProjectView
) -> None:
    tiles = finished_tiles(sqlite_database, project, 3)
    checked(sqlite_database, project, tiles[:1], "reject")
    app = page(project, "rita")
    told = " ".join(each.value for each in app.warning)
    assert "of the features are wrong, where the project accepts 5 %" in told.replace("\\", "")
    assert app.button(key="approve_annotator").disabled
    assert app.button(key="approve_sample").disabled
    app.checkbox(key="approve_confirmed").check().run()
    app.button(key="approve_annotator").click().run()
    assert statuses(sqlite_database) == ["approved"] * 3
    with sqlite_database.read() as connection:
        comments = connection.execute(select(TileEvent.comment).where(TileEvent.act == "approve")).scalars().all()
    assert all(each.startswith("By 1 tile looked at: errors 100.0 %") for each in comments)


def test_a_tile_in_doubt_is_named_when_it_cannot_be_approved(sqlite_database: Database, project: ProjectView) -> None:
    (tile,) = finished_tiles(sqlite_database, project, 1)
    checked(sqlite_database, project, [tile])
    with sqlite_database.write() as connection:
        a_prediction(connection, project, tile, 5, model="second")
    app = page(project, "rita")
    app.button(key="approve_tile").click().run()
    assert not app.exception
    assert str(tile) in app.error[0].value.replace("\\", "")
    app.checkbox(key="approve_confirmed").check().run()
    app.button(key="approve_sample").click().run()
    assert not app.success
    assert "0 tiles approved" in app.warning[0].value
    assert statuses(sqlite_database) == ["complete"]


def test_a_lone_annotator_may_approve_own_work_and_is_told_what_that_means(
    sqlite_database: Database, project: ProjectView
) -> None:
    finished_tiles(sqlite_database, project, 3)
    app = page(project, "anna")
    assert any("only annotator" in each.value for each in app.markdown)
    assert any("your own work" in each.value for each in app.info)
    app.button(key="approve_all_own").click().run()
    assert statuses(sqlite_database) == ["approved"] * 3
    assert not has(app, "approve_all_own")


def test_somebody_elses_spot_check_gives_no_right_to_approve_by_it(
    sqlite_database: Database, project: ProjectView
) -> None:
    tiles = finished_tiles(sqlite_database, project, 1)
    checked(sqlite_database, project, tiles)
    app = page(project, "ben")
    assert not has(app, "approve_sample")
    assert has(app, "approve_tile")
