"""The report of a comparison: whole, the same from the same ids, refused when it would no longer come out so."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from db.engine import Database
from db.models import Evaluation, Feature, FeatureClass, Model
from maploop.cli import run
from maploop.compare.money import Assumptions, weigh
from maploop.compare.sidebyside import compare_models
from maploop.errors import ConflictError, InputError, NotFoundError
from maploop.project import load_project
from maploop.report.document import Kind, written
from maploop.report.remaking import kept_ids, remade, report_of
from tests.builders import a_decision, a_prediction, a_tile, let_names_change
from tests.compare.ground import GUESSED, Town
from tests.report.test_document import EVIL, Tags


@pytest.fixture
def town(sqlite_database: Database) -> Town:
    """Two models on twelve finished test tiles."""
    return Town(sqlite_database)


def ids_of(town: Town, *names: str) -> list[int]:
    """Compare models and keep that."""
    with town.database.read() as connection:
        comparison = compare_models(connection, town.project, names or ("base", "tuned"))
    with town.database.write() as connection:
        return kept_ids(connection, town.project, town.anna, comparison)


def report(town: Town, ids: Sequence[int], kind: Kind = "html") -> str:
    """The report from ids alone."""
    with town.database.read() as connection:
        comparison = remade(connection, town.project, ids)
        return written(
            report_of(connection, town.project, comparison, weigh(comparison, Assumptions(GUESSED)), ids), kind
        )


def test_a_report_holds_figures_plots_pictures_money_and_what_it_rests_on(town: Town) -> None:
    ids = ids_of(town)
    found = Tags(report(town, ids))
    text = " ".join("".join(found.text).split())
    for said in (
        "base and tuned on 12 tiles of Town", "tuned against base: +0.", "What was taken for what", "By object size",
        "Money", "Tiles that went worst", "Evaluations", "2 evaluations on it by then, 0 of them to choose a model",
    ):  # fmt: skip
        assert said in text, said
    assert {"svg", "table", "img"} <= found.tags
    assert all(each.startswith("data:image/webp;base64,") for each in found.addresses)


@pytest.mark.parametrize("kind", ["html", "md"])
def test_the_same_ids_give_the_same_bytes_whatever_came_after(town: Town, kind: Kind) -> None:
    ids = ids_of(town)
    before = report(town, ids, kind)
    with town.database.write() as connection:
        tile = a_tile(connection, town.project, 40, split="train", status="complete", finished_by=town.anna)
        roof = a_prediction(connection, town.project, tile, model="third")
        a_decision(connection, town.project, tile, roof.feature_id, "accept", town.anna)
    ids_of(town, "tuned", "base")
    assert report(town, ids, kind) == before


def test_a_comparison_that_changed_nothing_has_the_ids_it_had(town: Town) -> None:
    assert ids_of(town) == ids_of(town)
    assert ids_of(town, "tuned", "base") == ids_of(town)[::-1]


def test_a_report_is_refused_when_the_truth_has_changed_since(town: Town) -> None:
    ids = ids_of(town)
    with town.database.write() as connection:
        feature = connection.execute(select(func.min(Feature.id))).scalar_one()
        connection.execute(update(Feature).where(Feature.id == feature).values(verdict="reject"))
    with pytest.raises(ConflictError, match=f"Evaluation {ids[0]} of 'base' would come out differently now"):
        report(town, ids)


def test_ids_that_are_not_there_or_not_of_one_comparison_are_named(town: Town) -> None:
    with pytest.raises(NotFoundError, match="There is no evaluation 99 of 'Town'"):
        report(town, [99])
    ids = ids_of(town)
    with town.database.read() as connection:
        apart = compare_models(connection, town.project, ["base"], tiles=[town.tests[0].address])
    with town.database.write() as connection:
        other = kept_ids(connection, town.project, town.anna, apart)
    with pytest.raises(InputError, match="are not of one comparison"):
        report(town, [ids[1], *other])


def test_names_in_a_report_are_text(town: Town) -> None:
    with town.database.write() as connection:
        let_names_change(connection, "model", "class")
        connection.execute(update(Model).where(Model.name == "tuned").values(name=EVIL))
        connection.execute(update(FeatureClass).where(FeatureClass.name == "building").values(name=EVIL))
    with town.database.read() as connection:
        project = load_project(connection, "Town")
        comparison = compare_models(connection, project, ["base", EVIL])
        document = report_of(connection, project, comparison, weigh(comparison, Assumptions(GUESSED)))
    found = Tags(written(document, "html"))
    assert not found.tags & {"script", "a", "iframe", "link"}
    assert all(each.startswith("data:") for each in found.addresses)


def test_the_command_writes_the_report_and_makes_it_again_from_its_ids(
    town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, again = tmp_path / "first.html", tmp_path / "again.html"
    assert run(["compare", "Town", "--model", "base", "--model", "tuned", "--report", str(first)]) == 0
    assert f"Report: {first}" in capsys.readouterr().out
    with town.database.read() as connection:
        ids = list(connection.execute(select(Evaluation.id).order_by(Evaluation.id)).scalars())
    named = [option for each in ids for option in ("--evaluation", str(each))]
    assert run(["compare", "Town", *named, "--report", str(again)]) == 0
    assert again.read_bytes() == first.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "base", "--report", "report.pdf"], "'report.pdf' is not a report"),
        (["--model", "base", "--report", "no/such/folder/report.md"], "cannot be written"),
        ([], "Say what to compare"),
        (["--evaluation", "7"], "There is no evaluation 7"),
    ],
)
def test_bad_input_to_the_command_is_one_line(
    town: Town, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "Town", *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
